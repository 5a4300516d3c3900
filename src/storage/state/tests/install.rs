//! Installing a snapshot: under readers, cut at each step, refused when it is wrong.

use std::sync::Mutex;

use super::*;
use crate::storage::state::Snapshot;
use crate::storage::state::install::Step;

/// A snapshot of `from`, received whole by `to`.
pub(super) fn transfer(from: &Disk, to: &Disk) -> Snapshot {
    let snapshot = from.store.freeze().unwrap().finish().unwrap();
    let mut incoming = to.store.receive(snapshot.manifest().clone()).unwrap();
    for (file, listed) in snapshot.manifest().files.iter().enumerate() {
        let content = fs::read(snapshot.folder().join(&listed.name)).unwrap();
        incoming.write(file, 0, &content).unwrap();
    }
    incoming.finish().unwrap()
}

#[test]
fn readers_of_the_old_generation_finish_in_peace() {
    let mut rng = seeded("install::readers_of_the_old_generation_finish_in_peace");
    let log = random_log(&mut rng, 300);
    let (ahead, behind) = (Disk::new(), Disk::new());
    ahead.store.apply(&log.entries).unwrap();
    behind.store.apply(&log.entries[..100]).unwrap();
    let old = behind.store.view();
    let people = behind.store.applied().persons;
    let before: Vec<_> = (1..=people).map(|uid| old.person(uid).unwrap()).collect();

    behind.store.install(&transfer(&ahead, &behind)).unwrap();
    assert_eq!(behind.generations(), ["g000001", "g000002"]);
    for (uid, row) in (1..).zip(before) {
        assert!(old.person(uid).unwrap() == row, "person {uid} differs");
    }
    assert_eq!(fingerprint(&behind.store), fingerprint(&ahead.store));
    assert_eq!(behind.store.watch().borrow().index, Some(299));
    drop(old);
    assert_eq!(behind.generations(), ["g000002"]);
    assert_eq!(fingerprint(&behind.reopen().store), fingerprint(&ahead.store));
}

#[test]
fn replies_survive_the_snapshot() {
    let mut log = Log::default();
    let (ahead, behind) = (Disk::new(), Disk::new());
    let command = request("a", create(person(1, "An")));
    let first = apply_one(&ahead.store, log.batch(vec![command.clone()]));
    behind.store.install(&transfer(&ahead, &behind)).unwrap();
    let retry = log.batch(vec![command]);
    assert_eq!(apply_one(&behind.store, retry.clone()), first);
    assert_eq!(apply_one(&ahead.store, retry), first);
    assert_eq!(fingerprint(&behind.store), fingerprint(&ahead.store));
}

#[test]
fn cut_at_each_step_it_is_the_old_state_or_the_new() {
    let mut rng = seeded("install::cut_at_each_step_it_is_the_old_state_or_the_new");
    let log = random_log(&mut rng, 200);
    let (ahead, behind) = (Disk::new(), Disk::new());
    ahead.store.apply(&log.entries).unwrap();
    behind.store.apply(&log.entries[..50]).unwrap();
    let received = transfer(&ahead, &behind);

    let cuts: Arc<Mutex<Vec<(Step, TempDir)>>> = Arc::default();
    let (taken, folder) = (cuts.clone(), behind.folder.path().to_owned());
    *behind.store.0.at_step.lock().unwrap() = Some(Box::new(move |step| {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&folder, copy.path());
        taken.lock().unwrap().push((step, copy));
    }));
    behind.store.install(&received).unwrap();

    let cuts = std::mem::take(&mut *cuts.lock().unwrap());
    let steps: Vec<_> = cuts.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [Step::Linked, Step::Named, Step::Opened, Step::Swapped, Step::Published]);
    for (step, folder) in cuts {
        // What a crash leaves, without the snapshot: the old state up to the swap, the new one from there on.
        let alone = tempfile::tempdir().unwrap();
        copy_folder(&folder.path().join("state"), &alone.path().join("state"));
        let store = open(alone.path()).unwrap();
        let swapped = matches!(step, Step::Swapped | Step::Published);
        let expected = swapped.then_some(199);
        assert_eq!(store.applied().log_id.map(|id| id.index), expected, "after {step:?}");
        drop(store);
        // With it, as it really is: always the new state, because the snapshot is ahead and complete.
        let disk = Disk { store: open(folder.path()).unwrap(), folder };
        assert_eq!(fingerprint(&disk.store), fingerprint(&ahead.store), "after {step:?}");
        assert_eq!(disk.generations(), ["g000002"], "after {step:?}");
        assert_eq!(disk.store.snapshot().unwrap().index(), Some(199));
    }
}

#[test]
fn an_older_snapshot_changes_nothing() {
    let mut rng = seeded("install::an_older_snapshot_changes_nothing");
    let log = random_log(&mut rng, 120);
    let (ahead, other) = (Disk::new(), Disk::new());
    other.store.apply(&log.entries[..80]).unwrap();
    ahead.store.apply(&log.entries).unwrap();
    let received = transfer(&other, &ahead);
    let print = fingerprint(&ahead.store);
    ahead.store.install(&received).unwrap();
    assert_eq!(fingerprint(&ahead.store), print);
    assert_eq!(ahead.generations(), ["g000001"]);
    ahead.store.apply(&[]).unwrap();
}

#[test]
fn a_snapshot_that_is_not_what_it_says_is_refused_and_the_old_state_stays() {
    let mut log = Log::default();
    let (ahead, behind) = (Disk::new(), Disk::new());
    apply_one(&ahead.store, log.one(create(person(1, "An"))));
    let snapshot = ahead.store.freeze().unwrap().finish().unwrap();
    let mut manifest = snapshot.manifest().clone();
    manifest.applied.as_mut().unwrap().revision += 1;
    let mut incoming = behind.store.receive(manifest).unwrap();
    for (file, listed) in snapshot.manifest().files.iter().enumerate() {
        let content = fs::read(snapshot.folder().join(&listed.name)).unwrap();
        incoming.write(file, 0, &content).unwrap();
    }
    let error = behind.store.install(&incoming.finish().unwrap()).unwrap_err();
    drop(incoming);
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
    assert!(matches!(behind.store.apply(&[log.blank()]), Err(StorageError::Stopped { .. })));
    assert_eq!(behind.generations(), ["g000001"]);
    assert_eq!(behind.reopen().store.applied().log_id, None);
}

#[test]
fn damaged_files_of_the_store_are_refused_by_name() {
    let mut log = Log::default();
    let disk = Disk::new();
    apply_one(&disk.store, log.one(create(person(1, "An"))));
    drop(disk.store.freeze().unwrap().finish().unwrap());
    let Disk { folder, store } = disk;
    let snapshot = store.snapshot().unwrap().folder().to_owned();
    drop(store);
    let refused = |folder: &Path| open(folder).expect_err("a damaged store was opened").to_string();
    for path in [folder.path().join("state/CURRENT"), snapshot.join("MANIFEST.dancu")] {
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        fs::write(&path, bad).unwrap();
        assert!(refused(folder.path()).contains("is damaged"), "{}", path.display());
        fs::write(&path, good).unwrap();
    }
    fs::rename(folder.path().join("state/g000001"), folder.path().join("away")).unwrap();
    assert!(refused(folder.path()).contains("is damaged"));
    fs::rename(folder.path().join("away"), folder.path().join("state/g000001")).unwrap();
    assert_eq!(open(folder.path()).unwrap().applied().persons, 1);
}
