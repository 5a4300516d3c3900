//! A register to measure on: people of the synthetic population, in memory or in a state store, and commands for it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use dancu::domain::command::{Alias, Counters, Decision, Effect, View, decide};
use dancu::domain::policy::{Policies, PolicyKey};
use dancu::domain::population::Population;
use dancu::proto::registry::person_key::Key;
use dancu::proto::registry::write::Write as Op;
use dancu::proto::registry::{
    Address, CreatePerson, PatchPerson, Person, PersonKey, RequestContext, UnitEdition, Write,
};
use dancu::proto::store::entry::Payload;
use dancu::proto::store::{
    AuditLogRow, Batch, Command, Entry, LogId, NodeRow, PersonRow, PersonalIdRow, PolicyRow, ReceiptKeysRow,
    command,
};
use dancu::storage::state::{StateOptions, StateStore};
use prost::Message;
use tempfile::TempDir;

/// How long replies are kept: not so long that the request table outgrows everything else.
const WINDOW_MS: u64 = 10_000;

/// Makes commands and log entries, each under a request id and at an index of its own.
#[derive(Default)]
pub struct Commands {
    made: u64,
    entries: u64,
}

impl Commands {
    /// Adds a person.
    pub fn create(&mut self, person: Person) -> Command {
        self.command(Op::Create(CreatePerson { person: Some(person), accept_existing: false }))
    }

    /// Moves a person to a place where nobody was before.
    pub fn patch(&mut self, uid: u64) -> Command {
        let residence = Address {
            unit_code: "01".to_owned(),
            unit_edition: UnitEdition::V34.into(),
            detail: format!("Số {}", self.made),
            country: String::new(),
        };
        let paths = vec!["current_residence".to_owned()];
        self.command(Op::Patch(PatchPerson {
            key: Some(PersonKey { key: Some(Key::PersonUid(uid)) }),
            person: Some(Person { current_residence: Some(residence), ..Person::default() }),
            update_mask: Some(prost_types::FieldMask { paths }),
            expected_record_revision: 0,
        }))
    }

    fn command(&mut self, write: Op) -> Command {
        self.made += 1;
        let context = RequestContext {
            request_id: format!("request-{}", self.made),
            agency_id: "000.00.20.G01".to_owned(),
            ..RequestContext::default()
        };
        let op = command::Op::Write(Write { write: Some(write) });
        Command { context: Some(context), op: Some(op), ..Command::default() }
    }

    /// A log entry that carries these.
    pub fn entry(&mut self, commands: Vec<Command>) -> Entry {
        self.entries += 1;
        let log_id = LogId { term: 1, leader_id: 1, index: self.entries };
        let batch = Batch { proposed_at_ms: self.entries, request_window_ms: WINDOW_MS, commands };
        Entry { log_id: Some(log_id), payload: Some(Payload::Batch(batch.encode_to_vec().into())) }
    }
}

/// The folder of a measurement: on the disk that the project is built on, since much memory is no disk.
pub fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A state store with the first people of a population, whose uids are 1 to `people`.
pub fn stored(folder: &TempDir, people: u64, commands: &mut Commands) -> StateStore {
    let store = StateStore::open(folder.path(), &StateOptions::default(), Arc::new(())).unwrap();
    let population = Population::new(1);
    for first in (0..people).step_by(500) {
        let chunk = (first..people.min(first + 500)).map(|n| commands.create(population.person(n)));
        let chunk = chunk.collect();
        store.apply(&[commands.entry(chunk)]).unwrap();
    }
    assert_eq!(store.applied().persons, people, "some were rejected");
    store
}

/// The same in memory, for `decide` alone.
#[derive(Default)]
pub struct InMemory {
    persons: BTreeMap<u64, Arc<PersonRow>>,
    personal_ids: BTreeMap<String, PersonalIdRow>,
    holders: BTreeMap<Alias, Vec<u64>>,
    /// As they stand after the last command.
    pub counters: Counters,
}

impl InMemory {
    /// The first people of a population.
    pub fn with(people: u64, commands: &mut Commands) -> Self {
        let (mut register, population) = (Self::default(), Population::new(1));
        for n in 0..people {
            let command = commands.create(population.person(n));
            register.counters.time_ms += 1;
            let Ok(decision) = decide(&register, register.counters, &command);
            register.execute(decision);
        }
        assert_eq!(register.counters.persons, people, "some were rejected");
        register
    }

    fn execute(&mut self, decision: Decision) {
        self.counters = decision.counters;
        for effect in decision.effects {
            match effect {
                Effect::PutPerson { row, .. } => {
                    let uid = row.person.as_ref().unwrap().uid;
                    self.persons.insert(uid, row);
                }
                Effect::PutPersonalId { number, row } => drop(self.personal_ids.insert(number, row)),
                Effect::AddHolder { alias, uid } => self.holders.entry(alias).or_default().push(uid),
                other => panic!("adding people does not lead to {other:?}"),
            }
        }
    }
}

impl View for InMemory {
    type Error = Infallible;

    fn person(&self, uid: u64) -> Result<Option<Arc<PersonRow>>, Infallible> {
        Ok(self.persons.get(&uid).cloned())
    }

    fn personal_id(&self, number: &str) -> Result<Option<PersonalIdRow>, Infallible> {
        Ok(self.personal_ids.get(number).cloned())
    }

    fn holders(&self, alias: &Alias, limit: usize) -> Result<Vec<u64>, Infallible> {
        let holders = self.holders.get(alias).into_iter().flatten();
        Ok(holders.copied().take(limit).collect())
    }

    fn node(&self, _id: u64) -> Result<Option<NodeRow>, Infallible> {
        Ok(None)
    }

    fn audit_log(&self, _node_id: u64) -> Result<Option<AuditLogRow>, Infallible> {
        Ok(None)
    }

    fn policy_row(&self, _key: &PolicyKey) -> Result<Option<PolicyRow>, Infallible> {
        Ok(None)
    }

    fn policies(&self) -> Arc<Policies> {
        Arc::default()
    }

    fn receipt_keys(&self, _node_id: u64) -> Result<Option<ReceiptKeysRow>, Infallible> {
        Ok(None)
    }

    fn live_node_named(&self, _name: &str) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }
}
