//! The node's data folder as a whole: made, locked for one process, and tied to one node for good. Also the two
//! helpers by which every small file of the folder is written: all or nothing, and durable.
//!
//! ```text
//! LOCK       flock, held as long as the process lives: the system frees it however the process ends
//! IDENTITY   format = 2
//!            cluster_id = "5f0c..."
//!            node_id = 3
//!            name = "hanoi-1"
//!            crc32 = "1a2b3c4d"      over all bytes before this line
//! ```
//!
//! A node without IDENTITY is *waiting*: it belongs to no cluster and may not vote. Forming a cluster, or being added
//! to one, gives it an identity once. A node whose folder was emptied is therefore waiting again and can never vote
//! under the id it had: what it promised then is gone with the folder.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{Access, FlockOperation};
use serde::{Deserialize, Serialize};

use super::error::StorageError;
use super::log;
use crate::failpoint::{Failpoint, reached};

const IDENTITY: &str = "IDENTITY";
/// The format of the whole folder. 1 was that of records before the law's 26 fields, their indexes and the retention of
/// history; it was never released.
const FORMAT: u32 = 2;
const CRC_LINE: &str = "crc32 = \"";

/// Who a node is. Given by the cluster, once, and never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The cluster: every message between nodes carries it.
    pub cluster_id: String,
    /// The node's id in the cluster, never used for another node.
    pub node_id: u64,
    /// The node's name, as in its configuration.
    pub name: String,
}

/// A data folder that this process holds: no other can open it until this value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    node_name: String,
    identity: Mutex<Option<Identity>>,
    _lock: File,
}

impl DataDir {
    /// Opens the folder for the node called `node_name`, and makes it if there is none. Only its owner may look into
    /// it.
    ///
    /// # Errors
    /// `Locked` if another process has it open; `Identity` if it belongs to a node of another name; `Corrupt` or
    /// `Format` if IDENTITY is damaged or of a newer version; `Io` if the folder cannot be made or written to.
    pub fn open(path: &Path, node_name: &str) -> Result<Self, StorageError> {
        create_dir(path)?;
        restrict_to_owner(path)?;
        rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|e| StorageError::io("write to the data folder", path)(e.into()))?;
        let lock = lock(path)?;
        let identity = read_identity(&path.join(IDENTITY))?;
        if let Some(found) = identity.as_ref().filter(|found| found.name != node_name) {
            return Err(StorageError::Identity {
                path: path.to_owned(),
                detail: format!(
                    "it belongs to node {} called {:?}, and the configuration names this node {node_name:?}. Nothing \
                     was changed. Correct the name, or give this node an empty data folder",
                    found.node_id, found.name
                ),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            node_name: node_name.to_owned(),
            identity: Mutex::new(identity),
            _lock: lock,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who the node is; `None` while it waits to be taken into a cluster.
    pub fn identity(&self) -> Option<Identity> {
        self.identity.lock().expect("no code panics while it holds this lock").clone()
    }

    /// Gives the node its identity, durable on return. Giving the same one again changes nothing. The log's mark is
    /// made first, so that a folder with an identity but no mark has certainly lost something.
    ///
    /// # Errors
    /// `Identity` if the node already has another, or if the name is not the configured one; `Io` or `Full` if it
    /// cannot be written.
    pub fn adopt(&self, identity: Identity) -> Result<(), StorageError> {
        let mut current = self.identity.lock().expect("no code panics while it holds this lock");
        let refused = match current.as_ref() {
            Some(held) if *held == identity => return Ok(()),
            Some(held) => Some(format!(
                "it is node {} of cluster {} and cannot become node {} of cluster {}. To move it, remove it from its \
                 cluster and empty the folder",
                held.node_id, held.cluster_id, identity.node_id, identity.cluster_id
            )),
            None if identity.name != self.node_name => Some(format!(
                "the cluster calls this node {:?}, and its configuration {:?}. Nothing was changed. Use one name",
                identity.name, self.node_name
            )),
            None => None,
        };
        if let Some(detail) = refused {
            return Err(StorageError::Identity { path: self.path.clone(), detail });
        }
        log::prepare(&self.path)?;
        write_atomically(&self.path.join(IDENTITY), render(&identity).as_bytes())?;
        *current = Some(identity);
        Ok(())
    }
}

/// Whether the folder was ever given an identity.
pub(super) fn has_identity(data: &Path) -> bool {
    data.join(IDENTITY).exists()
}

/// Makes the folder, and those above it that are missing, for its owner alone; durable on return.
///
/// # Errors
/// `Io` or `Full`.
pub fn create_dir(path: &Path) -> Result<(), StorageError> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(StorageError::io("make the folder", path))?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fsync_dir(parent),
        _ => Ok(()),
    }
}

/// Makes what was created, renamed or removed in the folder durable.
///
/// # Errors
/// `Io`; never retried.
pub fn fsync_dir(path: &Path) -> Result<(), StorageError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(StorageError::io("sync the folder", path))
}

/// Writes the file so that after a crash at any moment it holds either what it held before or all of `bytes`; durable
/// on return. Only its owner may read it. Uses `<path>.tmp` beside it.
///
/// # Errors
/// `Io` or `Full`: the file then still holds what it held before.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let mut tmp = path.as_os_str().to_owned();
    tmp.push(".tmp");
    let tmp = PathBuf::from(tmp);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(&tmp)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(StorageError::io("write", &tmp))?;
    reached(Failpoint::FileWritten);
    fs::rename(&tmp, path).map_err(StorageError::io("replace", path))?;
    reached(Failpoint::FileNamed);
    fsync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Takes away what the group and others may do.
