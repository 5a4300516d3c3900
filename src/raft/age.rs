//! How old a node's state may be, without trusting clocks between machines.
//!
//! When a round that *started* at local monotonic time t was told to wait for index i, local state is no older than
//! now - t as soon as i is applied: whether or not the reads of that round still wait. A node that applies slowly
//! would otherwise count the age of its last idle moment.

use std::collections::VecDeque;

use tokio::time::Instant;

/// Rounds kept until their index is applied. A node so far behind that there are more tells its age a little too high.
const PENDING: usize = 64;

/// Confirmed rounds, and the newest of them that local state has reached.
#[derive(Debug, Default)]
pub struct Confirmed {
    /// Index and start of each round still to be applied; both grow.
    pending: VecDeque<(u64, Instant)>,
    fresh_at: Option<Instant>,
}

impl Confirmed {
    /// Notes a round that started at `started` and must wait for `index`.
    pub fn note(&mut self, index: u64, started: Instant) {
        while self.pending.back().is_some_and(|(last, _)| *last >= index) {
            self.pending.pop_back();
        }
        // The oldest ones are applied first: only the last place is ever given up.
        self.pending.truncate(PENDING - 1);
        self.pending.push_back((index, started));
    }

    /// The start of the newest round that local state, which has applied so far, holds in full.
    pub fn fresh_at(&mut self, applied: Option<u64>) -> Option<Instant> {
        let reached = self.pending.partition_point(|(index, _)| Some(*index) <= applied);
        let newest = self.pending.drain(..reached).map(|(_, started)| started).max();
        self.fresh_at = self.fresh_at.max(newest);
        self.fresh_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_round_counts_from_its_start_once_its_index_is_applied() {
        let (mut confirmed, t) = (Confirmed::default(), Instant::now());
        let at = |ms| t + Duration::from_millis(ms);
        assert_eq!(confirmed.fresh_at(Some(9)), None, "no round, no age");
        confirmed.note(5, at(0));
        confirmed.note(8, at(10));
        assert_eq!(confirmed.fresh_at(None), None);
        assert_eq!(confirmed.fresh_at(Some(4)), None);
        assert_eq!(confirmed.fresh_at(Some(7)), Some(at(0)));
        assert_eq!(confirmed.fresh_at(Some(8)), Some(at(10)));
        confirmed.note(8, at(20));
        confirmed.note(8, at(30));
        assert_eq!(confirmed.fresh_at(Some(8)), Some(at(30)), "an idle cluster confirms the same index");
        confirmed.note(6, at(40));
        assert_eq!(confirmed.fresh_at(Some(8)), Some(at(40)), "a lower index is reached already");
    }

    #[test]
    fn a_node_far_behind_keeps_few_rounds_and_none_of_the_next_ones_is_lost() {
        let (mut confirmed, t) = (Confirmed::default(), Instant::now());
        let at = |n| t + Duration::from_millis(n);
        for n in 1..=10_000 {
            confirmed.note(n, at(n));
        }
        assert_eq!(confirmed.pending.len(), PENDING);
        let applied = PENDING as u64 / 2;
        assert_eq!(confirmed.fresh_at(Some(applied)), Some(at(applied)));
        assert_eq!(confirmed.fresh_at(Some(10_000)), Some(at(10_000)));
    }
}
