//! Reading entries back: the cache first, RocksDB for what is older.
//!
//! The two are looked at one after the other, and the log may change in between: a truncation followed by an append
//! could make a reader join old entries to new ones, and a purge could make entries look lost. Every truncation and
//! purge therefore counts up the log's *epoch*, and a reader that finds another epoch after it has been to RocksDB
//! starts again.

use std::mem;

use super::front::Front;
use super::{LogEntry, Shared};
use crate::storage::error::StorageError;

/// Entries gathered for one reader, up to its limit in bytes; the first is taken whatever its size.
pub(super) struct Gathered {
    entries: Vec<LogEntry>,
    bytes: usize,
    limit: usize,
    full: bool,
}

impl Gathered {
    /// Nothing yet.
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: Vec::new(), bytes: 0, limit, full: false }
    }

    /// Takes the entry if it fits; false if it does not, and then no other may follow.
    pub(super) fn push(&mut self, entry: LogEntry) -> bool {
        let bytes = self.bytes + entry.bytes.len();
        self.full |= bytes > self.limit && !self.entries.is_empty();
        if !self.full {
            self.bytes = bytes;
            self.entries.push(entry);
        }
        !self.full
    }

    /// Index that the next entry must have, if the first one has `from`.
    fn next(&self, from: u64) -> u64 {
        self.entries.last().map_or(from, |entry| entry.id.index + 1)
    }
}

/// Entries from `from` (or the first held) to before `to` (or after the last), as [`super::LogStore::read`] says.
pub(super) fn read(
    shared: &Shared,
    from: u64,
    to: u64,
    max_bytes: usize,
) -> Result<Vec<LogEntry>, StorageError> {
    let mut gathered = Gathered::new(max_bytes);
    let mut epoch = None;
    let mut outcome = Ok(());
    loop {
        let rows = {
            let front = shared.front();
            front.check_sound()?;
            if epoch.replace(front.epoch) != Some(front.epoch) {
                gathered = Gathered::new(max_bytes);
                outcome = Ok(());
            }
            mem::replace(&mut outcome, Ok(()))?;
            let (first, end) = held(&front, from, to);
            let start = gathered.next(first);
            let cached = front.cache.first_index().unwrap_or(end).min(end);
            if start >= cached {
                let wanted = front.cache.from(start).take_while(|entry| entry.id.index < end);
                // Stops at the first that does not fit.
                let _fits = wanted.cloned().all(|entry| gathered.push(entry));
                return Ok(gathered.entries);
            }
            if gathered.full {
                return Ok(gathered.entries);
            }
            start..cached
        };
        outcome = shared.table.read(rows, &mut gathered);
    }
}

/// The part of `from..to` that the log holds.
fn held(front: &Front, from: u64, to: u64) -> (u64, u64) {
    (from.max(front.first), to.min(front.last.map_or(0, |last| last.index + 1)))
}
