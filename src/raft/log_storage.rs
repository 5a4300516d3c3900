//! The log store as openraft sees it: conversions around [`LogStore`], which does the work.

use std::io;
use std::ops::{Bound, RangeBounds};

use bytes::Bytes;
use futures::Stream;
use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use prost::Message;

use crate::raft::convert;
use crate::raft::types::{Entry, LogId, TypeConfig, Vote};
use crate::storage::log::{LogEntry, LogStore};

/// The most bytes that one replication request carries: nothing else caps them, and a heartbeat must not wait behind
/// more. One entry is always sent, however large.
const MAX_REPLICATED_BYTES: usize = 1 << 20;

/// The most bytes that apply reads from the log at a time.
const MAX_APPLIED_BYTES: usize = 2 << 20;

/// The log store under openraft.
#[derive(Clone)]
pub struct LogStorage {
    log: LogStore,
}

impl LogStorage {
    /// Wraps the store.
    pub fn new(log: LogStore) -> Self {
        Self { log }
    }

    fn read(&self, from: u64, to: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let entries = self.log.read(from, to, max_bytes)?;
        entries.into_iter().map(|entry| Ok(convert::decode_entry(entry.bytes)?)).collect()
    }

    /// The half-open range of indexes that `range` means in this log.
    fn bounds(&self, range: &impl RangeBounds<u64>) -> (u64, u64) {
        let from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let next = self.log.last().map_or(0, |last| last.index + 1);
        let to = match range.end_bound() {
            Bound::Included(index) => index.saturating_add(1),
            Bound::Excluded(index) => *index,
            Bound::Unbounded => next,
        };
        let first = self.log.purged().map_or(0, |purged| purged.index + 1);
        (from.max(first), to.min(next))
    }
}

impl RaftLogReader<TypeConfig> for LogStorage {
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<Entry, io::Error>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + std::fmt::Debug + OptionalSend,
    {
        // A node that catches up applies many entries at once: they are read a piece at a time.
        let (from, to) = self.bounds(&range);
        let pieces = futures::stream::try_unfold((self.clone(), from), move |(storage, from)| async move {
            if from >= to {
                return Ok(None);
            }
            let entries = storage.read(from, to, MAX_APPLIED_BYTES)?;
            let next = from + entries.len() as u64;
            Ok::<_, io::Error>(Some((futures::stream::iter(entries.into_iter().map(Ok)), (storage, next))))
        });
        Box::pin(futures::TryStreamExt::try_flatten(pieces))
    }

    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: RangeBounds<u64> + Clone + std::fmt::Debug + OptionalSend,
    {
        let (from, to) = self.bounds(&range);
        self.read(from, to, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.read(start, end, MAX_REPLICATED_BYTES)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.log.vote().as_ref().map(convert::raft_vote))
    }
}

impl RaftLogStorage<TypeConfig> for LogStorage {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let purged = self.log.purged().as_ref().map(convert::raft_log_id);
        let last = self.log.last().as_ref().map(convert::raft_log_id);
        Ok(LogState { last_purged_log_id: purged, last_log_id: last.max(purged) })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (tx, rx) = tokio::sync::oneshot::channel();
        // The receiver waits right here: it cannot be gone.
        self.log.save_vote(convert::vote(vote), Box::new(move |result| drop(tx.send(result))));
        rx.await.map_err(|_| io::Error::other("the log's I/O thread is gone"))?
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.log.save_committed(committed.as_ref().map(convert::log_id));
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.log.committed().as_ref().map(convert::raft_log_id))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let encoded = entries.into_iter().map(|entry| LogEntry {
            id: convert::log_id(&entry.log_id),
            bytes: Bytes::from(convert::entry(&entry).encode_to_vec()),
        });
        self.log.append(encoded.collect(), Box::new(move |result| callback.io_completed(result)));
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        self.log.truncate_after(last_log_id.as_ref().map(convert::log_id));
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        self.log.purge(convert::log_id(&log_id));
        Ok(())
    }
}
