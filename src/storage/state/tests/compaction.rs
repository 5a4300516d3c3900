//! Compaction of the history: what goes, what stays, and that whatever may still be read as of reads as before.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::domain::command::{Alias, aliases_of};
use crate::domain::text::folded;
use crate::proto::store::PersonRow;
use crate::storage::state::tables::{holder_key, personal_id_key};
use crate::storage::state::{AsOf, AsOfError, FirstRevision, ReadError};

/// Versions that a compaction removed.
fn compacted(reply: &Reply) -> u32 {
    match reply.reply {
        Some(reply::Reply::Compacted(versions)) => versions,
        ref other => panic!("not compacted: {other:?}"),
    }
}

fn first(store: &StateStore) -> (u64, u64) {
    let applied = store.applied();
    (applied.first_revision, applied.first_revision_at_ms)
}

/// Person 1 as An, Bình, Chi and Dũng at revisions 1 to 4 and instants 1,000 to 4,000.
fn four_versions() -> (Disk, Log) {
    let (disk, mut log) = (Disk::new(), Log::default());
    for (time_ms, given) in [(1_000, "An"), (2_000, "Bình"), (3_000, "Chi"), (4_000, "Dũng")] {
        let op = if given == "An" { create(person(1, given)) } else { update(1, person(1, given)) };
        let command = log.command(op);
        disk.store.apply(&[log.batch_at(time_ms, vec![command])]).unwrap();
    }
    (disk, log)
}

#[test]
fn versions_go_in_the_order_in_which_they_were_superseded() {
    let (disk, mut log) = four_versions();
    let compact = |log: &mut Log, before_ms, max| {
        let gone = compacted(&apply_one(&disk.store, log.compaction(before_ms, max)));
        (gone, first(&disk.store), count(&disk.store, Table::History), count(&disk.store, Table::Superseded))
    };
    assert_eq!(
        compact(&mut log, 2_000, 9),
        (0, (0, 0), 3, 3),
        "An was superseded at the instant, not before"
    );
    assert_eq!(compact(&mut log, 2_001, 9), (1, (2, 2_000), 2, 2));
    assert_eq!(compact(&mut log, 9_000, 1), (1, (3, 3_000), 1, 1), "one at a time");
    assert_eq!(compact(&mut log, 9_000, 9), (1, (4, 4_000), 0, 0), "the current version never goes");
    assert_eq!(compact(&mut log, u64::MAX, 9), (0, (4, 4_000), 0, 0));
    assert_eq!(given(&found(&disk.store.view(), &by_uid(1))), "Dũng");
    assert_eq!(disk.store.view().history(1, 0, 9, usize::MAX).unwrap().0.len(), 1);
}

#[test]
fn what_is_older_than_the_first_revision_is_refused_by_name() {
    let (disk, mut log) = four_versions();
    assert!(
        disk.store.has_superseded_before(2_001).unwrap() && !disk.store.has_superseded_before(2_000).unwrap()
    );
    apply_one(&disk.store, log.compaction(3_001, 9));
    assert!(
        disk.store.has_superseded_before(4_001).unwrap() && !disk.store.has_superseded_before(4_000).unwrap()
    );
    let first = FirstRevision { revision: 3, at_ms: 3_000 };
    let disk = disk.reopen();
    let name = |at| {
        let then = disk.store.view().at(at)?;
        Ok(given(&found(&then, &by_uid(1))).to_owned())
    };
    let gone = Err(AsOfError::RevisionCompacted { first });
    for (at, expected) in [
        (AsOf::Revision(0), gone.clone()),
        (AsOf::Revision(2), gone.clone()),
        (AsOf::Revision(3), Ok("Chi".to_owned())),
        (AsOf::Revision(4), Ok("Dũng".to_owned())),
        (AsOf::Instant(0), gone.clone()),
        (AsOf::Instant(2_999), gone),
        (AsOf::Instant(3_000), Ok("Chi".to_owned())),
        (AsOf::Instant(3_999), Ok("Chi".to_owned())),
        (AsOf::Instant(4_000), Ok("Dũng".to_owned())),
    ] {
        assert_eq!(name(at), expected, "{at:?}");
    }
}

