//! Policies, consents and budgets: what is agreed on about who may ask what.

use super::people::People;
use super::write::{Origin, Stamp};
use super::{Counters, Decision, Effect, Stop, View, decision};
use crate::domain::policy::{Licence, Policies, PolicyKey, budget, check};
use crate::proto::registry::{
    Agency, ConsentRecord, ErrorReason, LegalBasis, Operation, RequestContext, SuspendAgencyRequest,
};
use crate::proto::store::{
    ChargeGuesses, Charged, GrantConsent, PolicyRow, PutPolicyItem, ReservedCalls, policy_row::Row,
    put_policy_item::Item, reply::Reply,
};

/// Puts an agency, a procedure or a policy.
pub(super) fn put<V: View>(
    view: &V,
    counters: Counters,
    put: &PutPolicyItem,
) -> Result<Decision, Stop<V::Error>> {
    let policies = view.policies();
    let (key, row) = match &put.item {
        Some(Item::Agency(agency)) => {
            check::agency(agency, &policies)?;
            // Whoever changes a licence may not know that it is suspended.
            let before =
                policies.agency(&agency.agency_id).map(|agency| Agency::clone(agency)).unwrap_or_default();
            let Agency { suspended, suspended_because, .. } = before;
            let agency = Agency { suspended, suspended_because, ..agency.clone() };
            (PolicyKey::Agency(agency.agency_id.clone()), Row::Agency(agency))
        }
        Some(Item::Procedure(procedure)) => {
            check::procedure(procedure)?;
            (PolicyKey::Procedure(procedure.procedure_code.clone()), Row::Procedure(procedure.clone()))
        }
        Some(Item::Policy(policy)) => {
            check::policy(policy)?;
            (PolicyKey::Policy(policy.name.clone()), Row::Policy(policy.clone()))
        }
        None => {
            return Stop::rejected(
                ErrorReason::FieldInvalid,
                "item",
                "name an agency, a procedure or a policy",
            );
        }
    };
    replace(view, counters, key, row)
}

/// Suspends an agency, or ends that.
pub(super) fn suspend<V: View>(
    view: &V,
    counters: Counters,
    asked: &SuspendAgencyRequest,
) -> Result<Decision, Stop<V::Error>> {
    check::suspension(asked)?;
    let Some(before) = view.policies().agency(&asked.agency_id).cloned() else {
        return Stop::rejected(ErrorReason::FieldInvalid, "agency_id", "no agency of this id is licensed");
    };
    let suspended_because = if asked.suspended { asked.because.clone() } else { String::new() };
    let agency = Agency { suspended: asked.suspended, suspended_because, ..Agency::clone(&before) };
    replace(view, counters, PolicyKey::Agency(asked.agency_id.clone()), Row::Agency(agency))
}

fn replace<V: View>(
    view: &V,
    counters: Counters,
    key: PolicyKey,
    row: Row,
) -> Result<Decision, Stop<V::Error>> {
    let row = PolicyRow { row: Some(row) };
    let changed = view.policy_row(&key).map_err(Stop::View)?.as_ref() != Some(&row);
    let effects = if changed { vec![Effect::PutPolicy { key, row }] } else { Vec::new() };
    Ok(decision(effects, Reply::PolicyChanged(changed), counters))
}

/// What the agency of a command may do; everything where it has not shown who it is.
pub(super) fn licence<V: View>(
    view: &V,
    counters: Counters,
    context: &RequestContext,
    licensed: bool,
) -> Result<Licence, Stop<V::Error>> {
    if !licensed {
        return Ok(Licence::everything());
    }
    let named = match context.legal_basis() {
        LegalBasis::Consent => consent(view, &context.consent_id)?,
        _ => None,
    };
    let policies = view.policies();
    Ok(policies.licence(&context.agency_id, context, |_| named, counters.time_ms)?)
}

fn consent<V: View>(view: &V, id: &str) -> Result<Option<ConsentRecord>, Stop<V::Error>> {
    let row = view.policy_row(&PolicyKey::Consent(id.to_owned())).map_err(Stop::View)?;
    Ok(row.and_then(|row| match row.row {
        Some(Row::Consent(consent)) => Some(consent),
        _ => None,
    }))
}

