//! A log whose entries are sealed on disk.

use super::*;
use crate::storage::sealing::Keyring;
use crate::storage::sealing::tests::sealed;

fn with(data: &Path, keyring: Arc<Keyring>) -> Result<LogStore, StorageError> {
    // Nothing is cached: what is read comes from disk.
    LogStore::open(data, &LogOptions { cache_bytes: 0, keyring, ..LogOptions::default() }, Arc::new(()))
}

#[test]
fn entries_are_sealed_on_disk_and_read_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    // The first ones in the clear, as in a folder from before.
    let log = with(dir.path(), Arc::default()).unwrap();
    append(&log, entries(1, 1..5));
    drop(log);
    for start in 1..4 {
        let log = with(dir.path(), sealed(dir.path(), 1)).unwrap();
        append(&log, entries(1, start * 5..start * 5 + 5));
        assert_eq!(log.read(1, u64::MAX, usize::MAX).unwrap(), entries(1, 1..start * 5 + 5));
    }
    let payload = |index: u64| vec![(31 + index) as u8; 100];
    let files = fs::read_dir(dir.path().join("raft")).unwrap().map(|file| fs::read(file.unwrap().path()));
    let content: Vec<u8> = files.flat_map(Result::unwrap).collect();
    let found = |index| content.windows(100).any(|part| part == payload(index));
    assert!(found(3), "the search does not find what is in the clear");
    assert!((5..20).all(|index| !found(index)), "an entry is in the clear");
}

#[test]
fn a_log_without_its_keys_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let log = with(dir.path(), sealed(dir.path(), 1)).unwrap();
    append(&log, entries(1, 1..5));
    drop(log);
    fs::remove_file(dir.path().join("keyring")).unwrap();
    let error = with(dir.path(), sealed(dir.path(), 1)).err().expect("refused").to_string();
    assert!(error.contains("entry 4") && error.contains("keyring does not hold"), "{error}");
}

#[test]
fn an_entry_in_anothers_place_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = with(dir.path(), sealed(dir.path(), 1)).unwrap();
    append(&log, entries(1, 1..5));
    let table = &log.shared().table;
    let mut batch = table.batch(100);
    let stray = LogEntry { id: id(1, 3), ..entry(1, 2, 100) };
    batch.put_entry(&stray);
    table.write(batch, true).unwrap();
    assert!(matches!(log.read(1, 5, usize::MAX), Err(StorageError::Corrupt { .. })));
}
