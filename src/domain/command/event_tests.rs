//! Corners of events and merges, each as a short story: what `random_events.rs` does not come to by chance.

use super::model::Register;
use super::tests::{applied, create, patch, record, refused, update};
use super::*;
use crate::domain::fixtures::{context, plain_person};
use crate::domain::validate::{BATCH_ROW_BYTES, PROVENANCES};
use crate::proto::registry::event::Event as Life;
use crate::proto::registry::person_key::Key;
use crate::proto::registry::write::Write as Kind;
use crate::proto::registry::{
    Atomicity, Birth, BloodType, Correction, Divorce, EidAccountState, EidLevel, EidState, Event, Gender,
    Marriage, MergePersons, PartialDate, Person, PersonKey, PersonName, PersonStatus, PhysicalStatus,
    PhysicalStatusKind, Provenance, RelatedPerson, RelationKind, SetPersonStatus, Write,
};
use ErrorReason::{EventConflict, FieldInvalid, TooLarge};

const TODAY: PartialDate = PartialDate { year: 2026, month: 6, day: 15 };

/// A write without the invariants of [`Register::run`], which know no merges.
fn run(register: &mut Register, write: Kind) -> WriteOutcome {
    let op = Op::Write(Write { write: Some(write) });
    let command = Command {
        context: Some(context()),
        op: Some(op),
        entropy: vec![7; ENTROPY_BYTES].into(),
        licensed: false,
    };
    let Ok(decision) = decide(register, register.counters, &command);
    register.execute(&decision);
    match decision.reply.reply {
        Some(reply::Reply::Write(outcome)) => outcome,
        other => panic!("a write was answered with {other:?}"),
    }
}

fn event(life: Life) -> Kind {
    Kind::Event(Event { event: Some(life), source: None })
}

fn key(uid: u64) -> Option<PersonKey> {
    Some(PersonKey { key: Some(Key::PersonUid(uid)) })
}

fn merge(survivor: u64, duplicate: u64) -> Kind {
    Kind::Merge(MergePersons { survivor: key(survivor), duplicate: key(duplicate) })
}

fn of(gender: Gender, year: u32) -> Person {
    let birth_date = Some(PartialDate { year, month: 0, day: 0 });
    Person { gender: gender.into(), birth_date, ..plain_person("Lan", "") }
}

/// A register of these people, from uid 1.
fn register(people: impl IntoIterator<Item = Person>) -> Register {
    let mut register = Register::default();
    for person in people {
        applied(&register.write(create(person)));
    }
    register
}

fn married(man: u32, woman: u32) -> Register {
    let mut r = register([of(Gender::Male, man), of(Gender::Female, woman)]);
    let marriage = Marriage { one: key(1), other: key(2), unregistered: None, on: Some(TODAY) };
    applied(&run(&mut r, event(Life::Marriage(marriage))));
    r
}

#[test]
fn the_oldest_source_makes_way_and_stops_no_event() {
    let mut r = register([plain_person("Lan", "")]);
    for n in 0..=PROVENANCES {
        let name =
            PersonName {
                family: "Trần".into(), middle: String::new(), given: ["Lan", "Mai"][n % 2].into()
            };
        let correction = Correction { person: key(1), birth_name: Some(name), ..Correction::default() };
        let source = Some(Provenance { document: format!("{n}/2026"), ..Provenance::default() });
        let other_name = n % 2 == 1 || n > 0;
        let outcome = run(&mut r, Kind::Event(Event { event: Some(Life::Correction(correction)), source }));
        assert_eq!(applied(&outcome).2, other_name, "{n}");
    }
    let sources = record(&r, 1).provenance;
    assert_eq!(sources.len(), PROVENANCES);
    assert_eq!((sources[0].document.as_str(), sources[15].document.as_str()), ("1/2026", "16/2026"));
}

