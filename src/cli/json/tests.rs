//! The JSON form of a person goes there and back without loss, and refuses what it does not know.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn date() -> impl Strategy<Value = Date> {
    prop_oneof![
        (1800u32..2400).prop_map(|year| Date { year, month: 0, day: 0 }),
        (1800u32..2400, 1u32..13).prop_map(|(year, month)| Date { year, month, day: 0 }),
        (1800u32..2400, 1u32..13, 1u32..32).prop_map(|(year, month, day)| Date { year, month, day }),
    ]
}

fn address() -> impl Strategy<Value = Address> {
    let edition = option::of(prop_oneof![Just(UnitEdition::V63), Just(UnitEdition::V34)]);
    ("[0-9]{0,5}", edition, ".{0,20}", "[A-Z]{0,2}").prop_map(|(unit_code, unit_edition, detail, country)| {
        Address { unit_code, unit_edition, detail, country }
    })
}

fn status() -> impl Strategy<Value = PhysicalStatus> {
    use PhysicalStatusKind::{Alive, Deceased, Missing};
    (prop_oneof![Just(Alive), Just(Deceased), Just(Missing)], option::of(date()))
        .prop_map(|(kind, since)| PhysicalStatus { kind, since })
}

fn person() -> impl Strategy<Value = Person> {
    let name = (".{0,12}", ".{0,12}", ".{0,12}").prop_map(|(family, middle, given)| PersonName {
        family,
        middle,
        given,
    });
    let gender = prop_oneof![Just(Gender::Male), Just(Gender::Female), Just(Gender::Unknown)];
    let ids = (any::<u64>(), any::<u64>(), "[0-9]{0,12}", vec("[0-9]{12}", 0..3), vec("[0-9]{9}", 0..3));
    let facts = (option::of(name), option::of(date()), option::of(gender), option::of(status()));
    let lists = (vec(".{0,12}", 0..3), vec("[A-Z]{2}", 0..3), vec(option::of(address()), 5));
    (ids, facts, lists).prop_map(|(ids, facts, (other_names, nationalities, mut places))| {
        let mut place = || places.pop().expect("five were made");
        Person {
            uid: ids.0,
            record_revision: ids.1,
            personal_id: ids.2,
            cancelled_personal_ids: ids.3,
            old_id_numbers: ids.4,
            birth_name: facts.0,
            birth_date: facts.1,
            gender: facts.2,
            physical_status: facts.3,
            other_names,
            nationalities,
            birth_place: place(),
            birth_registration_place: place(),
            place_of_origin: place(),
            permanent_residence: place(),
            current_residence: place(),
        }
    })
}

proptest! {
    #[test]
    fn json_and_back(person in person()) {
        let text = serde_json::to_string(&person).unwrap();
        let back: Person = serde_json::from_str(&text).unwrap();
        prop_assert!(back == person, "{text}");
    }

    #[test]
    fn proto_and_back(person in person()) {
        let there = proto::Person::from(person.clone());
        prop_assert!(Person::from(there) == person);
    }
}

#[test]
fn the_form_is_the_documented_one() {
    let text = r#"{"birth_name":{"family":"Nguyễn","middle":"Thị","given":"Thúy"},"personal_id":"001190000001",
        "birth_date":"1990-05","gender":"female","permanent_residence":{"unit_code":"01","unit_edition":"v34"},
        "physical_status":{"kind":"alive"}}"#;
    let person = proto::Person::from(serde_json::from_str::<Person>(text).unwrap());
    assert_eq!(person.gender, proto::Gender::Female as i32);
    assert_eq!(person.birth_date.as_ref().map(|d| (d.year, d.month, d.day)), Some((1990, 5, 0)));
    assert_eq!(person.permanent_residence.unwrap().unit_edition, proto::UnitEdition::V34 as i32);
}

#[test]
fn what_it_does_not_know_is_refused() {
    for bad in [
        r#"{"personalid":"001190000001"}"#,
        r#"{"birth_name":{"first":"Thúy"}}"#,
        r#"{"gender":"f"}"#,
        r#"{"birth_date":"17/05/1990"}"#,
        r#"{"birth_date":"1990-5-17"}"#,
        r#"{"birth_date":"1990-00-17"}"#,
        r#"{"birth_date":1990}"#,
        r#"{"current_residence":{"unit_edition":"v35"}}"#,
    ] {
        assert!(serde_json::from_str::<Person>(bad).is_err(), "accepted {bad}");
    }
}
