//! The high-water mark `raft.mark`: what this node has promised to remember, kept outside the database that it
//! watches over.
//!
//! RocksDB cannot tell a log that was cut by damage from one that was always short: a deleted or cut write-ahead log
//! opens without a word, with entries missing that the node had acknowledged, or with an older vote. A node that
//! votes or acknowledges from there can undo what the cluster has committed. So after each fsync of the log the mark
//! notes the vote, the last synced entry and RocksDB's count of writes, and a log that holds less than that is
//! refused.
//!
//! ```text
//! 0      slot A, 512 bytes: seal(bincode{number, writes, vote, last} + zeros)
//! 4096   slot B, the same; the valid slot with the higher number counts, writes go to the other one
//! ```
//!
//! Each slot is one disk sector, in a page of its own: a torn write costs at most that slot, and the other one holds
//! the mark before. The mark after an append is written but not synced, which costs microseconds, where one more
//! fsync would halve the throughput. It is synced when the vote changes, when the log is about to get shorter, and on
//! a clean stop.
//!
//! What it detects: every loss found at a restart of the process, however the process ended, for the page cache keeps
//! the mark. After a power cut it may be as old as the last write-back, some tens of seconds, and then vouches for
//! that much only; the vote is exact in every case. What it never does is accuse a sound log: the mark is written
//! after what it vouches for, and lowered durably, in both slots, before the log gets shorter.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failpoint::{Failpoint, reached};
use crate::proto::store::{LogId, Vote};
use crate::storage::codec;
use crate::storage::data_dir::write_atomically;
use crate::storage::error::StorageError;

const FILE: &str = "raft.mark";
/// Bytes of a slot.
pub(super) const SLOT_LEN: usize = 512;
const SLOT_OFFSETS: [u64; 2] = [0, 4096];

/// What must be found again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Promise {
    /// RocksDB's sequence number after the last synced batch.
    pub(super) writes: u64,
    /// The vote.
    pub(super) vote: Option<Vote>,
    /// The last synced entry.
    pub(super) last: Option<LogId>,
}

/// The open file.
pub(super) struct Mark {
    file: File,
    path: PathBuf,
    number: u64,
    promise: Promise,
}

/// A slot's content. Numbers only: the messages of the log format do not know bincode.
#[derive(Serialize, Deserialize)]
struct Slot {
    number: u64,
    writes: u64,
    vote: Option<(u64, u64, bool)>,
    last: Option<(u64, u64, u64)>,
}

impl Mark {
    /// Makes the file, promising nothing, if there is none.
    pub(super) fn create(data: &Path) -> Result<(), StorageError> {
        let path = data.join(FILE);
        if path.exists() {
            return Ok(());
        }
        let second = usize::try_from(SLOT_OFFSETS[1]).expect("4096 fits");
        let mut bytes = vec![0; second + SLOT_LEN];
        bytes[..SLOT_LEN].copy_from_slice(&slot(0, &Promise::default())?);
        bytes[second..].copy_from_slice(&slot(1, &Promise::default())?);
        write_atomically(&path, &bytes)
    }

    /// Opens the file; `None` if there is none.
    ///
    /// # Errors
    /// `Corrupt` if neither slot is whole, `Format` if a newer version wrote one.
    pub(super) fn open(data: &Path) -> Result<Option<Self>, StorageError> {
        let path = data.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let file =
            OpenOptions::new().read(true).write(true).open(&path).map_err(StorageError::io("open", &path))?;
        let mut newest: Option<(u64, Promise)> = None;
        for offset in SLOT_OFFSETS {
            let found = match read_slot(&file, &path, offset) {
                Ok(found) => found,
                Err(StorageError::Corrupt { .. }) => continue,
                Err(e) => return Err(e),
            };
            if newest.is_none_or(|(number, _)| number < found.0) {
                newest = Some(found);
            }
        }
        match newest {
            Some((number, promise)) => Ok(Some(Self { file, path, number, promise })),
            None => Err(StorageError::corrupt(path.display().to_string(), "neither of its copies is whole")),
        }
    }

    /// What the mark promises.
    pub(super) fn promise(&self) -> Promise {
        self.promise
    }

    /// Replaces the promise by a higher one. Not synced: losing it leaves the one before, which is lower.
    pub(super) fn raise(&mut self, promise: Promise) -> Result<(), StorageError> {
        let number = self.number + 1;
        self.file
            .write_all_at(&slot(number, &promise)?, offset(number))
            .map_err(StorageError::io("write", &self.path))?;
        reached(Failpoint::MarkWritten);
        (self.number, self.promise) = (number, promise);
        Ok(())
    }

