//! Opening the log: what RocksDB found is held against what this node has promised.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use tokio::sync::watch;

use super::front::Front;
use super::io_thread::IoThread;
use super::mark::{Mark, Promise};
use super::table::{Recovered, Table};
use super::{Inner, LogObserver, LogOptions, LogStore, Shared};
use crate::defect::{self, Defect};
use crate::failpoint::{Failpoint, reached};
use crate::proto::store::{LogId, Vote};
use crate::storage::data_dir::{fsync_dir, has_identity};
use crate::storage::error::StorageError;

/// See [`LogStore::open`].
pub(super) fn open(
    data: &Path,
    options: &LogOptions,
    observer: Arc<dyn LogObserver>,
) -> Result<LogStore, StorageError> {
    let found_mark = Mark::open(data)?;
    let table = Table::open(data, options.keyring.clone())?;
    // RocksDB syncs its own folder, but not the one that holds it.
    fsync_dir(data)?;
    let found = table.recover()?;
    reached(Failpoint::LogOpened);
    let mut mark = match found_mark {
        Some(mark) => mark,
        None => new_mark(data, &found)?,
    };
    check_promise(data, &table, &found, &mark.promise())?;
    mark.raise(Promise { writes: found.writes, vote: found.vote, last: found.last })?;

    let (sender, durable) = watch::channel(None);
    let front = Mutex::new(Front::new(&found, options, sender));
    let shared = Arc::new(Shared::new(front, table, durable));
    let io_thread = IoThread::new(Arc::clone(&shared), options.clone(), observer, mark, &found);
    let thread = start(io_thread).map_err(StorageError::io("start the thread that writes", data))?;
    let inner = Inner { shared, options: options.clone(), thread: Mutex::new(thread) };
    Ok(LogStore { inner: Arc::new(inner) })
}

/// Starts the thread; in a simulation a task, which takes simulated time.
fn start(io_thread: IoThread) -> io::Result<Option<JoinHandle<()>>> {
    #[cfg(test)]
    if crate::simulated::active() {
        tokio::spawn(io_thread.run_simulated());
        return Ok(None);
    }
    thread::Builder::new().name("dancu-log".to_owned()).spawn(move || io_thread.run()).map(Some)
}

/// A folder without a mark is new, or it has lost it.
fn new_mark(data: &Path, found: &Recovered) -> Result<Mark, StorageError> {
    if has_identity(data) || found.vote.is_some() || found.last.is_some() {
        return Err(StorageError::corrupt(
            format!("the log in {}", data.display()),
            "its mark raft.mark is missing",
        ));
    }
    Mark::create(data)?;
    Mark::open(data)?.ok_or_else(|| StorageError::corrupt("raft.mark", "it vanished as soon as it was made"))
}

/// Refuses a log that holds less than the mark vouches for.
fn check_promise(
    data: &Path,
    table: &Table,
    found: &Recovered,
    promise: &Promise,
) -> Result<(), StorageError> {
    let place = |vote: Vote| (vote.term, vote.node_id);
    let holds_vote =
        promise.vote.is_none_or(|vote| found.vote.is_some_and(|found| place(found) >= place(vote)));
    let holds_last = match promise.last {
        Some(last) if found.purged.is_none_or(|purged| purged.index < last.index) => {
            table.id_at(last.index)? == Some(last)
        }
        _ => true,
    };
    if (found.writes >= promise.writes && holds_vote && holds_last) || defect::has(Defect::IgnoredChecksum) {
        return Ok(());
    }
    Err(StorageError::BehindMark {
        path: data.to_owned(),
        recovered: describe(found.writes, found.vote, found.last),
        mark: describe(promise.writes, promise.vote, promise.last),
    })
}

fn describe(writes: u64, vote: Option<Vote>, last: Option<LogId>) -> String {
    let last = last.map_or("no entry".to_owned(), |id| format!("entry {} of term {}", id.index, id.term));
    let vote = vote.map_or("no vote".to_owned(), |vote| format!("a vote in term {}", vote.term));
    format!("{last}, {vote}, {writes} writes")
}
