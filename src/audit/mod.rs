//! The audit trail: a record of every access, durable before its answer leaves.
//!
//! ```text
//! service: read, compare ─> record ─> this node's log: one fsync for all that wait ─> the answer leaves
//!                                        |
//!                                        └─ a Merkle tree over its records: one hash says what the log holds
//! ```
//!
//! Each node keeps the log of what it answered itself: no record waits for another machine, so that a province that is cut
//! off goes on answering, and recording. A record's place is the node and its position in that node's log, from 0. The
//! position stands in the record too: what was dropped, swapped or moved shows by itself.
//!
//! | file | what it is |
//! |---|---|
//! | `record` | a record as bytes |
//! | `log` | a log on disk |
//! | `merkle` | the tree over its records, and proofs (RFC 9162) |
//! | `checkpoint` | what a log holds, signed; the node's key |
//! | `archive` | copies of the other nodes' logs, and the index over all, at central nodes |
//! | `verify` | checking a log without its cluster |
//! | `error` | what can be wrong with a log |
//!
//! **Fail closed.** A log that cannot be opened or written is closed for good, until the next start: the node answers no
//! lookup then and says why (`AUDIT_UNAVAILABLE`, `dancu_audit_closed`). It goes on voting and taking writes.
//!
//! **What is on disk** is `DATA/audit/ID/`, for the owner's eyes alone: see [`log`].
//!
//! Deliberately absent: records of writes, which stand in the history of what they changed; records of what was refused
//! before it was read (overload, malformed protobuf), which saw nobody's data; the numbers that people were asked for by,
//! which are citizens' data.

pub mod archive;
pub mod checkpoint;
pub mod error;
pub mod log;
pub mod merkle;
pub mod record;
#[cfg(test)]
mod tests;
pub mod verify;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::archive::Archive;
use self::checkpoint::{Kept, Key};
pub use self::error::AuditError;
use self::log::segments::Segment;
pub use self::log::segments::Segments;
pub use self::log::{Log, Owner};
use crate::config::AuditConfig;
use crate::metrics::Metrics;
use crate::proto::registry::{AccessRecord, Checkpoint};

/// This node's part of the audit trail.
pub struct Audit {
    data: PathBuf,
    owner: Owner,
    /// Its log, or why there is none.
    own: Result<Own, String>,
    archive: Archive,
    /// What each central node has of this node's log, as it said itself.
    fetched: Mutex<BTreeMap<u64, u64>>,
}

/// This node's log, and what it signs with.
struct Own {
    log: Log,
    key: Key,
    kept: Kept,
}

impl Own {
    fn open(
        folder: &Path,
        owner: &Owner,
        config: &AuditConfig,
        metrics: Arc<Metrics>,
    ) -> Result<Self, AuditError> {
        let log = Log::open(folder, owner, config.segment_mb << 20, metrics)?;
        let key = Key::open(folder, log.segments().size() == 0)?;
        Ok(Self { log, key, kept: Kept::beside(folder) })
    }
}

/// The folder of the log of a node.
pub fn folder(data: &Path, node_id: u64) -> PathBuf {
    data.join("audit").join(node_id.to_string())
}

impl Audit {
    /// Opens this node's log. One that cannot be used is as good as none: the node starts and answers no lookups. Blocks.
    pub fn open(data: &Path, owner: Owner, config: &AuditConfig, metrics: &Arc<Metrics>) -> Self {
        let opened = Own::open(&folder(data, owner.node_id), &owner, config, metrics.clone());
        let own = opened.map_err(|error| {
            metrics.audit_closed.set(1);
            tracing::error!(%error, "the audit log cannot be used: this node answers no lookups");
            error.to_string()
        });
        let archive = Archive::new(data.to_owned(), owner.clone(), config.segment_mb << 20);
        Self { data: data.to_owned(), owner, own, archive, fetched: Mutex::default() }
    }

    /// Whose it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Why nothing can be recorded, once that is so.
    pub fn closed(&self) -> Option<String> {
        match &self.own {
            Ok(own) => own.log.closed(),
            Err(reason) => Some(reason.clone()),
        }
    }

    /// This node's log.
    ///
    /// # Errors
    /// `Closed` when it could not be opened.
    pub fn log(&self) -> Result<&Log, AuditError> {
        self.own().map(|own| &own.log)
    }

