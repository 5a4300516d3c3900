//! The process that is killed: runs a script and notes how far it came.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use prost::Message;

use super::script::{Act, Script, log_entry, vote};
use super::{Run, newest_wal, open_log};
use crate::failpoint;
use crate::proto::store::{LogId, SnapshotManifest};
use crate::storage::data_dir::{DataDir, Identity};
use crate::storage::log::{Done, LogObserver, LogStore};
use crate::storage::state::tests::open as open_state;
use crate::storage::state::{ReceiveError, Snapshot, StateStore};

/// The variable that names the folder of the run.
pub(super) const FOLDER: &str = "DANCU_CRASH_FOLDER";

/// Who the node is.
pub(super) fn identity() -> Identity {
    Identity { cluster_id: "5f0c2f9e".to_owned(), node_id: 1, name: "node-1".to_owned() }
}

/// Notes after each sync how long the write-ahead log is then.
struct Synced(Run);

impl LogObserver for Synced {
    fn flushed(&self, _entries: usize, _bytes: usize, _took: Duration) {
        let (wal, length) = newest_wal(&self.0.data()).expect("a log that was written has a file");
        let name = wal.file_name().unwrap().to_str().unwrap();
        // A rename, so that a kill never leaves half of it.
        let new = self.0.0.join("synced.new");
        fs::write(&new, format!("{name} {length}")).unwrap();
        fs::rename(new, self.0.synced()).unwrap();
    }

    fn queue_depth(&self, _ops: usize) {}
}

/// The two stores, open.
struct Node {
    log: LogStore,
    state: StateStore,
}

impl Node {
    fn open(run: &Run) -> Self {
        let log = open_log(&run.data(), Arc::new(Synced(Run(run.0.clone()))));
        Self { log, state: open_state(&run.data()).expect("the state opens") }
    }
}

struct Child {
    run: Run,
    ledger: Arc<File>,
    script: Script,
    node: Option<Node>,
}

impl Child {
    fn note(&self, place: u64, acts: u64) {
        self.ledger.write_all_at(&acts.to_le_bytes(), place * 8).unwrap();
    }

    fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    /// Lets `call` ask the log for something, and waits until it is acknowledged.
    fn acknowledged(&self, acts: u64, call: impl FnOnce(&LogStore, Done)) {
        let (sender, told) = mpsc::channel();
        let ledger = self.ledger.clone();
        let done = Box::new(move |outcome: std::io::Result<()>| {
            outcome.unwrap();
            ledger.write_all_at(&acts.to_le_bytes(), 8).unwrap();
            sender.send(()).unwrap();
        });
        call(&self.node().log, done);
        told.recv().unwrap();
    }

    /// Does an act, the one after `before` others.
    fn act(&mut self, before: u64, act: &Act) {
        let acts = before + 1;
        match act {
            Act::Append(entries) => {
                self.acknowledged(acts, |log, done| log.append(entries.clone(), done));
            }
            Act::Vote(term) => self.acknowledged(acts, |log, done| log.save_vote(vote(*term), done)),
            Act::Truncate(last) => self.node().log.truncate_after(*last),
            Act::Committed(id) => self.node().log.save_committed(Some(*id)),
            Act::Apply(upto) => {
                let first = self.node().state.last_applied().map_or(0, |id| id.index + 1);
                let entries = usize::try_from(first).unwrap()..=usize::try_from(*upto).unwrap();
                self.node().state.apply(&self.script.history[entries]).unwrap();
            }
            Act::Snapshot(id) => {
                self.node().state.freeze().unwrap().finish().unwrap();
                self.node().log.purge(*id);
            }
            Act::Install(id) => self.install(*id),
            Act::Restart => {
                self.node = None;
                self.node = Some(Node::open(&self.run));
                self.note(1, acts);
            }
        }
    }

    /// As raft does once a snapshot from the leader is there.
    fn install(&self, id: LogId) {
        let snapshot = receive(&self.run, id, &self.node().state).unwrap();
        self.node().state.install(&snapshot).unwrap();
        self.node().log.purge(id);
    }
}

/// Receives the other node's snapshot at an entry, each file in two pieces, or what is missing of it.
///
/// # Errors
/// `Refused` when it is among this node's snapshots already.
pub(super) fn receive(run: &Run, id: LogId, state: &StateStore) -> Result<Snapshot, ReceiveError> {
    let from = run.snapshot(id.index);
    let manifest = SnapshotManifest::decode(&*fs::read(from.join("manifest")).unwrap()).unwrap();
    let mut incoming = state.receive(manifest.clone())?;
    loop {
        for (file, listed) in manifest.files.iter().enumerate() {
            let content = fs::read(from.join(&listed.name)).unwrap();
            let have = usize::try_from(incoming.have()[file]).unwrap();
            let half = have + (content.len() - have) / 2;
            incoming.write(file, have as u64, &content[have..half])?;
            incoming.write(file, half as u64, &content[half..])?;
        }
        match incoming.finish() {
            Err(ReceiveError::Damaged(_)) => {}
            outcome => return outcome,
        }
    }
}

/// Does nothing unless the test started it that kills it.
#[test]
fn runs_a_script() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let run = Run(PathBuf::from(folder));
    let script = Script::new(super::seed());
    let data = DataDir::open(&run.data(), "node-1").unwrap();
    data.adopt(identity()).unwrap();
    let node = Some(Node::open(&run));
    let ledger = Arc::new(File::create(run.ledger()).unwrap());
    let mut child = Child { run, ledger, script, node };
    let acts = child.script.acts.clone();
    for (before, act) in (0..).zip(&acts) {
        child.note(0, before + 1);
        child.act(before, act);
        child.note(2, before + 1);
    }
    let entries = child.node().log.read(0, u64::MAX, usize::MAX).unwrap();
    assert!(entries == child.script.log_after(u64::MAX).entries, "the model of the log is wrong");
    assert!(entries.iter().all(|entry| *entry == log_entry(&child.script.history[entry.id.index as usize])));
    fs::write(child.run.passes(), serde_json::to_vec(&failpoint::passes()).unwrap()).unwrap();
    failpoint::die();
}
