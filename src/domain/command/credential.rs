//! Credentials: issued, replaced, and their status changed.
//!
//! ```text
//! VALID <--> SUSPENDED      both --> REVOKED, for good
//! ```

use super::people::{People, in_use};
use super::{Alias, Stop, View, checks};
use crate::domain::error::rejection;
use crate::proto::registry::change_credential::Change;
use crate::proto::registry::{
    ChangeCredential, Credential, CredentialStatus, CredentialStatusChange, ErrorReason,
};

/// Changes a credential.
pub(super) fn change<V: View>(
    people: &mut People<'_, V>,
    change: &ChangeCredential,
) -> Result<(), Stop<V::Error>> {
    match &change.change {
        Some(Change::Issue(credential)) => issue(people, change, credential),
        Some(Change::Update(credential)) => update(people, credential),
        Some(Change::Status(status)) => set_status(people, status),
        None => Stop::rejected(ErrorReason::FieldInvalid, "change", "name the change"),
    }
}

fn issue<V: View>(
    people: &mut People<'_, V>,
    change: &ChangeCredential,
    credential: &Credential,
) -> Result<(), Stop<V::Error>> {
    let uid = people.name(change.key.as_ref(), "key", "person")?;
    if checks::is_dead(people.get(uid)) {
        return Stop::rejected(ErrorReason::PersonInactive, "key", "the record says DECEASED");
    }
    if holder(people, credential.r#type, &credential.number)?.is_some() {
        let detail = "type and number name a credential that was issued before";
        return Stop::rejected(ErrorReason::IdentifierTaken, "issue.number", detail);
    }
    let mut credential = credential.clone();
    credential.set_status(CredentialStatus::Valid);
    people.edit(uid).credentials.push(credential);
    Ok(())
}

fn update<V: View>(people: &mut People<'_, V>, update: &Credential) -> Result<(), Stop<V::Error>> {
    let credential = held(people, update.r#type, &update.number, "update")?;
    let (status, status_since) = (credential.status, credential.status_since);
    *credential = Credential { status, status_since, ..update.clone() };
    Ok(())
}

fn set_status<V: View>(
    people: &mut People<'_, V>,
    change: &CredentialStatusChange,
) -> Result<(), Stop<V::Error>> {
    people.not_in_future(change.since.as_ref(), "status.since")?;
    let key = change.credential.clone().unwrap_or_default();
    let credential = held(people, key.r#type, &key.number, "status.credential")?;
    use CredentialStatus::{Revoked, Suspended, Unspecified, Valid};
    match (credential.status(), change.status()) {
        (was, is) if was == is && credential.status_since == change.since => return Ok(()),
        (Unspecified | Valid, Suspended | Revoked) | (Suspended, Valid | Revoked) => {}
        _ => {
            let detail = "VALID goes to SUSPENDED and back, and both go to REVOKED, which is the end";
            return Err(rejection(ErrorReason::EventConflict, "status.status", detail).into());
        }
    }
    credential.status = change.status;
    credential.status_since = change.since;
    Ok(())
}

/// The credential of whoever has it, who is drafted.
fn held<'p, V: View>(
    people: &'p mut People<'_, V>,
    kind: i32,
    number: &str,
    field: &str,
) -> Result<&'p mut Credential, Stop<V::Error>> {
    let missing = || rejection(ErrorReason::CredentialNotFound, field, "nobody has such a credential");
    let uid = holder(people, kind, number)?.ok_or_else(missing)?;
    let person = people.take(uid, field, "person")?;
    in_use(person, field)?;
    let found = person.credentials.iter_mut().find(|c| c.r#type == kind && c.number == number);
    Ok(found.ok_or_else(missing)?)
}

fn holder<V: View>(people: &People<'_, V>, kind: i32, number: &str) -> Result<Option<u64>, Stop<V::Error>> {
    let alias = Alias::Credential { kind, number: number.to_owned() };
    Ok(people.view.holders(&alias, 1).map_err(Stop::View)?.first().copied())
}
