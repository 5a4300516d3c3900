//! Files and folders that must survive a power cut, or be gone as if they had never been.
//!
//! A new file is safe once it and its folder are synced; a folder appears whole because it is built under a name that
//! begins with `.tmp-` and renamed; it disappears whole because it gets such a name before it is emptied. Whatever
//! still has such a name when a node starts is rubbish.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::failpoint::{Failpoint, reached};
use crate::storage::error::StorageError;

/// What the name of an unfinished file or folder begins with.
pub(super) const TMP: &str = ".tmp-";

/// How much of a file is held in memory at once, in bytes.
const CHUNK: usize = 1 << 20;

/// `path` with the unfinished name of its last part.
pub(super) fn tmp_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{TMP}{name}"))
}

/// Makes what was created, renamed or removed in the folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), StorageError> {
    sync_file(path)
}

/// Makes the content of a file durable.
pub(super) fn sync_file(path: &Path) -> Result<(), StorageError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(StorageError::io("sync", path))
}

/// Makes a folder and those above it, if they are not there.
pub(super) fn create_folder(path: &Path) -> Result<(), StorageError> {
    fs::create_dir_all(path).map_err(StorageError::io("create", path))
}

/// Renames within one folder, durably: what stood under the new name is gone.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), StorageError> {
    fs::rename(from, to).map_err(StorageError::io("rename to", to))?;
    reached(Failpoint::StateNamed);
    sync_folder(parent(to))
}

/// Replaces the content of a file: after a crash it has the old content or the new, whole.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), StorageError> {
    let tmp = tmp_of(path);
    let written = File::create(&tmp).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(StorageError::io("write", &tmp))?;
    reached(Failpoint::FileWritten);
    rename(&tmp, path)
}

/// The content of a small file, `None` if it is not there.
pub(super) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::io("read", path)(error)),
    }
}

/// Removes a folder and all in it; a crash on the way leaves it whole or under an unfinished name.
pub(super) fn remove_folder(path: &Path) -> Result<(), StorageError> {
    let tmp = tmp_of(path);
    match fs::rename(path, &tmp) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(StorageError::io("rename to", &tmp))?,
    }
    reached(Failpoint::FolderDoomed);
    fs::remove_dir_all(&tmp).map_err(StorageError::io("remove", &tmp))
}

/// Removes what a crash left unfinished in a folder.
pub(super) fn clean(folder: &Path) -> Result<(), StorageError> {
    for name in names(folder)? {
        if !name.starts_with(TMP) {
            continue;
        }
        let path = folder.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(StorageError::io("remove", &path))?;
    }
    Ok(())
}

/// The names of what is in a folder, sorted. A name that is not UTF-8 is none of ours and is left out.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, StorageError> {
    let list = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    };
    list().map_err(StorageError::io("list", folder))
}

/// Length and CRC-32 (IEEE) of a file, read in chunks.
pub(super) fn checksum(path: &Path) -> Result<(u64, u32), StorageError> {
    let read = || -> io::Result<(u64, u32)> {
        let mut file = File::open(path)?;
        let (mut hasher, mut size) = (crc32fast::Hasher::new(), 0);
        let mut chunk = vec![0; CHUNK];
        loop {
            match file.read(&mut chunk)? {
                0 => return Ok((size, hasher.finalize())),
                read => {
                    hasher.update(&chunk[..read]);
                    size += read as u64;
                }
            }
        }
    };
    read().map_err(StorageError::io("read", path))
}

/// The folder that a path of ours is in.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().expect("every path here was made by joining a name to a folder")
}
