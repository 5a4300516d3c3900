//! Clients that write, read and verify a few records at every node, and the history of what they were told, which the
//! judges of `tests/check` read.
//!
//! ```text
//! a group: 8 clients on 8 records, each record replaced by a new one after 450 calls: as much as a search can take
//! a record that was replaced: judged at once, and dropped but for what a later answer can contradict
//! a client: one call after another, at a node of its choice, through the client library with that one node to ask
//! a write without an answer: may have been applied; who asked goes on under another number
//! ```
//!
//! A record's value is one of its other names: it can be written, read and verified, and stands for one number.

mod call;
mod name;
mod records;
mod tally;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dancu::client::{Client, ClientOptions};
use dancu::proto::registry::{PatchPerson, PersonKey, RequestContext};
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::check::history::{Answer, Call, NEVER, Operation};
use super::harness::{AGENCY, shown};
use records::History;
pub use records::{Judged, Wrong};
pub use tally::{Pace, Tally};

const CLIENTS_A_GROUP: u32 = 8;
const RECORDS_A_GROUP: usize = 8;
/// As many as a search of one record can take.
const CALLS_A_RECORD: usize = 450;
/// One call; a node that cannot answer in this time is asked no longer.
const LIMIT: Duration = Duration::from_secs(3);
/// The age that a stale read allows.
const BOUND_MS: u64 = 10_000;
/// Records that a client remembers having seen: those in use and some before.
const SEEN: usize = 4 * RECORDS_A_GROUP;
/// How old an acknowledged write may be that is asked for again: the nodes' window is never shorter.
const AGAIN: Duration = Duration::from_secs(50);
/// Pause of a client whose node did not answer.
const PAUSE: Duration = Duration::from_millis(20);

/// Clients at work.
pub struct Workload {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

/// What the clients share.
struct Shared {
    begun: Instant,
    nodes: Vec<Client>,
    /// The records in use, by group; an empty place is being filled by one of the clients.
    places: Mutex<Vec<Option<Record>>>,
    /// By the record's number.
    history: Mutex<Vec<History>>,
    judged: Mutex<Judged>,
    /// Takes the records that have served their time; `None` at the end of the run.
    closed: UnboundedSender<Option<Record>>,
    /// The records, by number; some were asked for and may never have been made.
    people: Mutex<Vec<PersonKey>>,
    strange: Mutex<Vec<String>>,
    tally: Arc<Tally>,
    values: AtomicU64,
    processes: AtomicU32,
    over: AtomicBool,
}

/// All that was asked and told.
pub struct Told {
    /// What is still to be judged: for each record its calls, or what was kept of them.
    pub history: Vec<Vec<Operation>>,
    /// What was judged on the way.
    pub judged: Judged,
    /// The calls over time.
    pub pace: Pace,
    /// Answers that nothing explains.
    pub strange: Vec<String>,
}

#[derive(Clone)]
struct Record {
    key: u32,
    person: PersonKey,
}

/// A client of one node that gives up soon.
fn client(address: &str) -> Client {
    let options = ClientOptions {
        certificates: shown(),
        deadline: LIMIT,
        attempt_timeout: LIMIT / 2,
        agency_id: AGENCY.to_owned(),
        ..ClientOptions::default()
    };
    Client::connect(vec![address.to_owned()], options).unwrap()
}

impl Workload {
    /// Starts groups of clients of the nodes at these addresses.
    pub fn start(addresses: &[String], groups: u32, seed: u64) -> Self {
        let (closed, records) = unbounded_channel();
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            nodes: addresses.iter().map(|address| client(address)).collect(),
            places: Mutex::new(vec![None; groups as usize * RECORDS_A_GROUP]),
            history: Mutex::default(),
            judged: Mutex::default(),
            closed,
            people: Mutex::default(),
            strange: Mutex::default(),
            tally: Arc::default(),
            values: AtomicU64::new(1),
            processes: AtomicU32::new(1),
            over: AtomicBool::new(false),
        });
        let mut clients = JoinSet::new();
        clients.spawn(records::close(shared.clone(), records));
        for number in 0..groups * CLIENTS_A_GROUP {
            let random = ChaCha8Rng::seed_from_u64(seed.wrapping_add(number.into()));
            let group = (number / CLIENTS_A_GROUP) as usize;
            let mine = (number % CLIENTS_A_GROUP) as usize;
            clients.spawn(Asker::new(shared.clone(), group, random).work(mine));
        }
        Self { shared, clients }
    }

    /// When it began: what times in the history count from.
    pub fn begun(&self) -> std::time::Instant {
        self.shared.begun.into_std()
    }

    /// What happened so far.
    pub fn tally(&self) -> Arc<Tally> {
        self.shared.tally.clone()
    }

    /// Lets each client finish its call, then reads every record at every node once more, if all nodes are there.
    pub async fn stop(mut self, all_there: bool) -> Told {
        self.shared.over.store(true, Ordering::Relaxed);
        let _ = self.shared.closed.send(None);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        let mut readers = JoinSet::new();
        for node in (0..self.shared.nodes.len()).filter(|_| all_there) {
            readers.spawn(last_reads(self.shared.clone(), node));
        }
        while let Some(ended) = readers.join_next().await {
            ended.unwrap();
        }
        let history = std::mem::take(&mut *lock(&self.shared.history));
        Told {
            history: history.into_iter().map(|record| record.operations).collect(),
            judged: std::mem::take(&mut *lock(&self.shared.judged)),
            pace: lock(&self.shared.tally.pace).clone(),
            strange: std::mem::take(&mut *lock(&self.shared.strange)),
        }
    }
}

