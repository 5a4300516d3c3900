//! Whether this node leads, for certain: what stands behind every read index.
//!
//! ```text
//! F asks L to read --- "my vote is v" ---> L: v is my own vote, too     F and L of three voters: confirmed
//! L reads at home  --- Confirm ----------> F: "my vote is v"            the same
//! ```
//!
//! A vote never goes down, and nobody leads without the votes of a majority. So while a majority holds L's vote there
//! is no later leader, and what L has applied holds every write that was acknowledged anywhere. Others may have applied
//! more already, and have shown it to a reader: L's own disk or snapshot may keep it behind. So the read index is what L
//! has told anybody to be committed ([`Told`]), if that is more: otherwise a later read elsewhere could see less.
//! Votes are taken from the log store, which has a new one before the candidate hears of it; what openraft says of
//! itself may come later than that. Three things must be true together (`Standing`):
//!
//! - openraft says that this node leads, so it was elected since it started: after a restart the vote on disk may be its
//!   own while its state lacks what it acknowledged before (openraft #1511).
//! - The log store's vote is its own.
//! - It has applied an entry of that very leadership: all that earlier leaders acknowledged comes before it.
//!
//! This is ReadIndex of the Raft thesis (6.4). openraft's own is not used because each of its rounds goes through the
//! cores of leader and follower: see tests/benches/README.md.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::stream::{FuturesUnordered, StreamExt};
use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use tokio::time::Instant;

use super::barrier::Rounds;
use super::leader;
use super::types::Raft;
use crate::defect;
use crate::proto::store::Vote;
use crate::storage::log::LogStore;
use crate::storage::state::StateStore;

/// The last entry that this node, as a leader, has told any other node to be committed. Nobody applies more than that in
/// its leadership. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<AtomicU64>);

impl Told {
    /// Notes what a message says, before it is sent.
    pub fn note(&self, committed: Option<u64>) {
        self.0.fetch_max(committed.unwrap_or_default(), Ordering::SeqCst);
    }

    /// The read index of a leader that has applied so far.
    pub fn read_index(&self, applied: u64) -> u64 {
        applied.max(self.0.load(Ordering::SeqCst))
    }
}

/// A leader's own side of the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    term: u64,
    leader: u64,
    /// What it had applied or told to be committed: the read index, once a majority confirms the vote.
    pub index: u64,
}

impl Standing {
    /// Of this node, if it leads as far as it knows itself.
    pub fn of(raft: &Raft, log: &LogStore, state: &StateStore, told: &Told) -> Option<Self> {
        let me = *raft.node_id();
        if raft.server_metrics().borrow_watched().state != ServerState::Leader {
            return None;
        }
        let applied = state.last_applied()?;
        let vote = log.vote()?;
        let own = vote.node_id == me && (applied.term, applied.leader_id) == (vote.term, me);
        own.then_some(Self { term: vote.term, leader: me, index: told.read_index(applied.index) })
    }

    /// Whether whoever holds this vote confirms it.
    pub fn is_confirmed_by(&self, vote: Option<&Vote>) -> bool {
        vote.is_some_and(|vote| (vote.term, vote.node_id) == (self.term, self.leader))
    }
}

/// A voter's answer to the question of one round.
struct Answer {
    voter: u64,
    round: u64,
    vote: Option<Vote>,
}

/// The leader's questions to the voters, round after round. Nobody is asked twice at a time: who is slow is asked for
/// the round that is under way when the answer to an earlier one has come.
#[derive(Default)]
pub struct Confirmations {
    round: u64,
    asked: FuturesUnordered<futures::future::BoxFuture<'static, Answer>>,
    busy: BTreeSet<u64>,
}

impl Confirmations {
    /// One round: the read index, once a majority has confirmed it; `None` when all have answered, or `until` has come,
    /// without one.
    pub async fn round(&mut self, rounds: &Rounds, until: Instant) -> Option<u64> {
        if defect::trusts_lease() {
            return rounds.state.last_applied().map(|id| id.index);
        }
        self.round += 1;
        let standing = Standing::of(&rounds.raft, &rounds.log, &rounds.state, &rounds.told)?;
        let me = *rounds.raft.node_id();
        let mut confirmed = BTreeSet::from([me]);
        for voter in leader::voters(&rounds.raft) {
            if voter != me && !self.busy.contains(&voter) {
                self.ask(rounds, voter);
            }
        }
        let all = async {
            while !leader::is_majority(&rounds.raft, |voter| confirmed.contains(voter)) {
                let Answer { voter, round, vote } = self.asked.next().await?;
                self.busy.remove(&voter);
                if round != self.round {
                    self.ask(rounds, voter);
                } else if standing.is_confirmed_by(vote.as_ref()) {
                    confirmed.insert(voter);
                }
            }
            Some(standing.index)
        };
        tokio::time::timeout_at(until, all).await.ok().flatten()
    }

    fn ask(&mut self, rounds: &Rounds, voter: u64) {
        let Some(member) = leader::member(&rounds.raft, voter) else { return };
        let (calls, round) = (rounds.calls.clone(), self.round);
        self.busy.insert(voter);
        self.asked.push(Box::pin(async move {
            let asking = tokio::time::timeout(super::barrier::ATTEMPT, calls.confirm(&member)).await;
            let vote = match asking {
                Ok(Ok(answer)) => answer.vote,
                Ok(Err(status)) => {
                    tracing::debug!(voter, code = ?status.code(), "a voter did not confirm this leader");
                    None
                }
                Err(_) => None,
            };
            Answer { voter, round, vote }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_to_be_committed_is_read_though_the_leader_has_not_applied_it() {
        let told = Told::default();
        assert_eq!(told.read_index(7), 7);
        told.note(Some(9));
        told.note(Some(8));
        told.note(None);
        assert_eq!((told.read_index(7), told.read_index(12)), (9, 12));
    }

    #[test]
    fn a_leader_is_confirmed_by_its_own_vote_alone() {
        let standing = Standing { term: 7, leader: 2, index: 40 };
        let vote = |term, node_id, committed| Vote { term, node_id, committed };
        assert!(standing.is_confirmed_by(Some(&vote(7, 2, true))));
        // Granted, and its first append still to come.
        assert!(standing.is_confirmed_by(Some(&vote(7, 2, false))));
        for other in [vote(7, 3, true), vote(8, 2, false), vote(8, 3, false), vote(6, 2, true)] {
            assert!(!standing.is_confirmed_by(Some(&other)));
        }
        assert!(!standing.is_confirmed_by(None));
    }
}
