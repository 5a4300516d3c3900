//! Receiving a snapshot from another node, file by file and chunk by chunk, across as many connections as it takes.
//!
//! What has arrived is in `incoming/<id>/`, beside the manifest; how much of each file, its length says. A transfer
//! that broke, or a node that restarted, asks for the rest. Nothing is believed before the end: then every file is
//! read back and compared with the manifest, and one that differs is thrown away and asked for again.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io, mem};

use super::snapshot::{MANIFEST, Snapshot, read_manifest, write_manifest};
use super::{StateStore, files, locked};
use crate::failpoint::{Failpoint, reached};
use crate::proto::store::SnapshotManifest;
use crate::storage::error::StorageError;

/// The most keys that may come with a snapshot.
const KEYS_MAX: usize = 1 << 16;

/// The most files a snapshot may have.
const FILES_MAX: usize = 1 << 20;

/// Why a transfer does not go on. All but `Storage` are between the two nodes, and harm neither.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The manifest breaks a rule.
    #[error("the snapshot offered is refused: {0}. Nothing was written")]
    Refused(String),
    /// Another transfer to this node began after this one.
    #[error("a later transfer took the place of this one; what arrived is kept for it")]
    Superseded,
    /// A chunk does not continue its file, or goes past its end.
    #[error(
        "file {file} has {have} of {size} bytes here, and a chunk of {length} bytes came for offset {offset}"
    )]
    Misplaced {
        /// Position of the file in the manifest.
        file: usize,
        /// Bytes here.
        have: u64,
        /// Bytes it shall have.
        size: u64,
        /// Where the chunk was to go.
        offset: u64,
        /// How long it was.
        length: usize,
    },
    /// Files differ from the manifest: they were deleted, and the transfer goes on with them.
    #[error("files of the snapshot arrived incomplete or damaged and are to be sent again: {}", .0.join(", "))]
    Damaged(Vec<String>),
    /// A fault of this node's disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A snapshot on its way in. Dropped, it leaves what arrived for the next attempt.
pub struct Incoming {
    store: StateStore,
    /// Which transfer this is; only the last one that began may write.
    turn: u64,
    folder: PathBuf,
    manifest: SnapshotManifest,
    /// Bytes of each file that are here.
    have: Vec<u64>,
    /// The file that was written last, by its position.
    open: Option<(usize, File)>,
}

impl Incoming {
    /// Begins a transfer or goes on with an earlier one of the same manifest. Takes the place of any other.
    pub(super) fn new(store: StateStore, mut manifest: SnapshotManifest) -> Result<Self, ReceiveError> {
        check(&manifest, store.options().max_snapshot_bytes).map_err(ReceiveError::Refused)?;
        if store.snapshots_folder().join(&manifest.id).exists() {
            return Err(ReceiveError::Refused("this node has it already".to_owned()));
        }
        // First of all and for good: whatever becomes of the transfer, no value may be here without its key. And never beside
        // the files: the manifest that is kept is in the clear.
        store.options().keyring.adopt(&mem::take(&mut manifest.keys))?;
        let turn = {
            let mut turn = locked(store.incoming_turn());
            *turn += 1;
            prepare(&store.incoming_folder(), &manifest)?;
            *turn
        };
        let folder = store.incoming_folder().join(&manifest.id);
        let have = manifest.files.iter().map(|file| present(&folder.join(&file.name), file.size));
        let have = have.collect::<Result<_, StorageError>>()?;
        Ok(Self { store, turn, folder, manifest, have, open: None })
    }

    /// What is being received.
    pub fn manifest(&self) -> &SnapshotManifest {
        &self.manifest
    }

    /// Bytes of each file that are here already, in the manifest's order: the sender goes on from there.
    pub fn have(&self) -> &[u64] {
        &self.have
    }

    /// Adds a chunk to a file (its position in the manifest) where the last one ended.
    ///
    /// # Errors
    /// `Misplaced`, `Superseded`, or a fault of the disk. None of them harms what is here.
    pub fn write(&mut self, file: usize, offset: u64, bytes: &[u8]) -> Result<(), ReceiveError> {
        let size = self.manifest.files.get(file).map_or(0, |file| file.size);
        let have = self.have.get(file).copied().unwrap_or(0);
        let length = bytes.len();
        if offset != have || length as u64 > size - have {
            return Err(ReceiveError::Misplaced { file, have, size, offset, length });
        }
        let store = self.store.clone();
        let turn = locked(store.incoming_turn());
        if *turn != self.turn {
            return Err(ReceiveError::Superseded);
        }
        if self.open.as_ref().is_none_or(|(open, _)| *open != file) {
            self.open = Some((file, open(&self.path(file))?));
        }
        if let Some((_, opened)) = &self.open {
            let written = opened.write_all_at(bytes, offset);
            written.map_err(StorageError::io("write", &self.path(file)))?;
            reached(Failpoint::ReceiveWritten);
        }
        self.have[file] += length as u64;
        Ok(())
    }

    /// Compares every file with the manifest, makes all durable and gives the snapshot, to be installed. Not
    /// installed, its files go with the handle.
    ///
    /// # Errors
    /// `Damaged` for files that differ or are incomplete: they are deleted, [`Incoming::have`] says so, and the
    /// transfer may go on. `Superseded`, or a fault of the disk.
    pub fn finish(&mut self) -> Result<Snapshot, ReceiveError> {
        let store = self.store.clone();
        let turn = locked(store.incoming_turn());
        if *turn != self.turn {
            return Err(ReceiveError::Superseded);
        }
        self.open = None;
        let mut damaged = Vec::new();
        for file in 0..self.manifest.files.len() {
            if !self.check_file(file)? {
                damaged.push(self.manifest.files[file].name.clone());
            }
        }
        if !damaged.is_empty() {
            return Err(ReceiveError::Damaged(damaged));
        }
        files::sync_folder(&self.folder)?;
        reached(Failpoint::ReceiveChecked);
        let folder = store.snapshots_folder().join(&self.manifest.id);
        files::rename(&self.folder, &folder)?;
        files::sync_folder(&store.incoming_folder())?;
        reached(Failpoint::ReceiveNamed);
        Ok(Snapshot::new(self.manifest.clone(), folder, store.options().keyring.clone()))
    }