/// Reads all records at one node.
async fn last_reads(shared: Arc<Shared>, node: usize) {
    let people = lock(&shared.people).clone();
    let random = ChaCha8Rng::seed_from_u64(0);
    let mut asker = Asker::new(shared, 0, random);
    for (key, person) in (0..).zip(people) {
        if person.key.is_some() {
            asker.ask(node, &Record { key, person }, Call::Read).await;
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap()
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap()
    }

    fn value(&self) -> u64 {
        self.values.fetch_add(1, Ordering::Relaxed)
    }

    fn process(&self) -> u32 {
        self.processes.fetch_add(1, Ordering::Relaxed)
    }

    fn add(&self, operation: Operation) {
        self.tally.count(&operation);
        lock(&self.history)[operation.key as usize].operations.push(operation);
    }

    fn is_full(&self, key: u32) -> bool {
        lock(&self.history)[key as usize].operations.len() >= CALLS_A_RECORD
    }
}

/// An acknowledged write, to be asked for again.
struct Done {
    record: Record,
    context: RequestContext,
    patch: PatchPerson,
    value: u64,
    revision: u64,
    since: Instant,
}

/// One client.
struct Asker {
    shared: Arc<Shared>,
    group: usize,
    random: ChaCha8Rng,
    process: u32,
    /// What it saw last of each record: revision and value.
    seen: BTreeMap<u32, (u64, u64)>,
    /// The newest revision of the registry that it knows of.
    newest: u64,
    done: Option<Done>,
}

impl Asker {
    fn new(shared: Arc<Shared>, group: usize, random: ChaCha8Rng) -> Self {
        let process = shared.process();
        Self { shared, group, random, process, seen: BTreeMap::new(), newest: 1, done: None }
    }

    /// Makes its own record first, then asks about those of the group.
    async fn work(mut self, mine: usize) {
        let first = self.group * RECORDS_A_GROUP;
        self.fill(first + mine).await;
        while !self.shared.over.load(Ordering::Relaxed) {
            let place = first + self.random.random_range(0..RECORDS_A_GROUP);
            let Some(record) = self.take_if_full(place).await else { continue };
            let node = self.random.random_range(0..self.shared.nodes.len());
            let call = self.choose(record.key);
            let answered = match call {
                None => self.ask_again(node).await,
                Some(call) => self.ask(node, &record, call).await,
            };
            self.shared.asking(record.key, false);
            if !answered {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// The record at a place, with a call on it begun; one that has served its time is replaced first.
    async fn take_if_full(&mut self, place: usize) -> Option<Record> {
        let shared = self.shared.clone();
        let record = {
            let mut places = lock(&shared.places);
            let record = places[place].clone();
            if record.as_ref().is_some_and(|record| shared.is_full(record.key)) {
                places[place] = None;
            } else if let Some(record) = record {
                shared.asking(record.key, true);
                return Some(record);
            }
            record
        };
        match record {
            Some(record) => {
                // At the end of the run nobody listens, and what is open is judged as a whole.
                let _ = shared.closed.send(Some(record));
                self.fill(place).await;
            }
            // Somebody else is at it.
            None => tokio::time::sleep(PAUSE).await,
        }
        None
    }

    /// Puts a new record at a place, however long it takes.
    async fn fill(&mut self, place: usize) {
        while !self.shared.over.load(Ordering::Relaxed) {
            let key = self.shared.new_key();
            let node = self.random.random_range(0..self.shared.nodes.len());
            if let Some(person) = self.create(node, key).await {
                lock(&self.shared.places)[place] = Some(Record { key, person });
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What to ask next; `None` for the last acknowledged write once more.
    fn choose(&mut self, key: u32) -> Option<Call> {
        let (revision, found) = self.seen.get(&key).copied().unwrap_or_default();
        Some(match self.random.random_range(0..12) {
            0..3 => Call::Patch { value: self.shared.value() },
            3 if revision > 0 => Call::PatchIf { value: self.shared.value(), revision, found },
            4 => Call::Stale { bound_ms: BOUND_MS },
            5 => Call::AtLeast { revision: self.newest },
            6 | 7 if found > 0 => Call::Verify { value: found },
            8 if self.done.as_ref().is_some_and(|done| done.since.elapsed() < AGAIN) => return None,
            _ => Call::Read,
        })
    }

    /// Notes what was told.
    fn note(&mut self, key: u32, start: u64, call: Call, answer: Answer) {
        let end = if answer == Answer::Unknown { NEVER } else { self.shared.now() };
        self.shared.add(Operation { key, process: self.process, start, end, call, answer });
        match (call, answer) {
            (
                Call::Create { value } | Call::Patch { value } | Call::PatchIf { value, .. },
                Answer::Wrote { revision },
            ) => {
                self.seen.insert(key, (revision, value));
                self.newest = self.newest.max(revision);
            }
            (_, Answer::Saw { revision, value, at, .. }) => {
                self.seen.insert(key, (revision, value));
                self.newest = self.newest.max(at);
            }
            (_, Answer::Unknown) => self.process = self.shared.process(),
            _ => {}
        }
        while self.seen.len() > SEEN {
            self.seen.pop_first();
        }
    }
}
