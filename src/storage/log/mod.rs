//! The Raft log on disk: entries, the vote, and what is committed and purged.
//!
//! A node may tell its leader "I have it" only once an fsync says so, and an fsync takes as long as a thousand
//! entries take to encode. Everything here serves to let as many entries as possible share one, and to stop at once
//! when the disk is not to be trusted.
//!
//! ```text
//! append ─┐                  ┌─> cache ──────────────┐
//! vote   ─┼─> Front (a lock) ┤                       ├─> read
//! purge  ─┘                  └─> queue               │
//!                                  │                 │
//!                             I/O thread ──> RocksDB ┘
//!                                  │    \
//!                                  │     └──> raft.mark    after each fsync: vote, last entry
//!                                  └──> durable id, then the callers, in order
//! ```
//!
//! - `front`: the log as callers see it, and the queue. An append is readable when the call returns.
//! - `cache`: the newest entries, so that replication and apply seldom go to RocksDB.
//! - `io_thread`: drains, writes one batch, syncs once. The sync in progress is the batching window.
//! - `open`: what was found is held against what was promised.
//! - `table`: the rows and how they are checked. `read`: cache and table seen as one.
//! - `mark`: what this node has promised, outside of RocksDB, so that a log that lost its end is refused.
//!
//! # What holds
//! 1. Order: votes, appends, truncations and purges reach the disk in the order of the calls.
//! 2. A callback is called exactly once: `Ok` after the fsync, or `Err` after a fault; in the order of the calls.
//! 3. After a fault nothing is written any more and every later call gets that fault. No fsync is repeated.
//! 4. The durable id never names an entry that was truncated. It goes down when the log does.
//! 5. An entry is read as it was written, or the read fails: never another, never fewer without a word.
//! 6. A log that holds less than what was acknowledged is not opened (`mark` says how far that goes).
//!
//! # What is deliberately absent
//! No index besides RocksDB's: entries are small and few to read. No compression: entries live for minutes. No file
//! deletion at a purge: the range is deleted by one tombstone, and RocksDB drops the rows as it compacts, while a
//! dropped file could not be undone if the purge itself were lost in a crash. No repair: the other nodes have it all.

mod cache;
mod front;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod io_thread;
mod mark;
mod open;
mod read;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use self::front::{Front, Sleep};
use self::io_thread::refuse;
use self::mark::Mark;
use self::table::Table;
use super::error::StorageError;
use super::sealing::Keyring;
use crate::proto::store::{LogId, Vote};

/// Called once when the disk has it, or never will. Runs on the I/O thread, or on the caller's if the store has
/// stopped before: it must be short and must not call the store.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// An entry of the log.
#[derive(Clone, PartialEq)]
pub struct LogEntry {
    /// Its place.
    pub id: LogId,
    /// The encoded `store::Entry`, its id included. Cache and network share these bytes, and the disk unless it holds
    /// them sealed.
    pub bytes: Bytes,
}

/// Shows no content: it may be a citizen's.
impl fmt::Debug for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogEntry").field("id", &self.id).field("bytes", &self.bytes.len()).finish()
    }
}

/// Sizes. The defaults suit a node with a gigabyte of memory or more.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Memory for the newest entries, in bytes. Entries that are not durable yet are kept beyond it.
    pub cache_bytes: usize,
    /// An append waits while more than this is queued, in bytes.
    pub queue_bytes: usize,
    /// The most that goes into one write, in bytes: the last op may exceed it.
    pub batch_bytes: usize,
    /// The most that goes into one write, in calls.
    pub batch_ops: usize,
    /// The keys of the entries on disk; none by default.
    pub keyring: Arc<Keyring>,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 16 << 20,
            queue_bytes: 64 << 20,
            batch_bytes: 4 << 20,
            batch_ops: 1024,
            keyring: Arc::default(),
        }
    }
}

