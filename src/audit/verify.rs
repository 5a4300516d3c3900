//! Checking a log without its cluster: record after record, against the tree and the signed checkpoints, and where the first
//! bad one is.
//!
//! ```text
//! record n:   whole; of this node; number n; its hash that which was kept      else: record n is bad
//! checkpoint: the key's signature; its root that of the records before it      else: one of those since the last good one
//! end:        as many records as were acknowledged, and as were signed         else: the first missing one
//! ```
//!
//! Whoever edits a record and all hashes that follow from it is found out by the next checkpoint, unless they have the key;
//! and by the cluster, which keeps the last checkpoint, even then.

use std::collections::VecDeque;
use std::path::Path;

use super::checkpoint::{self, Kept};
use super::error::AuditError;
use super::log::Owner;
use super::log::mark::Mark;
use super::log::segments::{self, Head, Segment};
use super::log::tree::Tree;
use super::merkle::{self, Frontier, Hash};
use super::record;
use crate::proto::registry::{AccessRecord, Checkpoint, ExportStart};

/// What was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whose log it is.
    pub owner: Owner,
    /// The first record that is there.
    pub first: u64,
    /// Records of the log, those before the first included.
    pub size: u64,
    /// The root over them all.
    pub root: Hash,
    /// Checkpoints that fit.
    pub checkpoints: usize,
    /// Records that the last of them covers.
    pub covered: u64,
    /// The key that signed them; empty without any.
    pub public_key: Vec<u8>,
}

/// The first thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {position}: {detail}")]
pub struct Bad {
    /// The position of the first bad record.
    pub position: u64,
    /// How it shows.
    pub detail: String,
}

impl Bad {
    /// At a position.
    pub fn at(position: u64, detail: impl Into<String>) -> Self {
        Self { position, detail: detail.into() }
    }
}

/// A log that is being checked.
pub struct Check {
    owner: Owner,
    first: u64,
    tree: Frontier,
    key: Option<Vec<u8>>,
    good: usize,
    covered: u64,
}

impl Check {
    /// Of the log of `owner`, whose records begin after `before`. With a `key`, only that one may have signed.
    pub fn new(owner: Owner, before: Frontier, key: Option<Vec<u8>>) -> Self {
        Self { owner, first: before.size(), covered: before.size(), tree: before, key, good: 0 }
    }

    /// Of an exported log.
    ///
    /// # Errors
    /// When its first part says nothing that can be.
    pub fn of_export(start: &ExportStart, key: Option<Vec<u8>>) -> Result<Self, Bad> {
        let peaks = start.frontier.iter().map(|hash| Hash::try_from(&hash[..])).collect::<Result<_, _>>();
        let before = peaks.ok().and_then(|peaks| Frontier::new(start.first, peaks));
        let before = before.ok_or_else(|| Bad::at(start.first, "the hashes before it cannot be"))?;
        let owner = Owner { cluster_id: start.cluster_id.clone(), node_id: start.node_id };
        Ok(Self::new(owner, before, key))
    }

    /// The position of the next record.
    pub fn next(&self) -> u64 {
        self.tree.size()
    }

    /// The next record.
    ///
    /// # Errors
    /// When it is not that.
    pub fn record(&mut self, bytes: &[u8]) -> Result<AccessRecord, Bad> {
        let position = self.next();
        let found = record::decode(bytes, self.owner.node_id, position);
        let found = found.map_err(|detail| Bad::at(position, detail))?;
        self.tree.push(merkle::leaf(bytes), |_| ());
        Ok(found)
    }

    /// A checkpoint of as many records as were checked.
    ///
    /// # Errors
    /// When it does not fit: names the first record that no good checkpoint covers.
    pub fn checkpoint(&mut self, given: &Checkpoint) -> Result<(), Bad> {
        let size = given.size;
        let bad = |detail: String| Err(Bad::at(self.covered, detail));
        if given.node_id != self.owner.node_id || given.cluster_id != self.owner.cluster_id {
            return bad(format!("the checkpoint of {size} records is of another log"));
        }
        if self.key.as_ref().is_some_and(|key| *key != given.public_key) {
            return bad(format!("the checkpoint of {size} records is signed with another key"));
        }
        if !checkpoint::is_signed(given) {
            return bad(format!("the signature of the checkpoint of {size} records is not right"));
        }
        if checkpoint::root(given) != Some(self.tree.root()) {
            return bad(format!("records {} to {} are not those that were signed", self.covered, size - 1));
        }
        self.key = Some(given.public_key.to_vec());
        self.covered = size;
        self.good += 1;
        Ok(())
    }

