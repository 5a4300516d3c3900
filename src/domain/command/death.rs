//! A death, or the declaration that somebody is missing.

use super::marriage;
use super::people::People;
use super::{Stop, View, checks};
use crate::domain::date;
use crate::proto::registry::{
    Death, EidState, ErrorReason, HouseholdRole, PhysicalStatus, PhysicalStatusKind,
};

/// Why the account of somebody who died is locked.
pub(super) const LOCKED_BECAUSE: &str = "deceased";

/// Records it. A death ends the marriage and the place in the household, and locks the account.
pub(super) fn death<V: View>(people: &mut People<'_, V>, death: &Death) -> Result<(), Stop<V::Error>> {
    let uid = people.name(death.person.as_ref(), "death.person", "death.person")?;
    people.not_in_future(death.on.as_ref(), "death.on")?;
    let kind = if death.missing { PhysicalStatusKind::Missing } else { PhysicalStatusKind::Deceased };
    let status = PhysicalStatus { kind: kind.into(), since: death.on };
    let person = people.edit(uid);
    if person.physical_status == Some(status) {
        return Ok(());
    }
    if checks::is_dead(person) {
        let detail = "the record says DECEASED already, since another day";
        return Stop::rejected(ErrorReason::EventConflict, "death.person", detail);
    }
    if let (Some(on), Some(born)) = (&death.on, &person.birth_date)
        && date::surely_before(on, born)
    {
        return Stop::rejected(ErrorReason::EventConflict, "death.on", "must not be before the birth");
    }
    person.physical_status = Some(status);
    if death.missing {
        return Ok(());
    }
    person.residence_file_no.clear();
    person.set_household_role(HouseholdRole::Unspecified);
    if let Some(account) = &mut person.eid_account {
        account.set_state(EidState::Locked);
        LOCKED_BECAUSE.clone_into(&mut account.lock_reason);
    }
    marriage::end(people, uid, "death.person")
}
