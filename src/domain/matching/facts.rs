//! Attributes of a few values each.
//!
//! Where the register may hold UNKNOWN it agrees with a claim that it is unknown, and has nothing to say of any other.

use super::finding::{Finding, Judged};
use crate::proto::registry::claim::Value;
use crate::proto::registry::{
    BloodType, EidAccountState, EidLevel, EidState, Gender, HouseholdRole, MaritalStatus, Person,
    PhysicalStatusKind,
};

pub(super) fn gender(held: Gender, value: Option<&Value>) -> Judged {
    let Some(Value::Gender(claimed)) = value else { return Err("takes a gender".into()) };
    let held = stated(held, Gender::Unspecified, Gender::Unknown);
    one_of(held, *claimed, Gender::Unspecified, "MALE, FEMALE or UNKNOWN")
}

pub(super) fn blood_type(held: BloodType, value: Option<&Value>) -> Judged {
    let Some(Value::BloodType(claimed)) = value else { return Err("takes a blood type".into()) };
    let held = stated(held, BloodType::Unspecified, BloodType::Unknown);
    one_of(held, *claimed, BloodType::Unspecified, "A, B, AB, O or UNKNOWN")
}

pub(super) fn marital_status(held: MaritalStatus, value: Option<&Value>) -> Judged {
    let Some(Value::MaritalStatus(claimed)) = value else { return Err("takes a marital status".into()) };
    let held = stated(held, MaritalStatus::Unspecified, MaritalStatus::Unknown);
    let expected = "NEVER_MARRIED, MARRIED, DIVORCED_OR_WIDOWED or UNKNOWN";
    one_of(held, *claimed, MaritalStatus::Unspecified, expected)
}

pub(super) fn household_role(held: HouseholdRole, value: Option<&Value>) -> Judged {
    let Some(Value::HouseholdRole(claimed)) = value else { return Err("takes a household role".into()) };
    let held = if held == HouseholdRole::Unspecified { Held::Nothing } else { Held::Stated(held) };
    one_of(held, *claimed, HouseholdRole::Unspecified, "a role of HouseholdRole")
}

/// That somebody is alive is not written down.
pub(super) fn physical_status(person: &Person, value: Option<&Value>) -> Judged {
    use PhysicalStatusKind::{Alive, Unspecified};
    let Some(Value::PhysicalStatus(claimed)) = value else { return Err("takes a physical status".into()) };
    let held = match person.physical_status.map_or(Unspecified, |status| status.kind()) {
        Unspecified => Alive,
        stated => stated,
    };
    one_of(Held::Stated(held), *claimed, Unspecified, "ALIVE, DECEASED or MISSING")
}

/// An account that may be used, of at least this level. That there is none is a fact: it is not of that level.
pub(super) fn eid_level(held: Option<&EidAccountState>, value: Option<&Value>) -> Judged {
    let Some(Value::EidLevel(claimed)) = value else { return Err("takes a level of an account".into()) };
    if !matches!(EidLevel::try_from(*claimed), Ok(EidLevel::EidLevel1 | EidLevel::EidLevel2)) {
        return Err("EID_LEVEL_1 or EID_LEVEL_2".into());
    }
    Ok(Finding::yes(held.is_some_and(|held| held.state() == EidState::Unlocked && held.level >= *claimed)))
}

/// What a record says of such an attribute.
enum Held<E> {
    Nothing,
    Unknown(E),
    Stated(E),
}

fn stated<E: PartialEq>(held: E, unspecified: E, unknown: E) -> Held<E> {
    if held == unspecified {
        Held::Nothing
    } else if held == unknown {
        Held::Unknown(held)
    } else {
        Held::Stated(held)
    }
}

fn one_of<E: TryFrom<i32> + PartialEq>(
    held: Held<E>,
    claimed: i32,
    unspecified: E,
    expected: &'static str,
) -> Judged {
    let claimed = E::try_from(claimed).ok().filter(|claimed| *claimed != unspecified).ok_or(expected)?;
    Ok(match held {
        Held::Stated(held) => Finding::yes(held == claimed),
        Held::Unknown(held) if held == claimed => Finding::yes(true),
        Held::Unknown(_) | Held::Nothing => Finding::NOT_AVAILABLE,
    })
}
