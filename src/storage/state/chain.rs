//! Recent points of the chain hash, for nodes to compare.
//!
//! Nodes are rarely at the same index at the same time, so they compare at indexes that all of them pass: the
//! multiples of 64. In memory only: after a restart a node has points again as soon as it applies.

use std::collections::VecDeque;

/// How many points are kept.
const POINTS_MAX: usize = 4096;

/// The last points, by rising index.
#[derive(Default)]
pub(super) struct ChainPoints(VecDeque<(u64, [u8; 32])>);

impl ChainPoints {
    /// Adds a point above all others.
    pub fn push(&mut self, index: u64, hash: [u8; 32]) {
        if self.0.len() == POINTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((index, hash));
    }

    /// The hash after the entry at `index`, if it is a point that is still kept.
    pub fn at(&self, index: u64) -> Option<[u8; 32]> {
        let place = self.0.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        Some(self.0[place].1)
    }

    /// The newest point.
    pub fn latest(&self) -> Option<(u64, [u8; 32])> {
        self.0.back().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_points_go() {
        let mut points = ChainPoints::default();
        assert_eq!(points.latest(), None);
        for n in 0..=POINTS_MAX as u64 {
            points.push(n * 64, [0; 32]);
        }
        assert_eq!(points.at(0), None);
        assert!(points.at(64).is_some());
        assert_eq!(points.at(65), None);
        assert_eq!(points.latest().unwrap().0, POINTS_MAX as u64 * 64);
    }
}
