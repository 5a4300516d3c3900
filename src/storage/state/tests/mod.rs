//! The state machine as its owner sees it. What the tests share: a log that is written as they go, people to put into
//! it, and a power cut.

mod apply;
mod compaction;
mod history;
mod install;
mod merges;
mod property;
mod requests;
mod sealed;
mod size;
mod snapshots;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rocksdb::WaitForCompactOptions;
use tempfile::TempDir;

use super::tables::Table;
use super::{Digest, Resolved, StateOptions, StateStore, StateView};
use crate::proto::cluster::Member;
use crate::proto::registry::{
    CreatePerson, Credential, CredentialKey, CredentialStatus, CredentialType, ErrorReason, Gender,
    MergePersons, PartialDate, Person, PersonKey, PersonName, RequestContext, UpdatePerson, Write, Written,
    person_key::Key, write, write_outcome::Outcome,
};
use crate::proto::store::{
    Batch, Blank, Command, CompactHistory, Entry, LogId, Membership, NumberedMember, Reply, VoterSet,
    command::Op, entry::Payload, reply,
};
use crate::storage::error::StorageError;

/// How long replies are kept in these tests, in milliseconds.
const WINDOW_MS: u64 = 10_000;

/// A store in a folder of its own.
struct Disk {
    folder: TempDir,
    store: StateStore,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).unwrap();
        Self { folder, store }
    }

    /// Closes the store in good order and opens it again.
    fn reopen(self) -> Self {
        let Self { folder, store } = self;
        drop(store);
        let store = open(folder.path()).unwrap();
        Self { folder, store }
    }

    /// What a crash now would leave, opened: what RocksDB holds in memory is gone.
    fn crashed(&self) -> Self {
        // The copy is not one instant: RocksDB must not remove files meanwhile.
        self.store.live().generation.db().wait_for_compact(&WaitForCompactOptions::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        copy_folder(self.folder.path(), folder.path());
        let store = open(folder.path()).unwrap();
        Self { folder, store }
    }

    /// The generations that have a folder.
    fn generations(&self) -> Vec<String> {
        let mut names = super::files::names(&self.folder.path().join("state")).unwrap();
        names.retain(|name| name != "CURRENT");
        names
    }
}

pub(in crate::storage) fn open(folder: &Path) -> Result<StateStore, StorageError> {
    let options =
        StateOptions { block_cache_bytes: 1 << 20, memtable_bytes: 64 << 10, ..StateOptions::default() };
    StateStore::open(folder, &options, Arc::new(()))
}

