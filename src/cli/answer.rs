//! What every answer says about itself: how fresh it is, who gave it, and how the key led to the person.

use serde_json::{Value, json};

use crate::proto::registry::{Consistency, KeyResolution, ResponseMeta};

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

/// How the key led to the person, as a line; empty when there is nothing to say.
pub fn resolution_text(how: &KeyResolution) -> String {
    match (how.cancelled, how.superseded_by.as_str()) {
        (false, _) => String::new(),
        (true, "") => "this number was cancelled\n".to_owned(),
        (true, number) => format!("this number was cancelled; {number} took its place\n"),
    }
}

/// How the key led to the person, as JSON.
pub fn resolution_json(how: &KeyResolution) -> Value {
    json!({ "cancelled": how.cancelled, "superseded_by": how.superseded_by })
}
