//! VerifyIdentifierLink and ResolveIdentifier: what personal ids and CMND numbers have to do with each other.

use tonic::Status;

use super::super::budget::Wrong;
use super::super::lookup::Lookup;
use super::super::read::Found;
use super::super::status;
use super::claims;
use crate::domain::command::Alias;
use crate::domain::policy::{Licence, budget};
use crate::domain::validate;
use crate::proto::registry::claim::Value;
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{
    Attribute, Claim, IdentifierLink, IdentifierStatus, Person, PersonField, PersonKey,
    ResolveIdentifierRequest, ResolveIdentifierResponse, VerifyIdentifierLinkRequest,
    VerifyIdentifierLinkResponse,
};

/// Whether a CMND number and a personal id are one person's. A number that is nobody's is linked to nothing: that is
/// an answer, and no error.
pub async fn link(
    call: &Lookup,
    request: VerifyIdentifierLinkRequest,
) -> Result<VerifyIdentifierLinkResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    validate::old_id(&request.old_id_number, "old_id_number")
        .and_then(|()| validate::personal_id(&request.personal_id, "personal_id"))
        .map_err(|rejection| status::rejected(&rejection))?;
    let need = |licence: &Licence| licence.may_verify(&[Attribute::OldIdNumber], "old_id_number");
    let view = call.read(request.options.as_ref(), need).await?;
    let key = PersonKey { key: Some(Key::PersonalId(request.personal_id)) };
    let Ok(Found { person, resolution }) = view.person(&key, "personal_id")? else {
        let meta = Some(call.meta_of_read(&view, 0));
        let link = IdentifierLink::NotLinked;
        call.trail().came_to(link.as_str_name());
        return Ok(VerifyIdentifierLinkResponse { meta, link: link.into(), resolution: None });
    };
    let known =
        view.known_of(person.uid)?.map_err(|refused| status::rejected_at(&refused, view.revision()))?;
    let mut wrong = Wrong::default();
    let link = if person.old_id_numbers.contains(&request.old_id_number) {
        // A number of several people does not tell which.
        let number = Alias::OldId(request.old_id_number);
        if view.is_of_one_person(&number)? { IdentifierLink::Linked } else { IdentifierLink::Ambiguous }
    } else {
        let claim = Claim {
            attribute: Attribute::OldIdNumber.into(),
            value: Some(Value::Text(request.old_id_number)),
            ..Claim::default()
        };
        wrong.add(person.uid, budget::digest_of(person.uid, &claim), &known);
        IdentifierLink::NotLinked
    };
    call.trail().came_to(link.as_str_name());
    claims::told(call, &view, wrong).await?;
    Ok(VerifyIdentifierLinkResponse {
        meta: Some(call.meta_of_read(&view, person.record_revision)),
        link: link.into(),
        resolution: Some(resolution),
    })
}

/// What became of a personal id.
pub async fn resolve(
    call: &Lookup,
    request: ResolveIdentifierRequest,
) -> Result<ResolveIdentifierResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    validate::personal_id(&request.personal_id, "personal_id")
        .map_err(|rejection| status::rejected(&rejection))?;
    let need = |licence: &Licence| {
        licence.may_read(&[PersonField::PersonalId, PersonField::CancelledPersonalIds], "")
    };
    let view = call.read(request.options.as_ref(), need).await?;
    let key = PersonKey { key: Some(Key::PersonalId(request.personal_id.clone())) };
    let Found { person, .. } = view.only(&key, "personal_id")?;
    let (status, chain) = fate(&person, &request.personal_id);
    call.trail().came_to(status.as_str_name());
    Ok(ResolveIdentifierResponse {
        meta: Some(call.meta_of_read(&view, person.record_revision)),
        status: status.into(),
        chain,
        person_uid: person.uid,
    })
}

/// What became of one of a person's numbers, and those that followed it. A record lists its cancelled numbers in the
/// order in which they ended, the active one comes after them all.
fn fate(person: &Person, number: &str) -> (IdentifierStatus, Vec<String>) {
    if person.personal_id == number {
        return (IdentifierStatus::Active, Vec::new());
    }
    let cancelled = &person.cancelled_personal_ids;
    let ended = cancelled.iter().position(|id| id == number).map_or(cancelled.len(), |place| place + 1);
    let active = Some(&person.personal_id).filter(|id| !id.is_empty());
    let chain: Vec<_> = cancelled[ended..].iter().chain(active).cloned().collect();
    let status = if chain.is_empty() { IdentifierStatus::Cancelled } else { IdentifierStatus::Superseded };
    (status, chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_each_other_in_the_order_in_which_they_ended() {
        let person = |cancelled: &[&str], active: &str| Person {
            personal_id: active.to_owned(),
            cancelled_personal_ids: cancelled.iter().map(ToString::to_string).collect(),
            ..Person::default()
        };
        let cases = [
            (person(&[], "c"), "c", IdentifierStatus::Active, vec![]),
            (person(&["a", "b"], "c"), "a", IdentifierStatus::Superseded, vec!["b", "c"]),
            (person(&["a", "b"], "c"), "b", IdentifierStatus::Superseded, vec!["c"]),
            (person(&["a", "b"], ""), "a", IdentifierStatus::Superseded, vec!["b"]),
            (person(&["a", "b"], ""), "b", IdentifierStatus::Cancelled, vec![]),
        ];
        for (person, number, status, chain) in cases {
            assert_eq!(fate(&person, number), (status, chain.iter().map(ToString::to_string).collect()));
        }
    }
}
