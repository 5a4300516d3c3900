//! What the run says: the histories before both judges, the states of all nodes, and whether enough was done for it to tell
//! anything.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde::Serialize;

use super::fault::Fault;
use super::nemesis::Past;
use crate::check::history::{Answer, Operation};
use crate::check::search::{Finding, search};
use crate::check::versions::check;
use crate::workload::Told;

/// Answered calls a second that a run must reach; less tells too little.
const LEAST_RATE: f64 = 20.0;
/// Part of the records whose search may be given up.
const GIVEN_UP: f64 = 0.5;

/// The three verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every promise held.
    Ok,
    /// A promise was broken.
    Broken,
    /// Too little was done for either: the harness failed.
    Rejected,
}

/// The verdict and what it rests on.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// See [`Verdict`].
    pub verdict: Verdict,
    /// What was broken, or what was lacking.
    pub reasons: Vec<String>,
    /// Records that were judged.
    pub records: usize,
    /// Calls with an answer.
    pub operations: usize,
    /// Those of them that wrote.
    pub writes: usize,
    /// Writes without an answer.
    pub unknown: usize,
    /// Records whose search was given up; the other judge saw them all.
    pub given_up: usize,
    /// Faults by kind.
    pub faults: BTreeMap<String, usize>,
    /// Changes of the leader.
    pub leader_changes: usize,
    /// The longest time without an acknowledged write, in milliseconds.
    pub longest_write_gap_ms: u64,
}

/// Judges a run. The last argument is what was found broken on the way, and what was lacking.
pub fn judge(
    told: &Told,
    past: &[Past],
    wanted: &[Fault],
    leader_changes: usize,
    seconds: f64,
    (mut broken, mut lacking): (Vec<String>, Vec<String>),
) -> Outcome {
    broken.extend(told.strange.iter().take(3).cloned());
    let (violations, given_up) = judge_histories(&told.history);
    broken.extend(violations.into_iter().take(10));

    let all = || told.history.iter().flatten();
    let unknown = all().filter(|one| one.answer == Answer::Unknown).count();
    let operations = all().count() - unknown;
    let writes = all().filter(|one| matches!(one.answer, Answer::Wrote { .. })).count();
    let mut faults = BTreeMap::new();
    for one in past {
        *faults.entry(one.fault.to_string()).or_default() += 1;
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = operations as f64 / seconds;
    if rate < LEAST_RATE {
        lacking.push(format!(
            "{rate:.1} answered calls a second; {LEAST_RATE} are the least that tells something"
        ));
    }
    if unknown > operations / 2 {
        lacking.push(format!("{unknown} writes without an answer beside {operations} calls with one"));
    }
    #[expect(clippy::cast_precision_loss, reason = "a part")]
    if given_up as f64 > told.history.len() as f64 * GIVEN_UP {
        lacking.push(format!("the search of {given_up} of {} records was given up", told.history.len()));
    }
    let missed: Vec<String> = wanted
        .iter()
        .filter(|fault| !past.iter().any(|one| one.fault == **fault))
        .map(Fault::to_string)
        .collect();
    if !missed.is_empty() {
        lacking.push(format!("never made: {}; give it more --seconds", missed.join(", ")));
    }
    if wanted.iter().any(|fault| fault.hits_leader()) && leader_changes == 0 {
        lacking.push("the leader never changed".to_owned());
    }

    let (verdict, reasons) = match (broken.is_empty(), lacking.is_empty()) {
        (false, _) => (Verdict::Broken, broken),
        (true, false) => (Verdict::Rejected, lacking),
        (true, true) => (Verdict::Ok, Vec::new()),
    };
    Outcome {
        verdict,
        reasons,
        records: told.history.len(),
        operations,
        writes,
        unknown,
        given_up,
        faults,
        leader_changes,
        longest_write_gap_ms: longest_gap(all()),
    }
}

/// Both judges on every record, on all processors.
fn judge_histories(history: &[Vec<Operation>]) -> (Vec<String>, usize) {
    let (next, given_up) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let mut found = Vec::new();
        while let Some(operations) = history.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.extend(check(operations).first().map(ToString::to_string));
            match search(operations) {
                Finding::Linearizable => {}
                Finding::Stuck(at) => found.push(format!("no order of the calls explains {at}")),
                Finding::GaveUp => drop(given_up.fetch_add(1, Ordering::Relaxed)),
            }
        }
        found
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let found = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    (found, given_up.into_inner())
}

fn longest_gap<'a>(operations: impl Iterator<Item = &'a Operation>) -> u64 {
    let wrote = operations.filter(|one| one.writes().is_some() && matches!(one.answer, Answer::Wrote { .. }));
    let mut ends: Vec<u64> = wrote.map(|one| one.end).collect();
    ends.sort_unstable();
    ends.windows(2).map(|pair| (pair[1] - pair[0]) / 1000).max().unwrap_or_default()
}
