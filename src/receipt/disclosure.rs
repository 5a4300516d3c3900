//! Disclosures (RFC 9901): values whose salted hashes stand in the receipt, so that each can be shown, or not, by itself.

use base64::Engine as _;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{BASE64URL, Refused};

/// Random bytes before each value.
const SALT: usize = 16;

/// `_sd_alg`.
pub const HASH: &str = "sha-256";

/// A value made ready to be shown.
pub struct Disclosure {
    /// What the holder gets.
    pub text: String,
    /// What stands in the receipt.
    pub hash: String,
}

/// Salts a value. `None` when the system gives no random numbers: then nothing may be signed.
pub fn salted(name: &str, value: Value) -> Option<Disclosure> {
    let mut salt = [0; SALT];
    SystemRandom::new().fill(&mut salt).ok()?;
    let parts = Value::from(vec![Value::from(BASE64URL.encode(salt)), Value::from(name), value]);
    let text = BASE64URL.encode(parts.to_string());
    Some(Disclosure { hash: hash(&text), text })
}

/// The hash of a disclosure, over its characters.
pub fn hash(text: &str) -> String {
    BASE64URL.encode(Sha256::digest(text))
}

/// A value that a holder shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// What it is: `subject`, `request_sha256`, `record_revision` or `claim`.
    pub name: String,
    /// The value.
    pub value: Value,
    /// The verdict that it belongs to, from 0; `None` when it is about the whole.
    pub verdict: Option<usize>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The value is a citizen's data.
        f.debug_struct("Opened")
            .field("name", &self.name)
            .field("verdict", &self.verdict)
            .finish_non_exhaustive()
    }
}

/// Name and value of a disclosure.
///
/// # Errors
/// `WrongDisclosure` when it is of another form: its hash may be right all the same when the one who signed made it.
pub fn opened(text: &str, verdict: Option<usize>) -> Result<Opened, Refused> {
    let bytes = BASE64URL.decode(text).ok();
    let parts = bytes.and_then(|bytes| serde_json::from_slice::<(String, String, Value)>(&bytes).ok());
    let (_, name, value) = parts.ok_or(Refused::WrongDisclosure)?;
    Ok(Opened { name, value, verdict })
}
