//! The log as its callers see it: what was appended is there, what was truncated is gone, whether or not the disk
//! knows of it. Behind it stands the queue of what the I/O thread still has to do. All of it is under one lock that is
//! never held during I/O.

use std::collections::VecDeque;

use tokio::sync::watch;

use super::cache::{Cache, cost};
use super::table::Recovered;
use super::{Done, LogEntry, LogOptions};
use crate::proto::store::{LogId, Vote};
use crate::storage::error::StorageError;

/// One thing for the I/O thread to do.
pub(super) enum Op {
    /// Write entries.
    Append {
        /// The entries, in order.
        entries: Vec<LogEntry>,
        /// What they take in memory.
        cost: usize,
        /// Whom to tell once they are durable.
        done: Done,
    },
    /// Write the vote.
    Vote {
        /// The vote.
        vote: Vote,
        /// Whom to tell once it is durable.
        done: Done,
    },
    /// Delete the entries after `last`.
    Truncate {
        /// The last to keep.
        last: Option<LogId>,
    },
    /// Delete the entries up to and with `upto`.
    Purge {
        /// The last to delete.
        upto: LogId,
    },
}

impl Op {
    fn cost(&self) -> usize {
        match self {
            Self::Append { cost, .. } => *cost,
            Self::Vote { .. } | Self::Truncate { .. } | Self::Purge { .. } => 0,
        }
    }

    /// Takes out whom to tell.
    pub(super) fn into_done(self) -> Option<Done> {
        match self {
            Self::Append { done, .. } | Self::Vote { done, .. } => Some(done),
            Self::Truncate { .. } | Self::Purge { .. } => None,
        }
    }
}

/// What the I/O thread takes at once.
#[derive(Default)]
pub(super) struct Drained {
    /// In the order they were queued.
    pub(super) ops: Vec<Op>,
    /// What they take in memory.
    pub(super) bytes: usize,
    /// Set if what is committed is to be written too.
    pub(super) committed: Option<Option<LogId>>,
}

/// What the I/O thread does, so that it is woken only when it must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sleep {
    /// Working: it will look at the queue by itself.
    Awake,
    /// Waiting for a moment: it will look by itself for what need not be written at once.
    Dozing,
    /// Waiting until it is woken.
    Asleep,
}

/// See the module.
pub(super) struct Front {
    /// The newest entries.
    pub(super) cache: Cache,
    /// Index of the first entry held, or that the next one will have.
    pub(super) first: u64,
    /// The last entry, or the last purged if none is held.
    pub(super) last: Option<LogId>,
    /// The last entry purged.
    pub(super) purged: Option<LogId>,
    /// The vote.
    pub(super) vote: Option<Vote>,
    /// What is committed.
    pub(super) committed: Option<LogId>,
    /// Whether `committed` is newer than what is on disk.
    pub(super) committed_changed: bool,
    /// Counts truncations and purges.
    pub(super) epoch: u64,
    /// What the I/O thread does.
    pub(super) sleep: Sleep,
    /// No more work is taken.
    pub(super) closed: bool,
    /// The first fault, in full; nothing is done after it.
    pub(super) failed: Option<String>,
    queue: VecDeque<Op>,
    queued_bytes: usize,
    truncates_queued: usize,
    /// Taken away by a fault, so that whoever waits for an entry to become durable wakes up.
    durable: Option<watch::Sender<Option<LogId>>>,
}

impl Front {
    /// The log as it was found; everything found is durable, for RocksDB has synced it while it opened.
    pub(super) fn new(
        found: &Recovered,
        options: &LogOptions,
        durable: watch::Sender<Option<LogId>>,
    ) -> Self {
        durable.send_replace(found.last);
        Self {
            cache: Cache::new(options.cache_bytes),
            first: found.first,
            last: found.last,
            purged: found.purged,
            vote: found.vote,
            committed: found.committed,
            committed_changed: false,
            epoch: 0,
            sleep: Sleep::Awake,
            closed: false,
            failed: None,
            queue: VecDeque::new(),
            queued_bytes: 0,
            truncates_queued: 0,
            durable: Some(durable),
        }
    }

    /// An error if a fault has stopped the store.
    pub(super) fn check_sound(&self) -> Result<(), StorageError> {
        match &self.failed {
            Some(reason) => Err(StorageError::stopped(reason)),
            None => Ok(()),
        }
    }

    /// An error if the store takes no more work.
    pub(super) fn check_open(&self) -> Result<(), StorageError> {
        self.check_sound()?;
        if self.closed {
            return Err(StorageError::stopped("it was closed; what was acknowledged is on disk"));
        }
        Ok(())
    }

