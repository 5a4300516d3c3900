//! Applying the log: entries in, one write batch out.
//!
//! `domain::command::decide` decides each command from what it sees and the counters; this file gives it that sight
//! (the tables, with what earlier commands of the same call changed laid over them), turns its effects into rows, and
//! keeps its replies. It reads no clock and no random source, and iterates over no unordered collection: two nodes
//! that apply the same log write the same bytes, however their calls group the entries. Compaction looks at the tables
//! alone, so an entry that asks for it begins a write of its own: what came before is on disk by then.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::DecodeError;
use rocksdb::WriteBatch;

use super::commands::{Commands, Received};
use super::compact;
use super::generation::Generation;
use super::position::Position;
use super::requests::Requests;
use super::rows::Rows;
use super::tables::{
    Row, Table, audit_log_key, history_key, holder_key, id_key, personal_id_key, policy_key,
    receipt_keys_key, request_key, superseded_key,
};
use super::view::{Tables, record, version_of};
use crate::defect::{self, Defect};
use crate::domain::command::{self, Alias, Counters, Effect, Overlay, View, leads_to};
use crate::domain::policy::Policies;
use crate::proto::registry::{ErrorReason, Rejection};
use crate::proto::store::{
    Command, CompactHistory, Entry, HolderRow, LogId, Membership, NodeRow, PersonRow, Reply, RequestRow,
    StoredMembership, SupersededRow, entry, reply,
};
use crate::storage::error::StorageError;

/// Hash points are kept at indexes that are multiples of this.
pub(super) const POINT_EVERY: u64 = 64;

/// What one call will write, and what it leads to.
pub(super) struct Outcome {
    /// To be written as it is.
    pub batch: WriteBatch,
    /// The position after it.
    pub position: Position,
    /// Replies to the commands of each entry that was decided: the first entries of the call, one at least.
    pub replies: Vec<Vec<Reply>>,
    /// Chain hashes after entries whose index is a multiple of [`POINT_EVERY`].
    pub points: Vec<(u64, [u8; 32])>,
    /// For the next call; see [`Requests::earliest`].
    pub earliest_expiry: u64,
    /// Versions that compaction removes.
    pub compacted: u32,
}

/// Once a call has come to so many bytes of rows it takes no further entry. Which entries share a call changes nothing
/// of what they write; one entry has its own bounds.
pub(super) const CALL_BYTES: usize = 32 << 20;

/// Decides entries on top of a generation, up to the next one that must begin a write of its own. Writes nothing.
pub(super) fn decide(
    generation: &Generation,
    before: &Position,
    earliest_expiry: u64,
    entries: &[Entry],
) -> Result<Outcome, StorageError> {
    let tables = Tables::with_policies(generation, &before.policies);
    let mut pass = Pass {
        generation,
        sight: Overlay::new(&tables),
        unseen: Vec::new(),
        requests: Requests::new(generation, earliest_expiry),
        rows: Rows::new(generation),
        position: before.clone(),
        compacted: 0,
    };
    let (mut replies, mut points) = (Vec::with_capacity(entries.len()), Vec::new());
    for entry in entries {
        let id = pass.next_id(entry)?;
        let work = Work::of(id, entry)?;
        let alone = matches!(&work, Work::Batch(batch) if compact::asked(batch).is_some());
        if !replies.is_empty() && (alone || pass.rows.bytes() > CALL_BYTES) {
            break;
        }
        replies.push(pass.entry(id, work)?);
        if id.index.is_multiple_of(POINT_EVERY) {
            points.push((id.index, pass.position.chain_hash));
        }
    }
    let Pass { requests, rows, position, compacted, .. } = pass;
    let earliest_expiry = requests.earliest();
    let on_disk = if defect::has(Defect::ApplyInTwoBatches) { before } else { &position };
    let batch = rows.finish(before, on_disk);
    Ok(Outcome { batch, position, replies, points, earliest_expiry, compacted })
}

/// What an entry carries.
enum Work<'a> {
    Nothing,
    Batch(Commands),
    Membership(&'a Membership),
}

impl<'a> Work<'a> {
    fn of(id: LogId, entry: &'a Entry) -> Result<Self, StorageError> {
        match &entry.payload {
            Some(entry::Payload::Blank(_)) => Ok(Self::Nothing),
            Some(entry::Payload::Membership(membership)) => Ok(Self::Membership(membership)),
            Some(entry::Payload::Batch(bytes)) => match Commands::decode(bytes.clone()) {
                Ok(batch) => Ok(Self::Batch(batch)),
                Err(e) => Err(undecodable(id, &e)),
            },
            None => Err(StorageError::corrupt(log_entry(id), "it carries nothing known")),
        }
    }
}

