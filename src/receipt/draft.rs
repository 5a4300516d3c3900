//! From a request and its answer to a receipt.

use prost::Message as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::content::{Content, Place, Told};
use super::disclosure::{self, Disclosure, HASH};
use super::{Pen, VERSION, claim};
use crate::audit::checkpoint::hex;
use crate::proto::registry::{Claim, Receipt, ResponseMeta, VerifyRequest, VerifyResponse};

/// A receipt that waits for its answer.
pub struct Draft {
    pen: Pen,
    asked: VerifyRequest,
    agency: String,
}

/// What of an answer goes into its receipt.
pub struct Answered<'a> {
    /// The answer.
    pub response: &'a VerifyResponse,
    /// The position of its record in the log of the node.
    pub position: u64,
}

impl Draft {
    /// Of a request that `agency` made. The receipt's time is now.
    pub fn of(pen: Pen, asked: &VerifyRequest, agency: &str) -> Self {
        // Whether a receipt was asked for says nothing about what was asked.
        Self { pen, asked: VerifyRequest { receipt: false, ..asked.clone() }, agency: agency.to_owned() }
    }

    /// The receipt of the answer; `None` when the system gives no random numbers.
    pub fn sign(self, answered: &Answered<'_>) -> Option<Receipt> {
        let Self { pen, asked, agency } = self;
        let absent = ResponseMeta::default();
        let meta = answered.response.meta.as_ref().unwrap_or(&absent);
        let subject = asked.subject.clone().unwrap_or_default();
        let whole = [
            disclosure::salted("subject", claim::subject(subject.key.as_ref()))?,
            disclosure::salted("request_sha256", request_sha256(&asked))?,
            disclosure::salted("record_revision", Value::from(meta.record_revision))?,
        ];
        let salted = |claimed: &Claim| disclosure::salted("claim", claim::claimed(claimed));
        let claims: Vec<Disclosure> = subject.claims.iter().map(salted).collect::<Option<_>>()?;

        let told = answered.response.verdicts.iter().zip(&claims).map(|(verdict, claimed)| {
            let [attribute, verdict, strength, precision] = claim::words(verdict);
            Told { attribute, verdict, strength, precision, hashes: [claimed.hash.clone()] }
        });
        let mut hashes: Vec<String> = whole.iter().map(|disclosure| disclosure.hash.clone()).collect();
        // Their order tells nothing.
        hashes.sort();
        let content = Content {
            version: VERSION,
            cluster_id: pen.cluster_id.clone(),
            node_id: pen.node_id,
            time_ms: pen.time_ms,
            agency,
            procedure: asked.context.map(|context| context.procedure_code).unwrap_or_default(),
            revision: meta.revision,
            consistency: claim::consistency(meta.consistency_served),
            staleness_bound_ms: meta.staleness_bound_ms,
            all_match: answered.response.all_match,
            verdicts: told.collect(),
            audit: Place { node_id: pen.node_id, position: answered.position },
            hashes,
            hash: HASH.to_owned(),
        };
        let disclosures = whole.into_iter().chain(claims).map(|disclosure| disclosure.text).collect();
        Some(Receipt { jws: pen.sign(&content), disclosures })
    }
}

/// See the folder's `mod.rs`.
fn request_sha256(asked: &VerifyRequest) -> Value {
    Value::from(hex(&Sha256::digest(asked.encode_to_vec())))
}
