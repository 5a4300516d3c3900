//! What eight clients are told of a few records, at every node, while leaders are killed and paused: judged by both judges
//! of `tests/check`, which share nothing but the history.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dancu::client::request_id;
use dancu::proto::registry::population_registry_client::PopulationRegistryClient;
use dancu::proto::registry::{
    Consistency, PatchPerson, PatchPersonRequest, Person, PersonKey, ReadOptions, ReadPersonRequest,
};
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::transport::Channel;

use crate::check::history::{Answer, Call, NEVER, Operation};
use crate::check::search::{Finding, search};
use crate::check::versions::check;
use crate::harness::people::{citizen, residence};
use crate::harness::{Cluster, PATIENCE, api, eventually, seed};

const CLIENTS: u32 = 8;
const RECORDS: u32 = 8;
/// As many as a search of one record can take.
const CALLS_A_RECORD: usize = 450;
/// One call; a node that cannot answer in this time is asked no longer.
const LIMIT: Duration = Duration::from_secs(3);
const BOUND_MS: u64 = 10_000;
/// Leaders lost.
const FAULTS: usize = 4;

/// What the clients share.
struct Shared {
    begun: Instant,
    addresses: Vec<String>,
    records: Vec<PersonKey>,
    values: AtomicU64,
    processes: AtomicU32,
    history: Mutex<Vec<Vec<Operation>>>,
    over: AtomicBool,
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap()
    }

    fn add(&self, operation: Operation) {
        self.history.lock().unwrap()[operation.key as usize].push(operation);
    }

    fn is_full(&self, key: u32) -> bool {
        self.history.lock().unwrap()[key as usize].len() >= CALLS_A_RECORD
    }

    /// Calls so far.
    fn calls(&self) -> usize {
        self.history.lock().unwrap().iter().map(Vec::len).sum()
    }
}

fn patch(key: PersonKey, value: u64, expected: u64) -> PatchPersonRequest {
    let person = Person { permanent_residence: Some(residence(&value.to_string())), ..Person::default() };
    let patch = PatchPerson {
        key: Some(key),
        person: Some(person),
        update_mask: Some(prost_types::FieldMask { paths: vec!["permanent_residence".to_owned()] }),
        expected_record_revision: expected,
    };
    PatchPersonRequest { context: api::context(&request_id()), patch: Some(patch) }
}

/// What came of a write. Whatever is no clear refusal may have been applied.
fn written(answer: Result<u64, Status>) -> Answer {
    match answer {
        Ok(revision) => Answer::Wrote { revision },
        Err(status) => match api::refusal_number(&status, "current_record_revision") {
            Some(revision) => Answer::Conflict { revision },
            None => Answer::Unknown,
        },
    }
}

fn read_request(call: Call, key: PersonKey) -> ReadPersonRequest {
    api::read(
        key,
        match call {
            Call::Stale { bound_ms } => api::stale(bound_ms),
            Call::AtLeast { revision } => api::at(Consistency::AtLeast, revision),
            _ => ReadOptions::default(),
        },
    )
}

type Stub = PopulationRegistryClient<Channel>;

/// Asks a node; `None` for a read without an answer, which tells nothing.
async fn ask(stub: &mut Stub, call: Call, record: PersonKey) -> Option<Answer> {
    let (value, expected) = match call {
        Call::Patch { value } => (value, 0),
        Call::PatchIf { value, revision, .. } => (value, revision),
        _ => {
            let answer = stub.read_person(api::within(LIMIT, read_request(call, record))).await;
            let answer = answer.ok()?.into_inner();
            let (meta, person) = (answer.meta.unwrap(), answer.person.unwrap());
            let value = person.permanent_residence.unwrap().detail.parse().unwrap();
            let is_stale = matches!(call, Call::Stale { .. });
            let within_ms = if is_stale { meta.staleness_bound_ms.into() } else { 0 };
            return Some(Answer::Saw {
                revision: person.record_revision,
                value,
                at: meta.revision,
                within_ms,
            });
        }
    };
    let answer = stub.patch_person(api::within(LIMIT, patch(record, value, expected))).await;
    Some(written(answer.map(|answer| answer.into_inner().written.unwrap().record_revision)))
}