    fn own(&self) -> Result<&Own, AuditError> {
        self.own.as_ref().map_err(|reason| AuditError::Closed(reason.clone()))
    }

    /// What this node holds of the other nodes' logs.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The log of a node, as far as this node holds it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn segments_of(&self, node_id: u64) -> Result<Option<Arc<Segments>>, AuditError> {
        if node_id == self.owner.node_id {
            return self.log().map(|log| Some(log.segments().clone()));
        }
        self.archive.segments(node_id)
    }

    /// The folder of a node's log, on this node.
    pub fn folder_of(&self, node_id: u64) -> PathBuf {
        folder(&self.data, node_id)
    }

    /// Goes through what is new in all logs that are here. Blocks.
    ///
    /// # Errors
    /// See [`Archive::go_through`].
    pub fn go_through(&self) -> Result<(), AuditError> {
        let mut outcome = Ok(());
        for node_id in self.archive.nodes()?.into_iter().chain([self.owner.node_id]) {
            // One that is damaged does not keep the others out.
            let gone_through = self.segments_of(node_id).and_then(|segments| match segments {
                Some(segments) => self.archive.go_through(node_id, &segments),
                None => Ok(()),
            });
            outcome = outcome.and(gone_through);
        }
        outcome
    }

    /// A central node has this node's records before `position`, durably.
    pub fn has_fetched(&self, central: u64, position: u64) {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).insert(central, position);
    }

    /// Lets files go that were last written longer than `retention` ago: of the copies, and of this node's own log what all
    /// of `centrals` have fetched since this node started. Blocks.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn retain(&self, retention: Duration, centrals: &[u64]) -> Result<(), AuditError> {
        let before = |segments: &Segments| {
            let old = |file: &Segment| file.age().is_some_and(|age| age > retention);
            let files = segments.files();
            files.iter().find(|file| !old(file)).or(files.last()).map_or(0, |first| first.first)
        };
        if let Ok(log) = self.log() {
            let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
            let others = centrals.iter().filter(|id| **id != self.owner.node_id);
            let safe = others.map(|id| fetched.get(id).copied().unwrap_or(0)).min().unwrap_or(u64::MAX);
            log.forget(before(log.segments()).min(safe));
        }
        for node_id in self.archive.nodes()? {
            if let Some(segments) = self.archive.segments(node_id)? {
                self.archive.forget(node_id, before(&segments))?;
            }
        }
        Ok(())
    }

    /// Signs what this node's log holds, unless `last` covers all of it. Blocks.
    ///
    /// # Errors
    /// `Closed` when `last` says that the log held something that is not in it: it takes no more records then. Faults of the
    /// disk.
    pub fn checkpoint(&self, last: Option<&Checkpoint>) -> Result<Option<Checkpoint>, AuditError> {
        let own = self.own()?;
        let segments = own.log.segments();
        let size = segments.size();
        if let Some(last) = last {
            let held = if last.size <= size { Some(segments.tree.frontier(last.size)?.root()) } else { None };
            if held.is_none() || held != checkpoint::root(last) {
                let reason = format!(
                    "the cluster agreed on {} records of this node's audit log, and they are not all in it. Keep the \
                     folder as evidence; then remove this node from the cluster, give it an empty data folder and add it \
                     again",
                    last.size
                );
                own.log.refuse(&reason);
                return Err(AuditError::Closed(reason));
            }
        }
        if size == 0 || last.is_some_and(|last| last.size == size) {
            return Ok(None);
        }
        let signed = own.key.sign(&self.owner, &segments.tree.frontier(size)?, now_ms());
        own.kept.add(&signed)?;
        Ok(Some(signed))
    }

    /// Records an access and waits until the record is durable. Returns its position.
    ///
    /// # Errors
    /// `Closed`: the answer must not leave.
    pub async fn record(&self, mut record: AccessRecord) -> Result<u64, AuditError> {
        record.node_id = self.owner.node_id;
        record.time_ms = now_ms();
        self.log()?.append(record::encode(&record)).await
    }

    /// Takes no more records; those that were taken are durable on return. Blocks.
    pub fn close(&self) {
        if let Ok(own) = &self.own {
            own.log.close();
        }
        self.archive.close();
    }
}

/// This node's wall clock, in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "when an access was answered; it is never applied")]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
