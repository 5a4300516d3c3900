//! Entries in, the same bytes out: determinism, crashes, and what is refused.

use super::*;
use crate::domain::command::Alias;
use crate::domain::text::folded;
use crate::proto::registry::{RelatedPerson, RelationKind};
use crate::proto::store::{AllocateNode, RetireNode};
use crate::storage::state::apply::{CALL_BYTES, decide};

#[test]
fn a_write_ends_once_it_has_come_to_much_and_the_rest_follows() {
    let stated = RelatedPerson {
        kind: RelationKind::Represented.into(),
        name: "Ễ".repeat(300),
        ..RelatedPerson::default()
    };
    let mut log = Log::default();
    let entries: Vec<Entry> = (1..=1_500)
        .map(|n| log.one(create(Person { relations: vec![stated.clone(); 34], ..person(n, "An") })))
        .collect();
    let (one_by_one, together) = (Disk::new(), Disk::new());
    let live = together.store.live();
    let first = decide(&live.generation, &live.position, 0, &entries).unwrap();
    let taken = first.batch.size_in_bytes();
    // One entry more than what was enough, and not all.
    assert!((CALL_BYTES..CALL_BYTES + (64 << 10)).contains(&taken), "{taken} bytes");
    assert!(first.replies.len() < entries.len());
    assert_eq!(together.store.apply(&entries).unwrap().len(), entries.len());
    for entry in &entries {
        one_by_one.store.apply(std::slice::from_ref(entry)).unwrap();
    }
    assert_eq!(fingerprint(&one_by_one.store), fingerprint(&together.store));
}

#[test]
fn the_same_log_gives_the_same_bytes_however_it_is_grouped() {
    let mut rng = seeded("apply::the_same_log_gives_the_same_bytes_however_it_is_grouped");
    let log = random_log(&mut rng, 400);
    let log = compacting(&mut rng, &log);
    let (one_by_one, grouped) = (Disk::new(), Disk::new());
    let mut replies = Vec::new();
    for entry in &log.entries {
        replies.extend(one_by_one.store.apply(std::slice::from_ref(entry)).unwrap());
    }
    let (mut rest, mut grouped_replies) = (&log.entries[..], Vec::new());
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rng.random_range(1..=rest.len().min(90)));
        grouped_replies.extend(grouped.store.apply(now).unwrap());
        rest = later;
    }
    assert!(replies == grouped_replies, "replies differ");
    assert_eq!(fingerprint(&one_by_one.store), fingerprint(&grouped.store));
    let point = grouped.store.latest_hash_point().unwrap();
    assert_eq!(point.0, 384);
    assert_eq!(one_by_one.store.chain_hash_at(384), Some(point.1));
    assert_eq!(one_by_one.store.chain_hash_at(383), None);
    assert_ne!(one_by_one.store.chain_hash_at(320), Some(point.1));
}

#[test]
fn a_crash_goes_back_to_an_earlier_entry_and_the_log_leads_to_the_same_state() {
    let mut rng = seeded("apply::a_crash_goes_back_to_an_earlier_entry_and_the_log_leads_to_the_same_state");
    // Enough that RocksDB flushes by itself, now for this table and now for that.
    let log = random_log(&mut rng, 1_500);
    let log = compacting(&mut rng, &log);
    let disk = Disk::new();
    let (mut lost, mut kept) = (0, 0);
    for (applied, entry) in (1..).zip(&log.entries) {
        disk.store.apply(std::slice::from_ref(entry)).unwrap();
        if rng.random_ratio(1, 150) || applied == log.entries.len() {
            let crashed = disk.crashed();
            let from = crashed.store.applied().log_id.map_or(0, |id| id.index as usize + 1);
            crashed.store.apply(&log.entries[from..applied]).unwrap();
            assert_eq!(fingerprint(&crashed.store), fingerprint(&disk.store), "{from} to {applied}");
            (lost, kept) = (lost.max(applied - from), kept.max(from));
        }
    }
    assert!(lost > 0 && kept > 0, "{lost} lost, {kept} kept: this run shows nothing");
}

