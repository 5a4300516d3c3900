//! What a person holds or a record rests on: credentials, the electronic identity account, provenance.

use super::super::{
    AGENCY_CHARS, CREDENTIAL_CLASS_CHARS, CREDENTIAL_NUMBER_CHARS, CREDENTIALS, Checked, DOCUMENT_CHARS,
    PLACE_CHARS, PROVENANCE_FIELDS, PROVENANCES, SOURCE_REVISION_CHARS, at, at_most_chars, at_most_items,
    refuse, within,
};
use super::{distinct, free_text, known, optional_date};
use crate::domain::date;
use crate::proto::registry::{
    Credential, CredentialStatus, CredentialType, EidAccountState, EidLevel, EidState, ErrorReason, Person,
    PersonField, Provenance,
};

/// These fields of a record.
pub(super) fn papers(person: &Person, prefix: &str) -> Checked {
    credentials(&person.credentials, &at(prefix, "credentials"))?;
    if let Some(account) = &person.eid_account {
        eid_account(account, &at(prefix, "eid_account"))?;
    }
    let field = at(prefix, "provenance");
    at_most_items(person.provenance.len(), PROVENANCES, &field)?;
    for (i, entry) in person.provenance.iter().enumerate() {
        within(provenance(entry, ""), || format!("{field}[{i}]"))?;
    }
    Ok(())
}

/// A credential at `field`.
pub fn credential(credential: &Credential, field: &str) -> Checked {
    let c = credential;
    credential_key(c.r#type, &c.number, field)?;
    let texts = [
        ("credential_class", &c.credential_class, CREDENTIAL_CLASS_CHARS),
        ("issuing_authority", &c.issuing_authority, PLACE_CHARS),
        ("issuing_place", &c.issuing_place, PLACE_CHARS),
        ("source_system", &c.source_system, AGENCY_CHARS),
        ("source_revision", &c.source_revision, SOURCE_REVISION_CHARS),
    ];
    for (name, value, max) in texts {
        free_text(value, max, || at(field, name))?;
    }
    let dates =
        [("issued_on", &c.issued_on), ("expires_on", &c.expires_on), ("status_since", &c.status_since)];
    for (name, value) in dates {
        optional_date(value.as_ref(), || at(field, name))?;
    }
    known::<CredentialStatus>(c.status, || at(field, "status"))?;
    match (&c.issued_on, &c.expires_on) {
        (Some(issued), Some(expires)) if date::surely_before(expires, issued) => {
            refuse(ErrorReason::FieldInvalid, &at(field, "expires_on"), "must not be before issued_on")
        }
        _ => Ok(()),
    }
}

/// What names a credential, in the message at `field`: its type and its number.
pub fn credential_key(kind: i32, number: &str, field: &str) -> Checked {
    if matches!(CredentialType::try_from(kind), Err(_) | Ok(CredentialType::Unspecified)) {
        return refuse(ErrorReason::FieldInvalid, &at(field, "type"), "name the kind of credential");
    }
    at_most_chars(number, CREDENTIAL_NUMBER_CHARS, || at(field, "number"))?;
    let character = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-/.".contains(&byte);
    if number.is_empty() || !number.bytes().all(character) {
        let detail = "1 to 40 characters A to Z, 0 to 9, \"-\", \"/\" and \".\"";
        return refuse(ErrorReason::FieldInvalid, &at(field, "number"), detail);
    }
    Ok(())
}

/// Where values of a record come from, at `field`.
pub fn provenance(provenance: &Provenance, field: &str) -> Checked {
    let p = provenance;
    free_text(&p.source_system, AGENCY_CHARS, || at(field, "source_system"))?;
    free_text(&p.document, DOCUMENT_CHARS, || at(field, "document"))?;
    free_text(&p.agency, AGENCY_CHARS, || at(field, "agency"))?;
    optional_date(p.date.as_ref(), || at(field, "date"))?;
    let field = at(field, "fields");
    at_most_items(p.fields.len(), PROVENANCE_FIELDS, &field)?;
    let unknown =
        |&value: &i32| matches!(PersonField::try_from(value), Err(_) | Ok(PersonField::Unspecified));
    if let Some(i) = p.fields.iter().position(unknown) {
        return refuse(ErrorReason::FieldInvalid, &format!("{field}[{i}]"), "not a known field");
    }
    distinct(&p.fields, &field)
}

fn credentials(credentials: &[Credential], field: &str) -> Checked {
    at_most_items(credentials.len(), CREDENTIALS, field)?;
    for (i, item) in credentials.iter().enumerate() {
        within(credential(item, ""), || format!("{field}[{i}]"))?;
        let same = |other: &Credential| other.r#type == item.r#type && other.number == item.number;
        if credentials[..i].iter().any(same) {
            let field = format!("{field}[{i}].number");
            return refuse(ErrorReason::FieldInvalid, &field, "type and number stand in the list twice");
        }
    }
    Ok(())
}

fn eid_account(account: &EidAccountState, field: &str) -> Checked {
    if matches!(EidLevel::try_from(account.level), Err(_) | Ok(EidLevel::Unspecified)) {
        return refuse(ErrorReason::FieldInvalid, &at(field, "level"), "an account has level 1 or 2");
    }
    if matches!(EidState::try_from(account.state), Err(_) | Ok(EidState::Unspecified)) {
        return refuse(ErrorReason::FieldInvalid, &at(field, "state"), "UNLOCKED or LOCKED");
    }
    if account.state() != EidState::Locked && !account.lock_reason.is_empty() {
        return refuse(ErrorReason::FieldInvalid, &at(field, "lock_reason"), "only when LOCKED");
    }
    free_text(&account.lock_reason, PLACE_CHARS, || at(field, "lock_reason"))
}
