//! What requests have around their content: contexts, keys, read options, counts.

use super::query::{old_id, personal_id};
use super::{
    AGENCY_CHARS, BATCH_ITEMS, CLAIMS, Checked, HISTORY_DEFAULT, HISTORY_LIMIT, IMPORT_ID_CHARS,
    MAX_STALENESS_MS, NODE_NAME_CHARS, REQUEST_ID_CHARS, as_reason, at, at_most_chars, credential_key,
    one_to, refuse,
};
use crate::domain::error::rejection;
use crate::domain::text;
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{
    Consistency, ErrorReason, LegalBasis, PersonKey, ReadOptions, Rejection, RequestContext, Subject,
    UnitEdition,
};

/// The context of a write: request_id and agency_id are there, and everything keeps its bound. A context that is
/// absent counts as an empty one.
pub fn context_for_write(context: &RequestContext) -> Checked {
    let required = [("context.request_id", &context.request_id), ("context.agency_id", &context.agency_id)];
    for (field, value) in required {
        if value.is_empty() {
            return refuse(ErrorReason::FieldInvalid, field, "required for a write");
        }
    }
    context_for_read(context)
}

/// The context of an import: as for a write, with room in request_id for the chunk's number.
pub fn context_for_import(context: &RequestContext) -> Checked {
    at_most_chars(&context.request_id, IMPORT_ID_CHARS, || "context.request_id".to_owned())?;
    context_for_write(context)
}

/// The context of a read: everything that is there keeps its bound.
pub fn context_for_read(context: &RequestContext) -> Checked {
    let c = context;
    let texts = [
        ("request_id", &c.request_id, REQUEST_ID_CHARS),
        ("agency_id", &c.agency_id, AGENCY_CHARS),
        ("officer_id", &c.officer_id, 20),
        ("procedure_code", &c.procedure_code, 20),
        ("integration_code", &c.integration_code, 20),
        ("case_id", &c.case_id, 40),
        ("purpose", &c.purpose, 200),
        ("consent_id", &c.consent_id, 40),
    ];
    for (name, value, max) in texts {
        at_most_chars(value, max, || at("context", name))?;
        as_reason(text::check_free(value), ErrorReason::NameCharset, || at("context", name))?;
    }
    if !c.request_id.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return refuse(ErrorReason::FieldInvalid, "context.request_id", "printable ASCII only");
    }
    if !c.integration_code.bytes().all(|byte| byte.is_ascii_digit()) {
        return refuse(ErrorReason::FieldInvalid, "context.integration_code", "digits only");
    }
    let Ok(basis) = LegalBasis::try_from(c.legal_basis) else {
        return refuse(ErrorReason::FieldInvalid, "context.legal_basis", "not a known legal basis");
    };
    if !c.consent_id.is_empty() && basis != LegalBasis::Consent {
        return refuse(ErrorReason::FieldInvalid, "context.consent_id", "only with LEGAL_BASIS_CONSENT");
    }
    Ok(())
}

/// A key names a person in one way, and in the form of that way. A personal id that is only looked up needs its 12
/// digits and no more, because a cancelled one may have been wrong in structure.
pub fn key(key: Option<&PersonKey>, field: &str) -> Checked {
    match key.and_then(|key| key.key.as_ref()) {
        None => refuse(
            ErrorReason::FieldInvalid,
            field,
            "name a person by uid, personal id, CMND number or credential",
        ),
        Some(Key::PersonUid(0)) => {
            refuse(ErrorReason::FieldInvalid, &at(field, "person_uid"), "uids count from 1")
        }
        Some(Key::PersonUid(_)) => Ok(()),
        Some(Key::PersonalId(number)) => personal_id(number, &at(field, "personal_id")),
        Some(Key::OldIdNumber(number)) => old_id(number, &at(field, "old_id_number")),
        Some(Key::Credential(key)) => credential_key(key.r#type, &key.number, &at(field, "credential")),
    }
}

/// The number of keys of a batch. Each key is then checked by [`key`], because a malformed one spoils only its own
/// answer.
pub fn keys(keys: &[PersonKey]) -> Checked {
    one_to(keys.len(), BATCH_ITEMS, "keys")
}

/// The number of subjects of a batch, and of claims of each. Keys are checked one by one by [`key`]; a malformed
/// claim is a verdict of [`crate::domain::matching::verify`].
pub fn subjects(subjects: &[Subject]) -> Checked {
    one_to(subjects.len(), BATCH_ITEMS, "subjects")?;
    for (i, subject) in subjects.iter().enumerate() {
        one_to(subject.claims.len(), CLAIMS, &format!("subjects[{i}].claims"))?;
    }
    Ok(())
}

/// The one subject of a verification: its key, and the number of its claims.
pub fn subject(subject: &Subject) -> Checked {
    key(subject.key.as_ref(), "subject.key")?;
    one_to(subject.claims.len(), CLAIMS, "subject.claims")
}

/// The read mode and the field that it needs, and the edition of units.
pub fn read_options(options: &ReadOptions) -> Checked {
    if UnitEdition::try_from(options.unit_edition).is_err() {
        return refuse(ErrorReason::FieldInvalid, "options.unit_edition", "not a known edition");
    }
    let Ok(consistency) = Consistency::try_from(options.consistency) else {
        return refuse(ErrorReason::FieldInvalid, "options.consistency", "not a known read mode");
    };
    match consistency {
        Consistency::BoundedStale if !(1..=MAX_STALENESS_MS).contains(&options.max_staleness_ms) => {
            refuse(ErrorReason::FieldInvalid, "options.max_staleness_ms", format!("1 to {MAX_STALENESS_MS}"))
        }
        Consistency::AsOf if options.revision == 0 && options.as_of_ms == 0 => refuse(
            ErrorReason::FieldInvalid,
            "options.revision",
            "AS_OF needs a revision from 1, or as_of_ms",
        ),
        _ => Ok(()),
    }
}

/// The number of versions to return: the default for 0, and never above the bound.
pub fn history_limit(limit: u32) -> Result<usize, Rejection> {
    match usize::try_from(limit) {
        Ok(0) => Ok(HISTORY_DEFAULT),
        Ok(limit) if limit <= HISTORY_LIMIT => Ok(limit),
        _ => Err(rejection(ErrorReason::TooLarge, "limit", format!("at most {HISTORY_LIMIT}"))),
    }
}

/// A node's name: visible text of 1 to 64 characters.
pub fn node_name(name: &str) -> Checked {
    if name.is_empty() {
        return refuse(ErrorReason::FieldInvalid, "name", "a node needs a name");
    }
    at_most_chars(name, NODE_NAME_CHARS, || "name".to_owned())?;
    as_reason(text::check_free(name), ErrorReason::FieldInvalid, || "name".to_owned())
}
