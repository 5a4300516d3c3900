//! What one call of `apply` will write, and the chain hash over it.
//!
//! ```text
//! hash after entry = SHA-256( hash before | term | leader id | index | row | row | .. )
//! row              = table u8 | 1 put, 0 delete | key length u32 | key | value length u32 | value
//! ```
//!
//! in the order in which the entry writes them; numbers are big endian. The position's rows are left out: the hash
//! itself is in one of them.

use rocksdb::WriteBatch;
use sha2::{Digest, Sha256};

use super::generation::Generation;
use super::position::Position;
use super::tables::{APPLIED_KEY, MEMBERSHIP_KEY, Row, Table};
use crate::proto::store::LogId;

/// The write batch under construction.
pub(super) struct Rows<'a> {
    generation: &'a Generation,
    batch: WriteBatch,
    hash: Sha256,
}

impl<'a> Rows<'a> {
    /// Nothing to write yet.
    pub fn new(generation: &'a Generation) -> Self {
        Self { generation, batch: WriteBatch::default(), hash: Sha256::new() }
    }

    /// How much it has come to.
    pub fn bytes(&self) -> usize {
        self.batch.size_in_bytes()
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
        self.batch.put_cf(self.generation.table(table), key, value);
    }

    /// Removes a row.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.chain(table, 0, key, &[]);
        self.batch.delete_cf(self.generation.table(table), key);
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
    pub fn finish(mut self, before: &Position, after: &Position) -> WriteBatch {
        let meta = self.generation.table(Table::Meta);
        self.batch.put_cf(meta, APPLIED_KEY, after.to_row().to_value());
        if let Some(membership) = &after.membership
            && before.membership != after.membership
        {
            self.batch.put_cf(meta, MEMBERSHIP_KEY, membership.to_value());
        }
        self.batch
    }
}
