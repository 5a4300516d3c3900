//! What the scripts cannot show (`spec.rs` runs them): claims of a wrong kind, bounds, and the properties that hold for
//! all names.
//!
//! A failed property prints the command that repeats it, with its seed.

mod spec;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::*;
use crate::domain::fixtures::{full_person, missing_person, random_cases};
use crate::domain::population::Population;
use crate::domain::{data, text};
use crate::proto::registry::claim::Value;
use crate::proto::registry::{Address, AgeClaim, EidState, HouseholdRole, PartialDate};
use Verdict::{InvalidInput, Match, NoMatch, NotAvailable, Unsupported};

fn claim(attribute: Attribute, value: Value) -> Claim {
    Claim { attribute: attribute.into(), value: Some(value), ..Claim::default() }
}

fn text_claim(attribute: Attribute, text: &str) -> Claim {
    claim(attribute, Value::Text(text.to_owned()))
}

fn verdict(person: &Person, claim: &Claim) -> AttributeVerdict {
    let [verdict] =
        <[_; 1]>::try_from(verify(person, std::slice::from_ref(claim))).expect("one for each claim");
    verdict
}

fn check(person: &Person, claim: &Claim, expected: Verdict) {
    let found = verdict(person, claim);
    assert_eq!(found.verdict(), expected, "{:?}: {}", found.attribute(), found.note);
    assert!(expected != InvalidInput || !found.note.is_empty());
    assert_eq!(found.attribute, claim.attribute);
}

/// A person of whom everything is known, alive and with an account.
fn complete_person() -> Person {
    let mut person = missing_person();
    if let Some(account) = &mut person.eid_account {
        account.set_state(EidState::Unlocked);
    }
    person
}

/// Every claim that the record itself would make.
fn own_claims(p: &Person) -> Vec<Claim> {
    use Attribute as A;
    let name = p.birth_name.clone().unwrap_or_default();
    let mut claims: Vec<Claim> = [
        (A::FullName, full_name(&name)),
        (A::FamilyName, name.family),
        (A::MiddleName, name.middle),
        (A::GivenName, name.given),
    ]
    .map(|(attribute, text)| text_claim(attribute, &text))
    .into();
    let texts = [
        (A::OtherName, &p.other_names[..]),
        (A::PersonalId, std::slice::from_ref(&p.personal_id)),
        (A::OldIdNumber, &p.old_id_numbers[..]),
        (A::Nationality, &p.nationalities[..]),
        (A::Ethnicity, &[p.ethnicity.clone(), p.ethnicity_name.clone()][..]),
        (A::Religion, std::slice::from_ref(&p.religion)),
        (A::ResidenceFileNo, std::slice::from_ref(&p.residence_file_no)),
    ];
    for (attribute, held) in texts {
        claims.extend(held.iter().filter(|text| !text.is_empty()).map(|text| text_claim(attribute, text)));
    }
    let addresses = [
        (A::BirthPlace, &p.birth_place),
        (A::BirthRegistrationPlace, &p.birth_registration_place),
        (A::PlaceOfOrigin, &p.place_of_origin),
        (A::PermanentResidence, &p.permanent_residence),
        (A::CurrentResidence, &p.current_residence),
    ];
    let stays = p.temporary_residences.iter().map(|stay| (A::TemporaryResidence, &stay.address));
    for (attribute, address) in addresses.into_iter().chain(stays) {
        claims.extend(address.clone().map(|address| claim(attribute, Value::Address(address))));
    }
    if let Some(date) = p.birth_date {
        let on = Some(PartialDate { year: date.year + 2, month: 1, day: 1 });
        claims.push(claim(A::BirthDate, Value::Date(date)));
        claims.push(claim(A::Age, Value::Age(AgeClaim { at_least: 1, on })));
    }
    claims.push(claim(A::Gender, Value::Gender(p.gender)));
    claims
        .extend(p.physical_status.map(|status| claim(A::PhysicalStatus, Value::PhysicalStatus(status.kind))));
    let codes = [
        (A::BloodType, p.blood_type, Value::BloodType(p.blood_type)),
        (A::MaritalStatus, p.marital_status, Value::MaritalStatus(p.marital_status)),
        (A::HouseholdRole, p.household_role, Value::HouseholdRole(p.household_role)),
    ];
    for (attribute, code, value) in codes {
        claims.extend((code != 0).then(|| claim(attribute, value)));
    }
    let account = p.eid_account.as_ref().filter(|account| account.state() == EidState::Unlocked);
    claims.extend(account.map(|account| claim(A::EidLevel, Value::EidLevel(account.level))));
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
    Claim { value, ..claim.clone() }
}

