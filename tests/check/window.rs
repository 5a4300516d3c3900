//! A history in windows: what has been judged goes, but for the few calls that a later answer can contradict. So a run of hours
//! takes no more memory than one of minutes.
//!
//! A record's history is cut where it is quiet: every call on it has ended, except writes without an answer, and the last answer
//! showed its newest revision with its value. After the cut the record is read (linearizably) and nothing else, but for
//! acknowledged writes that are asked for again, whose rule compares their own two revisions alone. What is kept:
//!
//! ```text
//! the newest revision with its value, as the write that made it, ended at the cut
//! each write without an answer that can still take effect: never seen so far, and if conditional, on the newest revision
//! ```
//!
//! Where a revision was named without its value (by a conflict, by a verification that differs) and such a write may have made it,
//! the history stays whole: the search could tell that the write has taken effect, and what is kept could not.
//!
//! No judgement is lost. What a later read can say that the whole history contradicts, what is kept contradicts too:
//!
//! | a later read sees | the whole history says | what is kept says |
//! |---|---|---|
//! | an older revision, or nothing | stale, stuck | stale, stuck |
//! | the newest revision with another value | two-values | two-values |
//! | a newer revision with a value that was seen | two-revisions | two-revisions, never-written |
//! | a newer revision with the value of a write that was refused, or that nobody wrote | never-written | never-written |
//! | a newer revision with a conditional write on an older one | stuck | never-written |
//! | a newer revision with a write without an answer | nothing | nothing |
//!
//! A test compares the two for every revision and value that a read could show.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{Answer, Call, Operation};
use super::versions::shown;

/// What must be kept of a history that has been judged. `None` where it cannot be cut: there is no record yet, or the value of the
/// newest revision was not shown, or that of an earlier one which a write without an answer may have made.
pub fn keep(operations: &[Operation]) -> Option<Vec<Operation>> {
    let values: BTreeMap<u64, u64> = operations.iter().filter_map(shown).collect();
    let (newest, value) = values.last_key_value().map(|(revision, value)| (*revision, *value))?;
    let ended = operations.iter().filter(|one| one.answer != Answer::Unknown);
    let last = ended.clone().max_by_key(|one| one.end)?;
    let found =
        ended.filter(|one| matches!(one.answer, Answer::Wrote { .. })).filter_map(|one| match one.call {
            Call::PatchIf { found, .. } => Some(found),
            _ => None,
        });
    let seen: BTreeSet<u64> = values.values().copied().chain(found).collect();
    let may_come = |one: &&Operation| match one.call {
        Call::Patch { value } => !seen.contains(&value),
        Call::PatchIf { value, revision, .. } => !seen.contains(&value) && revision == newest,
        _ => false,
    };
    let open: Vec<&Operation> =
        operations.iter().filter(|one| one.answer == Answer::Unknown).filter(may_come).collect();
    let unseen = |revision: u64| revision > newest || (!open.is_empty() && !values.contains_key(&revision));
    if operations.iter().filter_map(Operation::revision).any(|revision| revision > 0 && unseen(revision)) {
        return None;
    }
    let writer = Operation {
        start: last.end,
        call: Call::Create { value },
        answer: Answer::Wrote { revision: newest },
        ..last.clone()
    };
    Some(std::iter::once(&writer).chain(open).cloned().collect())
}
