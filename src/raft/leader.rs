//! Who leads, as this node knows it.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;

use crate::proto::cluster::Member;
use crate::raft::types::Raft;

/// The leader's id.
pub fn current(raft: &Raft) -> Option<u64> {
    raft.server_metrics().borrow_watched().current_leader
}

/// The description of a member.
pub fn member(raft: &Raft, id: u64) -> Option<Member> {
    raft.server_metrics().borrow_watched().membership_config.membership().get_node(&id).cloned()
}

/// Every member's description, by id, and whether it votes.
pub fn members(raft: &Raft) -> Vec<(Member, bool)> {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow_watched();
    let membership = metrics.membership_config.membership();
    let voters: Vec<u64> = membership.voter_ids().collect();
    membership.nodes().map(|(id, member)| (member.clone(), voters.contains(id))).collect()
}

/// Returns when the leader is another than now, or after `pause`.
pub async fn changed(raft: &Raft, pause: Duration) {
    let before = current(raft);
    let mut metrics = raft.server_metrics();
    let another = async {
        while metrics.changed().await.is_ok() {
            let leader = metrics.borrow_watched().current_leader;
            if leader.is_some() && leader != before {
                return;
            }
        }
        std::future::pending::<()>().await;
    };
    drop(tokio::time::timeout(pause, another).await);
}

/// Returns when `leader` is no longer the leader that this node knows.
pub async fn lost(raft: &Raft, leader: u64) {
    let mut metrics = raft.server_metrics();
    while metrics.borrow_watched().current_leader == Some(leader) {
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

/// The ids of the voters.
pub fn voters(raft: &Raft) -> BTreeSet<u64> {
    raft.server_metrics().borrow_watched().membership_config.membership().voter_ids().collect()
}

/// The Raft term.
pub fn term(raft: &Raft) -> u64 {
    raft.server_metrics().borrow_watched().vote.leader_id.term
}

/// Whether those for whom `has` holds are a majority of the voters, of both configurations while they change.
///
/// The configuration may be one step behind openraft's own, which is safe: two that follow each other share a member in
/// any two majorities, and the second next is proposed only after the next was committed.
pub fn is_majority(raft: &Raft, has: impl Fn(&u64) -> bool) -> bool {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow_watched();
    let voters = metrics.membership_config.membership().get_joint_config();
    let of = |set: &BTreeSet<u64>| set.iter().filter(|id| has(id)).count() > set.len() / 2;
    !voters.is_empty() && voters.iter().all(of)
}

/// Whether a node belongs to the cluster.
pub fn is_member(raft: &Raft, id: u64) -> bool {
    raft.server_metrics().borrow_watched().membership_config.membership().get_node(&id).is_some()
}
