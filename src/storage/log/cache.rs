//! The newest entries in memory. Replication reads what was just appended, and an entry may be asked for before it is
//! in RocksDB: so everything not yet durable is here, always, and as much of the rest as the limit allows. Eviction
//! takes the oldest, and never an entry that is not durable: a slow disk can push the cache past its limit, by no
//! more than the queue holds. A reader that is behind falls back to RocksDB.

use std::collections::VecDeque;

use super::LogEntry;

/// What an entry costs beside its bytes.
const OVERHEAD: usize = size_of::<LogEntry>();

/// Consecutive entries, up to the last of the log.
pub(super) struct Cache {
    entries: VecDeque<LogEntry>,
    bytes: usize,
    limit: usize,
}

impl Cache {
    /// An empty cache that keeps about `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, limit }
    }

    /// Adds the entry that follows the last one.
    pub(super) fn push(&mut self, entry: LogEntry) {
        self.bytes += cost(&entry);
        self.entries.push_back(entry);
    }

    /// Index of the oldest entry held.
    pub(super) fn first_index(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.id.index)
    }

    /// The entries held from `from` on, in order; nothing if `from` is older than the oldest.
    pub(super) fn from(&self, from: u64) -> impl Iterator<Item = &LogEntry> {
        let skip = match self.first_index() {
            Some(first) if from >= first => usize::try_from(from - first).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        self.entries.iter().skip(skip)
    }

    /// Drops every entry from `index` on.
    pub(super) fn truncate_from(&mut self, index: u64) {
        while self.entries.back().is_some_and(|entry| entry.id.index >= index) {
            self.bytes -= self.entries.pop_back().as_ref().map_or(0, cost);
        }
    }

    /// Drops every entry before `index`.
    pub(super) fn purge_before(&mut self, index: u64) {
        while self.entries.front().is_some_and(|entry| entry.id.index < index) {
            self.pop_oldest();
        }
    }

    /// Goes down to the limit, the oldest first, but keeps what lies behind `durable`.
    pub(super) fn evict(&mut self, durable: Option<u64>) {
        while self.bytes > self.limit && self.first_index().is_some_and(|first| Some(first) <= durable) {
            self.pop_oldest();
        }
    }

    fn pop_oldest(&mut self) {
        self.bytes -= self.entries.pop_front().as_ref().map_or(0, cost);
    }
}

/// What an entry takes in memory.
pub(super) fn cost(entry: &LogEntry) -> usize {
    OVERHEAD + entry.bytes.len()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::proto::store::LogId;

    fn filled(limit: usize, indexes: std::ops::Range<u64>) -> Cache {
        let mut cache = Cache::new(limit);
        for index in indexes {
            cache.push(LogEntry {
                id: LogId { term: 1, leader_id: 1, index },
                bytes: Bytes::from(vec![0; 1000]),
            });
        }
        cache
    }

    fn indexes(cache: &Cache, from: u64) -> Vec<u64> {
        cache.from(from).map(|entry| entry.id.index).collect()
    }

    #[test]
    fn only_what_is_durable_is_evicted_and_the_oldest_first() {
        let mut cache = filled(3 * (1000 + OVERHEAD), 0..10);
        cache.evict(None);
        assert_eq!(cache.first_index(), Some(0));
        cache.evict(Some(4));
        assert_eq!(cache.first_index(), Some(5));
        cache.evict(Some(9));
        assert_eq!(indexes(&cache, 7), [7, 8, 9]);
        assert!(cache.bytes <= cache.limit);
    }

    #[test]
    fn a_reader_behind_gets_nothing() {
        let cache = filled(0, 5..8);
        assert!(indexes(&cache, 4).is_empty());
        assert_eq!(indexes(&cache, 6), [6, 7]);
        assert!(indexes(&cache, 8).is_empty());
        assert!(indexes(&Cache::new(0), 0).is_empty());
    }

    #[test]
    fn truncation_and_purge_take_their_bytes_along() {
        let mut cache = filled(usize::MAX, 0..10);
        cache.truncate_from(8);
        cache.purge_before(3);
        assert_eq!(indexes(&cache, 3), [3, 4, 5, 6, 7]);
        cache.truncate_from(0);
        assert_eq!((cache.first_index(), cache.bytes), (None, 0));
    }
}
