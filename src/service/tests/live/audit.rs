//! Every method that reads leaves a record, whatever it answers, and no answer leaves without one.

use futures::StreamExt;
use prost::Message;
use prost_types::FileDescriptorSet;

use super::*;
use crate::audit::checkpoint::{is_signed, root};
use crate::audit::verify::Check;
use crate::audit::{self, merkle};
use crate::proto::DESCRIPTORS;
use crate::proto::registry::audit_client::AuditClient;
use crate::proto::registry::export_accesses_response::Part;
use crate::proto::registry::{
    AccessHistoryRequest, AccessRecord, AccessedPerson, ErrorReason, ExportAccessesRequest,
    ExportAccessesResponse, GetCheckpointRequest, ProveConsistencyRequest, ProveInclusionRequest,
    QueryAccessesRequest, VerifyStreamRequest, verify_stream_response,
};

/// The methods that read the register.
const LOOKUPS: [&str; 19] = [
    "Consent/Check",
    "Consent/List",
    "Credentials/ReadCredentials",
    "DataAccess/ReadAttributeSet",
    "DataAccess/ReadHousehold",
    "DataAccess/ReadPersonAttributes",
    "EidAccount/ReadEid",
    "EidAccount/UseEid",
    "PopulationRegistry/BatchReadPersons",
    "PopulationRegistry/FindPersons",
    "PopulationRegistry/ReadPerson",
    "PopulationRegistry/ReadPersonHistory",
    "Verification/BatchVerify",
    "Verification/ResolveIdentifier",
    "Verification/Verify",
    "Verification/VerifyCredential",
    "Verification/VerifyHousehold",
    "Verification/VerifyIdentifierLink",
    "Verification/VerifyStream",
];

/// The methods that read the trail itself, and the one that judges receipts. They are accesses too; asked for nothing in
/// particular, some of them answer.
const TRAIL: [&str; 7] = [
    "Verification/VerifyReceipt",
    "Audit/AccessHistory",
    "Audit/Export",
    "Audit/GetCheckpoint",
    "Audit/ProveConsistency",
    "Audit/ProveInclusion",
    "Audit/Query",
];

/// The methods that write. What they did stands in the history of the records.
const WRITES: [&str; 25] = [
    "Consent/Grant",
    "Consent/Withdraw",
    "Credentials/IssueCredential",
    "Credentials/RevokeCredential",
    "Credentials/SuspendCredential",
    "Credentials/UnsuspendCredential",
    "Credentials/UpdateCredential",
    "EidAccount/LockEid",
    "EidAccount/SetEidLevel",
    "EidAccount/UnlockEid",
    "Policy/PutAgency",
    "Policy/PutPolicy",
    "Policy/PutProcedure",
    "Policy/SuspendAgency",
    "PopulationRegistry/CommitBatch",
    "PopulationRegistry/CommitEvent",
    "PopulationRegistry/CreatePerson",
    "PopulationRegistry/Import",
    "PopulationRegistry/MergePersons",
    "PopulationRegistry/PatchPerson",
    "PopulationRegistry/SetPersonStatus",
    "PopulationRegistry/UpdatePerson",
    "UinManagement/CancelUin",
    "UinManagement/GenerateUin",
    "UinManagement/ReissueUin",
];

/// The methods that read nobody's record.
const OTHERS: [&str; 6] = [
    "AdminUnits/ConvertUnit",
    "AdminUnits/GetUnit",
    "DataAccess/ListAttributeSets",
    "Policy/Explain",
    "Policy/ReadPolicies",
    "UinManagement/CheckUinStructure",
];

impl Server {
    fn accesses(&self) -> Vec<AccessRecord> {
        let log = self.node.audit().unwrap().log().unwrap();
        let records = log.segments().read(0, usize::MAX).unwrap();
        records
            .into_iter()
            .map(|(position, bytes)| audit::record::decode(&bytes, 1, position).unwrap())
            .collect()
    }

    /// Calls a method with an empty message.
    async fn call_empty(&self, method: &str) -> Result<(), Status> {
        let mut raw = tonic::client::Grpc::new(self.channel.clone());
        raw.ready().await.unwrap();
        let path = format!("/dancu.registry.v1.{method}").parse().unwrap();
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        raw.unary(Request::new(()), path, codec).await.map(drop)
    }

    fn audit_folder(&self) -> std::path::PathBuf {
        audit::folder(self.folder.path(), 1)
    }
}