#[test]
fn a_view_that_is_held_meanwhile_learns_that_its_versions_went() {
    let (disk, mut log) = four_versions();
    let (old, now) = (disk.store.view().at(AsOf::Revision(2)).unwrap(), disk.store.view());
    apply_one(&disk.store, log.one(update(1, person(1, "Em"))));
    apply_one(&disk.store, log.compaction(4_000, 9));
    let first = FirstRevision { revision: 3, at_ms: 3_000 };
    let gone =
        |error| matches!(error, ReadError::AsOf(AsOfError::RevisionCompacted { first: f }) if f == first);
    assert!(gone(old.person(1).unwrap_err()));
    assert!(gone(old.resolve(&by_personal_id(&personal_id(1))).unwrap_err()));
    assert!(gone(old.holders(&Alias::OldId(old_id(1)), 9).unwrap_err()));
    assert!(gone(old.history(1, 0, 9, usize::MAX).unwrap_err()));
    assert!(gone(old.named(&folded("Nguyễn Văn Binh"), None, None, 9).unwrap_err()));
    assert_eq!(given(&found(&now, &by_uid(1))), "Dũng", "its own version is kept");
}

/// A version that went is never taken for one that never was.
#[test]
fn a_view_that_compaction_overtakes_says_so_or_is_right() {
    let (disk, mut log) = four_versions();
    let entries: Vec<_> =
        ["Bình", "An"].iter().cycle().take(4_000).map(|name| update(1, person(1, name))).collect();
    let entries: Vec<_> = entries.into_iter().map(|op| [log.one(op), log.compaction(u64::MAX, 9)]).collect();
    let done = std::sync::atomic::AtomicBool::new(false);
    let (mut right, mut overtaken) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            entries.iter().for_each(|entries| drop(disk.store.apply(entries).unwrap()));
            done.store(true, std::sync::atomic::Ordering::Release);
        });
        while !done.load(std::sync::atomic::Ordering::Acquire) {
            let view = disk.store.view();
            match view.person(1) {
                Ok(row) => {
                    assert_eq!(row.unwrap().person.unwrap().record_revision, view.revision());
                    right += 1;
                }
                Err(ReadError::AsOf(AsOfError::RevisionCompacted { first })) => {
                    assert!(first.revision > view.revision());
                    overtaken += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
    });
    println!("{right} views were right, {overtaken} were overtaken");
    assert!(right > 0);
}

#[test]
fn a_compaction_that_does_not_stand_alone_is_rejected() {
    let (disk, mut log) = four_versions();
    let other = log.command(update(1, person(1, "Em")));
    let entry = log.batch(vec![compact(9_000, 9), other]);
    let replies = disk.store.apply(&[entry]).unwrap().remove(0);
    assert_eq!(rejected(&replies[0]), ErrorReason::FieldInvalid);
    assert!(written(&replies[1]).changed);
    assert_eq!(first(&disk.store), (0, 0));
}

#[test]
fn replies_to_requests_stay() {
    let (disk, mut log) = (Disk::new(), Log::default());
    let command = request("a", create(person(1, "An")));
    let reply = apply_one(&disk.store, log.batch(vec![command.clone()]));
    apply_one(&disk.store, log.one(update(1, person(1, "Bình"))));
    let requests = count(&disk.store, Table::Request);
    assert_eq!(compacted(&apply_one(&disk.store, log.compaction(u64::MAX, 9))), 1);
    assert_eq!(count(&disk.store, Table::Request), requests);
    assert_eq!(apply_one(&disk.store, log.batch(vec![command])), reply);
}

/// The aliases that lead to any version which can be read as of the first revision or later, and the personal ids.
fn aliases_in_sight(store: &StateStore) -> BTreeSet<Vec<u8>> {
    let view = store.view();
    let mut keys = BTreeSet::new();
    for uid in 1..=store.applied().persons {
        for PersonRow { person, .. } in view.history(uid, 0, 10_000, usize::MAX).unwrap().0 {
            let person = person.unwrap();
            keys.extend(aliases_of(&person).iter().map(|alias| holder_key(alias, uid)));
            let numbers = [&person.personal_id].into_iter().chain(&person.cancelled_personal_ids);
            keys.extend(numbers.map(|number| personal_id_key(number)));
        }
    }
    keys
}

