//! The log in RocksDB: how rows are laid out, written in one batch and read back checked.
//!
//! ```text
//! column family   key                    value
//! log             index u64 BE           seal(encoded store::Entry), which may be sealed again: see `sealing`
//! meta            "vote"                 encode(store::Vote)
//! meta            "committed"            encode(store::LogId)
//! meta            "purged"               encode(store::LogId)
//! ```
//!
//! Entries are checksummed end to end, from the thread that wrote them to the reader: RocksDB checks its blocks and
//! its write-ahead log, and the seal also what happens in memory in between.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, LogLevel, Options,
    ReadOptions, WriteBatch, WriteOptions,
};

use super::LogEntry;
use super::read::Gathered;
use crate::defect::{self, Defect};
use crate::proto::store::{LogId, Vote};
use crate::storage::codec::{self, SEALED};
use crate::storage::error::StorageError;
use crate::storage::sealing::{Keyring, Place};

const LOG: &str = "log";
const META: &str = "meta";
const VOTE: &[u8] = b"vote";
const COMMITTED: &[u8] = b"committed";
const PURGED: &[u8] = b"purged";

const MIB: usize = 1 << 20;
/// An entry is written to disk twice (write-ahead log and table file); a larger memtable does not change that, but a
/// short-lived entry that is purged before its memtable is full is never written the second time.
const MEMTABLE_BYTES: usize = 64 * MIB;
/// The meta rows are tiny, and rewritten with every batch: without a bound their memtable alone would keep every
/// write-ahead log file alive.
const MAX_WAL_BYTES: u64 = 256 * MIB as u64;

/// What was found on disk.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// RocksDB's count of writes.
    pub(super) writes: u64,
    /// The vote.
    pub(super) vote: Option<Vote>,
    /// What was known to be committed.
    pub(super) committed: Option<LogId>,
    /// The last entry purged.
    pub(super) purged: Option<LogId>,
    /// Index of the first entry held, or that the next one will have.
    pub(super) first: u64,
    /// The last entry held, or the last purged if none is.
    pub(super) last: Option<LogId>,
}

/// The open database.
pub(super) struct Table {
    db: DB,
    path: PathBuf,
    keyring: Arc<Keyring>,
    /// Makes every write fail, as a broken disk would.
    #[cfg(test)]
    pub(super) broken: std::sync::atomic::AtomicBool,
}

impl Table {
    /// Opens the database, and makes it if there is none.
    pub(super) fn open(data: &Path, keyring: Arc<Keyring>) -> Result<Self, StorageError> {
        let path = data.join("raft");
        let families = [
            ColumnFamilyDescriptor::new(LOG, log_options()),
            ColumnFamilyDescriptor::new(META, meta_options()),
        ];
        let db = DB::open_cf_descriptors(&db_options(), &path, families)
            .map_err(StorageError::rocks("open", &path))?;
        Ok(Self {
            db,
            path,
            keyring,
            #[cfg(test)]
            broken: std::sync::atomic::AtomicBool::new(false),
        })
    }

    /// Reads where the log stands. The first entry must follow the last purged one; whether none is missing in
    /// between is checked by each read.
    pub(super) fn recover(&self) -> Result<Recovered, StorageError> {
        let purged: Option<LogId> = self.meta(PURGED)?;
        let begin = purged.map_or(0, |id| id.index + 1);
        let mut rows = self.db.raw_iterator_cf(self.log());
        rows.seek(begin.to_be_bytes());
        let first = rows.key().map(|key| self.index(key)).transpose()?;
        rows.status().map_err(StorageError::rocks("read", &self.path))?;
        if purged.is_some() && first.is_some_and(|first| first != begin) {
            return Err(StorageError::corrupt(
                self.entry_name(begin),
                format!(
                    "the log is purged up to {} and begins only at {}",
                    begin - 1,
                    first.unwrap_or_default()
                ),
            ));
        }
        let mut last = purged;
        if first.is_some() {
            rows.seek_to_last();
            if let Some((key, value)) = rows.item() {
                last = Some(self.open_row(key, value)?.id);
            }
            rows.status().map_err(StorageError::rocks("read", &self.path))?;
        }
        Ok(Recovered {
            writes: self.writes(),
            vote: self.meta(VOTE)?,
            committed: self.meta(COMMITTED)?,
            purged,
            first: first.unwrap_or(begin),
            last,
        })
    }

