//! Opening the state: finding the live generation and the newest snapshot, and clearing away what a crash left.

use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use tokio::sync::watch;

use super::generation::{self, Generation};
use super::snapshot::{self, Snapshot};
use super::{AppliedMark, Inner, Live, StateObserver, StateOptions, StateStore, files, options};
use crate::storage::error::StorageError;
use crate::storage::sealing::Keyring;

impl StateStore {
    /// Opens the state in a data folder, or makes an empty one. Removes what an interrupted snapshot, transfer or
    /// installation left, and installs the newest snapshot if it is ahead of the state. One store for a folder: the
    /// data folder's lock sees to that between processes.
    ///
    /// # Errors
    /// `Corrupt` or `Format` for files that cannot be used, and faults of the disk.
    pub fn open(
        data_folder: &Path,
        options: &StateOptions,
        observer: Arc<dyn StateObserver>,
    ) -> Result<Self, StorageError> {
        let [state, snapshots, incoming] = ["state", "snapshots", "incoming"].map(|it| data_folder.join(it));
        for folder in [&state, &snapshots, &incoming] {
            files::create_folder(folder)?;
            files::clean(folder)?;
        }
        files::sync_folder(data_folder)?;
        let rocks = options::rocks(options);
        let generation = open_generation(&state, &rocks, &options.keyring)?;
        let live = Live { position: generation.position()?.into(), generation };
        let newest = newest_snapshot(&snapshots, &options.keyring)?;
        let store = Self(Arc::new(Inner {
            folder: data_folder.to_owned(),
            options: options.clone(),
            rocks,
            observer,
            live: RwLock::new(live.clone()),
            writer: Mutex::default(),
            mark: watch::Sender::new(AppliedMark::default()),
            points: Mutex::default(),
            newest: Mutex::new(newest.clone()),
            incoming_turn: Mutex::new(0),
        }));
        store.go_live(live, Vec::new());
        if let Some(snapshot) = newest {
            store.install(&snapshot)?;
        }
        Ok(store)
    }
}

/// The live generation, the first if there is none; all others go.
fn open_generation(
    state: &Path,
    rocks: &rocksdb::Options,
    keyring: &Arc<Keyring>,
) -> Result<Arc<Generation>, StorageError> {
    let current = generation::read_current(state)?;
    generation::remove_stale(state, current)?;
    if let Some(number) = current {
        return Generation::open(state, number, rocks, keyring, false);
    }
    let first = Generation::open(state, 1, rocks, keyring, true)?;
    generation::write_current(state, 1)?;
    Ok(first)
}

/// The newest of the complete snapshots; all others go.
fn newest_snapshot(snapshots: &Path, keyring: &Arc<Keyring>) -> Result<Option<Snapshot>, StorageError> {
    let mut newest: Option<Snapshot> = None;
    for name in files::names(snapshots)? {
        let folder = snapshots.join(name);
        if snapshot::read_manifest(&folder)?.is_none() {
            files::remove_folder(&folder)?;
            continue;
        }
        let found = Snapshot::load(folder, keyring.clone())?;
        let (keep, go) = match newest.take() {
            Some(other) if other.index() > found.index() => (other, Some(found)),
            other => (found, other),
        };
        if let Some(go) = go {
            go.keep(false);
        }
        newest = Some(keep);
    }
    Ok(newest)
}
