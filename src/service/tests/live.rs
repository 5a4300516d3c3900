//! The server in front of a real node: one voter in a folder of its own, asked over TCP with the generated clients.

mod audit;
mod connections;
mod members;
mod units;
mod verification;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::config::{HistoryConfig, LimitsConfig, NodeConfig, Role};
use crate::metrics::Metrics;
use crate::proto::cluster::cluster_admin_client::ClusterAdminClient;
use crate::proto::cluster::{AddNodeRequest, InitRequest, NodeState, StatusRequest};
use crate::proto::registry::person_key::Key;
use crate::proto::registry::population_registry_client::PopulationRegistryClient;
use crate::proto::registry::verification_client::VerificationClient;
use crate::proto::registry::{
    Atomicity, Attribute, BatchReadPersonsRequest, BatchVerifyRequest, Claim, CommitBatchRequest,
    Consistency, CreatePerson, CreatePersonRequest, FindPersonsRequest, Gender, ImportRequest, MatchStrength,
    PartialDate, PatchPerson, PatchPersonRequest, Person, PersonKey, PersonName, ReadOptions,
    ReadPersonHistoryRequest, ReadPersonRequest, RequestContext, Subject, Verdict, VerifyRequest, Write,
    claim, person_result, write, write_outcome,
};
use crate::raft::Node;
use crate::service::{self, ServeError};

/// Longest wait for anything that should come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A node and its server.
pub(super) struct Server {
    pub(super) node: Arc<Node>,
    metrics: Arc<Metrics>,
    address: String,
    channel: Channel,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServeError>>,
    folder: TempDir,
}

impl Server {
    /// A node that waits for a cluster.
    async fn waiting(limits: LimitsConfig) -> Self {
        Self::waiting_with(limits, HistoryConfig::default()).await
    }

    async fn waiting_with(limits: LimitsConfig, history: HistoryConfig) -> Self {
        Self::waiting_as(limits, |config| config.history = history).await
    }

    async fn waiting_as(limits: LimitsConfig, adjust: impl FnOnce(&mut NodeConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new());
        let mut config = NodeConfig::loopback("node1", Role::Central, folder.path());
        adjust(&mut config);
        let node = Node::start(config, metrics.clone()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn({
            let (node, metrics) = (node.clone(), metrics.clone());
            async move {
                service::serve(node, listener, None, &limits, metrics, async { drop(stopped.await) }).await
            }
        });
        let channel = Channel::from_shared(address.clone()).unwrap().connect().await.unwrap();
        Self { node, metrics, address, channel, stop, serving, folder }
    }

    /// A cluster of one node, ready to serve.
    async fn ready(limits: LimitsConfig) -> Self {
        Self::ready_with(limits, HistoryConfig::default()).await
    }

    /// The same that keeps its history so long.
    pub(super) async fn ready_with(limits: LimitsConfig, history: HistoryConfig) -> Self {
        Self::waiting_with(limits, history).await.formed().await
    }

    /// Forms a cluster of this node alone.
    async fn formed(self) -> Self {
        let server = self;
        let peer_addresses = vec![server.node.member().peer_address];
        server.admin().init(InitRequest { peer_addresses }).await.unwrap();
        eventually(|| async { server.health("").await == Ok(ServingStatus::Serving) }).await;
        server
    }

    pub(super) fn registry(&self) -> PopulationRegistryClient<Channel> {
        PopulationRegistryClient::new(self.channel.clone())
    }

    fn admin(&self) -> ClusterAdminClient<Channel> {
        ClusterAdminClient::new(self.channel.clone())
    }

    async fn health(&self, service: &str) -> Result<ServingStatus, Code> {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer =
            HealthClient::new(self.channel.clone()).check(request).await.map_err(|status| status.code())?;
        Ok(answer.into_inner().status())
    }

    pub(super) async fn create(&self, request_id: &str, person: Person) -> Result<(u64, u64), Status> {
        let request =
            CreatePersonRequest { context: Some(context(request_id)), create: Some(create(person)) };
        let answer = self.registry().create_person(request).await?.into_inner();
        let (meta, written) = (answer.meta.unwrap(), answer.written.unwrap());
        assert_eq!(meta.record_revision, written.record_revision);
        assert_eq!((meta.served_by.as_str(), meta.normalization_profile.as_str()), ("node1", "vi-names/1"));
        assert!(!meta.cluster_id.is_empty() && meta.raft_term > 0);
        Ok((written.person_uid, written.record_revision))
    }

    pub(super) async fn read(&self, key: Key, options: ReadOptions) -> Result<Person, Status> {
        let request = ReadPersonRequest {
            context: None,
            key: Some(PersonKey { key: Some(key) }),
            options: Some(options),
        };
        Ok(self.registry().read_person(request).await?.into_inner().person.unwrap())
    }

    pub(super) async fn shutdown(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.serving).await.expect("the server ends").unwrap().unwrap();
        self.node.shutdown().await;
    }
}

