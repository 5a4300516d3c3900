//! What a node does in a run: acts in an order that the seed decides, over a history of entries.

use bytes::Bytes;
use prost::Message;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::proto::store::{Blank, Entry, LogId, Vote, entry::Payload};
use crate::storage::log::LogEntry;
use crate::storage::state::tests::{compacting, random_log};

/// One act. Each changes the log at most once.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Add entries and wait until they are acknowledged.
    Append(Vec<LogEntry>),
    /// Remove the entries after this one.
    Truncate(Option<LogId>),
    /// Vote in a term and wait until it is acknowledged.
    Vote(u64),
    /// Note what is committed.
    Committed(LogId),
    /// Apply the entries up to and with the one at this index.
    Apply(u64),
    /// Build a snapshot of the state, which is at this entry, and purge the log behind it.
    Snapshot(LogId),
    /// Receive a snapshot of the other node at this entry, install it and purge the log behind it.
    Install(LogId),
    /// Close everything and open it again.
    Restart,
}

/// The history that the cluster agreed on, and the acts of one node.
pub(super) struct Script {
    pub(super) history: Vec<Entry>,
    pub(super) acts: Vec<Act>,
}

/// What the log must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LogModel {
    pub(super) entries: Vec<LogEntry>,
    pub(super) purged: Option<LogId>,
    pub(super) vote: Option<Vote>,
}

impl LogModel {
    /// The log after one more act.
    fn act(&mut self, act: &Act) {
        match act {
            Act::Append(entries) => self.entries.extend(entries.iter().cloned()),
            Act::Truncate(last) => {
                let keep = last.map(|id| id.index);
                self.entries.retain(|entry| Some(entry.id.index) <= keep);
            }
            Act::Vote(term) => self.vote = Some(vote(*term)),
            Act::Snapshot(id) | Act::Install(id) => {
                self.entries.retain(|entry| entry.id.index > id.index);
                self.purged = Some(*id);
            }
            Act::Committed(_) | Act::Apply(_) | Act::Restart => {}
        }
    }
}

pub(super) fn vote(term: u64) -> Vote {
    Vote { term, node_id: 1, committed: false }
}

/// An entry as the log keeps it.
pub(super) fn log_entry(entry: &Entry) -> LogEntry {
    LogEntry { id: entry.log_id.unwrap(), bytes: Bytes::from(entry.encode_to_vec()) }
}

impl Script {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let log = random_log(&mut rng, 120);
        let history = compacting(&mut rng, &log).entries;
        let mut writer = Writer { rng, history, acts: Vec::new(), next: 0, applied: None, term: 0 };
        for _round in 0..2 {
            writer.some();
            writer.apply();
            writer.snapshot();
            writer.some();
            writer.acts.push(Act::Restart);
            writer.some();
            writer.install();
        }
        writer.some();
        // The last entries are for the restarted node to go on with.
        assert!(writer.next + 10 < writer.history.len(), "the history is too short");
        Self { history: writer.history, acts: writer.acts }
    }

    /// The log after the first `acts` acts.
    pub(super) fn log_after(&self, acts: u64) -> LogModel {
        let mut model = LogModel::default();
        for act in self.acts.iter().take(usize::try_from(acts).unwrap()) {
            model.act(act);
        }
        model
    }

    /// The other node's snapshots that are installed.
    pub(super) fn installed(&self) -> impl Iterator<Item = LogId> {
        self.acts.iter().filter_map(|act| if let Act::Install(id) = act { Some(*id) } else { None })
    }
}

struct Writer {
    rng: ChaCha8Rng,
    history: Vec<Entry>,
    acts: Vec<Act>,
    /// Index of the entry that is appended next.
    next: usize,
    /// Index of the last entry applied.
    applied: Option<usize>,
    term: u64,
}

impl Writer {
    fn id(&self, index: usize) -> LogId {
        self.history[index].log_id.unwrap()
    }

    /// A few acts, at least one of each kind that is short.
    fn some(&mut self) {
        self.append();
        self.vote();
        self.junk();
        for _ in 0..self.rng.random_range(1..4) {
            match self.rng.random_range(0..6) {
                0..3 => self.append(),
                3 => self.apply(),
                4 => self.junk(),
                _ => {
                    let committed = self.id(self.next - 1);
                    self.acts.push(Act::Committed(committed));
                }
            }
        }
    }

    fn append(&mut self) {
        let count = self.rng.random_range(1..4);
        let entries = self.history[self.next..].iter().take(count).map(log_entry).collect();
        self.next += count;
        self.acts.push(Act::Append(entries));
    }

    fn vote(&mut self) {
        self.term += 1;
        self.acts.push(Act::Vote(self.term));
    }

    /// Entries of a leader that was not followed: they are acknowledged, and truncated later.
    fn junk(&mut self) {
        let id = |index: usize| LogId { term: 0, leader_id: 9, index: index as u64 };
        let entry = |index| Entry { log_id: Some(id(index)), payload: Some(Payload::Blank(Blank {})) };
        let entries =
            (self.next..self.next + self.rng.random_range(1..4)).map(|index| log_entry(&entry(index)));
        self.acts.push(Act::Append(entries.collect()));
        if self.rng.random() {
            self.vote();
        }
        let keep = self.next.checked_sub(1).map(|last| self.id(last));
        self.acts.push(Act::Truncate(keep));
    }

    fn apply(&mut self) {
        let first = self.applied.map_or(0, |applied| applied + 1);
        if first < self.next {
            let upto = self.rng.random_range(first..self.next);
            self.applied = Some(upto);
            self.acts.push(Act::Apply(upto as u64));
        }
    }

    fn snapshot(&mut self) {
        if let Some(applied) = self.applied {
            let id = self.id(applied);
            self.acts.push(Act::Snapshot(id));
        }
    }

    fn install(&mut self) {
        let index = self.next + self.rng.random_range(0..8);
        (self.next, self.applied) = (index + 1, Some(index));
        let id = self.id(index);
        self.acts.push(Act::Install(id));
    }
}
