//! Logs that somebody has had their hands on: the first bad record is named.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::checkpoint::{Kept, Key};
use super::log::disk::Disk;
use super::log::{Owner, frame, segments};
use super::verify::{self, Report};
use super::{Audit, merkle, record};
use crate::config::AuditConfig;
use crate::metrics::Metrics;
use crate::proto::registry::AccessRecord;

const RECORDS: u64 = 90;

fn owner() -> Owner {
    Owner { cluster_id: "a-cluster".to_owned(), node_id: 3 }
}

fn numbered(position: u64) -> Vec<u8> {
    let mut bytes = record::encode(&AccessRecord {
        node_id: 3,
        revision: position * 7,
        method: "Verification/Verify".to_owned(),
        ..AccessRecord::default()
    });
    record::place(&mut bytes, position);
    bytes
}

/// A log of several files with a checkpoint after each 20 records.
fn log() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(folder.path(), &owner(), 1_000).unwrap();
    let key = Key::open(folder.path(), true).unwrap();
    for position in 0..RECORDS {
        disk.append(&[numbered(position)]).unwrap();
        if position % 20 == 19 {
            let tree = disk.segments().tree.frontier(position + 1).unwrap();
            Kept::beside(folder.path()).add(&key.sign(&owner(), &tree, 1)).unwrap();
        }
    }
    folder
}

fn check(folder: &Path) -> Result<Report, (u64, String)> {
    verify::folder(folder, None).unwrap().map_err(|bad| (bad.position, bad.detail))
}

/// The file that holds a record, and all frames of it, the head first.
fn frames_of(folder: &Path, position: u64) -> (PathBuf, u64, Vec<Vec<u8>>) {
    let firsts = segments::list(folder).unwrap();
    let first = *firsts.iter().rfind(|first| **first <= position).unwrap();
    let path = folder.join(segments::name(first));
    let file = fs::File::open(&path).unwrap();
    let mut frames = frame::Frames::from(&file, 0);
    let mut all = Vec::new();
    while let frame::Found::Frame(bytes) = frames.advance().unwrap() {
        all.push(bytes);
    }
    (path, first, all)
}

/// Writes the file of a record anew, with sound frames, after `edit` of its records.
fn rewrite(folder: &Path, position: u64, edit: impl FnOnce(&mut Vec<Vec<u8>>, usize)) {
    let (path, first, mut frames) = frames_of(folder, position);
    edit(&mut frames, usize::try_from(position - first).unwrap() + 1);
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame::put(&mut bytes, frame));
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_sound_log_is_found_sound() {
    let folder = log();
    let report = check(folder.path()).unwrap();
    assert_eq!((report.owner, report.first, report.size), (owner(), 0, RECORDS));
    assert_eq!((report.checkpoints, report.covered), (4, 80));
    assert_eq!(report.public_key.len(), 32);
    assert!(segments::list(folder.path()).unwrap().len() > 2, "one file alone proves little");
    verify::folder(folder.path(), Some(report.public_key)).unwrap().unwrap();
    let other = verify::folder(folder.path(), Some(vec![7; 32])).unwrap().unwrap_err();
    assert!(other.position == 0 && other.detail.contains("another key"), "{other}");
    // Old files that were let go are no damage.
    Disk::open(folder.path(), &owner(), 1_000).unwrap().forget(50).unwrap();
    let report = check(folder.path()).unwrap();
    assert!(report.first > 0 && report.size == RECORDS);
}

#[test]
fn any_byte_of_a_record_edited_is_named() {
    let folder = log();
    for position in 0..RECORDS {
        let (path, _, _) = frames_of(folder.path(), position);
        let content = fs::read(&path).unwrap();
        let record = numbered(position);
        let at = content.windows(record.len()).position(|window| window == record).unwrap();
        for byte in [at - frame::HEAD, at - 1, at, at + record.len() / 2, at + record.len() - 1] {
            let mut edited = content.clone();
            edited[byte] ^= 1;
            fs::write(&path, &edited).unwrap();
            assert_eq!(check(folder.path()).unwrap_err().0, position, "byte {byte} of {}", path.display());
        }
        fs::write(&path, &content).unwrap();
    }
    check(folder.path()).unwrap();
}

#[test]
fn a_record_edited_with_its_checksum_is_named_by_its_hash() {
    let folder = log();
    rewrite(folder.path(), 33, |frames, at| frames[at][3] ^= 1);
    assert_eq!(check(folder.path()).unwrap_err().0, 33);
}

