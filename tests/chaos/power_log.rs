//! A log without a node that loses power as soon as it has acknowledged a vote.
//!
//! In a cluster the entry of the new leader follows a vote within a millisecond, and its fsync covers the vote too: a vote that was
//! not synced is missed only when the power goes in between. Here nothing follows.

use std::sync::{Arc, mpsc};

use dancu::proto::store::Vote;
use dancu::storage::error::StorageError;
use dancu::storage::log::{LogOptions, LogStore};

use super::disks::Disks;
use super::lab::Trouble;
use crate::harness::PATIENCE;

/// Votes that are cut off.
const ROUNDS: u64 = 2;

/// Opens a log on a disk, and cuts its power after each vote.
pub fn cut(disks: &Disks, disk: usize) -> Result<(), Trouble> {
    let data = disks.data(disk);
    std::fs::create_dir_all(&data)?;
    let lost = |error: StorageError| Trouble::Broken(format!("a log that lost power does not open: {error}"));
    for _round in 0..ROUNDS {
        let log = LogStore::open(&data, &LogOptions::default(), Arc::new(())).map_err(lost)?;
        let term = log.vote().map_or(0, |vote| vote.term) + 1;
        let vote = Vote { term, node_id: 1, committed: false };
        let (sender, receiver) = mpsc::channel();
        log.save_vote(vote, Box::new(move |done| drop(sender.send(done))));
        receiver.recv_timeout(PATIENCE).map_err(std::io::Error::other)??;
        disks.cut(&[disk])?;
        drop(log);
        disks.restore(disk)?;
        let log = LogStore::open(&data, &LogOptions::default(), Arc::new(())).map_err(lost)?;
        if log.vote() != Some(vote) {
            let held = log.vote();
            return Err(Trouble::Broken(format!(
                "a log acknowledged {vote:?}, and has {held:?} after a power cut"
            )));
        }
    }
    Ok(())
}
