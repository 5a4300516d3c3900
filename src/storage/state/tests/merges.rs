//! Keys of records that were merged: before and after, now and as of then.

use super::*;
use crate::storage::state::AsOf;

/// Whom a key leads to, and the record that it named before a merge.
fn leads_to(view: &StateView, key: &PersonKey) -> Option<(u64, u64)> {
    match view.resolve(key).unwrap() {
        Resolved::Found { row, resolution } => Some((row.person.unwrap().uid, resolution.merged_from)),
        Resolved::NotFound => None,
        Resolved::Ambiguous => panic!("several hold it"),
    }
}

/// Person `n` with a CMND number and a licence of their own.
fn documented(n: u32) -> Person {
    let old_id_numbers = vec![old_id(n)];
    Person { old_id_numbers, credentials: vec![licence(&format!("L{n}"))], ..person(n, "An") }
}

/// Every key of person `n`, who is the one of uid `n`.
fn keys_of(n: u32) -> [PersonKey; 4] {
    let licence = by_licence(&format!("L{n}"));
    [by_uid(n.into()), by_personal_id(&personal_id(n)), by_old_id(&old_id(n)), licence]
}

fn with(ops: impl IntoIterator<Item = Op>) -> (Disk, Log) {
    let (disk, mut log) = (Disk::new(), Log::default());
    for op in ops {
        written(&apply_one(&disk.store, log.one(op)));
    }
    (disk, log)
}

#[test]
fn every_key_of_a_merged_record_leads_to_the_one_that_stayed() {
    let (disk, _) = with([create(documented(1)), create(documented(2)), merge(1, 2)]);
    let now = disk.store.view();
    for key in keys_of(2) {
        assert_eq!(leads_to(&now, &key), Some((1, 2)), "{key:?}");
    }
    for key in keys_of(1) {
        assert_eq!(leads_to(&now, &key), Some((1, 0)), "{key:?}");
    }
    let Resolved::Found { resolution, .. } = now.resolve(&by_personal_id(&personal_id(2))).unwrap() else {
        panic!("not found")
    };
    assert!(resolution.cancelled);
    assert_eq!(resolution.superseded_by, personal_id(1));
    // As of before the merge, each record as it stood.
    for (revision, there) in [(2, Some((2, 0))), (1, None)] {
        let then = now.clone().at(AsOf::Revision(revision)).unwrap();
        for key in keys_of(2) {
            assert_eq!(leads_to(&then, &key), there, "{key:?} at revision {revision}");
        }
        let then = now.clone().at(AsOf::Instant(revision)).unwrap();
        for key in keys_of(2) {
            assert_eq!(leads_to(&then, &key), there, "{key:?} at instant {revision}");
        }
    }
    // The record itself goes on being one, with a history of its own.
    let revisions = |uid| {
        let (rows, _) = now.history(uid, 0, 9, usize::MAX).unwrap();
        rows.iter().map(|row| row.person.as_ref().unwrap().record_revision).collect::<Vec<_>>()
    };
    assert_eq!(revisions(2), [3, 2]);
    assert_eq!(revisions(1), [3, 1]);
    assert_eq!(now.person(2).unwrap().unwrap().person.unwrap().merged_into, 1);
}

#[test]
fn a_chain_of_merges_leads_to_its_end_from_where_it_began() {
    // 3 into 1 at revision 4, 1 into 2 at revision 5: the order is not that of the uids.
    let ops = [create(documented(1)), create(documented(2)), create(documented(3)), merge(1, 3), merge(2, 1)];
    let (disk, _) = with(ops);
    let now = disk.store.view();
    let at = |revision| now.clone().at(AsOf::Revision(revision)).unwrap();
    for (revision, of_3, of_1) in [(3, (3, 0), (1, 0)), (4, (1, 3), (1, 0)), (5, (2, 3), (2, 1))] {
        for key in keys_of(3) {
            assert_eq!(leads_to(&at(revision), &key), Some(of_3), "{key:?} at revision {revision}");
        }
        for key in keys_of(1) {
            assert_eq!(leads_to(&at(revision), &key), Some(of_1), "{key:?} at revision {revision}");
        }
        for key in keys_of(2) {
            assert_eq!(leads_to(&at(revision), &key), Some((2, 0)), "{key:?} at revision {revision}");
        }
    }
}

#[test]
fn a_number_that_both_had_names_the_one_that_stayed() {
    let shared = || vec![old_id(9)];
    let of = |n| Person { old_id_numbers: shared(), ..person(n, "An") };
    let (disk, mut log) = with([create(of(1)), create(of(2)), create(of(3))]);
    let resolve = |view: &StateView| view.resolve(&by_old_id(&old_id(9))).unwrap();
    assert!(matches!(resolve(&disk.store.view()), Resolved::Ambiguous));
    for op in [merge(1, 2), merge(1, 3)] {
        written(&apply_one(&disk.store, log.one(op)));
    }
    let now = disk.store.view();
    assert_eq!(leads_to(&now, &by_old_id(&old_id(9))), Some((1, 0)));
    assert!(matches!(resolve(&now.clone().at(AsOf::Revision(4)).unwrap()), Resolved::Ambiguous));
    // Two duplicates share a number that the one that stays gets from them: the first merge handed it on.
    let also = |n| Person { old_id_numbers: vec![old_id(8)], ..person(n, "An") };
    for op in [create(also(4)), create(also(5)), merge(1, 5), merge(1, 4)] {
        written(&apply_one(&disk.store, log.one(op)));
    }
    assert_eq!(leads_to(&disk.store.view(), &by_old_id(&old_id(8))), Some((1, 5)));
}

#[test]
fn a_number_that_was_handed_on_and_lost_names_nobody_and_then_whoever_has_it() {
    let (disk, mut log) = with([create(person(1, "An")), create(documented(2)), merge(1, 2)]);
    let number = by_old_id(&old_id(2));
    let cancelled = Person { cancelled_personal_ids: vec![personal_id(2)], ..person(1, "An") };
    written(&apply_one(&disk.store, log.one(update(1, cancelled.clone()))));
    assert_eq!(leads_to(&disk.store.view(), &number), None);
    written(&apply_one(
        &disk.store,
        log.one(create(Person { old_id_numbers: vec![old_id(2)], ..person(3, "An") })),
    ));
    assert_eq!(leads_to(&disk.store.view(), &number), Some((3, 0)));
    let then = disk.store.view().at(AsOf::Revision(3)).unwrap();
    assert_eq!(leads_to(&then, &number), Some((1, 2)));
    assert_eq!(leads_to(&disk.store.view(), &by_uid(2)), Some((1, 2)));
}