/// Records a consent, or finds it there already.
pub(super) fn grant<V: View>(
    view: &V,
    counters: Counters,
    origin: Origin<'_>,
    grant: &GrantConsent,
) -> Result<Decision, Stop<V::Error>> {
    origin.licence.may(Operation::GrantConsent, "")?;
    let Some(asked) = &grant.consent else {
        return Stop::rejected(ErrorReason::FieldInvalid, "consent", "is required");
    };
    check::consent(asked)?;
    let stamp = Stamp { revision: counters.revision, origin, position: 0, counters, named: None };
    let person_uid = People::new(view, &stamp).name(grant.key.as_ref(), "key", "key")?;
    let granted_by = origin.context.agency_id.clone();
    let record = ConsentRecord { person_uid, granted_by, withdrawn_at_ms: 0, ..asked.clone() };
    match consent(view, &record.consent_id)? {
        None => Ok(decision(both(&record), Reply::Consent(record), counters)),
        Some(there) if ConsentRecord { withdrawn_at_ms: 0, ..there.clone() } == record => {
            Ok(decision(Vec::new(), Reply::Consent(there), counters))
        }
        Some(_) => {
            let detail = "this id was used for another consent: a consent is not changed, withdraw it and record a new one";
            Stop::rejected(ErrorReason::FieldInvalid, "consent.consent_id", detail)
        }
    }
}

/// Ends a consent.
pub(super) fn withdraw<V: View>(
    view: &V,
    counters: Counters,
    origin: Origin<'_>,
    id: &str,
) -> Result<Decision, Stop<V::Error>> {
    let may = |there: &ConsentRecord| {
        there.agency_id == origin.context.agency_id || origin.licence.may(Operation::GrantConsent, "").is_ok()
    };
    let Some(there) = consent(view, id)?.filter(may) else {
        let detail = "there is no such consent that this agency may see";
        return Stop::rejected(ErrorReason::ConsentUnknown, "consent_id", detail);
    };
    if there.withdrawn_at_ms != 0 {
        return Ok(decision(Vec::new(), Reply::Consent(there), counters));
    }
    let record = ConsentRecord { withdrawn_at_ms: counters.time_ms.max(1), ..there };
    Ok(decision(both(&record), Reply::Consent(record), counters))
}

/// A consent, to be found by its id and by its person.
fn both(record: &ConsentRecord) -> Vec<Effect> {
    let row = PolicyRow { row: Some(Row::Consent(record.clone())) };
    let id = &record.consent_id;
    [PolicyKey::Consent(id.clone()), PolicyKey::ConsentOf(record.person_uid, id.clone())]
        .map(|key| Effect::PutPolicy { key, row: row.clone() })
        .to_vec()
}

/// The agency of a command about its own budgets.
fn agency<E>(policies: &Policies, context: &RequestContext) -> Result<Agency, Stop<E>> {
    match policies.agency(&context.agency_id) {
        Some(agency) => Ok(Agency::clone(agency)),
        None => Stop::rejected(
            ErrorReason::AgencyUnknown,
            "context.agency_id",
            "no agency of this id is licensed",
        ),
    }
}

/// Counts wrong claims.
pub(super) fn charge<V: View>(
    view: &V,
    counters: Counters,
    context: &RequestContext,
    charge: &ChargeGuesses,
) -> Result<Decision, Stop<V::Error>> {
    let agency = agency(&view.policies(), context)?;
    let most = budget::guesses_of(&agency);
    let (mut effects, mut refused) = (Vec::new(), Vec::with_capacity(charge.people.len()));
    let mut charged: Vec<u64> = charge.people.iter().map(|person| person.person_uid).collect();
    charged.sort_unstable();
    if charged.windows(2).any(|pair| pair[0] == pair[1]) {
        return Stop::rejected(ErrorReason::FieldInvalid, "people", "each person once");
    }
    for person in &charge.people {
        let key = PolicyKey::Guesses(agency.agency_id.clone(), person.person_uid);
        let row = match view.policy_row(&key).map_err(Stop::View)?.and_then(|row| row.row) {
            Some(Row::Guesses(row)) => Some(row),
            _ => None,
        };
        let (after, spent) = budget::charge(row, &person.claims, most, counters.time_ms);
        refused.push(spent);
        if let Some(row) = after {
            effects.push(Effect::PutPolicy { key, row: PolicyRow { row: Some(Row::Guesses(row)) } });
        }
    }
    Ok(decision(effects, Reply::Charged(Charged { refused }), counters))
}

/// Grants calls of today.
pub(super) fn reserve<V: View>(
    view: &V,
    counters: Counters,
    context: &RequestContext,
    calls: u64,
) -> Result<Decision, Stop<V::Error>> {
    let agency = agency(&view.policies(), context)?;
    let key = PolicyKey::Calls(agency.agency_id.clone());
    let row = match view.policy_row(&key).map_err(Stop::View)?.and_then(|row| row.row) {
        Some(Row::Calls(row)) => Some(row),
        _ => None,
    };
    let (after, calls, until_ms) = budget::reserve(row, calls, agency.calls_per_day, counters.time_ms);
    let effects = if calls == 0 {
        Vec::new()
    } else {
        vec![Effect::PutPolicy { key, row: PolicyRow { row: Some(Row::Calls(after)) } }]
    };
    Ok(decision(effects, Reply::Reserved(ReservedCalls { calls, until_ms }), counters))
}
