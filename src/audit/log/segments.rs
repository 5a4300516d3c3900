//! The files of a log as they are read: while the writer appends, up to what it has published.
//!
//! ```text
//! 00000000000000000000.log    frame(AuditSegment), frame(record 0), frame(record 1), ..
//! 00000000000000004711.log    frame(AuditSegment), frame(record 4711), ..
//! ```
//!
//! A file says in its first frame whose it is, which record it begins with, and the frontier of the Merkle tree before that
//! one: so a log is opened by reading its last file alone.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use super::Owner;
use super::frame::{Found, Frames};
use super::tree::Tree;
use crate::audit::error::AuditError;
use crate::audit::merkle::{Frontier, Hash};
use crate::proto::store::AuditSegment;
use crate::storage::codec;
use crate::storage::error::StorageError;

/// The place of every so many-th record of a file is kept.
const STRIDE: u64 = 256;

/// The name of the file that begins with a record.
pub fn name(first: u64) -> String {
    format!("{first:020}.log")
}

/// The first records of the files in a folder, in order.
///
/// # Errors
/// Faults of the disk.
pub fn list(folder: &Path) -> Result<Vec<u64>, StorageError> {
    let failed = || StorageError::io("read", folder);
    let mut firsts = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed())? {
        let name = entry.map_err(failed())?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log")).filter(|name| name.len() == 20);
        firsts.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// One file. It is opened for as long as it is read: there may be thousands.
pub struct Segment {
    /// Its first record.
    pub first: u64,
    /// Its path.
    pub path: PathBuf,
    /// The offsets of records `first`, `first + STRIDE` and so on, as far as anybody looked.
    places: Mutex<Vec<u64>>,
}

/// What a file says in its first frame.
pub struct Head {
    /// Whose it is.
    pub owner: Owner,
    /// The frontier before its first record.
    pub before: Frontier,
}

impl Segment {
    /// The file of a folder that begins with a record.
    pub fn new(folder: &Path, first: u64) -> Self {
        Self { first, path: folder.join(name(first)), places: Mutex::default() }
    }

    /// Opens the file to read it.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn open(&self) -> Result<File, StorageError> {
        File::open(&self.path).map_err(StorageError::io("open", &self.path))
    }

    /// Reads the first frame.
    ///
    /// # Errors
    /// `Damaged` when it is not that of this file; faults of the disk.
    pub fn head(&self) -> Result<Head, AuditError> {
        let path = &self.path;
        let bad = |detail: &str| AuditError::Damaged {
            position: self.first,
            file: path.clone(),
            offset: 0,
            detail: detail.to_owned(),
        };
        let file = self.open()?;
        let head = match Frames::from(&file, 0).advance().map_err(StorageError::io("read", path))? {
            Found::Frame(bytes) => bytes,
            Found::End => return Err(bad("the file is empty")),
            Found::Bad(detail) => return Err(bad(&format!("the head of the file: {detail}"))),
        };
        let AuditSegment { cluster_id, node_id, first: begins, frontier } =
            codec::decode(&format!("the head of {}", path.display()), &head)?;
        let peaks = frontier.iter().map(|hash| Hash::try_from(&hash[..])).collect::<Result<_, _>>();
        let before = peaks.ok().and_then(|peaks| Frontier::new(begins, peaks));
        let before = before.filter(|_| begins == self.first);
        let before = before.ok_or_else(|| bad("the head belongs to another file"))?;
        Ok(Head { owner: Owner { cluster_id, node_id }, before })
    }

    /// How long ago it was last written; `None` when the system does not say.
    pub fn age(&self) -> Option<Duration> {
        std::fs::metadata(&self.path).ok()?.modified().ok()?.elapsed().ok()
    }

    /// Notes where a record begins, in the order of the records.
    pub fn note(&self, position: u64, offset: u64) {
        let number = position - self.first;
        let mut places = locked(&self.places);
        if number.is_multiple_of(STRIDE) && number / STRIDE == places.len() as u64 {
            places.push(offset);
        }
    }

    /// The nearest known place at or before a record, and the record that begins there.
    fn near(&self, position: u64, file: &File) -> io::Result<(u64, u64)> {
        let number = (position - self.first) / STRIDE;
        let mut places = locked(&self.places);
        if places.is_empty() {
            let mut frames = Frames::from(file, 0);
            frames.advance()?;
            places.push(frames.offset);
        }
        let at = usize::try_from(number).unwrap_or(usize::MAX).min(places.len() - 1);
        Ok((self.first + at as u64 * STRIDE, places[at]))
    }

    /// Calls `each` with the records from `from` on, `end` not included, until it returns false.
    ///
    /// # Errors
    /// `Damaged` for the first that is not whole.
    pub fn visit(
        &self,
        from: u64,
        end: u64,
        mut each: impl FnMut(u64, Vec<u8>) -> bool,
    ) -> Result<(), AuditError> {
        let file = self.open()?;
        let (mut position, offset) = self.near(from, &file).map_err(StorageError::io("read", &self.path))?;
        let mut frames = Frames::from(&file, offset);
        while position < end {
            let offset = frames.offset;
            self.note(position, offset);
            let detail = match frames.advance().map_err(StorageError::io("read", &self.path))? {
                Found::Frame(bytes) => {
                    if position >= from && !each(position, bytes) {
                        return Ok(());
                    }
                    position += 1;
                    continue;
                }
                Found::End => "the file ends before it",
                Found::Bad(detail) => detail,
            };
            return Err(AuditError::Damaged {
                position,
                file: self.path.clone(),
                offset,
                detail: detail.to_owned(),
            });
        }
        Ok(())
    }
}