    /// Whether another append must wait.
    pub(super) fn is_full(&self, queue_bytes: usize) -> bool {
        self.queued_bytes >= queue_bytes
    }

    /// Whether the entries are consecutive and follow the last one. An empty log may begin anywhere.
    pub(super) fn follows(&self, entries: &[LogEntry]) -> bool {
        let expected = self.last.map(|last| last.index + 1).or(entries.first().map(|entry| entry.id.index));
        entries.iter().zip(expected.unwrap_or(0)..).all(|(entry, index)| entry.id.index == index)
    }

    /// Takes entries for which [`Front::follows`] holds.
    pub(super) fn append(&mut self, entries: Vec<LogEntry>, done: Done) {
        if let (None, Some(begin)) = (self.last, entries.first()) {
            self.first = begin.id.index;
        }
        let cost = entries.iter().map(cost).sum();
        for entry in &entries {
            self.cache.push(entry.clone());
        }
        self.last = entries.last().map(|entry| entry.id).or(self.last);
        self.queued_bytes += cost;
        self.queue.push_back(Op::Append { entries, cost, done });
    }

    /// Takes a vote.
    pub(super) fn save_vote(&mut self, vote: Vote, done: Done) {
        self.vote = Some(vote);
        self.queue.push_back(Op::Vote { vote, done });
    }

    /// Drops the entries after `keep`; false if there are none.
    pub(super) fn truncate_after(&mut self, keep: Option<LogId>) -> bool {
        let keep = if index(keep) < index(self.purged) { self.purged } else { keep };
        if index(keep) >= index(self.last) {
            return false;
        }
        self.last = keep;
        self.epoch += 1;
        self.cache.truncate_from(keep.map_or(0, |id| id.index + 1));
        if index(self.durable()) > index(keep) {
            self.set_durable(keep);
        }
        self.truncates_queued += 1;
        self.queue.push_back(Op::Truncate { last: keep });
        true
    }

    /// Drops the entries up to and with `upto`, which may lie beyond the last; false if they are gone already.
    pub(super) fn purge(&mut self, upto: LogId) -> bool {
        if index(self.purged) >= Some(upto.index) {
            return false;
        }
        self.purged = Some(upto);
        self.first = upto.index + 1;
        self.epoch += 1;
        self.cache.purge_before(self.first);
        if index(self.last) <= Some(upto.index) {
            self.last = Some(upto);
        }
        self.queue.push_back(Op::Purge { upto });
        true
    }

    /// Takes work off the queue, oldest first: at least one op if there is any, then as many as the limits allow.
    /// What is committed goes along only if the queue is then empty: on disk it must not be ahead of the entries.
    pub(super) fn drain(&mut self, options: &LogOptions) -> Drained {
        let mut drained = Drained::default();
        while drained.ops.len() < options.batch_ops && drained.bytes < options.batch_bytes {
            let Some(op) = self.queue.pop_front() else { break };
            drained.bytes += op.cost();
            self.truncates_queued -= usize::from(matches!(op, Op::Truncate { .. }));
            drained.ops.push(op);
        }
        self.queued_bytes -= drained.bytes;
        if self.queue.is_empty() && self.committed_changed {
            self.committed_changed = false;
            drained.committed = Some(self.committed);
        }
        drained
    }

    /// Whether anything is queued.
    pub(super) fn has_work(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The disk now holds the log up to and with `written`. What a truncation still in the queue will delete does not
    /// count: it is not part of the log any more.
    pub(super) fn publish(&mut self, written: Option<LogId>) {
        let mut durable = written;
        if self.truncates_queued > 0 {
            for op in &self.queue {
                if let Op::Truncate { last } = op
                    && index(*last) < index(durable)
                {
                    durable = *last;
                }
            }
        }
        self.set_durable(durable);
        self.cache.evict(index(durable));
    }

    /// Stops the store for good: returns those who wait, in order.
    pub(super) fn fail(&mut self, reason: String) -> Vec<Done> {
        self.failed = Some(reason);
        self.durable = None;
        self.queued_bytes = 0;
        self.truncates_queued = 0;
        self.queue.drain(..).filter_map(Op::into_done).collect()
    }

    fn durable(&self) -> Option<LogId> {
        self.durable.as_ref().and_then(|sender| *sender.borrow())
    }

    fn set_durable(&self, durable: Option<LogId>) {
        if let Some(sender) = &self.durable {
            sender.send_if_modified(|current| {
                let changed = *current != durable;
                *current = durable;
                changed
            });
        }
    }
}

/// The index alone: positions in one log are compared by it, and nothing at all comes before every position.
pub(super) fn index(id: Option<LogId>) -> Option<u64> {
    id.map(|id| id.index)
}
