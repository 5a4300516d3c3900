//! Damages to the log of a node that does not run, given by its data folder.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The newest write-ahead log of the Raft log, and how much of it is written: the file is made longer than that.
fn wal(data: &Path) -> (PathBuf, u64) {
    let files = fs::read_dir(data.join("raft")).unwrap().map(|file| file.unwrap().path());
    let logs = files.filter(|path| path.extension().is_some_and(|found| found == "log"));
    let path = logs.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let content = fs::read(&path).unwrap();
    let written = content.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    (path, written as u64)
}

/// A write that was torn off: the head of a record that promises more bytes than follow.
pub fn tear(data: &Path) {
    let (path, written) = wal(data);
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[0x5a, 0x5a, 0x5a, 0x5a, 0xff, 0x10, 1, 7, 7, 7], written).unwrap();
    file.set_len(written + 10).unwrap();
}

/// Cuts off the second half. The last record alone would not do: a node that was killed in the middle of a write has
/// promised nothing about it, and rightly starts without it.
pub fn cut(data: &Path) {
    let (path, written) = wal(data);
    OpenOptions::new().write(true).open(path).unwrap().set_len(written / 2).unwrap();
}

/// Flips a bit in the middle.
pub fn flip(data: &Path) {
    let (path, written) = wal(data);
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, written / 2).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], written / 2).unwrap();
}

/// Removes the file.
pub fn delete(data: &Path) {
    fs::remove_file(wal(data).0).unwrap();
}

/// Removes the mark that says how far the log must reach.
pub fn unmark(data: &Path) {
    fs::remove_file(data.join("raft.mark")).unwrap();
}
