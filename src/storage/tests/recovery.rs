//! What must be found after a crash, and that the node goes on from there.

use std::fs;
use std::path::Path;
use std::sync::{Arc, mpsc};

use prost::Message;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::child::{identity, receive};
use super::script::{Act, LogModel, Script, log_entry, vote};
use super::{Progress, Run, folder, newest_wal, open_log};
use crate::failpoint::Failpoint;
use crate::proto::store::{Entry, LogId};
use crate::storage::data_dir::DataDir;
use crate::storage::log::LogStore;
use crate::storage::state::tests::{copy_folder, fingerprint, open as open_state};
use crate::storage::state::{Digest, ReceiveError, StateStore};

/// What the state is after each entry of the history.
pub(super) struct Expected(Vec<(Digest, Vec<u8>)>);

impl Expected {
    /// Applies the history, and leaves in the run's folder the snapshots that the script installs.
    pub(super) fn new(script: &Script, run: &Run) -> Self {
        let folder = tempfile::tempdir_in(folder()).unwrap();
        let store = open_state(folder.path()).unwrap();
        let mut states = Vec::new();
        for entry in &script.history {
            store.apply(std::slice::from_ref(entry)).unwrap();
            states.push(fingerprint(&store));
            if script.installed().any(|id| Some(id) == entry.log_id) {
                let snapshot = store.freeze().unwrap().finish().unwrap();
                let to = run.snapshot(entry.log_id.unwrap().index);
                copy_folder(snapshot.folder(), &to);
                fs::write(to.join("manifest"), snapshot.manifest().encode_to_vec()).unwrap();
            }
        }
        Self(states)
    }

    /// Opens what a run left and compares; then goes on to the end of the history, and starts again.
    pub(super) fn check(&self, script: &Script, run: &Run, at: &str) {
        let progress = run.progress();
        let node = DataDir::open(&run.data(), "node-1").unwrap();
        assert!(progress.begun == 0 || node.identity() == Some(identity()), "{at}: the identity is gone");
        node.adopt(identity()).unwrap();
        let log = open_log(&run.data(), Arc::new(()));
        let state = open_state(&run.data()).unwrap();

        let found = found(&log);
        let possible = (progress.acknowledged..=progress.begun).any(|acts| script.log_after(acts) == found);
        assert!(possible, "{at}: no order of the acts explains the log up to {:?}", log.last());
        self.check_state(&state, at);
        let (purged, last) = (log.purged().map(|id| id.index), log.last().map(|id| id.index));
        let (applied, newest) = (index(&state), state.snapshot().and_then(|snapshot| snapshot.index()));
        assert!(
            applied >= purged,
            "{at}: the state is at {applied:?}, and the log is purged up to {purged:?}"
        );
        assert!(
            applied <= last.max(newest),
            "{at}: the state is at {applied:?}, and the log ends at {last:?}"
        );
        assert!(newest >= built(script, progress.done), "{at}: the newest snapshot is that at {newest:?}");

        receive_again(script, run, &state, progress);
        go_on(script, &log, &state);
        assert_eq!(Some(&fingerprint(&state)), self.0.last(), "{at}: it went on to another state");
        log.close();
        drop((log, state));
        let (log, state) = (open_log(&run.data(), Arc::new(())), open_state(&run.data()).unwrap());
        self.check_state(&state, at);
        assert_eq!(
            log.last(),
            script.history.last().unwrap().log_id,
            "{at}: the log is shorter after a restart"
        );
        assert_eq!(log.vote(), Some(vote(1_000)), "{at}: the vote is gone after a restart");
    }

    /// The state is that after the last entry applied, whole.
    fn check_state(&self, state: &StateStore, at: &str) {
        if let Some(index) = index(state) {
            let expected = &self.0[usize::try_from(index).unwrap()];
            assert_eq!(&fingerprint(state), expected, "{at}: the state is not that after entry {index}");
        } else {
            assert_eq!(state.digest().unwrap().persons, 0, "{at}: people whom no entry made");
        }
    }
}

fn index(state: &StateStore) -> Option<u64> {
    state.last_applied().map(|id| id.index)
}

fn found(log: &LogStore) -> LogModel {
    let entries = log.read(0, u64::MAX, usize::MAX).unwrap();
    LogModel { entries, purged: log.purged(), vote: log.vote() }
}

/// Index of the newest snapshot among the first acts.
fn built(script: &Script, acts: u64) -> Option<u64> {
    let acts = script.acts.iter().take(usize::try_from(acts).unwrap());
    acts.filter_map(|act| if let Act::Snapshot(id) | Act::Install(id) = act { Some(id.index) } else { None })
        .max()
}

