//! A register in memory: the rows that effects write, and what must be true of them after every command.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use super::{Alias, Counters, Decision, Effect, View, aliases_of, decide, uid_of};
use crate::domain::fixtures::context;
use crate::domain::policy::{Policies, PolicyKey};
use crate::proto::registry::{Atomicity, Person, Write, WriteOutcome};
use crate::proto::store::{
    AuditLogRow, Command, NodeRow, PersonRow, PersonalIdRow, PolicyRow, ReceiptKeysRow, Reply, WriteSet,
    command::Op, reply::Reply as Answer,
};

/// The tables and counters of a register.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Register {
    pub(super) persons: BTreeMap<u64, Arc<PersonRow>>,
    pub(super) history: Vec<Arc<PersonRow>>,
    pub(super) personal_ids: BTreeMap<String, PersonalIdRow>,
    pub(super) holders: BTreeSet<(Alias, u64)>,
    pub(super) nodes: BTreeMap<u64, NodeRow>,
    pub(super) audit_logs: BTreeMap<u64, AuditLogRow>,
    pub(super) policy_rows: BTreeMap<PolicyKey, PolicyRow>,
    pub(super) receipt_keys: BTreeMap<u64, ReceiptKeysRow>,
    pub(super) counters: Counters,
}

impl View for Register {
    type Error = Infallible;

    fn person(&self, uid: u64) -> Result<Option<Arc<PersonRow>>, Infallible> {
        Ok(self.persons.get(&uid).cloned())
    }

    fn personal_id(&self, number: &str) -> Result<Option<PersonalIdRow>, Infallible> {
        Ok(self.personal_ids.get(number).cloned())
    }

    fn holders(&self, alias: &Alias, limit: usize) -> Result<Vec<u64>, Infallible> {
        let all = self.holders.range((alias.clone(), 0)..=(alias.clone(), u64::MAX));
        Ok(all.map(|(_, uid)| *uid).take(limit).collect())
    }

    fn node(&self, id: u64) -> Result<Option<NodeRow>, Infallible> {
        Ok(self.nodes.get(&id).cloned())
    }

    fn audit_log(&self, node_id: u64) -> Result<Option<AuditLogRow>, Infallible> {
        Ok(self.audit_logs.get(&node_id).cloned())
    }

    fn policy_row(&self, key: &PolicyKey) -> Result<Option<PolicyRow>, Infallible> {
        Ok(self.policy_rows.get(key).cloned())
    }

    fn policies(&self) -> Arc<Policies> {
        let kept = self.policy_rows.iter().filter(|(key, _)| Policies::keep(key));
        Arc::new(kept.fold(Policies::default(), |all, (_, row)| all.with(row)))
    }

    fn receipt_keys(&self, node_id: u64) -> Result<Option<ReceiptKeysRow>, Infallible> {
        Ok(self.receipt_keys.get(&node_id).cloned())
    }

    fn live_node_named(&self, name: &str) -> Result<Option<u64>, Infallible> {
        Ok(self.nodes.iter().find(|(_, row)| !row.retired && row.name == name).map(|(id, _)| *id))
    }
}

impl Register {
    /// Decides and executes a command, and checks what must hold after any.
    pub(super) fn run(&mut self, op: Op) -> Reply {
        self.run_as(Command { context: Some(context()), op: Some(op), ..Command::default() })
    }

    /// The same of a whole command.
    pub(super) fn run_as(&mut self, command: Command) -> Reply {
        self.counters.time_ms += 1;
        let Ok(decision) = decide(self, self.counters, &command);
        let before = self.clone();
        self.execute(&decision);
        self.check(&before, &decision);
        decision.reply
    }

    /// A single write.
    pub(super) fn write(&mut self, write: Write) -> WriteOutcome {
        match self.run(Op::Write(write)).reply {
            Some(Answer::Write(outcome)) => outcome,
            other => panic!("a write was answered with {other:?}"),
        }
    }

    /// Several writes.
    pub(super) fn writes(&mut self, writes: &[Write], atomicity: Atomicity) -> Vec<WriteOutcome> {
        let set = WriteSet { writes: writes.to_vec(), atomicity: atomicity.into() };
        match self.run(Op::WriteSet(set)).reply {
            Some(Answer::WriteSet(reply)) => reply.outcomes,
            other => panic!("a write set was answered with {other:?}"),
        }
    }