#[test]
fn the_chain_hash_tells_different_rows_apart() {
    let mut hashes = Vec::new();
    for given in ["An", "Bình"] {
        let mut log = Log::default();
        let disk = Disk::new();
        apply_one(&disk.store, log.one(create(person(1, given))));
        let before = disk.store.applied();
        disk.store.apply(&[log.blank()]).unwrap();
        let after = disk.store.applied();
        assert_ne!(before.chain_hash, after.chain_hash, "an empty entry is in the chain too");
        assert_eq!(before.revision, after.revision);
        hashes.extend([before.chain_hash, after.chain_hash]);
    }
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), 4);
}

#[test]
fn closing_in_good_order_loses_nothing() {
    let mut log = Log::default();
    let disk = Disk::new();
    disk.store.apply(&[log.members(&[1])]).unwrap();
    apply_one(&disk.store, log.one(create(person(1, "An"))));
    let (applied, print) = (disk.store.applied(), fingerprint(&disk.store));
    let disk = disk.reopen();
    assert_eq!(disk.store.applied(), applied);
    assert_eq!(fingerprint(&disk.store), print);
    assert_eq!(disk.store.watch().borrow().index, Some(1));
    assert_eq!(disk.store.watch().borrow().revision, 1);
}

#[test]
fn later_commands_of_a_call_see_earlier_ones() {
    let mut log = Log::default();
    let disk = Disk::new();
    let first = log.command(create(person(1, "An")));
    let taken = log.command(create(person(1, "Bình")));
    let entries = [log.batch(vec![first, taken]), log.one(update(1, person(1, "Chi")))];
    let replies = disk.store.apply(&entries).unwrap();
    assert_eq!(written(&replies[0][0]).person_uid, 1);
    assert_eq!(rejected(&replies[0][1]), ErrorReason::IdentifierTaken);
    assert_eq!(written(&replies[1][0]).record_revision, 2);
    assert_eq!(given(&found(&disk.store.view(), &by_uid(1))), "Chi");
    let mark = *disk.store.watch().borrow();
    assert_eq!((mark.index, mark.revision), (Some(1), 2));
}

#[test]
fn members_have_ids_that_are_never_given_out_again() {
    let mut log = Log::default();
    let disk = Disk::new();
    disk.store.apply(&[log.members(&[1, 2, 5])]).unwrap();
    let applied = disk.store.applied();
    assert_eq!(applied.next_node_id, 6);
    assert_eq!(applied.membership.unwrap().log_id.unwrap().index, 0);
    let allocate = |name: &str| Op::AllocateNode(AllocateNode { name: name.to_owned() });
    let reply = apply_one(&disk.store, log.one(allocate("node-6")));
    assert_eq!(reply.reply, Some(reply::Reply::NodeId(6)));
    apply_one(&disk.store, log.one(Op::RetireNode(RetireNode { node_id: 6 })));
    let disk = disk.reopen();
    let reply = apply_one(&disk.store, log.one(allocate("node-6")));
    assert_eq!(reply.reply, Some(reply::Reply::NodeId(7)));
    disk.store.apply(&[log.members(&[1, 2])]).unwrap();
    assert_eq!(disk.store.applied().next_node_id, 8);
}

#[test]
fn time_never_goes_back() {
    let mut log = Log::default();
    let disk = Disk::new();
    let first = log.command(create(person(1, "An")));
    let second = log.command(create(person(2, "An")));
    disk.store.apply(&[log.batch_at(5_000, vec![first]), log.batch_at(3_000, vec![second])]).unwrap();
    assert_eq!(disk.store.view().person(2).unwrap().unwrap().written_at_ms, 5_000);
    assert_eq!(disk.store.view().time_ms(), 5_000);
}

