//! An adoption: adopters take the place of the parents they are named for.

use super::birth::become_parent;
use super::links::{linked, remove, unlink};
use super::people::People;
use super::{Stop, View, checks};
use crate::proto::registry::{Adoption, RelationKind};

/// Records it. Whoever is a parent already stays one.
pub(super) fn adopt<V: View>(people: &mut People<'_, V>, adoption: &Adoption) -> Result<(), Stop<V::Error>> {
    let child = people.name(adoption.child.as_ref(), "adoption.child", "adoption")?;
    checks::alive(people.get(child), "adoption.child")?;
    let adopters = [
        (RelationKind::Mother, adoption.mother.as_ref(), "adoption.mother"),
        (RelationKind::Father, adoption.father.as_ref(), "adoption.father"),
    ];
    for (kind, key, field) in adopters {
        let Some(key) = key else { continue };
        let before = linked(people.get(child), kind);
        let adopter = people.name(Some(key), field, field)?;
        checks::alive(people.get(adopter), field)?;
        if before == Some(adopter) {
            continue;
        }
        if let Some(before) = before {
            unlink(people.take(before, "adoption.child", "adoption.child")?, RelationKind::Child, child);
        }
        remove(people.edit(child), kind);
        become_parent(people, child, kind, key, field)?;
    }
    if let Some(name) = &adoption.birth_name {
        people.edit(child).birth_name = Some(name.clone());
    }
    Ok(())
}
