//! Each bound of a record at its edge and one past it, and each rule between fields, with the field path and reason
//! that the caller sees.

use super::super::tests::{VALID, outcome, run};
use super::*;
use crate::domain::fixtures::{address as unit, missing_person};
use crate::proto::registry::{
    AbsenceDeclaration, Address, Credential, CredentialType, EidAccountState, Extension, HouseholdRole,
    Provenance, RelatedPerson, RelationKind, TemporaryResidence, UnitEdition, extension::Value,
};
use ErrorReason::{DateInvalid, FieldInvalid, IdStructureInvalid, NameCharset, TooLarge, Unspecified};

fn name(p: &mut Person) -> &mut PersonName {
    p.birth_name.as_mut().expect("set by the fixture")
}

fn status(kind: PhysicalStatusKind, year: u32) -> Option<PhysicalStatus> {
    Some(PhysicalStatus { kind: kind.into(), since: Some(PartialDate { year, month: 0, day: 0 }) })
}

/// The person without a household.
fn alone(p: &mut Person) -> &mut Person {
    p.residence_file_no.clear();
    p.household_role = 0;
    p
}

fn year(year: u32) -> Option<PartialDate> {
    Some(PartialDate { year, month: 0, day: 0 })
}

fn numbers(count: u32, digits: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n:0digits$}")).collect()
}

#[test]
#[rustfmt::skip]
fn names_of_a_person() {
    run(&missing_person(), |p| person(p, "person"), &[
        (|p| p.birth_name = None, "person.birth_name", FieldInvalid),
        (|p| name(p).family.clear(), "person.birth_name.family", NameCharset),
        (|p| name(p).given.clear(), "person.birth_name.given", NameCharset),
        (|p| name(p).middle.clear(), VALID.0, VALID.1),
        (|p| name(p).family = "Ð".into(), "person.birth_name.family", NameCharset),
        (|p| name(p).middle = "Thi\u{0323}".into(), "person.birth_name.middle", NameCharset),
        (|p| name(p).given = "ễ".repeat(100), VALID.0, VALID.1),
        (|p| name(p).given = "ễ".repeat(101), "person.birth_name.given", TooLarge),
        (|p| p.other_names = vec!["a".repeat(300); 8], VALID.0, VALID.1),
        (|p| p.other_names = vec!["a".into(); 9], "person.other_names", TooLarge),
        (|p| p.other_names = vec!["a".into(), "a".repeat(301)], "person.other_names[1]", TooLarge),
        (|p| p.other_names = vec![String::new()], "person.other_names[0]", NameCharset),
    ]);
}

#[test]
#[rustfmt::skip]
fn numbers_of_a_person() {
    run(&missing_person(), |p| person(p, "person"), &[
        (|p| p.personal_id.clear(), VALID.0, VALID.1),
        (|p| p.personal_id = "001190".into(), "person.personal_id", IdStructureInvalid),
        (|p| p.personal_id = "001090000001".into(), "person.personal_id", IdStructureInvalid),
        // Digit 4 says 2000 to 2099, and the birth date 1990.
        (|p| p.personal_id = "001390000001".into(), "person.personal_id", IdStructureInvalid),
        (|p| p.cancelled_personal_ids = vec!["0".into()], "person.cancelled_personal_ids[0]", IdStructureInvalid),
        // Cancelled because it was wrong: its structure is not held against the record.
        (|p| p.cancelled_personal_ids = vec!["000000000000".into()], VALID.0, VALID.1),
        (|p| p.cancelled_personal_ids = vec![p.personal_id.clone()], "person.cancelled_personal_ids[0]", FieldInvalid),
        (|p| p.cancelled_personal_ids = vec!["1".repeat(12); 2], "person.cancelled_personal_ids[1]", FieldInvalid),
        (|p| p.cancelled_personal_ids = numbers(8, 12), VALID.0, VALID.1),
        (|p| p.cancelled_personal_ids = numbers(9, 12), "person.cancelled_personal_ids", TooLarge),
        (|p| p.old_id_numbers = numbers(8, 9), VALID.0, VALID.1),
        (|p| p.old_id_numbers = numbers(9, 9), "person.old_id_numbers", TooLarge),
        (|p| p.old_id_numbers = vec!["12345678".into()], "person.old_id_numbers[0]", IdStructureInvalid),
        (|p| p.old_id_numbers = vec!["1".repeat(9); 2], "person.old_id_numbers[1]", FieldInvalid),
        (|p| p.nationalities = vec!["VN".into(), "FR".into(), "US".into(), "LA".into()], VALID.0, VALID.1),
        (|p| p.nationalities = vec!["VN".into(); 5], "person.nationalities", TooLarge),
        (|p| p.nationalities = vec!["VN".into(); 2], "person.nationalities[1]", FieldInvalid),
        (|p| p.nationalities = vec!["vn".into()], "person.nationalities[0]", FieldInvalid),
    ]);
}

