//! Consensus: one replicated log, and what a node does with it. The only folder that names openraft.
//!
//! ```text
//!            write                                    read
//!              |                                        |
//!   leader? ---+--- no: Peer.Forward to it         Barrier (read rounds, shared)
//!              |                                        |
//!          Proposer (many commands, one entry)     state applied up to the confirmed index
//!              |                                        |
//!          openraft -- Network --> other nodes     local RocksDB
//!              |            (peer::*)
//!   LogStorage: one fsync for all that queued
//!              |  a majority has it
//!   StateMachine: waits for the log on disk, applies, replies
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `node` | a node's life: waiting, taking part, stopping |
//! | `replica` | the parts of a node in a cluster, and the way of a write |
//! | `read`, `barrier`, `leadership` | the four read modes, the rounds behind them, and what confirms a leader |
//! | `age` | how old a node's state may be |
//! | `divergence`, `fault` | whose state is wrong, and what goes out of service |
//! | `proposer` | the queue in front of the leader's log |
//! | `retention` | the leader's part in compaction of the history |
//! | `trail` | checkpoints of the audit log |
//! | `receipts` | the key with which this node signs receipts |
//! | `admin` | forming a cluster, changing its members |
//! | `log_storage`, `state_machine` | the stores as openraft sees them |
//! | `peer` | what nodes say to each other |
//! | `convert`, `types` | openraft's types and ours |
//!
//! **Exactly once.** An attempt whose outcome is unknown (a leader that vanished, an entry that openraft discarded)
//! may have been applied. `Replica::write` tries again under the same request id, and the request table in the state
//! machine answers the second attempt with the first one's reply.
//!
//! **Durable before applied.** openraft may apply what a majority has before this node's own disk has it. The state
//! store is written without an fsync of its own and could reach the disk first; `StateMachine` therefore waits for the
//! log's durable end, so that after a crash the state is never ahead of the log.
//!
//! Deliberately absent: lease reads (a restarted voter's lease is zero, so an old leader's may overlap a new leader),
//! more than one Raft group (`dancu-group` is in the protocol), and log reversion (`allow_log_reversion` stays unset).

mod admin;
mod age;
mod barrier;
mod convert;
mod divergence;
mod error;
mod fault;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod leader;
mod leadership;
mod log_storage;
mod node;
mod observer;
pub mod peer;
mod proposer;
mod read;
mod receipts;
mod replica;
mod retention;
mod state_machine;
mod status;
#[cfg(test)]
mod storage_suite;
mod trail;
mod types;

/// What a [`Reading`] leads to. Services read through this folder, which decides when, and know no storage.
pub use crate::storage::state::{AsOf, AsOfError, FirstRevision, NameCursor, ReadError, Resolved, StateView};
pub use error::Error;
pub use fault::Fault;
pub use node::{About, Node, StartError};
pub use read::{ReadMode, Reading};
pub use status::hex;
