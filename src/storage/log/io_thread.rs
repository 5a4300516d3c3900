//! The one thread that writes: takes all that is queued, writes it as one RocksDB batch, syncs it once, says so. While
//! it waits for the disk the next batch gathers by itself, so that the more callers there are the more of them share
//! a sync, and no timer delays the only one.
//!
//! ```text
//! drain -> lower the mark if the log gets shorter -> one WriteBatch, one fsync -> raise the mark
//!       -> publish the durable id -> call those who wait, in order
//! ```
//!
//! Only entries and votes are worth an fsync. A truncation or purge that is lost in a power cut is done again. What
//! is committed is a hint that spares a restarted node work, so it rides along with the next batch, or is written once
//! nothing else came for a moment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::front::{Drained, Front, Op, Sleep, index};
use super::mark::{Mark, Promise};
use super::table::{Batch, Recovered};
use super::{Done, LogObserver, LogOptions, Shared};
use crate::defect::{self, Defect};
use crate::failpoint::{Failpoint, reached};
use crate::proto::store::{LogId, Vote};
use crate::storage::error::StorageError;

/// How long what is committed may wait for a batch to ride along with.
const DOZE: Duration = Duration::from_millis(20);

/// The thread's own knowledge: what the disk holds.
pub(super) struct IoThread {
    shared: Arc<Shared>,
    options: LogOptions,
    observer: Arc<dyn LogObserver>,
    mark: Mark,
    on_disk: OnDisk,
}

/// The log as it is in RocksDB, or will be once the batch at hand is written.
struct OnDisk {
    vote: Option<Vote>,
    first: u64,
    last: Option<LogId>,
}

/// What a batch is, counted while it is put together.
#[derive(Default)]
struct Tally {
    entries: usize,
    bytes: usize,
    vote: bool,
    sync: bool,
}

impl IoThread {
    /// A thread to be, over the log as it was found.
    pub(super) fn new(
        shared: Arc<Shared>,
        options: LogOptions,
        observer: Arc<dyn LogObserver>,
        mark: Mark,
        found: &Recovered,
    ) -> Self {
        let on_disk = OnDisk { vote: found.vote, first: found.first, last: found.last };
        Self { shared, options, observer, mark, on_disk }
    }

    /// Works until the store is closed and the queue is empty, or until the first fault.
    pub(super) fn run(mut self) {
        while let Some(drained) = self.next() {
            if let Err(error) = self.write(&drained) {
                return self.fail(drained, &error);
            }
            self.publish(drained);
        }
        if let Err(error) = self.mark.sync() {
            self.fail(Drained::default(), &error);
        }
    }

    /// As [`Self::run`], as a task of a simulation. A crash ends it at any of its waits: what is queued then is lost, what was
    /// written before its callers heard of it is not.
    #[cfg(test)]
    pub(super) async fn run_simulated(mut self) {
        use crate::simulated;
        loop {
            let Some(drained) = self.next_simulated().await else { break };
            tokio::time::sleep(simulated::sync_time()).await;
            if let Err(error) = self.write(&drained) {
                return self.fail(drained, &error);
            }
            tokio::time::sleep(simulated::sync_time()).await;
            self.publish(drained);
        }
        if let Err(error) = self.mark.sync() {
            self.fail(Drained::default(), &error);
        }
    }

    /// As [`Self::next`].
    #[cfg(test)]
    async fn next_simulated(&self) -> Option<Drained> {
        let mut quiet = false;
        loop {
            if let Some(taken) = self.take(&mut self.shared.front(), quiet) {
                return taken;
            }
            let work = self.shared.simulated_work.notified();
            if quiet {
                work.await;
                quiet = false;
            } else {
                quiet = tokio::time::timeout(DOZE, work).await.is_err();
            }
            self.shared.front().sleep = Sleep::Awake;
        }
    }

    /// Waits for work; `None` once there will be no more.
    fn next(&self) -> Option<Drained> {
        let mut front = self.shared.front();
        let mut quiet = false;
        loop {
            if let Some(taken) = self.take(&mut front, quiet) {
                return taken;
            }
            (front, quiet) = self.shared.wait_for_work(front, if quiet { None } else { Some(DOZE) });
            front.sleep = Sleep::Awake;
        }
    }