#[test]
fn what_a_record_lost_long_ago_leaves_nothing_behind() {
    let mut rng = seeded("compaction::what_a_record_lost_long_ago_leaves_nothing_behind");
    let log = random_log(&mut rng, 300);
    let log = compacting(&mut rng, &log);
    let disk = Disk::new();
    let mut shed = 0;
    for entry in &log.entries {
        let before = count(&disk.store, Table::Alias);
        disk.store.apply(std::slice::from_ref(entry)).unwrap();
        shed += before.saturating_sub(count(&disk.store, Table::Alias));
        let superseded = count(&disk.store, Table::Superseded);
        assert_eq!(count(&disk.store, Table::History), superseded, "each version has its turn");
        assert!(
            keys(&disk.store, Table::Superseded)
                .iter()
                .all(|key| key[..8] > first(&disk.store).0.to_be_bytes()[..])
        );
        let there: BTreeSet<_> = keys(&disk.store, Table::Alias).into_iter().collect();
        assert_eq!(there, aliases_in_sight(&disk.store));
    }
    assert!(shed > 0, "this run shows nothing");
}

/// A log as `random_log` makes it, with merges among it; people have a licence and share CMND numbers.
fn with_merges(rng: &mut ChaCha8Rng, entries: usize) -> Log {
    let log = random_log(rng, entries);
    let (mut other, mut people) = (Log::default(), 0);
    for entry in log.entries {
        let payload = entry.payload.unwrap();
        let Payload::Batch(bytes) = &payload else {
            other.push(payload);
            continue;
        };
        let mut batch = Batch::decode(bytes.as_ref()).unwrap();
        let mut retried = BTreeMap::new();
        for command in &mut batch.commands {
            let request_id = command.context.as_ref().unwrap().request_id.clone();
            let op = retried.entry(request_id).or_insert_with(|| varied(rng, command.op.take(), &mut people));
            command.op.clone_from(op);
        }
        other.push(Payload::Batch(batch.encode_to_vec().into()));
    }
    other
}

/// The same write with a licence for a new person, or a merge in its place.
fn varied(rng: &mut ChaCha8Rng, op: Option<Op>, people: &mut u64) -> Option<Op> {
    let Some(Op::Write(Write { write: Some(write) })) = op else { return op };
    Some(match write {
        write::Write::Create(mut made) => {
            *people += 1;
            made.person.as_mut().unwrap().credentials = vec![licence(&format!("L{people}"))];
            Op::Write(Write { write: Some(write::Write::Create(made)) })
        }
        _ if rng.random_ratio(1, 12) => merge(rng.random_range(1..=*people), rng.random_range(1..=*people)),
        other => Op::Write(Write { write: Some(other) }),
    })
}

/// The same answers from both, by every key and by name, as of a revision or instant.
fn same_answers(whole: &StateView, compacted: &StateView, people: u64, at: AsOf) {
    let (whole, compacted) = (whole.clone().at(at).unwrap(), compacted.clone().at(at).unwrap());
    let print = |view: &StateView, key: &PersonKey| match view.resolve(key).unwrap() {
        Resolved::Found { row, resolution } => (Some((*row, resolution)), 1),
        Resolved::NotFound => (None, 0),
        Resolved::Ambiguous => (None, 2),
    };
    let numbers = (1..=people).flat_map(|uid| {
        let number = personal_id(u32::try_from(uid).unwrap());
        [by_uid(uid), by_personal_id(&number), by_licence(&format!("L{uid}"))]
    });
    for key in numbers.chain((0..20).map(|n| by_old_id(&old_id(n)))) {
        assert!(print(&whole, &key) == print(&compacted, &key), "{at:?}: {key:?} leads elsewhere");
    }
    for n in 0..20 {
        let held = |view: &StateView| view.holders(&Alias::OldId(old_id(n)), usize::MAX).unwrap();
        assert!(held(&whole) == held(&compacted), "{at:?}: CMND {n} has other holders");
    }
    for given in ["An", "Binh", "Chi", "Dung"] {
        let found = |view: &StateView| named(view, given);
        assert!(found(&whole) == found(&compacted), "{at:?}: a name finds others");
    }
}

fn named(view: &StateView, given: &str) -> Vec<PersonRow> {
    view.named(&folded(&format!("Nguyễn Văn {given}")), None, None, 10_000).unwrap().0
}