#[test]
fn a_record_dropped_or_two_swapped_are_named() {
    for position in [0, 5, 33, RECORDS - 2] {
        let folder = log();
        rewrite(folder.path(), position, |frames, at| drop(frames.remove(at)));
        assert_eq!(check(folder.path()).unwrap_err().0, position, "dropped");
    }
    let folder = log();
    rewrite(folder.path(), 2, |frames, at| frames.swap(at, at + 2));
    assert_eq!(check(folder.path()).unwrap_err().0, 2, "swapped");
}

#[test]
fn a_tail_cut_is_named_wherever_it_is_cut() {
    let folder = log();
    let (path, first, frames) = frames_of(folder.path(), RECORDS - 1);
    let content = fs::read(&path).unwrap();
    let mut end = content.len();
    for (number, bytes) in frames.iter().enumerate().skip(1).rev() {
        end -= bytes.len() + frame::HEAD;
        for cut in [end, end + 1, end + frame::HEAD, end + bytes.len()] {
            fs::write(&path, &content[..cut]).unwrap();
            let missing = first + number as u64 - 1;
            assert_eq!(check(folder.path()).unwrap_err().0, missing, "cut to {cut} bytes");
        }
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(check(folder.path()).unwrap_err().0, first, "a whole file");
}

#[test]
fn what_a_crash_left_behind_the_mark_is_no_damage() {
    let folder = log();
    let mark = fs::read(folder.path().join("mark")).unwrap();
    let tree = fs::read(folder.path().join("tree")).unwrap();
    Disk::open(folder.path(), &owner(), 100_000).unwrap().append(&[numbered(RECORDS)]).unwrap();
    fs::write(folder.path().join("mark"), mark).unwrap();
    fs::write(folder.path().join("tree"), tree).unwrap();
    assert_eq!(check(folder.path()).unwrap().size, RECORDS + 1, "written, and nobody was told");
    let (path, _, _) = frames_of(folder.path(), RECORDS);
    let content = fs::read(&path).unwrap();
    fs::write(&path, &content[..content.len() - 1]).unwrap();
    assert_eq!(check(folder.path()).unwrap().size, RECORDS, "torn");
}

#[test]
fn whoever_makes_all_hashes_anew_is_found_out_by_the_signature() {
    let folder = log();
    let all = Disk::open(folder.path(), &owner(), 1_000).unwrap().segments().read(0, usize::MAX).unwrap();
    // The log as somebody would write it who wants record 45 to say something else.
    let forged = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(forged.path(), &owner(), 1_000).unwrap();
    for (position, bytes) in all {
        let mut record = record::decode(&bytes, 3, position).unwrap();
        record.revision += u64::from(position == 45);
        record.position = 0;
        let mut bytes = record::encode(&record);
        record::place(&mut bytes, position);
        disk.append(&[bytes]).unwrap();
    }
    for file in ["key", "checkpoints"] {
        fs::copy(folder.path().join(file), forged.path().join(file)).unwrap();
    }
    let (position, detail) = check(forged.path()).unwrap_err();
    assert_eq!(position, 40, "the first record that no good checkpoint covers");
    assert!(detail.contains("records 40 to 59"), "{detail}");
    // And one who cuts the tail and all that speaks of it, but for the checkpoints.
    let short = tempfile::tempdir().unwrap();
    let mut disk = Disk::open(short.path(), &owner(), 1_000).unwrap();
    for position in 0..70 {
        disk.append(&[numbered(position)]).unwrap();
    }
    fs::copy(folder.path().join("checkpoints"), short.path().join("checkpoints")).unwrap();
    assert_eq!(check(short.path()).unwrap_err().0, 70);
    assert_eq!(merkle::leaf(&numbered(7)), disk.segments().tree.subtree(0, 7).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_lets_go_what_is_old_and_with_all_central_nodes() {
    let data = tempfile::tempdir().unwrap();
    // Every batch begins a file.
    let config = AuditConfig { segment_mb: 0, ..AuditConfig::default() };
    let audit = Audit::open(data.path(), owner(), &config, &Arc::new(Metrics::new()));
    for _ in 0..10 {
        audit.record(AccessRecord::default()).await.unwrap();
    }
    let first = || audit.log().unwrap().segments().first();
    audit.retain(Duration::from_secs(3600), &[1, 3]).unwrap();
    audit.retain(Duration::ZERO, &[1, 3]).unwrap();
    audit.record(AccessRecord::default()).await.unwrap();
    assert_eq!(first(), 0, "it is young, or central node 1 does not have it");
    audit.has_fetched(1, 6);
    audit.retain(Duration::ZERO, &[1, 3]).unwrap();
    // The thread of the log does it before it writes again.
    for _ in 0..2 {
        audit.record(AccessRecord::default()).await.unwrap();
    }
    assert_eq!(first(), 6);
    let records = audit.log().unwrap().segments().read(0, usize::MAX).unwrap();
    assert!(records[0].0 == 6 && records.len() >= 5);
    audit.close();
}
