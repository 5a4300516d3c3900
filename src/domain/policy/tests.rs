//! What licences let pass, by cases; and that nothing passes by default.

use super::budget::{GUESS_WINDOW_MS, charge, is_spent, reserve};
use super::*;
use crate::domain::error::reason_name;
use crate::domain::fixtures::full_person;
use crate::proto::registry::{
    Address, Attribute as A, ExplainRequest, LegalBasis as B, MatchStrength as S, Operation as O,
    PersonField as F, UnitEdition, VerifyPermission,
};
use crate::proto::store::policy_row::Row as R;

fn bank() -> AccessPolicy {
    let verify =
        |attribute: A, weakest: S| VerifyPermission { attribute: attribute.into(), weakest: weakest.into() };
    AccessPolicy {
        name: "kyc".into(),
        law: "circular 17/2024/TT-NHNN".into(),
        purposes: vec!["account".into()],
        legal_bases: vec![B::Law.into(), B::Consent.into()],
        procedures: vec!["2.002341".into()],
        read: vec![F::BirthName.into(), F::BirthDate.into()],
        verify: vec![verify(A::FullName, S::Folded), verify(A::Age, S::Unspecified)],
        write: vec![F::PhoneNumbers.into()],
        operations: vec![O::Patch.into()],
        sensitive: false,
    }
}

fn agency() -> Agency {
    Agency { agency_id: "BANK".into(), policies: vec!["kyc".into()], ..Agency::default() }
}

fn row(row: R) -> PolicyRow {
    PolicyRow { row: Some(row) }
}

fn policies(agency: Agency) -> Policies {
    Policies::default().with(&row(R::Policy(bank()))).with(&row(R::Agency(agency)))
}

fn context(purpose: &str, basis: B, procedure: &str) -> RequestContext {
    RequestContext {
        purpose: purpose.into(),
        legal_basis: basis.into(),
        procedure_code: procedure.into(),
        ..RequestContext::default()
    }
}

fn good() -> RequestContext {
    context("account", B::Law, "2.002341")
}

fn refused<T>(checked: Result<T, Rejection>) -> &'static str {
    checked.err().map_or("", |rejection| reason_name(rejection.reason()))
}

#[test]
fn nothing_passes_by_default() {
    let none = Policies::default();
    assert_eq!(refused(none.licence("BANK", &good(), |_| None, 1)), "AGENCY_UNKNOWN");
    let without = policies(Agency { policies: Vec::new(), ..agency() });
    assert_eq!(refused(without.licence("BANK", &good(), |_| None, 1)), "PURPOSE_NOT_LICENSED");
    let suspended = policies(Agency { suspended: true, ..agency() });
    assert_eq!(refused(suspended.licence("BANK", &good(), |_| None, 1)), "AGENCY_SUSPENDED");
    assert_eq!(refused(policies(agency()).licence("bank", &good(), |_| None, 1)), "AGENCY_UNKNOWN");
}

#[test]
fn a_policy_covers_its_purposes_bases_and_procedures_alone() {
    let policies = policies(agency());
    #[rustfmt::skip]
    let cases = [
        (good(), ""),
        (context("loan", B::Law, "2.002341"), "PURPOSE_NOT_LICENSED"),
        (context("", B::Law, "2.002341"), "PURPOSE_NOT_LICENSED"),
        (context("account", B::Contract, "2.002341"), "PURPOSE_NOT_LICENSED"),
        (context("account", B::Unspecified, "2.002341"), "PURPOSE_NOT_LICENSED"),
        (context("account", B::Law, ""), "PURPOSE_NOT_LICENSED"),
        (context("account", B::Law, "1.000656"), "PURPOSE_NOT_LICENSED"),
        (context("account", B::Consent, "2.002341"), "CONSENT_MISSING"),
    ];
    for (i, (context, reason)) in cases.into_iter().enumerate() {
        assert_eq!(refused(policies.licence("BANK", &context, |_| None, 1)), reason, "case {i} (from 0)");
    }
}

#[test]
fn a_licence_permits_what_its_policies_name() {
    let licence = policies(agency()).licence("BANK", &good(), |_| None, 1).expect("covered");
    assert_eq!(refused(licence.may_read(&[F::BirthName, F::BirthDate], "")), "");
    assert_eq!(refused(licence.may_read(&[F::BirthName, F::Gender], "")), "ATTRIBUTE_NOT_PERMITTED");
    assert_eq!(refused(licence.may_read_whole()), "ATTRIBUTE_NOT_PERMITTED");
    assert_eq!(refused(licence.may_write(&[F::PhoneNumbers], "")), "");
    assert_eq!(refused(licence.may_write(&[F::BirthName], "")), "ATTRIBUTE_NOT_PERMITTED");
    assert_eq!(refused(licence.may(O::Patch, "")), "");
    assert_eq!(refused(licence.may(O::Find, "")), "OPERATION_NOT_PERMITTED");
    assert_eq!(licence.weakest(A::FullName), Some(S::Folded));
    assert_eq!(licence.weakest(A::Age), Some(S::Canonical));
    assert_eq!(licence.weakest(A::BirthDate), None, "an age may be asked where the date may not");
    assert!(!licence.shows_numbers());
    let everything = Licence::everything();
    assert_eq!(refused(everything.may_read_whole()), "");
    assert_eq!(refused(everything.may(O::Merge, "")), "");
}

