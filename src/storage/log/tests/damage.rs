//! The damage table: whatever happens to the files, the log opens with all that was acknowledged, or not at all.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::atomic::AtomicBool;

use super::*;

const COUNT: u64 = 300;

/// A folder as a crash leaves it: `COUNT` entries, each with an fsync of its own, and two votes among them.
fn crashed(dir: &Path) -> PathBuf {
    let data = dir.join("live");
    fs::create_dir(&data).unwrap();
    let log = open(&data).unwrap();
    for index in 0..COUNT {
        append(&log, vec![entry(1, index, 200)]);
        if index % 150 == 0 {
            save_vote(&log, vote(1 + index));
        }
    }
    copy(&data, &dir.join("crashed"))
}

/// The write-ahead log: the largest, for every column family starts with an empty one.
fn wal(data: &Path) -> PathBuf {
    files(data, "log").into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

fn files(data: &Path, extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(data.join("raft")).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn flip(path: &Path, offset: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
}

fn cut(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

/// Opens the damaged folder: all there, or refused with one of the errors that say so.
fn all_or_nothing(data: &Path, what: &str) -> Option<StorageError> {
    match open(data) {
        Ok(log) => {
            assert_eq!(log.last(), Some(id(1, COUNT - 1)), "{what}: opened with fewer");
            assert_eq!(log.vote(), Some(vote(151)), "{what}: opened with an older vote");
            let read = read_all(&log);
            assert!((0..COUNT).map(|index| entry(1, index, 200)).eq(read), "{what}: opened with others");
            None
        }
        Err(error @ (StorageError::BehindMark { .. } | StorageError::Corrupt { .. })) => Some(error),
        Err(error) => panic!("{what}: refused, but with {error}"),
    }
}

#[test]
fn the_write_ahead_log_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let base = crashed(dir.path());
    let len = fs::metadata(wal(&base)).unwrap().len();
    let mut copies = 0;
    let mut damaged = |what: &str, damage: &dyn Fn(&Path)| {
        copies += 1;
        let data = copy(&base, &dir.path().join(copies.to_string()));
        damage(&wal(&data));
        let first = all_or_nothing(&data, what);
        if first.is_some() {
            let again = all_or_nothing(&data, what);
            assert!(again.is_some(), "{what}: refused once, then opened");
        }
        first
    };

    assert!(damaged("untouched", &|_| ()).is_none());
    let torn = |path: &Path| {
        let file = OpenOptions::new().append(true).open(path).unwrap();
        io::Write::write_all(&mut &file, &[0x5a; 77]).unwrap();
    };
    assert!(damaged("torn tail", &torn).is_none());

    for part in 1..20 {
        let error = damaged("bit flip", &|path| flip(path, len * part / 20)).expect("noticed");
        assert!(matches!(error, StorageError::Corrupt { .. } | StorageError::BehindMark { .. }));
        let error = damaged("cut", &|path| cut(path, len * part / 20)).expect("noticed");
        assert!(matches!(error, StorageError::BehindMark { .. }), "{error}");
    }
    damaged("flip in the last record", &|path| flip(path, len - 10)).expect("noticed");
    damaged("last byte cut off", &|path| cut(path, len - 1)).expect("noticed");
    damaged("emptied", &|path| cut(path, 0)).expect("noticed");
    let error = damaged("deleted", &|path| fs::remove_file(path).unwrap()).expect("noticed");
    let text = error.to_string();
    assert!(text.contains("it holds no entry, no vote") && text.contains("entry 299 of term 1"), "{text}");
}

#[test]
fn a_lost_vote_is_noticed_though_every_entry_is_there() {
    let dir = tempfile::tempdir().unwrap();
    for (name, newer) in [("term", vote(8)), ("granted", Vote { committed: true, ..vote(7) })] {
        let data = dir.path().join(name);
        fs::create_dir(&data).unwrap();
        let log = open(&data).unwrap();
        append(&log, entries(1, 0..10));
        save_vote(&log, vote(7));
        save_vote(&log, newer);
        let crashed = copy(&data, &dir.path().join(format!("{name} crashed")));
        let wal = wal(&crashed);
        cut(&wal, fs::metadata(&wal).unwrap().len() - 1);
        let error = open(&crashed).err().expect("noticed");
        assert!(matches!(error, StorageError::BehindMark { .. }), "{error}");
    }
}

#[test]
fn the_whole_database_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let data = crashed(dir.path());
    fs::remove_dir_all(data.join("raft")).unwrap();
    let error = all_or_nothing(&data, "raft/ deleted").expect("noticed");
    assert!(matches!(error, StorageError::BehindMark { .. }), "{error}");
}

#[test]
fn the_mark_damaged_or_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let base = crashed(dir.path());
    let data = copy(&base, &dir.path().join("flip"));
    flip(&data.join("raft.mark"), 20);
    assert!(all_or_nothing(&data, "one slot damaged").is_none());
    let data = copy(&base, &dir.path().join("flips"));
    flip(&data.join("raft.mark"), 20);
    flip(&data.join("raft.mark"), 4096 + 20);
    assert!(all_or_nothing(&data, "both slots damaged").is_some());
    let data = copy(&base, &dir.path().join("deleted"));
    fs::remove_file(data.join("raft.mark")).unwrap();
    assert!(all_or_nothing(&data, "mark deleted").is_some());
}

