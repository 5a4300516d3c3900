//! The request table: each (agency, request id) is applied at most once, and a retry gets the first reply.
//!
//! A row goes once its time is past: at the beginning of each batch, the earliest first and at most [`EXPIRE_MAX`] of
//! them, so that no entry pays for a long backlog. What is past its time and still there counts as absent. All of it
//! depends on the log alone, never on how entries were grouped into calls: rows written earlier in the same call are
//! looked through as if they were on disk.

use std::collections::BTreeMap;

use rocksdb::ReadOptions;

use super::generation::Generation;
use super::rows::Rows;
use super::tables::{Table, expiry_key, split_expiry_key};
use crate::proto::store::RequestRow;
use crate::storage::error::StorageError;

/// The most rows that one entry removes.
pub(super) const EXPIRE_MAX: usize = 512;

/// The request table as one call of `apply` sees and changes it.
pub(super) struct Requests<'a> {
    generation: &'a Generation,
    /// Rows this call wrote, and `None` for those it removed.
    rows: BTreeMap<Vec<u8>, Option<RequestRow>>,
    /// Keys of the expiry table that this call wrote (true) or removed (false).
    expiries: BTreeMap<Vec<u8>, bool>,
    /// No row goes before this time. Saves the search in all but a few entries; correct when too early.
    earliest: u64,
}

impl<'a> Requests<'a> {
    /// As they are on disk. `earliest` is a time before which no row goes; 0 is always right.
    pub fn new(generation: &'a Generation, earliest: u64) -> Self {
        Self { generation, rows: BTreeMap::new(), expiries: BTreeMap::new(), earliest }
    }

    /// A time before which no row goes.
    pub fn earliest(&self) -> u64 {
        self.earliest
    }

    /// The row of a request, past its time or not.
    pub fn row(&self, key: &[u8]) -> Result<Option<RequestRow>, StorageError> {
        match self.rows.get(key) {
            Some(row) => Ok(row.clone()),
            None => self.generation.row(key),
        }
    }

    /// Keeps a reply, in place of a row that is past its time.
    pub fn put(&mut self, rows: &mut Rows<'_>, key: Vec<u8>, row: RequestRow, past: Option<&RequestRow>) {
        if let Some(past) = past {
            self.set_expiry(rows, expiry_key(past.expires_at_ms, &key), false);
        }
        self.set_expiry(rows, expiry_key(row.expires_at_ms, &key), true);
        self.earliest = self.earliest.min(row.expires_at_ms);
        rows.put(&key, &row);
        self.rows.insert(key, Some(row));
    }

    /// Removes rows whose time is before `now_ms`.
    pub fn expire(&mut self, rows: &mut Rows<'_>, now_ms: u64) -> Result<(), StorageError> {
        if self.earliest >= now_ms {
            return Ok(());
        }
        let first = self.first(EXPIRE_MAX + 1)?;
        self.earliest = now_ms;
        for (removed, key) in first.into_iter().enumerate() {
            let (expires_at_ms, request) = split_expiry_key(&key)?;
            if expires_at_ms >= now_ms || removed == EXPIRE_MAX {
                self.earliest = expires_at_ms;
                break;
            }
            rows.delete(Table::Request, request);
            self.rows.insert(request.to_vec(), None);
            self.set_expiry(rows, key, false);
        }
        Ok(())
    }

    /// The first keys of the expiry table, with this call's changes.
    fn first(&self, limit: usize) -> Result<Vec<Vec<u8>>, StorageError> {
        let from = self.earliest.to_be_bytes();
        let mut keys = Vec::new();
        for row in self.generation.rows_from(Table::RequestExpiry, &from, ReadOptions::default()) {
            let key = row?.0.into_vec();
            if !self.expiries.contains_key(&key) {
                keys.push(key);
            }
            if keys.len() == limit {
                break;
            }
        }
        let written = self.expiries.iter().filter(|(_, there)| **there).map(|(key, _)| key.clone());
        keys.extend(written.take(limit));
        keys.sort();
        keys.truncate(limit);
        Ok(keys)
    }

    fn set_expiry(&mut self, rows: &mut Rows<'_>, key: Vec<u8>, there: bool) {
        if there {
            rows.put_value(Table::RequestExpiry, &key, &[]);
        } else {
            rows.delete(Table::RequestExpiry, &key);
        }
        self.expiries.insert(key, there);
    }
}
