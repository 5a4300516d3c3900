//! The lines of an exported log, and the JSON form of an access. A line is rendered from the bytes that are hashed, which
//! stand in it too: whoever reads it can render it again and see whether it was edited.
//!
//! ```text
//! {"dancu_audit":1, "cluster_id", "node_id", "first", "size", "frontier": [..]}     the head
//! {"position", "hash", "record", "access": {..}}                                    a record: bytes and hash as hex
//! {"checkpoint": {..}}                                                              after the records that it covers
//! ```
//!
//! The number of the head changes whenever the same bytes would be rendered otherwise.

use serde_json::{Value, json};

use crate::audit::checkpoint::hex;
use crate::audit::merkle;
use crate::cli::answer::word;
use crate::proto::registry::{
    AccessRecord, AccessedPerson, Attribute, Checkpoint, ErrorReason, ExportStart, LegalBasis, MatchStrength,
    PersonField, RequestContext, Verdict,
};

/// The form that is written.
pub const FORM: u64 = 1;

/// The first line.
pub fn head(start: &ExportStart) -> String {
    json!({
        "dancu_audit": FORM,
        "cluster_id": start.cluster_id,
        "node_id": start.node_id,
        "first": start.first,
        "size": start.size,
        "frontier": start.frontier.iter().map(|hash| hex(hash)).collect::<Vec<_>>(),
    })
    .to_string()
}

/// The line of a record.
pub fn record(position: u64, bytes: &[u8], record: &AccessRecord) -> String {
    json!({
        "position": position,
        "hash": hex(&merkle::leaf(bytes)),
        "record": hex(bytes),
        "access": access(record),
    })
    .to_string()
}

/// The line of a checkpoint.
pub fn checkpoint(checkpoint: &Checkpoint) -> String {
    json!({ "checkpoint": checkpoint_json(checkpoint) }).to_string()
}

/// A checkpoint as JSON.
pub fn checkpoint_json(checkpoint: &Checkpoint) -> Value {
    json!({
        "cluster_id": checkpoint.cluster_id,
        "node_id": checkpoint.node_id,
        "size": checkpoint.size,
        "root": hex(&checkpoint.root),
        "time_ms": checkpoint.time_ms,
        "public_key": hex(&checkpoint.public_key),
        "signature": hex(&checkpoint.signature),
    })
}

/// The checkpoint of such JSON.
pub fn checkpoint_of(json: &Value) -> Option<Checkpoint> {
    let bytes = |name: &str| json[name].as_str().and_then(bytes_of).map(Into::into);
    Some(Checkpoint {
        cluster_id: json["cluster_id"].as_str()?.to_owned(),
        node_id: json["node_id"].as_u64()?,
        size: json["size"].as_u64()?,
        root: bytes("root")?,
        time_ms: json["time_ms"].as_u64()?,
        public_key: bytes("public_key")?,
        signature: bytes("signature")?,
    })
}

/// The start of such a head.
pub fn start_of(json: &Value) -> Option<ExportStart> {
    let frontier = json["frontier"].as_array()?.iter();
    Some(ExportStart {
        cluster_id: json["cluster_id"].as_str()?.to_owned(),
        node_id: json["node_id"].as_u64()?,
        first: json["first"].as_u64()?,
        size: json["size"].as_u64()?,
        frontier: frontier.map(|hash| Some(bytes_of(hash.as_str()?)?.into())).collect::<Option<_>>()?,
    })
}

/// The bytes of hexadecimal digits.
pub fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let pairs = hex.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

/// An access as JSON.
pub fn access(record: &AccessRecord) -> Value {
    let fields = record.fields().map(|field| word(field.as_str_name(), "PERSON_FIELD_"));
    json!({
        "caller": record.caller,
        "node_id": record.node_id,
        "position": record.position,
        "time_ms": record.time_ms,
        "time": time(record.time_ms),
        "method": record.method,
        "context": record.context.as_ref().map(context),
        "persons": record.persons.iter().map(person).collect::<Vec<_>>(),
        "fields": fields.collect::<Vec<_>>(),
        "consistency": word(record.consistency().as_str_name(), "CONSISTENCY_"),
        "revision": record.revision,
        "staleness_bound_ms": record.staleness_bound_ms,
        "code": record.code,
        "reason": reason(record),
        "result": record.result,
    })
}

/// Why an access was refused; empty when it was not.
pub fn reason(record: &AccessRecord) -> &'static str {
    match record.reason() {
        ErrorReason::Unspecified => "",
        reason => crate::domain::error::reason_name(reason),
    }
}

/// An instant for people.
pub fn time(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map(|at| at.to_string()).unwrap_or_default()
}

fn context(context: &RequestContext) -> Value {
    let basis = LegalBasis::try_from(context.legal_basis).unwrap_or_default();
    json!({
        "request_id": context.request_id,
        "agency_id": context.agency_id,
        "officer_id": context.officer_id,
        "procedure_code": context.procedure_code,
        "integration_code": context.integration_code,
        "case_id": context.case_id,
        "purpose": context.purpose,
        "legal_basis": word(basis.as_str_name(), "LEGAL_BASIS_"),
        "consent_id": context.consent_id,
    })
}

fn person(person: &AccessedPerson) -> Value {
    json!({ "uid": person.uid, "merged_from": person.merged_from, "verdicts": verdicts(person) })
}

fn verdicts(person: &AccessedPerson) -> Vec<Value> {
    let strengths = person.strengths().map(Some).chain(std::iter::repeat(None));
    let all = person.attributes().zip(person.verdicts()).zip(strengths);
    all.map(|((attribute, verdict), strength)| {
        json!({
            "attribute": attribute_word(attribute),
            "verdict": verdict_word(verdict),
            "strength": word(strength.unwrap_or(MatchStrength::Unspecified).as_str_name(), "MATCH_STRENGTH_"),
        })
    })
    .collect()
}

/// A claimed attribute in a word.
pub fn attribute_word(attribute: Attribute) -> String {
    word(attribute.as_str_name(), "ATTRIBUTE_")
}

/// A verdict in a word.
pub fn verdict_word(verdict: Verdict) -> String {
    word(verdict.as_str_name(), "VERDICT_")
}

/// What an access showed or told of a person, in a few words.
pub fn what(record: &AccessRecord, person: Option<&AccessedPerson>) -> String {
    if record.code != 0 {
        return format!("refused: {}", reason(record));
    }
    let told = person.map(|person| {
        let told = person.attributes().zip(person.verdicts());
        told.map(|(attribute, verdict)| format!("{} {}", attribute_word(attribute), verdict_word(verdict)))
            .collect::<Vec<_>>()
    });
    match told {
        Some(told) if !told.is_empty() => told.join(", "),
        _ if !record.result.is_empty() => record.result.to_lowercase(),
        _ => {
            let fields: Vec<String> = record
                .fields()
                .map(|field: PersonField| word(field.as_str_name(), "PERSON_FIELD_"))
                .collect();
            fields.join(", ")
        }
    }
}
