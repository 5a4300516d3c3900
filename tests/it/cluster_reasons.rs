//! Every reason that the API can refuse with is reached by a call, with its gRPC code and the field at fault. Those that
//! need a broken disk, a lost majority or a long time are reached where [`ELSEWHERE`] says; a reason that is added and
//! never reached fails the test.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use dancu::client::{Client, ClientError};
use dancu::proto::cluster::DigestRequest;
use dancu::proto::registry::event::Event as Life;
use dancu::proto::registry::{
    Address, Atomicity, Consistency, CreatePerson, Credential, CredentialKey, CredentialType, Death,
    EidLevel, ErrorReason, Event, Marriage, PartialDate, PatchPerson, Person, PersonKey, PersonStatus,
    UnitEdition, Write, person_key, write,
};
use tonic::Code;

use crate::harness::people::{citizen, personal_id};
use crate::harness::{Cluster, api};

/// A test that reaches a reason which a healthy node of one second's age never gives: by a call, but for NODE_FAULT,
/// where it is the status that every fault of a disk maps to, and ID_SPACE_EXHAUSTED and RECEIPT_KEY_REFUSED, which are
/// decisions in a full register.
const ELSEWHERE: [(ErrorReason, &str); 22] = [
    (ErrorReason::Overloaded, "tests/it/cluster_bad_input.rs"),
    (ErrorReason::NoQuorum, "tests/it/cluster_bad_input.rs"),
    (ErrorReason::StalenessExceeded, "tests/it/cluster_modes.rs"),
    (ErrorReason::NotReady, "tests/it/cluster_membership.rs"),
    (ErrorReason::RevisionCompacted, "tests/it/cluster_history.rs"),
    (ErrorReason::NodeFault, "src/service/tests/mod.rs"),
    (ErrorReason::ClusterState, "tests/it/cluster_membership.rs"),
    (ErrorReason::AuditUnavailable, "src/service/tests/live/audit.rs"),
    (ErrorReason::MethodNotPermitted, "tests/it/cluster_tls.rs"),
    (ErrorReason::AgencyMismatch, "tests/it/cluster_tls.rs"),
    (ErrorReason::IdSpaceExhausted, "src/domain/command/numbers.rs"),
    (ErrorReason::ReceiptUnavailable, "tests/it/cluster_receipt.rs"),
    (ErrorReason::ReceiptKeyRefused, "src/domain/command/receipt_key.rs"),
    (ErrorReason::AgencyUnknown, "tests/it/cluster_licences.rs"),
    (ErrorReason::AgencySuspended, "tests/it/cluster_policy.rs"),
    (ErrorReason::PurposeNotLicensed, "tests/it/cluster_policy.rs"),
    (ErrorReason::AttributeNotPermitted, "tests/it/cluster_policy.rs"),
    (ErrorReason::OperationNotPermitted, "tests/it/cluster_licences.rs"),
    (ErrorReason::ConsentMissing, "tests/it/cluster_policy.rs"),
    (ErrorReason::ConsentUnknown, "tests/it/cluster_policy.rs"),
    (ErrorReason::Quota, "tests/it/cluster_policy.rs"),
    (ErrorReason::GuessBudget, "tests/it/cluster_policy.rs"),
];

/// What was reached so far.
#[derive(Default)]
struct Reached(BTreeSet<ErrorReason>);

impl Reached {
    /// Notes a refusal; fails when it is another.
    fn by<T>(&mut self, answer: Result<T, ClientError>, reason: ErrorReason, code: Code, field: &str) {
        let error = answer
            .err()
            .unwrap_or_else(|| panic!("{} {field}: should have been refused", reason.as_str_name()));
        let found = (error.reason(), error.code(), error.field().to_owned());
        assert_eq!(found, (reason, code, field.to_owned()), "{}", error.message());
        self.0.insert(reason);
    }
}

const TODAY: PartialDate = PartialDate { year: 2026, month: 6, day: 15 };

