//! What is wrong with an audit log. A node that meets one of these answers no lookup until an operator has acted: what is
//! read without a record of it is lost to those whom it concerns. It goes on voting and taking writes.

use std::path::PathBuf;

use crate::storage::error::StorageError;

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The disk failed.
    #[error(transparent)]
    Storage(#[from] StorageError),

    /// A record, or what stands in its place, is not what was written.
    #[error(
        "the audit log is damaged at record {position}, in {} at byte {offset}: {detail}. The records before it are whole, \
         and what the central nodes have fetched is with them. Check the disk and keep the folder as evidence; then \
         remove this node from the cluster, give it an empty data folder and add it again: it begins a new log",
        file.display()
    )]
    Damaged {
        /// The position of the first bad record.
        position: u64,
        /// The file.
        file: PathBuf,
        /// Where in it that record begins.
        offset: u64,
        /// How it shows.
        detail: String,
    },

    /// Records that were acknowledged are missing at the end.
    #[error(
        "the audit log in {} ends after {found} records, and {acknowledged} were acknowledged: the first missing one is \
         record {found}. What the central nodes have fetched is with them. Keep the folder as evidence; then remove this \
         node from the cluster, give it an empty data folder and add it again: it begins a new log",
        folder.display()
    )]
    Behind {
        /// The folder.
        folder: PathBuf,
        /// Records found.
        found: u64,
        /// Records acknowledged.
        acknowledged: u64,
    },

    /// The log is of another node or cluster.
    #[error("the audit log in {} is of node {node_id} of cluster {cluster_id}. Put the folder back where it belongs", folder.display())]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        node_id: u64,
        /// Of which cluster.
        cluster_id: String,
    },

    /// It was closed by an earlier error, or because the node stops.
    #[error("the audit log is closed: {0}")]
    Closed(String),
}
