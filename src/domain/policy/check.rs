//! What an agency, a procedure, a policy and a consent must be.

use super::{ANY, Policies, SENSITIVE};
use crate::domain::error::rejection;
use crate::domain::matching;
use crate::domain::validate::AGENCY_CHARS;
use crate::domain::{text, units};
use crate::proto::registry::{
    AccessPolicy, Agency, Attribute, ConsentRecord, ErrorReason, LegalBasis, MatchStrength, Operation,
    PersonField, Procedure, Rejection, SuspendAgencyRequest, UnitEdition,
};

type Checked = Result<(), Rejection>;

/// The longest period of a consent: ten years.
const CONSENT_MS: u64 = 3653 * 24 * 60 * 60 * 1000;

fn refuse<T>(field: impl Into<String>, detail: impl Into<String>) -> Result<T, Rejection> {
    Err(rejection(ErrorReason::FieldInvalid, field, detail))
}

/// A text of so many characters, all printable.
fn line(value: &str, field: &str, least: usize, most: usize) -> Checked {
    let long = text::longer_than(value, most);
    if value.chars().count() < least || long || text::check_free(value).is_err() {
        return refuse(field, format!("{least} to {most} printable characters"));
    }
    Ok(())
}

fn count(field: &str, items: usize, least: usize, most: usize) -> Checked {
    if (least..=most).contains(&items) { Ok(()) } else { refuse(field, format!("{least} to {most} items")) }
}

/// Each a known value that is not the unspecified one.
fn known(numbers: &[i32], field: &str, is_known: impl Fn(i32) -> bool) -> Checked {
    match numbers.iter().position(|number| *number == 0 || !is_known(*number)) {
        Some(i) => refuse(format!("{field}[{i}]"), "not a known value"),
        None => Ok(()),
    }
}

fn fields(numbers: &[i32], field: &str) -> Checked {
    known(numbers, field, |number| PersonField::try_from(number).is_ok())
}

/// The licence of an agency, beside the policies that there are.
pub fn agency(agency: &Agency, policies: &Policies) -> Checked {
    line(&agency.agency_id, "agency.agency_id", 1, AGENCY_CHARS)?;
    line(&agency.name, "agency.name", 0, 200)?;
    count("agency.policies", agency.policies.len(), 0, 32)?;
    if let Some(i) = agency.policies.iter().position(|name| !policies.has_policy(name)) {
        return refuse(format!("agency.policies[{i}]"), "there is no policy of this name: put it first");
    }
    if agency.guesses_per_person > 1000 {
        return refuse("agency.guesses_per_person", "at most 1000");
    }
    count("agency.provinces", agency.provinces.len(), 0, 34)?;
    let is_province = |code: &String| {
        code.len() == 2 && units::find(UnitEdition::V34, code).is_some_and(|unit| unit.province_code == *code)
    };
    match agency.provinces.iter().position(|code| !is_province(code)) {
        Some(i) => {
            refuse(format!("agency.provinces[{i}]"), "2 digits of a province of the edition of 1 July 2025")
        }
        None => Ok(()),
    }
}

/// A procedure.
pub fn procedure(procedure: &Procedure) -> Checked {
    line(&procedure.procedure_code, "procedure.procedure_code", 1, 20)?;
    line(&procedure.purpose, "procedure.purpose", 1, 200)?;
    line(&procedure.law, "procedure.law", 1, 200)?;
    count("procedure.fields", procedure.fields.len(), 1, 32)?;
    fields(&procedure.fields, "procedure.fields")
}