#[tokio::test(flavor = "multi_thread")]
async fn cluster_reasons_are_all_reached() {
    let cluster = Cluster::start(1, 0).await;
    let client = cluster.only(0);
    let mut reached = Reached::default();
    forms(&client, &mut reached).await;
    records(&client, &mut reached).await;
    numbers_and_papers(&client, &mut reached).await;
    events(&client, &mut reached).await;
    reads(&client, &mut reached).await;
    deadline(&cluster.fleet.nodes[0].client_address(), &mut reached).await;

    for (reason, file) in ELSEWHERE {
        let name = reason.as_str_name().trim_start_matches("ERROR_REASON_");
        let camel: String =
            name.split('_').map(|word| format!("{}{}", &word[..1], word[1..].to_lowercase())).collect();
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        assert!(text.contains(name) || text.contains(&camel), "{file} does not reach {name}");
        reached.0.insert(reason);
    }
    let all = (1..).map_while(|number| ErrorReason::try_from(number).ok());
    let missing: Vec<_> =
        all.filter(|reason| !reached.0.contains(reason)).map(|reason| reason.as_str_name()).collect();
    assert!(missing.is_empty(), "no test reaches {missing:?}");
    cluster.assert_no_errors();
}

async fn create(client: &Client, person: Person) -> Result<PersonKey, ClientError> {
    let create = CreatePerson { person: Some(person), accept_existing: false };
    let written = client.create(client.context(), create).await?.written.unwrap();
    Ok(api::by_uid(written.person_uid))
}

fn named(given: &str) -> Person {
    let mut person = citizen(1);
    person.birth_name.as_mut().unwrap().given = given.to_owned();
    person
}

/// What is wrong with a record by itself.
async fn forms(client: &Client, reached: &mut Reached) {
    use ErrorReason::{
        DateInvalid, FieldInvalid, FieldMaskInvalid, IdStructureInvalid, NameCharset, TooLarge,
    };
    let born = |year, month, day| Person { birth_date: Some(PartialDate { year, month, day }), ..citizen(1) };
    let given = "person.birth_name.given";
    #[rustfmt::skip]
    let cases = [
        // U+00D0 for Đ, a Cyrillic а, a control character.
        (named("\u{D0}ỗ"), NameCharset, given, "looks like"),
        (named("L\u{430}n"), NameCharset, given, "another script"),
        (named("La\u{7}n"), NameCharset, given, "control"),
        (named("Thu\u{301}y"), NameCharset, given, "NFC"),
        (named(""), NameCharset, given, "empty"),
        (named(&"ú".repeat(101)), TooLarge, given, "100"),
        (born(2023, 2, 29), DateInvalid, "person.birth_date", "29 February"),
        (born(1990, 4, 31), DateInvalid, "person.birth_date", "no such day"),
        (Person { personal_id: String::new(), ..born(2390, 1, 1) }, DateInvalid, "person.birth_date", "future"),
        // Digit 4 says 1900 to 1999, the record 2001.
        (born(2001, 5, 17), IdStructureInvalid, "person.personal_id", "century"),
        (Person { personal_id: "12".to_owned(), ..citizen(1) }, IdStructureInvalid, "person.personal_id", "12 digits"),
        (Person { gender: 0, ..citizen(1) }, FieldInvalid, "person.gender", "MALE"),
    ];
    for (n, (person, reason, field, says)) in cases.into_iter().enumerate() {
        let answer = create(client, person).await;
        let message = answer.as_ref().err().map(|error| error.message().to_owned()).unwrap_or_default();
        assert!(message.contains(says), "case {n}: {message}");
        reached.by(answer, reason, Code::InvalidArgument, field);
    }
    let patch = PatchPerson {
        key: Some(api::by_uid(1)),
        person: Some(citizen(1)),
        update_mask: Some(prost_types::FieldMask { paths: vec!["shoe_size".to_owned()] }),
        expected_record_revision: 0,
    };
    let answer = client.patch(client.context(), patch).await;
    reached.by(answer, FieldMaskInvalid, Code::InvalidArgument, "update_mask");
}