fn methods() -> Vec<String> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let registry = set.file.iter().filter(|file| file.package() == "dancu.registry.v1");
    let services = registry.flat_map(|file| &file.service);
    let name = |service: &str, method: &str| format!("{service}/{method}");
    services
        .flat_map(|service| service.method.iter().map(|method| name(service.name(), method.name())))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_that_reads_leaves_a_record_also_when_it_refuses() {
    let server = Server::ready(LimitsConfig::default()).await;
    let known = [&LOOKUPS[..], &TRAIL, &WRITES, &OTHERS].concat();
    for method in methods() {
        assert!(known.contains(&method.as_str()), "{method}: does it read? Add it to a list of this test");
        let before = server.accesses().len();
        let answer = if method == "Verification/VerifyStream" {
            let mut client = VerificationClient::new(server.channel.clone());
            let requests = stream::iter([VerifyStreamRequest::default()]);
            let mut answers = client.verify_stream(requests).await.unwrap().into_inner();
            let answer = answers.next().await.unwrap().unwrap();
            let Some(verify_stream_response::Result::Error(error)) = answer.result else {
                panic!("answered")
            };
            Err(Status::new(Code::from_i32(error.code), error.message))
        } else {
            server.call_empty(&method).await
        };
        let recorded = &server.accesses()[before..];
        if LOOKUPS.contains(&method.as_str()) || TRAIL.contains(&method.as_str()) {
            let [record] = recorded else { panic!("{method} left {} records", recorded.len()) };
            assert_eq!((record.method.as_str(), record.node_id), (method.as_str(), 1));
            assert!(record.time_ms > 0 && record.persons.is_empty());
            let refused = answer.err().map_or(Code::Ok, |status| status.code());
            assert_eq!(record.code, refused as u32, "{method}");
            if LOOKUPS.contains(&method.as_str()) {
                assert_eq!(refused, Code::InvalidArgument, "{method}");
                assert_ne!(record.reason(), ErrorReason::Unspecified, "{method}");
            }
        } else {
            assert!(recorded.is_empty(), "{method} is no lookup and left a record");
        }
    }
    server.shutdown().await;
}

fn asked(request_id: &str) -> RequestContext {
    RequestContext {
        officer_id: "officer-7".to_owned(),
        procedure_code: "1.000000".to_owned(),
        purpose: "a permit".to_owned(),
        ..context(request_id)
    }
}

fn lan() -> Person {
    Person {
        birth_name: Some(PersonName {
            family: "Nguyễn".into(),
            given: "Lan".into(),
            ..PersonName::default()
        }),
        personal_id: "001190000001".to_owned(),
        gender: Gender::Female.into(),
        birth_date: Some(PartialDate { year: 1990, month: 5, day: 2 }),
        ..Person::default()
    }
}

