//! One write, or a batch of them.
//!
//! What surrounds the records in a write is its frame. [`super::super::command::decide`] asks for the frame alone,
//! because it checks each record that it is about to store, and a record need not be checked twice.

use prost::Message;

use super::{
    BATCH_BYTES, BATCH_ITEMS, Checked, PLACE_CHARS, as_reason, at_most_chars, credential, credential_key,
    event::event, key, one_to, person, refuse,
};
use crate::domain::command::patch::is_path;
use crate::domain::{date, identifier, text};
use crate::proto::registry::change_credential::Change;
use crate::proto::registry::event::Event as Life;
use crate::proto::registry::{
    AssignPersonalId, CancelPersonalId, ChangeCredential, ChangeEid, CreatePerson, CredentialStatus,
    EidLevel, EidState, ErrorReason, NewPersonalId, PartialDate, PatchPerson, Person, PersonStatus,
    Rejection, SetPersonStatus, UpdatePerson, Write, write::Write as Kind,
};

/// Any one write, whole.
pub fn write(write: &Write) -> Checked {
    match frame(write)? {
        Kind::Create(c) => c.person.as_ref().map_or(Ok(()), |p| person(p, "person")),
        Kind::Update(u) => u.person.as_ref().map_or(Ok(()), |p| person(p, "person")),
        Kind::Event(e) => match &e.event {
            Some(Life::Birth(b)) => b.child.as_ref().map_or(Ok(()), |p| person(p, "birth.child")),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// A write without its records: that it is there, and all around them.
pub(in crate::domain) fn frame(write: &Write) -> Result<&Kind, Rejection> {
    let Some(kind) = &write.write else {
        return Err(super::rejection(ErrorReason::FieldInvalid, "write", "name what to write"));
    };
    match kind {
        Kind::Create(c) => create(c),
        Kind::Update(u) => update(u),
        Kind::Patch(p) => patch(p),
        Kind::Event(e) => event(e),
        Kind::SetStatus(s) => set_status(s),
        Kind::Merge(m) => {
            key(m.survivor.as_ref(), "survivor").and_then(|()| key(m.duplicate.as_ref(), "duplicate"))
        }
        Kind::AssignPersonalId(a) => assign(a),
        Kind::CancelPersonalId(c) => cancel(c),
        Kind::Credential(c) => change_credential(c),
        Kind::Eid(e) => eid(e),
    }?;
    Ok(kind)
}

fn create(create: &CreatePerson) -> Checked {
    let person = new_record(create.person.as_ref(), "person")?;
    if create.accept_existing && person.personal_id.is_empty() {
        return refuse(ErrorReason::FieldInvalid, "person.personal_id", "required with accept_existing");
    }
    Ok(())
}

/// A record that is to be added: nothing in it that the registry alone writes.
pub(super) fn new_record<'a>(person: Option<&'a Person>, field: &str) -> Result<&'a Person, Rejection> {
    let refuse =
        |name: &str, detail| Err(super::rejection(ErrorReason::FieldInvalid, super::at(field, name), detail));
    let Some(person) = person else {
        return Err(super::rejection(ErrorReason::FieldInvalid, field, "required"));
    };
    if person.person_status != 0 {
        return refuse("person_status", "set by SetPersonStatus: leave it out of a new record");
    }
    if person.merged_into != 0 {
        return refuse("merged_into", "set by MergePersons: leave it out of a new record");
    }
    match person.relations.iter().position(|relation| relation.person_uid != 0) {
        Some(i) => refuse(&format!("relations[{i}].person_uid"), "links are made by events: leave it out"),
        None => Ok(person),
    }
}

fn update(update: &UpdatePerson) -> Checked {
    key(update.key.as_ref(), "key")?;
    match update.person {
        Some(_) => Ok(()),
        None => refuse(ErrorReason::FieldInvalid, "person", "required"),
    }
}

/// The key and the mask. The values are checked by [`super::super::command::decide`], in the record that they make:
/// whether they are right may depend on fields that the patch leaves alone.
fn patch(patch: &PatchPerson) -> Checked {
    key(patch.key.as_ref(), "key")?;
    mask(patch.update_mask.as_ref().map_or(&[], |mask| &mask.paths))
}

fn set_status(set: &SetPersonStatus) -> Checked {
    key(set.key.as_ref(), "key")?;
    if !matches!(set.status(), PersonStatus::Active | PersonStatus::Inactive) {
        return refuse(ErrorReason::FieldInvalid, "status", "ACTIVE or INACTIVE");
    }
    Ok(())
}

fn assign(assign: &AssignPersonalId) -> Checked {
    key(assign.key.as_ref(), "key")?;
    match &assign.new_personal_id {
        Some(new) => new_personal_id(new, "new_personal_id"),
        None => refuse(ErrorReason::FieldInvalid, "new_personal_id", "required"),
    }
}

/// How a number is to be made.
pub(super) fn new_personal_id(new: &NewPersonalId, field: &str) -> Checked {
    if !identifier::is_place_code(&new.place_code) {
        let field = super::at(field, "place_code");
        return refuse(ErrorReason::FieldInvalid, &field, "three digits, \"001\" to \"999\"");
    }
    Ok(())
}

fn cancel(cancel: &CancelPersonalId) -> Checked {
    if !identifier::is_personal_id(&cancel.personal_id) {
        return refuse(ErrorReason::IdStructureInvalid, "personal_id", "a personal id has 12 digits");
    }
    Ok(())
}

fn change_credential(change: &ChangeCredential) -> Checked {
    match &change.change {
        None => refuse(ErrorReason::FieldInvalid, "change", "name the change: issue, update or status"),
        Some(Change::Issue(issue)) => {
            key(change.key.as_ref(), "key")?;
            if !matches!(issue.status(), CredentialStatus::Unspecified | CredentialStatus::Valid) {
                return refuse(ErrorReason::FieldInvalid, "issue.status", "VALID or left open when issued");
            }
            credential(issue, "issue")
        }
        Some(Change::Update(update)) => credential(update, "update"),
        Some(Change::Status(status)) => {
            let of = status.credential.clone().unwrap_or_default();
            credential_key(of.r#type, &of.number, "status.credential")?;
            required_date(status.since.as_ref(), "status.since")?;
            use CredentialStatus::{Revoked, Suspended, Valid};
            if !matches!(status.status(), Valid | Suspended | Revoked) {
                return refuse(ErrorReason::FieldInvalid, "status.status", "VALID, SUSPENDED or REVOKED");
            }
            Ok(())
        }
    }
}

fn eid(eid: &ChangeEid) -> Checked {
    key(eid.key.as_ref(), "key")?;
    let (Ok(level), Ok(state)) = (EidLevel::try_from(eid.level), EidState::try_from(eid.state)) else {
        return refuse(ErrorReason::FieldInvalid, "level", "level and state must be known values");
    };
    match (level, state) {
        (EidLevel::Unspecified, EidState::Unspecified) => {
            return refuse(ErrorReason::FieldInvalid, "level", "name a level, a state or both");
        }
        (EidLevel::Unspecified, _) => {}
        _ => {
            required_date(eid.on.as_ref(), "on")?;
            if eid.on.is_some_and(|on| on.day == 0) {
                return refuse(
                    ErrorReason::FieldInvalid,
                    "on",
                    "a level needs the day, which the age is counted at",
                );
            }
        }
    }
    let locks = state == EidState::Locked;
    if locks == eid.lock_reason.is_empty() {
        let detail = "1 to 200 characters when the account is locked, and empty otherwise";
        return refuse(ErrorReason::FieldInvalid, "lock_reason", detail);
    }
    at_most_chars(&eid.lock_reason, PLACE_CHARS, || "lock_reason".to_owned())?;
    as_reason(text::check_free(&eid.lock_reason), ErrorReason::NameCharset, || "lock_reason".to_owned())
}

/// A date that must be there.
pub(super) fn required_date(value: Option<&PartialDate>, field: &str) -> Checked {
    match value {
        Some(value) => as_reason(date::check(value), ErrorReason::DateInvalid, || field.to_owned()),
        None => refuse(ErrorReason::FieldInvalid, field, "required; the year alone is enough"),
    }
}

/// The paths of an update mask: at least one, each known, none twice.
pub fn mask(paths: &[String]) -> Checked {
    let refuse = |detail: String| refuse(ErrorReason::FieldMaskInvalid, "update_mask", detail);
    if paths.is_empty() {
        return refuse("name at least one field".to_owned());
    }
    for (i, path) in paths.iter().enumerate() {
        if !is_path(path) {
            return refuse(format!("path {i} (from 0) names no field that callers may write"));
        }
        if paths[..i].contains(path) {
            return refuse(format!("path {i} (from 0) stands in the mask twice"));
        }
    }
    Ok(())
}

/// The size of a batch. Its writes are checked one by one by [`write()`], because what a malformed one spoils depends
/// on the batch's atomicity.
pub fn writes(writes: &[Write]) -> Checked {
    one_to(writes.len(), BATCH_ITEMS, "writes")?;
    let size = |write: &Write| match &write.write {
        // The person alone, so that a chunk of an import within its bound makes a batch within its own.
        Some(Kind::Create(c)) => c.person.as_ref().map_or(0, Message::encoded_len),
        _ => write.encoded_len(),
    };
    at_most_bytes(writes.iter().map(size).sum(), "writes")
}

/// The size of a chunk of an import. Its people are checked one by one, as part of their writes.
pub fn import_chunk(persons: &[Person]) -> Checked {
    one_to(persons.len(), BATCH_ITEMS, "persons")?;
    at_most_bytes(persons.iter().map(Message::encoded_len).sum(), "persons")
}

fn at_most_bytes(bytes: usize, field: &str) -> Checked {
    if bytes > BATCH_BYTES {
        return refuse(ErrorReason::TooLarge, field, format!("at most {BATCH_BYTES} bytes in all"));
    }
    Ok(())
}
