//! Logs that are cut, edited, torn and full.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use super::disk::Disk;
use super::{Log, Owner, segments};
use crate::audit::error::AuditError;
use crate::audit::{merkle, record};
use crate::metrics::Metrics;
use crate::proto::registry::AccessRecord;

fn owner() -> Owner {
    Owner { cluster_id: "a-cluster".to_owned(), node_id: 3 }
}

/// A record with some text in it, in its place.
fn numbered(position: u64) -> Vec<u8> {
    let method = "x".repeat(usize::try_from(position % 50).unwrap());
    let mut bytes = record::encode(&AccessRecord { node_id: 3, method, ..AccessRecord::default() });
    record::place(&mut bytes, position);
    bytes
}

fn open(folder: &Path) -> Result<Disk, AuditError> {
    Disk::open(folder, &owner(), 2_000)
}

/// A log of several files.
fn filled(records: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = open(folder.path()).unwrap();
    for position in 0..records {
        disk.append(&[numbered(position)]).unwrap();
    }
    folder
}

/// The last file of the log, with its content.
fn last_file(folder: &Path) -> (std::path::PathBuf, Vec<u8>) {
    let last = *segments::list(folder).unwrap().last().unwrap();
    let path = folder.join(segments::name(last));
    let content = fs::read(&path).unwrap();
    (path, content)
}

