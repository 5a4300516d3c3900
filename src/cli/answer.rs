//! What answers have in common: what each says about itself (how fresh it is, who gave it, how the key led to the person),
//! and what a write did.

use serde_json::{Value, json};

use super::Failure;
use super::output::Output;
use crate::proto::registry::{Consistency, KeyResolution, ResponseMeta, WriteResponse};

/// What an answer says about itself, in one line.
pub fn meta_text(meta: &ResponseMeta) -> String {
    let mode = Consistency::try_from(meta.consistency_served).unwrap_or_default();
    let age = match meta.staleness_bound_ms {
        u32::MAX => "age unknown".to_owned(),
        0 => "up to date".to_owned(),
        ms => format!("at most {ms} ms old"),
    };
    let mode = match mode {
        Consistency::Unspecified => "written".to_owned(),
        mode => mode.as_str_name().trim_start_matches("CONSISTENCY_").to_lowercase().replace('_', " "),
    };
    format!("revision {} · {mode} · {age} · by {} · term {}", meta.revision, meta.served_by, meta.raft_term)
}

/// What an answer says about itself, as JSON.
pub fn meta_json(meta: &ResponseMeta) -> Value {
    let mode = Consistency::try_from(meta.consistency_served).unwrap_or_default();
    json!({
        "cluster_id": meta.cluster_id,
        "revision": meta.revision,
        "record_revision": meta.record_revision,
        "consistency_served": mode.as_str_name().trim_start_matches("CONSISTENCY_").to_lowercase(),
        "staleness_bound_ms": meta.staleness_bound_ms,
        "served_by": meta.served_by,
        "raft_term": meta.raft_term,
        "normalization_profile": meta.normalization_profile,
    })
}

/// How the key led to the person, a line each; empty when there is nothing to say.
pub fn resolution_text(how: &KeyResolution) -> String {
    let merged = match how.merged_from {
        0 => String::new(),
        uid => format!("this record, {uid}, was merged into the one shown\n"),
    };
    let cancelled = match (how.cancelled, how.superseded_by.as_str()) {
        (false, _) => String::new(),
        (true, "") => "this number was cancelled\n".to_owned(),
        (true, number) => format!("this number was cancelled; {number} took its place\n"),
    };
    merged + &cancelled
}

/// How the key led to the person, as JSON.
pub fn resolution_json(how: &KeyResolution) -> Value {
    json!({ "cancelled": how.cancelled, "superseded_by": how.superseded_by, "merged_from": how.merged_from })
}

/// The word of an enum value: its proto name without the prefix, in lower case; empty when it is unspecified.
pub fn word(name: &str, prefix: &str) -> String {
    match name.trim_start_matches(prefix) {
        "UNSPECIFIED" => String::new(),
        word => word.to_lowercase(),
    }
}

/// Prints what a write did.
///
/// # Errors
/// As [`Output::result`].
pub fn written(output: &Output, answer: &WriteResponse) -> Result<(), Failure> {
    let meta = answer.meta.clone().unwrap_or_default();
    let written = answer.written.clone().unwrap_or_default();
    output.result(
        || {
            json!({
                "person_uid": written.person_uid,
                "record_revision": written.record_revision,
                "changed": written.changed,
                "new_personal_id": written.new_personal_id,
                "others": written.others,
                "meta": meta_json(&meta),
            })
        },
        || {
            let did = if written.changed { "written" } else { "nothing to change" };
            let (uid, revision) = (written.person_uid, written.record_revision);
            let mut text = format!("{did}: person {uid}, record revision {revision}\n");
            if !written.new_personal_id.is_empty() {
                text += &format!("new personal id: {}\n", written.new_personal_id);
            }
            if !written.others.is_empty() {
                let others: Vec<_> = written.others.iter().map(u64::to_string).collect();
                text += &format!("changed with it: {}\n", others.join(", "));
            }
            text + &meta_text(&meta)
        },
    )
}
