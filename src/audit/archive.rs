//! What a central node holds of the other nodes' logs, and the index over them all.
//!
//! A copy is a log like its origin: the same records at the same positions, so the same tree. It is asked for by the
//! position that it ends at, which is what makes each record arrive exactly once, whoever fails in between; and it must lead
//! to the checkpoints that its origin signed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::checkpoint::{self, Kept};
use super::error::AuditError;
use super::log::Owner;
use super::log::disk::Disk;
use super::log::segments::Segments;
use super::merkle::{Frontier, Hash};
use super::{folder, now_ms, record};
use crate::proto::registry::Checkpoint;
use crate::storage::audit_index::AuditIndex;
pub use crate::storage::audit_index::Place;
use crate::storage::error::StorageError;

/// Bytes of records that are gone through at once.
const STEP_BYTES: usize = 1 << 20;

/// A copy, or why it cannot be used.
type Opened = Result<Arc<Mutex<Carried>>, String>;

/// The copies and the index of this node.
pub struct Archive {
    data: PathBuf,
    owner: Owner,
    segment_bytes: u64,
    /// By node.
    copies: Mutex<BTreeMap<u64, Opened>>,
    /// Opened when it is needed: a provincial node has none.
    index: Mutex<Option<Arc<AuditIndex>>>,
    /// Nothing is opened any more.
    ended: AtomicBool,
}

/// How much of a log is here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Records that are here.
    pub held: u64,
    /// Records that its node had when it was last asked.
    pub known: u64,
    /// When that was, by this node's clock; 0 when never.
    pub asked_at_ms: u64,
}

/// A copy of one node's log.
struct Carried {
    disk: Disk,
    kept: Kept,
    /// Records that a checkpoint was found to cover.
    covered: u64,
    known: u64,
    asked_at_ms: u64,
    /// Why nothing more is taken.
    bad: Option<String>,
}

impl Archive {
    /// The archive of the node `owner`.
    pub fn new(data: PathBuf, owner: Owner, segment_bytes: u64) -> Self {
        Self {
            data,
            owner,
            segment_bytes,
            copies: Mutex::default(),
            index: Mutex::default(),
            ended: AtomicBool::new(false),
        }
    }

    /// The copy of a node's log, begun if there is none.
    fn copy(&self, node_id: u64) -> Result<Arc<Mutex<Carried>>, AuditError> {
        let mut copies = locked(&self.copies);
        if self.ended.load(Ordering::Acquire) {
            return Err(AuditError::Closed("this node is stopping".to_owned()));
        }
        let copy = copies.entry(node_id).or_insert_with(|| {
            self.open(node_id).map_err(|error| {
                tracing::error!(node_id, %error, "the copy of that node's audit log cannot be used");
                error.to_string()
            })
        });
        copy.clone().map_err(AuditError::Closed)
    }

    fn open(&self, node_id: u64) -> Result<Arc<Mutex<Carried>>, AuditError> {
        let folder = folder(&self.data, node_id);
        let owner = Owner { node_id, ..self.owner.clone() };
        let disk = Disk::open(&folder, &owner, self.segment_bytes)?;
        let kept = Kept::beside(&folder);
        let covered = kept.all()?.last().map_or(0, |last| last.size);
        let carried = Carried { disk, kept, covered, known: 0, asked_at_ms: 0, bad: None };
        Ok(Arc::new(Mutex::new(carried)))
    }

    /// The nodes whose logs are here, this node's own not among them.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn nodes(&self) -> Result<Vec<u64>, StorageError> {
        let path = self.data.join("audit");
        let mut nodes = Vec::new();
        for entry in std::fs::read_dir(&path).map_err(StorageError::io("read", &path))? {
            let name = entry.map_err(StorageError::io("read", &path))?.file_name();
            nodes.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        nodes.retain(|node| *node != self.owner.node_id);
        nodes.sort_unstable();
        Ok(nodes)
    }

    /// The records of a node's log that are here; `None` when nothing ever was.
    ///
    /// # Errors
    /// When the copy cannot be opened.
    pub fn segments(&self, node_id: u64) -> Result<Option<Arc<Segments>>, AuditError> {
        if !folder(&self.data, node_id).exists() {
            return Ok(None);
        }
        let copy = self.copy(node_id)?;
        let segments = locked(&copy).disk.segments().clone();
        Ok(Some(segments))
    }

    /// How much of a node's log is here.
    ///
    /// # Errors
    /// When the copy cannot be opened.
    pub fn coverage(&self, node_id: u64) -> Result<Coverage, AuditError> {
        let copy = self.copy(node_id)?;
        let copy = locked(&copy);
        let held = copy.disk.segments().size();
        Ok(Coverage { held, known: copy.known, asked_at_ms: copy.asked_at_ms })
    }