/// Goes on with the transfer of a snapshot that was under way, if one was.
fn receive_again(script: &Script, run: &Run, state: &StateStore, progress: Progress) {
    let under_way = script.acts.get(usize::try_from(progress.done).unwrap());
    if let Some(Act::Install(id)) = under_way.filter(|_| progress.begun > progress.done) {
        match receive(run, *id, state) {
            Ok(snapshot) => state.install(&snapshot).unwrap(),
            Err(ReceiveError::Refused(_)) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(index(state) >= Some(id.index), "a snapshot that is here is not installed");
    }
}

/// Does as raft does with what it finds: a log behind the state goes on after it, and what the cluster did not agree on
/// gives way. Then takes the rest of the history, applies it, builds a snapshot and purges behind it.
fn go_on(script: &Script, log: &LogStore, state: &StateStore) {
    let applied = state.last_applied();
    if let Some(id) = applied.filter(|id| log.last().is_none_or(|last| last.index < id.index)) {
        log.purge(id);
    }
    let found = log.read(0, u64::MAX, usize::MAX).unwrap();
    let agreed = |id: LogId| script.history[id.index as usize].log_id == Some(id);
    let keep = found.iter().map(|entry| entry.id).take_while(|id| agreed(*id)).last().or(log.purged());
    log.truncate_after(keep);
    let next = keep.map_or(0, |id| id.index as usize + 1);
    wait(|done| log.append(script.history[next..].iter().map(log_entry).collect(), done));
    wait(|done| log.save_vote(vote(1_000), done));
    let first = applied.map_or(0, |id| id.index + 1);
    let entries = log.read(first, u64::MAX, usize::MAX).unwrap();
    assert_eq!(
        entries.first().map(|entry| entry.id.index),
        Some(first),
        "an entry that is to be applied is gone"
    );
    let entries: Vec<_> = entries.into_iter().map(|entry| Entry::decode(entry.bytes).unwrap()).collect();
    state.apply(&entries).unwrap();
    let snapshot = state.freeze().unwrap().finish().unwrap();
    assert_eq!(snapshot.index(), script.history.last().unwrap().log_id.map(|id| id.index));
    log.purge(script.history[script.history.len() - 3].log_id.unwrap());
}

fn wait(call: impl FnOnce(crate::storage::log::Done)) {
    let (sender, told) = mpsc::channel();
    call(Box::new(move |outcome| sender.send(outcome).unwrap()));
    told.recv().unwrap().unwrap();
}

/// Takes away what a power cut may: see the module above.
pub(super) fn lose_power(run: &Run, rng: &mut ChaCha8Rng) {
    if let Some((wal, length)) = newest_wal(&run.data()) {
        let synced = fs::read_to_string(run.synced()).unwrap_or_default();
        let named = synced.split_once(' ').filter(|(name, _)| wal.ends_with(name));
        let synced = named.map_or(0, |(_, synced)| synced.parse().unwrap());
        let left = rng.random_range(synced..=length);
        fs::OpenOptions::new().write(true).open(&wal).unwrap().set_len(left).unwrap();
    }
    let Ok(transfers) = fs::read_dir(run.data().join("incoming")) else { return };
    for file in transfers.flat_map(|transfer| fs::read_dir(transfer.unwrap().path()).unwrap()) {
        let path = file.unwrap().path();
        if !path.ends_with("MANIFEST.dancu") {
            lose_some(&path, rng);
        }
    }
}

/// Cuts a file, or leaves its length with zeros where nothing was written.
fn lose_some(path: &Path, rng: &mut ChaCha8Rng) {
    let length = fs::metadata(path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(rng.random_range(0..=length)).unwrap();
    if rng.random() {
        file.set_len(length).unwrap();
    }
}

/// What a crash within an installation leaves, without the snapshot: the old state up to the swap, the new one from
/// there on. With it the node installs it anew, which hides which one it was.
pub(super) fn check_swap(run: &Run, point: Failpoint) {
    let swapped = matches!(point, Failpoint::InstallSwapped | Failpoint::InstallPublished);
    if !swapped && !point.name().starts_with("install.") {
        return;
    }
    let (alone, whole) = (tempfile::tempdir_in(folder()).unwrap(), tempfile::tempdir_in(folder()).unwrap());
    copy_folder(&run.data().join("state"), &alone.path().join("state"));
    copy_folder(&run.data(), whole.path());
    let whole = open_state(whole.path()).unwrap();
    let installed = whole.snapshot().expect("a snapshot that is installed is there").index();
    assert_eq!(index(&open_state(alone.path()).unwrap()) >= installed, swapped, "at {}", point.name());
}
