//! VerifyCredential: whether a paper is in force, and whether its holder is whom it is shown by.

use tonic::Status;

use super::super::lookup::Lookup;
use super::super::status;
use super::claims;
use crate::domain::policy::Licence;
use crate::domain::{credential, validate};
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{
    CredentialVerdict, ErrorReason, Operation, PersonKey, VerifyCredentialRequest, VerifyCredentialResponse,
};

/// The verdict on a credential. One that nobody has is UNKNOWN: an answer, and no error.
pub async fn verify(
    call: &Lookup,
    request: VerifyCredentialRequest,
) -> Result<VerifyCredentialResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let named = status::required(request.credential, "credential")?;
    let on = validate::credential_key(named.r#type, &named.number, "credential")
        .and_then(|()| validate::holder_claims(&request.holder_claims))
        .and_then(|()| validate::day(request.on.as_ref(), "on"))
        .map_err(|rejection| status::rejected(&rejection))?;
    let need = |licence: &Licence| {
        licence.may(Operation::VerifyCredential, "")?;
        licence.may_verify_some(&request.holder_claims, "holder_claims")
    };
    let view = call.read(request.options.as_ref(), need).await?;
    let key = PersonKey { key: Some(Key::Credential(named.clone())) };
    let holder = match view.person(&key, "credential")? {
        Ok(holder) => holder,
        Err(missing) if missing.reason() == ErrorReason::PersonNotFound => {
            call.trail().came_to(CredentialVerdict::Unknown.as_str_name());
            return Ok(VerifyCredentialResponse {
                meta: Some(call.meta_of_read(&view, 0)),
                verdict: CredentialVerdict::Unknown.into(),
                ..VerifyCredentialResponse::default()
            });
        }
        Err(other) => return Err(status::rejected_at(&other, view.revision())),
    };
    let mut all = holder.person.credentials.iter();
    let held = all.find(|held| held.r#type == named.r#type && held.number == named.number);
    let held = held.ok_or_else(|| status::broken("a credential leads to a person who does not have it"))?;
    let verdict = credential::verdict(held, &on);
    let (holder_verdicts, all_match, wrong) = claims::judged(&view, &holder.person, &request.holder_claims)?
        .map_err(|refused| status::rejected_at(&refused, view.revision()))?;
    call.trail().came_to(verdict.as_str_name());
    call.trail().judged(holder.person.uid, &holder_verdicts);
    claims::told(call, &view, wrong).await?;
    Ok(VerifyCredentialResponse {
        meta: Some(call.meta_of_read(&view, holder.person.record_revision)),
        verdict: verdict.into(),
        credential_class: held.credential_class.clone(),
        expires_on: held.expires_on,
        all_match: all_match && verdict == CredentialVerdict::InForce,
        holder_verdicts,
    })
}
