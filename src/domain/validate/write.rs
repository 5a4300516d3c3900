//! One write, or a batch of them.

use prost::Message;

use super::{BATCH_BYTES, BATCH_ITEMS, Checked, key, one_to, person, refuse};
use crate::domain::command::patch::is_path;
use crate::proto::registry::{
    CreatePerson, ErrorReason, PatchPerson, Person, UpdatePerson, Write, write::Write as Kind,
};

/// A person to add.
pub fn create(create: &CreatePerson) -> Checked {
    required_person(create.person.as_ref())?;
    let has_id = create.person.as_ref().is_some_and(|p| !p.personal_id.is_empty());
    if create.accept_existing && !has_id {
        return refuse(ErrorReason::FieldInvalid, "person.personal_id", "required with accept_existing");
    }
    Ok(())
}

/// A record to replace whole.
pub fn update(update: &UpdatePerson) -> Checked {
    key(update.key.as_ref(), "key")?;
    required_person(update.person.as_ref())
}

/// Fields to replace: the key and the mask. The values are checked by [`super::super::command::decide`], in the
/// record that they make: whether they are right may depend on fields that the patch leaves alone.
pub fn patch(patch: &PatchPerson) -> Checked {
    key(patch.key.as_ref(), "key")?;
    mask(patch.update_mask.as_ref().map_or(&[], |mask| &mask.paths))
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

/// Any one write.
pub fn write(write: &Write) -> Checked {
    match &write.write {
        Some(Kind::Create(c)) => create(c),
        Some(Kind::Update(u)) => update(u),
        Some(Kind::Patch(p)) => patch(p),
        None => refuse(ErrorReason::FieldInvalid, "write", "create, update or patch"),
    }
}

/// The size of a batch. Its writes are checked one by one by [`write()`], because what a malformed one spoils depends
/// on the batch's atomicity.
pub fn writes(writes: &[Write]) -> Checked {
    one_to(writes.len(), BATCH_ITEMS, "writes")?;
    let size = |write: &Write| match &write.write {
        // The person alone, so that a chunk of an import within its bound makes a batch within its own.
        Some(Kind::Create(c)) => c.person.as_ref().map_or(0, Message::encoded_len),
        Some(Kind::Update(u)) => u.encoded_len(),
        Some(Kind::Patch(p)) => p.encoded_len(),
        None => 0,
    };
    at_most_bytes(writes.iter().map(size).sum(), "writes")
}

/// The size of a chunk of an import. Its people are checked one by one by [`create`].
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

fn required_person(value: Option<&Person>) -> Checked {
    match value {
        Some(value) => person(value, "person"),
        None => refuse(ErrorReason::FieldInvalid, "person", "required"),
    }
}
