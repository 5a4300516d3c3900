//! Judges a history by the revisions that its answers carry. Each rule is broken by a kind of error:
//!
//! | rule | holds when | broken by, for example |
//! |---|---|---|
//! | stale | nothing that starts after X ended sees an older revision than X | a read at a leader of the past |
//! | not-newer | a write that starts after X ended makes a newer revision | an acknowledged write that was lost |
//! | two-values | a revision has one value | two leaders |
//! | two-revisions | a value, written once, has one revision | a retry that was applied again |
//! | never-written | what is seen was written by a call that began before, and was not refused | a dirty read |
//! | condition | a conditional write follows the revision it names; a conflict names another one | a lost update |
//! | verdict | a verification agrees with what the revision holds | a torn read |
//! | gap | a read at a registry revision misses no revision of its record up to there | a snapshot without its end |
//! | bound | a stale answer is as new as it says, and says no more than was asked for | a clock taken for another |
//! | at-least | the answer's registry revision is the one asked for or later | a follower that does not wait |
//! | once | a write sent again gets its first answer, and a record is created once | no request table |
//!
//! All by sorting: O(n log n).

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use super::history::{Answer, Call, Micros, Operation};

/// A rule of the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    Stale,
    NotNewer,
    TwoValues,
    TwoRevisions,
    NeverWritten,
    Condition,
    Verdict,
    Gap,
    Bound,
    AtLeast,
    Once,
}

impl Rule {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::NotNewer => "not-newer",
            Self::TwoValues => "two-values",
            Self::TwoRevisions => "two-revisions",
            Self::NeverWritten => "never-written",
            Self::Condition => "condition",
            Self::Verdict => "verdict",
            Self::Gap => "gap",
            Self::Bound => "bound",
            Self::AtLeast => "at-least",
            Self::Once => "once",
        }
    }
}

/// A broken rule, and the calls that show it.
#[derive(Clone, Debug)]
pub struct Violation {
    pub rule: Rule,
    pub shown_by: Vec<Operation>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.rule.name())?;
        self.shown_by.iter().try_for_each(|operation| write!(f, "\n    {operation}"))
    }
}

/// All that is wrong with the history of one key.
pub fn check(operations: &[Operation]) -> Vec<Violation> {
    let mut judge = Judge { operations, known: BTreeMap::new(), violations: Vec::new() };
    judge.revisions();
    judge.order();
    judge.operations.iter().for_each(|operation| judge.one(operation));
    judge.violations
}

struct Judge<'a> {
    operations: &'a [Operation],
    /// The value of each revision that some answer showed, and a call that showed it.
    known: BTreeMap<u64, (u64, &'a Operation)>,
    violations: Vec<Violation>,
}

impl<'a> Judge<'a> {
    fn broken(&mut self, rule: Rule, shown_by: &[&Operation]) {
        let shown_by = shown_by.iter().map(|&operation| operation.clone()).collect();
        self.violations.push(Violation { rule, shown_by });
    }

    /// A revision has one value, a value one revision, and a writer.
    fn revisions(&mut self) {
        let operations = self.operations;
        let writers: BTreeMap<u64, &Operation> =
            operations.iter().filter_map(|operation| Some((operation.writes()?, operation))).collect();
        let mut revisions: BTreeMap<u64, (u64, &Operation)> = BTreeMap::new();
        for operation in operations {
            let Some((revision, value)) = shown(operation) else { continue };
            let (known, by) = *self.known.entry(revision).or_insert((value, operation));
            if known != value {
                self.broken(Rule::TwoValues, &[by, operation]);
            }
            let (known, by) = *revisions.entry(value).or_insert((revision, operation));
            if known != revision {
                self.broken(Rule::TwoRevisions, &[by, operation]);
            }
            match writers.get(&value) {
                None => self.broken(Rule::NeverWritten, &[operation]),
                Some(writer) => {
                    let applied = matches!(writer.answer, Answer::Wrote { .. } | Answer::Unknown);
                    if !applied || operation.end < writer.start {
                        self.broken(Rule::NeverWritten, &[writer, operation]);
                    }
                }
            }
        }
    }

    /// What starts after something ended is not older; a write is newer.
    fn order(&mut self) {
        for (started, newest) in newest_before(self.operations, |operation| operation.start) {
            let Some(revision) = started.revision().filter(|_| started.is_linearizable()) else { continue };
            let Some(seen) = newest.revision() else { continue };
            let wrote = matches!(started.answer, Answer::Wrote { .. });
            if wrote && revision <= seen {
                self.broken(Rule::NotNewer, &[newest, started]);
            } else if revision < seen {
                self.broken(Rule::Stale, &[newest, started]);
            }
        }
        // A stale answer may be as old as it says, counted back from its start.
        let as_of = |operation: &Operation| operation.start.saturating_sub(within(operation) * 1000);
        for (started, newest) in newest_before(self.operations, as_of) {
            let is_stale = matches!(started.call, Call::Stale { .. });
            if is_stale && started.revision().is_some_and(|revision| Some(revision) < newest.revision()) {
                self.broken(Rule::Bound, &[newest, started]);
            }
        }
    }

