//! The electronic identity account: opened, its level changed, locked and unlocked (decree 69/2024/ND-CP).

use super::marriage::younger;
use super::people::People;
use super::{Stop, View, checks};
use crate::domain::error::rejection;
use crate::proto::registry::{
    ChangeEid, CredentialType, EidAccountState, EidLevel, EidState, ErrorReason, PartialDate, Person,
    Rejection,
};

/// The age from which anybody has level 2.
const LEVEL_2: u32 = 6;

/// Changes an account: its state first, then its level.
pub(super) fn change<V: View>(people: &mut People<'_, V>, change: &ChangeEid) -> Result<(), Stop<V::Error>> {
    people.not_in_future(change.on.as_ref(), "on")?;
    let uid = people.name(change.key.as_ref(), "key", "person")?;
    let person = people.edit(uid);
    if change.level() != EidLevel::Unspecified && person.eid_account.is_none() {
        let account = EidAccountState { state: EidState::Unlocked.into(), ..EidAccountState::default() };
        checks::alive(person, "key")?;
        person.eid_account = Some(account);
    }
    set_state(person, change)?;
    if change.level() != EidLevel::Unspecified {
        set_level(person, change.level(), &change.on.unwrap_or_default())?;
    }
    Ok(())
}

fn set_state(person: &mut Person, change: &ChangeEid) -> Result<(), Rejection> {
    if change.state() == EidState::Unlocked {
        checks::alive(person, "key")?;
    }
    let Some(account) = &mut person.eid_account else {
        let detail = "the person has no account: set a level first";
        return Err(rejection(ErrorReason::CredentialNotFound, "key", detail));
    };
    if change.state() != EidState::Unspecified {
        account.state = change.state;
        account.lock_reason.clone_from(&change.lock_reason);
    }
    Ok(())
}

fn set_level(person: &mut Person, level: EidLevel, on: &PartialDate) -> Result<(), Rejection> {
    checks::alive(person, "key")?;
    let conflict = |detail: &str| Err(rejection(ErrorReason::EventConflict, "level", detail));
    if level == EidLevel::EidLevel2 {
        if younger(person, LEVEL_2, on) {
            return conflict("level 2 is for those from six years of age");
        }
        if !person.credentials.iter().any(|credential| is_identity_card(credential.r#type())) {
            return conflict("level 2 is for those who have, or had, an identity card");
        }
    }
    match &mut person.eid_account {
        Some(account) if account.state() == EidState::Locked => {
            Err(rejection(ErrorReason::EidLocked, "level", "the account is locked: unlock it first"))
        }
        account => {
            account.get_or_insert_default().set_level(level);
            Ok(())
        }
    }
}

/// The cards of the laws of 2023 and 2014, and the 12-digit one before them.
fn is_identity_card(kind: CredentialType) -> bool {
    use CredentialType::{CitizenIdCard, Cmnd12, IdentityCard};
    matches!(kind, IdentityCard | CitizenIdCard | Cmnd12)
}
