//! The master key: 32 bytes that an operator keeps, and that wrap the data keys.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fmt, fs};

use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};

use super::{KEY_LEN, cipher, random};
use crate::config::EncryptionConfig;
use crate::storage::error::StorageError;

/// What makes the wrapping of a data key differ from any other use of a key.
const PURPOSE: &[u8] = b"dancu data key ";

/// A key that wraps data keys.
pub struct MasterKey(LessSafeKey);

/// The master keys of a start.
#[derive(Debug, Default)]
pub struct Masters {
    /// The one in use; without it values are written in the clear.
    pub current: Option<MasterKey>,
    /// The one before it, once.
    pub previous: Option<MasterKey>,
}

impl Masters {
    /// Those that a configuration names.
    ///
    /// # Errors
    /// `Keys` when one cannot be read, is readable by others, or is no key.
    pub fn of(config: &EncryptionConfig) -> Result<Self, StorageError> {
        let current = match (&config.key_file, &config.key_env) {
            (Some(path), _) => Some(MasterKey::read(path)?),
            (None, Some(name)) => Some(MasterKey::of_environment(name)?),
            (None, None) => None,
        };
        let previous = config.previous_key_file.as_deref().map(MasterKey::read).transpose()?;
        Ok(Self { current, previous })
    }
}

impl MasterKey {
    /// That in a file: 64 hexadecimal digits, for its owner's eyes only.
    ///
    /// # Errors
    /// `Keys`, as [`Masters::of`].
    pub fn read(path: &Path) -> Result<Self, StorageError> {
        let shown = path.display().to_string();
        let failed = |e: std::io::Error| unusable(&shown, &format!("it cannot be read ({e})"));
        let mode = fs::metadata(path).map_err(failed)?.mode();
        if mode & 0o077 != 0 {
            let detail = format!("others than its owner may use it (mode {:o}); chmod 600 it", mode & 0o777);
            return Err(unusable(&shown, &detail));
        }
        Self::parse(&shown, &fs::read_to_string(path).map_err(failed)?)
    }

    /// A new key, as text to be put into a file.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<String, StorageError> {
        let bytes: [u8; KEY_LEN] = random()?;
        let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        text.push('\n');
        Ok(text)
    }

    fn of_environment(name: &str) -> Result<Self, StorageError> {
        let what = format!("the environment variable {name}");
        let text = std::env::var(name);
        Self::parse(&what, &text.map_err(|_| unusable(&what, "it is not set, or not text"))?)
    }

    /// The key of 64 hexadecimal digits. `what` names them in the error.
    ///
    /// # Errors
    /// `Keys` if they are not that.
    pub fn parse(what: &str, text: &str) -> Result<Self, StorageError> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let text = text.trim().as_bytes();
        let mut bytes = [0; KEY_LEN];
        let pairs = text.chunks(2).zip(&mut bytes);
        let read = pairs.map(|(pair, byte)| {
            *byte = digit(pair[0])? << 4 | digit(*pair.get(1)?)?;
            Some(())
        });
        let good = read.collect::<Option<Vec<()>>>().is_some_and(|read| read.len() == KEY_LEN);
        if !good || text.len() != 2 * KEY_LEN {
            return Err(unusable(
                what,
                "it is not 64 hexadecimal digits, as `openssl rand -hex 32` makes them",
            ));
        }
        Ok(Self(cipher(&bytes)))
    }

    /// A data key as it is kept: nonce, ciphertext, tag.
    pub(super) fn wrap(&self, id: u64, key: &[u8; KEY_LEN]) -> Result<Vec<u8>, StorageError> {
        // Random: a master key wraps a few keys in its life, far below what makes two nonces meet.
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut bytes = key.to_vec();
        let sealed = self.0.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(purpose(id)),
            &mut bytes,
        );
        sealed.expect("32 bytes are not too long");
        Ok([&nonce[..], &bytes].concat())
    }

    /// The data key in what [`MasterKey::wrap`] made; `None` if another master key made it, or it was changed.
    pub(super) fn unwrap(&self, id: u64, wrapped: &[u8]) -> Option<[u8; KEY_LEN]> {
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_LEN>()?;
        let mut bytes = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.0.open_in_place(nonce, Aad::from(purpose(id)), &mut bytes).ok()?;
        plain.try_into().ok()
    }
}

/// Tells nothing.
impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

fn purpose(id: u64) -> Vec<u8> {
    [PURPOSE, &id.to_be_bytes()].concat()
}

fn unusable(what: &str, detail: &str) -> StorageError {
    StorageError::Keys {
        what: format!("the master key in {what}"),
        detail: format!(
            "{detail}. Nothing was changed, and nothing is lost: correct it and start the node again"
        ),
    }
}
