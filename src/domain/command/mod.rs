//! Deciding writes: a command and what the register holds in, a [`Decision`] out.
//!
//! ```text
//!  View (rows)  Counters   Command
//!       \          |         /
//!        +------ decide ----+
//!                  |
//!    Decision { effects: rows to write, in order
//!               reply:   kept under the request id, and given to whoever asks again with it
//!               counters: as they stand after it }
//! ```
//!
//! * A **write** adds a person, replaces a record or some of its fields, records a life event, merges two records, takes
//!   one out of use, or changes a number, a credential or an account. Whoever it concerns, it ends as `Written` for all
//!   of them or as `Rejected` for all; there is nothing between.
//! * A **write set** holds several. EACH decides one after the other, each seeing what those before it did; a
//!   rejected one stops nobody. ALL_OR_NOTHING has one revision for all that it changes, may name a person once, and
//!   falls as a whole: the write at fault keeps its reason, the others say BATCH_ABORTED, nothing is written.
//! * **AllocateNode** and **RetireNode** give out and end node ids; they change no record and take no revision. Nor does a
//!   **checkpoint** of a node's audit log, which may only grow, the **receipt key** of a node, or what is agreed on about
//!   who may ask what: **policies**, **consents**, **guesses** and **calls**.
//!
//! A command whose agency has shown its certificate is `licensed`: it does what the policies permit that agency, and is
//! rejected as a whole when one of its writes is not permitted.
//!
//! The revision counts changes, so `record_revision` of a changed record is the counter after that change, and two
//! changes of one person never share one; the people whom an event or an all-or-nothing batch changes do. A person
//! that is found to be as the write wants it is answered with `changed: false`, and no counter moves.
//!
//! A personal id that leaves a record's `personal_id` goes into its `cancelled_personal_ids` by itself, so that it
//! keeps leading to the person; one that stands there cannot be taken out (see [`aliases`]).
//!
//! # Who does what
//!
//! | file | part |
//! |---|---|
//! | `mod.rs` | the interface, and the counters |
//! | `set.rs` | several writes |
//! | `write.rs` | one write: from its kind to the operation |
//! | `create.rs`, `replace.rs`, `patch.rs` | a record added, replaced whole, or some of its fields by an update mask |
//! | `birth.rs`, `death.rs`, `marriage.rs`, `residence.rs`, `correction.rs`, `adoption.rs` | life events |
//! | `merge.rs`, `status.rs` | two records of one person; a record taken out of use |
//! | `numbers.rs`, `credential.rs`, `eid.rs` | personal ids that the registry makes, papers, accounts |
//! | `people.rs` | the records that a write changes, from the keys that name them to the effects |
//! | `links.rs`, `kept.rs` | relations that stand in both records; what callers may not write |
//! | `checks.rs` | what must hold between a changed record and the rest, whichever write changed it |
//! | `aliases.rs` | the numbers, households and names that lead to a person |
//! | `node.rs` | node ids |
//! | `policy.rs` | policies, consents, guesses and calls |
//! | `checkpoint.rs` | what the nodes' audit logs hold |
//! | `receipt_key.rs` | the keys with which nodes sign receipts |
//! | `overlay.rs` | a view with effects on top |
//!
//! # Deliberately absent
//!
//! Whether the request id was seen before: storage asks its request table, and calls `decide` only for a new one.
//! Compaction of the history: it follows from the tables, and storage does it without a decision.
//! Time: `Counters::time_ms` was set by storage from the batch; a decision only copies it.

mod adoption;
mod aliases;
mod birth;
mod checkpoint;
mod checks;
mod correction;
mod create;
mod credential;
mod death;
mod eid;
#[cfg(test)]
mod event_tests;
mod kept;
mod links;
mod marriage;
mod merge;
#[cfg(test)]
mod model;
mod node;
mod numbers;
mod overlay;
pub(in crate::domain) mod patch;
mod people;
mod policy;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod random_events;
mod receipt_key;
mod replace;
mod residence;
mod set;
mod status;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::sync::Arc;

pub use aliases::{Alias, aliases_of, leads_to};
pub use numbers::{ENTROPY_BYTES, needs_entropy};
pub use overlay::Overlay;
use write::Origin;

