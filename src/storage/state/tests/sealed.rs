//! Values sealed at rest: over restarts and keys, in snapshots between nodes with different keys, and tampered with.

use super::*;
use crate::storage::sealing::Keyring;
use crate::storage::sealing::tests::sealed;

/// A store whose values are sealed under the master key of this byte; in the clear for 0.
fn disk(byte: u8) -> Disk {
    let folder = tempfile::tempdir().unwrap();
    let store = start(folder.path(), byte);
    Disk { folder, store }
}

fn start(folder: &Path, byte: u8) -> StateStore {
    let keyring = match byte {
        0 => Keyring::open(folder, Default::default(), 90, 0).unwrap(),
        byte => sealed(folder, byte),
    };
    let options = StateOptions {
        block_cache_bytes: 1 << 20,
        memtable_bytes: 64 << 10,
        keyring,
        ..StateOptions::default()
    };
    StateStore::open(folder, &options, Arc::new(())).unwrap()
}

/// How many of a table's values are sealed, and how many are in the clear.
fn kinds(store: &StateStore, table: Table) -> (usize, usize) {
    let generation = store.live().generation;
    let rows = generation.db().iterator_cf(generation.table(table), rocksdb::IteratorMode::Start);
    let values: Vec<_> = rows.map(|row| row.unwrap().1).collect();
    let sealed = values.iter().filter(|value| value.first() == Some(&2)).count();
    (sealed, values.len() - sealed)
}

/// Sends a snapshot of `from` as it goes over the wire, and installs it.
fn send(from: &Disk, to: &Disk) {
    let snapshot = from.store.freeze().unwrap().finish().unwrap();
    let mut incoming = to.store.receive(snapshot.offer()).unwrap();
    for (file, listed) in snapshot.manifest().files.iter().enumerate() {
        let content = fs::read(snapshot.folder().join(&listed.name)).unwrap();
        incoming.write(file, 0, &content).unwrap();
    }
    let received = incoming.finish().unwrap();
    to.store.install(&received).unwrap();
    assert!(received.manifest().keys.is_empty(), "keys lie beside the files");
    let kept = fs::read(received.folder().join("MANIFEST.dancu")).unwrap();
    for key in snapshot.offer().keys {
        assert!(!kept.windows(32).any(|part| part == key.key), "a key is in the manifest that is kept");
    }
}

#[test]
fn nodes_with_and_without_keys_hold_the_same() {
    let mut rng = seeded("sealed::nodes_with_and_without_keys_hold_the_same");
    let log = random_log(&mut rng, 300);
    let (one, other, clear) = (disk(1), disk(2), disk(0));
    for disk in [&one, &other, &clear] {
        disk.store.apply(&log.entries).unwrap();
    }
    assert_eq!(fingerprint(&one.store), fingerprint(&clear.store));
    assert_eq!(fingerprint(&other.store), fingerprint(&clear.store));
    for table in Table::ALL {
        let (sealed, bare) = kinds(&one.store, table);
        assert_eq!(if table.is_sealed() { bare } else { sealed }, 0, "{}", table.name());
        assert_eq!(kinds(&clear.store, table).0, 0);
    }
    assert!(kinds(&one.store, Table::Person).0 > 0 && kinds(&one.store, Table::History).0 > 0);
    let print = fingerprint(&one.store);
    let people = one.store.applied().persons;
    let row = |store: &StateStore, uid| store.view().person(uid).unwrap();
    let Disk { folder, store } = one;
    drop(store);
    let store = start(folder.path(), 1);
    assert_eq!(fingerprint(&store), print);
    for uid in 1..=people {
        assert!(row(&store, uid) == row(&clear.store, uid), "person {uid} differs");
        let versions = |store: &StateStore| store.view().history(uid, 0, 100, usize::MAX).unwrap();
        assert!(versions(&store) == versions(&clear.store), "the history of person {uid} differs");
    }
}

#[test]
fn a_folder_in_the_clear_becomes_sealed_as_it_is_written() {
    let mut rng = seeded("sealed::a_folder_in_the_clear_becomes_sealed_as_it_is_written");
    let log = random_log(&mut rng, 200);
    let Disk { folder, store } = disk(0);
    store.apply(&log.entries[..100]).unwrap();
    let before = kinds(&store, Table::Person).1;
    drop(store);
    let store = start(folder.path(), 1);
    assert_eq!(kinds(&store, Table::Person), (0, before));
    store.apply(&log.entries[100..]).unwrap();
    assert!(kinds(&store, Table::Person).0 > 0);
    let plain = disk(0);
    plain.store.apply(&log.entries).unwrap();
    assert_eq!(fingerprint(&store), fingerprint(&plain.store));
}

#[test]
fn snapshots_are_read_by_nodes_with_other_keys_and_with_none() {
    let mut rng = seeded("sealed::snapshots_are_read_by_nodes_with_other_keys_and_with_none");
    let log = random_log(&mut rng, 300);
    // Also along a chain: the second sends on what the first sealed.
    for chain in [&[1, 2, 3][..], &[1, 0, 2], &[0, 1, 0], &[1, 0, 0]] {
        let disks: Vec<Disk> = chain.iter().map(|byte| disk(*byte)).collect();
        disks[0].store.apply(&log.entries[..200]).unwrap();
        for (position, pair) in disks.windows(2).enumerate() {
            send(&pair[0], &pair[1]);
            let end = 200 + 50 * (position + 1);
            pair[1].store.apply(&log.entries[end - 50..end]).unwrap();
        }
        let expected = disk(0);
        expected.store.apply(&log.entries).unwrap();
        let Disk { folder, store } = disks.into_iter().next_back().unwrap();
        assert_eq!(fingerprint(&store), fingerprint(&expected.store), "{chain:?}");
        drop(store);
        // Also after a restart: the keys are on its own disk.
        let store = start(folder.path(), *chain.last().unwrap());
        assert_eq!(fingerprint(&store), fingerprint(&expected.store), "{chain:?}");
    }
}

#[test]
fn a_value_that_was_changed_or_moved_is_damage() {
    let mut rng = seeded("sealed::a_value_that_was_changed_or_moved_is_damage");
    let disk = disk(1);
    disk.store.apply(&random_log(&mut rng, 200).entries).unwrap();
    let generation = disk.store.live().generation;
    let table = generation.table(Table::Person);
    let stored = |uid: u64| generation.db().get_cf(table, uid.to_be_bytes()).unwrap().unwrap();
    let put = |uid: u64, value: &[u8]| generation.db().put_cf(table, uid.to_be_bytes(), value);
    let (one, other) = (stored(1), stored(2));
    let damaged = |uid| {
        let error = disk.store.view().person(uid).unwrap_err().to_string();
        assert!(error.starts_with("person is damaged") || error.starts_with("a row of"), "{error}");
        disk.store.digest().unwrap_err();
    };
    put(1, &other).unwrap();
    damaged(1);
    let mut changed = one.clone();
    *changed.last_mut().unwrap() ^= 1;
    put(1, &changed).unwrap();
    damaged(1);
    put(1, &one).unwrap();
    assert!(disk.store.view().person(1).unwrap().is_some());
}