#[test]
fn table_files_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let base = crashed(dir.path());
    drop(open(&base).unwrap());
    let name = files(&base, "sst")
        .into_iter()
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .and_then(|path| path.file_name().map(ToOwned::to_owned))
        .expect("recovery has written the entries to a table file");
    let len = fs::metadata(base.join("raft").join(&name)).unwrap().len();
    let mut refused = 0;
    for part in 0..20 {
        let data = copy(&base, &dir.path().join(part.to_string()));
        flip(&data.join("raft").join(&name), len * part / 20 + 7);
        let Ok(log) = open(&data) else {
            refused += 1;
            continue;
        };
        for index in 0..COUNT {
            match log.read(index, index + 1, 1) {
                Ok(read) => assert_eq!(read, [entry(1, index, 200)], "a wrong value was read"),
                Err(StorageError::Corrupt { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(refused > 15, "only {refused} reads noticed");
    let data = copy(&base, &dir.path().join("gone"));
    fs::remove_file(data.join("raft").join(&name)).unwrap();
    assert!(open(&data).is_err());
}

#[test]
fn a_row_that_is_not_what_was_written_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { cache_bytes: 0, ..LogOptions::default() };
    let log = LogStore::open(dir.path(), &options, Arc::new(())).unwrap();
    append(&log, entries(1, 0..10));
    let table = &log.shared().table;
    let mut rows = table.batch(0);
    rows.delete_entries(3..4);
    rows.put_row(6, &crate::storage::codec::seal(&entry(1, 7, 10).bytes));
    rows.put_row(8, b"\x01garbage behind the format byte");
    table.write(rows, false).unwrap();
    for (index, said) in [(3, "missing"), (6, "another entry"), (8, "checksum")] {
        let error = log.read(index, 10, usize::MAX).unwrap_err();
        assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains(said), "entry {index}: {error}");
    }
    assert_eq!(log.read(0, 3, usize::MAX).unwrap(), entries(1, 0..3));
}

#[test]
fn a_crash_in_the_middle_of_writes_keeps_what_was_durable() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    fs::create_dir(&live).unwrap();
    let log = open(&live).unwrap();
    append(&log, entries(1, 0..1));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let calls = Calls::new();
            let mut index = 1;
            while !stop.load(Ordering::SeqCst) {
                (0..20).for_each(|i| log.append(entries(1, index + i..index + i + 1), calls.done(())));
                (0..20).for_each(|_| calls.next().1.unwrap());
                index += 20;
            }
        });
        for crash in 0..15 {
            let durable = log.durable().borrow().unwrap();
            let crashed = copy(&live, &dir.path().join(crash.to_string()));
            let found = open(&crashed).unwrap();
            let last = found.last().unwrap();
            assert!(last.index >= durable.index, "{durable:?} was durable, {last:?} was found");
            assert_eq!(read_all(&found), entries(1, 0..last.index + 1));
        }
        stop.store(true, Ordering::SeqCst);
    });
}

#[test]
fn a_lost_truncation_does_not_look_like_damage() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    fs::create_dir(&live).unwrap();
    let log = open(&live).unwrap();
    append(&log, entries(1, 0..20));
    let before = copy(&live, &dir.path().join("before"));
    log.truncate_after(Some(id(1, 9)));
    log.close();
    // The truncation itself is not synced: a power cut may leave the log before it, with the mark after it.
    fs::copy(live.join("raft.mark"), before.join("raft.mark")).unwrap();
    let found = open(&before).unwrap();
    assert_eq!(read_all(&found), entries(1, 0..20));
}