#[test]
#[rustfmt::skip]
fn birth_gender_and_death() {
    use PhysicalStatusKind::{Alive, Deceased, Missing};
    run(&missing_person(), |p| person(p, "person"), &[
        (|p| p.birth_date = None, "person.birth_date", FieldInvalid),
        (|p| p.birth_date = Some(PartialDate { year: 1990, month: 2, day: 29 }), "person.birth_date", DateInvalid),
        (|p| p.birth_date = Some(PartialDate { year: 1992, month: 2, day: 29 }), "person.personal_id", IdStructureInvalid),
        (|p| p.birth_date = Some(PartialDate { year: 1990, month: 0, day: 0 }), VALID.0, VALID.1),
        (|p| p.gender = 0, "person.gender", FieldInvalid),
        (|p| p.gender = 99, "person.gender", FieldInvalid),
        (|p| p.gender = 3, VALID.0, VALID.1),
        (|p| p.physical_status = None, VALID.0, VALID.1),
        (|p| p.physical_status = status(Missing, 1990), VALID.0, VALID.1),
        (|p| alone(p).physical_status = status(Deceased, 1990), VALID.0, VALID.1),
        (|p| p.physical_status = status(Deceased, 1990), "person.residence_file_no", FieldInvalid),
        (|p| p.physical_status = status(Deceased, 1989), "person.physical_status.since", FieldInvalid),
        (|p| p.physical_status = status(Deceased, 0), "person.physical_status.since", DateInvalid),
        (|p| p.physical_status = status(Alive, 2020), "person.physical_status.since", FieldInvalid),
        (|p| p.physical_status = Some(PhysicalStatus { kind: 9, since: None }), "person.physical_status.kind", FieldInvalid),
    ]);
}

#[test]
#[rustfmt::skip]
fn addresses() {
    run(&unit("001", "Số 1"), |a| address(a, "a"), &[
        (|a| a.unit_code = "01".into(), VALID.0, VALID.1),
        (|a| a.unit_code = "00001".into(), VALID.0, VALID.1),
        (|a| a.unit_code = "1".into(), "a.unit_code", FieldInvalid),
        (|a| a.unit_code = "0001".into(), "a.unit_code", FieldInvalid),
        (|a| a.unit_code = "0x".into(), "a.unit_code", FieldInvalid),
        (|a| a.unit_edition = UnitEdition::V34.into(), "a.unit_code", FieldInvalid),
        (|a| a.unit_edition = 0, "a.unit_edition", FieldInvalid),
        (|a| a.unit_edition = 7, "a.unit_edition", FieldInvalid),
        (|a| a.unit_code.clear(), "a.unit_code", FieldInvalid),
        (|a| a.country = "VN".into(), VALID.0, VALID.1),
        (|a| a.country = "FR".into(), "a.unit_code", FieldInvalid),
        (|a| a.country = "fr".into(), "a.country", FieldInvalid),
        (|a| *a = Address { country: "FR".into(), detail: "Lyon".into(), ..Default::default() }, VALID.0, VALID.1),
        (|a| *a = Address { country: "FR".into(), unit_edition: 1, ..Default::default() }, "a.unit_edition", FieldInvalid),
        (|a| a.detail = "ễ".repeat(200), VALID.0, VALID.1),
        (|a| a.detail = "ễ".repeat(201), "a.detail", TooLarge),
        (|a| a.detail = "a\nb".into(), "a.detail", NameCharset),
    ]);
    let lost = Person { current_residence: Some(Address::default()), ..missing_person() };
    assert_eq!(outcome(person(&lost, "person")).0, "person.current_residence.unit_code");
    assert_eq!(outcome(person(&lost, "")).0, "current_residence.unit_code");
}