    /// Writes the rows, as storage does.
    pub(super) fn execute(&mut self, decision: &Decision) {
        for effect in decision.effects.iter().cloned() {
            match effect {
                Effect::PutPerson { row, previous } => {
                    assert_eq!(
                        self.persons.get(&uid_of(&row)),
                        previous.as_ref(),
                        "previous is what was there"
                    );
                    self.history.extend(previous);
                    self.persons.insert(uid_of(&row), row);
                }
                Effect::PutPersonalId { number, row } => {
                    self.personal_ids.insert(number, row);
                }
                Effect::AddHolder { alias, uid } => assert!(self.holders.insert((alias, uid))),
                Effect::RemoveHolder { alias, uid } => assert!(self.holders.remove(&(alias, uid))),
                Effect::PutNode { id, row } => {
                    self.nodes.insert(id, row);
                }
                Effect::PutAuditLog { id, row } => {
                    self.audit_logs.insert(id, row);
                }
                Effect::PutPolicy { key, row } => {
                    self.policy_rows.insert(key, row);
                }

                Effect::PutReceiptKeys { id, row } => {
                    self.receipt_keys.insert(id, row);
                }
            }
        }
        self.counters = decision.counters;
    }

    fn check(&self, before: &Self, decision: &Decision) {
        assert_eq!(decision.reply.revision, self.counters.revision);
        if decision.effects.is_empty() {
            assert_eq!(self.counters, before.counters, "nothing was written, so nothing is counted");
        }
        self.check_aliases(before);
        self.check_revisions(before);
        assert_eq!(self.counters.persons, self.persons.len() as u64);
        assert_eq!(self.counters.next_person_uid.max(1), self.persons.len() as u64 + 1, "no uid is burnt");
    }

    /// Exactly the numbers of the records lead to them, and a personal id never changes its holder or comes back.
    fn check_aliases(&self, before: &Self) {
        let mut personal_ids = BTreeMap::new();
        let mut holders = BTreeSet::new();
        for (&person_uid, row) in &self.persons {
            let person = row.person.as_ref().expect("a row has a person");
            assert_eq!(person.uid, person_uid);
            let active = Some(&person.personal_id).filter(|number| !number.is_empty());
            let all = active.map(|number| (number, false)).into_iter();
            for (number, cancelled) in all.chain(person.cancelled_personal_ids.iter().map(|n| (n, true))) {
                let row = PersonalIdRow { person_uid, cancelled, ..PersonalIdRow::default() };
                assert_eq!(personal_ids.insert(number.clone(), row), None, "one holder");
            }
            holders.extend(aliases_of(person).into_iter().map(|alias| (alias, person_uid)));
        }
        assert_eq!(personal_ids, self.personal_ids);
        assert_eq!(holders, self.holders);
        for (number, was) in &before.personal_ids {
            let is = &self.personal_ids[number];
            assert_eq!(is.person_uid, was.person_uid);
            assert!(is.cancelled || !was.cancelled);
        }
    }

    /// A record's revision rises with each version, is the counter's, and stays when the record does.
    fn check_revisions(&self, before: &Self) {
        let revision = |row: &PersonRow| row.person.as_ref().map_or(0, |p| p.record_revision);
        let mut newest = before.counters.revision;
        for (uid, row) in &self.persons {
            let old = before.persons.get(uid);
            if old != Some(row) {
                let content =
                    |row: &PersonRow| row.person.clone().map(|p| Person { record_revision: 0, ..p });
                // Several writes of one set may lead a record away and back.
                let several = self.counters.revision > before.counters.revision + 1;
                assert!(
                    several || old.is_none_or(|old| content(old) != content(row)),
                    "a version is a change"
                );
                assert!(revision(row) > before.counters.revision, "a version has a revision of its own");
                assert_eq!(row.written_at_ms, before.counters.time_ms);
                assert_eq!(row.written_by, Some(context()));
                newest = newest.max(revision(row));
            }
        }
        assert_eq!(newest, self.counters.revision, "the counter is the newest record's revision");
    }
}
