//! One generation of the state: a RocksDB in a folder of its own.
//!
//! `state/CURRENT` names the live one. Installing a snapshot makes the next one and swaps the name; whoever still
//! reads the old one goes on, and its folder goes with its last reader.

use std::borrow::Cow;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rocksdb::{
    DB, DBPinnableSlice, DBRawIterator, Direction, IteratorMode, Options, ReadOptions, WriteBatch,
    WriteOptions,
};

use super::files;
use super::options;
use super::position::{FirstRevision, Position};
use super::tables::{APPLIED_KEY, KEPT_POLICIES, MEMBERSHIP_KEY, Row, Table, holder_key, holder_prefix};
use crate::domain::command::Alias;
use crate::domain::policy::Policies;
use crate::proto::store::PolicyRow;
use crate::storage::codec;
use crate::storage::error::StorageError;
use crate::storage::sealing::Keyring;

/// The file that names the live generation.
const CURRENT: &str = "CURRENT";

/// The name of generation `number`.
pub(super) fn name(number: u64) -> String {
    format!("g{number:06}")
}

/// The number of the generation with this name.
fn number(name: &str) -> Option<u64> {
    name.strip_prefix('g')?.parse().ok()
}

/// Reads which generation is live.
pub(super) fn read_current(state_folder: &Path) -> Result<Option<u64>, StorageError> {
    let path = state_folder.join(CURRENT);
    let Some(sealed) = files::read_if_there(&path)? else { return Ok(None) };
    parse(&path.display().to_string(), &sealed).map(Some)
}

/// The number in CURRENT.
pub(super) fn parse(what: &str, sealed: &[u8]) -> Result<u64, StorageError> {
    let named = std::str::from_utf8(codec::unseal(what, sealed)?).ok().and_then(number);
    named.ok_or_else(|| StorageError::corrupt(what, "it names no generation"))
}

/// Makes a generation the live one, durably.
pub(super) fn write_current(state_folder: &Path, number: u64) -> Result<(), StorageError> {
    files::replace(&state_folder.join(CURRENT), &codec::seal(name(number).as_bytes()))
}

/// Removes every generation but the live one.
pub(super) fn remove_stale(state_folder: &Path, live: Option<u64>) -> Result<(), StorageError> {
    for found in files::names(state_folder)? {
        if number(&found).is_some_and(|number| Some(number) != live) {
            files::remove_folder(&state_folder.join(found))?;
        }
    }
    Ok(())
}

/// Key and value of a row, or why it cannot be read.
pub(super) type RawRow = Result<(Box<[u8]>, Box<[u8]>), StorageError>;

/// A value: where RocksDB has it, or as it was opened.
pub(super) enum Value<'a> {
    /// Written in the clear.
    Stored(DBPinnableSlice<'a>),
    /// Was sealed.
    Opened(Vec<u8>),
}

impl Deref for Value<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Stored(value) => value,
            Self::Opened(value) => value,
        }
    }
}

/// An open generation.
pub(super) struct Generation {
    // Before `folder`: RocksDB is closed before its files may go.
    db: DB,
    folder: Folder,
    number: u64,
    keyring: Arc<Keyring>,
    /// Where the history begins: moved before the versions behind it go.
    first: RwLock<FirstRevision>,
}

/// The folder of a generation, removed with its last user once it is doomed.
struct Folder {
    path: PathBuf,
    doomed: AtomicBool,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.doomed.load(Ordering::Acquire)
            && let Err(error) = files::remove_folder(&self.path)
        {
            tracing::warn!(%error, "an old generation of the state stays until the next start");
        }
    }
}

impl Generation {
    /// Opens generation `number`; an empty one is made if `create`.
    pub fn open(
        state_folder: &Path,
        number: u64,
        rocks: &Options,
        keyring: &Arc<Keyring>,
        create: bool,
    ) -> Result<Arc<Self>, StorageError> {
        let path = state_folder.join(name(number));
        if !create && !path.join("CURRENT").exists() {
            // RocksDB would leave a folder behind that looks like an attempt to make one.
            return Err(StorageError::corrupt(path.display().to_string(), "there is no database in it"));
        }
        let mut rocks = rocks.clone();
        rocks.create_if_missing(create);
        // Also of a folder that an earlier version made, which knew fewer.
        rocks.create_missing_column_families(true);
        let tables = Table::ALL.map(|table| (table.name(), options::of_table(table, &rocks)));
        let db = DB::open_cf_with_opts(&rocks, &path, tables).map_err(StorageError::rocks("open", &path))?;
        let folder = Folder { path, doomed: AtomicBool::new(false) };
        let keyring = keyring.clone();
        let generation = Self { db, folder, number, keyring, first: RwLock::default() };
        generation.begin_at(generation.position()?.first);
        Ok(Arc::new(generation))
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.folder.path
    }

    /// RocksDB itself, for what only it can do.
    pub fn db(&self) -> &DB {
        &self.db
    }

    /// The keys of its values.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Lets the folder go with the last user.
    pub fn doom(&self) {
        self.folder.doomed.store(true, Ordering::Release);
    }

