//! Why a write or a read was not done.

use std::time::Duration;

/// What the raft folder tells its callers. The texts say what happened, what it means for the request, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The node starts, waits for a cluster, or stops.
    #[error("this node is not ready: {0}")]
    NotReady(String),
    /// No leader, or no majority, within the deadline.
    #[error("no majority of the cluster answered: {0}")]
    NoQuorum(String),
    /// The caller's time ran out.
    #[error("the deadline passed: {0}")]
    Deadline(String),
    /// A bounded-stale read found this node's copy too old.
    #[error(
        "this node's copy is {bound_ms} ms old and the leader cannot be reached: ask for a larger max_staleness_ms, \
         or another node"
    )]
    StalenessExceeded {
        /// Its age in milliseconds; `u32::MAX` when the leader never confirmed it.
        bound_ms: u32,
    },
    /// The revision or instant asked for lies ahead.
    #[error("the registry is at revision {current}: what was asked for lies ahead")]
    RevisionFuture {
        /// The registry's revision.
        current: u64,
    },
    /// Too much waits already.
    #[error("too many requests wait: nothing was applied; retry in {} ms", retry_after.as_millis())]
    Overloaded {
        /// When to come back.
        retry_after: Duration,
    },
    /// A fault of this machine: it no longer serves.
    #[error("this node is out of service: {0}")]
    Fault(String),
    /// The cluster's state does not allow the operation.
    #[error("{0}")]
    ClusterState(String),
    /// A malformed argument.
    #[error("{field}: {detail}")]
    Invalid {
        /// The field.
        field: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl Error {
    /// An argument that cannot be.
    pub fn invalid(field: &str, detail: impl Into<String>) -> Self {
        Error::Invalid { field: field.to_owned(), detail: detail.into() }
    }
}

/// How a proposal to the local Raft failed; what may be done next depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposeError {
    /// Not appended: this node does not lead. The id is the leader's, when known.
    NotLeader(Option<u64>),
    /// Nobody knows whether it will be applied: only a retry under the same request id is safe.
    Unknown(String),
    /// Not appended: the queue is full.
    Overloaded,
    /// This node has stopped.
    Stopped(String),
}