    /// What an answer must be beside the revisions that are known.
    fn one(&mut self, operation: &'a Operation) {
        match (operation.call, operation.answer) {
            (Call::PatchIf { revision: base, .. }, Answer::Wrote { revision }) => {
                let between = base.saturating_add(1)..revision.max(base.saturating_add(1));
                let between = self.known.range(between).next().map(|(_, (_, by))| *by);
                if let Some(by) = between {
                    self.broken(Rule::Condition, &[by, operation]);
                } else if revision <= base {
                    self.broken(Rule::Condition, &[operation]);
                }
            }
            (Call::PatchIf { revision: base, .. }, Answer::Conflict { revision }) if base == revision => {
                self.broken(Rule::Condition, &[operation]);
            }
            (Call::Verify { value }, Answer::Verdict { revision, matches: false, .. }) => {
                if let Some(&(known, by)) = self.known.get(&revision).filter(|(known, _)| *known == value) {
                    debug_assert_eq!(known, value);
                    self.broken(Rule::Verdict, &[by, operation]);
                }
            }
            (Call::Stale { bound_ms }, _) if within(operation) > bound_ms => {
                self.broken(Rule::Bound, &[operation]);
            }
            (Call::AtLeast { revision }, _) if operation.registry().is_some_and(|at| at < revision) => {
                self.broken(Rule::AtLeast, &[operation]);
            }
            (Call::Again { revision: first, .. }, answer) => {
                let same = matches!(answer, Answer::Wrote { revision } if revision == first);
                if !same && answer != Answer::Unknown {
                    self.broken(Rule::Once, &[operation]);
                }
            }
            (Call::Create { .. }, Answer::Taken | Answer::Wrote { .. }) => self.created(operation),
            _ => {}
        }
        self.gap(operation);
    }

    /// A record is created once, and taken only when somebody else may have created it.
    fn created(&mut self, operation: &Operation) {
        let mut others = self.operations.iter().filter(|other| {
            matches!(other.call, Call::Create { .. })
                && (other.process, other.start) != (operation.process, operation.start)
        });
        let is_taken = operation.answer == Answer::Taken;
        let possible = |answer| matches!(answer, Answer::Wrote { .. } | Answer::Unknown);
        if is_taken && !others.clone().any(|other| possible(other.answer)) {
            self.broken(Rule::Once, &[operation]);
        }
        let twice = others.find(|other| matches!(other.answer, Answer::Wrote { .. }));
        if let Some(other) = twice.filter(|_| !is_taken) {
            self.broken(Rule::Once, &[other, operation]);
        }
    }

    /// Between the record's revision and the registry's at which it was read, the record has no other one.
    fn gap(&mut self, operation: &Operation) {
        let (Some(revision), Some(at)) = (operation.revision(), operation.registry()) else { return };
        if at < revision {
            self.broken(Rule::Gap, &[operation]);
            return;
        }
        if let Some((_, (_, by))) = self.known.range((Bound::Excluded(revision), Bound::Included(at))).next()
        {
            let by = *by;
            self.broken(Rule::Gap, &[by, operation]);
        }
    }
}

/// The revision and value that an answer shows to belong together.
pub fn shown(operation: &Operation) -> Option<(u64, u64)> {
    match (operation.call, operation.answer) {
        (_, Answer::Saw { revision, value, .. }) => Some((revision, value)),
        (Call::Verify { value }, Answer::Verdict { revision, matches: true, .. }) => Some((revision, value)),
        (_, Answer::Wrote { revision }) => Some((revision, operation.writes()?)),
        _ => None,
    }
}

/// The age that an answer admits, in milliseconds.
fn within(operation: &Operation) -> u64 {
    match operation.answer {
        Answer::Saw { within_ms, .. } | Answer::Absent { within_ms, .. } => within_ms,
        _ => 0,
    }
}

/// Each call with the newest revision's call among those that ended before the instant which `from` gives.
fn newest_before(
    operations: &[Operation],
    from: impl Fn(&Operation) -> Micros,
) -> Vec<(&Operation, &Operation)> {
    let mut ended: Vec<&Operation> = operations.iter().filter(|o| o.revision().is_some()).collect();
    ended.sort_by_key(|operation| operation.end);
    let mut started: Vec<&Operation> = operations.iter().collect();
    started.sort_by_key(|operation| from(operation));
    let mut ended = ended.into_iter().peekable();
    let mut newest: Option<&Operation> = None;
    let mut pairs = Vec::new();
    for operation in started {
        while let Some(earlier) = ended.next_if(|earlier| earlier.end < from(operation)) {
            if newest.is_none_or(|newest| newest.revision() < earlier.revision()) {
                newest = Some(earlier);
            }
        }
        pairs.extend(newest.map(|newest| (operation, newest)));
    }
    pairs
}
