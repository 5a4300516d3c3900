//! How far the log has been applied, and the counters at that point.

use std::sync::Arc;

use super::tables::Table;
use crate::domain::command::Counters;
use crate::domain::policy::Policies;
use crate::proto::store::{Applied, LogId, StoredMembership};
use crate::storage::error::StorageError;

/// Where the history begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstRevision {
    /// The first revision that can be read as of; 0 when nothing was compacted.
    pub revision: u64,
    /// The first instant that can be: when that revision was written, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: u64,
}

/// The state machine's place in the log. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Position {
    /// The last entry applied.
    pub log_id: Option<LogId>,
    /// The last membership applied.
    pub membership: Option<Arc<StoredMembership>>,
    /// All agencies, procedures and policies.
    pub policies: Arc<Policies>,
    /// What `decide` counts.
    pub counters: Counters,
    /// Where the history begins.
    pub first: FirstRevision,
    /// SHA-256 chain over every entry applied and every row it wrote; 32 zeros before the first.
    pub chain_hash: [u8; 32],
}

impl Position {
    /// Before the first entry: ids and uids begin with 1.
    fn start() -> Applied {
        Applied { next_person_uid: 1, next_node_id: 1, chain_hash: vec![0; 32].into(), ..Applied::default() }
    }

    /// From the rows of the meta table, and what the policy table holds.
    pub fn from_rows(
        applied: Option<Applied>,
        membership: Option<StoredMembership>,
        policies: Policies,
    ) -> Result<Self, StorageError> {
        let applied = applied.unwrap_or_else(Self::start);
        let chain_hash = applied.chain_hash.as_ref().try_into();
        Ok(Self {
            log_id: applied.log_id,
            membership: membership.map(Arc::new),
            policies: Arc::new(policies),
            counters: Counters {
                revision: applied.revision,
                next_person_uid: applied.next_person_uid,
                next_node_id: applied.next_node_id,
                time_ms: applied.time_ms,
                persons: applied.persons,
            },
            first: FirstRevision { revision: applied.first_revision, at_ms: applied.first_revision_at_ms },
            chain_hash: chain_hash
                .map_err(|_| StorageError::corrupt(Table::Meta.row(), "the chain hash is not 32 bytes"))?,
        })
    }

    /// The row of the meta table: all but the membership.
    pub fn to_row(&self) -> Applied {
        Applied {
            log_id: self.log_id,
            membership: None,
            revision: self.counters.revision,
            next_person_uid: self.counters.next_person_uid,
            next_node_id: self.counters.next_node_id,
            time_ms: self.counters.time_ms,
            chain_hash: self.chain_hash.to_vec().into(),
            persons: self.counters.persons,
            first_revision: self.first.revision,
            first_revision_at_ms: self.first.at_ms,
        }
    }

    /// All of it.
    pub fn to_applied(&self) -> Applied {
        Applied { membership: self.membership.as_deref().cloned(), ..self.to_row() }
    }

    /// Index of the last entry applied.
    pub fn index(&self) -> Option<u64> {
        self.log_id.map(|id| id.index)
    }
}