/// The state of one call.
struct Pass<'a, 't> {
    generation: &'a Generation,
    sight: Overlay<'t, Tables<'a>>,
    /// Effects that nobody had to see yet: the last ones of a call are never seen.
    unseen: Vec<Vec<Effect>>,
    requests: Requests<'a>,
    rows: Rows<'a>,
    position: Position,
    compacted: u32,
}

impl Pass<'_, '_> {
    /// The id of an entry, which must be later than the last one applied. That no entry is left out is the log's to
    /// see: it refuses to be read across a hole.
    fn next_id(&self, entry: &Entry) -> Result<LogId, StorageError> {
        let last = self.position.index();
        match entry.log_id {
            Some(id) if last.is_none_or(|last| id.index > last) => Ok(id),
            found => Err(StorageError::corrupt(
                "the log",
                format!("it gave entry {:?} to be applied after {last:?}", found.map(|id| id.index)),
            )),
        }
    }

    fn entry(&mut self, id: LogId, work: Work<'_>) -> Result<Vec<Reply>, StorageError> {
        self.rows.begin(&self.position.chain_hash, id);
        let replies = match work {
            Work::Nothing => Vec::new(),
            Work::Batch(batch) => self.batch(id, &batch)?,
            Work::Membership(membership) => {
                self.membership(id, membership)?;
                Vec::new()
            }
        };
        self.position.log_id = Some(id);
        self.position.chain_hash = self.rows.end();
        Ok(replies)
    }

    fn batch(&mut self, id: LogId, batch: &Commands) -> Result<Vec<Reply>, StorageError> {
        let time_ms = self.position.counters.time_ms.max(batch.proposed_at_ms);
        self.position.counters.time_ms = time_ms;
        self.requests.expire(&mut self.rows, time_ms)?;
        if let Some(ask) = compact::asked(batch) {
            return Ok(vec![self.compact(ask)?]);
        }
        let expires_at_ms = time_ms.saturating_add(batch.request_window_ms);
        batch.commands.iter().map(|received| self.command(id, received, expires_at_ms)).collect()
    }

    fn compact(&mut self, ask: &CompactHistory) -> Result<Reply, StorageError> {
        let gone = compact::compact(self.generation, &mut self.rows, &mut self.position.first, ask)?;
        self.compacted += gone;
        let revision = self.position.counters.revision;
        Ok(Reply { reply: Some(reply::Reply::Compacted(gone)), revision })
    }

    /// The first reply to a command, whether it is now or was before.
    fn command(&mut self, id: LogId, received: &Received, expires_at_ms: u64) -> Result<Reply, StorageError> {
        let command = &received.command;
        let key = match &command.context {
            Some(context) if !context.request_id.is_empty() => {
                request_key(&context.agency_id, &context.request_id)
            }
            // Of the cluster itself: nobody would send it again.
            _ => return self.decide(command),
        };
        let op_sha256 = received.op_sha256().map_err(|e| undecodable(id, &e))?;
        let there = self.requests.row(&key)?;
        let live = there.as_ref().filter(|row| row.expires_at_ms >= self.position.counters.time_ms);
        let live = live.filter(|_| !defect::has(Defect::NoRequestTable));
        if let Some(row) = live {
            return Ok(self.again(row, &op_sha256));
        }
        let reply = self.decide(command)?;
        let op_sha256 = op_sha256.to_vec().into();
        let row = RequestRow { reply: Some(reply.clone()), op_sha256, expires_at_ms };
        self.requests.put(&mut self.rows, key, row, there.as_ref());
        Ok(reply)
    }

    /// The reply to a request whose key was used before.
    fn again(&self, row: &RequestRow, op_sha256: &[u8; 32]) -> Reply {
        if row.op_sha256 == op_sha256[..] {
            return row.reply.clone().unwrap_or_default();
        }
        let rejection = Rejection {
            reason: ErrorReason::RequestIdReused.into(),
            field: "context.request_id".to_owned(),
            detail:
                "this request_id was used before by this agency for something else; give each write a new one"
                    .to_owned(),
            ..Rejection::default()
        };
        Reply { reply: Some(reply::Reply::Rejected(rejection)), revision: self.position.counters.revision }
    }

