//! A person added.

use super::people::People;
use super::{Stop, View, kept};
use crate::proto::registry::{CreatePerson, Person};

/// Adds a person, or finds the one who is there already.
pub(super) fn create<V: View>(
    people: &mut People<'_, V>,
    create: &CreatePerson,
) -> Result<(), Stop<V::Error>> {
    let mut person = create.person.clone().unwrap_or_default();
    kept::state_status(None, &mut person)?;
    if create.accept_existing
        && let Some(uid) = same_person(people, &person)?
    {
        people.take(uid, "person.personal_id", "person")?;
        return Ok(());
    }
    people.add(person, "person");
    Ok(())
}

/// The person who has this personal id as the active one and was stated with the same content.
fn same_person<V: View>(people: &People<'_, V>, person: &Person) -> Result<Option<u64>, Stop<V::Error>> {
    let alias = people.view.personal_id(&person.personal_id).map_err(Stop::View)?;
    let Some(alias) = alias.filter(|alias| !alias.cancelled) else { return Ok(None) };
    let existing = people.record(alias.person_uid)?;
    let same = existing.filter(|existing| kept::stated(existing) == kept::stated(person));
    Ok(same.map(|existing| existing.uid))
}