/// One client: one call after another, at nodes of its choice.
async fn client(shared: Arc<Shared>, mut random: ChaCha8Rng) {
    let mut stubs: Vec<Stub> = shared.addresses.iter().map(|address| api::registry(address)).collect();
    let mut process = shared.processes.fetch_add(1, Ordering::Relaxed);
    // What it saw last of each record, revision and value, and of the registry.
    let (mut seen, mut newest) = (vec![(0, 0); RECORDS as usize], 1);
    while !shared.over.load(Ordering::Relaxed) {
        let key = random.random_range(0..RECORDS);
        let node = random.random_range(0..stubs.len());
        let (revision, found) = seen[key as usize];
        let value = shared.values.fetch_add(1, Ordering::Relaxed);
        let call = match random.random_range(0..10) {
            0..3 => Call::Patch { value },
            3 if revision > 0 => Call::PatchIf { value, revision, found },
            4 => Call::Stale { bound_ms: BOUND_MS },
            5 => Call::AtLeast { revision: newest },
            _ => Call::Read,
        };
        if shared.is_full(key) {
            tokio::task::yield_now().await;
            continue;
        }
        let start = shared.now();
        let record = shared.records[key as usize].clone();
        let Some(answer) = ask(&mut stubs[node], call, record).await else { continue };
        let end = if answer == Answer::Unknown { NEVER } else { shared.now() };
        shared.add(Operation { key, process, start, end, call, answer });
        match answer {
            Answer::Wrote { revision } => seen[key as usize] = (revision, value),
            Answer::Saw { revision, value, at, .. } => {
                seen[key as usize] = (revision, value);
                newest = newest.max(at);
            }
            Answer::Unknown => process = shared.processes.fetch_add(1, Ordering::Relaxed),
            _ => {}
        }
    }
}

/// Adds the records, as the first call on each.
async fn create(cluster: &Cluster) -> Shared {
    let mut shared = Shared {
        begun: Instant::now(),
        addresses: cluster.fleet.client_addresses(),
        records: Vec::new(),
        values: AtomicU64::new(1),
        processes: AtomicU32::new(1),
        history: Mutex::new(vec![Vec::new(); RECORDS as usize]),
        over: AtomicBool::new(false),
    };
    let mut registry = api::registry(&shared.addresses[0]);
    for key in 0..RECORDS {
        let value = shared.values.fetch_add(1, Ordering::Relaxed);
        let person = Person { permanent_residence: Some(residence(&value.to_string())), ..citizen(key) };
        let start = shared.now();
        let created = registry.create_person(api::create(&request_id(), person)).await.unwrap();
        let written = created.into_inner().written.unwrap();
        shared.records.push(api::by_uid(written.person_uid));
        let answer = Answer::Wrote { revision: written.record_revision };
        let (end, call) = (shared.now(), Call::Create { value });
        shared.add(Operation { key, process: 0, start, end, call, answer });
    }
    shared
}

/// Kills the leader, or lets it sleep, until there is another one, and has it back.
async fn lose_leader(cluster: &mut Cluster, kill: bool) {
    let leader = cluster.leader().await;
    if kill {
        cluster.node(leader).kill().unwrap();
    } else {
        cluster.node(leader).pause().unwrap();
    }
    let another = async || (cluster.leader().await != leader).then_some(());
    eventually("another leader", PATIENCE, another).await;
    if kill {
        cluster.restart(leader).await;
    } else {
        cluster.node(leader).resume().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_judged_histories_are_linearizable_while_leaders_die_and_sleep() {
    let seed = seed("cluster_judged");
    let mut cluster = Cluster::start(3, 1).await;
    let shared = Arc::new(create(&cluster).await);
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let random = ChaCha8Rng::seed_from_u64(seed.wrapping_add(number.into()));
        clients.spawn(client(shared.clone(), random));
    }
    let all = RECORDS as usize * CALLS_A_RECORD;
    for round in 1..=FAULTS {
        let wanted = all * round / (FAULTS + 2);
        eventually("calls between two faults", PATIENCE, async || (shared.calls() >= wanted).then_some(()))
            .await;
        lose_leader(&mut cluster, round % 2 == 0).await;
    }
    eventually("enough calls", PATIENCE, async || (shared.calls() >= all).then_some(())).await;
    shared.over.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }

    let history = std::mem::take(&mut *shared.history.lock().unwrap());
    let (mut calls, mut unknown, mut writes, mut given_up) = (0, 0, 0, 0);
    for operations in &history {
        calls += operations.len();
        unknown += operations.iter().filter(|operation| operation.answer == Answer::Unknown).count();
        writes += operations.iter().filter(|one| matches!(one.answer, Answer::Wrote { .. })).count();
        let broken = check(operations);
        assert!(broken.is_empty(), "seed {seed}: {}", broken[0]);
        match search(operations) {
            Finding::Linearizable => {}
            Finding::Stuck(at) => panic!("seed {seed}: no order of the calls explains {at}"),
            // Too many calls without an answer at once: the other judge has seen them all.
            Finding::GaveUp => given_up += 1,
        }
    }
    println!(
        "{calls} calls ({writes} writes, {unknown} without an answer) over {FAULTS} lost leaders: judged sound"
    );
    assert!(given_up < RECORDS / 2, "the searches of {given_up} records were given up");
    assert!(writes > calls / 10 && unknown < calls / 10, "the run tells too little");
    cluster.assert_no_errors();
}
