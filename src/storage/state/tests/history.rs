//! Views: now, as of a revision, as of an instant, and the versions of one record.

use super::*;
use crate::proto::store::PersonRow;
use crate::storage::state::{AsOf, AsOfError};

#[test]
fn a_view_does_not_see_what_is_written_after_it() {
    let mut log = Log::default();
    let disk = Disk::new();
    apply_one(&disk.store, log.one(create(person(1, "An"))));
    let view = disk.store.view();
    apply_one(&disk.store, log.one(update(1, person(1, "Bình"))));
    apply_one(&disk.store, log.one(create(person(2, "Chi"))));
    assert_eq!(given(&found(&view, &by_uid(1))), "An");
    assert_eq!(given(&found(&view, &by_personal_id(&personal_id(1)))), "An");
    assert!(matches!(view.resolve(&by_uid(2)).unwrap(), Resolved::NotFound));
    assert!(matches!(view.resolve(&by_personal_id(&personal_id(2))).unwrap(), Resolved::NotFound));
    assert_eq!(view.history(1, 0, 10, usize::MAX).unwrap().0.len(), 1);
    assert_eq!(view.revision(), 1);
    let now = disk.store.view();
    assert_eq!(now.revision(), 3);
    assert_eq!(given(&found(&now, &by_uid(1))), "Bình");
}

#[test]
fn views_are_whole_while_others_write() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let mut log = Log::default();
    let disk = Disk::new();
    apply_one(&disk.store, log.one(create(person(1, "An"))));
    let updates: Vec<_> = ["Bình", "An"].iter().cycle().take(10_000).map(|name| person(1, name)).collect();
    let entries: Vec<_> = updates.into_iter().map(|person| log.one(update(1, person))).collect();
    let (done, mut views) = (AtomicBool::new(false), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for entry in &entries {
                disk.store.apply(std::slice::from_ref(entry)).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        // Every revision changes person 1, so each view must find the version with its own number, and those before.
        while !done.load(Ordering::Acquire) {
            let view = disk.store.view();
            let revision_of = |row: &PersonRow| row.person.as_ref().unwrap().record_revision;
            assert_eq!(revision_of(&view.person(1).unwrap().unwrap()), view.revision());
            let (versions, _) = view.history(1, 0, 5, usize::MAX).unwrap();
            let expected: Vec<_> = (1..=view.revision()).rev().take(5).collect();
            assert_eq!(versions.iter().map(revision_of).collect::<Vec<_>>(), expected);
            views += 1;
        }
    });
    assert!(views > 100, "only {views} views were taken");
}

#[test]
fn as_of_a_revision_or_an_instant() {
    let mut log = Log::default();
    let disk = Disk::new();
    for (time_ms, given) in [(1_000, "An"), (2_000, "Bình"), (2_000, "Chi")] {
        let op = if given == "An" { create(person(1, given)) } else { update(1, person(1, given)) };
        let command = log.command(op);
        disk.store.apply(&[log.batch_at(time_ms, vec![command])]).unwrap();
    }
    let view = disk.store.view();
    let name = |at| {
        view.clone().at(at).unwrap().person(1).unwrap().map(|row| given(&row.person.unwrap()).to_owned())
    };
    for (revision, expected) in [(0, None), (1, Some("An")), (2, Some("Bình")), (3, Some("Chi"))] {
        assert_eq!(name(AsOf::Revision(revision)).as_deref(), expected, "revision {revision}");
    }
    for (instant, expected) in [(999, None), (1_000, Some("An")), (1_999, Some("An")), (2_000, Some("Chi"))] {
        assert_eq!(name(AsOf::Instant(instant)).as_deref(), expected, "instant {instant}");
    }
    assert_eq!(name(AsOf::Instant(u64::MAX)).as_deref(), Some("Chi"));
    let future = view.clone().at(AsOf::Revision(4)).err();
    assert_eq!(future, Some(AsOfError::RevisionFuture { current: 3 }));
    assert_eq!(view.clone().at(AsOf::Revision(2)).unwrap().revision(), 2);
}

