//! The one that writes a log: opens what is there, appends, begins new files.
//!
//! ```text
//! append:  records -> last file, sync -> hashes -> tree -> mark -> published
//! a full file:  tree, sync -> next file whole with its head, sync, its name -> append goes on there
//! ```

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Owner;
use super::frame::{self, Found, Frames};
use super::mark::Mark;
use super::segments::{self, Head, Segment, Segments};
use super::tree::Tree;
use crate::audit::error::AuditError;
use crate::audit::merkle::{self, Frontier};
use crate::proto::store::AuditSegment;
use crate::storage::codec;
use crate::storage::data_dir::{create_dir, fsync_dir, write_atomically};
use crate::storage::error::StorageError;

/// A log open for writing.
pub struct Disk {
    folder: PathBuf,
    owner: Owner,
    segment_bytes: u64,
    segments: Arc<Segments>,
    last: Arc<Segment>,
    /// That one, open.
    file: File,
    /// Length of the last file.
    length: u64,
    frontier: Frontier,
    mark: Mark,
}

impl Disk {
    /// Opens the log in a folder, or begins one. A tail that is torn and was never acknowledged is cut off.
    ///
    /// # Errors
    /// `Damaged` or `Behind` when less is there than was acknowledged, `Foreign` for another node's, faults of the disk.
    pub fn open(folder: &Path, owner: &Owner, segment_bytes: u64) -> Result<Self, AuditError> {
        create_dir(folder)?;
        let mut firsts = segments::list(folder)?;
        let mark = match Mark::open(folder)? {
            Some(mark) => mark,
            None if firsts.is_empty() => {
                Mark::create(folder)?;
                let made = Mark::open(folder)?;
                made.ok_or_else(|| {
                    StorageError::corrupt(folder.display().to_string(), "the mark is missing")
                })?
            }
            None => {
                let what = folder.display().to_string();
                Err(StorageError::corrupt(what, "there are records, but the mark is missing"))?
            }
        };
        if firsts.is_empty() {
            if mark.records() > 0 {
                let (folder, acknowledged) = (folder.to_owned(), mark.records());
                return Err(AuditError::Behind { folder, found: 0, acknowledged });
            }
            begin(folder, owner, &Frontier::default())?;
            firsts.push(0);
        }
        let files = firsts.iter().map(|first| Arc::new(Segment::new(folder, *first))).collect();
        Self::over(folder, owner, segment_bytes, mark, files)
    }

    fn over(
        folder: &Path,
        owner: &Owner,
        segment_bytes: u64,
        mark: Mark,
        files: Vec<Arc<Segment>>,
    ) -> Result<Self, AuditError> {
        let last: Arc<Segment> = files.last().expect("there is one file at least").clone();
        let Head { owner: found, before } = last.head()?;
        if found != *owner {
            let Owner { cluster_id, node_id } = found;
            return Err(AuditError::Foreign { folder: folder.to_owned(), node_id, cluster_id });
        }
        let tree = Tree::open(folder)?;
        let whole = tree.frontier(last.first).ok().filter(|kept| *kept == before);
        if whole.is_none() {
            let what = folder.join("tree").display().to_string();
            Err(StorageError::corrupt(what, "it does not lead to the head of the last file"))?;
        }
        let file = to_append(&last)?;
        let (frontier, length, hashes) = scan((&last, &file), before, &mark, folder)?;
        tree.write(last.first, &hashes)?;
        let size = frontier.size();
        let segments = Arc::new(Segments::new(files, tree, size));
        let mut disk = Self {
            folder: folder.to_owned(),
            owner: owner.clone(),
            segment_bytes,
            segments,
            last,
            file,
            length,
            frontier,
            mark,
        };
        if disk.mark.records() < size {
            // They were written and may have been synced: from now on they count.
            disk.file.sync_all().map_err(StorageError::io("sync", &disk.last.path))?;
            disk.mark.raise(size)?;
        }
        Ok(disk)
    }

    /// Makes this empty log one that begins behind records which nobody keeps any more.
    ///
    /// # Errors
    /// Faults of the disk; a log that is not empty stays as it is.
    pub fn begin_after(&mut self, before: &Frontier) -> Result<(), AuditError> {
        if self.frontier.size() > 0 {
            return Ok(());
        }
        // Whatever is missing of this when the machine stops, what is there is an empty log.
        std::fs::remove_file(&self.last.path).map_err(StorageError::io("remove", &self.last.path))?;
        self.segments.tree.begin_after(before)?;
        begin(&self.folder, &self.owner, before)?;
        *self = Self::open(&self.folder, &self.owner, self.segment_bytes)?;
        Ok(())
    }

    /// What is on disk, for those who read.
    pub fn segments(&self) -> &Arc<Segments> {
        &self.segments
    }