fn period_of(since: Option<PartialDate>, until: Option<PartialDate>) -> TemporaryResidence {
    TemporaryResidence { address: Some(unit("01", "")), since, until }
}

#[test]
#[rustfmt::skip]
fn residences_and_absence() {
    let absent = |since, until| Some(AbsenceDeclaration { since, until });
    run(&missing_person(), |p| person(p, "person"), &[
        (|p| p.temporary_residences = vec![period_of(year(2020), year(2020)); 8], VALID.0, VALID.1),
        (|p| p.temporary_residences = vec![period_of(None, None); 9], "person.temporary_residences", TooLarge),
        (|p| p.temporary_residences = vec![TemporaryResidence::default()], "person.temporary_residences[0].address", FieldInvalid),
        (|p| p.temporary_residences = vec![TemporaryResidence { address: Some(Address::default()), ..Default::default() }], "person.temporary_residences[0].address.unit_code", FieldInvalid),
        (|p| p.temporary_residences = vec![period_of(year(2020), year(2019))], "person.temporary_residences[0].until", FieldInvalid),
        (|p| p.temporary_residences = vec![period_of(year(0), None)], "person.temporary_residences[0].since", DateInvalid),
        (|p| p.temporary_residences = vec![period_of(None, year(2400))], "person.temporary_residences[0].until", DateInvalid),
        (|p| p.absence = None, VALID.0, VALID.1),
    ]);
    for (since, until, field, reason) in [
        (year(2020), year(2020), VALID.0, VALID.1),
        (year(2020), year(2019), "person.absence.until", FieldInvalid),
        (year(1), None, "person.absence.since", DateInvalid),
        (None, year(1), "person.absence.until", DateInvalid),
    ] {
        let absent = Person { absence: absent(since, until), ..missing_person() };
        assert_eq!(outcome(person(&absent, "person")), (field.to_owned(), reason));
    }
}

fn related(kind: RelationKind, person_uid: u64) -> RelatedPerson {
    RelatedPerson { kind: kind.into(), person_uid, ..Default::default() }
}

