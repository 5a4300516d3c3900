//! A folder as it is at one moment: what a process leaves behind that is killed then.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Copies a folder in which RocksDB's threads may be at work. Tables never change once they are complete, so that a link will
/// do; all other files are copied. Taken again when a file came, went or grew meanwhile.
pub fn take(folder: &Path, image: &Path) {
    loop {
        let before = sizes(folder);
        let _there_may_be_none = fs::remove_dir_all(image);
        let copied = before.keys().all(|path| copy(path, folder, image).is_some());
        if copied && sizes(folder) == before {
            return;
        }
    }
}

fn copy(path: &Path, folder: &Path, image: &Path) -> Option<()> {
    let target = image.join(path.strip_prefix(folder).ok()?);
    if path.is_dir() {
        return fs::create_dir_all(target).ok();
    }
    fs::create_dir_all(target.parent()?).ok()?;
    if path.extension().is_some_and(|extension| extension == "sst") {
        return fs::hard_link(path, target).ok();
    }
    fs::copy(path, target).ok().map(drop)
}

/// All files and folders in a folder, with their sizes.
fn sizes(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                open.push(entry.path());
                found.insert(entry.path(), 0);
            } else {
                found.insert(entry.path(), about.len());
            }
        }
    }
    found
}
