//! Snapshots: made, kept, sent in pieces, damaged on the way.

use std::io::{Read, Seek, SeekFrom};

use super::*;
use crate::proto::store::SnapshotManifest;
use crate::storage::state::{Incoming, ReceiveError, Snapshot};

/// A store with some people and a snapshot of it.
fn with_snapshot(rng: &mut ChaCha8Rng) -> (Disk, Log, Snapshot) {
    let log = random_log(rng, 200);
    let disk = Disk::new();
    disk.store.apply(&log.entries).unwrap();
    let snapshot = disk.store.freeze().unwrap().finish().unwrap();
    (disk, log, snapshot)
}

/// A piece of a file of a snapshot.
fn piece(snapshot: &Snapshot, file: usize, offset: u64, length: usize) -> Vec<u8> {
    let name = &snapshot.manifest().files[file].name;
    let mut source = fs::File::open(snapshot.folder().join(name)).unwrap();
    source.seek(SeekFrom::Start(offset)).unwrap();
    let mut bytes = vec![0; length];
    source.read_exact(&mut bytes).unwrap();
    bytes
}

/// Sends what is missing, in pieces of random size, until `stop` says so. True when all is there.
fn send(
    rng: &mut ChaCha8Rng,
    snapshot: &Snapshot,
    incoming: &mut Incoming,
    mut stop: impl FnMut(&mut ChaCha8Rng) -> bool,
) -> bool {
    for (file, listed) in snapshot.manifest().files.iter().enumerate() {
        let mut have = incoming.have()[file];
        while have < listed.size {
            if stop(rng) {
                return false;
            }
            let length = rng.random_range(1..=(listed.size - have).min(5_000));
            incoming.write(file, have, &piece(snapshot, file, have, length as usize)).unwrap();
            have += length;
            assert_eq!(incoming.have()[file], have);
        }
    }
    true
}

#[test]
fn a_snapshot_holds_the_state_it_was_frozen_at() {
    let mut rng = seeded("snapshots::a_snapshot_holds_the_state_it_was_frozen_at");
    let (disk, mut log, _) = with_snapshot(&mut rng);
    let print = fingerprint(&disk.store);
    let frozen = disk.store.freeze().unwrap();
    let person = person(999_999, "An");
    apply_one(&disk.store, log.one(create(person)));
    let snapshot = frozen.finish().unwrap();
    assert_eq!(snapshot.index(), Some(199));
    let other = Disk::new();
    let mut incoming = other.store.receive(snapshot.manifest().clone()).unwrap();
    assert!(send(&mut rng, &snapshot, &mut incoming, |_| false));
    other.store.install(&incoming.finish().unwrap()).unwrap();
    assert_eq!(fingerprint(&other.store), print);
    assert_ne!(fingerprint(&disk.store), print);
    other.store.apply(&log.entries[200..]).unwrap();
    assert_eq!(fingerprint(&disk.store), fingerprint(&other.store));
}

#[test]
fn a_snapshot_is_durable_and_the_state_is_never_behind_it() {
    let mut rng = seeded("snapshots::a_snapshot_is_durable_and_the_state_is_never_behind_it");
    let (disk, _, snapshot) = with_snapshot(&mut rng);
    let crashed = disk.crashed();
    assert_eq!(crashed.store.snapshot().unwrap().manifest(), snapshot.manifest());
    assert_eq!(crashed.store.applied(), disk.store.applied());
    // The state was lost altogether: the snapshot brings it back.
    drop(crashed.store);
    fs::remove_dir_all(crashed.folder.path().join("state")).unwrap();
    let store = open(crashed.folder.path()).unwrap();
    assert_eq!(fingerprint(&store), fingerprint(&disk.store));
}

#[test]
fn the_older_snapshot_goes_with_its_last_reader() {
    let mut rng = seeded("snapshots::the_older_snapshot_goes_with_its_last_reader");
    let (disk, mut log, first) = with_snapshot(&mut rng);
    let folder = first.folder().to_owned();
    disk.store.apply(&[log.blank()]).unwrap();
    let second = disk.store.freeze().unwrap().finish().unwrap();
    assert!(folder.exists(), "it is being read");
    drop(first);
    assert!(!folder.exists());
    assert!(second.folder().exists());
    let kept = second.folder().to_owned();
    drop(second);
    assert!(kept.exists());
    assert_eq!(disk.reopen().store.snapshot().unwrap().folder(), kept);
}

#[test]
fn what_was_left_unfinished_goes_at_the_next_start() {
    let mut rng = seeded("snapshots::what_was_left_unfinished_goes_at_the_next_start");
    let (disk, _, snapshot) = with_snapshot(&mut rng);
    let frozen = disk.store.freeze().unwrap();
    let crashed = disk.crashed();
    let names = super::super::files::names(&crashed.folder.path().join("snapshots")).unwrap();
    assert_eq!(names, [snapshot.manifest().id.clone()]);
    drop(frozen);
    let names = super::super::files::names(&disk.folder.path().join("snapshots")).unwrap();
    assert_eq!(names, [snapshot.manifest().id.clone()]);
}

#[test]
fn checksums_of_unchanged_files_are_taken_over() {
    let mut rng = seeded("snapshots::checksums_of_unchanged_files_are_taken_over");
    let (disk, mut log, first) = with_snapshot(&mut rng);
    apply_one(&disk.store, log.one(create(person(999_999, "An"))));
    let second = disk.store.freeze().unwrap().finish().unwrap();
    let shared = second.manifest().files.iter().filter(|file| first.manifest().files.contains(file));
    assert!(shared.filter(|file| file.name.ends_with(".sst")).count() > 0);
    for file in &second.manifest().files {
        let read = super::super::files::checksum(&second.folder().join(&file.name)).unwrap();
        assert_eq!(read, (file.size, file.crc32), "{}", file.name);
    }
}

