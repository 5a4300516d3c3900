//! 100,000 random events against the world of [`crate::domain::population::events`], which knows the rules without any
//! of the code of this folder: each event must end as it foresees, and in the end the register must hold what it holds.

use std::collections::{BTreeMap, BTreeSet};

use super::model::Register;
use super::*;
use crate::domain::fixtures::{context, seed};
use crate::domain::population::events::{Events, Foreseen};
use crate::proto::registry::{HouseholdRole, MaritalStatus, PhysicalStatusKind, RelatedPerson, RelationKind};

const EVENTS: usize = 100_000;
/// How often the invariants are checked over everybody.
const CHECK: usize = 20_000;
/// 1 June 2026.
const NOW_MS: u64 = 1_780_272_000_000;

#[test]
fn events_end_as_foreseen_and_leave_what_is_foreseen() {
    let seed = seed("random_events");
    let mut register = Register::default();
    register.counters.time_ms = NOW_MS;
    let mut events = Events::new(seed);
    let (mut applied, mut refused) = (0, BTreeMap::<&str, usize>::new());
    for n in 1..=EVENTS {
        let foreseen = events.next().expect("events have no end");
        match outcome(&mut register, seed, n, &foreseen) {
            Ok(()) => applied += 1,
            Err(reason) => *refused.entry(reason.as_str_name()).or_default() += 1,
        }
        if n % CHECK == 0 {
            check(&register);
        }
    }
    assert_eq!(register.counters.persons, events.world().people());
    for row in register.persons.values() {
        events.world().compare(row.person.as_ref().expect("a row has a person")).expect("as foreseen");
    }
    println!("{applied} applied to {} people, refused: {refused:?}", register.counters.persons);
    assert!(applied > EVENTS * 6 / 10, "most events are possible");
    assert!(refused.len() > 4, "and some of them for every kind of reason are not");
}

/// Applies an event; an outcome that was not foreseen fails the test.
fn outcome(register: &mut Register, seed: u64, n: usize, foreseen: &Foreseen) -> Result<(), ErrorReason> {
    let op = Op::Write(foreseen.write.clone());
    let entropy = [&seed.to_be_bytes()[..], &(n as u64).to_be_bytes()].concat().into();
    let command = Command { context: Some(context()), op: Some(op), entropy, licensed: false };
    let Ok(decision) = decide(register, register.counters, &command);
    register.execute(&decision);
    let Some(reply::Reply::Write(outcome)) = decision.reply.reply else {
        panic!("event {n}: not a write's reply")
    };
    match (outcome.outcome.expect("a write has an outcome"), &foreseen.outcome) {
        (Outcome::Written(written), Some(expected)) => {
            assert_eq!(written.person_uid, expected.person_uid, "event {n}");
            assert_eq!(written.others, expected.others, "event {n}: {:?}", foreseen.write);
            assert_eq!(written.changed, expected.changed, "event {n}: {:?}", foreseen.write);
            let held = &register.persons[&written.person_uid].person;
            assert_eq!(Some(written.record_revision), held.as_ref().map(|p| p.record_revision), "event {n}");
            Ok(())
        }
        (Outcome::Rejected(rejection), None) => Err(rejection.reason()),
        (found, expected) => {
            panic!("event {n}: foreseen {expected:?}, found {found:?} for {:?}", foreseen.write)
        }
    }
}

/// What must be true of the records alone, whatever happened.
fn check(register: &Register) {
    let mut numbers = BTreeSet::new();
    let mut credentials = BTreeSet::new();
    let mut heads = BTreeSet::new();
    let mut neighbours = BTreeSet::new();
    for row in register.persons.values() {
        let person = row.person.as_ref().expect("a row has a person");
        let uid = person.uid;
        for number in Some(&person.personal_id)
            .filter(|n| !n.is_empty())
            .into_iter()
            .chain(&person.cancelled_personal_ids)
        {
            assert!(numbers.insert(number), "person {uid}: a personal id is one person's");
            assert_eq!(register.personal_ids[number].person_uid, uid, "and leads to them");
        }
        for credential in &person.credentials {
            assert!(
                credentials.insert((credential.r#type, &credential.number)),
                "person {uid}: so is a credential"
            );
        }
        let aliases = aliases_of(person);
        for alias in aliases.iter().chain(&neighbours) {
            assert_eq!(leads_to(alias, person), aliases.contains(alias), "person {uid}: {alias:?}");
        }
        neighbours.clone_from(&aliases);
        for alias in aliases {
            assert!(
                register.holders.contains(&(alias, uid)),
                "person {uid}: every number leads to its person"
            );
        }
        let dead = person.physical_status.is_some_and(|s| s.kind() == PhysicalStatusKind::Deceased);
        let spouse = person.relations.iter().find(|r| r.kind() == RelationKind::Spouse);
        assert!(
            !dead || (person.residence_file_no.is_empty() && spouse.is_none()),
            "person {uid}: the dead live nowhere"
        );
        assert!(spouse.is_none() || person.marital_status() == MaritalStatus::Married, "person {uid}");
        if person.household_role() == HouseholdRole::Head {
            assert!(heads.insert(&person.residence_file_no), "person {uid}: a household has one head");
        }
        for relation in &person.relations {
            let other = register.persons[&relation.person_uid].person.as_ref().expect("a row has a person");
            assert!(
                other.relations.iter().any(|back| answers(relation, back, uid)),
                "person {uid}: links are symmetric"
            );
        }
    }
    let led_to: usize =
        register.persons.values().map(|row| aliases_of(row.person.as_ref().expect("a person")).len()).sum();
    assert_eq!(led_to, register.holders.len(), "no number leads to anybody else");
    assert_eq!(numbers.len(), register.personal_ids.len());
}

/// Whether a relation is the other side of one that stands in the record of `uid`.
fn answers(relation: &RelatedPerson, back: &RelatedPerson, uid: u64) -> bool {
    use RelationKind::{Child, Father, Mother, Spouse};
    let fits = match relation.kind() {
        Spouse => back.kind() == Spouse,
        Child => matches!(back.kind(), Father | Mother),
        Father | Mother => back.kind() == Child,
        _ => false,
    };
    fits && back.person_uid == uid
}
