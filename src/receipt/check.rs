//! Whether a receipt is genuine. Nothing but the receipt and the set of keys is needed, and whatever the text is, the
//! outcome is an answer.

use std::collections::BTreeMap;

use super::content::Content;
use super::disclosure::{self, HASH, Opened};
use super::jws::Parts;
use super::keys::KeySet;
use super::{MAX_BYTES, VERSION};
use crate::proto::registry::ReceiptVerdict;

/// Why a receipt is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not of a receipt's form.
    #[error("this is no receipt: {0}")]
    Malformed(String),
    /// "none", a shared secret, or another kind of key.
    #[error("it is not signed with EdDSA, the one algorithm of receipts")]
    WrongAlgorithm,
    /// The set of keys does not have its key.
    #[error("no node of this cluster has, or had, the key that it names")]
    UnknownKey,
    /// It was edited, or somebody else signed it.
    #[error("the key that it names did not sign what it says")]
    WrongSignature,
    /// Signed by one node in another's name.
    #[error("it says that another node, or another cluster, answered than the one whose key signed it")]
    WrongSigner,
    /// Signed with a key at a time when it was not in use.
    #[error("its time is outside of the time in which its key was in use")]
    OutsidePeriod,
    /// A disclosure that is not of this receipt, or there twice.
    #[error("a disclosure beside it is not one of its own, or stands there twice")]
    WrongDisclosure,
    /// Made by a later program.
    #[error("it is of a version that this program does not know")]
    UnknownVersion,
}

impl Refused {
    /// The same as the API says it.
    pub fn verdict(&self) -> ReceiptVerdict {
        match self {
            Self::Malformed(_) => ReceiptVerdict::Malformed,
            Self::WrongAlgorithm => ReceiptVerdict::WrongAlgorithm,
            Self::UnknownKey => ReceiptVerdict::UnknownKey,
            Self::WrongSignature => ReceiptVerdict::WrongSignature,
            Self::WrongSigner => ReceiptVerdict::WrongSigner,
            Self::OutsidePeriod => ReceiptVerdict::OutsidePeriod,
            Self::WrongDisclosure => ReceiptVerdict::WrongDisclosure,
            Self::UnknownVersion => ReceiptVerdict::UnknownVersion,
        }
    }
}

/// A receipt that is genuine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The key that signed it.
    pub kid: String,
    /// What it says.
    pub content: Content,
    /// What was opened, in the order in which it was given.
    pub opened: Vec<Opened>,
}

/// Checks a receipt, with or without disclosures, against the keys of its cluster.
///
/// # Errors
/// Why it is not to be believed.
pub fn check(receipt: &str, keys: &KeySet) -> Result<Checked, Refused> {
    if receipt.len() > MAX_BYTES {
        return Err(Refused::Malformed(format!("it is larger than {MAX_BYTES} bytes")));
    }
    let mut parts = receipt.trim().split('~');
    let jws = Parts::of(parts.next().unwrap_or_default())?;
    let kid = jws.kid.clone();
    let key = keys.named(&kid).ok_or(Refused::UnknownKey)?;
    let payload = jws.verified(&key.public_key)?;
    let content = understood(&payload)?;
    if content.cluster_id != keys.cluster_id || content.node_id != key.node_id {
        return Err(Refused::WrongSigner);
    }
    if !key.is_for(content.time_ms) {
        return Err(Refused::OutsidePeriod);
    }
    // The last one ends with the sign that stands between them.
    let disclosures: Vec<&str> = parts.collect();
    let disclosures = match disclosures.split_last() {
        Some((&"", before)) => before,
        _ => &disclosures[..],
    };
    let opened = opened(&content, disclosures)?;
    Ok(Checked { kid, content, opened })
}

fn understood(payload: &[u8]) -> Result<Content, Refused> {
    /// What every version has.
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let malformed = |_| Refused::Malformed("what it says is not what a receipt says".to_owned());
    let Versioned { version } = serde_json::from_slice(payload).map_err(malformed)?;
    if version != VERSION {
        return Err(Refused::UnknownVersion);
    }
    let content: Content = serde_json::from_slice(payload).map_err(malformed)?;
    if content.hash == HASH { Ok(content) } else { Err(Refused::UnknownVersion) }
}

/// Each disclosure opens a hash of its own.
fn opened(content: &Content, disclosures: &[&str]) -> Result<Vec<Opened>, Refused> {
    let whole = content.hashes.iter().map(|hash| (hash.clone(), None));
    let of_verdicts =
        content.verdicts.iter().enumerate().map(|(place, told)| (told.hashes[0].clone(), Some(place)));
    let mut closed: BTreeMap<String, Option<usize>> = whole.chain(of_verdicts).collect();
    let open = |text: &&str| {
        let verdict = closed.remove(&disclosure::hash(text)).ok_or(Refused::WrongDisclosure)?;
        disclosure::opened(text, verdict)
    };
    disclosures.iter().map(open).collect()
}
