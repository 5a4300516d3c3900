//! What nodes say to each other.
//!
//! ```text
//! leader                                             follower or learner
//!   log channel        Append, a long-lived stream      -> entries, answered in order once they are on disk
//!   heartbeat channel  Append kept open, empty;  Vote, PreVote, TransferLeader
//!   snapshot channel   OfferSnapshot, SendSnapshot      -> resumed where an earlier try broke off
//!   call channel       Confirm, kept open                -> its vote
//! any node -> leader
//!   call channel       ReadIndex, kept open; Forward, Admin   -> answered only by the leader
//! any node -> any node
//!   call channel       Adopt, NodeStatus
//! ```
//!
//! The channels to a node are separate connections, so that a heartbeat or a vote never waits behind a snapshot.
//! Every call states in its metadata which cluster and node it comes from and which node it means; [`auth`] refuses
//! the rest. A node that lost its folder waits for a cluster again and refuses what is meant for its old id.
//!
//! With `peer_tls` each connection is mutual TLS (`crate::tls`): the one that connects expects the name of the member at the
//! other end, and a call from a member must come over a connection with that member's certificate.

pub mod auth;
pub mod channel;
pub mod client;
mod kept;
pub mod network;
pub mod server;
pub mod snapshot;