    /// The id of the entry at `index`; `None` if it is not there.
    pub(super) fn id_at(&self, index: u64) -> Result<Option<LogId>, StorageError> {
        let key = index.to_be_bytes();
        let row = self.db.get_pinned_cf(self.log(), key).map_err(StorageError::rocks("read", &self.path))?;
        row.map(|value| self.open_row(&key, &value).map(|entry| entry.id)).transpose()
    }

    /// Reads entries into `into` until the range or its limit ends. Every one of the range must be there.
    pub(super) fn read(&self, range: Range<u64>, into: &mut Gathered) -> Result<(), StorageError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(range.end.to_be_bytes().to_vec());
        // Only a node that is far behind reads from here, each entry once: caching would push out what others need.
        options.fill_cache(false);
        let mut rows = self.db.raw_iterator_cf_opt(self.log(), options);
        rows.seek(range.start.to_be_bytes());
        for expected in range {
            let Some((key, value)) = rows.item() else {
                rows.status().map_err(StorageError::rocks("read", &self.path))?;
                return Err(StorageError::corrupt(self.entry_name(expected), "it is missing"));
            };
            if key != expected.to_be_bytes() {
                return Err(StorageError::corrupt(self.entry_name(expected), "it is missing"));
            }
            if !into.push(self.open_row(key, value)?) {
                return Ok(());
            }
            rows.next();
        }
        Ok(())
    }

    /// An empty batch with room for about `bytes`.
    pub(super) fn batch(&self, bytes: usize) -> Batch<'_> {
        let rows = WriteBatch::with_capacity_bytes(bytes);
        Batch { log: self.log(), meta: self.meta_family(), keyring: &self.keyring, rows, scratch: Vec::new() }
    }

    /// Writes the batch, all or nothing; durable on return if `sync`.
    ///
    /// # Errors
    /// Final: what the disk holds is unknown until the database is opened again.
    pub(super) fn write(&self, batch: Batch<'_>, sync: bool) -> Result<(), StorageError> {
        #[cfg(test)]
        if self.broken.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(StorageError::io("sync", &self.path)(std::io::Error::other("injected fault")));
        }
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.db.write_opt(batch.rows, &options).map_err(StorageError::rocks("write to", &self.path))
    }

    /// RocksDB's count of writes: never goes back, whatever they wrote.
    pub(super) fn writes(&self) -> u64 {
        self.db.latest_sequence_number()
    }

    fn log(&self) -> &ColumnFamily {
        self.db.cf_handle(LOG).expect("opened with it")
    }

    fn meta_family(&self) -> &ColumnFamily {
        self.db.cf_handle(META).expect("opened with it")
    }

    fn meta<M: Message + Default>(&self, key: &[u8]) -> Result<Option<M>, StorageError> {
        let row = self
            .db
            .get_pinned_cf(self.meta_family(), key)
            .map_err(StorageError::rocks("read", &self.path))?;
        let what = || format!("row {:?} in {}", String::from_utf8_lossy(key), self.path.display());
        row.map(|value| codec::decode(&what(), &value)).transpose()
    }

    fn index(&self, key: &[u8]) -> Result<u64, StorageError> {
        let bytes = key.try_into().map_err(|_| {
            StorageError::corrupt(format!("the log in {}", self.path.display()), "a key is not an index")
        })?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn open_row(&self, key: &[u8], value: &[u8]) -> Result<LogEntry, StorageError> {
        let index = self.index(key)?;
        entry(&self.entry_name(index), index, value, &self.keyring)
    }

    fn entry_name(&self, index: u64) -> String {
        format!("entry {index} of the log in {}", self.path.display())
    }
}