use super::error::rejection;
use super::policy::{Policies, PolicyKey};
use crate::proto::registry::{
    ErrorReason, Rejection, RequestContext, WriteOutcome, Written, write_outcome::Outcome,
};
use crate::proto::store::{
    AuditLogRow, Command, NodeRow, PersonRow, PersonalIdRow, PolicyRow, ReceiptKeysRow, Reply, command::Op,
    reply,
};

/// What `decide` may look at. Every method answers from one consistent state. An error is a fault of this machine,
/// and ends the decision.
pub trait View {
    /// What can go wrong when a row is read.
    type Error;

    /// The current record of a person.
    fn person(&self, uid: u64) -> Result<Option<Arc<PersonRow>>, Self::Error>;
    /// Whose a personal id is, active or cancelled.
    fn personal_id(&self, number: &str) -> Result<Option<PersonalIdRow>, Self::Error>;
    /// Whom an alias leads to, in ascending order: the first `limit` of them. Nothing bounds how many hold one CMND number.
    fn holders(&self, alias: &Alias, limit: usize) -> Result<Vec<u64>, Self::Error>;
    /// A node id that was given out.
    fn node(&self, id: u64) -> Result<Option<NodeRow>, Self::Error>;
    /// The node of this name that has not left.
    fn live_node_named(&self, name: &str) -> Result<Option<u64>, Self::Error>;
    /// What is known of a node's audit log.
    fn audit_log(&self, node_id: u64) -> Result<Option<AuditLogRow>, Self::Error>;
    /// A row of the policy table.
    fn policy_row(&self, key: &PolicyKey) -> Result<Option<PolicyRow>, Self::Error>;
    /// All agencies, procedures and policies.
    fn policies(&self) -> Arc<Policies>;
    /// The keys with which a node signed receipts.
    fn receipt_keys(&self, node_id: u64) -> Result<Option<ReceiptKeysRow>, Self::Error>;
}

/// The replicated counters. A fresh register has them all at 0; the first uid and the first node id given out are 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Changes so far: the revision of the last one.
    pub revision: u64,
    /// The uid of the next person; 0 counts as 1.
    pub next_person_uid: u64,
    /// The id of the next node; 0 counts as 1.
    pub next_node_id: u64,
    /// The time of the batch being applied, in milliseconds since 1970, never going back.
    pub time_ms: u64,
    /// People held.
    pub persons: u64,
}

/// A row to write. Storage executes effects in order.
#[derive(Clone, PartialEq)]
pub enum Effect {
    /// Writes a person's record; the previous version, if any, goes into the history.
    PutPerson {
        /// The new version.
        row: Arc<PersonRow>,
        /// The version it takes the place of.
        previous: Option<Arc<PersonRow>>,
    },
    /// Writes the alias of a personal id.
    PutPersonalId {
        /// The number.
        number: String,
        /// Whose it is.
        row: PersonalIdRow,
    },
    /// Adds a holder of an alias.
    AddHolder {
        /// The alias.
        alias: Alias,
        /// The holder.
        uid: u64,
    },
    /// Removes a holder of an alias.
    RemoveHolder {
        /// The alias.
        alias: Alias,
        /// The holder.
        uid: u64,
    },
    /// Writes a node id's row.
    PutNode {
        /// The id.
        id: u64,
        /// The row.
        row: NodeRow,
    },
    /// Writes what is known of a node's audit log.
    PutAuditLog {
        /// The node.
        id: u64,
        /// The row.
        row: AuditLogRow,
    },
    /// Writes a row of the policy table.
    PutPolicy {
        /// Its key.
        key: PolicyKey,
        /// The row.
        row: PolicyRow,
    },
    /// Writes the keys with which a node signs receipts.
    PutReceiptKeys {
        /// The node.
        id: u64,
        /// The row.
        row: ReceiptKeysRow,
    },
}