fn restrict_to_owner(path: &Path) -> Result<(), StorageError> {
    let mode = fs::metadata(path).map_err(StorageError::io("look at", path))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))
        .map_err(StorageError::io("restrict to its owner the folder", path))
}

fn lock(data: &Path) -> Result<File, StorageError> {
    let path = data.join("LOCK");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).map_err(StorageError::io("open", &path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StorageError::Locked { path: data.to_owned() }),
        Err(e) => Err(StorageError::io("lock", &path)(e.into())),
    }
}

/// The text of IDENTITY.
pub(super) fn render(identity: &Identity) -> String {
    let body = toml::to_string(identity).expect("three plain fields can be written as TOML");
    let text = format!("format = {FORMAT}\n{body}");
    format!("{text}{CRC_LINE}{:08x}\"\n", crc32fast::hash(text.as_bytes()))
}

fn read_identity(path: &Path) -> Result<Option<Identity>, StorageError> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&path.display().to_string(), &text).map(Some),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StorageError::io("read", path)(e)),
    }
}

/// Reads the text of IDENTITY. The format is looked at before the checksum: a newer version may check its file in another way.
pub(super) fn parse(what: &str, text: &str) -> Result<Identity, StorageError> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let damaged = |detail: &str| StorageError::corrupt(what, detail);
    let head: Head = toml::from_str(text).map_err(|_| damaged("it is not readable"))?;
    if head.format > FORMAT {
        return Err(StorageError::Format { what: what.to_owned(), found: head.format, supported: FORMAT });
    }
    if head.format < FORMAT {
        return Err(StorageError::OldFormat { what: what.to_owned(), found: head.format, supported: FORMAT });
    }
    let split = text.rfind(CRC_LINE).ok_or_else(|| damaged("its checksum is missing"))?;
    let (body, crc) = text.split_at(split);
    if crc != format!("{CRC_LINE}{:08x}\"\n", crc32fast::hash(body.as_bytes())) {
        return Err(damaged("its checksum differs"));
    }
    toml::from_str(body).map_err(|_| damaged("a field is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(node_id: u64, name: &str) -> Identity {
        Identity { cluster_id: "5f0c2f9e".to_owned(), node_id, name: name.to_owned() }
    }

    #[test]
    fn a_new_folder_waits_and_keeps_the_identity_it_is_given() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("deep/data");
        let dir = DataDir::open(&path, "hanoi-1").unwrap();
        assert_eq!(dir.identity(), None);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);

        dir.adopt(identity(3, "hanoi-1")).unwrap();
        dir.adopt(identity(3, "hanoi-1")).unwrap();
        let error = dir.adopt(identity(4, "hanoi-1")).unwrap_err();
        assert!(matches!(error, StorageError::Identity { .. }), "{error}");
        drop(dir);

        let mode = fs::metadata(path.join("IDENTITY")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(DataDir::open(&path, "hanoi-1").unwrap().identity(), Some(identity(3, "hanoi-1")));
    }

    #[test]
    fn another_name_is_refused() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(tmp.path(), "hue-1").unwrap();
        assert!(matches!(dir.adopt(identity(3, "hanoi-1")), Err(StorageError::Identity { .. })));
        dir.adopt(identity(3, "hue-1")).unwrap();
        drop(dir);
        let error = DataDir::open(tmp.path(), "hanoi-1").unwrap_err();
        assert!(matches!(error, StorageError::Identity { .. }), "{error}");
        assert!(error.to_string().contains("hue-1") && error.to_string().contains("hanoi-1"), "{error}");
    }

    #[test]
    fn a_folder_is_open_once() {
        let tmp = tempfile::tempdir().unwrap();
        let first = DataDir::open(tmp.path(), "a").unwrap();
        assert!(matches!(DataDir::open(tmp.path(), "a"), Err(StorageError::Locked { .. })));
        drop(first);
        DataDir::open(tmp.path(), "a").unwrap();
    }

    #[test]
    fn a_damaged_identity_or_one_of_another_format_is_refused() {
        let tmp = tempfile::tempdir().unwrap();
        DataDir::open(tmp.path(), "a").unwrap().adopt(identity(12, "a")).unwrap();
        let path = tmp.path().join("IDENTITY");
        let good = fs::read_to_string(&path).unwrap();

        fs::write(&path, good.replace("node_id = 12", "node_id = 13")).unwrap();
        assert!(matches!(DataDir::open(tmp.path(), "a"), Err(StorageError::Corrupt { .. })));
        fs::write(&path, &good[..good.len() / 2]).unwrap();
        assert!(matches!(DataDir::open(tmp.path(), "a"), Err(StorageError::Corrupt { .. })));
        fs::write(&path, good.replace("format = 2", "format = 3")).unwrap();
        let error = DataDir::open(tmp.path(), "a").unwrap_err();
        assert!(matches!(error, StorageError::Format { found: 3, supported: 2, .. }), "{error}");
        fs::write(&path, good.replace("format = 2", "format = 1")).unwrap();
        let error = DataDir::open(tmp.path(), "a").unwrap_err();
        assert!(matches!(error, StorageError::OldFormat { found: 1, supported: 2, .. }), "{error}");
        assert!(error.to_string().contains("an empty folder"), "{error}");
        fs::write(&path, good).unwrap();
        DataDir::open(tmp.path(), "a").unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let tmp = tempfile::tempdir().unwrap();
        let file = tmp.path().join("file");
        fs::write(&file, b"").unwrap();
        let error = DataDir::open(&file.join("data"), "a").unwrap_err();
        assert!(error.to_string().contains("file/data"), "{error}");
    }

    #[test]
    fn files_are_replaced_whole() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("CURRENT");
        write_atomically(&path, b"g000001").unwrap();
        write_atomically(&path, b"g000002").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"g000002");
        assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 1);
    }
}
