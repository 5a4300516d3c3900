//! Leader completeness: who begins to lead has every entry that was applied anywhere before (Ongaro 2014, figure 3.2).
//!
//! openraft's leaders are ordered by term and id: a term may see several, one after the other, each with the votes of a
//! majority. Two that follow each other in a term are held to the same rule, which is what election safety is for.

use std::collections::BTreeSet;

use super::Seen;
use crate::proto::store::LogId;

#[derive(Default)]
pub struct Complete {
    /// The newest entry that was applied anywhere.
    newest: Option<LogId>,
    /// Those who led: term and id.
    leaders: BTreeSet<(u64, u64)>,
}

impl Complete {
    pub fn check(&mut self, seen: &[Seen<'_>]) -> Result<(), String> {
        for leader in seen.iter().filter(|one| one.leads) {
            let later = self.leaders.last().is_none_or(|last| *last < (leader.term, leader.node_id));
            // One that was overtaken before it was seen may lack what its successor had applied.
            if !self.leaders.insert((leader.term, leader.node_id)) || !later {
                continue;
            }
            if leader.last.map(|id| id.index) < self.newest.map(|id| id.index) {
                return Err(format!(
                    "complete: {} leads in term {} with a log up to {:?}; {:?} was applied before",
                    leader.name, leader.term, leader.last, self.newest
                ));
            }
        }
        let newest = seen.iter().filter_map(|one| one.applied).max_by_key(|id| id.index);
        if newest.map(|id| id.index) > self.newest.map(|id| id.index) {
            self.newest = newest;
        }
        Ok(())
    }

    pub fn leaders(&self) -> usize {
        self.leaders.len()
    }
}