/// Two stores apply one log, one of them without its compactions: all versions are its model. On the way the other is
/// closed and opened, loses what was not on disk, and is replaced by its own snapshot.
#[test]
fn whatever_may_be_read_as_of_reads_as_if_nothing_had_gone() {
    let mut rng = seeded("compaction::whatever_may_be_read_as_of_reads_as_if_nothing_had_gone");
    let log = with_merges(&mut rng, 160);
    let compacting = compacting(&mut rng, &log);
    let (whole, mut disk) = (Disk::new(), Disk::new());
    let (mut merged, mut trouble) = (0, 0);
    for (n, (entry, other)) in log.entries.iter().zip(&compacting.entries).enumerate() {
        whole.store.apply(std::slice::from_ref(entry)).unwrap();
        disk.store.apply(std::slice::from_ref(other)).unwrap();
        trouble += 1;
        disk = match rng.random_range(0..30) {
            0 => disk.reopen(),
            1 => {
                let crashed = disk.crashed();
                let from = crashed.store.applied().log_id.map_or(0, |id| id.index as usize + 1);
                crashed.store.apply(&compacting.entries[from..=n]).unwrap();
                assert_eq!(fingerprint(&crashed.store), fingerprint(&disk.store));
                assert_eq!(crashed.store.applied(), disk.store.applied());
                crashed
            }
            2 => {
                let fresh = Disk::new();
                fresh.store.install(&install::transfer(&disk, &fresh)).unwrap();
                assert_eq!(fresh.store.applied(), disk.store.applied());
                fresh
            }
            _ => {
                trouble -= 1;
                disk
            }
        };
    }
    let (all, kept, people) = (whole.store.view(), disk.store.view(), whole.store.applied().persons);
    let (first_revision, first_ms) = first(&disk.store);
    let last = all.revision();
    assert_eq!(last, kept.revision());
    assert!(0 < first_revision && first_revision < last && trouble > 0, "this run shows nothing");
    for revision in (first_revision..=last).take(20) {
        same_answers(&all, &kept, people, AsOf::Revision(revision));
    }
    for revision in 0..first_revision {
        kept.clone().at(AsOf::Revision(revision)).expect_err("it was compacted");
    }
    for _ in 0..20 {
        same_answers(&all, &kept, people, AsOf::Revision(rng.random_range(first_revision..=last)));
        same_answers(&all, &kept, people, AsOf::Instant(rng.random_range(first_ms..=all.time_ms())));
    }
    kept.clone().at(AsOf::Instant(first_ms - 1)).expect_err("it was compacted");
    for uid in 1..=people {
        let (versions, _) = kept.history(uid, 0, 10_000, usize::MAX).unwrap();
        let (every, _) = all.history(uid, 0, 10_000, usize::MAX).unwrap();
        assert!(every.starts_with(&versions), "history of person {uid}");
        merged += usize::from(versions[0].person.as_ref().unwrap().merged_into != 0);
    }
    assert!(merged > 0, "this run shows nothing of merges");
    assert!(["An", "Binh", "Chi", "Dung"].iter().any(|given| !named(&all, given).is_empty()), "nor of names");
}

/// The map of `property` says the same: no version that it needs has gone.
#[test]
fn people_as_of_each_revision_that_is_kept_are_as_a_map_says() {
    let mut rng = seeded("compaction::people_as_of_each_revision_that_is_kept_are_as_a_map_says");
    // Now and then all compactions of a log come before there is anything to remove: it shows nothing, the next one will.
    let logs = std::iter::repeat_with(|| {
        let log = random_log(&mut rng, 120);
        let log = compacting(&mut rng, &log);
        let disk = Disk::new();
        let versions = property::follow(&log, |entry| disk.store.apply(std::slice::from_ref(entry)).unwrap());
        let (first_revision, _) = first(&disk.store);
        (disk, versions, first_revision)
    });
    let compacted = logs.take(10).find(|(.., first_revision)| *first_revision > 0);
    let (disk, versions, first_revision) = compacted.expect("ten logs, and nothing was ever compacted");
    for (revision, people) in versions.iter().enumerate().skip(first_revision as usize) {
        let then = disk.store.view().at(AsOf::Revision(revision as u64)).unwrap();
        property::check(&then, people, revision);
    }
}