/// What the register holds against a write.
async fn records(client: &Client, reached: &mut Reached) {
    let one = create(client, citizen(1)).await.unwrap();
    reached.by(
        create(client, citizen(1)).await,
        ErrorReason::IdentifierTaken,
        Code::AlreadyExists,
        "person.personal_id",
    );
    let context = client.context();
    let person = |n| CreatePerson { person: Some(citizen(n)), accept_existing: false };
    client.create(context.clone(), person(2)).await.unwrap();
    let again = client.create(context, person(3)).await;
    reached.by(again, ErrorReason::RequestIdReused, Code::InvalidArgument, "context.request_id");
    let patch = PatchPerson {
        key: Some(one),
        person: Some(named("Lan")),
        update_mask: Some(prost_types::FieldMask { paths: vec!["birth_name.given".to_owned()] }),
        expected_record_revision: 999,
    };
    let stale = client.patch(client.context(), patch).await;
    reached.by(stale, ErrorReason::RevisionConflict, Code::Aborted, "expected_record_revision");
    let writes = [4, 1].map(|n| Write { write: Some(write::Write::Create(person(n))) });
    let answer =
        client.commit_batch(client.context(), writes.to_vec(), Atomicity::AllOrNothing).await.unwrap();
    let rejected = |n: usize| match answer.outcomes[n].outcome.clone().unwrap() {
        dancu::proto::registry::write_outcome::Outcome::Rejected(rejection) => rejection.reason(),
        other => panic!("write {n} was not rejected: {other:?}"),
    };
    assert_eq!([rejected(0), rejected(1)], [ErrorReason::BatchAborted, ErrorReason::IdentifierTaken]);
    reached.0.insert(ErrorReason::BatchAborted);
}