    /// Where the history begins, or will once a write that is under way is done.
    pub fn first(&self) -> FirstRevision {
        *self.first.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says where the history begins. Called before the write that removes what is before it: whoever then misses a
    /// version in the tables finds out here that it may have gone.
    pub fn begin_at(&self, first: FirstRevision) {
        *self.first.write().unwrap_or_else(PoisonError::into_inner) = first;
    }

    /// RocksDB's handle of a table.
    pub fn table(&self, table: Table) -> &rocksdb::ColumnFamily {
        self.db.cf_handle(table.name()).expect("open() opened every table")
    }

    /// [`Defect::SnapshotWithoutRequests`](crate::defect::Defect): empties the request table.
    pub fn forget_requests(&self) -> Result<(), StorageError> {
        for table in [Table::Request, Table::RequestExpiry] {
            let all = self.db.delete_range_cf(self.table(table), &[][..], &[0xff; 64][..]);
            all.map_err(StorageError::rocks("empty", self.db.path()))?;
        }
        Ok(())
    }

    /// A value.
    pub fn value(&self, table: Table, key: &[u8]) -> Result<Option<Value<'_>>, StorageError> {
        let stored = self.db.get_pinned_cf(self.table(table), key);
        let Some(stored) = stored.map_err(StorageError::rocks("read", self.path()))? else { return Ok(None) };
        let opened = match self.opened(table, key, &stored)? {
            Cow::Owned(opened) => Some(opened),
            Cow::Borrowed(_) => None,
        };
        Ok(Some(opened.map_or(Value::Stored(stored), Value::Opened)))
    }

    /// A value as it was before it was sealed, if its table's values are.
    pub fn opened<'v>(
        &self,
        table: Table,
        key: &[u8],
        stored: &'v [u8],
    ) -> Result<Cow<'v, [u8]>, StorageError> {
        if !table.is_sealed() {
            return Ok(Cow::Borrowed(stored));
        }
        self.keyring.open_value(table.name(), &table.place(key), stored)
    }

    /// A row.
    pub fn row<R: Row>(&self, key: &[u8]) -> Result<Option<R>, StorageError> {
        self.value(R::TABLE, key)?.map(|value| R::from_value(&value)).transpose()
    }

    /// The rows of a table from a key on, in order.
    pub fn rows_from<'a>(
        &'a self,
        table: Table,
        from: &[u8],
        mut options: ReadOptions,
    ) -> impl Iterator<Item = RawRow> + use<'a> {
        // Beyond those that share a part with the first one: see `tables::shared_part`.
        options.set_total_order_seek(true);
        self.rows(table, from, options)
    }

    fn rows<'a>(
        &'a self,
        table: Table,
        from: &[u8],
        options: ReadOptions,
    ) -> impl Iterator<Item = RawRow> + use<'a> {
        let start = IteratorMode::From(from, Direction::Forward);
        let rows = self.db.iterator_cf_opt(self.table(table), options, start);
        rows.map(move |row| {
            let (key, stored) = row.map_err(StorageError::rocks("read", self.path()))?;
            let opened = match self.opened(table, &key, &stored)? {
                Cow::Owned(opened) => Some(opened.into_boxed_slice()),
                Cow::Borrowed(_) => None,
            };
            Ok((key, opened.unwrap_or(stored)))
        })
    }

    /// The rows of the holders of an alias, in order. That there are none, which is usual for the number of a new paper,
    /// is found out by bloom filters and not by a search in each file.
    pub fn holders<'a>(&'a self, alias: &Alias) -> impl Iterator<Item = RawRow> + use<'a> {
        let mut options = ReadOptions::default();
        options.set_iterate_range(rocksdb::PrefixRange(holder_prefix(alias)));
        options.set_prefix_same_as_start(true);
        self.rows(Table::Alias, &holder_key(alias, 0), options)
    }

    /// The same for one alias after the other: each search must look for a [`holder_key`], and ends with its prefix.
    pub fn all_holders(&self) -> DBRawIterator<'_> {
        let mut options = ReadOptions::default();
        options.set_prefix_same_as_start(true);
        self.db.raw_iterator_cf_opt(self.table(Table::Alias), options)
    }

    /// Writes a batch: all of it or nothing, visible at once, on disk with the next flush.
    ///
    /// # Errors
    /// Also when an earlier flush or compaction failed in the background: RocksDB would go on taking writes into
    /// memory, and the state would grow ever further from what is on disk.
    pub fn write(&self, batch: WriteBatch) -> Result<(), StorageError> {
        let errors = self.db.property_int_value(rocksdb::properties::BACKGROUND_ERRORS);
        match errors.map_err(StorageError::rocks("ask for the health of", self.path()))? {
            None | Some(0) => {}
            Some(_) => self.background_error()?,
        }
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch, &options).map_err(StorageError::rocks("write to", self.path()))
    }

    /// A flush tells what is wrong; RocksDB offers no other way to ask.
    fn background_error(&self) -> Result<(), StorageError> {
        self.flush()?;
        Err(StorageError::stopped(format!("a flush or compaction of {} failed", self.path().display())))
    }

    /// Writes everything in memory to disk, durably.
    pub fn flush(&self) -> Result<(), StorageError> {
        let tables = Table::ALL.map(|table| self.table(table));
        let flushed = self.db.flush_cfs_opt(&tables.each_ref(), &rocksdb::FlushOptions::default());
        flushed.map_err(StorageError::rocks("flush", self.path()))
    }

    /// How far this generation has applied the log.
    pub fn position(&self) -> Result<Position, StorageError> {
        Position::from_rows(self.row(APPLIED_KEY)?, self.row(MEMBERSHIP_KEY)?, self.policies()?)
    }

    /// All agencies, procedures and policies.
    fn policies(&self) -> Result<Policies, StorageError> {
        let mut policies = Policies::default();
        for prefix in KEPT_POLICIES {
            for row in self.rows_from(Table::Policy, prefix, ReadOptions::default()) {
                let (key, value) = row?;
                if !key.starts_with(prefix) {
                    break;
                }
                policies = policies.with(&PolicyRow::from_value(&value)?);
            }
        }
        Ok(policies)
    }
}
