//! An index over audit logs: who was seen when, on which node, in which record. It follows from the logs alone and has no log
//! of its own: what a crash takes is added again, because how far each log was gone through stands in the same write.
//!
//! ```text
//! "p" person uid, instant descending, node, position descending    -> nothing     numbers are u64, big endian
//! "t" instant descending, node, position descending                -> nothing
//! "n" node                                              -> position of the next record to go through
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rocksdb::{DB, Direction, IteratorMode, MemtableFactory, Options, WriteBatch, WriteOptions};

use super::error::StorageError;

/// A record's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// When the access was, in milliseconds since 1970, by its node's clock.
    pub time_ms: u64,
    /// The node.
    pub node_id: u64,
    /// The position in its log.
    pub position: u64,
}

/// The open index. RocksDB is closed with it.
pub struct AuditIndex {
    db: DB,
    path: PathBuf,
    /// By node, the first record that was not gone through: what is in the table, of the nodes asked for so far.
    next: Mutex<BTreeMap<u64, u64>>,
}

const PERSON: u8 = b'p';
const TIME: u8 = b't';
const NODE: u8 = b'n';

impl AuditIndex {
    /// Opens the index in a folder, or makes it.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        super::data_dir::create_dir(path)?;
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_write_buffer_size(8 << 20);
        // It is written all the time and read seldom: rows are gathered as they come, and sorted when they go to disk or
        // somebody looks.
        options.set_memtable_factory(MemtableFactory::Vector);
        options.set_allow_concurrent_memtable_write(false);
        options.set_max_open_files(256);
        options.set_compression_type(rocksdb::DBCompressionType::Lz4);
        options.set_keep_log_file_num(2);
        options.set_max_log_file_size(4 << 20);
        options.set_stats_dump_period_sec(0);
        let db = DB::open(&options, path).map_err(StorageError::rocks("open", path))?;
        Ok(Self { db, path: path.to_owned(), next: Mutex::default() })
    }

    /// The first record of a node's log that was not gone through.
    ///
    /// # Errors
    /// Faults of the disk, here and below.
    pub fn next(&self, node_id: u64) -> Result<u64, StorageError> {
        let mut known = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(next) = known.get(&node_id) {
            return Ok(*next);
        }
        let value = self.db.get(key(NODE, &[node_id])).map_err(StorageError::rocks("read", &self.path))?;
        let next = value.and_then(|value| value[..].try_into().ok()).map_or(0, u64::from_be_bytes);
        known.insert(node_id, next);
        Ok(next)
    }

    /// Adds records of one node, each with those whom it is about, and says where to go on.
    ///
    /// # Errors
    /// See [`AuditIndex::next`].
    pub fn add(&self, node_id: u64, records: &[(Place, Vec<u64>)], next: u64) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        for (place, persons) in records {
            let Place { time_ms, node_id, position } = *place;
            batch.put(key(TIME, &[!time_ms, node_id, !position]), []);
            for uid in persons {
                batch.put(key(PERSON, &[*uid, !time_ms, node_id, !position]), []);
            }
        }
        batch.put(key(NODE, &[node_id]), next.to_be_bytes());
        // What is lost with the memory is a tail of such batches, and how far the logs were gone through with it.
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch, &options).map_err(StorageError::rocks("write to", &self.path))?;
        self.next.lock().unwrap_or_else(PoisonError::into_inner).insert(node_id, next);
        Ok(())
    }

    /// The records about a person, newest first: `limit` of them, from behind `after` on.
    ///
    /// # Errors
    /// See [`AuditIndex::next`].
    pub fn of_person(
        &self,
        uid: u64,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Vec<Place>, StorageError> {
        self.range(&key(PERSON, &[uid]), after, limit)
    }

    /// All records, newest first: `limit` of them, from behind `after` on.
    ///
    /// # Errors
    /// See [`AuditIndex::next`].
    pub fn all(&self, after: Option<Place>, limit: usize) -> Result<Vec<Place>, StorageError> {
        self.range(&[TIME], after, limit)
    }

    fn range(&self, prefix: &[u8], after: Option<Place>, limit: usize) -> Result<Vec<Place>, StorageError> {
        let from = match after {
            Some(Place { time_ms, node_id, position }) => {
                // A zero more is the next key that can be.
                let place = [!time_ms, node_id, !position].map(u64::to_be_bytes).concat();
                [prefix, &place, &[0]].concat()
            }
            None => prefix.to_vec(),
        };
        let mut places = Vec::new();
        for row in self.db.iterator(IteratorMode::From(&from, Direction::Forward)) {
            let (key, _) = row.map_err(StorageError::rocks("read", &self.path))?;
            match key.strip_prefix(prefix).and_then(place) {
                Some(place) if places.len() < limit => places.push(place),
                _ => break,
            }
        }
        Ok(places)
    }
}

fn key(kind: u8, numbers: &[u64]) -> Vec<u8> {
    let mut key = vec![kind];
    numbers.iter().for_each(|number| key.extend_from_slice(&number.to_be_bytes()));
    key
}

fn place(rest: &[u8]) -> Option<Place> {
    let (time, rest) = rest.split_first_chunk()?;
    let (node, position) = rest.split_first_chunk()?;
    Some(Place {
        time_ms: !u64::from_be_bytes(*time),
        node_id: u64::from_be_bytes(*node),
        position: !u64::from_be_bytes(position.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_found_newest_first_and_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let index = AuditIndex::open(&folder.path().join("index")).unwrap();
        let place = |time_ms, node_id, position| Place { time_ms, node_id, position };
        let of_1 = [(place(5, 1, 0), vec![7, 8]), (place(5, 1, 1), vec![7]), (place(9, 1, 2), vec![])];
        index.add(1, &of_1, 3).unwrap();
        index.add(2, &[(place(7, 2, 0), vec![7])], 1).unwrap();
        // Twice is once.
        index.add(2, &[(place(7, 2, 0), vec![7])], 1).unwrap();
        assert_eq!((index.next(1).unwrap(), index.next(2).unwrap(), index.next(3).unwrap()), (3, 1, 0));
        // Of one instant the later record comes first, too.
        let all = [place(7, 2, 0), place(5, 1, 1), place(5, 1, 0)];
        assert_eq!(index.of_person(7, None, 9).unwrap(), all);
        assert_eq!(index.of_person(7, Some(all[0]), 1).unwrap(), all[1..2]);
        assert_eq!(index.of_person(7, Some(all[2]), 9).unwrap(), []);
        assert_eq!(index.of_person(8, None, 9).unwrap(), all[2..]);
        assert_eq!(index.of_person(9, None, 9).unwrap(), []);
        assert_eq!(index.all(None, 9).unwrap().len(), 4);
        assert_eq!(index.all(Some(place(9, 1, 2)), 9).unwrap(), all);
        drop(index);
        let index = AuditIndex::open(&folder.path().join("index")).unwrap();
        assert_eq!((index.next(1).unwrap(), index.all(None, 9).unwrap().len()), (3, 4));
    }
}