#[test]
fn history_comes_newest_first_and_in_pages() {
    let mut log = Log::default();
    let disk = Disk::new();
    apply_one(&disk.store, log.one(create(person(1, "An"))));
    apply_one(&disk.store, log.one(create(person(2, "Khác"))));
    for n in 0..9 {
        apply_one(&disk.store, log.one(update(1, person(1, if n % 2 == 0 { "Bình" } else { "An" }))));
    }
    let view = disk.store.view();
    let revisions = |view: &StateView, before, limit| {
        let (rows, more) = view.history(1, before, limit, usize::MAX).unwrap();
        (rows.iter().map(|row| row.person.as_ref().unwrap().record_revision).collect::<Vec<_>>(), more)
    };
    assert_eq!(revisions(&view, 0, 100), (vec![11, 10, 9, 8, 7, 6, 5, 4, 3, 1], false));
    assert_eq!(revisions(&view, 0, 4), (vec![11, 10, 9, 8], true));
    assert_eq!(revisions(&view, 8, 4), (vec![7, 6, 5, 4], true));
    assert_eq!(revisions(&view, 4, 4), (vec![3, 1], false));
    assert_eq!(revisions(&view, 4, 2), (vec![3, 1], false));
    assert_eq!(revisions(&view, 1, 2), (vec![], false));
    assert_eq!(revisions(&view, 100, 1), (vec![11], true));
    let earlier = view.clone().at(AsOf::Revision(4)).unwrap();
    assert_eq!(revisions(&earlier, 0, 2), (vec![4, 3], true));
    let earlier = view.clone().at(AsOf::Instant(3)).unwrap();
    assert_eq!(revisions(&earlier, 0, 9), (vec![3, 1], false));
    assert_eq!(view.history(3, 0, 10, usize::MAX).unwrap().0.len(), 0);
}

#[test]
fn a_cancelled_number_leads_to_its_person_and_says_so() {
    let mut log = Log::default();
    let disk = Disk::new();
    apply_one(&disk.store, log.one(create(person(1, "An"))));
    apply_one(&disk.store, log.one(update(1, person(2, "An"))));
    let resolution = |view: StateView, n| match view.resolve(&by_personal_id(&personal_id(n))).unwrap() {
        Resolved::Found { row, resolution } => {
            assert_eq!(row.person.unwrap().uid, 1);
            Some((resolution.cancelled, resolution.superseded_by))
        }
        _ => None,
    };
    let now = disk.store.view();
    assert_eq!(resolution(now.clone(), 1), Some((true, personal_id(2))));
    assert_eq!(resolution(now.clone(), 2), Some((false, String::new())));
    assert_eq!(resolution(now.clone(), 3), None);
    let before = now.at(AsOf::Revision(1)).unwrap();
    assert_eq!(resolution(before.clone(), 1), Some((false, String::new())));
    assert_eq!(resolution(before, 2), None);
}

#[test]
fn an_old_number_may_be_ambiguous_now_and_not_then() {
    let mut log = Log::default();
    let disk = Disk::new();
    let holding = |n, numbers: &[String]| Person { old_id_numbers: numbers.to_vec(), ..person(n, "An") };
    let shared = old_id(0);
    let ops = [
        create(holding(1, std::slice::from_ref(&shared))),
        create(holding(2, std::slice::from_ref(&shared))),
        update(1, holding(1, &[old_id(1)])),
        update(2, holding(2, &[])),
        update(1, holding(1, &[old_id(1), shared.clone()])),
    ];
    for op in ops {
        apply_one(&disk.store, log.one(op));
    }
    let holders = |revision| {
        let view = disk.store.view().at(AsOf::Revision(revision)).unwrap();
        match view.resolve(&by_old_id(&shared)).unwrap() {
            Resolved::Found { row, .. } => vec![row.person.unwrap().uid],
            Resolved::NotFound => vec![],
            Resolved::Ambiguous => vec![0, 0],
        }
    };
    assert_eq!([0, 1, 2, 3, 4, 5].map(holders), [vec![], vec![1], vec![0, 0], vec![2], vec![], vec![1]]);
    // No number is another one's beginning.
    for number in ["27145000", "2714500010", "271450001\0", ""] {
        assert!(matches!(disk.store.view().resolve(&by_old_id(number)).unwrap(), Resolved::NotFound));
    }
    assert!(matches!(disk.store.view().resolve(&PersonKey { key: None }).unwrap(), Resolved::NotFound));
}
