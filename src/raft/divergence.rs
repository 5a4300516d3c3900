//! Which of two nodes with different states is wrong: a majority of the voters says.
//!
//! Every node sends the newest point of its hash chain with each question for a read index, and the leader compares it
//! with its own. A difference alone does not say who erred; a leader that took itself for the measure would take every
//! healthy node out of service when its own state is the odd one.

use std::collections::{BTreeMap, BTreeSet};

/// What the leader concludes about a node that it compared itself with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They agree, or there was nothing to compare.
    Alike,
    /// The other one differs from a majority.
    TheOther,
    /// They differ, and no majority agrees with either yet.
    Open,
}

/// The last comparison with each node.
#[derive(Default)]
pub struct Comparisons {
    alike: BTreeMap<u64, bool>,
}

impl Comparisons {
    /// Notes a comparison of this leader with node `with`. Returns what follows for that node, and whether this leader
    /// itself differs from a majority of `voters`.
    pub fn note(&mut self, with: u64, alike: bool, voters: &BTreeSet<u64>, leader: u64) -> (Verdict, bool) {
        self.alike.insert(with, alike);
        let said = |what: bool| {
            voters
                .iter()
                .filter(|id| **id != leader && self.alike.get(id).is_some_and(|alike| *alike == what))
                .count()
        };
        let majority = voters.len() / 2 + 1;
        let alone = said(false) >= majority;
        let verdict = match alike {
            true => Verdict::Alike,
            false if said(true) + 1 >= majority => Verdict::TheOther,
            false => Verdict::Open,
        };
        (verdict, alone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voters() -> BTreeSet<u64> {
        BTreeSet::from([1, 2, 3])
    }

    #[test]
    fn one_that_differs_is_wrong_once_a_majority_agrees_with_the_leader() {
        let mut seen = Comparisons::default();
        assert_eq!(seen.note(2, false, &voters(), 1), (Verdict::Open, false));
        assert_eq!(seen.note(3, true, &voters(), 1), (Verdict::Alike, false));
        assert_eq!(seen.note(2, false, &voters(), 1), (Verdict::TheOther, false));
        // A learner's word does not count, and is judged all the same.
        assert_eq!(seen.note(9, false, &voters(), 1), (Verdict::TheOther, false));
    }

    #[test]
    fn a_leader_that_differs_from_a_majority_is_the_wrong_one() {
        let mut seen = Comparisons::default();
        assert_eq!(seen.note(9, false, &voters(), 1), (Verdict::Open, false));
        assert_eq!(seen.note(2, false, &voters(), 1), (Verdict::Open, false));
        assert_eq!(seen.note(3, false, &voters(), 1), (Verdict::Open, true));
    }
}
