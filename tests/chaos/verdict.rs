//! What the run says: the histories before both judges, the states of all nodes, and whether enough was done for it to tell
//! anything.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use serde::Serialize;

use super::fault::Fault;
use super::nemesis::Past;
use super::resources::Resource;
use crate::check;
use crate::workload::{Judged, Tally, Told, Wrong};

/// Answered calls a second that a run must reach; less tells too little.
const LEAST_RATE: f64 = 10.0;
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
    pub operations: u64,
    /// Those of them that wrote.
    pub writes: u64,
    /// Writes without an answer.
    pub unknown: u64,
    /// Records whose search was given up; the other judge saw them all.
    pub given_up: usize,
    /// Faults by kind.
    pub faults: BTreeMap<String, usize>,
    /// Changes of the leader.
    pub leader_changes: usize,
    /// The longest time without an acknowledged write, in milliseconds.
    pub longest_write_gap_ms: u64,
    /// What the nodes took.
    pub resources: Vec<Resource>,
}

/// What was done.
pub struct Made<'a> {
    /// The faults that were made.
    pub past: &'a [Past],
    /// Those that were to be made.
    pub wanted: &'a [Fault],
    /// Changes of the leader.
    pub leader_changes: usize,
    /// How long it took.
    pub seconds: f64,
}

/// Judges a run. The last argument is what was found broken on the way, and what was lacking.
pub fn judge(
    told: &mut Told,
    tally: &Tally,
    &Made { past, wanted, leader_changes, seconds }: &Made<'_>,
    (mut broken, mut lacking): (Vec<String>, Vec<String>),
) -> Outcome {
    broken.extend(told.strange.iter().take(3).cloned());
    judge_histories(told);
    broken.extend(told.judged.wrong.iter().take(10).map(|wrong| wrong.what.clone()));

    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let (writes, unknown) = (count(&tally.writes), count(&tally.unknown));
    let operations = writes + count(&tally.reads);
    let given_up = told.judged.given_up;
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
        longest_write_gap_ms: told.pace.longest_gap / 1000,
        resources: Vec::new(),
    }
}

/// Both judges on every record that was not judged on the way, on all processors.
fn judge_histories(told: &mut Told) {
    let (history, next) = (&told.history, AtomicUsize::new(0));
    let work = || {
        let mut found = Judged::default();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(operations) = history.get(at) else { return found };
            let judgement = check::judge(operations);
            found.given_up += usize::from(judgement.gave_up);
            if let Some(what) = judgement.broken {
                let key = u32::try_from(at).unwrap();
                found.note(Wrong { key, what, operations: operations.clone() });
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let found: Vec<Judged> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for one in found {
        told.judged.given_up += one.given_up;
        one.wrong.into_iter().for_each(|wrong| told.judged.note(wrong));
    }
}