async fn numbers_and_papers(client: &Client, reached: &mut Reached) {
    use ErrorReason::{CredentialNotFound, EidLocked, IdCancelled, PersonInactive};
    let lan = create(client, citizen(10)).await.unwrap();
    client.cancel_uin(client.context(), personal_id(10)).await.unwrap();
    let again = client.cancel_uin(client.context(), personal_id(10)).await;
    reached.by(again, IdCancelled, Code::FailedPrecondition, "personal_id");

    let key = CredentialKey { r#type: CredentialType::DrivingLicence.into(), number: "B1-1".to_owned() };
    let unknown = client.suspend_credential(client.context(), key.clone(), TODAY).await;
    reached.by(unknown, CredentialNotFound, Code::NotFound, "status.credential");
    let paper = Credential { r#type: key.r#type, number: key.number, ..Credential::default() };
    client.issue_credential(client.context(), lan.clone(), paper.clone()).await.unwrap();
    let again = client.issue_credential(client.context(), lan.clone(), paper).await;
    reached.by(again, ErrorReason::IdentifierTaken, Code::AlreadyExists, "issue.number");

    let none = client.eid(lan.clone(), Default::default()).await;
    reached.by(none, CredentialNotFound, Code::NotFound, "key");
    client.set_eid_level(client.context(), lan.clone(), EidLevel::EidLevel1, TODAY).await.unwrap();
    client.lock_eid(client.context(), lan.clone(), "telephone lost".to_owned()).await.unwrap();
    reached.by(
        client.use_eid(lan.clone(), Default::default()).await,
        EidLocked,
        Code::FailedPrecondition,
        "key",
    );
    let level = client.set_eid_level(client.context(), lan.clone(), EidLevel::EidLevel1, TODAY).await;
    reached.by(level, EidLocked, Code::FailedPrecondition, "level");

    client.set_status(client.context(), lan.clone(), PersonStatus::Inactive).await.unwrap();
    let unlock = client.unlock_eid(client.context(), lan).await;
    reached.by(unlock, PersonInactive, Code::FailedPrecondition, "key");
}

async fn events(client: &Client, reached: &mut Reached) {
    use ErrorReason::{EventConflict, FieldInvalid, PersonInactive, PersonNotFound};
    let lan = create(client, citizen(20)).await.unwrap();
    let mai = create(client, citizen(21)).await.unwrap();
    let commit =
        async |event| client.commit_event(client.context(), Event { event: Some(event), source: None }).await;
    let marriage = |one: &PersonKey, other: &PersonKey| {
        Life::Marriage(Marriage {
            one: Some(one.clone()),
            other: Some(other.clone()),
            unregistered: None,
            on: Some(TODAY),
        })
    };
    reached.by(commit(marriage(&lan, &mai)).await, EventConflict, Code::FailedPrecondition, "marriage.other");
    reached.by(commit(marriage(&lan, &lan)).await, FieldInvalid, Code::InvalidArgument, "marriage.other");
    reached.by(
        commit(marriage(&lan, &api::by_uid(999))).await,
        PersonNotFound,
        Code::NotFound,
        "marriage.other",
    );
    let death = |on| Life::Death(Death { person: Some(lan.clone()), on: Some(on), missing: false });
    let before_birth = commit(death(PartialDate { year: 1980, ..TODAY })).await;
    reached.by(before_birth, EventConflict, Code::FailedPrecondition, "death.on");
    commit(death(TODAY)).await.unwrap();
    reached.by(commit(marriage(&lan, &mai)).await, PersonInactive, Code::FailedPrecondition, "marriage.one");
    let merged = client.merge(client.context(), mai.clone(), mai).await;
    reached.by(merged, FieldInvalid, Code::InvalidArgument, "duplicate");
}

async fn reads(client: &Client, reached: &mut Reached) {
    use ErrorReason::{
        AmbiguousKey, FieldInvalid, PersonNotFound, ProcedureUnknown, RevisionFuture, UnitUnknown,
    };
    let twice = "271450001";
    for n in [30, 31] {
        create(client, Person { old_id_numbers: vec![twice.to_owned()], ..citizen(n) }).await.unwrap();
    }
    let key = PersonKey { key: Some(person_key::Key::OldIdNumber(twice.to_owned())) };
    let ambiguous = client.read(key, Default::default()).await;
    reached.by(ambiguous, AmbiguousKey, Code::FailedPrecondition, "key");
    let nobody = client.read(api::by_id(&personal_id(99)), Default::default()).await;
    reached.by(nobody, PersonNotFound, Code::NotFound, "key");
    let future = client.read(api::by_uid(1), api::at(Consistency::AsOf, 1_000_000)).await;
    reached.by(future, RevisionFuture, Code::OutOfRange, "");
    let unknown = client.read_attribute_set(api::by_uid(1), "no such".to_owned(), Default::default()).await;
    reached.by(unknown, ProcedureUnknown, Code::NotFound, "context.procedure_code");
    let place = Address { unit_code: "99".to_owned(), ..Address::default() };
    let no_edition = create(client, Person { birth_place: Some(place), ..citizen(40) }).await;
    reached.by(no_edition, FieldInvalid, Code::InvalidArgument, "person.birth_place.unit_edition");

    let no_record = client.prove_inclusion(0, 1_000_000).await;
    reached.by(no_record, ErrorReason::AccessUnknown, Code::NotFound, "position");

    reached.by(client.unit("03".to_owned(), UnitEdition::V34).await, UnitUnknown, Code::NotFound, "code");
}

/// A digest of a revision that the register never comes to.
async fn deadline(address: &str, reached: &mut Reached) {
    let request = DigestRequest { at_least_revision: 1_000_000 };
    let answer = api::admin(address).digest(api::within(Duration::from_millis(300), request)).await;
    let refused = api::refusal(answer);
    assert_eq!((refused.0, refused.1.as_str()), (Code::DeadlineExceeded, "DEADLINE"));
    reached.0.insert(ErrorReason::Deadline);
}
