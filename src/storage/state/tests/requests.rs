//! Exactly once: retries, keys used again, and rows that go.

use super::*;
use crate::storage::state::requests::EXPIRE_MAX;

#[test]
fn a_retry_gets_the_first_reply() {
    let mut log = Log::default();
    let disk = Disk::new();
    let command = request("a", create(person(1, "An")));
    let first = apply_one(&disk.store, log.batch(vec![command.clone()]));
    apply_one(&disk.store, log.one(create(person(2, "An"))));
    let again = apply_one(&disk.store, log.batch(vec![command.clone()]));
    assert_eq!(first, again);
    assert_eq!(disk.store.applied().persons, 2);
    // In the same entry, in the same call, and after a restart.
    let twice = request("b", create(person(3, "An")));
    let entries = [log.batch(vec![twice.clone(), twice.clone()]), log.batch(vec![twice])];
    let replies = disk.store.apply(&entries).unwrap().concat();
    assert!(replies.iter().all(|reply| *reply == replies[0]));
    let disk = disk.reopen();
    assert_eq!(apply_one(&disk.store, log.batch(vec![command])), first);
    assert_eq!(disk.store.applied().persons, 3);
}

#[test]
fn a_rejection_is_kept_like_any_reply() {
    let mut log = Log::default();
    let disk = Disk::new();
    apply_one(&disk.store, log.one(create(person(1, "An"))));
    let taken = request("a", create(person(1, "Bình")));
    let first = apply_one(&disk.store, log.batch(vec![taken.clone()]));
    assert_eq!(rejected(&first), ErrorReason::IdentifierTaken);
    assert_eq!(apply_one(&disk.store, log.batch(vec![taken])), first);
}

#[test]
fn a_key_used_for_something_else_is_refused() {
    let mut log = Log::default();
    let disk = Disk::new();
    let first = apply_one(&disk.store, log.batch(vec![request("a", create(person(1, "An")))]));
    let other = apply_one(&disk.store, log.batch(vec![request("a", create(person(2, "An")))]));
    assert_eq!(rejected(&other), ErrorReason::RequestIdReused);
    assert_eq!(disk.store.applied().persons, 1);
    // The first is still there, and another agency's key is another key.
    let mut command = request("a", create(person(1, "An")));
    assert_eq!(apply_one(&disk.store, log.batch(vec![command.clone()])), first);
    command.context.as_mut().unwrap().officer_id = "someone else".to_owned();
    assert_eq!(apply_one(&disk.store, log.batch(vec![command.clone()])), first);
    command.context.as_mut().unwrap().agency_id = "G02".to_owned();
    assert_eq!(rejected(&apply_one(&disk.store, log.batch(vec![command]))), ErrorReason::IdentifierTaken);
}

#[test]
fn a_row_goes_after_its_time_and_not_before() {
    let mut log = Log::default();
    let disk = Disk::new();
    let command = request("a", update(1, person(1, "An")));
    let other = request("b", create(person(9, "An")));
    let first = apply_one(&disk.store, log.batch_at(1_000, vec![command.clone()]));
    assert_eq!(rejected(&first), ErrorReason::PersonNotFound);
    apply_one(&disk.store, log.batch_at(1_000, vec![request("c", create(person(1, "Bình")))]));
    let at_its_time = 1_000 + WINDOW_MS;
    assert_eq!(apply_one(&disk.store, log.batch_at(at_its_time, vec![command.clone()])), first);
    assert_eq!(count(&disk.store, Table::Request), 2);
    // One call: the first entry removes both rows, and the second must not find them.
    let late = [log.batch_at(at_its_time + 1, vec![other]), log.batch(vec![command])];
    let replies = disk.store.apply(&late).unwrap();
    assert_eq!(written(&replies[1][0]).person_uid, 1);
    assert_eq!(count(&disk.store, Table::Request), 2);
    assert_eq!(count(&disk.store, Table::RequestExpiry), 2);
}

#[test]
fn a_long_backlog_goes_in_parts_and_what_is_past_counts_as_gone() {
    let rows = EXPIRE_MAX * 2 + 10;
    let (split, halves, whole) = (Disk::new(), Disk::new(), Disk::new());
    let mut log = Log::default();
    let commands: Vec<_> = (0..rows).map(|_| log.command(update(7, person(1, "An")))).collect();
    // The last row by key order stays longest.
    let by_key = |command: &&Command| command.context.clone().unwrap().request_id;
    let last = commands.iter().max_by_key(by_key).cloned().unwrap();
    log.batch_at(1_000, commands);
    log.batch_at(1_000 + WINDOW_MS + 1, vec![last.clone()]);
    log.batch(vec![]);
    log.batch(vec![last]);
    log.batch_at(1_000 + 3 * WINDOW_MS, vec![]);
    let mut left = Vec::new();
    for entry in &log.entries {
        split.store.apply(std::slice::from_ref(entry)).unwrap();
        left.push((count(&split.store, Table::Request), count(&split.store, Table::RequestExpiry)));
    }
    let expected = [rows, rows - EXPIRE_MAX, rows - 2 * EXPIRE_MAX, 1, 0];
    assert_eq!(left, expected.map(|rows| (rows, rows)));
    // Rows of the call itself, and rows on disk that an earlier entry of the call removed.
    whole.store.apply(&log.entries).unwrap();
    halves.store.apply(&log.entries[..1]).unwrap();
    halves.store.apply(&log.entries[1..]).unwrap();
    assert_eq!(fingerprint(&split.store), fingerprint(&whole.store));
    assert_eq!(fingerprint(&split.store), fingerprint(&halves.store));
}

#[test]
fn a_command_without_a_request_id_is_not_kept() {
    let mut log = Log::default();
    let disk = Disk::new();
    let op = Op::AllocateNode(crate::proto::store::AllocateNode { name: "n".to_owned() });
    disk.store
        .apply(&[log.batch(vec![Command { context: None, op: Some(op), ..Command::default() }])])
        .unwrap();
    assert_eq!(count(&disk.store, Table::Request), 0);
}