/// Names the kind of row and its internal id, never a number that leads to a person.
impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PutPerson { row, .. } => write!(f, "PutPerson({})", uid_of(row)),
            Self::PutPersonalId { row, .. } => write!(f, "PutPersonalId({})", row.person_uid),
            Self::AddHolder { uid, .. } => write!(f, "AddHolder({uid})"),
            Self::RemoveHolder { uid, .. } => write!(f, "RemoveHolder({uid})"),
            Self::PutNode { id, .. } => write!(f, "PutNode({id})"),
            Self::PutAuditLog { id, .. } => write!(f, "PutAuditLog({id})"),
            Self::PutPolicy { .. } => f.write_str("PutPolicy"),
            Self::PutReceiptKeys { id, .. } => write!(f, "PutReceiptKeys({id})"),
        }
    }
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Rows to write; empty when nothing changed.
    pub effects: Vec<Effect>,
    /// The answer.
    pub reply: Reply,
    /// The counters after it.
    pub counters: Counters,
}

/// Decides a command. The same rows, counters and command give the same decision on every node. A malformed command
/// is rejected; only the view's error is an error.
pub fn decide<V: View>(view: &V, counters: Counters, command: &Command) -> Result<Decision, V::Error> {
    let empty = RequestContext::default();
    let context = command.context.as_ref().unwrap_or(&empty);
    match decided(view, counters, command, context) {
        Ok(decision) => Ok(decision),
        Err(Stop::Rejected(rejection)) => {
            Ok(decision(Vec::new(), reply::Reply::Rejected(rejection), counters))
        }
        Err(Stop::View(error)) => Err(error),
    }
}

fn decided<V: View>(
    view: &V,
    counters: Counters,
    command: &Command,
    context: &RequestContext,
) -> Result<Decision, Stop<V::Error>> {
    let licence = || policy::licence(view, counters, context, command.licensed);
    let origin = |licence| Origin { context, entropy: &command.entropy, licence };
    match &command.op {
        None => Err(rejection(ErrorReason::FieldInvalid, "op", "a command must say what to do").into()),
        Some(Op::Write(write)) => set::one(view, counters, origin(&licence()?), write),
        Some(Op::WriteSet(set)) => set::several(view, counters, origin(&licence()?), set),
        Some(Op::GrantConsent(grant)) => policy::grant(view, counters, origin(&licence()?), grant),
        Some(Op::WithdrawConsent(id)) => policy::withdraw(view, counters, origin(&licence()?), id),
        Some(Op::PutPolicy(put)) => policy::put(view, counters, put),
        Some(Op::SuspendAgency(asked)) => policy::suspend(view, counters, asked),
        Some(Op::ChargeGuesses(charge)) => policy::charge(view, counters, context, charge),
        Some(Op::ReserveCalls(calls)) => policy::reserve(view, counters, context, *calls),
        Some(Op::CompactHistory(_)) => {
            let detail = "compaction stands alone in a log entry, where storage does it without a decision";
            Err(rejection(ErrorReason::FieldInvalid, "op", detail).into())
        }
        Some(Op::AllocateNode(allocate)) => node::allocate(view, counters, allocate),
        Some(Op::RetireNode(retire)) => node::retire(view, counters, retire),
        Some(Op::AuditCheckpoint(given)) => checkpoint::commit(view, counters, given),
        Some(Op::ReceiptKey(given)) => receipt_key::take(view, counters, given),
    }
}

/// Why a decision ended early: it is decided (a rejection), or it cannot be (the view failed).
enum Stop<E> {
    Rejected(Rejection),
    View(E),
}

impl<E> From<Rejection> for Stop<E> {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl<E> Stop<E> {
    fn rejected<T>(reason: ErrorReason, field: &str, detail: &str) -> Result<T, Self> {
        Err(Self::Rejected(rejection(reason, field, detail)))
    }
}

fn decision(effects: Vec<Effect>, reply: reply::Reply, counters: Counters) -> Decision {
    Decision { effects, reply: Reply { reply: Some(reply), revision: counters.revision }, counters }
}

fn written(written: Written) -> WriteOutcome {
    WriteOutcome { outcome: Some(Outcome::Written(written)) }
}

fn rejected(rejection: Rejection) -> WriteOutcome {
    WriteOutcome { outcome: Some(Outcome::Rejected(rejection)) }
}

/// The uid inside a row; 0 in a row that has no person, which storage never holds.
fn uid_of(row: &PersonRow) -> u64 {
    row.person.as_ref().map_or(0, |person| person.uid)
}

/// Uids and node ids count from 1, also where the counter was never set.
fn next(counter: u64) -> u64 {
    counter.max(1)
}
