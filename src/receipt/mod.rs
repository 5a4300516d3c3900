//! Receipts: what a node answered to a verification, signed, to be shown to somebody else later and checked without us.
//!
//! ```text
//! Verify { receipt } ─> answer ─> its audit record is durable ─> position ─> Pen::sign ─> JWS ─┐
//!                                                                                              ├─ Receipt
//! key, request, record_revision, claims ─ each with a salt ─> disclosures ─> hashes in the JWS ┘
//! ```
//!
//! A receipt is an SD-JWT (RFC 9901): `JWS~DISCLOSURE~..~`. The JWS (compact, RFC 7515) has the header
//! `{"alg":"EdDSA","kid":"..","typ":"dancu-receipt+sd-jwt"}` and says, as JSON:
//!
//! | member | what |
//! |---|---|
//! | `version` | 1 |
//! | `cluster_id`, `node_id`, `time_ms` | who answered, and when by its own clock, in milliseconds since 1970 |
//! | `agency`, `procedure` | who asked, by certificate; for which procedure, when the request names one |
//! | `revision`, `consistency`, `staleness_bound_ms` | what was read: as in `ResponseMeta` |
//! | `all_match`, `verdicts` | the codes, in the order of the claims: `attribute`, `verdict`, `strength`, `precision` |
//! | `audit` | `node_id` and `position` of the record of this very answer: `dancu audit prove NODE/POSITION` |
//! | `_sd`, also in each of `verdicts` | hashes of disclosures; `_sd_alg` names SHA-256 |
//!
//! A **disclosure** is base64url of `["SALT", "NAME", VALUE]`, its hash base64url of SHA-256 over those very characters; no
//! text needs a canonical form. The salt is 16 random bytes: who has the JWS alone cannot try out all 12-digit numbers. There
//! is one for `subject` (the key by which the person was asked for), for `request_sha256`, for `record_revision` (which would
//! tell that two receipts are about one person), and one `claim` for each verdict. Whoever holds the receipt shows of them what
//! a third party may know. `request_sha256` is over the protobuf of the `VerifyRequest` as it was understood: context, subject
//! and options in this order, `receipt` left out, each message with its fields in the order of their numbers and none that has
//! its default.
//!
//! RFC 9864 has a newer name for EdDSA with this curve, `Ed25519`; most libraries know the older one alone.
//!
//! **Keys.** Each node has one of its own (Ed25519, `DATA/receipts/key`, never leaves it). The cluster agrees on its public
//! half before the first receipt, and keeps all there ever were with the times of their use. `kid` is the thumbprint of
//! RFC 7638. Any node shows all of them at `/.well-known/jwks.json`. A receipt whose time is outside of the time of its key is
//! invalid; one from within stays valid for ever, also when the key was replaced or the node has left.
//!
//! | file | what it is |
//! |---|---|
//! | `jws` | a signed text as a JWS, strictly read |
//! | `keys` | the set of public keys: JWKS |
//! | `content` | what a receipt says |
//! | `disclosure` | salted values |
//! | `claim` | keys and claims as JSON, words of enums |
//! | `draft` | from a request and its answer to a receipt |
//! | `pen` | this node's key |
//! | `check` | whether a receipt is genuine |
//!
//! Deliberately absent: a key that is marked as stolen from some time on. A thief can sign for any time in which the key was in
//! use, so no time would help; what helps is the record that each receipt names: a forged one has none that says the same.

mod check;
mod claim;
mod content;
mod disclosure;
mod draft;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod jws;
mod keys;
mod pen;
#[cfg(test)]
mod tests;

pub use check::{Checked, Refused, check};
pub use content::{Content, Place, Told, attested};
pub use disclosure::Opened;
pub use draft::{Answered, Draft};
pub use keys::{Key, KeySet, thumbprint};
pub use pen::{Keyring, Pen};

/// The largest receipt that is looked at, disclosures included, in bytes.
pub const MAX_BYTES: usize = 64 << 10;

/// `typ` of the header.
const TYPE: &str = "dancu-receipt+sd-jwt";

/// The version written, and the only one known.
const VERSION: u32 = 1;

/// Base64url without padding, strict: no other text stands for the same bytes.
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
