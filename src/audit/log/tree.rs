//! The file `tree`: the hash of every subtree that is whole, 32 bytes each, in the order in which they became so. It lets a
//! proof be read in a few looks. It follows from the records and is written without a sync; before a new segment begins it
//! is synced, so that only the hashes of the last segment are ever made anew.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::super::merkle::{self, Frontier, Hash};
use crate::storage::error::StorageError;

const FILE: &str = "tree";
const HASH: u64 = 32;

/// The open file.
pub struct Tree {
    file: File,
    path: PathBuf,
}

impl Tree {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn open(folder: &Path) -> Result<Self, StorageError> {
        let path = folder.join(FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(StorageError::io("open", &path))?;
        Ok(Self { file, path })
    }

    /// Opens the file to read it.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn read_only(folder: &Path) -> Result<Self, StorageError> {
        let path = folder.join(FILE);
        let file = File::open(&path).map_err(StorageError::io("open", &path))?;
        Ok(Self { file, path })
    }

    /// A subtree that is whole.
    ///
    /// # Errors
    /// Faults of the disk; one that is not there is one.
    pub fn subtree(&self, level: u32, index: u64) -> Result<Hash, StorageError> {
        let mut hash = [0; 32];
        let offset = merkle::stored_at(level, index) * HASH;
        self.file.read_exact_at(&mut hash, offset).map_err(StorageError::io("read", &self.path))?;
        Ok(hash)
    }

    /// The frontier of the first `size` leaves.
    ///
    /// # Errors
    /// As [`Tree::subtree`].
    pub fn frontier(&self, size: u64) -> Result<Frontier, StorageError> {
        merkle::frontier(size, |level, index| self.subtree(level, index))
    }

    /// Writes the hashes that follow those of the first `size` leaves.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn write(&self, size: u64, hashes: &[u8]) -> Result<(), StorageError> {
        let offset = merkle::stored(size) * HASH;
        self.file.write_all_at(hashes, offset).map_err(StorageError::io("write", &self.path))
    }

    /// Writes the subtrees that a log begins behind, durable on return.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn begin_after(&self, before: &Frontier) -> Result<(), StorageError> {
        let levels = (0..u64::BITS).rev().filter(|level| before.size() >> level & 1 == 1);
        for (level, hash) in levels.zip(before.peaks()) {
            let offset = merkle::stored_at(level, (before.size() >> level) - 1) * HASH;
            self.file.write_all_at(hash, offset).map_err(StorageError::io("write", &self.path))?;
        }
        self.sync()
    }

    /// Makes what was written durable.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn sync(&self) -> Result<(), StorageError> {
        self.file.sync_data().map_err(StorageError::io("sync", &self.path))
    }
}
