//! A record taken out of use, or back into it.

use super::people::People;
use super::{Stop, View};
use crate::proto::registry::{PersonStatus, SetPersonStatus};

/// Sets the status. A status that was never stated is ACTIVE.
pub(super) fn set<V: View>(people: &mut People<'_, V>, set: &SetPersonStatus) -> Result<(), Stop<V::Error>> {
    let uid = people.find(set.key.as_ref(), "key", "person")?;
    let person = people.edit(uid);
    let active = person.person_status() != PersonStatus::Inactive;
    if active != (set.status() == PersonStatus::Active) {
        person.person_status = set.status;
    }
    Ok(())
}