#[test]
fn a_small_batch_that_changes_much_has_a_bound() {
    let represented = |n: usize| RelatedPerson {
        kind: RelationKind::Represented.into(),
        name: format!("{}{n}", "Ạ".repeat(290)).replace(char::is_numeric, "a"),
        ..RelatedPerson::default()
    };
    let with = |count| Person { relations: (0..count).map(represented).collect(), ..plain_person("Lan", "") };
    let mut r = register([with(30)]);
    assert_eq!(refused(&r.write(create(with(40)))), (TooLarge, "person"));
    let blood = |blood: BloodType| {
        patch(Key::PersonUid(1), &["blood_type"], Person { blood_type: blood.into(), ..Person::default() }, 0)
    };
    let writes: Vec<Write> =
        (0..500).map(|n| blood(if n % 2 == 0 { BloodType::A } else { BloodType::B })).collect();
    let outcomes = r.writes(&writes, Atomicity::Each);
    let written = outcomes.iter().filter(|o| matches!(o.outcome, Some(Outcome::Written(_)))).count();
    let size = prost::Message::encoded_len(&record(&r, 1)) * 2;
    assert!(
        written * size > BATCH_ROW_BYTES && (written - 2) * size < BATCH_ROW_BYTES,
        "{written} of {size} bytes"
    );
    assert_eq!(refused(&outcomes[written]), (TooLarge, ""));
    // What was left out may be asked for again.
    assert!(applied(&r.writes(&writes[written..=written], Atomicity::Each)[0]).1 > 0);
}

#[test]
fn the_revision_answered_is_that_of_the_person_named() {
    let mut r = register([of(Gender::Male, 1990), of(Gender::Male, 1990)]);
    let outcome = run(&mut r, merge(1, 2));
    // The duplicate brought nothing, so the survivor stays as it was.
    assert_eq!(applied(&outcome), (1, 1, true));
    assert_eq!((record(&r, 1).record_revision, record(&r, 2).record_revision), (1, 3));
}

#[test]
fn numbers_taken_over_stay_in_the_order_in_which_they_ended() {
    let [a, b, c] = ["001090000001", "001090000002", "001090000003"];
    let duplicate = Person { cancelled_personal_ids: vec![a.into()], ..plain_person("Lan", b) };
    let mut r = register([plain_person("Lan", c), duplicate]);
    applied(&run(&mut r, merge(1, 2)));
    assert_eq!(record(&r, 1).cancelled_personal_ids, [a, b]);
}

#[test]
fn the_dead_have_no_account_that_may_be_used_and_nobody_dies_in_the_future() {
    let mut r = register([]);
    r.counters.time_ms = 1_780_272_000_000;
    let dead = |year, state: EidState| {
        let since = Some(PartialDate { year, month: 0, day: 0 });
        let status = PhysicalStatus { kind: PhysicalStatusKind::Deceased.into(), since };
        let account =
            EidAccountState { level: EidLevel::EidLevel1.into(), state: state.into(), ..Default::default() };
        create(Person {
            physical_status: Some(status),
            eid_account: Some(account),
            ..plain_person("Lan", "")
        })
    };
    let unlocked = r.write(dead(2020, EidState::Unlocked));
    assert_eq!(refused(&unlocked), (FieldInvalid, "person.eid_account.state"));
    let future = r.write(dead(2030, EidState::Locked));
    assert_eq!(refused(&future), (ErrorReason::DateInvalid, "person.physical_status.since"));
    assert_eq!(applied(&r.write(dead(2020, EidState::Locked))), (1, 1, true));
}

#[test]
fn a_marriage_ends_also_when_the_spouse_is_out_of_use() {
    let mut r = married(1990, 1990);
    let status = PersonStatus::Inactive.into();
    applied(&run(&mut r, Kind::SetStatus(SetPersonStatus { key: key(2), status })));
    let divorce = Divorce { one: key(1), other: key(2), on: Some(TODAY) };
    assert!(applied(&run(&mut r, event(Life::Divorce(divorce)))).2);
    assert!(record(&r, 1).relations.is_empty() && record(&r, 2).relations.is_empty());
}

#[test]
fn a_merge_makes_nobody_father_and_mother_of_one_person() {
    let mut r = register([of(Gender::Unknown, 1960)]);
    let child = |mother, father| {
        let child = Some(of(Gender::Male, 1990));
        event(Life::Birth(Birth { child, new_personal_id: None, mother, father }))
    };
    applied(&run(&mut r, child(key(1), None)));
    applied(&run(&mut r, child(None, key(1))));
    assert_eq!(refused(&run(&mut r, merge(2, 3))), (EventConflict, "duplicate"));
}

#[test]
fn an_update_that_leaves_the_links_out_changes_nothing_by_it() {
    let mut r = married(1990, 1990);
    let stated =
        RelatedPerson { kind: RelationKind::Mother.into(), name: "Mai".into(), ..RelatedPerson::default() };
    let mut person = record(&r, 1);
    person.relations.insert(0, stated);
    assert!(applied(&r.write(update(Key::PersonUid(1), person.clone(), 0))).2);
    person.relations.truncate(1);
    assert!(!applied(&r.write(update(Key::PersonUid(1), person, 0))).2);
    assert_eq!(record(&r, 1).relations.len(), 2);
}
