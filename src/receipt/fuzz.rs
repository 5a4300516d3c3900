//! Receipts and sets of keys from anybody, for `crate::fuzz`.

use super::keys::{Key, KeySet, thumbprint};
use super::{Refused, check};

/// A set with one key that signed nothing.
pub(crate) fn keys() -> KeySet {
    let public_key = vec![7; 32];
    let key = Key { kid: thumbprint(&public_key), public_key, node_id: 1, since_ms: 0, until_ms: None };
    KeySet { cluster_id: "a-cluster".to_owned(), keys: vec![key] }
}

/// A receipt that nobody signed: of a known key's name, and garbage otherwise.
pub(crate) fn receipt(text: &str) {
    match check(text, &keys()) {
        Err(
            Refused::WrongSignature | Refused::UnknownKey | Refused::Malformed(_) | Refused::WrongAlgorithm,
        ) => {}
        other => panic!("a receipt that nobody signed: {other:?}"),
    }
}

/// A set of keys is read as it was written.
pub(crate) fn key_set(text: &[u8]) {
    if let Ok(set) = KeySet::parse(text) {
        let again = KeySet::parse(set.to_json().to_string().as_bytes());
        assert_eq!(again.expect("reads its own"), set);
    }
}

/// One of each.
pub(crate) fn seeds() -> Vec<(u8, Vec<u8>)> {
    let keys = keys();
    let header = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"{}"}}"#, keys.keys[0].kid, super::TYPE);
    let encoded = |text: &str| base64::Engine::encode(&super::BASE64URL, text);
    let receipt = format!("{}.{}.{}~WyJzIl0~", encoded(&header), encoded("{}"), encoded(&"s".repeat(64)));
    vec![(0, receipt.into_bytes()), (1, keys.to_json().to_string().into_bytes())]
}
