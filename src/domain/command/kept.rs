//! The fields that the registry keeps, in records that callers replace.
//!
//! Each has an operation of its own, so an update or a patch leaves it as it is: a request that leaves it out means
//! "as it is", and one that states it must state what the record holds.

use super::links::is_link;
use crate::domain::error::rejection;
use crate::proto::registry::{
    ErrorReason, Person, PersonStatus, PhysicalStatusKind, Rejection, RelatedPerson,
};

/// Makes `after`, what a caller wants in the place of `before`, a record that keeps them.
pub(super) fn keep(before: &Person, after: &mut Person) -> Result<(), Rejection> {
    after.uid = before.uid;
    after.record_revision = before.record_revision;
    let stated = after.person_status != 0;
    if stated && in_use(after.person_status()) != in_use(before.person_status()) {
        return refuse("person_status");
    }
    after.person_status = before.person_status;
    if after.merged_into != 0 && after.merged_into != before.merged_into {
        return refuse("merged_into");
    }
    after.merged_into = before.merged_into;
    if after.credentials.is_empty() {
        after.credentials.clone_from(&before.credentials);
    }
    if after.credentials != before.credentials {
        return refuse("credentials");
    }
    if after.eid_account.is_none() {
        after.eid_account.clone_from(&before.eid_account);
    }
    if after.eid_account != before.eid_account {
        return refuse("eid_account");
    }
    keep_links(before, after)?;
    state_status(Some(before), after)
}

fn keep_links(before: &Person, after: &mut Person) -> Result<(), Rejection> {
    if before.relations == after.relations {
        return Ok(());
    }
    let links = |person: &Person| -> Vec<RelatedPerson> {
        person.relations.iter().filter(|relation| is_link(relation)).cloned().collect()
    };
    let words = |person: &Person| -> Vec<RelatedPerson> {
        person.relations.iter().filter(|relation| !is_link(relation)).cloned().collect()
    };
    let (held, stated) = (links(before), links(after));
    if stated.is_empty() && words(before) == words(after) {
        after.relations.clone_from(&before.relations);
    } else if stated.is_empty() {
        after.relations.splice(0..0, held);
    } else if stated != held {
        return refuse("relations");
    }
    Ok(())
}

fn refuse(field: &str) -> Result<(), Rejection> {
    let detail = "kept by the registry: leave it out, or state what the record holds";
    Err(rejection(ErrorReason::FieldInvalid, format!("person.{field}"), detail))
}

/// A status that is not stated says ACTIVE.
fn in_use(status: PersonStatus) -> PersonStatus {
    if status == PersonStatus::Unspecified { PersonStatus::Active } else { status }
}

/// The record without what the registry keeps: what two imports of one person have in common.
pub(super) fn stated(person: &Person) -> Person {
    Person {
        uid: 0,
        record_revision: 0,
        person_status: 0,
        merged_into: 0,
        relations: person.relations.iter().filter(|relation| !is_link(relation)).cloned().collect(),
        credentials: Vec::new(),
        eid_account: None,
        ..person.clone()
    }
}

/// States the physical status that a request leaves open. Whoever is not said to be dead or missing is alive, but an
/// omission never brings anybody back: a record that says DECEASED or MISSING is told ALIVE in words, or not at all.
pub(super) fn state_status(before: Option<&Person>, after: &mut Person) -> Result<(), Rejection> {
    use PhysicalStatusKind::{Alive, Unspecified};
    let status = after.physical_status.get_or_insert_default();
    if status.kind != Unspecified as i32 {
        return Ok(());
    }
    let alive = before.and_then(|p| p.physical_status).is_none_or(|status| status.kind() == Alive);
    if !alive {
        let detail = "the record says DECEASED or MISSING: state the status that it shall have";
        return Err(rejection(ErrorReason::FieldInvalid, "person.physical_status.kind", detail));
    }
    status.set_kind(Alive);
    Ok(())
}
