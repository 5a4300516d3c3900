//! Verdicts as text, and the two properties that matter most: a person's own values match, in NFC and in NFD alike.
//!
//! A failed property prints the command that repeats it, with its seed.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::*;
use crate::domain::fixtures::{address as unit, full_person, plain_person};
use crate::domain::population::Population;
use Verdict::{InvalidInput, Match, NoMatch, NotAvailable, Unsupported};

fn claim(attribute: Attribute, value: Value) -> Claim {
    Claim { attribute: attribute.into(), value: Some(value) }
}

fn text_claim(attribute: Attribute, text: &str) -> Claim {
    claim(attribute, Value::Text(text.to_owned()))
}

fn check(person: &Person, claim: &Claim, expected: Verdict) {
    let verdict = verify(person, claim);
    assert_eq!(verdict.verdict(), expected, "{:?}: {}", verdict.attribute(), verdict.note);
    assert_eq!(verdict.strength() == MatchStrength::Exact, expected == Match);
    assert_eq!(verdict.note.is_empty(), expected != InvalidInput);
    assert_eq!(verdict.attribute, claim.attribute);
}

/// Every claim that the record itself would make.
fn own_claims(p: &Person) -> Vec<Claim> {
    use Attribute as A;
    let mut claims = Vec::new();
    let name = p.birth_name.clone().unwrap_or_default();
    claims.push(text_claim(A::FullName, &full_name(&name)));
    claims.push(text_claim(A::FamilyName, &name.family));
    claims.push(text_claim(A::MiddleName, &name.middle));
    claims.push(text_claim(A::GivenName, &name.given));
    claims.extend(p.birth_date.map(|date| claim(A::BirthDate, Value::Date(date))));
    claims.push(claim(A::Gender, Value::Gender(p.gender)));
    if !p.personal_id.is_empty() {
        claims.push(text_claim(A::PersonalId, &p.personal_id));
    }
    claims.extend(p.old_id_numbers.iter().map(|number| text_claim(A::OldIdNumber, number)));
    let addresses = [
        (A::BirthPlace, &p.birth_place),
        (A::BirthRegistrationPlace, &p.birth_registration_place),
        (A::PlaceOfOrigin, &p.place_of_origin),
        (A::PermanentResidence, &p.permanent_residence),
        (A::CurrentResidence, &p.current_residence),
    ];
    for (attribute, address) in addresses {
        claims.extend(address.clone().map(|address| claim(attribute, Value::Address(address))));
    }
    claims.extend(p.nationalities.iter().map(|code| text_claim(A::Nationality, code)));
    claims
        .extend(p.physical_status.map(|status| claim(A::PhysicalStatus, Value::PhysicalStatus(status.kind))));
    claims
}

/// The same claim as a caller whose keyboard makes combining marks would type it, with spaces around.
fn decomposed(claim: &Claim) -> Claim {
    let value = match claim.value.clone() {
        Some(Value::Text(text)) => Some(Value::Text(format!("  {}\n", text.nfd().collect::<String>()))),
        Some(Value::Address(a)) => {
            Some(Value::Address(Address { detail: format!(" {} ", a.detail.nfd().collect::<String>()), ..a }))
        }
        other => other,
    };
    Claim { attribute: claim.attribute, value }
}

#[test]
#[rustfmt::skip]
fn texts() {
    use Attribute::*;
    let person = full_person();
    let cases = [
        (FullName, "Nguyễn Thị Thanh Thuỷ", Match), (FullName, " Nguye\u{0302}\u{0303}n Thị Thanh Thuỷ ", Match),
        (FullName, "Nguyễn Thị Thanh Thủy", NoMatch), (FullName, "nguyễn thị thanh thuỷ", NoMatch),
        (FullName, "Nguyen Thi Thanh Thuy", NoMatch), (FullName, "NguyễnThịThanhThuỷ", NoMatch),
        (FullName, "Nguyễn  Thị Thanh Thuỷ", NoMatch), (FullName, "", InvalidInput), (FullName, "  ", InvalidInput),
        (FullName, "Ðỗ Lan", InvalidInput), (FullName, "Nguyễn 4", InvalidInput), (FullName, "Нгуен", InvalidInput),
        (FamilyName, "Nguyễn", Match), (FamilyName, "Trần", NoMatch), (FamilyName, "", InvalidInput),
        (MiddleName, "Thị Thanh", Match), (MiddleName, "", NoMatch), (MiddleName, "Thị", NoMatch),
        (GivenName, "Thuỷ", Match), (GivenName, "Thủy", NoMatch),
        (PersonalId, "001190000001", Match), (PersonalId, " 001190000001 ", Match),
        // The cancelled number leads to the person as a key, and is no match as a claim.
        (PersonalId, "002190000002", NoMatch), (PersonalId, "00119", InvalidInput),
        (OldIdNumber, "271450001", Match), (OldIdNumber, "012345678", Match), (OldIdNumber, "000000000", NoMatch),
        (OldIdNumber, "12345678", InvalidInput),
        (Nationality, "VN", Match), (Nationality, "FR", Match), (Nationality, "US", NoMatch), (Nationality, "vn", InvalidInput),
    ];
    for (attribute, text, expected) in cases {
        check(&person, &text_claim(attribute, text), expected);
    }
    let limit = text_claim(FullName, &"e\u{0302}\u{0303}".repeat(300));
    check(&person, &limit, NoMatch);
    check(&person, &text_claim(FullName, &"ễ".repeat(301)), InvalidInput);
}

