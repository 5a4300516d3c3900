//! `DATA/keyring`: the data keys, wrapped under the master key, and which of them is active.
//!
//! ```text
//! start                                     file
//! no master key, no wrapped key             as it is: keys of other nodes stand bare in it, beside values in the clear
//! no master key, wrapped keys               refused
//! master key                                bare keys and those of the previous master key are wrapped; one is active;
//!                                           the number of the start is counted up: written before a value is sealed
//! ```
//!
//! Replaced as a whole, and synced: after a crash it holds the keys it held before, or those and the new ones.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use prost::Message;

use super::{Active, KEY_LEN, Kept, Key, Keyring, MasterKey, Masters, random};
use crate::proto::store::{DataKey, KeptKey, KeyringFile};
use crate::storage::codec;
use crate::storage::data_dir::write_atomically;
use crate::storage::error::StorageError;

const NAME: &str = "keyring";
const DAY_MS: u64 = 86_400_000;

/// See [`Keyring::open`].
pub(super) fn open(
    data: &Path,
    masters: Masters,
    data_key_days: u64,
    now_ms: u64,
) -> Result<Keyring, StorageError> {
    let path = data.join(NAME);
    let mut file = read(&path)?;
    let mut keys = BTreeMap::new();
    for kept in &file.keys {
        keys.insert(kept.id, Arc::new(Key::new(unwrap(&path, kept, &masters)?)));
    }
    let active = match &masters.current {
        None => None,
        Some(master) => {
            let active = activate(&mut file, &mut keys, data_key_days, now_ms)?;
            rewrap(&mut file, &keys, master)?;
            write(&path, &file)?;
            Some(active)
        }
    };
    let kept = Mutex::new(Kept { file, master: masters.current });
    Ok(Keyring { path: Some(path), active, keys: RwLock::new(keys), kept })
}

/// See [`Keyring::adopt`].
pub(super) fn adopt(keyring: &Keyring, keys: &[DataKey]) -> Result<(), StorageError> {
    let mut kept = keyring.kept();
    let mut file = kept.file.clone();
    let mut new = Vec::new();
    {
        let known = keyring.keys.read().unwrap_or_else(PoisonError::into_inner);
        for DataKey { id, key } in keys {
            let bytes: [u8; KEY_LEN] = key[..].try_into().map_err(|_| foreign("is not 32 bytes long"))?;
            match known.get(id) {
                Some(known) if known.bytes == bytes => continue,
                Some(_) => return Err(foreign("has the id of another one that is here")),
                None => {}
            }
            // It never seals here, so its age does not matter.
            file.keys.push(keep(*id, 0, &bytes, kept.master.as_ref())?);
            new.push((*id, Arc::new(Key::new(bytes))));
        }
    }
    if new.is_empty() {
        return Ok(());
    }
    let path = keyring.path.as_deref().ok_or_else(|| foreign("has no file here to be kept in"))?;
    write(path, &file)?;
    kept.file = file;
    keyring.keys.write().unwrap_or_else(PoisonError::into_inner).extend(new);
    Ok(())
}

/// Chooses the key that seals, and counts this start. Nothing is written yet.
fn activate(
    file: &mut KeyringFile,
    keys: &mut BTreeMap<u64, Arc<Key>>,
    data_key_days: u64,
    now_ms: u64,
) -> Result<Active, StorageError> {
    let found = file.keys.iter().find(|kept| kept.id == file.active);
    let young =
        |kept: &KeptKey| now_ms.saturating_sub(kept.made_at_ms) < data_key_days.saturating_mul(DAY_MS);
    let next = file.starts.checked_add(1);
    match (found, next) {
        (Some(kept), Some(next)) if young(kept) => file.starts = next,
        _ => {
            let id = u64::from_be_bytes(random()?);
            // Zero says that none is active.
            let id = if id == 0 || keys.contains_key(&id) { u64::from_be_bytes(random()?) } else { id };
            let key = Key::new(random()?);
            file.keys.push(KeptKey { id, made_at_ms: now_ms, ..KeptKey::default() });
            keys.insert(id, Arc::new(key));
            (file.active, file.starts) = (id, 0);
        }
    }
    let key = keys.get(&file.active).cloned().expect("it was found or made above");
    let counter = AtomicU64::new(u64::from_be_bytes(random()?));
    Ok(Active { id: file.active, key, start: file.starts, counter })
}

/// Wraps what is not wrapped under this master key.
fn rewrap(
    file: &mut KeyringFile,
    keys: &BTreeMap<u64, Arc<Key>>,
    master: &MasterKey,
) -> Result<(), StorageError> {
    for kept in &mut file.keys {
        if kept.wrapped.is_empty() || master.unwrap(kept.id, &kept.wrapped).is_none() {
            let key = keys.get(&kept.id).expect("every key of the file was read");
            *kept = keep(kept.id, kept.made_at_ms, &key.bytes, Some(master))?;
        }
    }
    Ok(())
}

/// A key as it stands in the file.
fn keep(
    id: u64,
    made_at_ms: u64,
    key: &[u8; KEY_LEN],
    master: Option<&MasterKey>,
) -> Result<KeptKey, StorageError> {
    let kept = KeptKey { id, made_at_ms, ..KeptKey::default() };
    Ok(match master {
        Some(master) => KeptKey { wrapped: master.wrap(id, key)?.into(), ..kept },
        None => KeptKey { bare: key.to_vec().into(), ..kept },
    })
}

fn unwrap(path: &Path, kept: &KeptKey, masters: &Masters) -> Result<[u8; KEY_LEN], StorageError> {
    let shown = path.display();
    if kept.wrapped.is_empty() {
        let bare = kept.bare[..].try_into();
        return bare
            .map_err(|_| StorageError::corrupt(shown.to_string(), "a key in it is not 32 bytes long"));
    }
    let refused = |what: &str, detail: &str| StorageError::Keys {
        what: format!("{what} of the data keys in {shown}"),
        detail: format!(
            "{detail}. Nothing was changed, and nothing is lost: what is sealed stays as it is. Name the right key as \
             encryption.key_file (and, when it was replaced, the one before it as encryption.previous_key_file), then \
             start the node again. Is the key gone for good, remove this node from the cluster, empty its data folder and \
             add it again: it copies everything from the others"
        ),
    };
    if masters.current.is_none() {
        return Err(refused(
            "the master key",
            "the configuration names none, and values of this folder are sealed",
        ));
    }
    let both = masters.current.iter().chain(&masters.previous);
    let opened = both.filter_map(|master| master.unwrap(kept.id, &kept.wrapped)).next();
    opened.ok_or_else(|| refused("the master key", "they were wrapped under another key than the one given"))
}

fn read(path: &Path) -> Result<KeyringFile, StorageError> {
    match std::fs::read(path) {
        Ok(sealed) => parse(&path.display().to_string(), &sealed),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(KeyringFile::default()),
        Err(error) => Err(StorageError::io("read", path)(error)),
    }
}

/// The keys within the seal of the file.
fn parse(what: &str, sealed: &[u8]) -> Result<KeyringFile, StorageError> {
    let file = KeyringFile::decode(codec::unseal(what, sealed)?);
    file.map_err(|e| StorageError::corrupt(what, format!("it cannot be decoded ({e})")))
}

fn write(path: &Path, file: &KeyringFile) -> Result<(), StorageError> {
    write_atomically(path, &codec::seal(&file.encode_to_vec()))
}

fn foreign(detail: &str) -> StorageError {
    StorageError::Keys {
        what: "a data key that came with a snapshot".to_owned(),
        detail: format!("it {detail}. It was not taken, and nothing was changed"),
    }
}
