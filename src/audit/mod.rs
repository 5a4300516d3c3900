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

pub mod error;
pub mod log;
pub mod merkle;
pub mod record;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

pub use self::error::AuditError;
pub use self::log::{Log, Owner};
use crate::config::AuditConfig;
use crate::metrics::Metrics;
use crate::proto::registry::AccessRecord;

/// This node's part of the audit trail.
pub struct Audit {
    owner: Owner,
    /// Its log, or why there is none.
    log: Result<Log, String>,
}

/// The folder of the log of a node.
pub fn folder(data: &Path, node_id: u64) -> PathBuf {
    data.join("audit").join(node_id.to_string())
}

impl Audit {
    /// Opens this node's log. One that cannot be used is as good as none: the node starts and answers no lookups. Blocks.
    pub fn open(data: &Path, owner: Owner, config: &AuditConfig, metrics: &Arc<Metrics>) -> Self {
        let opened =
            Log::open(&folder(data, owner.node_id), &owner, config.segment_mb << 20, metrics.clone());
        let log = opened.map_err(|error| {
            metrics.audit_closed.set(1);
            tracing::error!(%error, "the audit log cannot be used: this node answers no lookups");
            error.to_string()
        });
        Self { owner, log }
    }

    /// Whose it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Why nothing can be recorded, once that is so.
    pub fn closed(&self) -> Option<String> {
        match &self.log {
            Ok(log) => log.closed(),
            Err(reason) => Some(reason.clone()),
        }
    }

    /// This node's log.
    ///
    /// # Errors
    /// `Closed` when it could not be opened.
    pub fn log(&self) -> Result<&Log, AuditError> {
        self.log.as_ref().map_err(|reason| AuditError::Closed(reason.clone()))
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
        if let Ok(log) = &self.log {
            log.close();
        }
    }
}

/// This node's wall clock, in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "when an access was answered; it is never applied")]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
