//! Encryption at rest: values are sealed before they go to the disk and opened as they are read.
//!
//! ```text
//! master key      a file or a variable of the environment        never in the data folder
//!   | wraps
//! data keys       DATA/keyring, random, one of them active        those of other nodes beside this node's own
//!   | seal
//! values          tables person, history, request, policy; the log's entries
//!
//! sealed value    [2 u8][key id u64 BE][nonce 12][ciphertext][tag 16]       the clear one begins with 1: see `codec`
//! nonce           [start u32 BE][counter u64 BE]
//! bound to        table u8 | key of the row, or 0 | index of the entry: a value moved elsewhere is refused
//! ```
//!
//! AES-256-GCM throughout. What is replicated and compared (chain hash, digest, entries on their way) is in the clear,
//! so that nodes with different keys, or with none, agree. A folder may hold both kinds of values: those written before
//! encryption was turned on stay as they are until they are written again.
//!
//! # Why no nonce comes twice under a key
//! A data key seals on one node only: other nodes get it with a snapshot, to open. Each start of that node has a number
//! that the keyring holds durably before the first value is sealed, and counts its values. So a key is good for 2^32
//! starts of 2^64 values. The counter begins at a random value: should the keyring itself be set back, by a copy of the
//! folder put in its place, a start of the same number still meets none of the earlier nonces, but for a chance of about
//! one in 2^63 for each value written.
//!
//! # Deliberately absent
//! Keys of RocksDB are not sealed, for it searches by them: personal numbers, old numbers and folded names are in the
//! keys of the alias table. The values of the tables alias, expiry, superseded, node and meta tell no more than their
//! keys. A data key is never dropped, since nobody knows whether a value under it is left in a file. Whoever can write
//! to the disk may put an old value back in its own place, or a clear one: this keeps secrets, it is no guard against
//! an intruder on the running machine, who also finds the keys in memory.

mod file;
mod master;
#[cfg(test)]
pub(super) mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

pub use self::master::{MasterKey, Masters};
use super::codec::SEALED;
use super::error::StorageError;
use crate::proto::store::{DataKey, KeyringFile};

/// Bytes of every key.
pub(super) const KEY_LEN: usize = 32;
/// Format byte, key id and nonce.
const HEAD_LEN: usize = 1 + 8 + NONCE_LEN;
/// Bytes behind the ciphertext.
const TAG_LEN: usize = 16;
/// Number that stands for the log where a value is bound to a table.
const LOG: u8 = 0;

/// The data keys that a node has. Without an active one it writes in the clear.
#[derive(Default)]
pub struct Keyring {
    /// Where they are kept; nowhere in tests of what needs none.
    path: Option<PathBuf>,
    /// The one that seals.
    active: Option<Active>,
    /// All, the active one too.
    keys: RwLock<BTreeMap<u64, Arc<Key>>>,
    kept: Mutex<Kept>,
}

/// A data key.
struct Key {
    /// To be wrapped, and to be sent along with a snapshot.
    bytes: [u8; KEY_LEN],
    aead: LessSafeKey,
}

/// The key that seals, and how far its nonces are.
struct Active {
    id: u64,
    key: Arc<Key>,
    start: u32,
    counter: AtomicU64,
}

/// What is in the file, and what wraps it.
#[derive(Default)]
struct Kept {
    file: KeyringFile,
    master: Option<MasterKey>,
}

/// Where a value belongs: it opens nowhere else.
pub(super) enum Place {
    /// So many of these bytes: nearly every key fits, without a visit to the allocator.
    Short([u8; 64], usize),
    /// The others.
    Long(Vec<u8>),
}

impl Place {
    /// A row of a table, by the table's number.
    pub(super) fn row(table: u8, key: &[u8]) -> Self {
        let mut bytes = [0; 64];
        match bytes.get_mut(1..=key.len()) {
            Some(room) => {
                room.copy_from_slice(key);
                bytes[0] = table;
                Self::Short(bytes, key.len() + 1)
            }
            None => Self::Long([&[table], key].concat()),
        }
    }

    /// An entry of the log.
    pub(super) fn entry(index: u64) -> Self {
        Self::row(LOG, &index.to_be_bytes())
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(bytes, length) => &bytes[..*length],
            Self::Long(bytes) => bytes,
        }
    }
}

impl Key {
    fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self { bytes, aead: cipher(&bytes) }
    }
}

