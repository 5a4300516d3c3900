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

/// A list of up to three.
fn some<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    vec(of, 0..3)
}

/// Any word of an enum, or none.
fn word<T: clap::ValueEnum + std::fmt::Debug + 'static>() -> impl Strategy<Value = Option<T>> {
    option::of(prop::sample::select(T::value_variants().to_vec()))
}

fn status() -> impl Strategy<Value = PhysicalStatus> {
    (word(), option::of(date())).prop_map(|(kind, since)| PhysicalStatus { kind, since })
}

fn relation() -> impl Strategy<Value = RelatedPerson> {
    (word(), any::<u64>(), ".{0,12}", "[0-9]{0,12}", "[0-9]{0,9}", "[A-Z]{0,2}").prop_map(
        |(kind, person_uid, name, personal_id, old_id_number, nationality)| RelatedPerson {
            kind,
            person_uid,
            name,
            personal_id,
            old_id_number,
            nationality,
        },
    )
}

fn residence() -> impl Strategy<Value = TemporaryResidence> {
    (option::of(address()), option::of(date()), option::of(date()))
        .prop_map(|(address, since, until)| TemporaryResidence { address, since, until })
}

fn extension() -> impl Strategy<Value = Extension> {
    let value = prop_oneof![
        ".{0,12}".prop_map(ExtensionValue::Text),
        any::<i64>().prop_map(ExtensionValue::Number),
        date().prop_map(ExtensionValue::Date),
        any::<bool>().prop_map(ExtensionValue::Flag),
    ];
    (".{0,12}", option::of(value)).prop_map(|(name, value)| Extension { name, value })
}

fn credential() -> impl Strategy<Value = Credential> {
    (word(), word(), vec(option::of(date()), 3), vec(".{0,12}", 6)).prop_map(
        |(r#type, status, dates, texts)| {
            let mut texts = texts.into_iter();
            let mut text = || texts.next().expect("six were made");
            Credential {
                r#type,
                number: text(),
                credential_class: text(),
                issuing_authority: text(),
                issuing_place: text(),
                issued_on: dates[0],
                expires_on: dates[1],
                status,
                status_since: dates[2],
                source_system: text(),
                source_revision: text(),
            }
        },
    )
}

fn provenance() -> impl Strategy<Value = Provenance> {
    let field = (3i32..=31).prop_map(form::Form::from_proto);
    (".{0,12}", ".{0,12}", ".{0,12}", option::of(date()), some(field)).prop_map(
        |(source_system, document, agency, date, fields)| Provenance {
            source_system,
            document,
            agency,
            date,
            fields,
        },
    )
}

prop_compose! {
    fn name()(family in ".{0,12}", middle in ".{0,12}", given in ".{0,12}") -> PersonName {
        PersonName { family, middle, given }
    }
}

prop_compose! {
    fn account()(level in word(), state in word(), lock_reason in ".{0,12}") -> EidAccount {
        EidAccount { level, state, lock_reason }
    }
}

/// What is known of a person from birth on.
fn born() -> impl Strategy<Value = Person> {
    let ids = (any::<u64>(), any::<u64>(), "[0-9]{0,12}", some("[0-9]{12}"), some("[0-9]{9}"));
    let facts = (option::of(name()), option::of(date()), word(), option::of(status()));
    let lists = (some(".{0,12}"), some("[A-Z]{2}"), vec(option::of(address()), 5));
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
            ..Person::default()
        }
    })
}

