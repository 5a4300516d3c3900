//! Policy: who may learn and change what. One decision, made in one place, deny by default:
//!
//! ```text
//! agency of the certificate -> is it licensed, and not suspended?
//! purpose, basis, procedure -> which of its policies cover the call? ---+--> Licence
//! consent, where that is the basis -> does it hold? --------------------+      |  may_read, may_verify, may_write, may
//!                                                                              |  covers (province), of_person (consent)
//!                                                                              v
//!                                                    a read shows it, a write is decided, or neither
//! ```
//!
//! Reads ask the licence at the node that answers, from the state that the answer is read from; writes ask it where they
//! are decided, alike on every node. [`explain()`] tells the same decision in words, by the same code.
//!
//! | file | part |
//! |---|---|
//! | `mod.rs` | all policies in memory, and the licence of a call |
//! | `licence.rs` | what a licence lets pass |
//! | `writes.rs` | what a write needs |
//! | `check.rs` | what an agency, a procedure and a policy must be |
//! | `explain.rs` | the decision in words |
//! | `budget.rs` | how often an agency may guess, and ask |
//!
//! # Deliberately absent
//!
//! * Ranks among policies and rules that deny: what no policy permits is refused, and nothing takes back what one permits.
//! * Officers: an agency answers for its own. Their names are in the audit trail.

pub mod budget;
pub mod check;
mod explain;
mod licence;
#[cfg(test)]
mod tests;
mod writes;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use explain::explain;
pub use licence::{Licence, SENSITIVE};
pub use writes::needs_of;

use super::access;
use super::error::rejection;
use super::fields::Fields;
use crate::proto::registry::{
    AccessPolicy, Agency, Attribute, ConsentRecord, ErrorReason, LegalBasis, MatchStrength, Procedure,
    Rejection, RequestContext,
};
use crate::proto::store::{PolicyRow, policy_row::Row};

/// What names a row of the policy table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyKey {
    /// An agency, by its id.
    Agency(String),
    /// A procedure, by its code.
    Procedure(String),
    /// A policy, by its name.
    Policy(String),
    /// A consent, by its id.
    Consent(String),
    /// The same consent, by the person and its id.
    ConsentOf(u64, String),
    /// What an agency guessed about a person.
    Guesses(String, u64),
    /// What an agency has reserved.
    Calls(String),
}

/// The purpose that covers all.
const ANY: &str = "*";

/// Attributes, by their numbers, with room for some to come.
const ATTRIBUTES: usize = 64;

/// All agencies, procedures and policies. Cheap to clone; a change makes a new one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policies {
    agencies: BTreeMap<String, Arc<Agency>>,
    procedures: BTreeMap<String, Procedure>,
    policies: BTreeMap<String, Arc<Compiled>>,
}

/// A policy as it is asked.
#[derive(Clone, Debug, PartialEq)]
struct Compiled {
    policy: AccessPolicy,
    read: Fields,
    write: Fields,
    /// The weakest likeness that may be asked for, by attribute; UNSPECIFIED where it may not be verified.
    verify: [MatchStrength; ATTRIBUTES],
    /// A bit for each operation.
    operations: u64,
}

impl Compiled {
    fn of(policy: AccessPolicy) -> Self {
        let fields = |fields: &mut dyn Iterator<Item = crate::proto::registry::PersonField>| {
            fields.fold(Fields::NONE, Fields::with)
        };
        let mut verify = [MatchStrength::Unspecified; ATTRIBUTES];
        for permission in &policy.verify {
            if let Some(place) = verify.get_mut(permission.attribute as usize) {
                *place = permission.weakest().max(MatchStrength::Canonical);
            }
        }
        Self {
            read: fields(&mut policy.read()),
            write: fields(&mut policy.write()),
            verify,
            operations: policy.operations().fold(0, |all, operation| all | 1 << (operation as u32)),
            policy,
        }
    }

    /// What of a call this policy does not cover.
    fn uncovered(&self, context: &RequestContext) -> Option<String> {
        let AccessPolicy { purposes, legal_bases, procedures, .. } = &self.policy;
        if !purposes.iter().any(|purpose| purpose == ANY || *purpose == context.purpose) {
            return Some(match context.purpose.as_str() {
                "" => "no purpose is stated".to_owned(),
                _ => "it does not cover this purpose".to_owned(),
            });
        }
        if !legal_bases.contains(&context.legal_basis) {
            let basis = LegalBasis::try_from(context.legal_basis).unwrap_or_default();
            return Some(format!("it does not cover {}", basis.as_str_name()));
        }
        if !procedures.is_empty() && !procedures.contains(&context.procedure_code) {
            return Some("it does not cover this procedure".to_owned());
        }
        None
    }
}

impl Policies {
    /// These with one row more, or in place of an earlier one. Rows that are asked for one by one are not kept here.
    #[must_use]
    pub fn with(&self, row: &PolicyRow) -> Self {
        let mut all = self.clone();
        match &row.row {
            Some(Row::Agency(agency)) => {
                all.agencies.insert(agency.agency_id.clone(), Arc::new(agency.clone()));
            }
            Some(Row::Procedure(procedure)) => {
                all.procedures.insert(procedure.procedure_code.clone(), procedure.clone());
            }
            Some(Row::Policy(policy)) => {
                all.policies.insert(policy.name.clone(), Arc::new(Compiled::of(policy.clone())));
            }
            Some(Row::Consent(_) | Row::Guesses(_) | Row::Calls(_)) | None => {}
        }
        all
    }