#[test]
fn every_attribute_is_known_and_matches_itself() {
    let person = complete_person();
    let own = own_claims(&person);
    for number in 1..=25 {
        assert!(Attribute::try_from(number).is_ok());
        assert!(own.iter().any(|claim| claim.attribute == number), "attribute {number}");
    }
    assert!(Attribute::try_from(26).is_err(), "a new attribute: match it, and claim it here");
    for claim in &own {
        check(&person, claim, Match);
        check(&person, &decomposed(claim), Match);
    }
    check(&person, &Claim { attribute: 99, ..Claim::default() }, Unsupported);
    check(&person, &Claim { attribute: 99, required_strength: 9, ..Claim::default() }, Unsupported);
    check(&person, &Claim { attribute: 0, value: Some(Value::Gender(1)), ..Claim::default() }, InvalidInput);
}

#[test]
fn a_claim_is_judged_by_the_fields_it_is_about() {
    let person = complete_person();
    for claim in own_claims(&person) {
        let part = crate::domain::access::part(person.clone(), held_in(claim.attribute()));
        check(&part, &claim, Match);
    }
}

#[test]
fn a_record_of_nothing_answers_no_claim_but_those_of_facts_that_are_not_written_down() {
    use Attribute as A;
    let nobody = Person::default();
    for claim in own_claims(&complete_person()) {
        let expected = match claim.attribute() {
            A::Nationality if claim.value == Some(Value::Text("VN".to_owned())) => Match,
            A::Nationality | A::PhysicalStatus | A::EidLevel => NoMatch,
            _ => NotAvailable,
        };
        check(&nobody, &claim, expected);
    }
}

#[test]
fn a_value_of_another_kind_is_invalid_input() {
    let person = complete_person();
    let own = own_claims(&person);
    let kind = |claim: &Claim| claim.value.as_ref().map(std::mem::discriminant);
    for asked in &own {
        for other in own.iter().filter(|other| kind(asked) != kind(other)) {
            let mixed = Claim { attribute: asked.attribute, value: other.value.clone(), ..Claim::default() };
            check(&person, &mixed, InvalidInput);
            check(&Person::default(), &mixed, InvalidInput);
        }
        check(&person, &Claim { attribute: asked.attribute, ..Claim::default() }, InvalidInput);
        for strength in [MatchStrength::Variant as i32, MatchStrength::Folded as i32, 9] {
            check(&person, &Claim { required_strength: strength, ..asked.clone() }, InvalidInput);
        }
        for strength in [MatchStrength::Exact, MatchStrength::Canonical] {
            check(&person, &Claim { required_strength: strength.into(), ..asked.clone() }, Match);
        }
    }
}

#[test]
fn bounds_of_claims() {
    use Attribute::FullName;
    let person = full_person();
    // As many characters as three parts of a name may have, counted after they were composed.
    check(&person, &text_claim(FullName, &"e\u{0302}\u{0303}".repeat(302)), NoMatch);
    check(&person, &text_claim(FullName, &"ễ".repeat(303)), InvalidInput);
    let detail = |length| {
        let address = Address { detail: "ễ".repeat(length), ..crate::domain::fixtures::address("01", "") };
        claim(Attribute::BirthPlace, Value::Address(address))
    };
    check(&person, &detail(200), NoMatch);
    check(&person, &detail(201), InvalidInput);
    for (code, expected) in [(0, InvalidInput), (1, Match), (2, Match), (3, InvalidInput)] {
        check(&complete_person(), &claim(Attribute::EidLevel, Value::EidLevel(code)), expected);
    }
    for unknown in [0, 99] {
        check(&person, &claim(Attribute::Gender, Value::Gender(unknown)), InvalidInput);
        check(&person, &claim(Attribute::HouseholdRole, Value::HouseholdRole(unknown)), InvalidInput);
    }
    assert_eq!(complete_person().household_role(), HouseholdRole::Sibling);
}

