//! Forms a cluster of nodes that wait for one, as an operator would: used where all nodes are on this machine.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Failure;
use super::fleet::Fleet;
use super::policy::everything;
use crate::client::{Certificates, Client, ClientOptions};
use crate::config::Role;
use crate::proto::cluster::{Member, NodeState, NodeStatus};
use crate::proto::registry::Agency;

/// How often nodes are asked how far they are.
const POLL: Duration = Duration::from_millis(10);

/// A client that asks one node only, and shows these certificates.
///
/// # Errors
/// When the address is not `host:port`.
pub fn only(address: &str, certificates: &Certificates) -> Result<Client, Failure> {
    let options = ClientOptions {
        deadline: Duration::from_secs(30),
        agency_id: certificates.agency_id().unwrap_or("dancu-local").to_owned(),
        certificates: certificates.clone(),
        ..ClientOptions::default()
    };
    Ok(Client::connect(vec![address.to_owned()], options)?)
}

/// The node's own status.
///
/// # Errors
/// When it cannot be reached.
pub async fn local_status(node: &Client) -> Result<NodeStatus, Failure> {
    Ok(node.status(true).await?.nodes.into_iter().next().unwrap_or_default())
}

/// Whether the node has no cluster yet.
///
/// # Errors
/// When it cannot be reached.
pub async fn is_waiting(node: &Client) -> Result<bool, Failure> {
    Ok(local_status(node).await?.state() == NodeState::Waiting)
}

/// Adds a waiting node as soon as a leader is there to do it.
///
/// # Errors
/// When it is not added within `limit`.
pub async fn add(cluster: &Client, peer_address: &str, limit: Duration) -> Result<Member, Failure> {
    let deadline = Instant::now() + limit;
    loop {
        match cluster.add_node(peer_address.to_owned()).await {
            Ok(member) => return Ok(member),
            // A request that broke off is finished by asking again.
            Err(error)
                if Instant::now() < deadline && (error.is_unknown() || error.retry_after().is_some()) =>
            {
                sleep(POLL).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Makes one cluster of a fleet's processes: the central ones form it, the others are added. Returns a client for each
/// of them when all serve linearizable reads.
///
/// # Errors
/// When one of them does not come so far; each step has `limit`.
pub async fn form(fleet: &mut Fleet, limit: Duration) -> Result<Vec<Client>, Failure> {
    let mut clients = Vec::new();
    for node in &mut fleet.nodes {
        node.wait_serving(limit).map_err(|e| Failure::Fault(e.to_string()))?;
        clients.push(only(&node.client_address(), &fleet.certificates)?);
    }
    let Some(first) = clients.first() else {
        return Err(Failure::Input("a cluster has at least one node".to_owned()));
    };
    first.init(fleet.central_peers()).await?;
    for node in fleet.nodes.iter().filter(|node| node.config().role == Role::Provincial) {
        add(first, &node.peer_address(), limit).await?;
    }
    for client in &clients {
        ready(client, limit).await?;
    }
    license(&clients[0], &clients[0].options().agency_id).await?;
    Ok(clients)
}

/// Licenses an agency for everything: what one develops and tests against asks of no purpose. Nothing to do in the clear,
/// where nobody shows who they are.
///
/// # Errors
/// When the cluster does not agree on it.
pub async fn license(node: &Client, agency_id: &str) -> Result<(), Failure> {
    if node.options().certificates.is_empty() {
        return Ok(());
    }
    let policy = everything("everything", "none: for development and tests");
    let agency = Agency {
        agency_id: agency_id.to_owned(),
        policies: vec![policy.name.clone()],
        guesses_per_person: MANY_GUESSES,
        ..Agency::default()
    };
    node.put_policy(policy).await?;
    node.put_agency(agency).await?;
    Ok(())
}

/// Wrong claims about one person that such an agency may make.
const MANY_GUESSES: u32 = 1000;

/// Waits until the node serves linearizable reads: a leader has confirmed it.
///
/// # Errors
/// When that is not so within `limit`.
pub async fn ready(node: &Client, limit: Duration) -> Result<NodeStatus, Failure> {
    let deadline = Instant::now() + limit;
    loop {
        let status = local_status(node).await?;
        if status.leader_id != 0 && status.staleness_bound_ms != u32::MAX {
            return Ok(status);
        }
        if Instant::now() > deadline {
            let name = status.member.unwrap_or_default().name;
            let seconds = limit.as_secs();
            return Err(Failure::Unavailable(format!("node {name} found no leader within {seconds} s")));
        }
        sleep(POLL).await;
    }
}
