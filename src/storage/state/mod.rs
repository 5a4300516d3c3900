//! The state machine on disk: what the log says, as tables.
//!
//! ```text
//! state/CURRENT          -> g000002                       the live generation, swapped by one rename
//! state/g000002/            RocksDB
//!
//!   table            key                                value
//!   person           uid                                the record's current version
//!   history          uid, revision descending           its earlier versions
//!   superseded       revision, uid                      when that version took the place of an earlier one
//!   alias            'p' personal id                    whose it is, and was before a merge
//!                    'c' CMND number, uid               one who holds it, or held it
//!                    'd' credential, uid                the same
//!                    'h' residence file, uid            the same
//!                    'n' name, birth date, uid          the same
//!   request          agency, request id                 the first reply
//!   request_expiry   time, agency, request id           -
//!   node             node id                            whom it was given to
//!   meta             "applied", "membership"            how far the log was applied, and the counters
//!
//! snapshots/<id>/           the newest complete snapshot: a checkpoint of RocksDB and MANIFEST.dancu
//! incoming/<id>/            a snapshot that another node is sending
//! ```
//!
//! # Writing
//! `apply` takes entries in order; `domain` decides each command; rows, replies, counters, chain hash and the last
//! entry applied go into ONE write batch (`apply`, `rows`, `requests`). So the tables are always the state after some
//! entry, and say after which.
//!
//! # Why there is no write-ahead log
//! The Raft log is one already. The tables live in memory until RocksDB flushes them, all tables together
//! (`atomic_flush`): after a crash they are the state after some earlier entry, and the log from there on, applied
//! again, makes the same state again, byte for byte. Two rules make this safe, and raft keeps them:
//!
//! - An entry is applied only once it is durable in this node's log: the state is never ahead of its log.
//! - The log is purged only behind a durable snapshot. A snapshot begins with a flush, so the tables on disk are never
//!   behind the newest one; should they be (the folder was emptied), it is installed when the store opens.
//!
//! # Reading
//! Every version of a record is kept until compaction, so a view is simply a revision (`view`): owned, free of locks, and the same
//! thing for "now" as for "as of last year". A key leads to the person who had it then (`resolve`): a cancelled number
//! to the same one, a key of a record that was merged to the one that stayed.
//!
//! # Compaction
//! Versions superseded before an instant go when the log says so (`compact`), in the order in which they were, a few
//! at a time: which ones depends on the log alone. The first revision that can still be read as of is part of the
//! state's position. Reads as of it and later are what they were before; earlier ones are refused.
//!
//! # Generations
//! A snapshot from the leader replaces everything at once (`install`). It becomes a RocksDB of its own beside the live
//! one, made of hard links; one rename makes it live. Readers of the old one finish in peace and its folder goes with
//! the last of them. A crash at any point opens the old one or the new one; leftovers go at the next start.
//!
//! # Faults
//! Any error of `apply` or `install` is final: the store takes no more entries, and the node stops. A flush or
//! compaction that failed in the background surfaces with the next `apply`.
//!
//! Deliberately absent: a snapshot in memory, a lock held while reading, and compaction of personal ids and of the
//! numbers that a merge handed on: they lead to their person for ever.

mod apply;
mod chain;
mod commands;
mod compact;
mod digest;
mod files;
mod find;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod generation;
mod install;
mod open;
mod options;
mod part;
mod position;
mod receive;
mod requests;
mod resolve;
mod rows;
mod snapshot;
mod tables;
#[cfg(test)]
pub(super) mod tests;
mod view;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use rocksdb::ReadOptions;
use tokio::sync::watch;

use self::chain::ChainPoints;
use self::generation::Generation;
use self::position::Position;
use self::tables::{RECEIPT_KEYS, Row, Table};
use self::view::Tables;
use crate::domain::command::View;
use crate::failpoint::{Failpoint, reached};
use crate::proto::registry::Checkpoint;
use crate::proto::store::{Applied, Entry, LogId, NodeRow, ReceiptKeysRow, Reply, SnapshotManifest};
use crate::storage::error::StorageError;

pub use self::digest::Digest;
pub use self::find::NameCursor;
pub use self::options::{StateObserver, StateOptions};
pub use self::position::FirstRevision;
pub use self::receive::{Incoming, ReceiveError};
pub use self::resolve::Resolved;
pub use self::snapshot::{Frozen, Snapshot};
pub use self::view::{AsOf, AsOfError, ReadError, StateView};

/// How far the state is, as it is watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppliedMark {
    /// Index of the last entry applied.
    pub index: Option<u64>,
    /// The registry's revision.
    pub revision: u64,
}