pub(in crate::storage) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in super::files::names(from).unwrap() {
        let (from, to): (PathBuf, PathBuf) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// A log that grows at its end.
#[derive(Default)]
pub(in crate::storage) struct Log {
    pub(in crate::storage) entries: Vec<Entry>,
    time_ms: u64,
    requests: u64,
}

impl Log {
    fn push(&mut self, payload: Payload) -> Entry {
        let log_id = LogId { term: 1, leader_id: 1, index: self.entries.len() as u64 };
        let entry = Entry { log_id: Some(log_id), payload: Some(payload) };
        self.entries.push(entry.clone());
        entry
    }

    fn blank(&mut self) -> Entry {
        self.push(Payload::Blank(Blank {}))
    }

    fn members(&mut self, ids: &[u64]) -> Entry {
        let member = |id: &u64| NumberedMember {
            node_id: *id,
            member: Some(Member { node_id: *id, name: format!("node-{id}"), ..Member::default() }),
        };
        self.push(Payload::Membership(Membership {
            voter_sets: vec![VoterSet { node_ids: ids.to_vec() }],
            members: ids.iter().map(member).collect(),
        }))
    }

    /// Commands that the leader proposed one millisecond after the last ones.
    fn batch(&mut self, commands: Vec<Command>) -> Entry {
        self.time_ms += 1;
        self.batch_at(self.time_ms, commands)
    }

    fn batch_at(&mut self, proposed_at_ms: u64, commands: Vec<Command>) -> Entry {
        self.time_ms = self.time_ms.max(proposed_at_ms);
        let batch = Batch { proposed_at_ms, request_window_ms: WINDOW_MS, commands };
        self.push(Payload::Batch(batch.encode_to_vec().into()))
    }

    /// A command under a request id of its own.
    fn command(&mut self, op: Op) -> Command {
        self.requests += 1;
        request(&format!("r{}", self.requests), op)
    }

    /// A compaction, as the leader proposes it.
    fn compaction(&mut self, superseded_before_ms: u64, max_versions: u32) -> Entry {
        self.batch(vec![compact(superseded_before_ms, max_versions)])
    }

    /// One command in an entry of its own.
    fn one(&mut self, op: Op) -> Entry {
        let command = self.command(op);
        self.batch(vec![command])
    }
}

fn request(request_id: &str, op: Op) -> Command {
    let context = RequestContext {
        request_id: request_id.to_owned(),
        agency_id: "G01".to_owned(),
        ..RequestContext::default()
    };
    Command { context: Some(context), op: Some(op), ..Command::default() }
}

/// A man born in 1990 whose record passes every rule. `n` makes his personal id, up to 999,999.
fn person(n: u32, given: &str) -> Person {
    let text = str::to_owned;
    Person {
        birth_name: Some(PersonName { family: text("Nguyễn"), middle: text("Văn"), given: text(given) }),
        personal_id: personal_id(n),
        birth_date: Some(PartialDate { year: 1990, month: 0, day: 0 }),
        gender: Gender::Male.into(),
        ..Person::default()
    }
}

fn personal_id(n: u32) -> String {
    format!("001090{n:06}")
}

fn create(person: Person) -> Op {
    let create = CreatePerson { person: Some(person), accept_existing: false };
    Op::Write(Write { write: Some(write::Write::Create(create)) })
}

fn update(uid: u64, person: Person) -> Op {
    let key = Some(by_uid(uid));
    let update = UpdatePerson { key, person: Some(person), expected_record_revision: 0 };
    Op::Write(Write { write: Some(write::Write::Update(update)) })
}

fn merge(survivor: u64, duplicate: u64) -> Op {
    let merge = MergePersons { survivor: Some(by_uid(survivor)), duplicate: Some(by_uid(duplicate)) };
    Op::Write(Write { write: Some(write::Write::Merge(merge)) })
}

fn compact(superseded_before_ms: u64, max_versions: u32) -> Command {
    let op = Op::CompactHistory(CompactHistory { superseded_before_ms, max_versions });
    Command { op: Some(op), ..Command::default() }
}

fn licence(number: &str) -> Credential {
    let status = CredentialStatus::Valid.into();
    let number = number.to_owned();
    Credential { r#type: CredentialType::DrivingLicence.into(), number, status, ..Credential::default() }
}

fn by_uid(uid: u64) -> PersonKey {
    PersonKey { key: Some(Key::PersonUid(uid)) }
}

fn by_personal_id(number: &str) -> PersonKey {
    PersonKey { key: Some(Key::PersonalId(number.to_owned())) }
}

fn by_old_id(number: &str) -> PersonKey {
    PersonKey { key: Some(Key::OldIdNumber(number.to_owned())) }
}

fn by_licence(number: &str) -> PersonKey {
    let key = CredentialKey { r#type: CredentialType::DrivingLicence.into(), number: number.to_owned() };
    PersonKey { key: Some(Key::Credential(key)) }
}

/// Applies one entry with one command.
fn apply_one(store: &StateStore, entry: Entry) -> Reply {
    store.apply(&[entry]).unwrap().remove(0).remove(0)
}

fn written(reply: &Reply) -> Written {
    match &reply.reply {
        Some(reply::Reply::Write(outcome)) => match &outcome.outcome {
            Some(Outcome::Written(written)) => written.clone(),
            other => panic!("not written: {other:?}"),
        },
        other => panic!("not a write's reply: {other:?}"),
    }
}

fn rejected(reply: &Reply) -> ErrorReason {
    match &reply.reply {
        Some(reply::Reply::Rejected(rejection)) => rejection.reason(),
        Some(reply::Reply::Write(outcome)) => match &outcome.outcome {
            Some(Outcome::Rejected(rejection)) => rejection.reason(),
            other => panic!("not rejected: {other:?}"),
        },
        other => panic!("not rejected: {other:?}"),
    }
}

fn found(view: &StateView, key: &PersonKey) -> Person {
    match view.resolve(key).unwrap() {
        Resolved::Found { row, .. } => row.person.unwrap(),
        other => panic!("not found: {other:?}"),
    }
}

fn given(person: &Person) -> &str {
    &person.birth_name.as_ref().unwrap().given
}

/// Rows of a table.
fn count(store: &StateStore, table: Table) -> usize {
    keys(store, table).len()
}

/// Keys of a table.
fn keys(store: &StateStore, table: Table) -> Vec<Vec<u8>> {
    let rows = store.live();
    let rows = rows.generation.rows_from(table, &[], rocksdb::ReadOptions::default());
    rows.map(|row| row.unwrap().0.into_vec()).collect()
}

/// What must be equal on all nodes.
pub(in crate::storage) fn fingerprint(store: &StateStore) -> (Digest, Vec<u8>) {
    (store.digest().unwrap(), store.applied().chain_hash.to_vec())
}

/// A generator from `DANCU_SEED`, or from a new seed; says how to repeat the run.
#[expect(clippy::disallowed_methods, reason = "a seed that is printed")]
pub(in crate::storage) fn seeded(test: &str) -> ChaCha8Rng {
    let seed = match std::env::var("DANCU_SEED") {
        Ok(seed) => seed.parse().expect("DANCU_SEED is a number"),
        Err(_) => rand::rng().random::<u64>(),
    };
    eprintln!("repeat: DANCU_SEED={seed} cargo test --release --lib storage::state::tests::{test}");
    ChaCha8Rng::seed_from_u64(seed)
}

/// A log of `entries` entries with people created and changed, some of whom share CMND numbers.
pub(in crate::storage) fn random_log(rng: &mut ChaCha8Rng, entries: usize) -> Log {
    let mut log = Log::default();
    log.members(&[1, 2, 3]);
    let mut people = 0;
    for _ in 1..entries {
        if rng.random_ratio(1, 20) {
            log.blank();
            continue;
        }
        let mut commands = Vec::new();
        for _ in 0..rng.random_range(1..=8) {
            let op = if people == 0 || rng.random_ratio(1, 3) {
                people += 1;
                create(random_person(rng, people))
            } else {
                let uid = rng.random_range(1..=people);
                update(u64::from(uid), random_person(rng, uid))
            };
            commands.push(log.command(op));
        }
        if rng.random_ratio(1, 5) {
            commands.extend(commands.first().cloned());
        }
        let time_ms = log.time_ms + rng.random_range(0..WINDOW_MS / 4);
        log.batch_at(time_ms, commands);
    }
    log
}

/// The log with a compaction in the place of each blank entry: of some versions of some time ago.
pub(in crate::storage) fn compacting(rng: &mut ChaCha8Rng, log: &Log) -> Log {
    let mut other = Log::default();
    for entry in &log.entries {
        match entry.payload.as_ref().unwrap() {
            Payload::Blank(_) => {
                let before_ms = rng.random_range(0..=other.time_ms);
                let commands = vec![compact(before_ms, rng.random_range(1..40))];
                other.batch_at(other.time_ms, commands);
            }
            Payload::Batch(bytes) => {
                other.time_ms = Batch::decode(bytes.as_ref()).unwrap().proposed_at_ms;
                other.push(Payload::Batch(bytes.clone()));
            }
            payload => drop(other.push(payload.clone())),
        }
    }
    other
}

/// Person `n` with a random given name and random CMND numbers.
fn random_person(rng: &mut ChaCha8Rng, n: u32) -> Person {
    let mut old_id_numbers = Vec::new();
    for _ in 0..rng.random_range(0..3) {
        let number = old_id(rng.random_range(0..20));
        if !old_id_numbers.contains(&number) {
            old_id_numbers.push(number);
        }
    }
    let given = ["An", "Bình", "Chi", "Dũng"][rng.random_range(0..4)];
    Person { old_id_numbers, ..person(n, given) }
}

fn old_id(n: u32) -> String {
    format!("{:09}", 271_450_001 + n)
}
