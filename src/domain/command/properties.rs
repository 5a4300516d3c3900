//! Random commands against the register in memory, whose invariants `model.rs` checks after each, and against the
//! rules written down a second time.
//!
//! A failed property prints the command that repeats it, with its seed: `PROPTEST_RNG_SEED=<seed> cargo test
//! --release --lib domain::command::properties`. People print as nothing but their uid, in tests too.

use proptest::prelude::*;

use super::model::Register;
use super::tests::{applied, create, import, patch, record, refused, update};
use super::*;
use crate::domain::fixtures::{context, plain_person};
use crate::domain::validate;
use crate::proto::registry::person_key::Key;
use crate::proto::registry::write::Write as Kind;
use crate::proto::registry::{Atomicity, Person, PersonKey, PhysicalStatus, Write};

fn any_id() -> impl Strategy<Value = String> {
    prop_oneof![1 => Just(String::new()), 8 => (0u32..12).prop_map(|n| format!("0010900000{n:02}"))]
}

/// People of a small world, so that they meet: few names, few numbers, some of them invalid.
fn any_person() -> impl Strategy<Value = Person> {
    let old_ids = proptest::collection::vec((0u32..4).prop_map(|n| format!("27145000{n}")), 0..3);
    let cancelled = proptest::collection::vec(any_id(), 0..2);
    let given = prop_oneof![Just("Lan"), Just("Mai"), Just("Nga"), Just("")];
    (given, any_id(), cancelled, old_ids, 0i32..4).prop_map(|(given, id, cancelled, old_ids, kind)| Person {
        cancelled_personal_ids: cancelled,
        old_id_numbers: old_ids,
        physical_status: Some(PhysicalStatus { kind, since: None }),
        ..plain_person(given, &id)
    })
}

fn any_key() -> impl Strategy<Value = PersonKey> {
    let of = |key| PersonKey { key: Some(key) };
    prop_oneof![
        (0u64..8).prop_map(move |uid| of(Key::PersonUid(uid))),
        any_id().prop_map(move |number| of(Key::PersonalId(number))),
        (0u32..4).prop_map(move |n| of(Key::OldIdNumber(format!("27145000{n}")))),
    ]
}

fn any_write() -> impl Strategy<Value = Write> {
    const PATHS: &[&str] = &[
        "birth_name.given",
        "personal_id",
        "cancelled_personal_ids",
        "old_id_numbers",
        "physical_status",
        "uid",
    ];
    let expected = || prop_oneof![3 => Just(0u64), 1 => 0u64..20];
    let paths = proptest::sample::subsequence(PATHS, 0..3);
    prop_oneof![
        2 => any_person().prop_map(create),
        1 => any_person().prop_map(import),
        2 => (any_key(), any_person(), expected()).prop_map(|(k, p, e)| update(way(k), p, e)),
        4 => (any_key(), paths, any_person(), expected()).prop_map(|(k, m, p, e)| patch(way(k), &m, p, e)),
    ]
}

