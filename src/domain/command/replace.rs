//! A record replaced whole, or some of its fields.

use super::people::People;
use super::{Stop, View, aliases, kept, patch};
use crate::domain::error::rejection;
use crate::proto::registry::{ErrorReason, PatchPerson, Person, Rejection, UpdatePerson};

/// Replaces a whole record.
pub(super) fn update<V: View>(
    people: &mut People<'_, V>,
    update: &UpdatePerson,
) -> Result<(), Stop<V::Error>> {
    let uid = people.name(update.key.as_ref(), "key", "person")?;
    expect_revision(people.get(uid), update.expected_record_revision)?;
    Ok(replace(people.edit(uid), update.person.clone().unwrap_or_default())?)
}

/// Replaces the fields that the mask names.
pub(super) fn patch<V: View>(people: &mut People<'_, V>, patch: &PatchPerson) -> Result<(), Stop<V::Error>> {
    let uid = people.name(patch.key.as_ref(), "key", "person")?;
    let record = people.edit(uid);
    expect_revision(record, patch.expected_record_revision)?;
    let mut after = record.clone();
    let paths = patch.update_mask.as_ref().map_or(&[][..], |mask| &mask.paths);
    patch::apply(&mut after, &patch.person.clone().unwrap_or_default(), paths);
    Ok(replace(record, after)?)
}

fn replace(record: &mut Person, mut after: Person) -> Result<(), Rejection> {
    kept::keep(record, &mut after)?;
    aliases::keep_past(record, &mut after)?;
    *record = after;
    Ok(())
}

fn expect_revision(person: &Person, expected: u64) -> Result<(), Rejection> {
    if expected == 0 || expected == person.record_revision {
        return Ok(());
    }
    let detail = "the record has changed since: read it again, and decide again";
    Err(Rejection {
        current_record_revision: person.record_revision,
        ..rejection(ErrorReason::RevisionConflict, "expected_record_revision", detail)
    })
}