    /// What was found.
    pub fn report(self) -> Report {
        Report {
            owner: self.owner,
            first: self.first,
            size: self.tree.size(),
            root: self.tree.root(),
            checkpoints: self.good,
            covered: self.covered,
            public_key: if self.good > 0 { self.key.unwrap_or_default() } else { Vec::new() },
        }
    }
}

/// Checks the log in a folder, which no node may be writing to. With a `key`, only that one may have signed.
///
/// # Errors
/// `Ok(Err(..))` names the first bad record; the error says why the folder cannot be checked at all.
pub fn folder(folder: &Path, key: Option<Vec<u8>>) -> Result<Result<Report, Bad>, AuditError> {
    let firsts = segments::list(folder)?;
    let Some(mark) = Mark::open(folder)? else {
        return Err(AuditError::Closed(format!("there is none in {}: it has no mark", folder.display())));
    };
    let Some(first) = firsts.first() else { return Ok(Err(Bad::at(0, "all files of records are missing"))) };
    let first = *first;
    let Head { owner, before } = match Segment::new(folder, first).head() {
        Ok(head) => head,
        Err(error) => return bad(error),
    };
    let kept = Kept::beside(folder).all()?;
    let kept: VecDeque<_> = kept.into_iter().filter(|kept| kept.size > first).collect();
    let check = Check::new(owner, before, key);
    let mut walk = Walk { folder, tree: Tree::read_only(folder)?, kept, acknowledged: mark.records(), check };
    for (number, file) in firsts.iter().enumerate() {
        match walk.file(*file, firsts.get(number + 1).copied()) {
            Ok(Ok(())) => {}
            Ok(Err(bad)) => return Ok(Err(bad)),
            Err(error) => return bad(error),
        }
    }
    let (found, acknowledged) = (walk.check.next(), mark.records());
    if found < acknowledged {
        let detail = format!("the log ends before it, and {acknowledged} were acknowledged");
        return Ok(Err(Bad::at(found, detail)));
    }
    if let Some(signed) = walk.kept.front() {
        let detail = format!("the log ends before it, and {} were signed", signed.size);
        return Ok(Err(Bad::at(found, detail)));
    }
    Ok(Ok(walk.check.report()))
}

/// Tells a bad record from a disk that fails.
fn bad<T>(error: AuditError) -> Result<Result<T, Bad>, AuditError> {
    match error {
        AuditError::Damaged { position, file, offset, detail } => {
            let name = file.file_name().unwrap_or_default().display().to_string();
            Ok(Err(Bad::at(position, format!("{detail} (in {name} at byte {offset})"))))
        }
        other => Err(other),
    }
}

/// The files of a folder, one after the other.
struct Walk<'a> {
    folder: &'a Path,
    tree: Tree,
    /// Checkpoints to come.
    kept: VecDeque<Checkpoint>,
    /// Records that somebody was answered for.
    acknowledged: u64,
    check: Check,
}

impl Walk<'_> {
    fn file(&mut self, first: u64, next: Option<u64>) -> Result<Result<(), Bad>, AuditError> {
        let position = self.check.next();
        if first != position {
            return Ok(Err(Bad::at(position, format!("the next file begins with record {first}"))));
        }
        let segment = Segment::new(self.folder, first);
        let Head { owner, before } = segment.head()?;
        if before != self.check.tree || owner != self.check.owner {
            return Ok(Err(Bad::at(
                self.check.covered,
                format!(
                    "the head of the file of record {first} does not \
                                                               follow from the records before it"
                ),
            )));
        }
        let end = next.unwrap_or(u64::MAX);
        let mut outcome = Ok(());
        let visited = segment.visit(first, end, |_, bytes| {
            outcome = self.record(&bytes);
            outcome.is_ok()
        });
        if outcome.is_err() {
            return Ok(outcome);
        }
        match visited {
            // What is behind the mark was never acknowledged: the next start cuts it off when it is torn.
            Err(AuditError::Damaged { position, .. }) if next.is_none() && position >= self.acknowledged => {
                Ok(Ok(()))
            }
            other => other.map(Ok),
        }
    }

    fn record(&mut self, bytes: &[u8]) -> Result<(), Bad> {
        let position = self.check.next();
        self.check.record(bytes)?;
        let kept = self.tree.subtree(0, position).ok();
        if position < self.acknowledged && kept != Some(merkle::leaf(bytes)) {
            return Err(Bad::at(position, "its hash is not the one that was kept when it was written"));
        }
        while let Some(next) = self.kept.front().filter(|next| next.size <= self.check.next()) {
            self.check.checkpoint(next)?;
            self.kept.pop_front();
        }
        Ok(())
    }
}
