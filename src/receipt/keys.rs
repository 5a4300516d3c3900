//! The public keys of all nodes, with the times of their use; as JSON Web Key Set (RFC 7517, RFC 8037) for everybody.
//!
//! ```text
//! {"cluster_id": "..", "keys": [{"kty": "OKP", "crv": "Ed25519", "x": "..", "kid": "..", "use": "sig", "alg": "EdDSA",
//!                                "node_id": 4, "since_ms": 1764310000123, "until_ms": 1764400000456}, ..]}
//! ```
//!
//! `cluster_id`, `node_id`, `since_ms` and `until_ms` (absent while the key is in use) are ours: RFC 7517 has readers pass over
//! what they do not know. Whoever checks with another library holds the time of the receipt against them.

use base64::Engine as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::BASE64URL;
use crate::proto::store::ReceiptKeysRow;

/// A node's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name: the thumbprint.
    pub kid: String,
    /// Ed25519, 32 bytes.
    pub public_key: Vec<u8>,
    /// Whose.
    pub node_id: u64,
    /// The first time that a receipt signed with it may have.
    pub since_ms: u64,
    /// The first time that none may have any more; `None` while it is in use.
    pub until_ms: Option<u64>,
}

impl Key {
    /// Whether a receipt of this time may be signed with it.
    pub fn is_for(&self, time_ms: u64) -> bool {
        self.since_ms <= time_ms && self.until_ms.is_none_or(|until| time_ms < until)
    }
}

/// The keys of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    /// The cluster.
    pub cluster_id: String,
    /// In the order of nodes and times.
    pub keys: Vec<Key>,
}

/// A key as JSON.
#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    kid: String,
    #[serde(rename = "use")]
    usage: String,
    alg: String,
    node_id: u64,
    since_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Jwks {
    cluster_id: String,
    keys: Vec<Jwk>,
}

/// The thumbprint of an Ed25519 key (RFC 7638, RFC 8037): SHA-256 over its required members in their order, base64url.
pub fn thumbprint(public_key: &[u8]) -> String {
    let x = BASE64URL.encode(public_key);
    BASE64URL.encode(Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
}

impl KeySet {
    /// Of the rows that the cluster agreed on.
    pub fn of(cluster_id: String, rows: Vec<(u64, ReceiptKeysRow)>) -> Self {
        let of_node = |(node_id, row): (u64, ReceiptKeysRow)| {
            row.keys.into_iter().map(move |key| Key {
                kid: thumbprint(&key.public_key),
                public_key: key.public_key.to_vec(),
                node_id,
                since_ms: key.since_ms,
                until_ms: Some(key.until_ms).filter(|until| *until != 0),
            })
        };
        Self { cluster_id, keys: rows.into_iter().flat_map(of_node).collect() }
    }

    /// The key of this name.
    pub fn named(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    /// As JSON.
    pub fn to_json(&self) -> serde_json::Value {
        let jwk = |key: &Key| Jwk {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            x: BASE64URL.encode(&key.public_key),
            kid: key.kid.clone(),
            usage: "sig".to_owned(),
            alg: "EdDSA".to_owned(),
            node_id: key.node_id,
            since_ms: key.since_ms,
            until_ms: key.until_ms,
        };
        let set = Jwks { cluster_id: self.cluster_id.clone(), keys: self.keys.iter().map(jwk).collect() };
        serde_json::to_value(set).expect("texts and numbers are JSON")
    }

    /// Reads what [`KeySet::to_json`] made.
    ///
    /// # Errors
    /// What is wrong with it, in words. A key of another kind, or whose name is not its thumbprint, is no key of ours.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let set: Jwks = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let key = |jwk: Jwk| {
            let what = format!("the key {}", jwk.kid);
            if (jwk.kty.as_str(), jwk.crv.as_str()) != ("OKP", "Ed25519") {
                return Err(format!("{what} is no Ed25519 key"));
            }
            let public_key = BASE64URL.decode(&jwk.x).map_err(|_| format!("{what}: x is not base64url"))?;
            if public_key.len() != 32 || thumbprint(&public_key) != jwk.kid {
                return Err(format!("{what}: its name is not the thumbprint of what it holds"));
            }
            let Jwk { kid, node_id, since_ms, until_ms, .. } = jwk;
            Ok(Key { kid, public_key, node_id, since_ms, until_ms })
        };
        let keys = set.keys.into_iter().map(key).collect::<Result<_, _>>()?;
        Ok(Self { cluster_id: set.cluster_id, keys })
    }
}