#[test]
fn nothing_to_compare_with() {
    use Attribute::*;
    let plain = plain_person("Lan", "");
    let home = || Value::Address(unit("01", ""));
    check(&plain, &text_claim(PersonalId, "001190000001"), NotAvailable);
    check(&plain, &text_claim(OldIdNumber, "271450001"), NotAvailable);
    for attribute in [BirthPlace, BirthRegistrationPlace, PlaceOfOrigin, PermanentResidence, CurrentResidence]
    {
        check(&plain, &claim(attribute, home()), NotAvailable);
    }
    check(&plain, &claim(Gender, Value::Gender(1)), NotAvailable);
    check(&plain, &claim(Gender, Value::Gender(3)), Match);
    // No middle name, and no nationality but the one that is not written down, are facts.
    check(&plain, &text_claim(MiddleName, ""), Match);
    check(&plain, &text_claim(MiddleName, "Thị"), NoMatch);
    check(&plain, &text_claim(Nationality, "VN"), Match);
    check(&plain, &text_claim(Nationality, "FR"), NoMatch);
    check(&Person::default(), &text_claim(FullName, "Lan"), NotAvailable);
    check(
        &Person::default(),
        &claim(BirthDate, Value::Date(PartialDate { year: 1990, month: 0, day: 0 })),
        NotAvailable,
    );
}

#[test]
fn birth_dates_at_the_lower_precision() {
    use DatePrecision::{Day, Month, Year};
    let of = |year, month, day| claim(Attribute::BirthDate, Value::Date(PartialDate { year, month, day }));
    let person = full_person();
    #[rustfmt::skip]
    let cases = [
        (of(1990, 5, 2), Match, Day), (of(1990, 5, 3), NoMatch, Day), (of(1990, 5, 0), Match, Month),
        (of(1990, 6, 0), NoMatch, Month), (of(1990, 0, 0), Match, Year), (of(1991, 0, 0), NoMatch, Year),
        (of(1990, 0, 2), InvalidInput, DatePrecision::Unspecified),
    ];
    for (claim, expected, precision) in cases {
        check(&person, &claim, expected);
        assert_eq!(verify(&person, &claim).precision(), precision);
    }
    let year_only = plain_person("Lan", "");
    assert_eq!(verify(&year_only, &of(1990, 5, 2)).precision(), Year);
    check(&year_only, &of(1990, 5, 2), Match);
}

#[test]
fn addresses() {
    let person = full_person();
    let of = |address| claim(Attribute::BirthPlace, Value::Address(address));
    let abroad = Address { country: "FR".into(), ..Default::default() };
    #[rustfmt::skip]
    let cases = [
        (unit("01", "Bệnh viện"), Match), (unit("01", ""), Match),
        (unit("01", " Be\u{0323}\u{0302}nh viện "), Match), (unit("01", "Nhà"), NoMatch),
        (Address { country: "VN".into(), ..unit("01", "") }, Match), (unit("001", ""), NoMatch), (unit("02", ""), NoMatch),
        (Address { unit_edition: 2, ..unit("01", "") }, NoMatch), (abroad, NoMatch),
        (Address { unit_edition: 0, ..unit("01", "") }, InvalidInput), (Address::default(), InvalidInput),
        (unit("01", "a\nb"), InvalidInput),
    ];
    for (address, expected) in cases {
        check(&person, &of(address), expected);
    }
}

#[test]
fn codes_and_kinds() {
    use Attribute::*;
    let person = full_person();
    for (code, expected) in [(2, Match), (1, NoMatch), (3, NoMatch), (0, InvalidInput), (9, InvalidInput)] {
        check(&person, &claim(Gender, Value::Gender(code)), expected);
    }
    for (code, expected) in [(2, Match), (1, NoMatch), (3, NoMatch), (0, InvalidInput), (9, InvalidInput)] {
        check(&person, &claim(PhysicalStatus, Value::PhysicalStatus(code)), expected);
    }
    check(&Person::default(), &claim(PhysicalStatus, Value::PhysicalStatus(1)), Match);
    check(&person, &Claim { attribute: 99, value: None }, Unsupported);
    check(&person, &Claim { attribute: 0, value: Some(Value::Gender(1)) }, InvalidInput);
}

#[test]
fn a_value_of_another_kind_is_invalid_input() {
    let person = full_person();
    let own = own_claims(&person);
    for asked in &own {
        for other in &own {
            let kind = |claim: &Claim| claim.value.as_ref().map(std::mem::discriminant);
            if kind(asked) != kind(other) {
                check(
                    &person,
                    &Claim { attribute: asked.attribute, value: other.value.clone() },
                    InvalidInput,
                );
            }
        }
        check(&person, &Claim { attribute: asked.attribute, value: None }, InvalidInput);
    }
}

#[test]
fn every_attribute_is_known() {
    let person = full_person();
    let own = own_claims(&person);
    for number in 1..=15 {
        assert!(Attribute::try_from(number).is_ok());
        assert!(own.iter().any(|claim| claim.attribute == number), "attribute {number}");
    }
    assert!(Attribute::try_from(16).is_err(), "a new attribute: match it, and claim it here");
}

proptest! {
    #![proptest_config(crate::domain::fixtures::random_cases("domain::matching"))]

    #[test]
    fn own_values_match_in_nfc_and_in_nfd(seed: u64, index in 0u64..1_000_000) {
        let person = Population::new(seed).person(index);
        for claim in own_claims(&person).iter().chain(&own_claims(&full_person())) {
            // Claims of somebody else: whatever the verdict, the form of the text makes no difference to it.
            prop_assert_eq!(verify(&person, claim), verify(&person, &decomposed(claim)));
        }
        for claim in own_claims(&person) {
            prop_assert_eq!(verify(&person, &claim).verdict(), Match);
            prop_assert_eq!(verify(&person, &decomposed(&claim)).verdict(), Match);
        }
    }
}
