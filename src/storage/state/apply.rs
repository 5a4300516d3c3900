//! Applying the log: entries in, one write batch out.
//!
//! `domain::command::decide` decides each command from what it sees and the counters; this file gives it that sight
//! (the tables, with what earlier commands of the same call changed laid over them), turns its effects into rows, and
//! keeps its replies. It reads no clock and no random source, and iterates over no unordered collection: two nodes
//! that apply the same log write the same bytes, however their calls group the entries.

use std::sync::Arc;

use prost::Message;
use rocksdb::WriteBatch;
use sha2::{Digest, Sha256};

use super::generation::Generation;
use super::position::Position;
use super::requests::Requests;
use super::rows::Rows;
use super::tables::{Row, Table, history_key, id_key, old_id_key, personal_id_key, request_key};
use super::view::{Tables, version_of};
use crate::domain::command::{self, Counters, Effect, Overlay, View};
use crate::proto::registry::{ErrorReason, Rejection};
use crate::proto::store::{
    Batch, Command, Entry, LogId, Membership, NodeRow, OldIdRow, Reply, RequestRow, StoredMembership, entry,
    reply,
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
    /// Replies to each entry's commands.
    pub replies: Vec<Vec<Reply>>,
    /// Chain hashes after entries whose index is a multiple of [`POINT_EVERY`].
    pub points: Vec<(u64, [u8; 32])>,
    /// For the next call; see [`Requests::earliest`].
    pub earliest_expiry: u64,
}

/// Decides entries on top of a generation. Writes nothing.
pub(super) fn decide(
    generation: &Generation,
    before: &Position,
    earliest_expiry: u64,
    entries: &[Entry],
) -> Result<Outcome, StorageError> {
    let tables = Tables(generation);
    let mut pass = Pass {
        sight: Overlay::new(&tables),
        requests: Requests::new(generation, earliest_expiry),
        rows: Rows::new(generation),
        position: before.clone(),
    };
    let (mut replies, mut points) = (Vec::with_capacity(entries.len()), Vec::new());
    for entry in entries {
        let id = pass.next_id(entry)?;
        replies.push(pass.entry(id, entry)?);
        if id.index.is_multiple_of(POINT_EVERY) {
            points.push((id.index, pass.position.chain_hash));
        }
    }
    let Pass { requests, rows, position, .. } = pass;
    let earliest_expiry = requests.earliest();
    Ok(Outcome { batch: rows.finish(before, &position), position, replies, points, earliest_expiry })
}

/// The state of one call.
struct Pass<'a> {
    sight: Overlay<'a, Tables<'a>>,
    requests: Requests<'a>,
    rows: Rows<'a>,
    position: Position,
}

impl Pass<'_> {
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

    fn entry(&mut self, id: LogId, entry: &Entry) -> Result<Vec<Reply>, StorageError> {
        self.rows.begin(&self.position.chain_hash, id);
        let replies = match &entry.payload {
            Some(entry::Payload::Blank(_)) => Vec::new(),
            Some(entry::Payload::Batch(bytes)) => self.batch(id, bytes)?,
            Some(entry::Payload::Membership(membership)) => {
                self.membership(id, membership)?;
                Vec::new()
            }
            None => return Err(StorageError::corrupt(log_entry(id), "it carries nothing known")),
        };
        self.position.log_id = Some(id);
        self.position.chain_hash = self.rows.end();
        Ok(replies)
    }

    fn batch(&mut self, id: LogId, bytes: &[u8]) -> Result<Vec<Reply>, StorageError> {
        let batch = Batch::decode(bytes)
            .map_err(|e| StorageError::corrupt(log_entry(id), format!("it cannot be decoded ({e})")))?;
        let time_ms = self.position.counters.time_ms.max(batch.proposed_at_ms);
        self.position.counters.time_ms = time_ms;
        self.requests.expire(&mut self.rows, time_ms)?;
        let expires_at_ms = time_ms.saturating_add(batch.request_window_ms);
        batch.commands.into_iter().map(|command| self.command(command, expires_at_ms)).collect()
    }

    /// The first reply to a command, whether it is now or was before.
    fn command(&mut self, mut command: Command, expires_at_ms: u64) -> Result<Reply, StorageError> {
        let key = match &command.context {
            Some(context) if !context.request_id.is_empty() => {
                request_key(&context.agency_id, &context.request_id)
            }
            // Of the cluster itself: nobody would send it again.
            _ => return self.decide(&command),
        };
        let op_sha256 = op_sha256(&mut command);
        let there = self.requests.row(&key)?;
        let live = there.as_ref().filter(|row| row.expires_at_ms >= self.position.counters.time_ms);
        if let Some(row) = live {
            return Ok(self.again(row, &op_sha256));
        }
        let reply = self.decide(&command)?;
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
        let decision = command::decide(&self.sight, self.position.counters, command)?;
        self.position.counters = decision.counters;
        self.execute(&decision.effects)?;
        Ok(decision.reply)
    }

    /// Every member has a row in the node table, and no id at or below a member's is given out again.
    fn membership(&mut self, id: LogId, membership: &Membership) -> Result<(), StorageError> {
        for member in &membership.members {
            let Counters { next_node_id, .. } = &mut self.position.counters;
            *next_node_id = (*next_node_id).max(member.node_id.saturating_add(1));
            if self.sight.node(member.node_id)?.is_none() {
                let name = member.member.as_ref().map(|member| member.name.clone()).unwrap_or_default();
                let row = NodeRow { name, retired: false };
                self.execute(&[Effect::PutNode { id: member.node_id, row }])?;
            }
        }
        let stored = StoredMembership { log_id: Some(id), membership: Some(membership.clone()) };
        self.position.membership = Some(Arc::new(stored));
        Ok(())
    }

    /// Turns effects into rows, and lets later commands see them.
    fn execute(&mut self, effects: &[Effect]) -> Result<(), StorageError> {
        for effect in effects {
            match effect {
                Effect::PutPerson { row, previous } => {
                    if let Some(previous) = previous {
                        let (uid, revision) = version_of(previous)?;
                        let key = history_key(uid, revision);
                        self.rows.put_value(Table::History, &key, &previous.to_value());
                    }
                    self.rows.put(&id_key(version_of(row)?.0), row);
                }
                Effect::PutPersonalId { number, row } => self.rows.put(&personal_id_key(number), row),
                Effect::AddOldId { number, uid } => {
                    self.rows.put(&old_id_key(number, *uid), &OldIdRow { removed: false });
                }
                Effect::RemoveOldId { number, uid } => {
                    self.rows.put(&old_id_key(number, *uid), &OldIdRow { removed: true });
                }
                Effect::PutNode { id, row } => self.rows.put(&id_key(*id), row),
            }
        }
        self.sight.apply(effects);
        Ok(())
    }
}

/// How an error names an entry.
fn log_entry(id: LogId) -> String {
    format!("log entry {}", id.index)
}

/// SHA-256 of what a command asks for, whoever asks.
fn op_sha256(command: &mut Command) -> [u8; 32] {
    let context = command.context.take();
    let hash = Sha256::digest(command.encode_to_vec()).into();
    command.context = context;
    hash
}