    fn decide(&mut self, command: &Command) -> Result<Reply, StorageError> {
        self.look();
        let decision = command::decide(&self.sight, self.position.counters, command)?;
        self.position.counters = decision.counters;
        self.execute(decision.effects)?;
        Ok(decision.reply)
    }

    /// Lets what comes now see what was written before.
    fn look(&mut self) {
        self.unseen.drain(..).for_each(|effects| self.sight.absorb(effects));
    }

    /// Every member has a row in the node table, and no id at or below a member's is given out again.
    fn membership(&mut self, id: LogId, membership: &Membership) -> Result<(), StorageError> {
        for member in &membership.members {
            let Counters { next_node_id, .. } = &mut self.position.counters;
            *next_node_id = (*next_node_id).max(member.node_id.saturating_add(1));
            self.look();
            if self.sight.node(member.node_id)?.is_none() {
                let name = member.member.as_ref().map(|member| member.name.clone()).unwrap_or_default();
                let row = NodeRow { name, retired: false };
                self.execute(vec![Effect::PutNode { id: member.node_id, row }])?;
            }
        }
        let stored = StoredMembership { log_id: Some(id), membership: Some(membership.clone()) };
        self.position.membership = Some(Arc::new(stored));
        Ok(())
    }

    /// Turns effects into rows, for later commands to see.
    fn execute(&mut self, effects: Vec<Effect>) -> Result<(), StorageError> {
        let mut versions = Versions::new();
        for effect in &effects {
            match effect {
                Effect::PutPerson { row, previous } => {
                    let (uid, _) = version_of(row)?;
                    if let Some(previous) = previous {
                        self.supersede(previous, row)?;
                    }
                    self.rows.put(&id_key(uid), row.as_ref());
                    versions.insert(uid, (row.as_ref(), previous.as_deref()));
                }
                Effect::PutPersonalId { number, row } => self.rows.put(&personal_id_key(number), row),
                Effect::AddHolder { alias, uid } => {
                    self.rows.put(&holder_key(alias, *uid), &HolderRow::default());
                }
                Effect::RemoveHolder { alias, uid } => {
                    self.rows.put(&holder_key(alias, *uid), &removed(alias, *uid, &versions)?);
                }
                Effect::PutNode { id, row } => self.rows.put(&id_key(*id), row),
                Effect::PutAuditLog { id, row } => self.rows.put(&audit_log_key(*id), row),
                Effect::PutPolicy { key, row } => {
                    if Policies::keep(key) {
                        self.position.policies = Arc::new(self.position.policies.with(row));
                    }
                    self.rows.put(&policy_key(key), row);
                }
                Effect::PutReceiptKeys { id, row } => self.rows.put(&receipt_keys_key(*id), row),
            }
        }
        self.unseen.push(effects);
        Ok(())
    }

    /// Keeps the version whose place another one takes, and its turn to go.
    fn supersede(&mut self, previous: &PersonRow, by: &PersonRow) -> Result<(), StorageError> {
        let (uid, revision) = version_of(previous)?;
        self.rows.put_value(Table::History, &history_key(uid, revision), &previous.to_value());
        let superseded = SupersededRow { superseded_at_ms: by.written_at_ms };
        self.rows.put(&superseded_key(version_of(by)?.1, uid), &superseded);
        Ok(())
    }
}

/// The versions that effects have put so far, by uid, each with the one before: a person's follow before what it adds
/// and removes.
type Versions<'a> = BTreeMap<u64, (&'a PersonRow, Option<&'a PersonRow>)>;

/// The row of a holder who no longer is one.
fn removed(alias: &Alias, uid: u64, versions: &Versions<'_>) -> Result<HolderRow, StorageError> {
    let missing = || StorageError::corrupt(Table::Alias.row(), "it is removed, but not by a version");
    let person = record(versions.get(&uid).ok_or_else(missing)?.0)?;
    let is_key = matches!(alias, Alias::OldId(_) | Alias::Credential { .. });
    let has = |row: &PersonRow| record(row).map(|person| leads_to(alias, person));
    let handed_on = match versions.get(&person.merged_into) {
        Some((survivor, before)) if is_key => has(survivor)? && !before.map_or(Ok(false), has)?,
        _ => false,
    };
    Ok(HolderRow { removed_revision: person.record_revision, handed_on })
}

/// How an error names an entry.
fn log_entry(id: LogId) -> String {
    format!("log entry {}", id.index)
}

fn undecodable(id: LogId, error: &DecodeError) -> StorageError {
    StorageError::corrupt(log_entry(id), format!("it cannot be decoded ({error})"))
}