/// Gender, and a middle and given name.
fn sample_names() -> impl Iterator<Item = (&'static str, &'static str)> {
    data::rows(data::GIVEN_NAMES).into_iter().map(|[gender, name]| (gender, name))
}

/// How many names of a list share their key with another one.
fn colliding(names: &[&str], key: fn(&str) -> String) -> usize {
    let mut keys: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for name in names {
        keys.entry(key(name)).or_default().insert(name);
    }
    keys.values().map(BTreeSet::len).filter(|&count| count > 1).sum()
}

#[test]
fn how_much_folding_loses() {
    let plain = |name: &str| text::plain(name).collect::<String>();
    let given: BTreeSet<_> = sample_names().filter_map(|(_, name)| name.rsplit(' ').next()).collect();
    let without_diacritics: BTreeSet<_> = given.iter().map(|name| plain(name)).collect();
    let folded: BTreeSet<_> = given.iter().map(|name| text::folded(name)).collect();
    let names = |of: &str| sample_names().filter(|(g, _)| *g == of).map(|(_, name)| name).collect::<Vec<_>>();
    let (women, men) = (names("female"), names("male"));
    let counts = [given.len(), without_diacritics.len(), folded.len()];
    println!("given names: {counts:?} as they are, without diacritics, folded (i as y besides)");
    let collisions =
        [&women, &men].map(|names| [names.len(), colliding(names, plain), colliding(names, text::folded)]);
    println!("names of women and men: {collisions:?}: all, colliding without diacritics, colliding folded");
    assert_eq!(counts, [374, 274, 270]);
    assert_eq!(collisions, [[1264, 157, 179], [1190, 75, 81]]);
}

#[test]
fn eight_pairs_of_communes_fold_alike_in_their_province() {
    let mut folded: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    for [province, _, name] in data::rows(data::COMMUNES34) {
        folded.entry((province, text::folded(name))).or_default().push(name);
    }
    let pairs: Vec<_> = folded.into_values().filter(|names| names.len() > 1).collect();
    println!("{pairs:?}");
    assert_eq!(pairs.len(), 8);
    for pair in pairs {
        assert_eq!(pair.len(), 2);
        assert_eq!(strength(pair[0], pair[1]), MatchStrength::Folded, "{pair:?}");
    }
}

proptest! {
    #![proptest_config(random_cases("domain::matching"))]

    #[test]
    fn own_values_match_in_nfc_and_in_nfd(seed: u64, index in 0u64..1_000_000) {
        let person = Population::new(seed).person(index);
        for claim in own_claims(&person).iter().chain(&own_claims(&full_person())) {
            // Claims of somebody else: whatever the verdict, the form of the text makes no difference to it.
            prop_assert_eq!(verdict(&person, claim), verdict(&person, &decomposed(claim)));
        }
        let own = own_claims(&person);
        prop_assert!(verify(&person, &own).iter().all(|verdict| verdict.verdict() == Match));
    }

    #[test]
    fn a_name_matches_wherever_it_is_divided(seed: u64, index in 0u64..1_000_000, at in 1usize..4, to in 1usize..4) {
        use Attribute::{FamilyName, GivenName, MiddleName};
        let person = Population::new(seed).person(index);
        let name = full_name(&person.birth_name.clone().unwrap_or_default());
        let words: Vec<_> = name.split(' ').collect();
        let (at, to) = (at.min(words.len() - 1), to.min(words.len() - 1));
        let (at, to) = (at.min(to), at.max(to));
        let parts = [(FamilyName, &words[..at]), (MiddleName, &words[at..to]), (GivenName, &words[to..])];
        let claims = parts.map(|(attribute, words)| text_claim(attribute, &words.join(" ")));
        prop_assert!(verify(&person, &claims).iter().all(|verdict| verdict.verdict() == Match));
        // Another given name: the parts are compared one by one, and that one does not match.
        let other = [claims[0].clone(), claims[1].clone(), text_claim(GivenName, "Xuân Quỳnh")];
        prop_assert!(verify(&person, &other)[2].verdict() == NoMatch);
    }
}