/// All files of a log, and what of them may be read.
pub struct Segments {
    files: RwLock<Vec<Arc<Segment>>>,
    /// The tree over the records.
    pub tree: Tree,
    /// Records that are on disk.
    size: AtomicU64,
    /// The first of them that is still there.
    first: AtomicU64,
}

impl Segments {
    /// The files in their order, with `size` records.
    pub fn new(files: Vec<Arc<Segment>>, tree: Tree, size: u64) -> Self {
        let first = files.first().map_or(0, |file| file.first).into();
        Self { files: RwLock::new(files), tree, size: size.into(), first }
    }

    /// Records that are on disk.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// The first record that is still there.
    pub fn first(&self) -> u64 {
        self.first.load(Ordering::Acquire)
    }

    /// So many records are on disk now.
    pub fn publish(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }

    /// Adds a file at the end.
    pub fn add(&self, segment: Arc<Segment>) {
        self.files.write().unwrap_or_else(PoisonError::into_inner).push(segment);
    }

    /// The files, in their order.
    pub fn files(&self) -> Vec<Arc<Segment>> {
        self.files.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes out the first file, unless it is the only one.
    pub fn remove_first(&self) -> Option<Arc<Segment>> {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        if files.len() < 2 {
            return None;
        }
        self.first.store(files[1].first, Ordering::Release);
        Some(files.remove(0))
    }

    /// The records from `from` on: no more once they have `max_bytes` together, one at least if there is one. Those that
    /// are no longer kept are not among them.
    ///
    /// # Errors
    /// `Damaged` for one that is not whole.
    pub fn read(&self, from: u64, max_bytes: usize) -> Result<Vec<(u64, Vec<u8>)>, AuditError> {
        let (size, from) = (self.size(), from.max(self.first()));
        let files = self.files();
        let mut records = Vec::new();
        let mut bytes = 0;
        let begin = files.partition_point(|file| file.first <= from).saturating_sub(1);
        for (number, file) in files.iter().enumerate().skip(begin) {
            let end = files.get(number + 1).map_or(size, |next| next.first.min(size));
            let visited = file.visit(from.max(file.first), end, |position, record| {
                bytes += record.len();
                if bytes > max_bytes && !records.is_empty() {
                    return false;
                }
                records.push((position, record));
                true
            });
            // One that was let go meanwhile holds nothing any more.
            if file.first >= self.first() {
                visited?;
            }
            if bytes > max_bytes {
                break;
            }
        }
        Ok(records)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
