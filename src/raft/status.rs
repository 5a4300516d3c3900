//! What a node says of itself.

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;

use crate::metrics::Metrics;
use crate::proto::cluster::{Member, NodeState, NodeStatus};
use crate::raft::replica::Replica;
use crate::raft::types::LogId;

/// The status of a node that waits for a cluster.
pub fn waiting(member: Member, http_address: &str) -> NodeStatus {
    NodeStatus {
        member: Some(member),
        state: NodeState::Waiting.into(),
        staleness_bound_ms: u32::MAX,
        http_address: http_address.to_owned(),
        ..NodeStatus::default()
    }
}

/// The status of a member that could not be reached.
pub fn unreachable(member: Member, voter: bool, problem: String) -> NodeStatus {
    NodeStatus { member: Some(member), voter, problem, staleness_bound_ms: u32::MAX, ..NodeStatus::default() }
}

/// What a member's address answered. A node that lost its folder waits there without an id; who removes it must know the
/// one that it had.
pub fn as_member(answer: NodeStatus, member: Member, voter: bool) -> NodeStatus {
    if answer.member.as_ref().is_some_and(|answering| answering.node_id == member.node_id) {
        return answer;
    }
    let problem = format!(
        "it lost its folder and waits for a cluster: remove node {}, then add the node that waits at {}",
        member.node_id, member.peer_address
    );
    NodeStatus { state: answer.state, ..unreachable(member, voter, problem) }
}

/// The status of this replica.
pub fn of(replica: &Replica, http_address: &str) -> NodeStatus {
    let watch = replica.raft.metrics();
    let metrics = watch.borrow_watched();
    let id = replica.identity.node_id;
    let applied = replica.state.applied();
    let problem = replica.fault.what().unwrap_or_default();
    let state = match metrics.state {
        _ if !problem.is_empty() => NodeState::OutOfService,
        ServerState::Learner => NodeState::Learner,
        ServerState::Follower => NodeState::Follower,
        ServerState::Candidate => NodeState::Candidate,
        ServerState::Leader => NodeState::Leader,
        ServerState::Shutdown => NodeState::OutOfService,
    };
    NodeStatus {
        member: Some(replica.member.clone()),
        state: state.into(),
        voter: metrics.membership_config.membership().voter_ids().any(|voter| voter == id),
        term: metrics.current_term,
        leader_id: metrics.current_leader.unwrap_or(0),
        last_log_index: metrics.last_log_index.unwrap_or(0),
        applied_index: applied.log_id.map_or(0, |log_id| log_id.index),
        revision: applied.revision,
        snapshot_index: metrics.snapshot.map_or(0, |log_id| log_id.index),
        purged_index: metrics.purged.map_or(0, |log_id| log_id.index),
        chain_hash: hex(&applied.chain_hash),
        staleness_bound_ms: replica.staleness_bound_ms(),
        problem,
        http_address: http_address.to_owned(),
    }
}

/// Sets the gauges of this replica.
pub fn publish(replica: &Replica, metrics: &Metrics) {
    let watch = replica.raft.metrics();
    let raft = watch.borrow_watched();
    let last = raft.last_log_index.unwrap_or(0);
    let lacks = |matched: &Option<LogId>| last.saturating_sub(matched.map_or(0, |log_id| log_id.index));
    let lags: Vec<(u64, u64)> =
        raft.replication.iter().flatten().map(|(id, matched)| (*id, lacks(matched))).collect();
    let leads = raft.current_leader == Some(replica.identity.node_id);
    metrics.set_raft(raft.current_term, leads, &lags);
    metrics.staleness_bound_ms.set(u64::from(replica.staleness_bound_ms()));
    let applied = replica.state.applied();
    metrics.applied_index.set(applied.log_id.map_or(0, |log_id| log_id.index));
    metrics.revision.set(applied.revision);
    metrics.persons.set(applied.persons);
    metrics.history_first_revision.set(applied.first_revision);
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
