//! Snapshots of this node's own state: a checkpoint of RocksDB, its files listed and checked, made durable.
//!
//! ```text
//! freeze   beside no apply   hard links, no copy      snapshots/.tmp-<id>/
//! finish   beside apply      checksums, manifest,     snapshots/<id>/  MANIFEST.dancu, CURRENT, *.sst, ..
//!                            sync, rename
//! ```
//!
//! A folder under its final name is complete. A [`Snapshot`] keeps its files while anybody holds it: one that is
//! replaced while a node copies it goes after the copy.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, fs};

use prost::Message;
use rocksdb::checkpoint::Checkpoint;

use super::generation::Generation;
use super::position::Position;
use super::{StateStore, files};
use crate::failpoint::{Failpoint, reached};
use crate::proto::store::{SnapshotFile, SnapshotManifest};
use crate::storage::codec;
use crate::storage::error::StorageError;
use crate::storage::sealing::Keyring;

/// The file that lists the others.
pub(super) const MANIFEST: &str = "MANIFEST.dancu";

/// A complete snapshot on this node's disk. Cheap to clone; its files stay while a clone lives.
#[derive(Clone)]
pub struct Snapshot(Arc<Held>);

struct Held {
    manifest: SnapshotManifest,
    folder: PathBuf,
    /// With the keys of what its files hold.
    keyring: Arc<Keyring>,
    /// False when the files go with the last handle.
    keep: AtomicBool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.keep.load(Ordering::Acquire)
            && let Err(error) = files::remove_folder(&self.folder)
        {
            tracing::warn!(%error, "an old snapshot stays until the next start");
        }
    }
}

impl Snapshot {
    /// Files that go with the last handle, unless the store takes them as its newest snapshot.
    pub(super) fn new(manifest: SnapshotManifest, folder: PathBuf, keyring: Arc<Keyring>) -> Self {
        Self(Arc::new(Held { manifest, folder, keyring, keep: AtomicBool::new(false) }))
    }

    /// The snapshot in a folder under its final name.
    ///
    /// # Errors
    /// `Corrupt` when files are missing, cut or damaged as far as that shows without reading them all.
    pub(super) fn load(folder: PathBuf, keyring: Arc<Keyring>) -> Result<Self, StorageError> {
        let damaged =
            |detail: String| StorageError::corrupt(format!("snapshot {}", folder.display()), detail);
        let manifest = read_manifest(&folder)?.ok_or_else(|| damaged(format!("it has no {MANIFEST}")))?;
        for file in &manifest.files {
            let size = fs::metadata(folder.join(&file.name)).map_or(None, |file| Some(file.len()));
            if size != Some(file.size) {
                return Err(damaged(format!(
                    "{} is {size:?} bytes long instead of {}",
                    file.name, file.size
                )));
            }
        }
        let snapshot = Self::new(manifest, folder, keyring);
        snapshot.keep(true);
        Ok(snapshot)
    }

    /// The manifest for the node that it is sent to: with the keys that open what the files hold. Those that came to this
    /// node with a snapshot of another one are among them, for its values are in the files as they came.
    pub fn offer(&self) -> SnapshotManifest {
        SnapshotManifest { keys: self.0.keyring.to_send(), ..self.0.manifest.clone() }
    }

    /// What it holds: the state and the files, without keys.
    pub fn manifest(&self) -> &SnapshotManifest {
        &self.0.manifest
    }

    /// The folder of its files.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Index of the last log entry in it.
    pub fn index(&self) -> Option<u64> {
        index(&self.0.manifest)
    }

    pub(super) fn keep(&self, keep: bool) {
        self.0.keep.store(keep, Ordering::Release);
    }

    /// Checksums of the table files by what they are on disk. RocksDB never changes such a file, so the next snapshot
    /// need not read those that are in this one too.
    fn known(&self) -> BTreeMap<(u64, u64), SnapshotFile> {
        let tables = self.0.manifest.files.iter().filter(|file| is_table(&file.name));
        tables.filter_map(|file| Some((inode(&self.0.folder.join(&file.name)).ok()?, file.clone()))).collect()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("id", &self.0.manifest.id).field("index", &self.index()).finish()
    }
}

/// A checkpoint that is not listed and not durable yet. Dropped unfinished, it leaves nothing behind.
pub struct Frozen {
    store: StateStore,
    id: String,
    position: Position,
    folder: PathBuf,
}

