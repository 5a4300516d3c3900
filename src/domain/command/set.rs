//! A command of one write, and a command of several.

use std::collections::BTreeSet;

use super::write::{self, Applied, Stamp};
use super::{Counters, Decision, Effect, Overlay, Stop, View, decision, next, rejected, written};
use crate::domain::error::rejection;
use crate::domain::validate;
use crate::proto::registry::{Atomicity, ErrorReason, Rejection, RequestContext, Write, WriteOutcome};
use crate::proto::store::{WriteSet, WriteSetReply, reply::Reply};

/// Decides a single write. Its own rejection is the outcome of the write; that of its context is the command's.
pub(super) fn one<V: View>(
    view: &V,
    counters: Counters,
    context: &RequestContext,
    write: &Write,
) -> Result<Decision, Stop<V::Error>> {
    validate::context_for_write(context)?;
    let (outcome, effects, counters) = single(view, counters, context, write)?;
    Ok(decision(effects, Reply::Write(outcome), counters))
}

/// Decides a write set. An empty or oversized one is rejected as a whole.
pub(super) fn several<V: View>(
    view: &V,
    counters: Counters,
    context: &RequestContext,
    set: &WriteSet,
) -> Result<Decision, Stop<V::Error>> {
    validate::context_for_write(context)?;
    validate::writes(&set.writes)?;
    let (outcomes, effects, counters) = match Atomicity::try_from(set.atomicity) {
        Ok(Atomicity::Each) => each(view, counters, context, &set.writes)?,
        Ok(Atomicity::AllOrNothing | Atomicity::Unspecified) => all(view, counters, context, &set.writes)?,
        Err(_) => return Stop::rejected(ErrorReason::FieldInvalid, "atomicity", "not a known atomicity"),
    };
    Ok(decision(effects, Reply::WriteSet(WriteSetReply { outcomes }), counters))
}

type Decided<Outcome> = (Outcome, Vec<Effect>, Counters);

fn single<V: View>(
    view: &V,
    counters: Counters,
    context: &RequestContext,
    write: &Write,
) -> Result<Decided<WriteOutcome>, Stop<V::Error>> {
    let stamp = Stamp { revision: counters.revision + 1, context, counters, named: None };
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
    context: &RequestContext,
    writes: &[Write],
) -> Result<Decided<Vec<WriteOutcome>>, Stop<V::Error>> {
    let mut overlay = Overlay::new(view);
    let (mut outcomes, mut effects) = (Vec::with_capacity(writes.len()), Vec::new());
    for write in writes {
        let (outcome, rows, after) = single(&overlay, counters, context, write)?;
        overlay.apply(&rows);
        effects.extend(rows);
        outcomes.push(outcome);
        counters = after;
    }
    Ok((outcomes, effects, counters))
}

fn all<V: View>(
    view: &V,
    before: Counters,
    context: &RequestContext,
    writes: &[Write],
) -> Result<Decided<Vec<WriteOutcome>>, Stop<V::Error>> {
    let revision = before.revision + 1;
    let mut counters = before;
    let mut overlay = Overlay::new(view);
    let mut named = BTreeSet::new();
    let (mut outcomes, mut effects) = (Vec::with_capacity(writes.len()), Vec::new());
    for (position, write) in writes.iter().enumerate() {
        let stamp = Stamp { revision, context, counters, named: Some(&named) };
        let applied = match write::decide(&overlay, &stamp, write) {
            Ok(applied) => applied,
            Err(Stop::Rejected(culprit)) => {
                return Ok((aborted(writes.len(), position, culprit), Vec::new(), before));
            }
            Err(fault) => return Err(fault),
        };
        counters = count(counters, &applied, revision);
        named.insert(applied.written.person_uid);
        overlay.apply(&applied.effects);
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

fn aborted(count: usize, position: usize, culprit: Rejection) -> Vec<WriteOutcome> {
    let detail =
        format!("write {position} (from 0) of this batch was rejected, so nothing of it was applied");
    let other = rejected(rejection(ErrorReason::BatchAborted, "", detail));
    let mut outcomes = vec![other; count];
    outcomes[position] = rejected(culprit);
    outcomes
}
