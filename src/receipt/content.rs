//! What a receipt says: the payload of its JWS.

use serde::{Deserialize, Serialize};

use super::claim;
use crate::proto::registry::AttestedAnswer;

/// See the table in the folder's `mod.rs`. A further member is refused: it would be signed, and not understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Of the form.
    pub version: u32,
    /// The cluster that answered.
    pub cluster_id: String,
    /// The node that answered.
    pub node_id: u64,
    /// When, by that node's clock.
    pub time_ms: u64,
    /// The agency that asked; empty where nobody shows who they are.
    pub agency: String,
    /// The procedure that it named.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub procedure: String,
    /// The revision read at.
    pub revision: u64,
    /// The read mode, as a word.
    pub consistency: String,
    /// An upper bound of the age of what was read.
    pub staleness_bound_ms: u32,
    /// Whether every verdict is a match.
    pub all_match: bool,
    /// One for each claim.
    pub verdicts: Vec<Told>,
    /// Where the record of this answer is.
    pub audit: Place,
    /// Hashes of the disclosures about the whole, in ascending order.
    #[serde(rename = "_sd")]
    pub hashes: Vec<String>,
    /// Of the hashes.
    #[serde(rename = "_sd_alg")]
    pub hash: String,
}

/// The verdict on one claim, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// What the claim was about.
    pub attribute: String,
    /// The verdict.
    pub verdict: String,
    /// How strongly texts agree.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub strength: String,
    /// To which precision dates were compared.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub precision: String,
    /// The hash of the claim's disclosure.
    #[serde(rename = "_sd")]
    pub hashes: [String; 1],
}

/// A record in a node's audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Whose log.
    pub node_id: u64,
    /// The position in it.
    pub position: u64,
}

/// What a receipt says, as the API says it.
pub fn attested(content: &Content) -> AttestedAnswer {
    let verdict =
        |told: &Told| claim::verdict([&told.attribute, &told.verdict, &told.strength, &told.precision]);
    AttestedAnswer {
        node_id: content.node_id,
        time_ms: content.time_ms,
        agency_id: content.agency.clone(),
        procedure_code: content.procedure.clone(),
        revision: content.revision,
        consistency: claim::consistency_of(&content.consistency).into(),
        staleness_bound_ms: content.staleness_bound_ms,
        all_match: content.all_match,
        verdicts: content.verdicts.iter().map(verdict).collect(),
        audit_node_id: content.audit.node_id,
        audit_position: content.audit.position,
    }
}