impl Active {
    fn nonce(&self) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce[..4].copy_from_slice(&self.start.to_be_bytes());
        nonce[4..].copy_from_slice(&self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        nonce
    }
}

impl Keyring {
    /// The keyring of a data folder. With a master key, a data key is active on return: a new one if there was none, or if
    /// it is older than `data_key_days` at `now_ms`. What the previous master key wrapped is wrapped anew.
    ///
    /// # Errors
    /// `Keys` if there are wrapped keys and no master key that opens them; `Corrupt`, `Format`, `Io` and `Full` for the
    /// file.
    pub fn open(
        data: &Path,
        masters: Masters,
        data_key_days: u64,
        now_ms: u64,
    ) -> Result<Arc<Self>, StorageError> {
        file::open(data, masters, data_key_days, now_ms).map(Arc::new)
    }

    /// Whether values are sealed as they are written.
    pub fn seals(&self) -> bool {
        self.active.is_some()
    }

    /// Appends the value as it goes to the disk: sealed, or as it is when nothing is to be sealed.
    pub(super) fn seal_onto(&self, place: &Place, plain: &[u8], out: &mut Vec<u8>) {
        let Some(active) = &self.active else { return out.extend_from_slice(plain) };
        let nonce = active.nonce();
        out.reserve(HEAD_LEN + plain.len() + TAG_LEN);
        out.push(SEALED);
        out.extend_from_slice(&active.id.to_be_bytes());
        out.extend_from_slice(&nonce);
        let begin = out.len();
        out.extend_from_slice(plain);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let aad = Aad::from(place.bytes());
        let tag = active.key.aead.seal_in_place_separate_tag(nonce, aad, &mut out[begin..]);
        out.extend_from_slice(tag.expect("a value is smaller than 64 GiB").as_ref());
    }

    /// The value as it was before it was sealed; one in the clear as it is. `what` names it in the error.
    ///
    /// # Errors
    /// `Corrupt` if it is not what was sealed there, or sealed under a key that is not here.
    pub(super) fn open_value<'a>(
        &self,
        what: &str,
        place: &Place,
        value: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, StorageError> {
        if value.first() != Some(&SEALED) {
            return Ok(Cow::Borrowed(value));
        }
        let damaged = |detail: &str| StorageError::corrupt(what, detail);
        let sealed = value.get(HEAD_LEN..).filter(|sealed| sealed.len() >= TAG_LEN);
        let sealed = sealed.ok_or_else(|| damaged("it is sealed and cut"))?;
        let (id, nonce) = value[1..HEAD_LEN].split_first_chunk().expect("the head is longer than an id");
        let key = self.key(u64::from_be_bytes(*id)).ok_or_else(|| {
            let id = u64::from_be_bytes(*id);
            damaged(&format!("it is sealed under data key {id:016x}, which the file keyring does not hold"))
        })?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).expect("the head ends with a nonce");
        let mut opened = sealed.to_vec();
        let aad = Aad::from(place.bytes());
        let length = key.aead.open_in_place(nonce, aad, &mut opened).map(|plain| plain.len());
        opened.truncate(length.map_err(|_| damaged("it is not what was sealed in its place"))?);
        Ok(Cow::Owned(opened))
    }

    fn key(&self, id: u64) -> Option<Arc<Key>> {
        match &self.active {
            Some(active) if active.id == id => Some(active.key.clone()),
            _ => self.keys.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned(),
        }
    }

    /// All keys, for the node that gets a snapshot from this one.
    pub(super) fn to_send(&self) -> Vec<DataKey> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().map(|(id, key)| DataKey { id: *id, key: key.bytes.to_vec().into() }).collect()
    }

    /// Takes keys of another node, to open what it sealed: durable on return.
    ///
    /// # Errors
    /// `Keys` if one cannot be used, `Io` and `Full`: none was taken then.
    pub(super) fn adopt(&self, keys: &[DataKey]) -> Result<(), StorageError> {
        file::adopt(self, keys)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells how many keys there are, never one of them.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Keyring").field("seals", &self.seals()).field("keys", &keys).finish_non_exhaustive()
    }
}

fn cipher(bytes: &[u8; KEY_LEN]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("the length is that of the algorithm"))
}

/// Bytes that nobody can guess.
fn random<const N: usize>() -> Result<[u8; N], StorageError> {
    let mut bytes = [0; N];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => {
            Err(StorageError::stopped("the system gives no random bytes for a key; start the node again"))
        }
    }
}