    /// Appends records; on return they are durable and can be read. How long the write and the sync took.
    ///
    /// # Errors
    /// Faults of the disk: none may be tried again, and the log must not be written to any more.
    pub fn append(&mut self, records: &[Vec<u8>]) -> Result<Duration, StorageError> {
        if self.length > self.segment_bytes && self.frontier.size() > self.last.first {
            self.roll()?;
        }
        let started = Instant::now();
        let before = self.frontier.size();
        let mut bytes = Vec::with_capacity(records.iter().map(|record| record.len() + frame::HEAD).sum());
        let mut hashes = Vec::with_capacity(records.len() * 64);
        for record in records {
            self.last.note(self.frontier.size(), self.length + bytes.len() as u64);
            frame::put(&mut bytes, record);
            self.frontier.push(merkle::leaf(record), |hash| hashes.extend_from_slice(hash));
        }
        let path = &self.last.path;
        self.file.write_all_at(&bytes, self.length).map_err(StorageError::io("write", path))?;
        self.file.sync_data().map_err(StorageError::io("sync", path))?;
        let elapsed = started.elapsed();
        self.length += bytes.len() as u64;
        self.segments.tree.write(before, &hashes)?;
        self.mark.raise(self.frontier.size())?;
        self.segments.publish(self.frontier.size());
        Ok(elapsed)
    }

    /// Begins the next file.
    fn roll(&mut self) -> Result<(), StorageError> {
        self.segments.tree.sync()?;
        begin(&self.folder, &self.owner, &self.frontier)?;
        let next = Arc::new(Segment::new(&self.folder, self.frontier.size()));
        self.file = to_append(&next)?;
        self.length = self.file.metadata().map_err(StorageError::io("look at", &next.path))?.len();
        self.segments.add(next.clone());
        self.last = next;
        Ok(())
    }

    /// Removes the files all of whose records are before `position`, but for the last one.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn forget(&mut self, position: u64) -> Result<u64, StorageError> {
        let mut gone = 0;
        while self.segments.files().get(1).is_some_and(|second| second.first <= position) {
            let Some(file) = self.segments.remove_first() else { break };
            std::fs::remove_file(&file.path).map_err(StorageError::io("remove", &file.path))?;
            gone += 1;
        }
        if gone > 0 {
            fsync_dir(&self.folder)?;
        }
        Ok(gone)
    }
}

/// Makes the file that goes on after `frontier`, durable on return.
fn begin(folder: &Path, owner: &Owner, frontier: &Frontier) -> Result<(), StorageError> {
    let head = AuditSegment {
        cluster_id: owner.cluster_id.clone(),
        node_id: owner.node_id,
        first: frontier.size(),
        frontier: frontier.peaks().iter().map(|hash| hash.to_vec().into()).collect(),
    };
    let mut bytes = Vec::new();
    frame::put(&mut bytes, &codec::encode(&head));
    write_atomically(&folder.join(segments::name(frontier.size())), &bytes)
}

/// Opens a file to append to it.
fn to_append(segment: &Segment) -> Result<File, StorageError> {
    let opened = OpenOptions::new().read(true).write(true).open(&segment.path);
    opened.map_err(StorageError::io("open", &segment.path))
}

/// Reads the last file: the frontier after it, its length, and its hashes.
fn scan(
    (last, file): (&Segment, &File),
    before: Frontier,
    mark: &Mark,
    folder: &Path,
) -> Result<(Frontier, u64, Vec<u8>), AuditError> {
    let (mut frontier, mut hashes) = (before, Vec::new());
    let mut frames = Frames::from(file, 0);
    frames.advance().map_err(StorageError::io("read", &last.path))?;
    loop {
        let (position, offset) = (frontier.size(), frames.offset);
        let torn = match frames.advance().map_err(StorageError::io("read", &last.path))? {
            Found::Frame(record) => {
                last.note(position, offset);
                frontier.push(merkle::leaf(&record), |hash| hashes.extend_from_slice(hash));
                continue;
            }
            Found::End if position < mark.records() => {
                let (folder, acknowledged) = (folder.to_owned(), mark.records());
                return Err(AuditError::Behind { folder, found: position, acknowledged });
            }
            Found::End => return Ok((frontier, offset, hashes)),
            Found::Bad(detail) => detail,
        };
        if position < mark.records() {
            let (file, detail) = (last.path.clone(), torn.to_owned());
            return Err(AuditError::Damaged { position, file, offset, detail });
        }
        tracing::warn!(
            position,
            "the end of the audit log was torn before anybody was answered: it is cut off"
        );
        let cut = file.set_len(offset).and_then(|()| file.sync_all());
        cut.map_err(StorageError::io("cut", &last.path))?;
        return Ok((frontier, offset, hashes));
    }
}