/// Takes the seal off a row and checks that it is the entry that belongs there. `name` names it in the error.
pub(super) fn entry(
    name: &str,
    index: u64,
    sealed: &[u8],
    keyring: &Keyring,
) -> Result<LogEntry, StorageError> {
    /// An entry without its payload, which is skipped and not looked at.
    #[derive(Clone, PartialEq, Message)]
    struct Head {
        #[prost(message, optional, tag = "1")]
        log_id: Option<LogId>,
    }
    let held = codec::unseal_either(name, sealed)?;
    if (sealed.first() == Some(&SEALED)) != (held.first() == Some(&SEALED)) {
        return Err(StorageError::corrupt(name, "not an entry"));
    }
    let opened = keyring.open_value(name, &Place::entry(index), held)?;
    let head =
        Head::decode(&opened[..]).map_err(|e| StorageError::corrupt(name, format!("not an entry ({e})")))?;
    match head.log_id {
        Some(id) if id.index == index => {
            let bytes = match opened {
                Cow::Owned(opened) => Bytes::from(opened),
                Cow::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            };
            Ok(LogEntry { id, bytes })
        }
        _ => Err(StorageError::corrupt(name, "another entry is in its place")),
    }
}

/// Rows to be written together, in the order of the calls.
pub(super) struct Batch<'a> {
    log: &'a ColumnFamily,
    meta: &'a ColumnFamily,
    keyring: &'a Keyring,
    rows: WriteBatch,
    scratch: Vec<u8>,
}

impl Batch<'_> {
    /// Writes an entry.
    pub(super) fn put_entry(&mut self, entry: &LogEntry) {
        let Self { keyring, scratch, .. } = self;
        if keyring.seals() {
            let place = Place::entry(entry.id.index);
            let fill = |buffer: &mut Vec<u8>| keyring.seal_onto(&place, &entry.bytes, buffer);
            codec::frame_into(scratch, SEALED, fill);
        } else {
            codec::seal_into(scratch, &entry.bytes);
        }
        self.rows.put_cf(self.log, entry.id.index.to_be_bytes(), &self.scratch);
    }

    /// Writes any bytes in an entry's place.
    #[cfg(test)]
    pub(super) fn put_row(&mut self, index: u64, value: &[u8]) {
        self.rows.put_cf(self.log, index.to_be_bytes(), value);
    }

    /// Deletes the entries of the range, as one tombstone: RocksDB drops the rows when it compacts.
    pub(super) fn delete_entries(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.rows.delete_range_cf(self.log, range.start.to_be_bytes(), range.end.to_be_bytes());
        }
    }

    /// Writes the vote.
    pub(super) fn put_vote(&mut self, vote: &Vote) {
        self.rows.put_cf(self.meta, VOTE, codec::encode(vote));
    }

    /// Writes what is purged.
    pub(super) fn put_purged(&mut self, upto: &LogId) {
        self.rows.put_cf(self.meta, PURGED, codec::encode(upto));
    }

    /// Writes what is committed.
    pub(super) fn put_committed(&mut self, committed: Option<LogId>) {
        match committed {
            Some(id) => self.rows.put_cf(self.meta, COMMITTED, codec::encode(&id)),
            None => self.rows.delete_cf(self.meta, COMMITTED),
        }
    }
}

fn db_options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    // Drops a torn tail, which no one was told about, and refuses a log damaged in the middle.
    let careless = defect::has(Defect::IgnoredChecksum);
    let strict = DBRecoveryMode::TolerateCorruptedTailRecords;
    options.set_wal_recovery_mode(if careless { DBRecoveryMode::PointInTime } else { strict });
    options.set_track_and_verify_wals_in_manifest(!careless);
    options.set_paranoid_checks(true);
    options.set_max_total_wal_size(max_wal_bytes());
    options.set_max_background_jobs(2);
    // All table files are opened with the database, so that a missing one is noticed then and not when it is read.
    options.set_max_open_files(-1);
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(MIB);
    options.set_keep_log_file_num(4);
    options.set_stats_dump_period_sec(0);
    options
}

fn max_wal_bytes() -> u64 {
    // A file of this size is allocated at once: in a simulation in memory, a hundred times in a second, for a small log.
    #[cfg(test)]
    if crate::simulated::active() {
        return MIB as u64;
    }
    MAX_WAL_BYTES
}

fn log_options() -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_write_buffer_number(3);
    options.set_compression_type(DBCompressionType::None);
    options
}

fn meta_options() -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(MIB);
    options.set_compression_type(DBCompressionType::None);
    options
}
