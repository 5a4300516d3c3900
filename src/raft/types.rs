//! The types that openraft is instantiated with.

use std::fmt;

use bytes::Bytes;

use crate::proto::cluster::Member;
use crate::proto::store::Reply;
use crate::raft::state_machine::StateMachine;

/// Where openraft's tasks run and its random numbers come from; a simulation gives them a seed.
#[cfg(not(test))]
type Runtime = openraft_rt_tokio::TokioRuntime;
#[cfg(test)]
type Runtime = crate::simulated::Runtime;

/// What a log entry carries: an encoded `store::Batch`. Bytes, so that the proposer encodes it once and the log, the
/// network and apply share it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proposal(pub Bytes);

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proposal({} bytes)", self.0.len())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The replies to a batch, in the order of its commands. Empty for entries that carry none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replies(pub Vec<Reply>);

openraft::declare_raft_types!(
    /// dancu's instantiation of openraft.
    pub TypeConfig:
        D = Proposal,
        R = Replies,
        NodeId = u64,
        Node = Member,
        AsyncRuntime = Runtime,
);

/// The Raft handle.
pub type Raft = openraft::Raft<TypeConfig, StateMachine>;
/// A log id.
pub type LogId = openraft::alias::LogIdOf<TypeConfig>;
/// A vote.
pub type Vote = openraft::alias::VoteOf<TypeConfig>;
/// A log entry.
pub type Entry = openraft::alias::EntryOf<TypeConfig>;
/// What a log entry carries.
pub type Payload = openraft::alias::PayloadOf<TypeConfig>;
/// Voters and learners.
pub type Membership = openraft::Membership<u64, Member>;
/// A membership and the entry that set it.
pub type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
/// What a snapshot covers.
pub type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
/// A snapshot: what it covers and a handle to its files.
pub type RaftSnapshot = openraft::alias::SnapshotOf<TypeConfig, crate::storage::state::Snapshot>;
