//! A disk that fails, and folders that are not to be opened.

use super::*;
use crate::storage::data_dir::{DataDir, Identity};

#[test]
fn after_a_fault_everyone_is_told_and_nothing_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { batch_ops: 1, ..LogOptions::default() };
    let log = LogStore::open(dir.path(), &options, Arc::new(())).unwrap();
    append(&log, entries(1, 0..5));
    let mut durable = log.durable();
    let hold = Hold::at(&log, entries(1, 5..6));
    let calls = Calls::new();
    log.append(entries(1, 6..8), calls.done(1));
    log.save_vote(vote(9), calls.done(2));
    log.append(entries(1, 8..9), calls.done(3));
    let broken = &log.shared().table.broken;
    broken.store(true, Ordering::SeqCst);
    drop(hold);
    for expected in 1..=3 {
        let (tag, result) = calls.next();
        assert_eq!(tag, expected);
        assert!(result.unwrap_err().to_string().contains("injected fault"));
    }
    let reason = log.failed().expect("the store says that it failed");
    assert!(reason.contains("injected fault"), "{reason}");

    broken.store(false, Ordering::SeqCst);
    log.append(entries(1, 9..10), calls.done(4));
    log.save_vote(vote(10), calls.done(5));
    log.truncate_after(None);
    log.purge(id(1, 3));
    assert_eq!((calls.next().0, calls.next().0), (4, 5));
    assert!(matches!(log.read(0, 5, 100), Err(StorageError::Stopped { .. })));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let waited = runtime.block_on(async {
        let waiting = durable.wait_for(|id| id.is_some_and(|id| id.index >= 6));
        tokio::time::timeout(DEADLINE, waiting).await.expect("wakes up").is_err()
    });
    assert!(waited, "who waits for the disk learns that it will not come");
    log.close();
    drop(log);

    let log = open(dir.path()).unwrap();
    assert_eq!(read_all(&log), entries(1, 0..6), "what was acknowledged, and nothing that was refused");
}

#[test]
fn an_append_that_waits_for_space_is_told_of_the_fault() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { queue_bytes: 100, ..LogOptions::default() };
    let log = LogStore::open(dir.path(), &options, Arc::new(())).unwrap();
    let hold = Hold::at(&log, entries(1, 0..1));
    let calls = Calls::new();
    log.append(entries(1, 1..2), calls.done(1));
    let (waiting, done) = (log.clone(), calls.done(2));
    let blocked = std::thread::spawn(move || waiting.append(entries(1, 2..3), done));
    log.shared().table.broken.store(true, Ordering::SeqCst);
    drop(hold);
    blocked.join().unwrap();
    assert!(calls.next().1.is_err() && calls.next().1.is_err());
}

#[test]
fn a_log_is_open_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path()).unwrap();
    let error = open(dir.path()).err().expect("the second open is refused");
    assert!(matches!(error, StorageError::Locked { .. }), "{error}");
    drop(log);
    open(dir.path()).unwrap();
}

/// Lives as long as the I/O thread does: its sender goes after RocksDB is closed.
struct Alive(#[expect(dead_code, reason = "held, so that its end is noticed")] mpsc::Sender<()>);

impl LogObserver for Alive {
    fn flushed(&self, _entries: usize, _bytes: usize, _took: Duration) {}
    fn queue_depth(&self, _ops: usize) {}
}

#[test]
fn a_callback_may_hold_the_last_clone() {
    let dir = tempfile::tempdir().unwrap();
    let (alive, ended) = mpsc::channel();
    let log = LogStore::open(dir.path(), &LogOptions::default(), Arc::new(Alive(alive))).unwrap();
    let calls = Calls::new();
    let (done, held) = (calls.done(()), log.clone());
    log.append(
        entries(1, 0..1),
        Box::new(move |result| {
            drop(held);
            done(result);
        }),
    );
    drop(log);
    calls.next().1.unwrap();
    assert_eq!(ended.recv_timeout(DEADLINE), Err(mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn a_node_of_a_cluster_that_lost_its_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = DataDir::open(dir.path(), "a").unwrap();
    data.adopt(Identity { cluster_id: "c".to_owned(), node_id: 1, name: "a".to_owned() }).unwrap();
    open(dir.path()).unwrap();
    fs::remove_dir_all(dir.path().join("raft")).unwrap();
    fs::remove_file(dir.path().join("raft.mark")).unwrap();
    let error = open(dir.path()).err().expect("refused");
    assert!(error.to_string().contains("raft.mark is missing"), "{error}");
}