    /// Takes records that a node gave for its log from `from` on, of which it says that it has `known`; `last` is its newest
    /// checkpoint. Returns how many are here now. Blocks.
    ///
    /// # Errors
    /// When they do not follow from what is here, or do not lead to the checkpoint: nothing more of that node is taken until
    /// the next start. Faults of the disk.
    pub fn take(
        &self,
        node_id: u64,
        from: u64,
        records: Vec<Vec<u8>>,
        known: u64,
        last: Option<&Checkpoint>,
    ) -> Result<u64, AuditError> {
        let copy = self.copy(node_id)?;
        let mut copy = locked(&copy);
        if let Some(why) = &copy.bad {
            return Err(AuditError::Closed(why.clone()));
        }
        let outcome = copy.take(node_id, from, &records, last);
        match &outcome {
            Ok(_) => (copy.known, copy.asked_at_ms) = (known, now_ms()),
            Err(error) => {
                tracing::error!(node_id, %error, "nothing more of that node's audit log is fetched until the next start");
                copy.bad = Some(error.to_string());
            }
        }
        outcome
    }

    /// Begins the copy of a node's log, while it is empty, behind records that the node itself keeps no longer. That these are
    /// the hashes of what was there shows with the next checkpoint. Blocks.
    ///
    /// # Errors
    /// In words when there are not as many hashes as the position has; faults of the disk.
    pub fn begin_after(&self, node_id: u64, first: u64, hashes: &[Bytes]) -> Result<(), AuditError> {
        let peaks = hashes.iter().map(|hash| Hash::try_from(&hash[..])).collect::<Result<_, _>>();
        let before = peaks.ok().and_then(|peaks| Frontier::new(first, peaks));
        let before = before.ok_or_else(|| AuditError::Closed("its hashes cannot be".to_owned()))?;
        let copy = self.copy(node_id)?;
        locked(&copy).disk.begin_after(&before)
    }

    /// Lets old files of the copies go: see [`super::Audit::retain`].
    pub fn forget(&self, node_id: u64, position: u64) -> Result<u64, AuditError> {
        let copy = self.copy(node_id)?;
        let gone = locked(&copy).disk.forget(position)?;
        Ok(gone)
    }

    /// The index, opened now if it was not.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn index(&self) -> Result<Arc<AuditIndex>, StorageError> {
        let mut index = locked(&self.index);
        if self.ended.load(Ordering::Acquire) {
            return Err(StorageError::stopped("this node is stopping"));
        }
        if let Some(index) = &*index {
            return Ok(index.clone());
        }
        let opened = Arc::new(AuditIndex::open(&self.data.join("audit").join("index"))?);
        *index = Some(opened.clone());
        Ok(opened)
    }

    /// Goes through what is new in a log. Blocks.
    ///
    /// # Errors
    /// `Damaged` for a record that is not whole; faults of the disk.
    pub fn go_through(&self, node_id: u64, segments: &Segments) -> Result<(), AuditError> {
        let index = self.index()?;
        loop {
            let records = segments.read(index.next(node_id)?, STEP_BYTES)?;
            let Some(next) = records.last().map(|(position, _)| position + 1) else { return Ok(()) };
            let places = records.iter().filter_map(|(position, bytes)| {
                let outline = record::outline(bytes, node_id, *position).ok()?;
                let place = Place { time_ms: outline.time_ms, node_id, position: *position };
                Some((place, outline.uids()))
            });
            index.add(node_id, &places.collect::<Vec<_>>(), next)?;
        }
    }

    /// Closes all of it: what was taken is durable.
    pub fn close(&self) {
        self.ended.store(true, Ordering::Release);
        locked(&self.copies).clear();
        locked(&self.index).take();
    }
}

