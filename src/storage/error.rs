//! What can go wrong with this node's disk. Every fault here is of this machine alone: the node that meets one stops
//! serving, and the other nodes hold everything that was acknowledged. A message says what happened, what was not
//! lost and what to do next. It names files, sizes and log positions, never the content of a record.

use std::io;
use std::path::{Path, PathBuf};

/// A fault of this node's storage. None is retried: the node stops and the operator decides.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A call to the file system failed.
    #[error(
        "cannot {action} {}: {source}. The node stops here; what it acknowledged stays on disk and on the other \
         nodes. Check the disk and the folder's permissions, then start the node again", path.display()
    )]
    Io {
        /// What was being done, as a verb: "open", "sync".
        action: String,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },

    /// The disk, or the quota, is full.
    #[error(
        "the disk is full: cannot {action} {}. Nothing acknowledged is lost. Free space on it, then start the node \
         again", path.display()
    )]
    Full {
        /// What was being done.
        action: String,
        /// The file or folder.
        path: PathBuf,
    },

    /// RocksDB refused or failed.
    #[error(
        "RocksDB cannot {action} {}: {source}. The node stops here; what it acknowledged stays on disk and on the \
         other nodes. Check the disk, then start the node again", path.display()
    )]
    Rocks {
        /// What was being done.
        action: String,
        /// The database's folder.
        path: PathBuf,
        /// What RocksDB said.
        #[source]
        source: rocksdb::Error,
    },

    /// Bytes on disk are not what was written: a checksum differs, or something that must be there is missing.
    #[error(
        "{what} is damaged: {detail}. The node does not use it, and the other nodes are not affected. Check the disk; \
         then remove this node from the cluster, empty its data folder and add it again: it copies everything from \
         the others"
    )]
    Corrupt {
        /// What is damaged: a file, or a row of a table by its place.
        what: String,
        /// How that shows.
        detail: String,
    },

    /// Written by a newer version of dancu.
    #[error(
        "{what} is in format {found}, and this version of dancu reads up to format {supported}. Nothing was changed. \
         Start the version of dancu that last ran on this data folder, or a newer one"
    )]
    Format {
        /// What was read.
        what: String,
        /// The format found.
        found: u32,
        /// The newest format this version reads.
        supported: u32,
    },

    /// Written by a version of dancu whose format is no longer read.
    #[error(
        "{what} is in format {found}, and this version of dancu reads format {supported} only. Nothing was changed. Go \
         on with the version that wrote this folder, or give the node an empty folder and add it to a cluster anew"
    )]
    OldFormat {
        /// What was read.
        what: String,
        /// The format found.
        found: u32,
        /// The format this version reads.
        supported: u32,
    },

    /// Another process uses the folder.
    #[error(
        "{} is in use by another process. Nothing was changed. Stop the other node first, or give this one a data \
         folder of its own", path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },

    /// The folder belongs to another node, or may not get the identity it was to be given.
    #[error("{} keeps its identity: {detail}", path.display())]
    Identity {
        /// The data folder.
        path: PathBuf,
        /// What differs and what to do.
        detail: String,
    },

    /// A key of the encryption at rest is missing or cannot be used.
    #[error("{what} cannot be used: {detail}")]
    Keys {
        /// Which keys.
        what: String,
        /// Why, what was not lost and what to do.
        detail: String,
    },

    /// The log holds less than this node has promised: writes or votes that it acknowledged are gone from its disk.
    #[error(
        "the log in {} is behind what this node acknowledged: it holds {recovered}, and {mark} was synced before. The \
         node must not vote or acknowledge with it. Nothing is lost on the other nodes. Remove this node from the \
         cluster, empty its data folder and add it again", path.display()
    )]
    BehindMark {
        /// The data folder.
        path: PathBuf,
        /// What was found.
        recovered: String,
        /// What the mark says.
        mark: String,
    },

    /// An earlier fault stopped this store, or it was closed.
    #[error("the store has stopped: {reason}")]
    Stopped {
        /// The first fault, in full, or that it was closed.
        reason: String,
    },
}

impl StorageError {
    /// For `map_err`: the file system refused to `action` (a verb) `path`.
    pub fn io<'a>(action: &'a str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| {
            let (action, path) = (action.to_owned(), path.to_owned());
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { action, path },
                _ => Self::Io { action, path, source },
            }
        }
    }

    /// For `map_err`: RocksDB refused to `action` (a verb) the database in `path`. Sorts out the faults that the
    /// operator treats differently; RocksDB tells them apart by text only.
    pub fn rocks<'a>(action: &'a str, path: &'a Path) -> impl FnOnce(rocksdb::Error) -> Self + 'a {
        move |source| {
            let (action, path) = (action.to_owned(), path.to_owned());
            let text = source.as_ref();
            if text.contains("No space left on device") || text.contains("Disk quota exceeded") {
                Self::Full { action, path }
            } else if text.contains("/LOCK:") && text.contains("lock") {
                Self::Locked { path }
            } else if source.kind() == rocksdb::ErrorKind::Corruption {
                Self::corrupt(format!("the database in {}", path.display()), text)
            } else {
                Self::Rocks { action, path, source }
            }
        }
    }

    /// `what` is not as it was written.
    pub fn corrupt(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into(), detail: detail.into() }
    }

    /// The store stopped before this call.
    pub fn stopped(reason: impl Into<String>) -> Self {
        Self::Stopped { reason: reason.into() }
    }
}

/// Keeps the message whole, and the kind where there is one, for callers that know only `io::Error`.
impl From<StorageError> for io::Error {
    fn from(error: StorageError) -> Self {
        let kind = match &error {
            StorageError::Io { source, .. } => source.kind(),
            StorageError::Full { .. } => io::ErrorKind::StorageFull,
            StorageError::Corrupt { .. } | StorageError::BehindMark { .. } => io::ErrorKind::InvalidData,
            StorageError::Format { .. } | StorageError::OldFormat { .. } => io::ErrorKind::Unsupported,
            StorageError::Locked { .. } => io::ErrorKind::ResourceBusy,
            StorageError::Rocks { .. }
            | StorageError::Identity { .. }
            | StorageError::Keys { .. }
            | StorageError::Stopped { .. } => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart() {
        let path = Path::new("/data/raft");
        let error = StorageError::io("write", path)(io::Error::from(io::ErrorKind::StorageFull));
        assert!(matches!(error, StorageError::Full { .. }));
        assert!(error.to_string().contains("Free space"));
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn the_message_survives_the_conversion() {
        let error: io::Error = StorageError::corrupt("entry 7", "its checksum differs").into();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().starts_with("entry 7 is damaged: its checksum differs"));
    }
}