/// The state machine on disk. Cheap to clone; RocksDB is flushed and closed with the last clone and view.
#[derive(Clone)]
pub struct StateStore(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    options: StateOptions,
    rocks: rocksdb::Options,
    observer: Arc<dyn StateObserver>,
    live: RwLock<Live>,
    writer: Mutex<Writer>,
    mark: watch::Sender<AppliedMark>,
    points: Mutex<ChainPoints>,
    newest: Mutex<Option<Snapshot>>,
    /// Number of the last transfer that began; held while one writes.
    incoming_turn: Mutex<u64>,
}

/// The live generation and how far it is: always swapped together.
#[derive(Clone)]
struct Live {
    generation: Arc<Generation>,
    position: Arc<Position>,
}

/// What only the one that changes the state needs.
#[derive(Default)]
struct Writer {
    /// See `requests`.
    earliest_expiry: u64,
    /// The fault that ended it.
    failed: Option<String>,
}

impl Writer {
    /// Whether the state may be changed.
    fn check(&self) -> Result<(), StorageError> {
        match &self.failed {
            None => Ok(()),
            Some(reason) => Err(StorageError::stopped(reason)),
        }
    }

    /// Passes on the outcome of a change; a fault is the last one.
    fn note<T>(&mut self, outcome: Result<T, StorageError>) -> Result<T, StorageError> {
        if let Err(error) = &outcome {
            self.failed = Some(error.to_string());
        }
        outcome
    }
}

impl StateStore {
    /// The last entry applied, the last membership and the counters.
    pub fn applied(&self) -> Applied {
        self.live().position.to_applied()
    }

    /// The last entry applied.
    pub fn last_applied(&self) -> Option<LogId> {
        self.live().position.log_id
    }

    /// Follows how far the state is.
    pub fn watch(&self) -> watch::Receiver<AppliedMark> {
        self.0.mark.subscribe()
    }

