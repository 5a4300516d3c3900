//! Installing a snapshot: under readers, refused when it is wrong.

use super::*;
use crate::storage::state::Snapshot;

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