/// Is told what the disk does. Called on the I/O thread.
pub trait LogObserver: Send + Sync {
    /// One fsync made `entries` entries of `bytes` bytes in all durable (none for a vote alone).
    fn flushed(&self, entries: usize, bytes: usize, took: Duration);
    /// So many calls were taken off the queue at once.
    fn queue_depth(&self, ops: usize);
}

/// Looks away.
impl LogObserver for () {
    fn flushed(&self, _entries: usize, _bytes: usize, _took: Duration) {}
    fn queue_depth(&self, _ops: usize) {}
}

/// The log. Clones share it; the last one to go closes it.
#[derive(Clone)]
pub struct LogStore {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    options: LogOptions,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What callers and the I/O thread share.
struct Shared {
    front: Mutex<Front>,
    /// There is work, or the store was closed.
    work: Condvar,
    /// The queue got shorter, or the store has stopped.
    space: Condvar,
    /// As `work`, for the task that is the I/O thread of a simulation.
    #[cfg(test)]
    simulated_work: tokio::sync::Notify,
    table: Table,
    durable: watch::Receiver<Option<LogId>>,
}

/// Makes the log's mark in a data folder that is about to get an identity. From then on a folder without a mark is one
/// that lost its log.
pub(super) fn prepare(data: &Path) -> Result<(), StorageError> {
    Mark::create(data)
}

impl LogStore {
    /// Opens the log in the data folder `data`, and makes it if the folder is new. Blocks: RocksDB replays its
    /// write-ahead log and syncs what it finds.
    ///
    /// # Errors
    /// `BehindMark` if the log holds less than was acknowledged; `Corrupt`, `Format`, `Locked`, `Full`, `Io` and
    /// `Rocks` as they are described.
    pub fn open(
        data: &Path,
        options: &LogOptions,
        observer: Arc<dyn LogObserver>,
    ) -> Result<Self, StorageError> {
        open::open(data, options, observer)
    }

    /// Adds entries that follow the last one; they are readable on return and durable when `done` is told so. Returns
    /// without waiting for the disk, unless more than `queue_bytes` are queued.
    pub fn append(&self, entries: Vec<LogEntry>, done: Done) {
        let mut front = self.shared().front();
        while front.is_full(self.inner.options.queue_bytes) && front.check_open().is_ok() {
            front = self.shared().space.wait(front).expect(NO_PANIC);
        }
        if let Err(error) = front.check_open() {
            drop(front);
            return refuse(done, error);
        }
        if !front.follows(&entries) {
            let last = front.last.map(|id| id.index);
            drop(front);
            let text = format!("entries must follow the last one, {last:?}, without a gap; none was taken");
            return done(Err(io::Error::new(io::ErrorKind::InvalidInput, text)));
        }
        front.append(entries, done);
        self.shared().wake(&front);
    }

    /// Replaces the vote; durable when `done` is told so.
    pub fn save_vote(&self, vote: Vote, done: Done) {
        let mut front = self.shared().front();
        if let Err(error) = front.check_open() {
            drop(front);
            return refuse(done, error);
        }
        front.save_vote(vote, done);
        self.shared().wake(&front);
    }

    /// Removes the entries after `last`, or all. They are not read any more on return, and the durable id has gone
    /// down. Nothing happens if the log ends there anyway.
    pub fn truncate_after(&self, last: Option<LogId>) {
        let mut front = self.shared().front();
        if front.check_open().is_ok() && front.truncate_after(last) {
            self.shared().wake(&front);
        }
    }

    /// Removes the entries up to and with `upto`. If it lies beyond the last entry, the log is empty then and goes on
    /// after `upto`, which must be held by a durable snapshot.
    pub fn purge(&self, upto: LogId) {
        let mut front = self.shared().front();
        if front.check_open().is_ok() && front.purge(upto) {
            self.shared().wake(&front);
        }
    }