    /// Applies entries that follow the last one applied: all of them or, after an error, none from some entry on.
    /// Returns the replies to each entry's commands, in order; none for blank and membership entries. On return views
    /// see the result; it is durable because the log is. Blocks; calls wait for each other.
    ///
    /// # Errors
    /// `Corrupt` for an entry that is not later than the last one or cannot be decoded, and faults of the disk. Any error is
    /// final: later calls fail with `Stopped`.
    pub fn apply(&self, entries: &[Entry]) -> Result<Vec<Vec<Reply>>, StorageError> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let mut writer = locked(&self.0.writer);
        writer.check()?;
        let mut replies = Vec::with_capacity(entries.len());
        while replies.len() < entries.len() {
            let applied = self.apply_to(self.live(), writer.earliest_expiry, &entries[replies.len()..]);
            let outcome = writer.note(applied)?;
            writer.earliest_expiry = outcome.earliest_expiry;
            replies.extend(outcome.replies);
        }
        let commands = replies.iter().map(Vec::len).sum();
        self.0.observer.applied(entries.len(), commands, started.elapsed());
        Ok(replies)
    }

    fn apply_to(
        &self,
        live: Live,
        earliest_expiry: u64,
        entries: &[Entry],
    ) -> Result<Applying, StorageError> {
        let outcome = apply::decide(&live.generation, &live.position, earliest_expiry, entries)?;
        live.generation.begin_at(outcome.position.first);
        reached(Failpoint::ApplyDecided);
        live.generation.write(outcome.batch)?;
        reached(Failpoint::ApplyWritten);
        if outcome.compacted > 0 {
            self.0.observer.compacted(outcome.compacted);
        }
        self.go_live(Live { position: outcome.position.into(), ..live }, outcome.points);
        Ok(Applying { replies: outcome.replies, earliest_expiry: outcome.earliest_expiry })
    }

    /// One consistent view of the state as it is now.
    pub fn view(&self) -> StateView {
        let live = self.live();
        StateView::new(live.generation, &live.position)
    }

    /// The row of a node id that was given out.
    ///
    /// # Errors
    /// Faults of this node's disk.
    pub fn node(&self, id: u64) -> Result<Option<NodeRow>, StorageError> {
        Tables::new(&self.live().generation).node(id)
    }

    /// The last checkpoint of a node's audit log.
    ///
    /// # Errors
    /// Faults of this node's disk.
    pub fn audit_checkpoint(&self, node_id: u64) -> Result<Option<Checkpoint>, StorageError> {
        Ok(Tables::new(&self.live().generation).audit_log(node_id)?.and_then(|row| row.checkpoint))
    }

    /// The receipt keys of all nodes that ever had one, in the order of their ids.
    ///
    /// # Errors
    /// Faults of this node's disk.
    pub fn receipt_keys(&self) -> Result<Vec<(u64, ReceiptKeysRow)>, StorageError> {
        let live = self.live();
        let rows = live.generation.rows_from(Table::Meta, RECEIPT_KEYS, ReadOptions::default());
        let mut all = Vec::new();
        for row in rows {
            let (key, value) = row?;
            let Some(id) = key.strip_prefix(RECEIPT_KEYS) else { break };
            all.push((tables::id_of(Table::Meta, id)?, ReceiptKeysRow::from_value(&value)?));
        }
        Ok(all)
    }

    /// The id of the node that has this name and was not retired.
    ///
    /// # Errors
    /// Faults of this node's disk.
    pub fn live_node_named(&self, name: &str) -> Result<Option<u64>, StorageError> {
        Tables::new(&self.live().generation).live_node_named(name)
    }

    /// The chain hash after the entry at `index`, if that is a multiple of 64, not too long ago and applied since
    /// this store was opened.
    pub fn chain_hash_at(&self, index: u64) -> Option<[u8; 32]> {
        locked(&self.0.points).at(index)
    }

    /// The newest point that [`StateStore::chain_hash_at`] knows.
    pub fn latest_hash_point(&self) -> Option<(u64, [u8; 32])> {
        locked(&self.0.points).latest()
    }

    /// Begins a snapshot of the state as it is now. Waits for `apply` and holds it up while RocksDB flushes; the rest
    /// of the work is in [`Frozen::finish`].
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn freeze(&self) -> Result<Frozen, StorageError> {
        let writer = locked(&self.0.writer);
        writer.check()?;
        let live = self.live();
        Frozen::new(self.clone(), &live.generation, live.position.as_ref().clone())
    }

    /// The newest complete snapshot.
    pub fn snapshot(&self) -> Option<Snapshot> {
        locked(&self.0.newest).clone()
    }

    /// Begins to receive a snapshot from another node, or goes on where an earlier transfer of it ended. Any other
    /// transfer to this node ends with `Superseded`.
    ///
    /// # Errors
    /// `Refused` for a manifest that breaks a rule, or a fault of the disk.
    pub fn receive(&self, manifest: SnapshotManifest) -> Result<Incoming, ReceiveError> {
        Incoming::new(self.clone(), manifest)
    }

    /// Reads the whole state and digests it; writes go on meanwhile.
    ///
    /// # Errors
    /// Faults of the disk, blocks that fail their checksum among them.
    pub fn digest(&self) -> Result<Digest, StorageError> {
        digest::digest(&self.live().generation)
    }

    fn live(&self) -> Live {
        self.0.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows a new position, or a new generation, to all who ask from now on.
    fn go_live(&self, live: Live, points: Vec<(u64, [u8; 32])>) {
        let position = live.position.clone();
        *self.0.live.write().unwrap_or_else(PoisonError::into_inner) = live;
        {
            let mut kept = locked(&self.0.points);
            for (index, hash) in points {
                kept.push(index, hash);
            }
        }
        let mark = AppliedMark { index: position.index(), revision: position.counters.revision };
        self.0.mark.send_replace(mark);
    }

    /// Makes a snapshot the newest, unless there is a newer one; the files of the older one go with its last handle.
    fn publish(&self, snapshot: &Snapshot) {
        let mut newest = locked(&self.0.newest);
        let old = match &*newest {
            Some(old) if old.folder() == snapshot.folder() || old.index() > snapshot.index() => return,
            _ => newest.replace(snapshot.clone()),
        };
        snapshot.keep(true);
        drop(newest);
        if let Some(old) = old {
            old.keep(false);
        }
    }

    fn options(&self) -> &StateOptions {
        &self.0.options
    }

    fn incoming_turn(&self) -> &Mutex<u64> {
        &self.0.incoming_turn
    }

    fn state_folder(&self) -> PathBuf {
        self.0.folder.join("state")
    }

    fn snapshots_folder(&self) -> PathBuf {
        self.0.folder.join("snapshots")
    }

    fn incoming_folder(&self) -> PathBuf {
        self.0.folder.join("incoming")
    }
}

/// What is left to do after the write.
struct Applying {
    replies: Vec<Vec<Reply>>,
    earliest_expiry: u64,
}

/// Locks a mutex. What it guards is changed in single steps, so a panic elsewhere leaves nothing half done (and the
/// process does not outlive a panic).
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for StateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateStore").field("index", &self.live().position.index()).finish_non_exhaustive()
    }
}
