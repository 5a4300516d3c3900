//! What one call of `apply` will write, and the chain hash over it.
//!
//! ```text
//! hash after entry = SHA-256( hash before | term | leader id | index | row | row | .. )
//! row              = table u8 | 1 put, 0 delete | key length u32 | key | value length u32 | value
//! ```
//!
//! in the order in which the entry writes them; numbers are big endian. Values go into it in the clear, and are sealed
//! for the disk afterwards: nodes with different keys have one hash. The position's rows are left out: the hash
//! itself is in one of them.
//!
//! RocksDB gets the rows of a call in the order of their keys, and of rows with one key the last alone: what the tables
//! hold is the same, and a search for the place of a key in memory begins at that of the one before it.

use rocksdb::{ColumnFamily, WriteBatch};
use sha2::{Digest, Sha256};

use super::generation::Generation;
use super::position::Position;
use super::tables::{APPLIED_KEY, MEMBERSHIP_KEY, Row, Table};
use crate::proto::store::LogId;
use crate::storage::sealing::Keyring;

/// What will be written, under construction.
pub(super) struct Rows<'a> {
    /// By number of the table; the first is none's.
    tables: [&'a ColumnFamily; Table::ALL.len() + 1],
    keyring: &'a Keyring,
    /// In the order in which they were written.
    rows: Vec<Pending>,
    /// Keys and values of the rows.
    bytes: Vec<u8>,
    hash: Sha256,
}

/// A row to be written: where its key and, unless it is deleted, its value stand.
struct Pending {
    table: Table,
    begin: usize,
    key_end: usize,
    value_end: Option<usize>,
}

impl Pending {
    fn key<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.begin..self.key_end]
    }
}

impl<'a> Rows<'a> {
    /// Nothing to write yet.
    pub fn new(generation: &'a Generation) -> Self {
        let mut tables = [generation.table(Table::Meta); Table::ALL.len() + 1];
        for table in Table::ALL {
            tables[table as usize] = generation.table(table);
        }
        let keyring = generation.keyring();
        Self { tables, keyring, rows: Vec::new(), bytes: Vec::new(), hash: Sha256::new() }
    }

    /// How much it has come to: of each row also its kind, its table and two lengths.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + 4 * self.rows.len()
    }

    /// What follows is written by this entry.
    pub fn begin(&mut self, hash_before: &[u8; 32], entry: LogId) {
        self.hash = Sha256::new();
        self.hash.update(hash_before);
        for part in [entry.term, entry.leader_id, entry.index] {
            self.hash.update(part.to_be_bytes());
        }
    }

    /// The entry is done: the hash after it.
    pub fn end(&mut self) -> [u8; 32] {
        std::mem::take(&mut self.hash).finalize().into()
    }

    /// Writes a message as a row.
    pub fn put<R: Row>(&mut self, key: &[u8], row: &R) {
        self.put_value(R::TABLE, key, &row.to_value());
    }

    /// Writes a row as it is stored.
    pub fn put_value(&mut self, table: Table, key: &[u8], value: &[u8]) {
        self.chain(table, 1, key, value);
        let (begin, key_end) = self.keep(key);
        self.bytes.extend_from_slice(value);
        self.rows.push(Pending { table, begin, key_end, value_end: Some(self.bytes.len()) });
    }

    /// Removes a row.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.chain(table, 0, key, &[]);
        let (begin, key_end) = self.keep(key);
        self.rows.push(Pending { table, begin, key_end, value_end: None });
    }

    fn keep(&mut self, key: &[u8]) -> (usize, usize) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(key);
        (begin, self.bytes.len())
    }

    fn chain(&mut self, table: Table, kind: u8, key: &[u8], value: &[u8]) {
        self.hash.update([table as u8, kind]);
        for part in [key, value] {
            let length = u32::try_from(part.len()).expect("a row is smaller than 4 GiB");
            self.hash.update(length.to_be_bytes());
            self.hash.update(part);
        }
    }

    /// The batch, with the position that it leads to.
    pub fn finish(self, before: &Position, after: &Position) -> WriteBatch {
        let Self { tables, keyring, mut rows, bytes, .. } = self;
        // Rows with one key keep their order.
        rows.sort_by(|one, other| (one.table, one.key(&bytes)).cmp(&(other.table, other.key(&bytes))));
        let mut batch = WriteBatch::with_capacity_bytes(bytes.len() + 16 * rows.len() + 512);
        let mut sealed = Vec::new();
        for (position, row) in rows.iter().enumerate() {
            let key = row.key(&bytes);
            let again = |next: &Pending| next.table == row.table && next.key(&bytes) == key;
            if rows.get(position + 1).is_some_and(again) {
                continue;
            }
            let table = tables[row.table as usize];
            match row.value_end {
                Some(end) if keyring.seals() && row.table.is_sealed() => {
                    sealed.clear();
                    keyring.seal_onto(&row.table.place(key), &bytes[row.key_end..end], &mut sealed);
                    batch.put_cf(table, key, &sealed);
                }
                Some(end) => batch.put_cf(table, key, &bytes[row.key_end..end]),
                None => batch.delete_cf(table, key),
            }
        }
        let meta = tables[Table::Meta as usize];
        batch.put_cf(meta, APPLIED_KEY, after.to_row().to_value());
        if let Some(membership) = &after.membership
            && before.membership != after.membership
        {
            batch.put_cf(meta, MEMBERSHIP_KEY, membership.to_value());
        }
        batch
    }
}