    /// Replaces the promise, higher or lower, in both slots; durable on return. One slot after the other, so that one
    /// is whole at any moment.
    pub(super) fn replace(&mut self, promise: Promise) -> Result<(), StorageError> {
        for _slot in SLOT_OFFSETS {
            self.raise(promise)?;
            self.sync()?;
        }
        Ok(())
    }

    /// Makes the last promise durable.
    pub(super) fn sync(&self) -> Result<(), StorageError> {
        self.file.sync_data().map_err(StorageError::io("sync", &self.path))
    }
}

/// Odd numbers stand in slot B, so that the one before is never written over.
fn offset(number: u64) -> u64 {
    SLOT_OFFSETS[usize::from(!number.is_multiple_of(2))]
}

/// A slot as it is written.
pub(super) fn slot(number: u64, promise: &Promise) -> Result<Vec<u8>, StorageError> {
    let content = Slot {
        number,
        writes: promise.writes,
        vote: promise.vote.map(|vote| (vote.term, vote.node_id, vote.committed)),
        last: promise.last.map(|id| (id.term, id.leader_id, id.index)),
    };
    let mut bytes = codec::pack(FILE, &content)?;
    bytes.resize(SLOT_LEN - codec::SEAL_LEN, 0);
    Ok(codec::seal(&bytes))
}

fn read_slot(file: &File, path: &Path, offset: u64) -> Result<(u64, Promise), StorageError> {
    let what = path.display().to_string();
    let mut bytes = [0; SLOT_LEN];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            return Err(StorageError::corrupt(what, "it is cut"));
        }
        Err(e) => return Err(StorageError::io("read", path)(e)),
    }
    parse(&what, &bytes)
}

/// Number and promise of a slot.
pub(super) fn parse(what: &str, sealed: &[u8]) -> Result<(u64, Promise), StorageError> {
    let slot: Slot = codec::unpack(what, codec::unseal(what, sealed)?)?;
    let promise = Promise {
        writes: slot.writes,
        vote: slot.vote.map(|(term, node_id, committed)| Vote { term, node_id, committed }),
        last: slot.last.map(|(term, leader_id, index)| LogId { term, leader_id, index }),
    };
    Ok((slot.number, promise))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise(index: u64) -> Promise {
        Promise {
            writes: index * 2,
            vote: Some(Vote { term: 7, node_id: 2, committed: true }),
            last: Some(LogId { term: 7, leader_id: 2, index }),
        }
    }

    fn damage(dir: &Path, offset: u64) {
        let file = OpenOptions::new().write(true).open(dir.join(FILE)).unwrap();
        file.write_all_at(&[0xee; 40], offset + 20).unwrap();
    }

    #[test]
    fn the_newest_promise_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Mark::open(dir.path()).unwrap().is_none());
        Mark::create(dir.path()).unwrap();
        let mut mark = Mark::open(dir.path()).unwrap().unwrap();
        assert_eq!(mark.promise(), Promise::default());
        for index in 0..5 {
            mark.raise(promise(index)).unwrap();
            let again = Mark::open(dir.path()).unwrap().unwrap();
            assert_eq!(again.promise(), promise(index));
        }
        Mark::create(dir.path()).unwrap();
        assert_eq!(Mark::open(dir.path()).unwrap().unwrap().promise(), promise(4));
    }

    #[test]
    fn a_torn_slot_leaves_the_promise_before() {
        let dir = tempfile::tempdir().unwrap();
        Mark::create(dir.path()).unwrap();
        let mut mark = Mark::open(dir.path()).unwrap().unwrap();
        for index in 1..=4 {
            mark.raise(promise(index)).unwrap();
        }
        damage(dir.path(), offset(mark.number));
        assert_eq!(Mark::open(dir.path()).unwrap().unwrap().promise(), promise(3));
        damage(dir.path(), offset(mark.number + 1));
        assert!(matches!(Mark::open(dir.path()), Err(StorageError::Corrupt { .. })));
    }

    #[test]
    fn a_lowered_promise_stands_in_both_slots() {
        let dir = tempfile::tempdir().unwrap();
        Mark::create(dir.path()).unwrap();
        let mut mark = Mark::open(dir.path()).unwrap().unwrap();
        mark.raise(promise(9)).unwrap();
        mark.replace(promise(5)).unwrap();
        damage(dir.path(), SLOT_OFFSETS[0]);
        assert_eq!(Mark::open(dir.path()).unwrap().unwrap().promise(), promise(5));
    }

    #[test]
    fn a_newer_format_is_refused_though_the_other_slot_is_readable() {
        let dir = tempfile::tempdir().unwrap();
        Mark::create(dir.path()).unwrap();
        let file = OpenOptions::new().write(true).open(dir.path().join(FILE)).unwrap();
        file.write_all_at(&[2], SLOT_OFFSETS[1]).unwrap();
        assert!(matches!(Mark::open(dir.path()), Err(StorageError::Format { found: 2, .. })));
    }
}
