//! A move: people take one address, and for the permanent one the household that goes with it.

use std::collections::BTreeSet;

use super::people::People;
use super::{Stop, View, checks};
use crate::domain::error::rejection;
use crate::proto::registry::{ErrorReason, Move, Mover, Person, ResidenceKind, TemporaryResidence};

/// Records it.
pub(super) fn change<V: View>(people: &mut People<'_, V>, change: &Move) -> Result<(), Stop<V::Error>> {
    let mut named = BTreeSet::new();
    for (i, mover) in change.movers.iter().enumerate() {
        let field = format!("move.movers[{i}].person");
        let uid = people.name(mover.person.as_ref(), &field, "move")?;
        if !named.insert(uid) {
            return Stop::rejected(ErrorReason::FieldInvalid, &field, "moves twice");
        }
        let person = people.edit(uid);
        if checks::is_dead(person) {
            return Err(rejection(ErrorReason::PersonInactive, field, "the record says DECEASED").into());
        }
        settle(person, change, mover);
    }
    Ok(())
}

fn settle(person: &mut Person, change: &Move, mover: &Mover) {
    match change.kind() {
        ResidenceKind::Permanent => {
            person.permanent_residence.clone_from(&change.to);
            person.residence_file_no.clone_from(&change.residence_file_no);
            person.household_role = mover.household_role;
        }
        ResidenceKind::Temporary => {
            let Move { to: address, since, until, .. } = change.clone();
            let residence = TemporaryResidence { address, since, until };
            if !person.temporary_residences.contains(&residence) {
                person.temporary_residences.push(residence);
            }
        }
        ResidenceKind::Current => person.current_residence.clone_from(&change.to),
        // Refused by `validate::frame`.
        ResidenceKind::Unspecified => {}
    }
}
