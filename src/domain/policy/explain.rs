//! The decision in words: the checks of a call, one after the other, by the code that makes them.

use super::licence::{name, short};
use super::{Licence, Policies};
use crate::proto::registry::{
    ConsentRecord, ErrorReason, ExplainRequest, ExplainResponse, ExplainStep, MatchStrength, Rejection,
    RequestContext,
};

/// Says whether a call of an agency would pass and why. `consent` finds a consent by its id.
pub fn explain(
    policies: &Policies,
    agency_id: &str,
    request: &ExplainRequest,
    consent: impl FnOnce(&str) -> Option<ConsentRecord>,
    now_ms: u64,
) -> ExplainResponse {
    let absent = RequestContext::default();
    let context = request.context.as_ref().unwrap_or(&absent);
    let mut told = Told::default();
    let Some(agency) = told.check("agency", policies.licensed(agency_id), "licensed and not suspended")
    else {
        return told.answer();
    };
    if agency.policies.is_empty() {
        told.note("policies", false, "the agency has none");
    }
    for name in &agency.policies {
        let Some(policy) = policies.policies.get(name) else { continue };
        let what = format!("policy {name}");
        match policy.uncovered(context) {
            None => told.note(&what, true, &format!("covers the call, under {}", policy.policy.law)),
            Some(why) => told.note(&what, false, &why),
        }
    }
    let licence = policies.licence(agency_id, context, consent, now_ms);
    let covered = "at least one policy covers the call, and the consent holds where that is the basis";
    let Some(licence) = told.check("purpose, legal basis, procedure", licence, covered) else {
        return told.answer();
    };
    told.each_part(&licence, request);
    if !licence.agency().is_none_or(|agency| agency.provinces.is_empty()) {
        told.note("provinces", true, "people who live elsewhere are not found");
    }
    told.answer()
}

/// What was told so far.
#[derive(Default)]
struct Told {
    steps: Vec<ExplainStep>,
    reason: ErrorReason,
}

impl Told {
    fn note(&mut self, what: &str, passes: bool, because: &str) {
        self.steps.push(ExplainStep { what: what.to_owned(), passes, because: because.to_owned() });
    }

    /// Tells a check; the first that fails gives the reason.
    fn check<T>(&mut self, what: &str, checked: Result<T, Rejection>, passes: &str) -> Option<T> {
        match checked {
            Ok(found) => {
                self.note(what, true, passes);
                Some(found)
            }
            Err(refused) => {
                self.note(what, false, &refused.detail);
                if self.reason == ErrorReason::Unspecified {
                    self.reason = refused.reason();
                }
                None
            }
        }
    }

    fn each_part(&mut self, licence: &Licence, request: &ExplainRequest) {
        const PERMITTED: &str = "permitted by a policy that covers the call";
        for field in request.read() {
            self.check(&format!("read {}", name(field)), licence.may_read(&[field], ""), PERMITTED);
        }
        for asked in &request.verify {
            let attribute = asked.attribute();
            let what = format!("verify {}", short(attribute.as_str_name(), "ATTRIBUTE_"));
            if self.check(&what, licence.may_verify(&[attribute], ""), PERMITTED).is_none() {
                continue;
            }
            let weakest = licence.weakest(attribute).unwrap_or_default();
            let (wanted, what) = (
                asked.weakest(),
                format!("{what} as {}", short(asked.weakest().as_str_name(), "MATCH_STRENGTH_")),
            );
            if wanted > MatchStrength::Canonical {
                let passes = wanted <= weakest;
                let because = if passes { PERMITTED } else { "no policy lets so weak a likeness count" };
                self.note(&what, passes, because);
                if !passes && self.reason == ErrorReason::Unspecified {
                    self.reason = ErrorReason::AttributeNotPermitted;
                }
            }
        }
        for field in request.write() {
            self.check(&format!("write {}", name(field)), licence.may_write(&[field], ""), PERMITTED);
        }
        for operation in request.operations() {
            self.check(&short(operation.as_str_name(), "OPERATION_"), licence.may(operation, ""), PERMITTED);
        }
    }

    fn answer(self) -> ExplainResponse {
        ExplainResponse {
            meta: None,
            permitted: self.reason == ErrorReason::Unspecified,
            reason: self.reason.into(),
            steps: self.steps,
        }
    }
}