/// A person with every field.
fn person() -> impl Strategy<Value = Person> {
    let words = (word(), word(), word(), word());
    let texts = ("[0-9]{0,2}", ".{0,12}", "[0-9]{0,2}", "[A-Z]{0,9}", some("[0-9]{9}"), some("[a-z@]{9}"));
    let lists =
        (some(relation()), some(residence()), some(extension()), some(credential()), some(provenance()));
    let absence = (option::of(date()), option::of(date()));
    let others = (option::of(absence), option::of(account()), any::<u64>());
    (born(), words, texts, lists, others).prop_map(|(born, words, texts, lists, others)| Person {
        blood_type: words.0,
        household_role: words.1,
        marital_status: words.2,
        person_status: words.3,
        ethnicity: texts.0,
        ethnicity_name: texts.1,
        religion: texts.2,
        residence_file_no: texts.3,
        phone_numbers: texts.4,
        email_addresses: texts.5,
        relations: lists.0,
        temporary_residences: lists.1,
        extensions: lists.2,
        credentials: lists.3,
        provenance: lists.4,
        absence: others.0.map(|(since, until)| AbsenceDeclaration { since, until }),
        eid_account: others.1,
        merged_into: others.2,
        ..born
    })
}

fn key() -> impl Strategy<Value = Option<PersonKey>> {
    let credential = (word(), ".{0,12}").prop_map(|(r#type, number)| CredentialKey { r#type, number });
    option::of(prop_oneof![
        any::<u64>().prop_map(PersonKey::PersonUid),
        ".{0,12}".prop_map(PersonKey::PersonalId),
        ".{0,9}".prop_map(PersonKey::OldIdNumber),
        credential.prop_map(PersonKey::Credential),
    ])
}

fn new_id() -> impl Strategy<Value = Option<NewPersonalId>> {
    option::of("[0-9]{0,3}".prop_map(|place_code| NewPersonalId { place_code }))
}

/// An event of any kind, with every field.
fn event() -> impl Strategy<Value = Event> {
    let day = || option::of(date());
    let birth = (option::of(person().boxed()), new_id(), key(), key()).prop_map(
        |(child, new_personal_id, mother, father)| Event {
            birth: Some(Birth { child, new_personal_id, mother, father }),
            ..Event::default()
        },
    );
    let death = (key(), day(), any::<bool>()).prop_map(|(person, on, missing)| Event {
        death: Some(Death { person, on, missing }),
        ..Event::default()
    });
    let marriage =
        (key(), key(), option::of(relation()), day()).prop_map(|(one, other, unregistered, on)| Event {
            marriage: Some(Marriage { one, other, unregistered, on }),
            ..Event::default()
        });
    let divorce = (key(), key(), day())
        .prop_map(|(one, other, on)| Event { divorce: Some(Divorce { one, other, on }), ..Event::default() });
    let mover = (key(), word()).prop_map(|(person, household_role)| Mover { person, household_role });
    let r#move = (some(mover), option::of(address()), word(), "[A-Z]{0,9}", day(), day()).prop_map(
        |(movers, to, kind, residence_file_no, since, until)| {
            let r#move = Some(Move { movers, to, kind, residence_file_no, since, until });
            Event { r#move, ..Event::default() }
        },
    );
    let correction = (key(), option::of(name()), word(), day(), new_id(), "[0-9]{0,12}").prop_map(
        |(person, birth_name, gender, birth_date, new_personal_id, personal_id)| {
            let correction =
                Correction { person, birth_name, gender, birth_date, new_personal_id, personal_id };
            Event { correction: Some(correction), ..Event::default() }
        },
    );
    let adoption =
        (key(), key(), key(), option::of(name())).prop_map(|(child, mother, father, birth_name)| Event {
            adoption: Some(Adoption { child, mother, father, birth_name }),
            ..Event::default()
        });
    let kinds = prop_oneof![
        birth.boxed(),
        death.boxed(),
        marriage.boxed(),
        divorce.boxed(),
        r#move.boxed(),
        correction.boxed(),
        adoption.boxed()
    ];
    (kinds, option::of(provenance())).prop_map(|(event, source)| Event { source, ..event })
}

proptest! {
    #![proptest_config(crate::domain::fixtures::random_cases("cli::json"))]

    #[test]
    fn an_event_there_and_back(event in event()) {
        let text = serde_json::to_vec(&event).unwrap();
        let back: Event = read(&text).unwrap();
        prop_assert!(back == event);
        let there = proto::Event::try_from(event.clone()).unwrap();
        prop_assert!(Event::from(there) == event);
    }

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
fn all_text_is_normalised() {
    // NFD wherever there is room for text; a name for each, so that no two are alike.
    let text = r#"{"birth_name":{"family":"e\u0301","middle":"e\u0301","given":"e\u0301"},"other_names":["e\u0301"],
        "birth_place":{"detail":"e\u0301"},"birth_registration_place":{"detail":"e\u0301"},
        "place_of_origin":{"detail":"e\u0301"},"permanent_residence":{"detail":"e\u0301"},
        "current_residence":{"detail":"e\u0301"},"ethnicity_name":"e\u0301","relations":[{"name":"e\u0301"}],
        "temporary_residences":[{"address":{"detail":"e\u0301"}}],
        "extensions":[{"name":"x","value":{"text":"e\u0301"}},{"name":"y","value":{"number":1}}],
        "credentials":[{"issuing_authority":"e\u0301","issuing_place":"e\u0301"}],
        "eid_account":{"lock_reason":"e\u0301"},"provenance":[{"document":"e\u0301","agency":"e\u0301"}]}"#;
    let mut person: Person = serde_json::from_str(text).unwrap();
    let composed: Person = serde_json::from_str(&text.replace("e\\u0301", "é")).unwrap();
    assert!(person.normalise());
    assert_eq!(person, composed);
    assert!(!person.normalise(), "it was normal already");
}

#[test]
fn a_link_and_a_whole_paper_read_well() {
    let person = proto::Person {
        relations: vec![proto::RelatedPerson { kind: 3, person_uid: 7, ..Default::default() }],
        credentials: vec![proto::Credential { r#type: 7, number: "790".into(), ..Default::default() }],
        eid_account: Some(proto::EidAccountState { level: 2, state: 1, lock_reason: String::new() }),
        provenance: vec![proto::Provenance {
            agency: "G01".into(),
            fields: vec![3, 7, 99],
            ..Default::default()
        }],
        ..proto::Person::default()
    };
    let text = serde_json::to_string(&Person::from(person)).unwrap();
    let expected = concat!(
        r#"{"relations":[{"kind":"spouse","person_uid":7}],"credentials":[{"type":"driving_licence","number":"790"}],"#,
        r#""eid_account":{"level":"2","state":"unlocked"},"#,
        r#""provenance":[{"agency":"G01","fields":["birth_name","birth_date",99]}]}"#
    );
    assert_eq!(text, expected);
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
        r#"{"provenance":[{"fields":["Gender"]}]}"#,
        r#"{"provenance":[{"fields":["unspecified"]}]}"#,
        r#"{"extensions":[{"name":"x","value":{"text":"a","flag":true}}]}"#,
        r#"{"extensions":[{"name":"x","text":"a"}]}"#,
        r#"{"credentials":[{"type":"license"}]}"#,
        r#"{"eid_account":{"level":2}}"#,
        r#"{"relations":[{"kind":"wife"}]}"#,
    ] {
        assert!(serde_json::from_str::<Person>(bad).is_err(), "accepted {bad}");
    }
}

#[test]
fn what_is_wrong_is_named_by_field_and_never_quoted() {
    #[rustfmt::skip]
    let cases = [
        (r#"{"shoe_size":38}"#, "shoe_size", "FIELD_INVALID", "no such field"),
        (r#"{"birth_name":{"first":"Thúy"}}"#, "birth_name.first", "FIELD_INVALID", "no such field"),
        (r#"{"birth_name":"Thúy, expected "}"#, "birth_name", "FIELD_INVALID", "expected struct PersonName"),
        (r#"{"birth_name":{"given":7}}"#, "birth_name.given", "FIELD_INVALID", "expected a string"),
        (r#"{"gender":"Thúy, expected `x`"}"#, "gender", "FIELD_INVALID", "expected one of `male`, `female`, `unknown`"),
        (r#"{"birth_date":"Thúy"}"#, "birth_date", "DATE_INVALID", "YYYY-MM-DD"),
        (r#"{"credentials":[{},{"issued_on":"17/05/1990"}]}"#, "credentials[1].issued_on", "DATE_INVALID", "YYYY"),
        (r#"{"old_id_numbers":["1",{"Thúy":1}]}"#, "old_id_numbers[1]", "FIELD_INVALID", "expected a string"),
        (r#"{"provenance":[{"fields":["Thúy"]}]}"#, "provenance[0].fields[0]", "FIELD_INVALID", "the name of a field"),
        (r#"{"extensions":[{"value":{"flag":"Thúy"}}]}"#, "extensions[0].value.flag", "FIELD_INVALID", "a boolean"),
        (r#"{"gender":"male","gender":"male"}"#, "", "FIELD_INVALID", "duplicate field `gender`"),
        (r#"{"gender":"male"} Thúy"#, "", "FIELD_INVALID", "not JSON: trailing characters, line 1, column 19"),
        (r#"{"ethnicity_name":"Thúy"#, "ethnicity_name", "FIELD_INVALID", "not JSON: EOF"),
        ("{\"ethnicity_name\":\"Thúy\u{7}\"}", "ethnicity_name", "FIELD_INVALID", "not JSON: control character"),
        ("Thúy", "", "FIELD_INVALID", "not JSON"),
        ("7", "", "FIELD_INVALID", "expected struct Person"),
    ];
    for (text, field, reason, detail) in cases {
        let Err(found) = read::<Person>(text.as_bytes()) else { panic!("accepted {text}") };
        assert_eq!(
            (found.field.as_str(), reason),
            (field, crate::domain::error::reason_name(found.reason())),
            "{text}"
        );
        assert!(found.detail.contains(detail) && !found.detail.contains("Thúy"), "{text}: {}", found.detail);
    }
}

#[test]
fn null_says_nothing() {
    let text = r#"{"gender":null,"old_id_numbers":null,"personal_id":null,"birth_name":null,"uid":null}"#;
    assert!(read::<Person>(text.as_bytes()).is_ok_and(|person| person == Person::default()));
}

#[test]
fn an_event_is_one() {
    for bad in ["{}", r#"{"source":{}}"#, r#"{"death":{},"divorce":{}}"#, r#"{"death":null}"#] {
        assert!(
            read::<Event>(bad.as_bytes()).is_ok_and(|event| proto::Event::try_from(event).is_err()),
            "{bad}"
        );
    }
    for bad in [r#"{"die":{}}"#, r#"{"death":{"person":{"uid":1}}}"#, r#"{"death":{"person":{}}}"#] {
        assert!(read::<Event>(bad.as_bytes()).is_err(), "{bad}");
    }
    let two = r#"{"death":{"person":{"person_uid":1,"personal_id":"1"}}}"#;
    assert!(read::<Event>(two.as_bytes()).is_err());
}

#[test]
fn fields_are_known_by_path() {
    #[rustfmt::skip]
    let cases = [
        ("personal_id", Some(Kind::Text)), ("uid", Some(Kind::Number)), ("birth_date", Some(Kind::Date)),
        ("gender", Some(Kind::Word)), ("old_id_numbers", Some(Kind::List)), ("birth_name", Some(Kind::Part)),
        ("birth_name.given", Some(Kind::Text)), ("birth_place.unit_edition", Some(Kind::Word)),
        ("relations[0].name", Some(Kind::Text)), ("credentials[12].type", Some(Kind::Word)),
        ("temporary_residences[0].address.detail", Some(Kind::Text)), ("extensions[0].value.flag", Some(Kind::Flag)),
        ("provenance[0].fields", Some(Kind::List)), ("relations[0]", Some(Kind::Part)), ("old_id_numbers[0]", Some(Kind::Text)),
        ("relations", None), ("relations.name", None), ("relations[x].name", None), ("relations[0", None),
        ("relations[0]name", None), ("relations[0]..name", None), ("relations[+1].name", None), ("relations[01].name", None),
        ("birth_date.year", None), ("birth_name.first", None), ("shoe_size", None), ("gender[0]", None),
    ];
    for (path, kind) in cases {
        assert_eq!(Person::kind_at(path), kind, "{path}");
    }
}