#[test]
#[rustfmt::skip]
fn relations() {
    use RelationKind::{Child, Father, Spouse};
    fn first(p: &mut Person) -> &mut RelatedPerson { &mut p.relations[0] }
    run(&missing_person(), |p| person(p, "person"), &[
        (|p| p.relations = vec![related(Child, 0); 64], VALID.0, VALID.1),
        (|p| p.relations = vec![related(Child, 0); 65], "person.relations", TooLarge),
        (|p| first(p).kind = 0, "person.relations[0].kind", FieldInvalid),
        (|p| first(p).kind = 7, "person.relations[0].kind", FieldInvalid),
        (|p| first(p).name = "ễ".repeat(300), VALID.0, VALID.1),
        (|p| first(p).name = "ễ".repeat(301), "person.relations[0].name", TooLarge),
        (|p| first(p).name = "Ðỗ".into(), "person.relations[0].name", NameCharset),
        (|p| first(p).personal_id = "00119000000".into(), "person.relations[0].personal_id", IdStructureInvalid),
        (|p| first(p).personal_id = "000000000000".into(), VALID.0, VALID.1),
        (|p| first(p).old_id_number = "1234567890".into(), "person.relations[0].old_id_number", IdStructureInvalid),
        (|p| first(p).nationality = "France".into(), "person.relations[0].nationality", FieldInvalid),
        (|p| first(p).nationality = "FR".into(), VALID.0, VALID.1),
        (|p| p.relations = vec![related(Father, 0), related(Father, 7)], "person.relations[1].kind", FieldInvalid),
        (|p| p.relations = vec![related(Child, 7), related(Child, 8)], VALID.0, VALID.1),
        (|p| p.relations = vec![related(Child, 7), related(Child, 7)], "person.relations[1]", FieldInvalid),
        (|p| p.relations = vec![RelatedPerson { name: "Lan".into(), ..related(Child, 7) }], "person.relations[0].name", FieldInvalid),
        (|p| (p.relations, p.marital_status) = (vec![related(Spouse, 7)], 2), VALID.0, VALID.1),
        (|p| (p.relations, p.marital_status) = (vec![related(Spouse, 7)], 3), "person.marital_status", FieldInvalid),
        // A spouse whom a paper names: the marriage may have ended since.
        (|p| (p.relations, p.marital_status) = (vec![related(Spouse, 0)], 3), VALID.0, VALID.1),
        (|p| p.marital_status = 5, "person.marital_status", FieldInvalid),
    ]);
    for kind in [RelationKind::Mother, Spouse] {
        let twice = Person { relations: vec![related(Child, 0), related(kind, 0), related(kind, 0)], ..missing_person() };
        assert_eq!(outcome(person(&twice, "person")), ("person.relations[2].kind".into(), FieldInvalid));
    }
}

#[test]
#[rustfmt::skip]
fn households() {
    run(&missing_person(), |p| person(p, "person"), &[
        (|p| { alone(p); }, VALID.0, VALID.1),
        (|p| p.residence_file_no = "A1".repeat(10), VALID.0, VALID.1),
        (|p| p.residence_file_no = "A".repeat(21), "person.residence_file_no", TooLarge),
        (|p| p.residence_file_no = "a1".into(), "person.residence_file_no", FieldInvalid),
        (|p| p.residence_file_no = "A-1".into(), "person.residence_file_no", FieldInvalid),
        (|p| p.residence_file_no.clear(), "person.household_role", FieldInvalid),
        (|p| p.household_role = 0, VALID.0, VALID.1),
        (|p| p.household_role = HouseholdRole::Unrelated.into(), VALID.0, VALID.1),
        (|p| p.household_role = 10, "person.household_role", FieldInvalid),
        (|p| p.physical_status = status(PhysicalStatusKind::Deceased, 2020), "person.residence_file_no", FieldInvalid),
    ]);
}

#[test]
#[rustfmt::skip]
fn ethnicity_religion_and_blood() {
    run(&missing_person(), |p| person(p, "person"), &[
        (|p| p.ethnicity.clear(), VALID.0, VALID.1),
        (|p| p.ethnicity = "01".into(), VALID.0, VALID.1),
        (|p| p.ethnicity = "55".into(), VALID.0, VALID.1),
        (|p| p.ethnicity = "00".into(), "person.ethnicity", FieldInvalid),
        (|p| p.ethnicity = "56".into(), "person.ethnicity", FieldInvalid),
        (|p| p.ethnicity = "1".into(), "person.ethnicity", FieldInvalid),
        (|p| p.ethnicity = "+1".into(), "person.ethnicity", FieldInvalid),
        (|p| p.ethnicity_name = "ễ".repeat(100), VALID.0, VALID.1),
        (|p| p.ethnicity_name = "ễ".repeat(101), "person.ethnicity_name", TooLarge),
        (|p| p.ethnicity_name = "Ê\u{202E}đê".into(), "person.ethnicity_name", NameCharset),
        (|p| p.religion.clear(), VALID.0, VALID.1),
        (|p| p.religion = "00".into(), VALID.0, VALID.1),
        (|p| p.religion = "99".into(), VALID.0, VALID.1),
        (|p| p.religion = "100".into(), "person.religion", FieldInvalid),
        (|p| p.religion = "x1".into(), "person.religion", FieldInvalid),
        (|p| p.blood_type = 5, VALID.0, VALID.1),
        (|p| p.blood_type = 6, "person.blood_type", FieldInvalid),
    ]);
}

