//! Requests and writes: each bound at its edge, and each rule between fields, with the field path and reason that the caller sees.

use super::*;
use crate::domain::fixtures::{context, full_person};
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{
    Claim, Consistency, CreatePerson, CredentialKey, LegalBasis, PatchPerson, Person, PersonKey, ReadOptions,
    RequestContext, Subject, Write, write::Write as Kind,
};
use ErrorReason::{FieldInvalid, FieldMaskInvalid, IdStructureInvalid, NameCharset, TooLarge, Unspecified};

/// A change to a valid message, then the field and reason of its rejection; `("", Unspecified)` when it stays valid.
pub(super) type Case<T> = (fn(&mut T), &'static str, ErrorReason);

pub(super) const VALID: (&str, ErrorReason) = ("", Unspecified);

pub(super) fn outcome(checked: Checked) -> (String, ErrorReason) {
    match checked {
        Ok(()) => (String::new(), Unspecified),
        Err(rejection) => {
            assert!(!rejection.detail.is_empty(), "{}", rejection.field);
            let reason = rejection.reason();
            (rejection.field, reason)
        }
    }
}

pub(super) fn run<T: Clone>(valid: &T, check: impl Fn(&T) -> Checked, cases: &[Case<T>]) {
    assert_eq!(outcome(check(valid)).1, Unspecified, "the unchanged message is valid");
    for (i, (change, field, reason)) in cases.iter().enumerate() {
        let mut message = valid.clone();
        change(&mut message);
        let (found_field, found) = outcome(check(&message));
        assert_eq!((found_field.as_str(), found), (*field, *reason), "case {i} (from 0)");
    }
}

#[test]
#[rustfmt::skip]
fn contexts() {
    let cases: &[Case<RequestContext>] = &[
        (|c| c.request_id = "~ ".repeat(20).trim().into(), VALID.0, VALID.1),
        (|c| c.request_id = "a".repeat(41), "context.request_id", TooLarge),
        (|c| c.request_id = "á".into(), "context.request_id", FieldInvalid),
        (|c| c.request_id = "a\0".into(), "context.request_id", NameCharset),
        (|c| c.agency_id = "á".repeat(35), VALID.0, VALID.1),
        (|c| c.agency_id = "á".repeat(36), "context.agency_id", TooLarge),
        (|c| c.agency_id = "a\0b".into(), "context.agency_id", NameCharset),
        (|c| c.officer_id = "a".repeat(21), "context.officer_id", TooLarge),
        (|c| c.procedure_code = "a".repeat(21), "context.procedure_code", TooLarge),
        (|c| c.integration_code = "1".repeat(20), VALID.0, VALID.1),
        (|c| c.integration_code = "1".repeat(21), "context.integration_code", TooLarge),
        (|c| c.integration_code = "a".into(), "context.integration_code", FieldInvalid),
        (|c| c.case_id = "a".repeat(41), "context.case_id", TooLarge),
        (|c| c.purpose = "a".repeat(201), "context.purpose", TooLarge),
        (|c| c.legal_basis = 99, "context.legal_basis", FieldInvalid),
        (|c| c.consent_id = "a".into(), "context.consent_id", FieldInvalid),
        (|c| (c.consent_id, c.legal_basis) = ("a".into(), LegalBasis::Consent.into()), VALID.0, VALID.1),
        (|c| (c.consent_id, c.legal_basis) = ("a".repeat(41), LegalBasis::Consent.into()), "context.consent_id", TooLarge),
    ];
    run(&context(), context_for_read, cases);
    run(&context(), context_for_write, cases);
    run(&context(), context_for_write, &[
        (|c| c.request_id.clear(), "context.request_id", FieldInvalid),
        (|c| c.agency_id.clear(), "context.agency_id", FieldInvalid),
    ]);
    run(&context(), context_for_import, &[
        (|c| c.request_id = "a".repeat(28), VALID.0, VALID.1),
        (|c| c.request_id = "a".repeat(29), "context.request_id", TooLarge),
        (|c| c.agency_id.clear(), "context.agency_id", FieldInvalid),
    ]);
    assert_eq!(outcome(context_for_read(&RequestContext::default())).1, Unspecified);
}

#[test]
fn keys_of_requests() {
    let credential =
        |r#type, number: &str| Some(Key::Credential(CredentialKey { r#type, number: number.to_owned() }));
    #[rustfmt::skip]
    let cases = [
        (None, "key", FieldInvalid),
        (Some(Key::PersonUid(1)), VALID.0, VALID.1),
        (Some(Key::PersonUid(0)), "key.person_uid", FieldInvalid),
        (Some(Key::PersonalId("000000000000".into())), VALID.0, VALID.1),
        (Some(Key::PersonalId("1".into())), "key.personal_id", IdStructureInvalid),
        (Some(Key::OldIdNumber("271450001".into())), VALID.0, VALID.1),
        (Some(Key::OldIdNumber("2714500011".into())), "key.old_id_number", IdStructureInvalid),
        (credential(1, "079190000001"), VALID.0, VALID.1),
        (credential(18, &"A-9/.".repeat(8)), VALID.0, VALID.1),
        (credential(0, "B1"), "key.credential.type", FieldInvalid),
        (credential(19, "B1"), "key.credential.type", FieldInvalid),
        (credential(1, ""), "key.credential.number", FieldInvalid),
        (credential(1, "b1"), "key.credential.number", FieldInvalid),
        (credential(1, "B 1"), "key.credential.number", FieldInvalid),
        (credential(1, &"A".repeat(41)), "key.credential.number", TooLarge),
    ];
    for (value, field, reason) in cases {
        let found = outcome(key(Some(&PersonKey { key: value }), "key"));
        assert_eq!((found.0.as_str(), found.1), (field, reason));
    }
    assert_eq!(outcome(key(None, "subject.key")), ("subject.key".into(), FieldInvalid));
}

#[test]
fn counts() {
    let keys_of = |n| outcome(keys(&vec![PersonKey::default(); n])).1;
    assert_eq!(
        [keys_of(0), keys_of(1), keys_of(1000), keys_of(1001)],
        [FieldInvalid, Unspecified, Unspecified, TooLarge]
    );
    let subject_of = |n| Subject {
        key: Some(PersonKey { key: Some(Key::PersonUid(1)) }),
        claims: vec![Claim::default(); n],
    };
    let claims_of = |n| outcome(subject(&subject_of(n))).1;
    assert_eq!(
        [claims_of(0), claims_of(1), claims_of(32), claims_of(33)],
        [FieldInvalid, Unspecified, Unspecified, TooLarge]
    );
    let several = [subject_of(1), subject_of(33)];
    assert_eq!(outcome(subjects(&several)), ("subjects[1].claims".into(), TooLarge));
    assert_eq!(outcome(subjects(&[])), ("subjects".into(), FieldInvalid));
    assert_eq!([0, 1, 1000].map(|n| history_limit(n).expect("within the bound")), [100, 1, 1000]);
    assert_eq!(history_limit(1001).expect_err("above it").reason(), TooLarge);
    let names = ["", "central-1", &"n".repeat(64), &"n".repeat(65), "a\tb"].map(|n| outcome(node_name(n)).1);
    assert_eq!(names, [FieldInvalid, Unspecified, Unspecified, TooLarge, FieldInvalid]);
}

#[test]
#[rustfmt::skip]
fn read_modes() {
    let bounded = |ms| ReadOptions { consistency: Consistency::BoundedStale.into(), max_staleness_ms: ms, ..Default::default() };
    run(&ReadOptions::default(), read_options, &[
        (|o| o.consistency = 9, "options.consistency", FieldInvalid),
        (|o| o.consistency = Consistency::AtLeast.into(), VALID.0, VALID.1),
        (|o| o.consistency = Consistency::AsOf.into(), "options.revision", FieldInvalid),
        (|o| (o.consistency, o.revision) = (Consistency::AsOf.into(), 1), VALID.0, VALID.1),
        (|o| (o.consistency, o.as_of_ms) = (Consistency::AsOf.into(), 1), VALID.0, VALID.1),
    ]);
    let found = [0, 1, 86_400_000, 86_400_001].map(|ms| outcome(read_options(&bounded(ms))).1);
    assert_eq!(found, [FieldInvalid, Unspecified, Unspecified, FieldInvalid]);
}

#[test]
fn masks() {
    let of = |paths: &[&str]| outcome(mask(&paths.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()));
    assert_eq!(of(&["gender", "birth_name.family"]).1, Unspecified);
    for wrong in
        [&[][..], &["uid"], &["record_revision"], &["gender", "gender"], &["*"], &["birth_date.year"]]
    {
        assert_eq!(of(wrong), ("update_mask".into(), FieldMaskInvalid), "{wrong:?}");
    }
    let no_mask = PatchPerson { key: Some(PersonKey { key: Some(Key::PersonUid(1)) }), ..Default::default() };
    let no_mask = Write { write: Some(Kind::Patch(no_mask)) };
    assert_eq!(outcome(write(&no_mask)).1, FieldMaskInvalid);
}

#[test]
fn writes_and_batches() {
    let of = |person| Write { write: Some(Kind::Create(CreatePerson { person, accept_existing: true })) };
    assert_eq!(outcome(write(&Write::default())), ("write".into(), FieldInvalid));
    assert_eq!(outcome(write(&of(None))), ("person".into(), FieldInvalid));
    let without_id = Person { personal_id: String::new(), ..full_person() };
    assert_eq!(outcome(write(&of(Some(without_id)))), ("person.personal_id".into(), FieldInvalid));
    assert_eq!(outcome(write(&of(Some(full_person())))).1, Unspecified);

    let count = |n| outcome(writes(&vec![of(Some(full_person())); n])).1;
    assert_eq!(
        [count(0), count(1), count(1000), count(1001)],
        [FieldInvalid, Unspecified, Unspecified, TooLarge]
    );
    assert_eq!(outcome(import_chunk(&[])).1, FieldInvalid);
}

#[test]
fn a_chunk_of_one_mebibyte_makes_a_batch_within_its_bound() {
    use prost::Message as _;
    let mut persons = vec![full_person(); 999];
    let left = BATCH_BYTES - persons.iter().map(prost::Message::encoded_len).sum::<usize>();
    let mut last = full_person();
    let grow = left - last.encoded_len();
    // Two more bytes, because the length before the text takes a second and a third one.
    last.other_names = vec!["a".repeat("Nguyễn Thuỷ".len() + grow - 2)];
    persons.push(last);
    assert_eq!(persons.iter().map(prost::Message::encoded_len).sum::<usize>(), BATCH_BYTES);
    assert_eq!(outcome(import_chunk(&persons)).1, Unspecified);
    let create = |person: &Person| Write {
        write: Some(Kind::Create(CreatePerson { person: Some(person.clone()), accept_existing: true })),
    };
    let batch: Vec<_> = persons.iter().map(create).collect();
    assert_eq!(outcome(writes(&batch)).1, Unspecified);

    persons[0].other_names[0].push('a');
    assert_eq!(outcome(import_chunk(&persons)), ("persons".into(), TooLarge));
    let batch: Vec<_> = persons.iter().map(create).collect();
    assert_eq!(outcome(writes(&batch)), ("writes".into(), TooLarge));
}