#[test]
fn a_consent_limits_to_its_fields_its_person_and_its_time() {
    let consent = ConsentRecord {
        consent_id: "c-1".into(),
        person_uid: 7,
        agency_id: "BANK".into(),
        fields: vec![F::BirthName.into()],
        purposes: vec!["account".into()],
        from_ms: 10,
        until_ms: 20,
        ..ConsentRecord::default()
    };
    let context = RequestContext { consent_id: "c-1".into(), ..context("account", B::Consent, "2.002341") };
    let policies = policies(agency());
    let licence = |consent: ConsentRecord, now| policies.licence("BANK", &context, |_| Some(consent), now);
    let held = licence(consent.clone(), 10).expect("it holds");
    assert_eq!(refused(held.may_read(&[F::BirthName], "")), "");
    assert_eq!(refused(held.may_read(&[F::BirthDate], "")), "ATTRIBUTE_NOT_PERMITTED");
    assert_eq!((held.weakest(A::FullName), held.weakest(A::Age)), (Some(S::Folded), None));
    assert_eq!(refused(held.may(O::Patch, "")), "OPERATION_NOT_PERMITTED");
    assert_eq!(refused(held.of_person(7, "")), "");
    assert_eq!(refused(held.of_person(8, "")), "CONSENT_MISSING");
    #[rustfmt::skip]
    let cases = [
        (consent.clone(), 9), (consent.clone(), 20),
        (ConsentRecord { withdrawn_at_ms: 12, ..consent.clone() }, 13),
        (ConsentRecord { agency_id: "OTHER".into(), ..consent.clone() }, 13),
        (ConsentRecord { purposes: vec!["loan".into()], ..consent }, 13),
    ];
    for (i, (consent, now)) in cases.into_iter().enumerate() {
        assert_eq!(refused(licence(consent, now)), "CONSENT_MISSING", "case {i} (from 0)");
    }
}

#[test]
fn a_province_sees_those_who_live_there_in_either_edition() {
    let licence = |province: &str| {
        let agency = Agency { provinces: vec![province.into()], ..agency() };
        policies(agency).licence("BANK", &good(), |_| None, 1).expect("covered")
    };
    // Lives in 79 of the edition before the merger, which went into 79 of the one after it.
    let person = full_person();
    assert!(licence("79").covers(&person) && !licence("01").covers(&person));
    assert_eq!(refused(licence("01").may_touch(&person, "key")), "PERSON_NOT_FOUND");
    let homeless = crate::proto::registry::Person::default();
    assert!(!licence("79").covers(&homeless), "who lives nowhere known is nobody's");
    let abroad = Address { country: "FR".into(), ..Address::default() };
    assert!(!licence("79").covers_address(&abroad));
    let at = |code: &str| Address {
        unit_code: code.into(),
        unit_edition: UnitEdition::V34.into(),
        ..Address::default()
    };
    assert!(licence("79").covers_address(&at("79")) && !licence("79").covers_address(&at("01")));
}

#[test]
fn sensitive_fields_need_a_policy_that_says_so() {
    let religion = VerifyPermission { attribute: A::Religion.into(), weakest: 0 };
    let cases = [
        AccessPolicy { read: vec![F::Religion.into()], ..bank() },
        AccessPolicy { write: vec![F::BloodType.into()], ..bank() },
        AccessPolicy { verify: vec![religion], ..bank() },
    ];
    for policy in cases {
        assert_eq!(refused(check::policy(&policy)), "FIELD_INVALID");
        assert_eq!(check::policy(&AccessPolicy { sensitive: true, ..policy }), Ok(()));
    }
}

