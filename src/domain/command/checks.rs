//! What must hold between a changed record and the rest of the register, whichever write changed it.
//!
//! * A household has at most one head and at most 64 people. Only a record that enters one, or becomes its head,
//!   costs a look at the others.
//! * A link stands in both records; a parent was born before the child, for certain, and is of the right gender.
//! * Whoever dies loses the spouse and the use of the account, which is why only the event may say so of somebody who
//!   has either, and why nobody is added dead with an account that may be used.
//! * Nobody is born or dies in the future.
//!
//! That personal ids and credentials belong to one person is seen to where their rows are made (`aliases.rs`).

use std::collections::{BTreeMap, BTreeSet};

use super::links::{backward, has_link, is_link, linked};
use super::people::{Draft, People};
use super::{Alias, Stop, View};
use crate::domain::date;
use crate::domain::error::rejection;
use crate::proto::registry::{
    EidState, ErrorReason, Gender, HouseholdRole, Person, PhysicalStatusKind, Rejection, RelationKind,
};

/// The most people of one household.
pub(super) const HOUSEHOLD: usize = 64;

/// Checks every draft.
pub(super) fn all<V: View>(people: &People<'_, V>) -> Result<(), Stop<V::Error>> {
    for draft in people.drafts().values() {
        let born = draft.after.birth_date;
        if draft.before().is_none_or(|before| before.birth_date != born) {
            people.not_in_future(born.as_ref(), &at(draft, "birth_date"))?;
        }
        let since = |person: &Person| person.physical_status.and_then(|status| status.since);
        if draft.before().is_none_or(|before| since(before) != since(&draft.after)) {
            people.not_in_future(since(&draft.after).as_ref(), &at(draft, "physical_status.since"))?;
        }
        death(draft)?;
        links(people, draft)?;
    }
    households(people)
}

fn death(draft: &Draft) -> Result<(), Rejection> {
    if !is_dead(&draft.after) || draft.before().is_some_and(is_dead) {
        return Ok(());
    }
    let account = draft.after.eid_account.as_ref().is_some_and(|account| account.state() != EidState::Locked);
    if draft.before().is_none() {
        let detail = "LOCKED in the record of somebody who died";
        let refused = || rejection(ErrorReason::FieldInvalid, at(draft, "eid_account.state"), detail);
        return if account { Err(refused()) } else { Ok(()) };
    }
    if account || linked(&draft.after, RelationKind::Spouse).is_some() {
        let detail = "record this death as an event: it ends a marriage or locks an account";
        return Err(rejection(ErrorReason::EventConflict, at(draft, "physical_status"), detail));
    }
    Ok(())
}

/// Looks at the links that are new, and at all of them when what they depend on changed.
fn links<V: View>(people: &People<'_, V>, draft: &Draft) -> Result<(), Stop<V::Error>> {
    let person = &draft.after;
    let before = draft.before();
    let same = |before: &Person| before.birth_date == person.birth_date && before.gender == person.gender;
    let known: &[_] = before.filter(|before| same(before)).map_or(&[], |before| &before.relations);
    for relation in person.relations.iter().filter(|relation| is_link(relation) && !known.contains(relation))
    {
        let other = people.record(relation.person_uid)?.unwrap_or_default();
        let back = backward(relation.kind()).iter().find(|&&kind| has_link(&other, kind, person.uid));
        match (relation.kind(), back) {
            (_, None) => {
                let detail = "a link must stand in both records";
                return Stop::rejected(ErrorReason::EventConflict, &at(draft, "relations"), detail);
            }
            (RelationKind::Child, Some(&kind)) => parent(kind, person, &other, &draft.path)?,
            (kind @ (RelationKind::Father | RelationKind::Mother), _) => {
                parent(kind, &other, person, &draft.path)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether somebody can be the father or mother of a child.
pub(super) fn parent(
    kind: RelationKind,
    parent: &Person,
    child: &Person,
    field: &str,
) -> Result<(), Rejection> {
    let conflict = |detail: &str| Err(rejection(ErrorReason::EventConflict, field, detail));
    match (kind, parent.gender()) {
        (RelationKind::Mother, Gender::Male) => return conflict("a mother is recorded as a woman"),
        (RelationKind::Father, Gender::Female) => return conflict("a father is recorded as a man"),
        _ => {}
    }
    match (&parent.birth_date, &child.birth_date) {
        (Some(parent), Some(child)) if date::surely_before(parent, child) => Ok(()),
        _ => conflict("a parent is born before the child, as far as both dates tell"),
    }
}

/// Whether the record says DECEASED.
pub(super) fn is_dead(person: &Person) -> bool {
    person.physical_status.is_some_and(|status| status.kind() == PhysicalStatusKind::Deceased)
}

/// Refuses whoever is dead or missing.
pub(super) fn alive(person: &Person, field: &str) -> Result<(), Rejection> {
    use PhysicalStatusKind::{Deceased, Missing};
    match person.physical_status.map(|status| status.kind()) {
        Some(Deceased | Missing) => {
            Err(rejection(ErrorReason::PersonInactive, field, "the record says DECEASED or MISSING"))
        }
        _ => Ok(()),
    }
}

fn households<V: View>(people: &People<'_, V>) -> Result<(), Stop<V::Error>> {
    let mut files: BTreeMap<&str, Vec<&Draft>> = BTreeMap::new();
    for draft in people.drafts().values() {
        let after = &draft.after;
        let same = |before: &Person| {
            before.residence_file_no == after.residence_file_no
                && before.household_role == after.household_role
        };
        if !after.residence_file_no.is_empty() && !draft.before().is_some_and(same) {
            files.entry(&after.residence_file_no).or_default().push(draft);
        }
    }
    for (file, entering) in files {
        household(people, file, &entering)?;
    }
    Ok(())
}

/// A household that people enter, or take another role in.
fn household<V: View>(people: &People<'_, V>, file: &str, entering: &[&Draft]) -> Result<(), Stop<V::Error>> {
    // As many as the rule allows, and no more.
    let held = people.view.holders(&Alias::Household(file.to_owned()), usize::MAX).map_err(Stop::View)?;
    let mut members: BTreeSet<u64> = held.into_iter().collect();
    for (&uid, draft) in people.drafts() {
        if draft.after.residence_file_no == file {
            members.insert(uid);
        } else {
            members.remove(&uid);
        }
    }
    let field = at(entering[0], "residence_file_no");
    if members.len() > HOUSEHOLD {
        let detail = format!("at most {HOUSEHOLD} people share a residence file");
        return Stop::rejected(ErrorReason::EventConflict, &field, &detail);
    }
    let is_head = |person: &Person| person.household_role() == HouseholdRole::Head;
    if !entering.iter().any(|draft| is_head(&draft.after)) {
        return Ok(());
    }
    let mut heads = 0;
    for &uid in &members {
        heads += usize::from(match people.drafts().get(&uid) {
            Some(draft) => is_head(&draft.after),
            None => {
                let row = people.view.person(uid).map_err(Stop::View)?;
                row.is_some_and(|row| row.person.as_ref().is_some_and(is_head))
            }
        });
    }
    if heads > 1 {
        let detail = "the household has a head already";
        return Stop::rejected(ErrorReason::EventConflict, &at(entering[0], "household_role"), detail);
    }
    Ok(())
}

fn at(draft: &Draft, field: &str) -> String {
    [&draft.path, ".", field].concat()
}
