//! JWS in compact serialization with Ed25519, and nothing else of JOSE: one algorithm, no keys within the header, no
//! critical extensions.

use base64::Engine as _;
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::{BASE64URL, Refused, TYPE};

const ALGORITHM: &str = "EdDSA";

/// The protected header. A further member is refused: it may mean that the rest means something else.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

/// Only the algorithm, of a header that may be anybody's.
#[derive(Deserialize)]
struct Named {
    alg: String,
}

/// Signs a payload.
pub fn sign(pair: &Ed25519KeyPair, kid: &str, payload: &[u8]) -> String {
    let header = Header { alg: ALGORITHM.to_owned(), kid: kid.to_owned(), typ: TYPE.to_owned() };
    let header = serde_json::to_vec(&header).expect("three texts are JSON");
    let mut text = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(payload));
    let signature = pair.sign(text.as_bytes());
    text.push('.');
    text.push_str(&BASE64URL.encode(signature));
    text
}

/// A JWS taken apart, of which nothing is believed yet.
pub struct Parts<'a> {
    /// The name of the key.
    pub kid: String,
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    /// Takes a JWS apart.
    ///
    /// # Errors
    /// What is wrong with its form, or its algorithm.
    pub fn of(jws: &'a str) -> Result<Self, Refused> {
        let malformed = |what: &str| Refused::Malformed(what.to_owned());
        let mut parts = jws.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("a JWS has three parts with dots between"));
        };
        let decoded = |part: &str, what: &str| {
            BASE64URL.decode(part).map_err(|_| malformed(&format!("{what} is not base64url")))
        };
        let header_bytes = decoded(header, "its header")?;
        let named: Named =
            serde_json::from_slice(&header_bytes).map_err(|_| malformed("its header names no algorithm"))?;
        if named.alg != ALGORITHM {
            return Err(Refused::WrongAlgorithm);
        }
        let found: Header = serde_json::from_slice(&header_bytes)
            .map_err(|_| malformed("its header has other members than alg, kid and typ"))?;
        if found.typ != TYPE {
            return Err(malformed("it is a token of another type"));
        }
        let signed = &jws[..header.len() + 1 + payload.len()];
        let payload = decoded(payload, "what it says")?;
        Ok(Self { kid: found.kid, signed, payload, signature: decoded(signature, "its signature")? })
    }

    /// What it says, once this key is found to have signed it.
    ///
    /// # Errors
    /// `WrongSignature`.
    pub fn verified(self, public_key: &[u8]) -> Result<Vec<u8>, Refused> {
        let key = UnparsedPublicKey::new(&ED25519, public_key);
        let verified = key.verify(self.signed.as_bytes(), &self.signature);
        verified.map(|()| self.payload).map_err(|_| Refused::WrongSignature)
    }
}
