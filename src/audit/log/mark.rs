//! What the log has acknowledged, kept beside it: a tail that is torn was never acknowledged if it is behind the mark, and
//! is damage if it is not. Written after each sync and not synced itself, as `raft.mark`: it outlives the process, and after
//! a power cut it may be older, never newer, than what is on disk.
//!
//! ```text
//! 0      slot A: seal([number u64 BE][records u64 BE])
//! 4096   slot B, the same; the whole slot with the higher number counts, writes go to the other one
//! ```

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::storage::codec;
use crate::storage::data_dir::write_atomically;
use crate::storage::error::StorageError;

const FILE: &str = "mark";
const SLOT_OFFSETS: [u64; 2] = [0, 4096];
const SLOT_LEN: usize = codec::SEAL_LEN + 16;

/// The open file.
pub struct Mark {
    file: File,
    path: PathBuf,
    number: u64,
    records: u64,
}

impl Mark {
    /// Opens the mark of a folder; `None` if there is none.
    ///
    /// # Errors
    /// `Corrupt` when neither slot is whole, `Format` for one of a newer version, faults of the disk.
    pub fn open(folder: &Path) -> Result<Option<Self>, StorageError> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let file = opened.map_err(StorageError::io("open", &path))?;
        let mut newest = None;
        for offset in SLOT_OFFSETS {
            let mut bytes = [0; SLOT_LEN];
            if file.read_exact_at(&mut bytes, offset).is_err() {
                continue;
            }
            match codec::unseal(&path.display().to_string(), &bytes) {
                Ok(body) => newest = newest.max(Some(numbers(body))),
                Err(StorageError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let (number, records) = newest
            .ok_or_else(|| StorageError::corrupt(path.display().to_string(), "neither copy is whole"))?;
        Ok(Some(Self { file, path, number, records }))
    }

    /// Makes the mark of an empty log, durable on return.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn create(folder: &Path) -> Result<(), StorageError> {
        write_atomically(&folder.join(FILE), &slot(0, 0))
    }

    /// Records that were acknowledged.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// So many are acknowledged now.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn raise(&mut self, records: u64) -> Result<(), StorageError> {
        let number = self.number + 1;
        let offset = SLOT_OFFSETS[usize::from(!number.is_multiple_of(2))];
        self.file
            .write_all_at(&slot(number, records), offset)
            .map_err(StorageError::io("write", &self.path))?;
        (self.number, self.records) = (number, records);
        Ok(())
    }
}

fn slot(number: u64, records: u64) -> Vec<u8> {
    codec::seal(&[number.to_be_bytes(), records.to_be_bytes()].concat())
}

fn numbers(body: &[u8]) -> (u64, u64) {
    let number = |at: usize| {
        let bytes = body.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_be_bytes)
    };
    (number(0), number(8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_whole_slot_counts() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Mark::open(folder.path()).unwrap().is_none());
        Mark::create(folder.path()).unwrap();
        let mut mark = Mark::open(folder.path()).unwrap().unwrap();
        for records in [3, 5, 9] {
            mark.raise(records).unwrap();
            assert_eq!(Mark::open(folder.path()).unwrap().unwrap().records(), records);
        }
        // The last one, torn: the one before counts.
        mark.file.write_all_at(&[7; 4], SLOT_OFFSETS[1] + 1).unwrap();
        assert_eq!(Mark::open(folder.path()).unwrap().unwrap().records(), 5);
        mark.file.write_all_at(&[7; 4], SLOT_OFFSETS[0] + 1).unwrap();
        assert!(matches!(Mark::open(folder.path()), Err(StorageError::Corrupt { .. })));
    }
}