impl Frozen {
    /// Makes a checkpoint; nothing may be applied meanwhile.
    pub(super) fn new(
        store: StateStore,
        generation: &Generation,
        position: Position,
    ) -> Result<Self, StorageError> {
        let id = new_id(&position);
        let folder = files::tmp_of(&store.snapshots_folder().join(&id));
        let failed = || StorageError::rocks("make a checkpoint of", generation.path());
        // With nothing in the WAL, RocksDB flushes what is in memory first.
        let checkpoint = Checkpoint::new(generation.db()).map_err(failed())?;
        checkpoint.create_checkpoint(&folder).map_err(failed())?;
        reached(Failpoint::SnapshotFrozen);
        Ok(Self { store, id, position, folder })
    }

    /// Index of the last log entry in it.
    pub fn index(&self) -> Option<u64> {
        self.position.index()
    }

    /// Lists and checks the files, makes all of it durable, and makes it the store's newest snapshot; the one before
    /// goes with its last reader. May run beside `apply`. On return the log up to [`Frozen::index`] may be purged.
    ///
    /// # Errors
    /// Faults of this node's disk; nothing is left behind.
    pub fn finish(self) -> Result<Snapshot, StorageError> {
        let known = self.store.snapshot().map(|snapshot| snapshot.known()).unwrap_or_default();
        let mut listed = Vec::new();
        for name in files::names(&self.folder)? {
            let path = self.folder.join(&name);
            let of_table = || known.get(&inode(&path).ok()?).cloned();
            let file = match is_table(&name).then(of_table).flatten() {
                Some(file) => SnapshotFile { name, ..file },
                None => {
                    let (size, crc32) = files::checksum(&path)?;
                    SnapshotFile { name, size, crc32 }
                }
            };
            files::sync_file(&path)?;
            listed.push(file);
        }
        reached(Failpoint::SnapshotListed);
        let applied = Some(self.position.to_applied());
        let manifest = SnapshotManifest { id: self.id.clone(), applied, files: listed, keys: Vec::new() };
        write_manifest(&self.folder, &manifest)?;
        let folder = self.store.snapshots_folder().join(&self.id);
        files::rename(&self.folder, &folder)?;
        reached(Failpoint::SnapshotNamed);
        let snapshot = Snapshot::new(manifest, folder, self.store.options().keyring.clone());
        self.store.publish(&snapshot);
        Ok(snapshot)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // Gone already when it was finished. RocksDB may have left its own unfinished name.
        for folder in [self.folder.clone(), self.folder.with_extension("tmp")] {
            if folder.exists()
                && let Err(error) = fs::remove_dir_all(&folder).map_err(StorageError::io("remove", &folder))
            {
                tracing::warn!(%error, "an unfinished snapshot stays until the next start");
            }
        }
    }
}

/// A name that no other snapshot has.
fn new_id(position: &Position) -> String {
    #[expect(clippy::disallowed_methods, reason = "names a folder of this node")]
    let unique = uuid::Uuid::new_v4().simple();
    let (term, index) = position.log_id.map_or((0, 0), |id| (id.term, id.index));
    format!("{term}-{index}-{unique}")
}

/// Index of the last log entry in a snapshot.
pub(super) fn index(manifest: &SnapshotManifest) -> Option<u64> {
    Some(manifest.applied.as_ref()?.log_id?.index)
}

/// Reads the manifest in a folder, if there is one.
pub(super) fn read_manifest(folder: &Path) -> Result<Option<SnapshotManifest>, StorageError> {
    let path = folder.join(MANIFEST);
    let Some(sealed) = files::read_if_there(&path)? else { return Ok(None) };
    parse(&path.display().to_string(), &sealed).map(Some)
}

/// The manifest within its seal.
pub(super) fn parse(what: &str, sealed: &[u8]) -> Result<SnapshotManifest, StorageError> {
    let manifest = SnapshotManifest::decode(codec::unseal(what, sealed)?);
    manifest.map_err(|e| StorageError::corrupt(what, format!("it cannot be decoded ({e})")))
}

/// Writes the manifest into a folder, durably.
pub(super) fn write_manifest(folder: &Path, manifest: &SnapshotManifest) -> Result<(), StorageError> {
    files::replace(&folder.join(MANIFEST), &codec::seal(&manifest.encode_to_vec()))
}

/// Whether RocksDB never changes a file with this name.
pub(super) fn is_table(name: &str) -> bool {
    name.ends_with(".sst")
}

/// What a file is on disk, whatever its names.
fn inode(path: &Path) -> std::io::Result<(u64, u64)> {
    fs::metadata(path).map(|file| (file.dev(), file.ino()))
}
