//! Tests of the log store as a whole; the pieces have theirs beside them.

mod basic;
mod damage;
mod faults;
mod random;
mod sealed;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use super::{Done, LogEntry, LogObserver, LogOptions, LogStore};
use crate::proto::store::{Entry, LogId, Vote, entry::Payload};
use crate::storage::error::StorageError;

/// Longer than any disk takes; a test that waits this long has failed.
const DEADLINE: Duration = Duration::from_secs(60);

fn id(term: u64, index: u64) -> LogId {
    LogId { term, leader_id: 1, index }
}

fn vote(term: u64) -> Vote {
    Vote { term, node_id: 1, committed: false }
}

/// An entry with `size` bytes of payload that depend on its place.
fn entry(term: u64, index: u64, size: usize) -> LogEntry {
    let id = id(term, index);
    let payload = vec![(term * 31 + index) as u8; size];
    let entry = Entry { log_id: Some(id), payload: Some(Payload::Batch(Bytes::from(payload))) };
    LogEntry { id, bytes: Bytes::from(entry.encode_to_vec()) }
}

fn entries(term: u64, indexes: std::ops::Range<u64>) -> Vec<LogEntry> {
    indexes.map(|index| entry(term, index, 100)).collect()
}

fn open(data: &Path) -> Result<LogStore, StorageError> {
    LogStore::open(data, &LogOptions::default(), Arc::new(()))
}

/// Collects what callbacks are told, in the order they are called.
struct Calls<T> {
    sender: mpsc::Sender<(T, io::Result<()>)>,
    receiver: mpsc::Receiver<(T, io::Result<()>)>,
}

impl<T: Send + 'static> Calls<T> {
    fn new() -> Self {
        let (sender, receiver) = mpsc::channel();
        Self { sender, receiver }
    }

    fn done(&self, tag: T) -> Done {
        let sender = self.sender.clone();
        Box::new(move |result| sender.send((tag, result)).unwrap())
    }

    fn next(&self) -> (T, io::Result<()>) {
        self.receiver.recv_timeout(DEADLINE).expect("a callback within the deadline")
    }
}

fn append(log: &LogStore, entries: Vec<LogEntry>) {
    let calls = Calls::new();
    log.append(entries, calls.done(()));
    calls.next().1.unwrap();
}

/// Saves the vote, and so waits until everything before it is written.
fn save_vote(log: &LogStore, vote: Vote) {
    let calls = Calls::new();
    log.save_vote(vote, calls.done(()));
    calls.next().1.unwrap();
}

fn read_all(log: &LogStore) -> Vec<LogEntry> {
    log.read(0, u64::MAX, usize::MAX).unwrap()
}

/// Keeps the I/O thread inside a callback until it is dropped, so that what is queued meanwhile stays queued.
struct Hold {
    _release: mpsc::Sender<()>,
}

impl Hold {
    /// Appends the entries and holds the thread in their callback.
    fn at(log: &LogStore, entries: Vec<LogEntry>) -> Self {
        let (release, held) = mpsc::channel::<()>();
        let (entered, in_callback) = mpsc::channel();
        log.append(
            entries,
            Box::new(move |result| {
                result.unwrap();
                entered.send(()).unwrap();
                let _released = held.recv();
            }),
        );
        in_callback.recv_timeout(DEADLINE).expect("the callback runs");
        Self { _release: release }
    }
}

#[derive(Default)]
struct Counter {
    fsyncs: AtomicUsize,
    entries: AtomicUsize,
    largest: AtomicUsize,
    depths: Mutex<Vec<usize>>,
}

impl LogObserver for Counter {
    fn flushed(&self, entries: usize, _bytes: usize, _took: Duration) {
        self.fsyncs.fetch_add(1, Ordering::SeqCst);
        self.entries.fetch_add(entries, Ordering::SeqCst);
        self.largest.fetch_max(entries, Ordering::SeqCst);
    }

    fn queue_depth(&self, ops: usize) {
        self.depths.lock().unwrap().push(ops);
    }
}

/// Copies the folder as a crash would leave it: the mark first, for in life it is written last. RocksDB may replace
/// files in the background, and a copy that mixes before and after would be no moment of its life: then once more.
fn copy(data: &Path, to: &Path) -> PathBuf {
    let raft = data.join("raft");
    loop {
        let before = listing(&raft);
        fs::create_dir_all(to.join("raft")).unwrap();
        fs::copy(data.join("raft.mark"), to.join("raft.mark")).unwrap();
        let copied =
            before.iter().all(|(name, _)| fs::copy(raft.join(name), to.join("raft").join(name)).is_ok());
        if copied && listing(&raft) == before {
            return to.to_owned();
        }
        fs::remove_dir_all(to).unwrap();
    }
}

/// The files' names, and the sizes of those that say which files count.
fn listing(raft: &Path) -> Vec<(String, u64)> {
    let mut files: Vec<_> = fs::read_dir(raft)
        .unwrap()
        .filter_map(|file| {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            let len = if name.starts_with("MANIFEST") { file.metadata().ok()?.len() } else { 0 };
            (name != "LOCK").then_some((name, len))
        })
        .collect();
    files.sort();
    files
}