#[test]
fn what_was_appended_is_read_again_with_its_proofs() {
    let seed = 7;
    println!("seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut size = 0;
    for _start in 0..20 {
        let mut disk = open(folder.path()).unwrap();
        assert_eq!(disk.segments().size(), size);
        for _batch in 0..random.random_range(0..6) {
            let count = random.random_range(1..40);
            let records: Vec<_> = (size..size + count).map(numbered).collect();
            disk.append(&records).unwrap();
            size += count;
        }
        let segments = disk.segments();
        let from = random.random_range(0..=size);
        let read = segments.read(from, 1_000).unwrap();
        assert_eq!(read.is_empty(), from == size);
        for (number, (position, bytes)) in read.iter().enumerate() {
            assert_eq!(*position, from + number as u64);
            assert_eq!(*bytes, numbered(*position));
        }
        if size > 0 {
            let position = random.random_range(0..size);
            let subtree = |level, index| segments.tree.subtree(level, index);
            let root = segments.tree.frontier(size).unwrap().root();
            let path = merkle::inclusion(position, size, subtree).unwrap();
            assert!(merkle::includes(&merkle::leaf(&numbered(position)), position, size, &path, &root));
            let earlier = random.random_range(0..=size);
            let before = segments.tree.frontier(earlier).unwrap().root();
            let path = merkle::consistency(earlier, size, subtree).unwrap();
            assert!(merkle::is_consistent(earlier, &before, size, &root, &path));
        }
    }
    assert!(segments::list(folder.path()).unwrap().len() > 3, "one file alone proves little");
    let everything = open(folder.path()).unwrap().segments().read(0, usize::MAX).unwrap();
    assert_eq!(everything.len() as u64, size);
}

#[test]
fn only_its_owner_may_look_into_it() {
    let parent = filled(0);
    let folder = parent.path().join("audit/3");
    drop(open(&folder).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&parent.path().join("audit")), 0o700);
    for file in fs::read_dir(&folder).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn a_tail_that_nobody_was_answered_for_is_cut() {
    for torn in [&[0_u8, 0][..], &[0, 0, 0, 4, 1, 2, 3, 4, 9, 9], &[0xff; 40]] {
        let folder = filled(100);
        let (path, content) = last_file(folder.path());
        fs::write(&path, [&content[..], torn].concat()).unwrap();
        let mut disk = open(folder.path()).unwrap();
        assert_eq!(disk.segments().size(), 100);
        assert_eq!(fs::read(&path).unwrap(), content);
        disk.append(&[numbered(100)]).unwrap();
        assert_eq!(open(folder.path()).unwrap().segments().read(99, usize::MAX).unwrap().len(), 2);
    }
}

#[test]
fn a_record_that_was_written_and_not_marked_counts() {
    let folder = filled(100);
    let mark = fs::read(folder.path().join("mark")).unwrap();
    open(folder.path()).unwrap().append(&[numbered(100)]).unwrap();
    fs::write(folder.path().join("mark"), mark).unwrap();
    assert_eq!(open(folder.path()).unwrap().segments().size(), 101);
}

#[test]
fn a_tail_that_was_acknowledged_and_is_missing_is_named() {
    let folder = filled(100);
    let (path, content) = last_file(folder.path());
    let whole = super::frame::HEAD + numbered(99).len();
    fs::write(&path, &content[..content.len() - whole]).unwrap();
    let error = open(folder.path()).err().unwrap();
    assert!(matches!(error, AuditError::Behind { found: 99, acknowledged: 100, .. }), "{error}");
    fs::write(&path, &content[..content.len() - 1]).unwrap();
    let error = open(folder.path()).err().unwrap();
    assert!(matches!(error, AuditError::Damaged { position: 99, .. }), "{error}");
    for file in segments::list(folder.path()).unwrap() {
        fs::remove_file(folder.path().join(segments::name(file))).unwrap();
    }
    let error = open(folder.path()).err().unwrap();
    assert!(matches!(error, AuditError::Behind { found: 0, acknowledged: 100, .. }), "{error}");
}

#[test]
fn every_byte_of_the_last_file_counts() {
    let folder = filled(100);
    let (path, content) = last_file(folder.path());
    for at in 0..content.len() {
        let mut edited = content.clone();
        edited[at] ^= 1;
        fs::write(&path, &edited).unwrap();
        let error = open(folder.path()).err().unwrap_or_else(|| panic!("byte {at} edited and not noticed"));
        assert!(matches!(error, AuditError::Damaged { .. }), "byte {at}: {error}");
    }
    fs::write(&path, &content).unwrap();
    let text = fs::read(folder.path().join("tree")).unwrap();
    fs::write(folder.path().join("tree"), &text[..64]).unwrap();
    assert!(open(folder.path()).is_err(), "hashes of earlier files are missing");
}

#[test]
fn the_log_of_another_node_is_refused() {
    let folder = filled(1);
    let other = Owner { node_id: 4, ..owner() };
    let error = Disk::open(folder.path(), &other, 2_000).err().unwrap();
    assert!(matches!(error, AuditError::Foreign { node_id: 3, .. }), "{error}");
}

#[test]
fn old_files_go_and_the_rest_stays() {
    let folder = filled(200);
    let mut disk = open(folder.path()).unwrap();
    let files = segments::list(folder.path()).unwrap();
    assert_eq!(disk.forget(files[1] - 1).unwrap(), 0);
    assert_eq!(disk.forget(files[2] + 1).unwrap(), 2);
    assert_eq!(segments::list(folder.path()).unwrap(), files[2..]);
    assert_eq!(disk.segments().first(), files[2]);
    assert_eq!(disk.segments().read(0, usize::MAX).unwrap()[0].0, files[2]);
    disk.forget(u64::MAX).unwrap();
    disk.append(&[numbered(200)]).unwrap();
    drop(disk);
    let disk = open(folder.path()).unwrap();
    assert_eq!(disk.segments().size(), 201);
    // Proofs reach back to records that are gone.
    let subtree = |level, index| disk.segments().tree.subtree(level, index);
    let path = merkle::inclusion(3, 201, subtree).unwrap();
    let root = disk.segments().tree.frontier(201).unwrap().root();
    assert!(merkle::includes(&merkle::leaf(&numbered(3)), 3, 201, &path, &root));
}

fn access() -> Vec<u8> {
    record::encode(&AccessRecord { node_id: 3, ..AccessRecord::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn many_share_a_sync_and_each_has_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    let log = Arc::new(Log::open(folder.path(), &owner(), 1 << 20, metrics.clone()).unwrap());
    let append = |_| {
        let log = log.clone();
        tokio::spawn(async move { log.append(access()).await.unwrap() })
    };
    let callers: Vec<_> = (0..500).map(append).collect();
    let mut places = Vec::new();
    for caller in callers {
        places.push(caller.await.unwrap());
    }
    places.sort_unstable();
    assert_eq!(places, (0..500).collect::<Vec<_>>());
    let records = log.segments().read(0, usize::MAX).unwrap();
    for (position, bytes) in &records {
        assert_eq!(record::decode(bytes, 3, *position).unwrap().position, *position);
    }
    assert_eq!(records.len(), 500);
    log.close();
    assert!(matches!(log.append(access()).await, Err(AuditError::Closed(_))));
    assert!(metrics.encode().contains("dancu_audit_position 500"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_stays_closed() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    // Every batch begins a file.
    let log = Log::open(folder.path(), &owner(), 0, metrics.clone()).unwrap();
    log.append(access()).await.unwrap();
    let aside = folder.path().with_extension("aside");
    fs::rename(folder.path(), &aside).unwrap();
    assert!(matches!(log.append(access()).await, Err(AuditError::Closed(_))));
    fs::rename(&aside, folder.path()).unwrap();
    assert!(matches!(log.append(access()).await, Err(AuditError::Closed(_))), "it was tried again");
    assert!(log.closed().unwrap().contains(".log"));
    assert!(metrics.encode().contains("dancu_audit_closed 1"));
    log.close();
    assert_eq!(Disk::open(folder.path(), &owner(), 0).unwrap().segments().size(), 1);
}
