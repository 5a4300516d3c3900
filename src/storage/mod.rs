//! storage: what a node keeps on disk. The only folder that names RocksDB.
//!
//! A node keeps two databases, because they are to be trusted in different ways. The *log* is the promise: what this
//! node has told others it holds. It is synced before anything is acknowledged, and checked when it is opened. The
//! *state* is what follows from the log: it is written without a sync of its own, and after a crash the entries it
//! missed are applied again. So one fsync makes a write durable, and it is shared by all who wait for it.
//!
//! # The data folder
//! ```text
//! LOCK                     held by the process: two never share a folder          data_dir
//! IDENTITY                 cluster, node id, name; given once                     data_dir
//! raft/                    RocksDB: entries, vote, committed, purged              log
//! raft.mark                what was promised, outside of the database             log::mark
//! state/CURRENT            names the generation in use; replaced atomically       state
//! state/g000001/           RocksDB: the register as of the last applied entry     state
//! snapshots/<id>/          a complete snapshot: files and MANIFEST.dancu          state
//! incoming/<id>/           a snapshot being received; goes on where it stopped    state
//! keyring                  the keys that seal values, wrapped; replaced atomically  sealing
//! audit/<node>/            the log of that node's accesses: its own, or a copy     crate::audit
//! audit/index/             RocksDB: who is in which record                        audit_index
//! ```
//!
//! # Tables
//! ```text
//! database   table            key                             value
//! raft       log              index u64 BE                    seal(store.Entry)
//! raft       meta             "vote"                          store.Vote
//! raft       meta             "committed", "purged"           store.LogId
//! ```
//! A value stands behind a format byte, and a seal adds a checksum: see [`codec`]. Values that tell of people are encrypted
//! on their way to the disk when the node has a master key: see [`sealing`].
//!
//! # Which bytes are durable when
//! ```text
//! entry, vote              before the callback says Ok: fsync of the write-ahead log
//! truncation, purge        with the next fsync: lost, they are done again
//! committed                never by itself: a hint that may be older, never newer than the entries
//! raft.mark                written after each fsync; synced with a vote, before a truncation, at the end
//! IDENTITY, CURRENT        before the call returns: temporary file, fsync, rename, fsync of the folder
//! state                    when RocksDB flushes; the log is purged only behind a durable snapshot
//! ```
//!
//! # Faults
//! Every error here ([`error::StorageError`]) is of this machine alone and stops the node: no fsync is tried again, no
//! damaged byte is served or sent on, and a folder that holds less than was promised is not opened. The other nodes
//! have everything; the way back is to remove the node, empty the folder and add it again.
//!
//! # What is deliberately absent
//! Repair of damaged data, since a healthy copy is a snapshot away; a storage interface with several implementations, since there is one.

pub mod audit_index;
pub mod codec;
pub mod data_dir;
pub mod error;
pub mod log;
pub mod sealing;
pub mod state;
#[cfg(test)]
mod tests;
