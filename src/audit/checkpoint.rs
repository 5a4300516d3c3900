//! Checkpoints: a node's word, signed, for what its log holds.
//!
//! ```text
//! dancu.audit.checkpoint/1
//! CLUSTER-ID
//! NODE-ID
//! SIZE
//! ROOT (hex)
//! TIME (ms)
//! ```
//!
//! is what the node's Ed25519 key signs, each line with its line feed. The key is made at the first start and never leaves
//! the node's folder (`key`); the cluster keeps its public half with the node's last checkpoint and takes no other. A copy of
//! each checkpoint stays beside the log (`checkpoints`), so that the folder can be checked without the cluster.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use prost::Message;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::error::AuditError;
use super::log::Owner;
use super::log::frame::{self, Found, Frames};
use super::merkle::{Frontier, Hash};
use crate::proto::registry::Checkpoint;
use crate::storage::codec;
use crate::storage::data_dir::write_atomically;
use crate::storage::error::StorageError;

const KEY: &str = "key";
const FILE: &str = "checkpoints";

/// A node's key.
pub struct Key(Ed25519KeyPair);

impl Key {
    /// Reads the key in a folder, or makes it while `may_make`: a log that has records has signed, or will be asked why not.
    ///
    /// # Errors
    /// When it is missing or damaged, and faults of the disk.
    pub fn open(folder: &Path, may_make: bool) -> Result<Self, AuditError> {
        let path = folder.join(KEY);
        let what = path.display().to_string();
        if !path.exists() {
            if !may_make {
                Err(StorageError::corrupt(&what, "it is missing, and the log beside it has records"))?;
            }
            let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
            let made =
                made.map_err(|_| AuditError::Closed("the system gives no random numbers".to_owned()))?;
            write_atomically(&path, &codec::seal(made.as_ref()))?;
        }
        let sealed = std::fs::read(&path).map_err(StorageError::io("read", &path))?;
        let pair = Ed25519KeyPair::from_pkcs8(codec::unseal(&what, &sealed)?);
        Ok(Self(pair.map_err(|_| StorageError::corrupt(what, "it is no Ed25519 key"))?))
    }

    /// Signs what the log of `owner` holds.
    pub fn sign(&self, owner: &Owner, tree: &Frontier, time_ms: u64) -> Checkpoint {
        let mut checkpoint = Checkpoint {
            cluster_id: owner.cluster_id.clone(),
            node_id: owner.node_id,
            size: tree.size(),
            root: tree.root().to_vec().into(),
            time_ms,
            public_key: self.0.public_key().as_ref().to_vec().into(),
            signature: bytes::Bytes::new(),
        };
        let signature = self.0.sign(text(&checkpoint).as_bytes());
        checkpoint.signature = signature.as_ref().to_vec().into();
        checkpoint
    }
}

/// What is signed.
fn text(checkpoint: &Checkpoint) -> String {
    let Checkpoint { cluster_id, node_id, size, root, time_ms, .. } = checkpoint;
    format!("dancu.audit.checkpoint/1\n{cluster_id}\n{node_id}\n{size}\n{}\n{time_ms}\n", hex(root))
}

/// Whether the key that a checkpoint names signed it.
pub fn is_signed(checkpoint: &Checkpoint) -> bool {
    let key = UnparsedPublicKey::new(&ED25519, &checkpoint.public_key);
    key.verify(text(checkpoint).as_bytes(), &checkpoint.signature).is_ok()
}

/// The root that a checkpoint names.
pub fn root(checkpoint: &Checkpoint) -> Option<Hash> {
    Hash::try_from(&checkpoint.root[..]).ok()
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes any text");
        text
    })
}

/// The checkpoints kept beside a log.
pub struct Kept(PathBuf);

impl Kept {
    /// Of the log in a folder.
    pub fn beside(folder: &Path) -> Self {
        Self(folder.join(FILE))
    }

    /// Adds one at the end. Not synced: the cluster has it too.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn add(&self, checkpoint: &Checkpoint) -> Result<(), StorageError> {
        let mut bytes = Vec::new();
        frame::put(&mut bytes, &codec::encode(checkpoint));
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.0);
        opened.and_then(|mut file| file.write_all(&bytes)).map_err(StorageError::io("write", &self.0))
    }

    /// All of them, in order; those after a torn one are lost.
    ///
    /// # Errors
    /// Faults of the disk.
    pub fn all(&self) -> Result<Vec<Checkpoint>, StorageError> {
        let failed = || StorageError::io("read", &self.0);
        let file = match File::open(&self.0) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed()(error)),
        };
        let mut frames = Frames::from(&file, 0);
        let mut all = Vec::new();
        while let Found::Frame(bytes) = frames.advance().map_err(failed())? {
            let Some((&codec::FORMAT, body)) = bytes.split_first() else { break };
            let Ok(checkpoint) = Checkpoint::decode(body) else { break };
            all.push(checkpoint);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::merkle;

    #[test]
    fn a_signature_covers_every_field_and_the_key_stays() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Key::open(folder.path(), false).is_err(), "records without a key");
        let owner = Owner { cluster_id: "a-cluster".to_owned(), node_id: 3 };
        let mut tree = Frontier::default();
        tree.push(merkle::leaf(b"a record"), |_| ());
        let signed = Key::open(folder.path(), true).unwrap().sign(&owner, &tree, 17);
        let again = Key::open(folder.path(), false).unwrap().sign(&owner, &tree, 17);
        assert_eq!(signed, again);
        assert!(is_signed(&signed));
        assert_eq!(root(&signed), Some(tree.root()));
        for edited in [
            Checkpoint { cluster_id: "another".to_owned(), ..signed.clone() },
            Checkpoint { node_id: 4, ..signed.clone() },
            Checkpoint { size: 2, ..signed.clone() },
            Checkpoint { root: vec![0; 32].into(), ..signed.clone() },
            Checkpoint { time_ms: 18, ..signed.clone() },
            Checkpoint { public_key: vec![7; 32].into(), ..signed.clone() },
            Checkpoint { signature: vec![0; 64].into(), ..signed.clone() },
        ] {
            assert!(!is_signed(&edited), "{edited:?}");
        }
        let kept = Kept::beside(folder.path());
        assert_eq!(kept.all().unwrap(), []);
        kept.add(&signed).unwrap();
        kept.add(&again).unwrap();
        assert_eq!(kept.all().unwrap(), [signed, again]);
    }
}