/// A policy.
pub fn policy(policy: &AccessPolicy) -> Checked {
    line(&policy.name, "policy.name", 1, 40)?;
    if !policy.name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.')) {
        return refuse("policy.name", "a to z, 0 to 9, \"-\" and \".\" only");
    }
    line(&policy.law, "policy.law", 1, 200)?;
    count("policy.purposes", policy.purposes.len(), 1, 32)?;
    for (i, purpose) in policy.purposes.iter().enumerate() {
        line(purpose, &format!("policy.purposes[{i}]"), 1, 200)?;
        if purpose.contains('*') && purpose != ANY {
            return refuse(format!("policy.purposes[{i}]"), "\"*\" stands alone, for every purpose");
        }
    }
    count("policy.legal_bases", policy.legal_bases.len(), 1, 7)?;
    if let Some(i) = policy.legal_bases.iter().position(|basis| LegalBasis::try_from(*basis).is_err()) {
        return refuse(format!("policy.legal_bases[{i}]"), "not a known value");
    }
    count("policy.procedures", policy.procedures.len(), 0, 64)?;
    for (i, code) in policy.procedures.iter().enumerate() {
        line(code, &format!("policy.procedures[{i}]"), 1, 20)?;
    }
    fields(&policy.read, "policy.read")?;
    fields(&policy.write, "policy.write")?;
    known(&policy.operations, "policy.operations", |number| Operation::try_from(number).is_ok())?;
    for (i, permission) in policy.verify.iter().enumerate() {
        let field = format!("policy.verify[{i}]");
        known(&[permission.attribute], &field, |number| Attribute::try_from(number).is_ok())?;
        use MatchStrength::{Canonical, Folded, Unspecified, Variant};
        let weakest = MatchStrength::try_from(permission.weakest);
        if !matches!(weakest, Ok(Unspecified | Canonical | Variant | Folded)) {
            return refuse(format!("{field}.weakest"), "CANONICAL, VARIANT or FOLDED");
        }
    }
    if policy.sensitive { Ok(()) } else { nothing_sensitive(policy) }
}

fn nothing_sensitive(policy: &AccessPolicy) -> Checked {
    const DETAIL: &str = "is sensitive: a policy that permits it says so by \"sensitive\"";
    for (list, field) in [(&policy.read, "policy.read"), (&policy.write, "policy.write")] {
        let sensitive = |number: &i32| SENSITIVE.iter().any(|field| *field as i32 == *number);
        if let Some(i) = list.iter().position(sensitive) {
            return refuse(format!("{field}[{i}]"), DETAIL);
        }
    }
    let sensitive = |attribute| matching::held_in(attribute).iter().any(|field| SENSITIVE.contains(field));
    match policy.verify.iter().position(|permission| sensitive(permission.attribute())) {
        Some(i) => refuse(format!("policy.verify[{i}]"), DETAIL),
        None => Ok(()),
    }
}

/// A suspension.
pub fn suspension(request: &SuspendAgencyRequest) -> Checked {
    line(&request.agency_id, "agency_id", 1, AGENCY_CHARS)?;
    line(&request.because, "because", usize::from(request.suspended), 200)
}

/// A consent, as far as it depends on nobody's record.
pub fn consent(consent: &ConsentRecord) -> Checked {
    consent_id(&consent.consent_id, "consent.consent_id")?;
    line(&consent.agency_id, "consent.agency_id", 1, AGENCY_CHARS)?;
    count("consent.fields", consent.fields.len(), 1, 32)?;
    fields(&consent.fields, "consent.fields")?;
    count("consent.purposes", consent.purposes.len(), 1, 8)?;
    for (i, purpose) in consent.purposes.iter().enumerate() {
        line(purpose, &format!("consent.purposes[{i}]"), 1, 200)?;
        if purpose.contains('*') {
            return refuse(format!("consent.purposes[{i}]"), "nobody consents to every purpose: name it");
        }
    }
    if consent.until_ms <= consent.from_ms || consent.until_ms - consent.from_ms > CONSENT_MS {
        return refuse("consent.until_ms", "later than from_ms, by ten years at most");
    }
    Ok(())
}

/// The id of a consent.
pub fn consent_id(id: &str, field: &str) -> Checked {
    line(id, field, 1, 40)
}
