//! A record replaced whole, or some of its fields.

use super::people::People;
use super::{Stop, View, aliases, kept, patch};
use crate::domain::error::rejection;
use crate::proto::registry::{ErrorReason, PatchPerson, Person, Rejection, UpdatePerson};
use crate::proto::store::PersonRow;

/// Replaces a whole record.
pub(super) fn update<V: View>(
    people: &mut People<'_, V>,
    update: &UpdatePerson,
) -> Result<(), Stop<V::Error>> {
    let uid = people.name(update.key.as_ref(), "key", "person")?;
    expect_revision(people.get(uid), update.expected_record_revision)?;
    let before = people.row(uid);
    let record = people.edit(uid);
    *record = update.person.clone().unwrap_or_default();
    Ok(keep(before.as_deref(), record)?)
}

/// Replaces the fields that the mask names.
pub(super) fn patch<V: View>(people: &mut People<'_, V>, patch: &PatchPerson) -> Result<(), Stop<V::Error>> {
    let uid = people.name(patch.key.as_ref(), "key", "person")?;
    expect_revision(people.get(uid), patch.expected_record_revision)?;
    let before = people.row(uid);
    let record = people.edit(uid);
    let paths = patch.update_mask.as_ref().map_or(&[][..], |mask| &mask.paths);
    patch::apply(record, patch.person.as_ref().unwrap_or(&Person::default()), paths);
    Ok(keep(before.as_deref(), record)?)
}

/// What stays as it was in a record that a caller replaced.
fn keep(before: Option<&PersonRow>, after: &mut Person) -> Result<(), Rejection> {
    let Some(before) = before.and_then(|row| row.person.as_ref()) else { return Ok(()) };
    kept::keep(before, after)?;
    aliases::keep_past(before, after)
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