#[test]
fn an_entry_out_of_turn_or_damaged_stops_the_store() {
    let garbage = Payload::Batch(vec![0xff; 9].into());
    let newer = Entry { log_id: Some(LogId { term: 1, leader_id: 1, index: 1 }), payload: None };
    refuses(|log| log.entries[0].clone());
    refuses(|log| log.push(garbage.clone()));
    refuses(|_| newer.clone());
    refuses(|_| Entry::default());

    fn refuses(bad: impl FnOnce(&mut Log) -> Entry) {
        let mut log = Log::default();
        let disk = Disk::new();
        let good = log.one(create(person(1, "An")));
        disk.store.apply(&[good]).unwrap();
        let print = fingerprint(&disk.store);
        let error = disk.store.apply(&[bad(&mut log)]).unwrap_err();
        assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
        let next = Entry {
            log_id: Some(LogId { term: 1, leader_id: 1, index: 1 }),
            payload: Some(Payload::Blank(Blank {})),
        };
        let error = disk.store.apply(&[next]).unwrap_err();
        assert!(matches!(error, StorageError::Stopped { .. }), "{error}");
        assert_eq!(fingerprint(&disk.store), print);
    }
}

#[test]
fn a_flush_that_failed_in_the_background_surfaces() {
    let mut log = Log::default();
    let disk = Disk::new();
    apply_one(&disk.store, log.one(create(person(1, "An"))));
    // Without its folder RocksDB can take writes into memory, and cannot make a new file.
    fs::remove_dir_all(disk.folder.path().join("state/g000001")).unwrap();
    let mut outcome = Ok(Vec::new());
    for n in 2..200_000 {
        outcome = disk.store.apply(&[log.one(create(person(n, "An")))]);
        if outcome.is_err() {
            break;
        }
    }
    assert!(outcome.is_err(), "the store goes on without a disk");
    assert!(matches!(disk.store.apply(&[log.blank()]), Err(StorageError::Stopped { .. })));
    assert!(disk.store.freeze().is_err());
}

#[test]
fn errors_and_debug_hold_no_personal_data() {
    let mut log = Log::default();
    let disk = Disk::new();
    let entry = log.one(create(person(1, "Hiếm")));
    apply_one(&disk.store, entry);
    let resolved = disk.store.view().resolve(&by_personal_id(&personal_id(1))).unwrap();
    let printed = format!("{resolved:?}");
    assert!(!printed.contains("Hiếm") && !printed.contains(&personal_id(1)), "{printed}");
}

/// By the bloom filters of files as from memory, and a name across all birth dates.
#[test]
fn numbers_and_names_lead_to_their_people_from_files_too() {
    let (disk, mut log) = (Disk::new(), Log::default());
    for n in 1..=90 {
        let person = Person {
            old_id_numbers: vec![format!("{:09}", n / 3)],
            credentials: vec![licence(&format!("L{n}"))],
            birth_date: Some(PartialDate { year: 1990, month: n % 12 + 1, day: 0 }),
            ..person(n, "An")
        };
        written(&apply_one(&disk.store, log.one(create(person))));
    }
    for from in ["memory", "files"] {
        let view = disk.store.view();
        let holders = |alias| view.holders(&alias, usize::MAX).unwrap().len();
        for n in 1..30 {
            assert_eq!(holders(Alias::OldId(format!("{n:09}"))), 3);
        }
        assert_eq!(holders(Alias::OldId("999999999".to_owned())), 0);
        for n in 1..=90 {
            let key = by_licence(&format!("L{n}"));
            assert!(matches!(view.resolve(&key).unwrap(), Resolved::Found { .. }));
        }
        assert!(matches!(view.resolve(&by_licence("L91")).unwrap(), Resolved::NotFound));
        let named = view.named(&folded("Nguyễn Văn An"), None, None, 1_000).unwrap().0;
        assert_eq!(named.len(), 90, "from {from}");
        disk.store.live().generation.flush().unwrap();
    }
}