pub(super) async fn eventually<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "it did not come to pass within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(super) fn context(request_id: &str) -> RequestContext {
    RequestContext {
        request_id: request_id.to_owned(),
        agency_id: "A1".to_owned(),
        ..RequestContext::default()
    }
}

pub(super) fn person(serial: u32) -> Person {
    Person {
        birth_name: Some(PersonName {
            family: "Nguyễn".to_owned(),
            middle: "Thị".to_owned(),
            given: "Thúy".to_owned(),
        }),
        personal_id: format!("001190{serial:06}"),
        birth_date: Some(PartialDate { year: 1990, month: 5, day: 17 }),
        gender: Gender::Female.into(),
        ..Person::default()
    }
}

pub(super) fn create(person: Person) -> CreatePerson {
    CreatePerson { person: Some(person), accept_existing: false }
}

pub(super) fn id(serial: u32) -> Key {
    Key::PersonalId(person(serial).personal_id)
}

pub(super) fn key(key: Key) -> PersonKey {
    PersonKey { key: Some(key) }
}

/// Reason, field and code of a refusal.
fn told(status: &Status) -> (String, String, Code) {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no reason in {status:?}"));
    (info.reason, info.metadata.get("field").cloned().unwrap_or_default(), status.code())
}

#[track_caller]
pub(super) fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, reason: &str, field: &str, code: Code) {
    assert_eq!(told(&answer.unwrap_err()), (reason.to_owned(), field.to_owned(), code));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_node_says_so_and_takes_operators_calls() {
    let server = Server::waiting(LimitsConfig::default()).await;
    eventually(|| async { server.health("").await == Ok(ServingStatus::NotServing) }).await;
    let admin = "dancu.cluster.v1.ClusterAdmin";
    eventually(|| async { server.health(admin).await == Ok(ServingStatus::Serving) }).await;
    refused(server.create("r1", person(1)).await, "NOT_READY", "", Code::Unavailable);
    let status = server.admin().status(StatusRequest { local_only: true }).await.unwrap().into_inner();
    assert_eq!(status.nodes[0].state(), NodeState::Waiting);
    let bad = AddNodeRequest { peer_address: "nowhere".to_owned() };
    refused(server.admin().add_node(bad).await, "FIELD_INVALID", "peer_address", Code::InvalidArgument);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_written_once_and_read_at_any_revision() {
    let server = Server::ready(LimitsConfig::default()).await;
    let (uid, first) = server.create("r1", person(1)).await.unwrap();
    assert_eq!(server.create("r1", person(1)).await.unwrap(), (uid, first), "a retry gets the first answer");
    refused(
        server.create("r1", person(2)).await,
        "REQUEST_ID_REUSED",
        "context.request_id",
        Code::InvalidArgument,
    );
    let taken = server.create("r2", person(1)).await.unwrap_err();
    assert_eq!((told(&taken).0.as_str(), taken.code()), ("IDENTIFIER_TAKEN", Code::AlreadyExists));
    assert_eq!(taken.get_details_error_info().unwrap().metadata["revision"], first.to_string());

    let patch = |request_id: &str, given: &str, expected, paths: &[&str]| PatchPersonRequest {
        context: Some(context(request_id)),
        patch: Some(PatchPerson {
            key: Some(key(Key::PersonUid(uid))),
            person: Some(Person {
                birth_name: Some(PersonName { given: given.to_owned(), ..PersonName::default() }),
                ..Person::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: paths.iter().map(ToString::to_string).collect(),
            }),
            expected_record_revision: expected,
        }),
    };
    let given = ["birth_name.given"];
    let second =
        server.registry().patch_person(patch("r3", "Thủy", first, &given)).await.unwrap().into_inner();
    let second = second.written.unwrap().record_revision;
    assert!(second > first);
    let stale = server.registry().patch_person(patch("r4", "Thùy", first, &given)).await.unwrap_err();
    let metadata = stale.get_details_error_info().unwrap().metadata;
    assert_eq!((told(&stale).0.as_str(), stale.code()), ("REVISION_CONFLICT", Code::Aborted));
    assert_eq!(metadata["current_record_revision"], second.to_string());
    let unknown = server.registry().patch_person(patch("r5", "Thùy", 0, &["birth_name.nick"])).await;
    assert_eq!(told(&unknown.unwrap_err()).0, "FIELD_MASK_INVALID");

    let now = server.read(id(1), ReadOptions::default()).await.unwrap();
    assert_eq!(now.birth_name.unwrap().given, "Thủy");
    let as_of =
        |revision| ReadOptions { consistency: Consistency::AsOf.into(), revision, ..ReadOptions::default() };
    let then = server.read(id(1), as_of(first)).await.unwrap();
    assert_eq!(then.birth_name.unwrap().given, "Thúy");
    refused(server.read(id(1), as_of(second + 100)).await, "REVISION_FUTURE", "", Code::OutOfRange);
    let absent = server.read(id(9), ReadOptions::default()).await;
    refused(absent, "PERSON_NOT_FOUND", "key", Code::NotFound);

    let history =
        ReadPersonHistoryRequest { key: Some(key(Key::PersonUid(uid))), limit: 1, ..Default::default() };
    let page = server.registry().read_person_history(history.clone()).await.unwrap().into_inner();
    assert_eq!((page.versions.len(), page.more), (1, true));
    let older = ReadPersonHistoryRequest { before_revision: second, ..history };
    let page = server.registry().read_person_history(older).await.unwrap().into_inner();
    assert_eq!((page.versions[0].person.as_ref().unwrap().record_revision, page.more), (first, false));
    server.shutdown().await;
}

/// Makes a record malformed.
type Spoil = fn(&mut Person);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_refused_with_field_and_reason() {
    let server = Server::ready(LimitsConfig::default()).await;
    let bad = Code::InvalidArgument;
    let with = |change: Spoil| {
        let mut person = person(1);
        change(&mut person);
        person
    };
    let cases: [(Spoil, &str, &str); 5] = [
        (|p| p.personal_id = "12".to_owned(), "ID_STRUCTURE_INVALID", "person.personal_id"),
        (
            |p| p.birth_date = Some(PartialDate { year: 1990, month: 6, day: 31 }),
            "DATE_INVALID",
            "person.birth_date",
        ),
        (|p| p.gender = 77, "FIELD_INVALID", "person.gender"),
        (|p| p.other_names = vec!["x".repeat(301)], "TOO_LARGE", "person.other_names[0]"),
        (|p| p.other_names = vec!["Thu\u{0301}y".to_owned()], "NAME_CHARSET", "person.other_names[0]"),
    ];
    for (change, reason, field) in cases {
        refused(server.create("r1", with(change)).await, reason, field, bad);
    }
    refused(server.create("", person(1)).await, "FIELD_INVALID", "context.request_id", bad);
    let large = Person { other_names: vec!["x".repeat(5 << 20)], ..person(1) };
    let too_large = server.create("r1", large).await.unwrap_err();
    assert_eq!((told(&too_large).0.as_str(), too_large.code()), ("TOO_LARGE", bad));

    let writes =
        [person(1), with(|p| p.gender = 77)].map(|p| Write { write: Some(write::Write::Create(create(p))) });
    let batch = |request_id: &str, atomicity: i32| CommitBatchRequest {
        context: Some(context(request_id)),
        writes: writes.to_vec(),
        atomicity,
    };
    let whole = server.registry().commit_batch(batch("b1", Atomicity::AllOrNothing.into())).await;
    refused(whole, "FIELD_INVALID", "writes[1].person.gender", bad);
    refused(server.registry().commit_batch(batch("b2", 9)).await, "FIELD_INVALID", "atomicity", bad);
    let each =
        server.registry().commit_batch(batch("b3", Atomicity::Each.into())).await.unwrap().into_inner();
    let applied = |outcome: &crate::proto::registry::WriteOutcome| {
        matches!(outcome.outcome, Some(write_outcome::Outcome::Written(_)))
    };
    assert_eq!(each.outcomes.iter().map(applied).collect::<Vec<_>>(), [true, false]);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verdicts_and_batches_come_from_one_revision() {
    let server = Server::ready(LimitsConfig::default()).await;
    let (_, revision) = server.create("r1", person(1)).await.unwrap();
    let claim = |text: &str| Claim {
        attribute: Attribute::GivenName.into(),
        value: Some(claim::Value::Text(text.to_owned())),
        ..Claim::default()
    };
    let subject = |key: Option<PersonKey>, text: &str| Subject { key, claims: vec![claim(text)] };
    let mut verification = VerificationClient::new(server.channel.clone());
    for (text, verdict) in [("Thúy", Verdict::Match), ("Thùy", Verdict::NoMatch)] {
        let request =
            VerifyRequest { subject: Some(subject(Some(key(id(1))), text)), ..VerifyRequest::default() };
        let answer = verification.verify(request).await.unwrap().into_inner();
        assert_eq!((answer.verdicts[0].verdict(), answer.all_match), (verdict, verdict == Verdict::Match));
        let meta = answer.meta.unwrap();
        assert_eq!((meta.record_revision, meta.staleness_bound_ms), (revision, 0));
        assert_eq!(meta.consistency_served(), Consistency::Linearizable);
    }
    let request = BatchVerifyRequest {
        subjects: vec![
            subject(Some(key(id(1))), "Thúy"),
            subject(Some(key(id(2))), "Thúy"),
            subject(None, "Thúy"),
        ],
        ..BatchVerifyRequest::default()
    };
    let answer = verification.batch_verify(request).await.unwrap().into_inner();
    assert_eq!(
        answer.results.iter().map(|result| result.all_match).collect::<Vec<_>>(),
        [true, false, false]
    );
    let missing = answer.results[1].missing.as_ref().unwrap();
    assert_eq!(missing.field, "subjects[1].key");

    let keys = vec![key(id(1)), key(Key::PersonalId("short".to_owned()))];
    let request = BatchReadPersonsRequest { keys, ..BatchReadPersonsRequest::default() };
    let answer = server.registry().batch_read_persons(request).await.unwrap().into_inner();
    let found = |result: &crate::proto::registry::PersonResult| {
        matches!(result.result, Some(person_result::Result::Person(_)))
    };
    assert_eq!(answer.results.iter().map(found).collect::<Vec<_>>(), [true, false]);
    let empty = server.registry().batch_read_persons(BatchReadPersonsRequest::default()).await;
    refused(empty, "FIELD_INVALID", "keys", Code::InvalidArgument);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_found_by_a_likeness_of_their_name_and_it_is_told_how_strong() {
    use MatchStrength::{Canonical, Exact, Folded, Variant};
    let server = Server::ready(LimitsConfig::default()).await;
    let named = |serial: u32, given: &str| {
        let name = PersonName { given: given.to_owned(), ..person(serial).birth_name.unwrap() };
        Person { birth_name: Some(name), ..person(serial) }
    };
    for (serial, given) in (1..).zip(["Thúy", "Thuý", "Thùy", "Quý", "Quí", "Thu"]) {
        server.create(&format!("r{serial}"), named(serial, given)).await.unwrap();
    }
    let cases = [
        ("Nguyễn Thị Thúy", vec![("Thúy", Exact), ("Thuý", Canonical), ("Thùy", Folded)]),
        ("NGUYENTHITHUY", vec![("Thúy", Folded), ("Thuý", Folded), ("Thùy", Folded)]),
        ("nguyễn  thị quí", vec![("Quý", Variant), ("Quí", Canonical)]),
        ("Thúy Thị Nguyễn", vec![]),
    ];
    for (name, expected) in cases {
        let options = Some(ReadOptions::default());
        let request = FindPersonsRequest { name: name.to_owned(), options, ..FindPersonsRequest::default() };
        let answer = server.registry().find_persons(request).await.unwrap().into_inner();
        let hits = answer.persons.iter().map(|hit| {
            let name = hit.person.as_ref().and_then(|person| person.birth_name.as_ref()).unwrap();
            (name.given.as_str(), hit.name_strength())
        });
        assert_eq!(hits.collect::<Vec<_>>(), expected, "{name}");
    }
    server.shutdown().await;
}

fn chunk(number: u64, serials: std::ops::Range<u32>) -> ImportRequest {
    ImportRequest { context: Some(context("list")), chunk: number, persons: serials.map(person).collect() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_answers_each_chunk_in_order_and_again() {
    let server = Server::ready(LimitsConfig::default()).await;
    let chunks =
        |from: u64| (from..=6).map(|n| chunk(n, n as u32 * 10..n as u32 * 10 + 5)).collect::<Vec<_>>();
    for (from, created, existing) in [(1, 5, 0), (4, 5, 0)] {
        let answers = server.registry().import(stream::iter(chunks(from))).await.unwrap().into_inner();
        let answers: Vec<_> = futures::TryStreamExt::try_collect(answers).await.unwrap();
        let numbers: Vec<_> = answers.iter().map(|answer| answer.chunk).collect();
        assert_eq!(numbers, (from..=6).collect::<Vec<_>>());
        for answer in answers {
            assert_eq!((answer.created, answer.existing, answer.rejects.len()), (created, existing, 0));
        }
    }
    let mut renamed = chunk(1, 10..16);
    renamed.context = Some(context("list again"));
    let mut answers = server.registry().import(stream::iter([renamed])).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    assert_eq!((answer.created, answer.existing), (1, 5), "people who are there are not added twice");

    let gap = vec![chunk(7, 70..71), chunk(9, 90..91)];
    let mut answers = server.registry().import(stream::iter(gap)).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().chunk, 7);
    refused(answers.message().await, "FIELD_INVALID", "chunk", Code::InvalidArgument);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_refuses_before_it_queues_but_hears_operators() {
    let limits = LimitsConfig { max_requests_in_flight: 0, ..LimitsConfig::default() };
    let server = Server::ready(limits).await;
    let refusal = server.create("r1", person(1)).await.unwrap_err();
    assert_eq!((told(&refusal).0.as_str(), refusal.code()), ("OVERLOADED", Code::ResourceExhausted));
    assert!(refusal.get_details_retry_info().unwrap().retry_delay.is_some());
    server.admin().status(StatusRequest { local_only: false }).await.unwrap();
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_ends_open_imports_and_does_not_wait_for_their_clients() {
    let server = Server::ready(LimitsConfig::default()).await;
    let (sender, chunks) = mpsc::channel(1);
    let mut answers =
        server.registry().import(Request::new(ReceiverStream::new(chunks))).await.unwrap().into_inner();
    sender.send(chunk(1, 1..3)).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().created, 2);
    let stopped = tokio::spawn(server.shutdown());
    refused(answers.message().await, "NOT_READY", "", Code::Unavailable);
    tokio::time::timeout(PATIENCE, stopped).await.expect("the server ends").unwrap();
    drop(sender);
}