impl Carried {
    fn take(
        &mut self,
        node_id: u64,
        from: u64,
        records: &[Vec<u8>],
        last: Option<&Checkpoint>,
    ) -> Result<u64, AuditError> {
        let held = self.disk.segments().size();
        if !records.is_empty() {
            if from != held {
                // The answer to a question that was asked twice.
                return Ok(held);
            }
            for (position, bytes) in (from..).zip(records) {
                record::outline(bytes, node_id, position)
                    .map_err(|detail| AuditError::Closed(format!("record {position} is bad: {detail}")))?;
            }
            self.disk.append(records)?;
        }
        let size = self.disk.segments().size();
        if let Some(last) = last.filter(|last| self.covered < last.size && last.size <= size) {
            let root = self.disk.segments().tree.frontier(last.size)?.root();
            if checkpoint::root(last) != Some(root) || !checkpoint::is_signed(last) {
                let what = format!("the first {} records are not those that it signed", last.size);
                return Err(AuditError::Closed(what));
            }
            self.kept.add(last)?;
            self.covered = last.size;
        }
        Ok(size)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::checkpoint::Key;
    use crate::audit::merkle;
    use crate::proto::registry::{AccessRecord, AccessedPerson};

    fn numbered(position: u64, uid: u64) -> Vec<u8> {
        let persons = vec![AccessedPerson { uid, merged_from: 99, ..AccessedPerson::default() }];
        let mut bytes =
            record::encode(&AccessRecord { node_id: 2, time_ms: 5, persons, ..AccessRecord::default() });
        record::place(&mut bytes, position);
        bytes
    }

    #[test]
    fn a_copy_follows_its_origin_and_no_other_log() {
        let data = tempfile::tempdir().unwrap();
        let owner = Owner { cluster_id: "a-cluster".to_owned(), node_id: 1 };
        let open = || Archive::new(data.path().to_owned(), owner.clone(), 1_000);
        let key = Key::open(data.path(), true).unwrap();
        let records: Vec<_> = (0..50).map(|position| numbered(position, position % 3 + 1)).collect();
        let mut tree = Frontier::default();
        records.iter().for_each(|bytes| tree.push(merkle::leaf(bytes), |_| ()));
        let signed = key.sign(&Owner { node_id: 2, ..owner.clone() }, &tree, 1);

        let archive = open();
        assert!(archive.segments(2).unwrap().is_none() && !data.path().join("audit").exists());
        assert_eq!(archive.take(2, 0, records[..20].to_vec(), 50, Some(&signed)).unwrap(), 20);
        let covered = archive.coverage(2).unwrap();
        assert_eq!((covered.held, covered.known), (20, 50));
        archive.close();
        let archive = open();
        assert_eq!(archive.take(2, 20, records[20..].to_vec(), 50, Some(&signed)).unwrap(), 50);
        assert_eq!(Kept::beside(&folder(data.path(), 2)).all().unwrap(), std::slice::from_ref(&signed));
        assert_eq!(archive.nodes().unwrap(), [2]);

        let segments = archive.segments(2).unwrap().unwrap();
        for _again in 0..2 {
            archive.go_through(2, &segments).unwrap();
            let of = |uid| archive.index().unwrap().of_person(uid, None, 100).unwrap().len();
            assert_eq!((of(1), of(2), of(3), of(99), of(4)), (17, 17, 16, 50, 0));
        }

        // Another central node, which comes when the first records are kept nowhere any more.
        let late = tempfile::tempdir().unwrap();
        let archive_of_late = Archive::new(late.path().to_owned(), owner.clone(), 1_000);
        assert!(archive_of_late.begin_after(2, 23, &[]).is_err());
        let before = segments.tree.frontier(23).unwrap();
        let hashes: Vec<Bytes> = before.peaks().iter().map(|hash| hash.to_vec().into()).collect();
        archive_of_late.begin_after(2, 23, &hashes).unwrap();
        assert_eq!(archive_of_late.coverage(2).unwrap().held, 23);
        assert_eq!(archive_of_late.take(2, 23, records[23..].to_vec(), 50, Some(&signed)).unwrap(), 50);
        let held = archive_of_late.segments(2).unwrap().unwrap();
        assert_eq!((held.first(), held.read(0, usize::MAX).unwrap().len()), (23, 27));
        archive_of_late.go_through(2, &held).unwrap();
        assert_eq!(archive_of_late.index().unwrap().of_person(99, None, 100).unwrap().len(), 27);

        // What comes twice is here once. What is not the next record, and what does not lead to what was signed, is refused.
        assert_eq!(archive.take(2, 20, records[20..].to_vec(), 50, None).unwrap(), 50);
        assert!(archive.take(2, 50, vec![numbered(51, 1)], 51, None).is_err());
        assert!(archive.take(2, 50, vec![numbered(50, 1)], 51, None).is_err(), "it stays closed");
        assert_eq!(archive.coverage(2).unwrap().held, 50);
        let archive = {
            archive.close();
            open()
        };
        archive.take(2, 50, vec![numbered(50, 1)], 51, None).unwrap();
        tree.push(merkle::leaf(b"another record"), |_| ());
        let forged = key.sign(&Owner { node_id: 2, ..owner.clone() }, &tree, 1);
        let error = archive.take(2, 51, Vec::new(), 51, Some(&forged)).unwrap_err();
        assert!(error.to_string().contains("not those that it signed"), "{error}");
    }
}
