//! Policies, consents and budgets as commands, and what a licensed write may do.

use super::model::Register;
use super::tests::{create, patch};
use super::*;
use crate::domain::fixtures::{context, plain_person};
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{
    AccessPolicy, Address, Agency, Atomicity, ConsentRecord, LegalBasis, Operation, Person, PersonField,
    PersonKey, SuspendAgencyRequest, UnitEdition, Write,
};
use crate::proto::store::{
    ChargeGuesses, Charged, GrantConsent, Guesses, PutPolicyItem, ReservedCalls, WriteSet,
    put_policy_item::Item, reply::Reply as Answer,
};

const A: &str = "001090000001";
const B: &str = "001090000002";

fn put(item: Item) -> Op {
    Op::PutPolicy(PutPolicyItem { item: Some(item) })
}

fn policy(operations: &[Operation], write: &[PersonField]) -> AccessPolicy {
    AccessPolicy {
        name: "p".into(),
        law: "a law".into(),
        purposes: vec!["*".into()],
        legal_bases: vec![LegalBasis::Unspecified.into()],
        write: write.iter().map(|field| (*field).into()).collect(),
        operations: operations.iter().map(|operation| (*operation).into()).collect(),
        ..AccessPolicy::default()
    }
}

fn agency() -> Agency {
    Agency { agency_id: context().agency_id, policies: vec!["p".into()], ..Agency::default() }
}

fn lives(person: Person, province: &str) -> Person {
    let permanent_residence =
        Address { unit_code: province.into(), unit_edition: UnitEdition::V34.into(), ..Address::default() };
    Person { permanent_residence: Some(permanent_residence), ..person }
}

/// A register with one person in each of two provinces, and the agency with a policy.
fn register(operations: &[Operation], write: &[PersonField], agency: Agency) -> Register {
    let mut register = Register::default();
    register.write(create(lives(plain_person("Lan", A), "79")));
    register.write(create(lives(plain_person("Hoa", B), "01")));
    register.run(put(Item::Policy(policy(operations, write))));
    assert_eq!(register.run(put(Item::Agency(agency))).reply, Some(Answer::PolicyChanged(true)));
    register
}

/// What a command of the agency, which has shown who it is, is rejected with; empty when it is not.
fn licensed(register: &mut Register, op: Op) -> String {
    let command = Command { context: Some(context()), op: Some(op), licensed: true, ..Command::default() };
    let rejection = match register.run_as(command).reply {
        Some(Answer::Rejected(rejection)) => rejection,
        Some(Answer::Write(WriteOutcome { outcome: Some(Outcome::Rejected(rejection)) })) => rejection,
        _ => return String::new(),
    };
    format!("{} {}", crate::domain::error::reason_name(rejection.reason()), rejection.field)
}

fn phone(uid: u64) -> Write {
    let person = Person { phone_numbers: vec!["0901234567".into()], ..Person::default() };
    patch(Key::PersonUid(uid), &["phone_numbers"], person, 0)
}

#[test]
fn a_licensed_write_does_what_the_policies_permit() {
    let mut bare = Register::default();
    assert_eq!(licensed(&mut bare, Op::Write(phone(1))), "AGENCY_UNKNOWN context.agency_id");
    let mut register = register(&[Operation::Patch], &[PersonField::PhoneNumbers], agency());
    assert_eq!(licensed(&mut register, Op::Write(phone(1))), "");
    let named = Person { email_addresses: vec!["lan@example.vn".into()], ..Person::default() };
    let other = patch(Key::PersonUid(1), &["email_addresses"], named, 0);
    assert_eq!(
        licensed(&mut register, Op::Write(other.clone())),
        "ATTRIBUTE_NOT_PERMITTED patch.update_mask"
    );
    let new = create(plain_person("Mai", "001090000003"));
    assert_eq!(licensed(&mut register, Op::Write(new)), "OPERATION_NOT_PERMITTED ");
    // One that is not permitted fails the batch, whatever its atomicity.
    let set = WriteSet { writes: vec![phone(2), other], atomicity: Atomicity::Each.into() };
    let rejected = "ATTRIBUTE_NOT_PERMITTED writes[1].patch.update_mask";
    assert_eq!(licensed(&mut register, Op::WriteSet(set)), rejected);
    assert!(register.persons[&2].person.as_ref().is_some_and(|person| person.phone_numbers.is_empty()));
}

fn suspend(suspended: bool) -> Op {
    let because = "an inquiry".into();
    Op::SuspendAgency(SuspendAgencyRequest { agency_id: context().agency_id, suspended, because })
}

#[test]
fn a_suspension_outlives_a_change_of_the_licence() {
    let mut register = register(&[Operation::Patch], &[PersonField::PhoneNumbers], agency());
    assert_eq!(register.run(suspend(true)).reply, Some(Answer::PolicyChanged(true)));
    assert_eq!(register.run(suspend(true)).reply, Some(Answer::PolicyChanged(false)));
    register.run(put(Item::Agency(Agency { name: "renamed".into(), ..agency() })));
    assert_eq!(licensed(&mut register, Op::Write(phone(1))), "AGENCY_SUSPENDED context.agency_id");
    register.run(suspend(false));
    assert_eq!(licensed(&mut register, Op::Write(phone(1))), "");
}