    /// Syncs a file and reads it back; one that is not as the manifest says is deleted.
    fn check_file(&mut self, file: usize) -> Result<bool, StorageError> {
        let path = self.path(file);
        let listed = &self.manifest.files[file];
        let opened = open(&path)?;
        opened.sync_all().map_err(StorageError::io("sync", &path))?;
        if files::checksum(&path)? == (listed.size, listed.crc32) {
            return Ok(true);
        }
        fs::remove_file(&path).map_err(StorageError::io("remove", &path))?;
        self.have[file] = 0;
        Ok(false)
    }

    fn path(&self, file: usize) -> PathBuf {
        self.folder.join(&self.manifest.files[file].name)
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("id", &self.manifest.id).field("turn", &self.turn).finish()
    }
}

/// Leaves one folder in `incoming/`: this transfer's, with this manifest.
fn prepare(incoming: &Path, manifest: &SnapshotManifest) -> Result<(), StorageError> {
    let folder = incoming.join(&manifest.id);
    // A manifest that cannot be read is one more reason to begin anew.
    let same = read_manifest(&folder).is_ok_and(|there| there.as_ref() == Some(manifest));
    for name in files::names(incoming)? {
        if name != manifest.id || !same {
            files::remove_folder(&incoming.join(name))?;
        }
    }
    if !same {
        files::create_folder(&folder)?;
        write_manifest(&folder, manifest)?;
        files::sync_folder(incoming)?;
        reached(Failpoint::ReceiveBegun);
    }
    Ok(())
}

/// How much of a file is here. One that is longer than it may be is begun anew.
fn present(path: &Path, size: u64) -> Result<u64, StorageError> {
    match fs::metadata(path) {
        Ok(file) if file.len() <= size => Ok(file.len()),
        Ok(_) => fs::remove_file(path).map(|()| 0).map_err(StorageError::io("remove", path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(StorageError::io("look at", path)(error)),
    }
}

fn open(path: &Path) -> Result<File, StorageError> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    opened.map_err(StorageError::io("open", path))
}

/// Whether a manifest from another node may be used: it makes names of files on this one.
pub(super) fn check(manifest: &SnapshotManifest, bytes_max: u64) -> Result<(), String> {
    if !plain(&manifest.id) {
        return Err("its id is not a plain name".to_owned());
    }
    if super::snapshot::index(manifest).is_none() {
        return Err("it holds no log entry".to_owned());
    }
    if manifest.files.is_empty() || manifest.files.len() > FILES_MAX {
        return Err(format!("it has {} files, and may have 1 to {FILES_MAX}", manifest.files.len()));
    }
    if manifest.keys.len() > KEYS_MAX {
        return Err(format!("it comes with {} keys, and may with {KEYS_MAX}", manifest.keys.len()));
    }
    let mut names: Vec<_> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    if let Some(name) = names.iter().find(|name| !plain(name) || **name == MANIFEST) {
        return Err(format!("{name:?} may not be the name of a file"));
    }
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("two of its files have the same name".to_owned());
    }
    let total = manifest.files.iter().fold(0_u64, |total, file| total.saturating_add(file.size));
    if total > bytes_max {
        return Err(format!("it has {total} bytes, and this node takes at most {bytes_max}"));
    }
    Ok(())
}

/// Letters, digits, `.`, `_` and `-`, at most 200, not beginning with a dot: a file in the folder, and nothing else.
fn plain(name: &str) -> bool {
    let character = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    (1..=200).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::store::{Applied, LogId, SnapshotFile};

    fn manifest(id: &str, names: &[&str], size: u64) -> SnapshotManifest {
        let file = |name: &&str| SnapshotFile { name: (*name).to_owned(), size, crc32: 0 };
        let applied =
            Applied { log_id: Some(LogId { term: 1, leader_id: 1, index: 1 }), ..Applied::default() };
        SnapshotManifest {
            id: id.to_owned(),
            applied: Some(applied),
            files: names.iter().map(file).collect(),
            keys: Vec::new(),
        }
    }

    #[test]
    fn a_manifest_cannot_reach_outside_its_folder() {
        assert_eq!(check(&manifest("1-2-ab", &["000012.sst", "CURRENT"], 5), 10), Ok(()));
        for id in ["", "..", ".tmp-1", "a/b", "a\\b", "a\0", "é", &"x".repeat(201)] {
            assert!(check(&manifest(id, &["f"], 1), 10).is_err(), "{id:?}");
        }
        for name in ["", "..", "../raft.mark", "/etc/passwd", ".tmp-a", MANIFEST, "a b"] {
            assert!(check(&manifest("id", &[name], 1), 10).is_err(), "{name:?}");
        }
        assert!(check(&manifest("id", &["a", "b", "a"], 1), 10).is_err());
        assert!(check(&manifest("id", &["a", "b"], 6), 10).is_err());
        assert!(check(&manifest("id", &["a", "b"], u64::MAX), 10).is_err());
        assert!(check(&manifest("id", &[], 1), 10).is_err());
        assert!(check(&SnapshotManifest { applied: None, ..manifest("id", &["a"], 1) }, 10).is_err());
    }
}
