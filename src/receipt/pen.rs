//! This node's key: made at the first start, replaced when an operator says so, used for nothing but receipts.
//!
//! ```text
//! made, or replaced ──> on disk ──> agreed on by the cluster ──> signs
//!                         |                                        |
//!                         └──────────── no receipts ───────────────┘ replaced
//! ```
//!
//! The clock of a key's times is that of the receipts. A key begins after the last receipt of the one before, whatever the
//! clock does meanwhile, so that none falls out of the time of its key.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use prost::Message as _;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::content::Content;
use super::jws;
use super::keys::thumbprint;
use crate::audit::now_ms;
use crate::proto::store::{NewReceiptKey, ReceiptKeyFile};
use crate::storage::codec;
use crate::storage::data_dir::{create_dir, write_atomically};
use crate::storage::error::StorageError;

const FOLDER: &str = "receipts";
const FILE: &str = "key";

/// The keys of a node that signs receipts: the one in use.
pub struct Keyring {
    node_id: u64,
    cluster_id: String,
    path: PathBuf,
    hand: Mutex<Hand>,
}

struct Hand {
    pair: Arc<Pair>,
    /// Whether the cluster knows it.
    agreed: bool,
    /// The latest time given to a receipt.
    last_ms: u64,
}

struct Pair {
    keys: Ed25519KeyPair,
    kid: String,
    since_ms: u64,
}

impl Keyring {
    /// Reads the key of the node, or makes its first one. Blocks.
    ///
    /// # Errors
    /// When the file is damaged, and faults of the disk.
    pub fn open(data: &Path, cluster_id: &str, node_id: u64) -> Result<Self, StorageError> {
        let folder = data.join(FOLDER);
        create_dir(&folder)?;
        let path = folder.join(FILE);
        let pair = if path.exists() { read(&path)? } else { made(&path, now_ms())? };
        let last_ms = pair.since_ms;
        let hand = Mutex::new(Hand { pair: Arc::new(pair), agreed: false, last_ms });
        Ok(Self { node_id, cluster_id: cluster_id.to_owned(), path, hand })
    }

    fn hand(&self) -> MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key that the cluster has to agree on; `None` when it has.
    pub fn proposal(&self) -> Option<NewReceiptKey> {
        let hand = self.hand();
        (!hand.agreed).then(|| NewReceiptKey {
            node_id: self.node_id,
            public_key: hand.pair.public_key(),
            since_ms: hand.pair.since_ms,
        })
    }

    /// The cluster has agreed on this key.
    pub fn agreed(&self, key: &NewReceiptKey) {
        let mut hand = self.hand();
        hand.agreed |= hand.pair.public_key() == key.public_key;
    }

    /// Name and beginning of the key.
    pub fn current(&self) -> (String, u64) {
        let hand = self.hand();
        (hand.pair.kid.clone(), hand.pair.since_ms)
    }

    /// Makes another key, which begins after all that was signed and after `after_ms`. Nothing is signed until it is agreed on.
    /// Not to be called twice at once. Blocks.
    ///
    /// # Errors
    /// Faults of the disk: the key before is proposed again.
    pub fn renew(&self, after_ms: u64) -> Result<(), StorageError> {
        let since_ms = {
            let mut hand = self.hand();
            hand.agreed = false;
            now_ms().max(hand.last_ms.max(after_ms) + 1)
        };
        let pair = Arc::new(made(&self.path, since_ms)?);
        let mut hand = self.hand();
        hand.pair = pair;
        hand.last_ms = since_ms;
        Ok(())
    }

    /// What signs one receipt, of now; `None` while the key is not agreed on.
    pub fn pen(&self) -> Option<Pen> {
        let now = now_ms();
        let mut hand = self.hand();
        if !hand.agreed {
            return None;
        }
        // A clock that was set back does not lead out of the time of the key.
        let time_ms = now.max(hand.pair.since_ms);
        hand.last_ms = hand.last_ms.max(time_ms);
        Some(Pen {
            pair: hand.pair.clone(),
            time_ms,
            node_id: self.node_id,
            cluster_id: self.cluster_id.clone(),
        })
    }
}

impl Pair {
    fn of(what: String, file: &ReceiptKeyFile) -> Result<Self, StorageError> {
        let keys = Ed25519KeyPair::from_pkcs8(&file.pkcs8);
        let keys = keys.map_err(|_| StorageError::corrupt(what, "it is no Ed25519 key"))?;
        let kid = thumbprint(keys.public_key().as_ref());
        Ok(Self { keys, kid, since_ms: file.since_ms })
    }

    fn public_key(&self) -> Bytes {
        Bytes::copy_from_slice(self.keys.public_key().as_ref())
    }
}

fn read(path: &Path) -> Result<Pair, StorageError> {
    let what = path.display().to_string();
    let sealed = std::fs::read(path).map_err(StorageError::io("read", path))?;
    let file = codec::decode(&what, &[&[codec::FORMAT], codec::unseal(&what, &sealed)?].concat())?;
    Pair::of(what, &file)
}

/// Makes a key, in the place of one that is there. Only the owner may read the file.
fn made(path: &Path, since_ms: u64) -> Result<Pair, StorageError> {
    let what = path.display().to_string();
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
    let pkcs8 = pkcs8.map_err(|_| StorageError::corrupt(&what, "the system gives no random numbers"))?;
    let file = ReceiptKeyFile { since_ms, pkcs8: Bytes::copy_from_slice(pkcs8.as_ref()) };
    write_atomically(path, &codec::seal(&file.encode_to_vec()))?;
    Pair::of(what, &file)
}

/// Signs one receipt: with a key, at a time of that key.
pub struct Pen {
    pair: Arc<Pair>,
    pub(super) time_ms: u64,
    pub(super) node_id: u64,
    pub(super) cluster_id: String,
}

impl Pen {
    /// The signed text.
    pub(super) fn sign(&self, content: &Content) -> String {
        let payload = serde_json::to_vec(content).expect("texts and numbers are JSON");
        jws::sign(&self.pair.keys, &self.pair.kid, &payload)
    }
}