#[test]
fn a_province_changes_its_own_people_and_those_who_move_in() {
    let scoped = Agency { provinces: vec!["79".into()], ..agency() };
    let operations = [Operation::Patch, Operation::Move];
    let mut register = register(&operations, &[PersonField::PhoneNumbers], scoped);
    assert_eq!(licensed(&mut register, Op::Write(phone(1))), "");
    assert_eq!(licensed(&mut register, Op::Write(phone(2))), "PERSON_NOT_FOUND key");
    assert_eq!(licensed(&mut register, Op::Write(moved(2, "01"))), "PERSON_NOT_FOUND move.movers[0].person");
    assert_eq!(licensed(&mut register, Op::Write(moved(2, "79"))), "");
    assert_eq!(licensed(&mut register, Op::Write(phone(2))), "", "now they live here");
}

fn moved(uid: u64, to: &str) -> Write {
    use crate::proto::registry::event::Event as Life;
    use crate::proto::registry::write::Write as Kind;
    use crate::proto::registry::{Event, Move, Mover, ResidenceKind};
    let person = Some(PersonKey { key: Some(Key::PersonUid(uid)) });
    let to = Address { unit_code: to.into(), unit_edition: UnitEdition::V34.into(), ..Address::default() };
    let event = Move {
        movers: vec![Mover { person, household_role: 0 }],
        to: Some(to),
        kind: ResidenceKind::Permanent.into(),
        ..Move::default()
    };
    Write { write: Some(Kind::Event(Event { event: Some(Life::Move(event)), source: None })) }
}

fn consent(id: &str) -> Op {
    let consent = ConsentRecord {
        consent_id: id.into(),
        agency_id: "BANK".into(),
        fields: vec![PersonField::BirthName.into()],
        purposes: vec!["credit".into()],
        from_ms: 1,
        until_ms: 1000,
        ..ConsentRecord::default()
    };
    let key = Some(PersonKey { key: Some(Key::PersonalId(A.into())) });
    Op::GrantConsent(GrantConsent { key, consent: Some(consent) })
}

#[test]
fn a_consent_is_recorded_once_and_ended_for_good() {
    let mut register = register(&[Operation::GrantConsent], &[], agency());
    assert_eq!(licensed(&mut register, consent("c-1")), "");
    assert_eq!(licensed(&mut register, consent("c-1")), "", "again: nothing changes");
    let kept = |register: &Register| match &register.policy_rows[&PolicyKey::Consent("c-1".into())].row {
        Some(crate::proto::store::policy_row::Row::Consent(consent)) => consent.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((kept(&register).person_uid, kept(&register).granted_by), (1, context().agency_id));
    assert!(register.policy_rows.contains_key(&PolicyKey::ConsentOf(1, "c-1".into())));
    let other = match consent("c-1") {
        Op::GrantConsent(mut grant) => {
            grant.consent.as_mut().unwrap().purposes.push("marketing".into());
            Op::GrantConsent(grant)
        }
        op => op,
    };
    assert_eq!(licensed(&mut register, other), "FIELD_INVALID consent.consent_id");
    assert_eq!(licensed(&mut register, Op::WithdrawConsent("c-2".into())), "CONSENT_UNKNOWN consent_id");
    assert_eq!(licensed(&mut register, Op::WithdrawConsent("c-1".into())), "");
    assert_ne!(kept(&register).withdrawn_at_ms, 0);
    assert_eq!(licensed(&mut register, consent("c-1")), "", "a repeated grant does not bring it back");
    assert_ne!(kept(&register).withdrawn_at_ms, 0);
}

#[test]
fn who_may_not_record_consents_may_not() {
    let mut register = register(&[Operation::Patch], &[], agency());
    assert_eq!(licensed(&mut register, consent("c-1")), "OPERATION_NOT_PERMITTED ");
}

#[test]
fn guesses_and_calls_are_counted_by_agency() {
    let budgets = Agency { guesses_per_person: 2, calls_per_day: 5, ..agency() };
    let mut register = register(&[], &[], budgets);
    let charge = |register: &mut Register, people: &[(u64, &[u64])]| {
        let guesses = |(person_uid, claims): &(u64, &[u64])| Guesses {
            person_uid: *person_uid,
            claims: claims.to_vec(),
        };
        let people = people.iter().map(guesses).collect();
        match register.run(Op::ChargeGuesses(ChargeGuesses { people })).reply {
            Some(Answer::Charged(Charged { refused })) => refused,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(charge(&mut register, &[(1, &[10]), (2, &[10, 11])]), [false, false]);
    assert_eq!(charge(&mut register, &[(1, &[10, 12]), (2, &[12])]), [false, true]);
    assert_eq!(charge(&mut register, &[(1, &[13])]), [true]);
    let mut reserve = |calls| match register.run(Op::ReserveCalls(calls)).reply {
        Some(Answer::Reserved(ReservedCalls { calls, .. })) => calls,
        other => panic!("{other:?}"),
    };
    assert_eq!([reserve(3), reserve(3), reserve(1)], [3, 2, 0]);
}
