//! A birth: a new person, and links to those parents who are registered.

use super::links::{link, relation};
use super::people::People;
use super::{Stop, View, checks, kept, numbers};
use crate::domain::date;
use crate::domain::error::rejection;
use crate::proto::registry::{Birth, ErrorReason, PartialDate, Person, PersonKey, Rejection, RelationKind};

/// Records a birth.
pub(super) fn birth<V: View>(people: &mut People<'_, V>, birth: &Birth) -> Result<(), Stop<V::Error>> {
    let mut child = birth.child.clone().unwrap_or_default();
    kept::state_status(None, &mut child)?;
    let born = child.birth_date.unwrap_or_default();
    let uid = people.add(child, "birth.child");
    let parents = [
        (RelationKind::Mother, birth.mother.as_ref(), "birth.mother"),
        (RelationKind::Father, birth.father.as_ref(), "birth.father"),
    ];
    for (kind, key, field) in parents {
        let Some(key) = key else { continue };
        let parent = become_parent(people, uid, kind, key, field)?;
        lived(kind, people.get(parent), &born, field)?;
    }
    if let Some(new) = &birth.new_personal_id {
        numbers::give(people, uid, new, "birth.new_personal_id")?;
    }
    Ok(())
}

/// Links a child and a parent, who is drafted. A parent that the child's record names in words makes way.
pub(super) fn become_parent<V: View>(
    people: &mut People<'_, V>,
    child: u64,
    kind: RelationKind,
    key: &PersonKey,
    field: &str,
) -> Result<u64, Stop<V::Error>> {
    let parent = people.name(Some(key), field, field)?;
    checks::parent(kind, people.get(parent), people.get(child), field)?;
    let other = if kind == RelationKind::Mother { RelationKind::Father } else { RelationKind::Mother };
    if relation(people.get(child), other).is_some_and(|other| other.person_uid == parent) {
        let detail = "mother and father are two people";
        return Stop::rejected(ErrorReason::EventConflict, field, detail);
    }
    link(people.edit(child), kind, parent);
    link(people.edit(parent), RelationKind::Child, child);
    Ok(parent)
}

/// A mother lives on the day of birth, a father within the year before, as far as the dates tell.
fn lived(kind: RelationKind, parent: &Person, born: &PartialDate, field: &str) -> Result<(), Rejection> {
    let died = parent.physical_status.filter(|_| checks::is_dead(parent)).and_then(|status| status.since);
    let Some(mut last) = died else { return Ok(()) };
    if kind == RelationKind::Father {
        last.year += 1;
    }
    if date::surely_before(&last, born) {
        let detail = "a mother lives on the day of birth, a father died at most a year before it";
        return Err(rejection(ErrorReason::EventConflict, field, detail));
    }
    Ok(())
}