#[test]
#[rustfmt::skip]
fn contacts() {
    run(&missing_person(), |p| person(p, "person"), &[
        (|p| p.phone_numbers = vec!["12345678".into(), format!("+{}", "1".repeat(15))], VALID.0, VALID.1),
        (|p| p.phone_numbers = vec!["1234567".into()], "person.phone_numbers[0]", FieldInvalid),
        (|p| p.phone_numbers = vec!["12345678".into(), "1".repeat(16)], "person.phone_numbers[1]", FieldInvalid),
        (|p| p.phone_numbers = vec!["++12345678".into()], "person.phone_numbers[0]", FieldInvalid),
        (|p| p.phone_numbers = vec!["090 123 4567".into()], "person.phone_numbers[0]", FieldInvalid),
        (|p| p.phone_numbers = vec!["12345678".into(); 2], "person.phone_numbers[1]", FieldInvalid),
        (|p| p.phone_numbers = numbers(4, 10), VALID.0, VALID.1),
        (|p| p.phone_numbers = numbers(5, 10), "person.phone_numbers", TooLarge),
        (|p| p.email_addresses = vec![format!("{}@b", "a".repeat(98))], VALID.0, VALID.1),
        (|p| p.email_addresses = vec![format!("{}@b", "a".repeat(99))], "person.email_addresses[0]", FieldInvalid),
        (|p| p.email_addresses = vec!["lan.example".into()], "person.email_addresses[0]", FieldInvalid),
        (|p| p.email_addresses = vec!["lan@a@b".into()], "person.email_addresses[0]", FieldInvalid),
        (|p| p.email_addresses = vec!["@b".into()], "person.email_addresses[0]", FieldInvalid),
        (|p| p.email_addresses = vec!["a@".into()], "person.email_addresses[0]", FieldInvalid),
        (|p| p.email_addresses = vec!["thúy@b".into()], "person.email_addresses[0]", FieldInvalid),
        (|p| p.email_addresses = vec!["a b@c".into()], "person.email_addresses[0]", FieldInvalid),
        (|p| p.email_addresses = (0..4).map(|n| format!("{n}@b")).collect(), VALID.0, VALID.1),
        (|p| p.email_addresses = (0..5).map(|n| format!("{n}@b")).collect(), "person.email_addresses", TooLarge),
    ]);
}

fn extension(name: &str, value: Value) -> Extension {
    Extension { name: name.into(), value: Some(value) }
}

#[test]
#[rustfmt::skip]
fn extensions() {
    fn many(count: usize) -> Vec<Extension> {
        (0..count).map(|n| extension(&format!("x_{n}"), Value::Number(i64::MIN))).collect()
    }
    run(&missing_person(), |p| person(p, "person"), &[
        (|p| p.extensions = many(16), VALID.0, VALID.1),
        (|p| p.extensions = many(17), "person.extensions", TooLarge),
        (|p| p.extensions = vec![extension(&"x".repeat(40), Value::Flag(false))], VALID.0, VALID.1),
        (|p| p.extensions = vec![extension(&"x".repeat(41), Value::Flag(true))], "person.extensions[0].name", FieldInvalid),
        (|p| p.extensions = vec![extension("", Value::Flag(true))], "person.extensions[0].name", FieldInvalid),
        (|p| p.extensions = vec![extension("X", Value::Flag(true))], "person.extensions[0].name", FieldInvalid),
        (|p| p.extensions = vec![extension("x", Value::Flag(true)); 2], "person.extensions[1].name", FieldInvalid),
        (|p| p.extensions = vec![Extension { name: "x".into(), value: None }], "person.extensions[0]", FieldInvalid),
        (|p| p.extensions = vec![extension("x", Value::Text("ễ".repeat(200)))], VALID.0, VALID.1),
        (|p| p.extensions = vec![extension("x", Value::Text("ễ".repeat(201)))], "person.extensions[0].text", TooLarge),
        (|p| p.extensions = vec![extension("x", Value::Text("a\tb".into()))], "person.extensions[0].text", NameCharset),
        (|p| p.extensions = vec![extension("x", Value::Date(PartialDate { year: 2023, month: 2, day: 29 }))], "person.extensions[0].date", DateInvalid),
    ]);
}