#[test]
fn malformed_policies_name_the_field() {
    let field =
        |checked: Result<(), Rejection>| checked.err().map(|rejection| rejection.field).unwrap_or_default();
    assert_eq!(field(check::policy(&bank())), "");
    let exact = VerifyPermission { attribute: A::FullName.into(), weakest: S::Exact.into() };
    #[rustfmt::skip]
    let cases = [
        (AccessPolicy { name: "Kyc".into(), ..bank() }, "policy.name"),
        (AccessPolicy { law: String::new(), ..bank() }, "policy.law"),
        (AccessPolicy { purposes: vec![], ..bank() }, "policy.purposes"),
        (AccessPolicy { purposes: vec!["a*".into()], ..bank() }, "policy.purposes[0]"),
        (AccessPolicy { legal_bases: vec![], ..bank() }, "policy.legal_bases"),
        (AccessPolicy { legal_bases: vec![99], ..bank() }, "policy.legal_bases[0]"),
        (AccessPolicy { read: vec![0], ..bank() }, "policy.read[0]"),
        (AccessPolicy { verify: vec![exact], ..bank() }, "policy.verify[0].weakest"),
        (AccessPolicy { operations: vec![99], ..bank() }, "policy.operations[0]"),
    ];
    for (policy, expected) in cases {
        assert_eq!(field(check::policy(&policy)), expected);
    }
    let there = policies(agency());
    let unknown = Agency { policies: vec!["other".into()], ..agency() };
    assert_eq!(field(check::agency(&unknown, &there)), "agency.policies[0]");
    let nowhere = Agency { provinces: vec!["03".into()], ..agency() };
    assert_eq!(field(check::agency(&nowhere, &there)), "agency.provinces[0]");
}

#[test]
fn an_explanation_agrees_with_the_decision() {
    let policies = policies(agency());
    let verify =
        |attribute: A, weakest: S| VerifyPermission { attribute: attribute.into(), weakest: weakest.into() };
    let ask = |context: RequestContext, verify: Vec<VerifyPermission>, operations: Vec<i32>| {
        let request =
            ExplainRequest { context: Some(context), verify, operations, ..ExplainRequest::default() };
        explain(&policies, "BANK", &request, |_| None, 1)
    };
    let passes = ask(good(), vec![verify(A::FullName, S::Variant)], vec![O::Patch.into()]);
    assert!(passes.permitted && passes.steps.iter().all(|step| step.passes), "{passes:?}");
    let refused = ask(good(), vec![verify(A::BirthDate, S::Unspecified)], vec![]);
    assert_eq!((refused.permitted, refused.reason()), (false, ErrorReason::AttributeNotPermitted));
    let refused = ask(context("loan", B::Law, ""), vec![], vec![]);
    assert_eq!(refused.reason(), ErrorReason::PurposeNotLicensed);
    assert!(refused.steps.iter().any(|step| step.what == "policy kyc" && !step.passes));
    let refused = ask(good(), vec![verify(A::Age, S::Folded)], vec![]);
    assert_eq!(
        refused.reason(),
        ErrorReason::AttributeNotPermitted,
        "no policy lets it ask for so weak a likeness"
    );
    let refused = ask(good(), vec![], vec![O::Find.into()]);
    assert_eq!(refused.reason(), ErrorReason::OperationNotPermitted);
}

#[test]
fn procedures_that_are_put_take_the_place_of_those_built_in() {
    let built_in = Policies::default().procedure("1.000656").expect("it is built in");
    let put = Procedure { fields: vec![F::BirthName.into()], ..built_in.clone() };
    let changed = Policies::default().with(&row(R::Procedure(put.clone())));
    assert_eq!(changed.procedure("1.000656"), Some(put.clone()));
    assert_eq!(changed.procedures().len(), Policies::default().procedures().len());
    let withdrawn = changed.with(&row(R::Procedure(Procedure { withdrawn: true, ..put })));
    assert_eq!(withdrawn.procedure("1.000656"), None);
}

#[test]
fn each_distinct_wrong_claim_counts_once_and_one_too_many_ends_it() {
    let (row, spent) = charge(None, &[1, 2, 2], 3, 100);
    let row = row.expect("it changed");
    assert_eq!((row.claims.clone(), spent), (vec![1, 2], false));
    assert_eq!(charge(Some(row.clone()), &[2, 1], 3, 200), (None, false), "what is known costs nothing");
    let (row, spent) = charge(Some(row), &[3], 3, 300);
    assert!(!spent);
    let (row, spent) = charge(row, &[4], 3, 400);
    let row = row.expect("it changed");
    assert!(spent && is_spent(&row, 400) && row.claims.len() == 3);
    assert_eq!(charge(Some(row.clone()), &[1], 3, 500), (None, true), "also what is known is refused now");
    assert!(!is_spent(&row, 100 + GUESS_WINDOW_MS));
    let (again, spent) = charge(Some(row), &[9], 3, 100 + GUESS_WINDOW_MS);
    assert_eq!((again.map(|row| row.claims), spent), (Some(vec![9]), false));
}

#[test]
fn a_day_has_so_many_calls() {
    let day = 24 * 60 * 60 * 1000;
    let (row, granted, until) = reserve(None, 60, 100, 5 * day + 3);
    assert_eq!((granted, until), (60, 6 * day));
    let (row, granted, _) = reserve(Some(row), 60, 100, 5 * day + 4);
    assert_eq!(granted, 40);
    let (row, granted, _) = reserve(Some(row), 1, 100, 5 * day + 5);
    assert_eq!((granted, row.calls), (0, 100));
    let (_, granted, _) = reserve(Some(row), 1, 100, 6 * day);
    assert_eq!(granted, 1);
}
