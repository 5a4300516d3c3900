//! `dancu cluster`: forms a cluster, changes its members, and looks at it.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::Failure;
use super::connect::Connect;
use super::output::{Output, table};
use crate::proto::cluster::{Member, NodeRole, NodeState, NodeStatus};

/// What to do with the cluster.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Form a cluster of 1, 3 or 5 central nodes that wait for one
    Init {
        #[command(flatten)]
        connect: Connect,
        /// Their peer addresses (host:port), the asked node's among them
        #[arg(required = true)]
        peers: Vec<String>,
    },
    /// Bring a waiting node into the cluster as a learner
    Add {
        #[command(flatten)]
        connect: Connect,
        /// Its peer address (host:port)
        peer: String,
    },
    /// Make a central learner a voter
    Promote {
        #[command(flatten)]
        connect: Connect,
        /// Its node id
        node_id: u64,
    },
    /// Take a node out for good; its id never comes back
    Remove {
        #[command(flatten)]
        connect: Connect,
        /// Its node id
        node_id: u64,
    },
    /// Hand leadership to another voter
    Transfer {
        #[command(flatten)]
        connect: Connect,
        /// The new leader's node id; the leader chooses when absent
        #[arg(default_value_t = 0)]
        node_id: u64,
    },
    /// Show all nodes
    Status {
        #[command(flatten)]
        connect: Connect,
        /// Only the node asked
        #[arg(long)]
        local: bool,
    },
    /// Build a snapshot on the node asked
    Snapshot {
        #[command(flatten)]
        connect: Connect,
    },
    /// Have the node asked sign receipts with a new key; those signed before stay valid
    RotateReceiptKey {
        #[command(flatten)]
        connect: Connect,
    },
    /// Hash all that the node asked holds: equal on every node at one revision
    Digest {
        #[command(flatten)]
        connect: Connect,
        /// Wait until the node has applied this revision
        #[arg(long, default_value_t = 0)]
        at_least: u64,
    },
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Init { connect, peers } => {
            let formed = connect.client()?.init(peers).await?;
            output.result(
                || json!({ "cluster_id": formed.cluster_id, "members": members_json(&formed.members) }),
                || format!("formed cluster {}\n{}", formed.cluster_id, members_text(&formed.members)),
            )?;
        }
        Command::Add { connect, peer } => {
            let member = connect.client()?.add_node(peer).await?;
            output.result(
                || member_json(&member),
                || format!("added {} as node {}: it catches up now", member.name, member.node_id),
            )?;
        }
        Command::Promote { connect, node_id } => {
            connect.client()?.promote(node_id).await?;
            output.result(|| json!({ "promoted": node_id }), || format!("node {node_id} votes now"))?;
        }
        Command::Remove { connect, node_id } => {
            connect.client()?.remove_node(node_id).await?;
            let text = || format!("node {node_id} is no longer a member; stop it and delete its data folder");
            output.result(|| json!({ "removed": node_id }), text)?;
        }
        Command::Transfer { connect, node_id } => {
            let leader = connect.client()?.transfer_leadership(node_id).await?;
            output.result(|| json!({ "leader_id": leader }), || format!("node {leader} leads now"))?;
        }
        Command::Status { connect, local } => {
            let status = connect.client()?.status(local).await?;
            output.result(
                || json!({ "cluster_id": status.cluster_id, "nodes": nodes_json(&status.nodes) }),
                || status_text(&status.cluster_id, &status.nodes),
            )?;
        }
        Command::Snapshot { connect } => {
            let index = connect.client()?.trigger_snapshot().await?;
            output.result(|| json!({ "snapshot_index": index }), || format!("snapshot at index {index}"))?;
        }
        Command::RotateReceiptKey { connect } => {
            let new = connect.client()?.rotate_receipt_key().await?;
            output.result(
                || json!({ "node_id": new.node_id, "kid": new.kid, "since_ms": new.since_ms }),
                || format!("node {} signs receipts with the key {} now", new.node_id, new.kid),
            )?;
        }
        Command::Digest { connect, at_least } => {
            let digest = connect.client()?.digest(at_least).await?;
            output.result(
                || json!({ "revision": digest.revision, "persons": digest.persons, "sha256": digest.sha256 }),
                || format!("{}  revision {}, {} people", digest.sha256, digest.revision, digest.persons),
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn members_json(members: &[Member]) -> Vec<Value> {
    members.iter().map(member_json).collect()
}

fn members_text(members: &[Member]) -> String {
    let line = |m: &Member| format!("  node {} {} at {}", m.node_id, m.name, m.client_address);
    members.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn member_json(member: &Member) -> Value {
    json!({
        "node_id": member.node_id,
        "name": member.name,
        "role": role(member),
        "peer_address": member.peer_address,
        "client_address": member.client_address,
    })
}

fn role(member: &Member) -> String {
    match member.role() {
        NodeRole::Unspecified => String::new(),
        role => role.as_str_name().trim_start_matches("NODE_ROLE_").to_lowercase(),
    }
}

/// A node's state in words.
pub fn state_word(state: NodeState) -> String {
    match state {
        NodeState::Unspecified => "unreachable".to_owned(),
        state => state.as_str_name().trim_start_matches("NODE_STATE_").to_lowercase().replace('_', " "),
    }
}

/// Entries that the leader has and the node has not applied; `None` while the leader is not known.
fn lag(node: &NodeStatus, nodes: &[NodeStatus]) -> Option<u64> {
    let leader = nodes.iter().filter(|n| n.state() == NodeState::Leader).max_by_key(|n| n.term)?;
    (node.state() != NodeState::Unspecified).then(|| leader.last_log_index.saturating_sub(node.applied_index))
}

fn nodes_json(nodes: &[NodeStatus]) -> Vec<Value> {
    nodes.iter().map(|node| node_json(node, nodes)).collect()
}

/// A node as JSON; `nodes` are those among which its leader is looked for.
pub fn node_json(n: &NodeStatus, nodes: &[NodeStatus]) -> Value {
    json!({
        "member": member_json(&n.member.clone().unwrap_or_default()),
        "state": state_word(n.state()),
        "voter": n.voter,
        "term": n.term,
        "leader_id": n.leader_id,
        "last_log_index": n.last_log_index,
        "applied_index": n.applied_index,
        "lag": lag(n, nodes),
        "revision": n.revision,
        "snapshot_index": n.snapshot_index,
        "purged_index": n.purged_index,
        "chain_hash": n.chain_hash,
        "staleness_bound_ms": n.staleness_bound_ms,
        "http_address": n.http_address,
        "problem": n.problem,
    })
}

/// The nodes as a table, with the problems of those that have one below it.
pub fn status_text(cluster_id: &str, nodes: &[NodeStatus]) -> String {
    let mut nodes = nodes.to_vec();
    nodes.sort_by_key(|n| n.member.as_ref().map_or(0, |m| m.node_id));
    let header =
        ["node", "name", "role", "state", "term", "applied", "lag", "revision", "staleness", "address"];
    let shown = table(&header, nodes.iter().map(|n| status_row(n, &nodes)).collect());
    let title =
        if cluster_id.is_empty() { "no cluster yet".to_owned() } else { format!("cluster {cluster_id}") };
    let problems = nodes.iter().filter(|n| !n.problem.is_empty()).map(|n| {
        let member = n.member.clone().unwrap_or_default();
        format!("\nnode {} {}: {}", member.node_id, member.name, n.problem)
    });
    format!("{title}\n{shown}{}", problems.collect::<String>())
}

fn status_row(n: &NodeStatus, nodes: &[NodeStatus]) -> Vec<String> {
    let member = n.member.clone().unwrap_or_default();
    let reached = n.state() != NodeState::Unspecified;
    let number = |value: u64| if reached { value.to_string() } else { "-".to_owned() };
    let staleness = match (reached, n.staleness_bound_ms) {
        (false, _) | (_, u32::MAX) => "-".to_owned(),
        (_, ms) => format!("{ms} ms"),
    };
    vec![
        member.node_id.to_string(),
        member.name.clone(),
        role(&member),
        state_word(n.state()),
        number(n.term),
        number(n.applied_index),
        lag(n, nodes).map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
        number(n.revision),
        staleness,
        member.client_address,
    ]
}