fn issued(number: &str) -> Credential {
    Credential { r#type: CredentialType::Passport.into(), number: number.into(), ..Default::default() }
}

#[test]
#[rustfmt::skip]
fn credentials() {
    fn first(p: &mut Person) -> &mut Credential { &mut p.credentials[0] }
    run(&missing_person(), |p| person(p, "person"), &[
        (|p| p.credentials = (0..32).map(|n| issued(&n.to_string())).collect(), VALID.0, VALID.1),
        (|p| p.credentials = (0..33).map(|n| issued(&n.to_string())).collect(), "person.credentials", TooLarge),
        (|p| p.credentials = vec![issued("C1"), issued("C1")], "person.credentials[1].number", FieldInvalid),
        (|p| p.credentials = vec![issued("C1"), Credential { r#type: 1, ..issued("C1") }], VALID.0, VALID.1),
        (|p| first(p).r#type = 0, "person.credentials[0].type", FieldInvalid),
        (|p| first(p).r#type = 19, "person.credentials[0].type", FieldInvalid),
        (|p| first(p).number = "-/.0Z".repeat(8), VALID.0, VALID.1),
        (|p| first(p).number = "0".repeat(41), "person.credentials[0].number", TooLarge),
        (|p| first(p).number.clear(), "person.credentials[0].number", FieldInvalid),
        (|p| first(p).number = "Đ1".into(), "person.credentials[0].number", FieldInvalid),
        (|p| first(p).credential_class = "ễ".repeat(20), VALID.0, VALID.1),
        (|p| first(p).credential_class = "ễ".repeat(21), "person.credentials[0].credential_class", TooLarge),
        (|p| first(p).credential_class = "\0".into(), "person.credentials[0].credential_class", NameCharset),
        (|p| first(p).issuing_authority = "ễ".repeat(200), VALID.0, VALID.1),
        (|p| first(p).issuing_authority = "ễ".repeat(201), "person.credentials[0].issuing_authority", TooLarge),
        (|p| first(p).issuing_place = "ễ".repeat(200), VALID.0, VALID.1),
        (|p| first(p).issuing_place = "ễ".repeat(201), "person.credentials[0].issuing_place", TooLarge),
        (|p| first(p).source_system = "ễ".repeat(35), VALID.0, VALID.1),
        (|p| first(p).source_system = "ễ".repeat(36), "person.credentials[0].source_system", TooLarge),
        (|p| first(p).source_revision = "ễ".repeat(40), VALID.0, VALID.1),
        (|p| first(p).source_revision = "ễ".repeat(41), "person.credentials[0].source_revision", TooLarge),
        (|p| first(p).issued_on = year(1), "person.credentials[0].issued_on", DateInvalid),
        (|p| first(p).expires_on = year(1), "person.credentials[0].expires_on", DateInvalid),
        (|p| first(p).status_since = year(1), "person.credentials[0].status_since", DateInvalid),
        (|p| (first(p).issued_on, first(p).expires_on) = (year(2020), year(2020)), VALID.0, VALID.1),
        (|p| (first(p).issued_on, first(p).expires_on) = (year(2020), year(2019)), "person.credentials[0].expires_on", FieldInvalid),
        (|p| (first(p).issued_on, first(p).expires_on) = (None, year(2019)), VALID.0, VALID.1),
        (|p| first(p).status = 0, VALID.0, VALID.1),
        (|p| first(p).status = 4, "person.credentials[0].status", FieldInvalid),
    ]);
}

#[test]
#[rustfmt::skip]
fn electronic_identity() {
    fn account(p: &mut Person) -> &mut EidAccountState { p.eid_account.as_mut().expect("set by the fixture") }
    run(&missing_person(), |p| person(p, "person"), &[
        (|p| p.eid_account = None, VALID.0, VALID.1),
        (|p| account(p).level = 0, "person.eid_account.level", FieldInvalid),
        (|p| account(p).level = 3, "person.eid_account.level", FieldInvalid),
        (|p| account(p).state = 0, "person.eid_account.state", FieldInvalid),
        (|p| account(p).state = 3, "person.eid_account.state", FieldInvalid),
        (|p| account(p).lock_reason = "ễ".repeat(200), VALID.0, VALID.1),
        (|p| account(p).lock_reason = "ễ".repeat(201), "person.eid_account.lock_reason", TooLarge),
        (|p| account(p).state = 1, "person.eid_account.lock_reason", FieldInvalid),
    ]);
}

#[test]
#[rustfmt::skip]
fn provenances() {
    fn first(p: &mut Person) -> &mut Provenance { &mut p.provenance[0] }
    run(&missing_person(), |p| person(p, "person"), &[
        (|p| p.provenance = vec![Provenance::default(); 16], VALID.0, VALID.1),
        (|p| p.provenance = vec![Provenance::default(); 17], "person.provenance", TooLarge),
        (|p| first(p).source_system = "ễ".repeat(35), VALID.0, VALID.1),
        (|p| first(p).source_system = "ễ".repeat(36), "person.provenance[0].source_system", TooLarge),
        (|p| first(p).document = "ễ".repeat(60), VALID.0, VALID.1),
        (|p| first(p).document = "ễ".repeat(61), "person.provenance[0].document", TooLarge),
        (|p| first(p).agency = "ễ".repeat(35), VALID.0, VALID.1),
        (|p| first(p).agency = "ễ".repeat(36), "person.provenance[0].agency", TooLarge),
        (|p| first(p).agency = "a\u{FEFF}".into(), "person.provenance[0].agency", NameCharset),
        (|p| first(p).date = year(1), "person.provenance[0].date", DateInvalid),
        (|p| first(p).fields = (3..=31).collect(), VALID.0, VALID.1),
        // There are 29 fields, so a list within the bound that is longer names one of them twice.
        (|p| first(p).fields = [&(3..=31).collect::<Vec<_>>()[..], &[3, 4, 5]].concat(), "person.provenance[0].fields[29]", FieldInvalid),
        (|p| first(p).fields = vec![3; 33], "person.provenance[0].fields", TooLarge),
        (|p| first(p).fields = vec![3, 0], "person.provenance[0].fields[1]", FieldInvalid),
        (|p| first(p).fields = vec![1], "person.provenance[0].fields[0]", FieldInvalid),
        (|p| first(p).fields = vec![32], "person.provenance[0].fields[0]", FieldInvalid),
        (|p| first(p).fields = vec![3, 3], "person.provenance[0].fields[1]", FieldInvalid),
    ]);
}

#[test]
#[rustfmt::skip]
fn status_of_the_record() {
    run(&missing_person(), |p| person(p, "person"), &[
        (|p| p.person_status = 2, VALID.0, VALID.1),
        (|p| p.person_status = 4, "person.person_status", FieldInvalid),
        (|p| p.person_status = 3, "person.merged_into", FieldInvalid),
        (|p| p.merged_into = 7, "person.merged_into", FieldInvalid),
        (|p| (p.person_status, p.merged_into) = (3, 7), VALID.0, VALID.1),
    ]);
}

#[test]
fn nobody_is_born_in_the_future() {
    // Noon of 31 December 2030 in UTC, which is the evening of that day in Viet Nam.
    let now = 1_924_948_800_000;
    let of = |year, month, day, now| outcome(born_by(Some(&PartialDate { year, month, day }), now));
    let future = ("person.birth_date".to_owned(), DateInvalid);
    for (date, is_future) in [
        ((2030, 12, 31), false),
        ((2031, 1, 1), false),
        ((2031, 1, 2), true),
        ((2031, 1, 0), false),
        ((2031, 2, 0), true),
        ((2031, 0, 0), false),
        ((2032, 0, 0), true),
    ] {
        let found = of(date.0, date.1, date.2, now);
        assert_eq!(found == future, is_future, "{date:?}: {found:?}");
    }
    // A clock that was never set.
    assert_eq!(of(2031, 1, 2, 0).1, Unspecified);
    assert_eq!(of(2025, 1, 3, FIRST_LOG_MS - 1).1, Unspecified);
    assert_eq!(of(2025, 1, 3, FIRST_LOG_MS), future);
    assert_eq!(outcome(born_by(None, now)).1, Unspecified);
}

/// A person with something wrong in each part.
fn wrong_everywhere() -> Person {
    let text = |text: &str| vec![text.to_owned()];
    Person {
        other_names: text("1"),
        personal_id: "001290000001".to_owned(),
        cancelled_personal_ids: text("1"),
        birth_date: Some(PartialDate { year: 2021, month: 13, day: 0 }),
        old_id_numbers: text("1"),
        birth_place: Some(Address::default()),
        nationalities: text("v"),
        residence_file_no: "H1".to_owned(),
        household_role: HouseholdRole::Head.into(),
        relations: vec![RelatedPerson {
            person_uid: 7,
            kind: RelationKind::Spouse.into(),
            ..Default::default()
        }],
        ethnicity: "99".to_owned(),
        phone_numbers: text("1"),
        credentials: vec![Credential::default()],
        eid_account: Some(EidAccountState::default()),
        person_status: PersonStatus::Merged.into(),
        ..Person::default()
    }
}

/// A record in the place of another one is held to the same rules, though not all of it is looked at: two fields of each
/// pair come from elsewhere, and what is said of the whole record must be said of the change.
#[test]
fn what_changed_is_judged_as_the_whole_record_is() {
    type Copy = fn(&mut Person, &Person);
    /// One copy for each field.
    macro_rules! copies {
        ($($field:ident),+ $(,)?) => { [$((|to, from| to.$field.clone_from(&from.$field)) as Copy),+] };
    }
    let copies = copies![
        birth_name,
        other_names,
        personal_id,
        cancelled_personal_ids,
        birth_date,
        gender,
        birth_place,
        birth_registration_place,
        place_of_origin,
        old_id_numbers,
        permanent_residence,
        current_residence,
        nationalities,
        physical_status,
        ethnicity,
        ethnicity_name,
        religion,
        blood_type,
        relations,
        temporary_residences,
        absence,
        residence_file_no,
        household_role,
        marital_status,
        phone_numbers,
        email_addresses,
        extensions,
        credentials,
        eid_account,
        provenance,
        person_status,
        merged_into,
    ];
    let bad = wrong_everywhere();
    let full = crate::domain::fixtures::full_person();
    let (mut refused, mut taken) = (0, 0);
    for before in [&full, &missing_person()] {
        assert_eq!(person(before, "person"), Ok(()));
        for from in [&full, &missing_person(), &Person::default(), &bad] {
            for (i, one) in copies.iter().enumerate() {
                for other in &copies[i..] {
                    let mut after = before.clone();
                    one(&mut after, from);
                    other(&mut after, from);
                    let whole = person(&after, "person");
                    assert_eq!(person_after(Some(before), &after, "person"), whole);
                    *(if whole.is_ok() { &mut taken } else { &mut refused }) += 1;
                }
            }
        }
    }
    assert!(refused > 500 && taken > 500, "{refused} refused, {taken} taken");
}
