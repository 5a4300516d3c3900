//! Installing a snapshot: the next generation is made beside the live one, and one rename makes it live.
//!
//! ```text
//! failpoint    state/ on disk                          a crash there opens
//! Linked       .tmp-g000002 (links and copies)         the old one
//! Named        g000002, synced                         the old one
//! Opened       g000002 was opened and compared         the old one
//! Swapped      CURRENT -> g000002                      the new one
//! Published    (in memory)                             the new one
//! ```
//!
//! The snapshot's own folder stays complete throughout, so a crash before `Swapped` loses no work: at the next start
//! the store finds a snapshot that is ahead of its state and installs it.

use std::fs;
use std::path::Path;

use super::generation::{self, Generation};
use super::snapshot::{Snapshot, is_table};
use super::{Live, StateStore, files, locked};
use crate::defect::{self, Defect};
use crate::failpoint::{Failpoint, reached};
use crate::storage::error::StorageError;

impl StateStore {
    /// Replaces the state by a snapshot that this node made or received, and makes it the newest snapshot. Views go
    /// on with the state they began with. A snapshot that is not ahead of the state changes nothing.
    ///
    /// # Errors
    /// `Corrupt` when the files do not hold what the manifest says, or a fault of the disk. The state on disk is the
    /// old one or the new one, whole; this store takes no more entries.
    pub fn install(&self, snapshot: &Snapshot) -> Result<(), StorageError> {
        let mut writer = locked(&self.0.writer);
        writer.check()?;
        let live = self.live();
        if snapshot.index() > live.position.index() {
            let swapped = self.swap(snapshot, &live);
            writer.note(swapped)?;
            writer.earliest_expiry = 0;
        }
        self.publish(snapshot);
        reached(Failpoint::InstallPublished);
        Ok(())
    }

    fn swap(&self, snapshot: &Snapshot, old: &Live) -> Result<(), StorageError> {
        let state = self.state_folder();
        let number = old.generation.number() + 1;
        let folder = state.join(generation::name(number));
        let tmp = files::tmp_of(&folder);
        link(snapshot, &tmp)?;
        reached(Failpoint::InstallLinked);
        files::rename(&tmp, &folder)?;
        reached(Failpoint::InstallNamed);
        let new = Generation::open(&state, number, &self.0.rocks, &self.options().keyring, false)?;
        let position = new.position()?;
        if Some(position.to_applied()) != snapshot.manifest().applied {
            new.doom();
            let what = format!("snapshot {}", snapshot.folder().display());
            return Err(StorageError::corrupt(what, "its tables are not at the point its manifest names"));
        }
        if defect::has(Defect::SnapshotWithoutRequests) {
            new.forget_requests()?;
        }
        reached(Failpoint::InstallOpened);
        generation::write_current(&state, number)?;
        reached(Failpoint::InstallSwapped);
        old.generation.doom();
        self.go_live(Live { generation: new, position: position.into() }, Vec::new());
        Ok(())
    }
}

/// Makes a folder with the snapshot's files: table files are shared, because nobody ever changes them; the others are
/// copied, because RocksDB goes on writing them.
fn link(snapshot: &Snapshot, to: &Path) -> Result<(), StorageError> {
    if to.exists() {
        fs::remove_dir_all(to).map_err(StorageError::io("remove", to))?;
    }
    files::create_folder(to)?;
    for file in &snapshot.manifest().files {
        let (source, target) = (snapshot.folder().join(&file.name), to.join(&file.name));
        if is_table(&file.name) {
            fs::hard_link(&source, &target).map_err(StorageError::io("link", &target))?;
        } else {
            fs::copy(&source, &target).map_err(StorageError::io("copy to", &target))?;
            files::sync_file(&target)?;
        }
    }
    files::sync_folder(to)
}
