//! A log of records on disk: a folder of files, written by one thread that many wait for.
//!
//! ```text
//! append ─┐                                                    ┌─> durable at position n
//! append ─┼─> queue ─> one write, one fdatasync for all ─> mark┼─> durable at position n + 1
//! append ─┘                                                    └─> durable at position n + 2
//! ```
//!
//! The sync that is under way is the window in which the next batch gathers: there is no timer, and the more callers there
//! are the more of them share a sync. The first failure closes the log for good: a sync is never tried again.
//!
//! | file | what it is |
//! |---|---|
//! | `frame` | a record in a file |
//! | `segments` | the files, for those who read |
//! | `disk` | opening, appending, beginning new files |
//! | `tree` | the hashes of the Merkle tree |
//! | `mark` | what was acknowledged |

pub mod disk;
pub mod frame;
pub mod mark;
pub mod segments;
#[cfg(test)]
mod tests;
pub mod tree;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use self::disk::Disk;
use self::segments::Segments;
use super::error::AuditError;
use super::record;
use crate::metrics::Metrics;

/// Whose log it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The cluster.
    pub cluster_id: String,
    /// The node whose accesses it holds.
    pub node_id: u64,
}

/// This node's own log.
pub struct Log {
    queue: Arc<Queue>,
    segments: Arc<Segments>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What waits for the thread.
struct Queue {
    waiting: Mutex<Waiting>,
    work: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// The position of the next record.
    next: u64,
    records: Vec<Vec<u8>>,
    callers: Vec<oneshot::Sender<Result<(), Arc<str>>>>,
    /// Files before this position may go.
    forget: u64,
    /// Set once nothing more is taken: why.
    closed: Option<Arc<str>>,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Opens the log of `owner` in a folder, or begins it, and starts its thread.
    ///
    /// # Errors
    /// See [`Disk::open`].
    pub fn open(
        folder: &Path,
        owner: &Owner,
        segment_bytes: u64,
        metrics: Arc<Metrics>,
    ) -> Result<Self, AuditError> {
        let disk = Disk::open(folder, owner, segment_bytes)?;
        let segments = disk.segments().clone();
        metrics.audit_position.set(segments.size());
        let waiting = Waiting { next: segments.size(), ..Waiting::default() };
        let queue = Arc::new(Queue { waiting: Mutex::new(waiting), work: Condvar::new() });
        let thread = std::thread::Builder::new().name("audit-log".to_owned());
        let spawned = thread.spawn({
            let queue = queue.clone();
            move || run(disk, &queue, &metrics)
        });
        let failed = |error| AuditError::Closed(format!("its thread cannot be started: {error}"));
        Ok(Self { queue, segments, thread: Mutex::new(Some(spawned.map_err(failed)?)) })
    }

    /// Appends a record, which gets its position here, and waits until it is durable.
    ///
    /// # Errors
    /// `Closed`: it may be on disk or not, and nobody may be answered.
    pub async fn append(&self, mut record: Vec<u8>) -> Result<u64, AuditError> {
        let (caller, durable) = oneshot::channel();
        let position = {
            let mut waiting = self.queue.waiting();
            if let Some(reason) = &waiting.closed {
                return Err(AuditError::Closed(reason.to_string()));
            }
            let position = waiting.next;
            waiting.next += 1;
            record::place(&mut record, position);
            waiting.records.push(record);
            waiting.callers.push(caller);
            position
        };
        self.queue.work.notify_one();
        match durable.await {
            Ok(Ok(())) => Ok(position),
            Ok(Err(reason)) => Err(AuditError::Closed(reason.to_string())),
            Err(_) => Err(AuditError::Closed("its thread ended".to_owned())),
        }
    }

    /// Why nothing more is taken, once that is so.
    pub fn closed(&self) -> Option<String> {
        self.queue.waiting().closed.as_ref().map(ToString::to_string)
    }

    /// What is on disk.
    pub fn segments(&self) -> &Arc<Segments> {
        &self.segments
    }

    /// Lets the files go all of whose records are before `position`; they are gone some time later.
    pub fn forget(&self, position: u64) {
        let mut waiting = self.queue.waiting();
        waiting.forget = waiting.forget.max(position);
        drop(waiting);
        self.queue.work.notify_one();
    }

    /// Takes nothing more, for this reason.
    pub fn refuse(&self, reason: &str) {
        let mut waiting = self.queue.waiting();
        waiting.closed.get_or_insert_with(|| reason.into());
        drop(waiting);
        self.queue.work.notify_one();
    }

    /// Takes nothing more and waits until what was taken is durable. Blocks.
    pub fn close(&self) {
        self.refuse("this node is stopping");
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A thread that panicked ended the process.
            drop(thread.join());
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.refuse("this node is stopping");
    }
}

/// Writes what waits, until the log is closed and nothing does, or the disk fails.
fn run(mut disk: Disk, queue: &Queue, metrics: &Metrics) {
    let mut forgotten = 0;
    loop {
        let (records, callers, forget) = {
            let mut waiting = queue.waiting();
            while waiting.records.is_empty() && waiting.closed.is_none() && waiting.forget <= forgotten {
                waiting = queue.work.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            if waiting.records.is_empty() && waiting.forget <= forgotten {
                return;
            }
            let Waiting { records, callers, forget, .. } = &mut *waiting;
            (std::mem::take(records), std::mem::take(callers), *forget)
        };
        if !records.is_empty() {
            match disk.append(&records) {
                Ok(elapsed) => {
                    let bytes = records.iter().map(Vec::len).sum();
                    metrics.observe_audit(elapsed, records.len(), bytes, disk.segments().size());
                }
                Err(error) => {
                    metrics.audit_closed.set(1);
                    return fail(queue, callers, &error.to_string());
                }
            }
            // A caller that has gone does not hear of it.
            callers.into_iter().for_each(|caller| drop(caller.send(Ok(()))));
        }
        if forget > forgotten {
            forgotten = forget;
            if let Err(error) = disk.forget(forget) {
                tracing::warn!(%error, "old files of the audit log stay for now");
            }
        }
    }
}

/// Everybody who waits, and everybody to come, hears the same.
fn fail(queue: &Queue, callers: Vec<oneshot::Sender<Result<(), Arc<str>>>>, reason: &str) {
    let reason: Arc<str> = reason.into();
    tracing::error!(%reason, "the audit log cannot be written: this node answers no lookups from now on");
    let queued = {
        let mut waiting = queue.waiting();
        waiting.closed.get_or_insert_with(|| reason.clone());
        waiting.records.clear();
        std::mem::take(&mut waiting.callers)
    };
    for caller in callers.into_iter().chain(queued) {
        drop(caller.send(Err(reason.clone())));
    }
}