    /// Whether rows of this key are kept here.
    pub fn keep(key: &PolicyKey) -> bool {
        matches!(key, PolicyKey::Agency(_) | PolicyKey::Procedure(_) | PolicyKey::Policy(_))
    }

    /// An agency.
    pub fn agency(&self, id: &str) -> Option<&Arc<Agency>> {
        self.agencies.get(id)
    }

    /// All agencies, by id.
    pub fn agencies(&self) -> impl Iterator<Item = &Agency> {
        self.agencies.values().map(AsRef::as_ref)
    }

    /// All policies, by name.
    pub fn policies(&self) -> impl Iterator<Item = &AccessPolicy> {
        self.policies.values().map(|compiled| &compiled.policy)
    }

    /// Whether there is a policy of this name.
    pub fn has_policy(&self, name: &str) -> bool {
        self.policies.contains_key(name)
    }

    /// All procedures in use or withdrawn, by code: those that were put, and those built in that were not.
    pub fn procedures(&self) -> Vec<Procedure> {
        let mut all: BTreeMap<_, _> =
            access::procedures().map(|built_in| (built_in.procedure_code.clone(), built_in)).collect();
        all.extend(self.procedures.clone());
        all.into_values().collect()
    }

    /// The procedure of this code that is in use.
    pub fn procedure(&self, code: &str) -> Option<Procedure> {
        let put = self.procedures.get(code).cloned();
        put.or_else(|| access::procedures().find(|built_in| built_in.procedure_code == code))
            .filter(|procedure| !procedure.withdrawn)
    }

    /// The agency of a call, which must be licensed and not suspended.
    ///
    /// # Errors
    /// `AGENCY_UNKNOWN`, `AGENCY_SUSPENDED`.
    fn licensed(&self, id: &str) -> Result<&Arc<Agency>, Rejection> {
        let agency = self.agency(id).ok_or_else(|| {
            let detail = "no agency of this id is licensed: an operator puts it with \"dancu policy apply\"";
            rejection(ErrorReason::AgencyUnknown, "context.agency_id", detail)
        })?;
        if agency.suspended {
            let detail = "the agency is suspended: it learns and changes nothing until an operator ends that";
            return Err(rejection(ErrorReason::AgencySuspended, "context.agency_id", detail));
        }
        Ok(agency)
    }

    /// What an agency may do in a call of this context. `consent` is the one that the context names, if there is one of
    /// that id.
    ///
    /// # Errors
    /// `AGENCY_UNKNOWN`, `AGENCY_SUSPENDED`, `PURPOSE_NOT_LICENSED`, `CONSENT_MISSING`.
    pub fn licence(
        &self,
        agency_id: &str,
        context: &RequestContext,
        consent: impl FnOnce(&str) -> Option<ConsentRecord>,
        now_ms: u64,
    ) -> Result<Licence, Rejection> {
        let agency = self.licensed(agency_id)?;
        let mut licence = Licence::nothing(agency.clone());
        let mut covered = false;
        for policy in agency.policies.iter().filter_map(|name| self.policies.get(name)) {
            if policy.uncovered(context).is_none() {
                licence.add(policy);
                covered = true;
            }
        }
        if !covered {
            let detail = "no policy of this agency covers a call of this purpose, legal basis and procedure: \
                          Policy.Explain says what each covers";
            return Err(rejection(ErrorReason::PurposeNotLicensed, "context.purpose", detail));
        }
        if context.legal_basis() == LegalBasis::Consent {
            licence.limit_to(consent_for(&context.consent_id, agency_id, context, consent, now_ms)?);
        }
        Ok(licence)
    }
}

/// The consent that a call relies on, if it holds for the agency, the purpose and now.
fn consent_for(
    id: &str,
    agency_id: &str,
    context: &RequestContext,
    find: impl FnOnce(&str) -> Option<ConsentRecord>,
    now_ms: u64,
) -> Result<ConsentRecord, Rejection> {
    let missing = |detail: &str| rejection(ErrorReason::ConsentMissing, "context.consent_id", detail);
    if id.is_empty() {
        return Err(missing("a call on the basis of CONSENT names the consent"));
    }
    // Of a consent for somebody else nothing is told, not even that there is one.
    let consent = find(id).filter(|consent| consent.agency_id == agency_id);
    let consent = consent.ok_or_else(|| missing("there is no such consent for this agency"))?;
    if !in_force(&consent, now_ms) {
        return Err(missing("the consent was withdrawn, or does not hold at this time"));
    }
    if !consent.purposes.contains(&context.purpose) {
        return Err(missing("the consent was not given for this purpose"));
    }
    Ok(consent)
}

/// Whether a consent holds at an instant.
pub fn in_force(consent: &ConsentRecord, now_ms: u64) -> bool {
    consent.withdrawn_at_ms == 0 && (consent.from_ms..consent.until_ms).contains(&now_ms)
}

/// The place of an attribute in a table of them.
fn place(attribute: Attribute) -> usize {
    attribute as usize
}
