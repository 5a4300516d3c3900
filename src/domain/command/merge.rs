//! Two records of one person become one.
//!
//! The survivor keeps its content, and takes over what leads to a person: personal ids, CMND numbers, credentials and
//! links. The duplicate keeps its name and dates to be read by its uid, and nothing else that leads anywhere.

use super::links::{backward, has_link, is_link, link, relation, unlink};
use super::people::{People, in_use};
use super::{Stop, View, checks};
use crate::domain::error::rejection;
use crate::proto::registry::{
    ErrorReason, HouseholdRole, MaritalStatus, MergePersons, Person, PersonStatus, Rejection, RelatedPerson,
    RelationKind,
};

const BOTH_PARENTS: &str = "a child of both has one as the mother and one as the father: they are two people";
const TWO_PARENTS: &str =
    "both have a registered father or mother, and not the same one: they are two people";
const TWO_SPOUSES: &str = "both have a spouse, and not the same one: they are two people";

/// Merges. A merge that was done before changes nothing, when the duplicate is named by its uid: its numbers lead to
/// the survivor by then.
pub(super) fn merge<V: View>(people: &mut People<'_, V>, merge: &MergePersons) -> Result<(), Stop<V::Error>> {
    let survivor = people.find_unmerged(merge.survivor.as_ref(), "survivor")?;
    let duplicate = people.find_unmerged(merge.duplicate.as_ref(), "duplicate")?;
    if survivor == duplicate {
        return Stop::rejected(ErrorReason::FieldInvalid, "duplicate", "both keys lead to one record");
    }
    in_use(people.get(survivor), "survivor")?;
    if people.get(duplicate).merged_into == survivor {
        return Ok(());
    }
    in_use(people.get(duplicate), "duplicate")?;
    move_links(people, survivor, duplicate)?;
    let source = people.edit(duplicate);
    let taken = std::mem::replace(source, emptied(source.clone(), survivor));
    take_numbers(people.edit(survivor), taken);
    Ok(())
}

/// The record of a duplicate.
fn emptied(mut person: Person, into: u64) -> Person {
    person.set_person_status(PersonStatus::Merged);
    person.merged_into = into;
    person.personal_id.clear();
    person.cancelled_personal_ids.clear();
    person.old_id_numbers.clear();
    person.credentials.clear();
    person.relations.clear();
    person.eid_account = None;
    person.residence_file_no.clear();
    person.set_household_role(HouseholdRole::Unspecified);
    person
}

fn take_numbers(survivor: &mut Person, duplicate: Person) {
    let active = Some(duplicate.personal_id).filter(|number| !number.is_empty());
    // In the order in which they ended.
    survivor.cancelled_personal_ids.extend(duplicate.cancelled_personal_ids.into_iter().chain(active));
    for number in duplicate.old_id_numbers {
        if !survivor.old_id_numbers.contains(&number) {
            survivor.old_id_numbers.push(number);
        }
    }
    survivor.credentials.extend(duplicate.credentials);
}

/// Leads the links of the duplicate, in both records of each, to the survivor.
fn move_links<V: View>(
    people: &mut People<'_, V>,
    survivor: u64,
    duplicate: u64,
) -> Result<(), Stop<V::Error>> {
    let relations = people.get(duplicate).relations.clone();
    for RelatedPerson { kind, person_uid: relative, .. } in relations.iter().filter(|r| is_link(r)) {
        let kind = RelationKind::try_from(*kind).unwrap_or_default();
        if *relative == survivor {
            return Stop::rejected(
                ErrorReason::EventConflict,
                "duplicate",
                "the two are related to each other: they are two people",
            );
        }
        let other = people.take(*relative, "duplicate", "duplicate")?;
        let back = backward(kind).iter().copied().filter(|&back| has_link(other, back, duplicate));
        let back: Vec<_> = back.collect();
        // Already related to the survivor the same way, a relative loses one of two links; otherwise it changes hands.
        for &back in &back {
            unlink(other, back, duplicate);
            if other_parent(other, back, survivor) {
                return Stop::rejected(ErrorReason::EventConflict, "duplicate", BOTH_PARENTS);
            }
            link(other, back, survivor);
        }
        if other_parent(people.get(survivor), kind, *relative) {
            return Stop::rejected(ErrorReason::EventConflict, "duplicate", BOTH_PARENTS);
        }
        adopt_link(people, survivor, kind, *relative)?;
    }
    let stated = relations.iter().find(|r| r.kind() == RelationKind::Spouse && !is_link(r));
    if let (Some(stated), Some(spouse)) = (stated, relation(people.get(survivor), RelationKind::Spouse))
        && !same_spouse(people, spouse, stated)?
    {
        return Stop::rejected(ErrorReason::EventConflict, "duplicate", TWO_SPOUSES);
    }
    Ok(())
}

/// Whether somebody is the child's other parent already.
fn other_parent(child: &Person, kind: RelationKind, parent: u64) -> bool {
    match kind {
        RelationKind::Father => has_link(child, RelationKind::Mother, parent),
        RelationKind::Mother => has_link(child, RelationKind::Father, parent),
        _ => false,
    }
}

/// Gives the survivor a link of the duplicate. A father or mother whom the survivor's record names in words makes way.
fn adopt_link<V: View>(
    people: &mut People<'_, V>,
    survivor: u64,
    kind: RelationKind,
    relative: u64,
) -> Result<(), Stop<V::Error>> {
    let link_of_duplicate =
        RelatedPerson { kind: kind.into(), person_uid: relative, ..RelatedPerson::default() };
    let single = matches!(kind, RelationKind::Father | RelationKind::Mother | RelationKind::Spouse);
    let there = relation(people.get(survivor), kind).filter(|_| single).cloned();
    match there {
        Some(there) if is_link(&there) && there.person_uid != relative => {
            let detail = if kind == RelationKind::Spouse { TWO_SPOUSES } else { TWO_PARENTS };
            return Stop::rejected(ErrorReason::EventConflict, "duplicate", detail);
        }
        Some(there) if kind == RelationKind::Spouse && !same_spouse(people, &link_of_duplicate, &there)? => {
            return Stop::rejected(ErrorReason::EventConflict, "duplicate", TWO_SPOUSES);
        }
        _ => {}
    }
    if kind == RelationKind::Spouse {
        married(people.edit(survivor))?;
    }
    let person = people.edit(survivor);
    if single {
        super::links::remove(person, kind);
    }
    link(person, kind, relative);
    Ok(())
}

fn married(survivor: &mut Person) -> Result<(), Rejection> {
    if checks::is_dead(survivor) {
        let detail = "the duplicate is married, and the record that stays says DECEASED";
        return Err(rejection(ErrorReason::EventConflict, "survivor", detail));
    }
    survivor.set_marital_status(MaritalStatus::Married);
    Ok(())
}

/// Whether two relations mean the same spouse: the same link or the same words, or words that name the number of
/// whom the link leads to.
fn same_spouse<V: View>(
    people: &People<'_, V>,
    one: &RelatedPerson,
    other: &RelatedPerson,
) -> Result<bool, Stop<V::Error>> {
    let (link, stated) = match (is_link(one), is_link(other)) {
        (false, false) => return Ok(one == other),
        (true, true) => return Ok(one.person_uid == other.person_uid),
        (true, false) => (one, other),
        (false, true) => (other, one),
    };
    let spouse = people.record(link.person_uid)?.unwrap_or_default();
    let number = &stated.personal_id;
    Ok(!number.is_empty()
        && (*number == spouse.personal_id || spouse.cancelled_personal_ids.contains(number)))
}
