//! A command of one write, and a command of several.

use std::collections::BTreeSet;

use prost::Message;

use super::write::{self, Applied, Origin, Stamp};
use super::{Counters, Decision, Effect, Overlay, Stop, View, decision, next, rejected, written};
use crate::domain::error::rejection;
use crate::domain::validate;
use crate::proto::registry::{Atomicity, ErrorReason, Rejection, Write, WriteOutcome};
use crate::proto::store::{WriteSet, WriteSetReply, reply::Reply};

/// Decides a single write. Its own rejection is the outcome of the write; that of its context is the command's.
pub(super) fn one<V: View>(
    view: &V,
    counters: Counters,
    origin: Origin<'_>,
    write: &Write,
) -> Result<Decision, Stop<V::Error>> {
    validate::context_for_write(origin.context)?;
    origin.licence.may_do(write, "")?;
    let (outcome, effects, counters) = single(view, counters, origin, 0, write)?;
    Ok(decision(effects, Reply::Write(outcome), counters))
}

/// Decides a write set. An empty or oversized one is rejected as a whole.
pub(super) fn several<V: View>(
    view: &V,
    counters: Counters,
    origin: Origin<'_>,
    set: &WriteSet,
) -> Result<Decision, Stop<V::Error>> {
    validate::context_for_write(origin.context)?;
    validate::writes(&set.writes)?;
    for (position, write) in set.writes.iter().enumerate() {
        origin.licence.may_do(write, &format!("writes[{position}]"))?;
    }
    let (outcomes, effects, counters) = match Atomicity::try_from(set.atomicity) {
        Ok(Atomicity::Each) => each(view, counters, origin, &set.writes)?,
        Ok(Atomicity::AllOrNothing | Atomicity::Unspecified) => all(view, counters, origin, &set.writes)?,
        Err(_) => return Stop::rejected(ErrorReason::FieldInvalid, "atomicity", "not a known atomicity"),
    };
    Ok(decision(effects, Reply::WriteSet(WriteSetReply { outcomes }), counters))
}

type Decided<Outcome> = (Outcome, Vec<Effect>, Counters);

fn single<V: View>(
    view: &V,
    counters: Counters,
    origin: Origin<'_>,
    position: usize,
    write: &Write,
) -> Result<Decided<WriteOutcome>, Stop<V::Error>> {
    let stamp = Stamp { revision: counters.revision + 1, origin, position, counters, named: None };
    match write::decide(view, &stamp, write) {
        Ok(applied) => {
            let counters = count(counters, &applied, stamp.revision);
            Ok((written(applied.written), applied.effects, counters))
        }
        Err(Stop::Rejected(rejection)) => Ok((rejected(rejection), Vec::new(), counters)),
        Err(fault) => Err(fault),
    }
}

fn each<V: View>(
    view: &V,
    mut counters: Counters,
    origin: Origin<'_>,
    writes: &[Write],
) -> Result<Decided<Vec<WriteOutcome>>, Stop<V::Error>> {
    let mut overlay = Overlay::new(view);
    let (mut outcomes, mut effects) = (Vec::with_capacity(writes.len()), Vec::new());
    let mut bytes = 0;
    for (position, write) in writes.iter().enumerate() {
        if bytes > validate::BATCH_ROW_BYTES {
            outcomes.push(rejected(too_much()));
            continue;
        }
        let (outcome, rows, after) = single(&overlay, counters, origin, position, write)?;
        overlay.apply(&rows);
        bytes += row_bytes(&rows);
        effects.extend(rows);
        outcomes.push(outcome);
        counters = after;
    }
    Ok((outcomes, effects, counters))
}

fn all<V: View>(
    view: &V,
    before: Counters,
    origin: Origin<'_>,
    writes: &[Write],
) -> Result<Decided<Vec<WriteOutcome>>, Stop<V::Error>> {
    let revision = before.revision + 1;
    let mut counters = before;
    let mut overlay = Overlay::new(view);
    let mut named = BTreeSet::new();
    let (mut outcomes, mut effects) = (Vec::with_capacity(writes.len()), Vec::new());
    let mut bytes = 0;
    for (position, write) in writes.iter().enumerate() {
        if bytes > validate::BATCH_ROW_BYTES {
            return Ok((aborted(writes.len(), position, too_much()), Vec::new(), before));
        }
        let stamp = Stamp { revision, origin, position, counters, named: Some(&named) };
        let applied = match write::decide(&overlay, &stamp, write) {
            Ok(applied) => applied,
            Err(Stop::Rejected(culprit)) => {
                return Ok((aborted(writes.len(), position, culprit), Vec::new(), before));
            }
            Err(fault) => return Err(fault),
        };
        counters = count(counters, &applied, revision);
        named.extend(&applied.drafted);
        overlay.apply(&applied.effects);
        bytes += row_bytes(&applied.effects);
        effects.extend(applied.effects);
        outcomes.push(written(applied.written));
    }
    Ok((outcomes, effects, counters))
}

/// The counters after a write.
fn count(counters: Counters, applied: &Applied, revision: u64) -> Counters {
    let mut after = counters;
    if applied.written.changed {
        after.revision = revision;
    }
    if applied.created {
        after.next_person_uid = next(counters.next_person_uid) + 1;
        after.persons += 1;
    }
    after
}

/// Bytes of the records that effects write and put into the history.
fn row_bytes(effects: &[Effect]) -> usize {
    let bytes = |effect: &Effect| match effect {
        Effect::PutPerson { row, previous } => {
            row.encoded_len() + previous.as_deref().map_or(0, Message::encoded_len)
        }
        _ => 0,
    };
    effects.iter().map(bytes).sum()
}

/// A small write to a large record is a large row on every node: what one command may come to has a bound.
fn too_much() -> Rejection {
    rejection(ErrorReason::TooLarge, "", "the writes before this one changed too much: split the batch")
}

fn aborted(count: usize, position: usize, culprit: Rejection) -> Vec<WriteOutcome> {
    let detail =
        format!("write {position} (from 0) of this batch was rejected, so nothing of it was applied");
    let other = rejected(rejection(ErrorReason::BatchAborted, "", detail));
    let mut outcomes = vec![other; count];
    outcomes[position] = rejected(culprit);
    outcomes
}