fn key(uid: u64) -> Option<PersonKey> {
    Some(PersonKey { key: Some(Key::PersonUid(uid)) })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_says_who_saw_what_of_whom_and_never_what_it_was() {
    let server = Server::ready(LimitsConfig::default()).await;
    let (uid, _) = server.create("w-1", lan()).await.unwrap();
    assert!(server.accesses().is_empty(), "a write stands in the history");

    let claim = Claim {
        attribute: Attribute::Gender.into(),
        value: Some(claim::Value::Gender(Gender::Male.into())),
        ..Claim::default()
    };
    let subject = |key| Subject { key, claims: vec![claim.clone()] };
    let mut verification = VerificationClient::new(server.channel.clone());
    let options = ReadOptions {
        consistency: Consistency::BoundedStale.into(),
        max_staleness_ms: 60_000,
        ..ReadOptions::default()
    };
    let verify = VerifyRequest {
        context: Some(asked("r-1")),
        subject: Some(subject(key(uid))),
        options: Some(options),
        receipt: false,
    };
    verification.verify(verify).await.unwrap();
    let batch = BatchVerifyRequest {
        context: Some(asked("r-2")),
        subjects: vec![subject(key(99)), subject(key(uid)), subject(key(uid))],
        options: None,
    };
    verification.batch_verify(batch).await.unwrap();
    let read = ReadPersonRequest { context: Some(asked("r-3")), key: key(99), options: None };
    assert_eq!(server.registry().read_person(read).await.unwrap_err().code(), Code::NotFound);
    let find = FindPersonsRequest { name: "Nguyễn Lan".to_owned(), ..FindPersonsRequest::default() };
    assert_eq!(server.registry().find_persons(find).await.unwrap().into_inner().persons.len(), 1);

    let accesses = server.accesses();
    let judged = AccessedPerson {
        uid,
        attributes: vec![Attribute::Gender.into()],
        verdicts: vec![Verdict::NoMatch.into()],
        strengths: vec![0],
        ..AccessedPerson::default()
    };
    let [verify, batch, read, find] = &accesses[..] else { panic!("{} records", accesses.len()) };
    assert_eq!(verify.context, Some(asked("r-1")));
    assert_eq!((verify.consistency(), verify.revision, verify.code), (Consistency::BoundedStale, 1, 0));
    assert_eq!(verify.persons, std::slice::from_ref(&judged));
    assert_eq!(batch.persons, [judged.clone(), judged]);
    assert_eq!((read.code, read.reason()), (Code::NotFound as u32, ErrorReason::PersonNotFound));
    assert_eq!((read.revision, read.persons.len()), (1, 0));
    assert_eq!(find.context, None);
    assert_eq!(find.persons, [AccessedPerson { uid, ..AccessedPerson::default() }]);

    let folder = server.audit_folder();
    let file = std::fs::read_dir(&folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    for bytes in file {
        for personal in ["Nguyễn", "Lan", "001190000001"] {
            let found = bytes.windows(personal.len()).any(|window| window == personal.as_bytes());
            assert!(!found, "{personal} is in the audit log");
        }
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_not_answered_and_writes_go_on() {
    // Each batch of records begins a file of its own.
    let waiting = Server::waiting_as(LimitsConfig::default(), |config| config.audit.segment_mb = 0).await;
    let server = waiting.formed().await;
    let (uid, _) = server.create("w-1", lan()).await.unwrap();
    server.read(Key::PersonUid(uid), ReadOptions::default()).await.unwrap();
    let folder = server.audit_folder();
    std::fs::rename(&folder, folder.with_extension("aside")).unwrap();
    for _again in 0..2 {
        let refused = server.read(Key::PersonUid(uid), ReadOptions::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert_eq!(refused.get_details_error_info().unwrap().reason, "AUDIT_UNAVAILABLE");
    }
    let denied = server.read(Key::PersonUid(99), ReadOptions::default()).await.unwrap_err();
    assert_eq!(denied.get_details_error_info().unwrap().reason, "AUDIT_UNAVAILABLE");
    assert!(server.metrics.encode().contains("dancu_audit_closed 1"));
    let other = Person { personal_id: "001190000002".to_owned(), ..lan() };
    server.create("w-2", other).await.unwrap();
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_accesses_not_recorded_answers_and_keeps_no_log() {
    let waiting = Server::waiting_as(LimitsConfig::default(), |config| config.audit.enabled = false).await;
    let server = waiting.formed().await;
    let (uid, _) = server.create("w-1", lan()).await.unwrap();
    server.read(Key::PersonUid(uid), ReadOptions::default()).await.unwrap();
    assert!(server.node.audit().is_none() && !server.audit_folder().exists());
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_is_told_and_proven() {
    let server = Server::ready(LimitsConfig::default()).await;
    let (uid, _) = server.create("w-1", lan()).await.unwrap();
    let other = Person { personal_id: "001190000002".to_owned(), ..lan() };
    let (other, _) = server.create("w-2", other).await.unwrap();
    for number in 0..7 {
        let read =
            ReadPersonRequest { context: Some(asked(&format!("r-{number}"))), key: key(uid), options: None };
        server.registry().read_person(read).await.unwrap();
    }
    let keys = [uid, other].map(|uid| key(uid).unwrap()).to_vec();
    let batch = BatchReadPersonsRequest { keys, ..BatchReadPersonsRequest::default() };
    server.registry().batch_read_persons(batch).await.unwrap();
    let mut trail = AuditClient::new(server.channel.clone());

    let checkpoint = trail.get_checkpoint(GetCheckpointRequest::default()).await.unwrap().into_inner();
    let checkpoint = checkpoint.checkpoint.unwrap();
    assert_eq!((checkpoint.node_id, checkpoint.size), (1, 8));
    assert!(is_signed(&checkpoint));

    // The person's history: newest first, page by page, of a batch only this person; the question itself is the next record.
    let mut history = AccessHistoryRequest { key: key(uid), limit: 5, ..AccessHistoryRequest::default() };
    let first = trail.access_history(history.clone()).await.unwrap().into_inner();
    let methods: Vec<_> = first.accesses.iter().map(|access| access.method.as_str()).collect();
    assert_eq!(methods[0], "PopulationRegistry/BatchReadPersons");
    assert!(
        methods.len() == 5 && methods[1..].iter().all(|method| *method == "PopulationRegistry/ReadPerson")
    );
    assert_eq!(first.accesses[0].persons, [AccessedPerson { uid, ..AccessedPerson::default() }]);
    assert_eq!(first.accesses[1].context, Some(asked("r-6")));
    let [coverage] = &first.coverage[..] else { panic!("one node") };
    assert_eq!((coverage.node_id, coverage.name.as_str(), coverage.held), (1, "node1", coverage.known));
    history.page = first.next_page;
    let second = trail.access_history(history).await.unwrap().into_inner();
    assert_eq!(second.accesses.len(), 3);
    assert!(second.next_page.is_empty());
    let history = AccessHistoryRequest { key: key(99), ..AccessHistoryRequest::default() };
    assert_eq!(trail.access_history(history).await.unwrap_err().code(), Code::NotFound);
    let query = QueryAccessesRequest { request_id: "r-3".to_owned(), ..QueryAccessesRequest::default() };
    let found = trail.query(query).await.unwrap().into_inner().accesses;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].context, Some(asked("r-3")));
    let query = QueryAccessesRequest { refused: true, ..QueryAccessesRequest::default() };
    let found = trail.query(query).await.unwrap().into_inner().accesses;
    assert_eq!((found.len(), found[0].method.as_str()), (1, "Audit/AccessHistory"));

    let prove = ProveInclusionRequest { position: 3, ..ProveInclusionRequest::default() };
    let proof = trail.prove_inclusion(prove).await.unwrap().into_inner();
    let newer = proof.checkpoint.unwrap();
    let hashes =
        |path: &[bytes::Bytes]| path.iter().map(|hash| hash[..].try_into().unwrap()).collect::<Vec<_>>();
    assert!(newer.size > 8 && is_signed(&newer));
    let leaf = merkle::leaf(&proof.record);
    assert!(merkle::includes(&leaf, 3, newer.size, &hashes(&proof.path), &root(&newer).unwrap()));
    let prove = ProveConsistencyRequest { earlier_size: 8, ..ProveConsistencyRequest::default() };
    let proof = trail.prove_consistency(prove).await.unwrap().into_inner();
    let newest = proof.checkpoint.unwrap();
    let (before, after) = (root(&checkpoint).unwrap(), root(&newest).unwrap());
    assert!(merkle::is_consistent(8, &before, newest.size, &after, &hashes(&proof.path)));
    let prove = ProveInclusionRequest { position: 9_999, ..ProveInclusionRequest::default() };
    let refused = trail.prove_inclusion(prove).await.unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().reason, "ACCESS_UNKNOWN");

    for from in [0, 5] {
        exported(&mut trail, from).await;
    }
    server.shutdown().await;
}

/// Exports this node's log and checks it with nothing but what came.
async fn exported(trail: &mut AuditClient<Channel>, from: u64) {
    let request = ExportAccessesRequest { from, ..ExportAccessesRequest::default() };
    let mut parts = trail.export(request).await.unwrap().into_inner();
    let mut check: Option<Check> = None;
    while let Some(part) = parts.next().await {
        let ExportAccessesResponse { part } = part.unwrap();
        match (part.unwrap(), &mut check) {
            (Part::Start(start), None) => check = Some(Check::of_export(&start, None).unwrap()),
            (Part::Records(records), Some(check)) => {
                records.records.iter().for_each(|record| drop(check.record(record).unwrap()));
            }
            (Part::Checkpoint(checkpoint), Some(check)) => {
                assert_eq!(check.next(), checkpoint.size);
                check.checkpoint(&checkpoint).unwrap();
            }
            _ => panic!("parts come in order"),
        }
    }
    let report = check.unwrap().report();
    assert!(report.first == from && report.covered == report.size && report.size > 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_what_the_cluster_agreed_on_is_closed() {
    let server = Server::ready(LimitsConfig::default()).await;
    let (uid, _) = server.create("w-1", lan()).await.unwrap();
    for _ in 0..3 {
        server.read(Key::PersonUid(uid), ReadOptions::default()).await.unwrap();
    }
    let deadline = || tokio::time::Instant::now() + PATIENCE;
    let agreed = server.node.audit_checkpoint(1, deadline()).await.unwrap().unwrap();
    // As if the log had been put back to an earlier copy of its folder, mark and all: the cluster knows better.
    let larger = crate::proto::registry::Checkpoint { size: 9, ..agreed.clone() };
    let op = Some(crate::proto::store::command::Op::AuditCheckpoint(larger));
    let command = crate::proto::store::Command { op, ..Default::default() };
    server.node.write(command, deadline()).await.unwrap();
    server.read(Key::PersonUid(uid), ReadOptions::default()).await.unwrap();
    let error = server.node.audit_checkpoint(1, deadline()).await.unwrap_err().to_string();
    assert!(error.contains("9 records"), "{error}");
    let refused = server.read(Key::PersonUid(uid), ReadOptions::default()).await.unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().reason, "AUDIT_UNAVAILABLE");
    assert!(server.metrics.encode().contains("dancu_audit_closed 1"));
    server.shutdown().await;
}