fn any_writes(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Write>> {
    proptest::collection::vec(any_write(), count)
}

proptest! {
    #![proptest_config(crate::domain::fixtures::random_cases("domain::command::properties"))]

    #[test]
    fn a_set_of_each_is_its_writes_one_by_one(before in any_writes(0..12), writes in any_writes(1..8)) {
        let mut together = Register::default();
        for write in before {
            together.write(write);
        }
        let mut apart = together.clone();
        let outcomes = together.writes(&writes, Atomicity::Each);
        let one_by_one: Vec<_> = writes
            .into_iter()
            .map(|write| {
                apart.counters.time_ms = together.counters.time_ms - 1;
                apart.write(write)
            })
            .collect();
        prop_assert_eq!(outcomes, one_by_one);
        prop_assert_eq!(together, apart);
    }

    #[test]
    fn all_or_nothing_is_each_or_nothing(before in any_writes(4..12), writes in any_writes(1..4)) {
        let mut register = Register::default();
        for write in before {
            register.write(write);
        }
        let untouched = register.clone();
        let outcomes = register.writes(&writes, Atomicity::AllOrNothing);
        let was_applied = |outcome: &WriteOutcome| matches!(outcome.outcome, Some(Outcome::Written(_)));
        if outcomes.iter().all(was_applied) {
            let changed = outcomes.iter().any(|outcome| applied(outcome).2);
            prop_assert_eq!(register.counters.revision, untouched.counters.revision + u64::from(changed));
            // Without the numbers of the revisions, it is what the writes make one after the other.
            let mut each = untouched;
            let same = each.writes(&writes, Atomicity::Each);
            prop_assert!(same.iter().all(was_applied));
            prop_assert_eq!(&register.personal_ids, &each.personal_ids);
            prop_assert_eq!(&register.holders, &each.holders);
            for (uid, row) in &register.persons {
                let plain = |row: &PersonRow| Person { record_revision: 0, ..row.person.clone().expect("a person") };
                prop_assert_eq!(plain(row), plain(&each.persons[uid]));
            }
        } else {
            prop_assert_eq!(&register.persons, &untouched.persons);
            let culprits = outcomes.iter().filter(|outcome| refused(outcome).0 != ErrorReason::BatchAborted);
            prop_assert_eq!(culprits.count(), 1);
        }
    }

    #[test]
    fn a_single_write_ends_as_the_rules_say(before in any_writes(0..12), write in any_write()) {
        let mut register = Register::default();
        for other in before {
            register.write(other);
        }
        let model = expectation(&register, &write);
        let before = register.clone();
        let outcome = register.write(write);
        match (model, &outcome.outcome) {
            (Some(uid), Some(Outcome::Written(written))) => prop_assert_eq!(uid, written.person_uid),
            (None, Some(Outcome::Rejected(_))) => prop_assert_eq!(&register.persons, &before.persons),
            (model, found) => prop_assert!(false, "expected {model:?}, found {found:?}"),
        }
    }

    #[test]
    fn an_overlay_shows_what_will_be_written(before in any_writes(0..12), writes in any_writes(1..8)) {
        let mut register = Register::default();
        for write in before {
            register.write(write);
        }
        let base = register.clone();
        let mut overlay = Overlay::new(&base);
        for write in writes {
            let command = Command { context: Some(context()), op: Some(Op::Write(write)), ..Command::default() };
            let Ok(decision) = decide(&overlay, register.counters, &command);
            overlay.apply(&decision.effects);
            register.execute(&decision);
        }
        for uid in 0..25 {
            prop_assert_eq!(overlay.person(uid), register.person(uid));
        }
        for n in 0..12 {
            let number = format!("0010900000{n:02}");
            prop_assert_eq!(overlay.personal_id(&number), register.personal_id(&number));
            let alias = Alias::OldId(format!("27145000{n}"));
            prop_assert_eq!(overlay.holders(&alias, 3), register.holders(&alias, 3));
        }
    }
}

fn way(key: PersonKey) -> Key {
    key.key.expect("every key made here has a way")
}

/// The rules again, in few words and without any of the code they are tested against but `validate`: whom a write
/// ends with, or nobody when it must be rejected.
fn expectation(register: &Register, write: &Write) -> Option<u64> {
    validate::write(write).ok()?;
    let holder = |number: &String| register.personal_ids.get(number).cloned();
    let (key, expected) = match write.write.as_ref()? {
        Kind::Create(c) => {
            let person = c.person.as_ref()?;
            let free = |number: &String| number.is_empty() || holder(number).is_none();
            if free(&person.personal_id) && person.cancelled_personal_ids.iter().all(free) {
                return Some(register.persons.len() as u64 + 1);
            }
            let existing =
                holder(&person.personal_id).filter(|row| c.accept_existing && !row.cancelled)?.person_uid;
            let held = record(register, existing);
            let mut same = Person { uid: held.uid, record_revision: held.record_revision, ..person.clone() };
            same.physical_status = same.physical_status.map(|s| PhysicalStatus { kind: s.kind.max(1), ..s });
            return (held == same).then_some(existing);
        }
        Kind::Update(u) => (u.key.clone()?.key?, u.expected_record_revision),
        Kind::Patch(p) => (p.key.clone()?.key?, p.expected_record_revision),
        _ => return None,
    };
    let holders: Vec<u64> = match key {
        Key::PersonUid(uid) => vec![uid],
        Key::PersonalId(number) => holder(&number).map(|row| row.person_uid).into_iter().collect(),
        Key::OldIdNumber(number) => {
            let Ok(holders) = register.holders(&Alias::OldId(number), usize::MAX);
            holders
        }
        Key::Credential(_) => return None,
    };
    let [uid] = holders[..] else { return None };
    let held = register.persons.get(&uid)?.person.clone()?;
    if expected != 0 && expected != held.record_revision {
        return None;
    }
    let mut after = match write.write.as_ref()? {
        Kind::Update(u) => u.person.clone()?,
        Kind::Patch(p) => {
            let (mut after, from) = (held.clone(), p.person.clone()?);
            for path in &p.update_mask.as_ref()?.paths {
                match path.as_str() {
                    "birth_name.given" => after.birth_name.as_mut()?.given = from.birth_name.clone()?.given,
                    "personal_id" => after.personal_id.clone_from(&from.personal_id),
                    "cancelled_personal_ids" => {
                        after.cancelled_personal_ids.clone_from(&from.cancelled_personal_ids);
                    }
                    "old_id_numbers" => after.old_id_numbers.clone_from(&from.old_id_numbers),
                    _ => after.physical_status = from.physical_status,
                }
            }
            after
        }
        _ => return None,
    };
    let gone = |p: &Person| p.physical_status.is_some_and(|s| s.kind > 1);
    if after.physical_status.is_none_or(|s| s.kind == 0) && gone(&held) {
        return None;
    }
    let past = &held.personal_id;
    if *past != after.personal_id && !past.is_empty() && !after.cancelled_personal_ids.contains(past) {
        after.cancelled_personal_ids.push(past.clone());
    }
    let kept = held.cancelled_personal_ids.iter().all(|number| after.cancelled_personal_ids.contains(number));
    let mine = |number: &String| holder(number).is_none_or(|row| row.person_uid == uid);
    let active_free = after.personal_id.is_empty()
        || holder(&after.personal_id).is_none_or(|row| row.person_uid == uid && !row.cancelled);
    let free = active_free && after.cancelled_personal_ids.iter().all(mine);
    (kept && free && validate::person(&after, "").is_ok()).then_some(uid)
}