    /// Notes what is committed. Written within some 20 ms and not synced: after a crash it may be older, never newer
    /// than the entries found.
    pub fn save_committed(&self, id: Option<LogId>) {
        let mut front = self.shared().front();
        if front.committed == id {
            return;
        }
        front.committed = id;
        front.committed_changed = true;
        if front.sleep == Sleep::Asleep {
            self.shared().signal();
        }
    }

    /// The last vote saved, durable or not.
    pub fn vote(&self) -> Option<Vote> {
        self.shared().front().vote
    }

    /// What was last noted as committed.
    pub fn committed(&self) -> Option<LogId> {
        self.shared().front().committed
    }

    /// The last entry, durable or not; if none is held, the last one purged.
    pub fn last(&self) -> Option<LogId> {
        self.shared().front().last
    }

    /// The last entry purged.
    pub fn purged(&self) -> Option<LogId> {
        self.shared().front().purged
    }

    /// The entries from `from` to before `to_exclusive` that the log holds: those purged and those after the last are
    /// left out. Stops before `max_bytes` are exceeded, but returns at least one entry if there is any. May read from
    /// disk.
    ///
    /// # Errors
    /// `Corrupt` if an entry is damaged or missing; `Stopped` after a fault; `Rocks`.
    pub fn read(
        &self,
        from: u64,
        to_exclusive: u64,
        max_bytes: usize,
    ) -> Result<Vec<LogEntry>, StorageError> {
        read::read(self.shared(), from, to_exclusive, max_bytes)
    }

    /// Follows the last durable entry: all up to it survive a power cut. An id purged beyond the last entry counts as
    /// durable, for the snapshot is. After a fault the channel is closed: see [`LogStore::failed`].
    pub fn durable(&self) -> watch::Receiver<Option<LogId>> {
        self.shared().durable.clone()
    }

    /// The fault that stopped the store, if one did.
    pub fn failed(&self) -> Option<String> {
        self.shared().front().failed.clone()
    }

    /// Writes what is queued, calls those who wait and ends the I/O thread. Blocks until then. Later calls to change
    /// the log are refused. The folder is free for another once the last clone is dropped.
    pub fn close(&self) {
        self.inner.close();
    }

    fn shared(&self) -> &Shared {
        &self.inner.shared
    }
}

impl Inner {
    fn close(&self) {
        self.shared.front().closed = true;
        self.shared.signal();
        self.shared.space.notify_all();
        let thread = self.thread.lock().expect(NO_PANIC).take();
        // A callback that held the last clone runs on the thread itself, which then ends by itself. A panic of the
        // thread has ended the process.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            let _ended = thread.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

const NO_PANIC: &str = "no code panics while it holds this lock";

impl Shared {
    fn new(front: Mutex<Front>, table: Table, durable: watch::Receiver<Option<LogId>>) -> Self {
        Self {
            front,
            work: Condvar::new(),
            space: Condvar::new(),
            #[cfg(test)]
            simulated_work: tokio::sync::Notify::new(),
            table,
            durable,
        }
    }

    fn front(&self) -> MutexGuard<'_, Front> {
        self.front.lock().expect(NO_PANIC)
    }

    /// Wakes the I/O thread if it does not look at the queue by itself: a system call saved for each append.
    fn wake(&self, front: &Front) {
        if front.sleep != Sleep::Awake {
            self.signal();
        }
    }

    /// Wakes the I/O thread.
    fn signal(&self) {
        self.work.notify_one();
        #[cfg(test)]
        self.simulated_work.notify_one();
    }

    /// Waits, as the I/O thread; true if the time ran out.
    fn wait_for_work<'a>(
        &self,
        front: MutexGuard<'a, Front>,
        limit: Option<Duration>,
    ) -> (MutexGuard<'a, Front>, bool) {
        match limit {
            Some(limit) => {
                let (front, result) = self.work.wait_timeout(front, limit).expect(NO_PANIC);
                (front, result.timed_out())
            }
            None => (self.work.wait(front).expect(NO_PANIC), false),
        }
    }
}