    /// What there is to do: `None` while there is nothing, `Some(None)` once there will be no more. `quiet` when nothing
    /// came for a moment.
    fn take(&self, front: &mut Front, quiet: bool) -> Option<Option<Drained>> {
        let unwritten = front.committed_changed && (quiet || front.closed);
        if front.has_work() || unwritten {
            let drained = front.drain(&self.options);
            self.shared.space.notify_all();
            self.observer.queue_depth(drained.ops.len());
            return Some(Some(drained));
        }
        if front.closed {
            return Some(None);
        }
        front.sleep = if quiet { Sleep::Asleep } else { Sleep::Dozing };
        None
    }

    /// Makes the batch durable as far as its ops ask for it, and the mark with it.
    fn write(&mut self, drained: &Drained) -> Result<(), StorageError> {
        self.lower_mark(drained)?;
        let shared = Arc::clone(&self.shared);
        let mut rows = shared.table.batch(drained.bytes);
        let mut tally = Tally::default();
        for op in &drained.ops {
            self.on_disk.add(op, &mut rows, &mut tally);
        }
        if let Some(committed) = drained.committed {
            rows.put_committed(committed);
        }
        let started = Instant::now();
        let left_out = if tally.vote { Defect::NoVoteFsync } else { Defect::NoLogFsync };
        reached(Failpoint::LogWriting);
        shared.table.write(rows, tally.sync && !defect::has(left_out))?;
        reached(Failpoint::LogWritten);
        if !tally.sync {
            return Ok(());
        }
        self.observer.flushed(tally.entries, tally.bytes, started.elapsed());
        let promise =
            Promise { writes: shared.table.writes(), vote: self.on_disk.vote, last: self.on_disk.last };
        if tally.vote {
            self.mark.replace(promise)?;
        } else {
            self.mark.raise(promise)?;
        }
        reached(Failpoint::LogDurable);
        Ok(())
    }

    /// Before entries go that the mark vouches for, the mark stops vouching for them: the other way round, a crash in
    /// between would make a sound log look damaged.
    fn lower_mark(&mut self, drained: &Drained) -> Result<(), StorageError> {
        let promise = self.mark.promise();
        let mut last = promise.last;
        for op in &drained.ops {
            if let Op::Truncate { last: keep } = op
                && index(*keep) < index(last)
            {
                last = *keep;
            }
        }
        if last == promise.last {
            return Ok(());
        }
        self.mark.replace(Promise { last, ..promise })
    }

    fn publish(&self, drained: Drained) {
        self.shared.front().publish(self.on_disk.last);
        for done in drained.ops.into_iter().filter_map(Op::into_done) {
            done(Ok(()));
        }
    }

    /// Everyone waiting, and everyone to come, gets the same answer. Nothing is tried again: after a failed fsync the
    /// system may have dropped the pages it could not write, and the next fsync would report success.
    fn fail(self, drained: Drained, error: &StorageError) {
        let reason = error.to_string();
        let queued = self.shared.front().fail(reason.clone());
        self.shared.space.notify_all();
        let waiting = drained.ops.into_iter().filter_map(Op::into_done);
        for done in waiting.chain(queued) {
            refuse(done, StorageError::stopped(&reason));
        }
    }
}

impl OnDisk {
    /// Adds the op's rows to the batch.
    fn add(&mut self, op: &Op, rows: &mut Batch<'_>, tally: &mut Tally) {
        match op {
            Op::Append { entries, .. } => {
                if let (None, Some(begin)) = (self.last, entries.first()) {
                    self.first = begin.id.index;
                }
                for entry in entries {
                    rows.put_entry(entry);
                    tally.bytes += entry.bytes.len();
                    self.last = Some(entry.id);
                }
                tally.entries += entries.len();
                tally.sync = true;
            }
            Op::Vote { vote, .. } => {
                rows.put_vote(vote);
                self.vote = Some(*vote);
                tally.vote = true;
                tally.sync = true;
            }
            Op::Truncate { last } => {
                rows.delete_entries(self.first.max(after(*last))..after(self.last));
                self.last = *last;
            }
            Op::Purge { upto } => {
                rows.delete_entries(self.first..after(Some(*upto)).min(after(self.last)));
                rows.put_purged(upto);
                self.first = upto.index + 1;
                if index(self.last) < Some(upto.index) {
                    self.last = Some(*upto);
                }
            }
        }
    }
}

/// Tells a caller that the store has stopped.
pub(super) fn refuse(done: Done, error: StorageError) {
    done(Err(error.into()));
}

/// The index after it.
fn after(id: Option<LogId>) -> u64 {
    id.map_or(0, |id| id.index + 1)
}