#[test]
fn a_transfer_survives_any_number_of_interruptions() {
    let mut rng = seeded("snapshots::a_transfer_survives_any_number_of_interruptions");
    let (disk, _, snapshot) = with_snapshot(&mut rng);
    let mut other = Disk::new();
    let mut attempts = 0;
    let received = loop {
        attempts += 1;
        let mut incoming = other.store.receive(snapshot.manifest().clone()).unwrap();
        if send(&mut rng, &snapshot, &mut incoming, |rng| rng.random_ratio(1, 10)) {
            break incoming.finish().unwrap();
        }
        drop(incoming);
        if attempts % 3 == 0 {
            other = other.crashed();
        }
    };
    eprintln!("{attempts} attempts");
    other.store.install(&received).unwrap();
    assert_eq!(fingerprint(&other.store), fingerprint(&disk.store));
    assert_eq!(other.store.snapshot().unwrap().index(), snapshot.index());
}

#[test]
fn a_damaged_file_is_found_deleted_and_sent_again() {
    let mut rng = seeded("snapshots::a_damaged_file_is_found_deleted_and_sent_again");
    let (disk, _, snapshot) = with_snapshot(&mut rng);
    let other = Disk::new();
    let mut incoming = other.store.receive(snapshot.manifest().clone()).unwrap();
    assert!(send(&mut rng, &snapshot, &mut incoming, |_| false));
    let files = &snapshot.manifest().files;
    let bad = loop {
        // An empty file has nothing to damage.
        let file = rng.random_range(0..files.len());
        if files[file].size > 0 {
            break file;
        }
    };
    let path = other.folder.path().join("incoming").join(&snapshot.manifest().id).join(&files[bad].name);
    let mut content = fs::read(&path).unwrap();
    let place = rng.random_range(0..content.len());
    content[place] ^= 1 << rng.random_range(0..8);
    fs::write(&path, content).unwrap();
    match incoming.finish() {
        Err(ReceiveError::Damaged(names)) => assert_eq!(names, [files[bad].name.clone()]),
        other => panic!("{other:?}"),
    }
    for (file, listed) in files.iter().enumerate() {
        assert_eq!(incoming.have()[file], if file == bad { 0 } else { listed.size });
    }
    drop(incoming);
    let mut incoming = other.store.receive(snapshot.manifest().clone()).unwrap();
    assert_eq!(incoming.have()[bad], 0);
    assert!(send(&mut rng, &snapshot, &mut incoming, |_| false));
    other.store.install(&incoming.finish().unwrap()).unwrap();
    assert_eq!(fingerprint(&other.store), fingerprint(&disk.store));
}

#[test]
fn an_unfinished_transfer_is_no_snapshot() {
    let mut rng = seeded("snapshots::an_unfinished_transfer_is_no_snapshot");
    let (_disk, _, snapshot) = with_snapshot(&mut rng);
    let other = Disk::new();
    let mut incoming = other.store.receive(snapshot.manifest().clone()).unwrap();
    assert!(!send(&mut rng, &snapshot, &mut incoming, |rng| rng.random_ratio(1, 4)));
    assert!(matches!(incoming.finish(), Err(ReceiveError::Damaged(_))));
    assert!(other.store.snapshot().is_none());
    assert!(other.crashed().store.snapshot().is_none());
}

#[test]
fn chunks_must_continue_their_file_and_the_last_transfer_wins() {
    let mut rng = seeded("snapshots::chunks_must_continue_their_file_and_the_last_transfer_wins");
    let (_disk, _, snapshot) = with_snapshot(&mut rng);
    let other = Disk::new();
    let mut first = other.store.receive(snapshot.manifest().clone()).unwrap();
    let files = &snapshot.manifest().files;
    let file = files.iter().position(|file| file.size > 1).unwrap();
    let size = files[file].size as usize;
    for (file, offset, length) in [(file, 1, 1), (file, 0, size + 1), (file, u64::MAX, 1), (10_000, 0, 1)] {
        let outcome = first.write(file, offset, &vec![0; length]);
        assert!(matches!(outcome, Err(ReceiveError::Misplaced { .. })), "{file} {offset} {length}");
    }
    first.write(file, 0, &piece(&snapshot, file, 0, 1)).unwrap();
    let again = first.write(file, 0, &piece(&snapshot, file, 0, 1));
    assert!(matches!(again, Err(ReceiveError::Misplaced { have: 1, .. })));
    let mut second = other.store.receive(snapshot.manifest().clone()).unwrap();
    assert_eq!(second.have()[file], 1);
    assert!(matches!(first.write(file, 1, &[0]), Err(ReceiveError::Superseded)));
    assert!(matches!(first.finish(), Err(ReceiveError::Superseded)));
    // Another snapshot takes the place of this one, and the same id with other files begins anew.
    let changed = SnapshotManifest { files: files[..file + 1].to_vec(), ..snapshot.manifest().clone() };
    assert_ne!(&changed, snapshot.manifest());
    let third = other.store.receive(changed).unwrap();
    assert!(third.have().iter().all(|have| *have == 0));
    assert!(matches!(second.write(file, 1, &[0]), Err(ReceiveError::Superseded)));
}
