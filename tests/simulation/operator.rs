//! Somebody who forms the cluster, and replaces a node whose folder was lost, by the administration's calls.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use super::cluster::{Cluster, Host};
use crate::cli::forming;
use crate::client::{Certificates, Client, ClientOptions};
use crate::config::Role;
use crate::proto::cluster::NodeStatus;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// For the whole cluster to be formed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is to be done: hosts whose node is to be replaced, with the id of the
/// old one.
#[derive(Clone, Default)]
pub struct Orders(Rc<RefCell<Vec<(usize, u64)>>>);

impl Orders {
    /// Has the node on this host replaced, which had the id `old`.
    pub fn replace(&self, host: usize, old: u64) {
        self.0.borrow_mut().push((host, old));
    }

    /// Whether it still is to be done.
    pub fn is_open(&self, host: usize) -> bool {
        self.0.borrow().iter().any(|(open, _)| *open == host)
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

/// Makes one cluster of all nodes.
pub async fn form(cluster: &Cluster) -> Result<(), String> {
    let clients: Vec<Client> = cluster
        .client_addresses()
        .iter()
        .map(|address| forming::only(address, &Certificates::default()))
        .collect::<Result<_, _>>()
        .map_err(text)?;
    for client in &clients {
        while forming::local_status(client).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    let central = cluster.hosts().iter().filter(|host| host.role == Role::Central);
    clients[0].init(central.map(Host::peer_address).collect()).await.map_err(text)?;
    for host in cluster.hosts().iter().filter(|host| host.role == Role::Provincial) {
        forming::add(&clients[0], &host.peer_address(), PATIENCE).await.map_err(text)?;
    }
    for client in &clients {
        forming::ready(client, PATIENCE).await.map_err(text)?;
    }
    Ok(())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Carries out orders for ever.
pub async fn work(cluster: &Cluster, orders: &Orders) -> Infallible {
    let deadline = Duration::from_secs(3);
    let options = ClientOptions { deadline, agency_id: "operator".to_owned(), ..ClientOptions::default() };
    let one = |address| Client::connect(vec![address], options.clone()).expect("the address is well-formed");
    let clients: Vec<Client> = cluster.client_addresses().into_iter().map(one).collect();
    loop {
        let order = orders.0.borrow().first().copied();
        if let Some((host, old)) = order {
            replace(&clients, &cluster.hosts()[host], old).await;
            orders.0.borrow_mut().retain(|(open, _)| *open != host);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Removes the node that was on the host, adds the one that waits there, and makes it what the old one was. Each step is
/// repeated until the cluster says that it is done: an answer that got lost says nothing, nor does one of long ago.
async fn replace(clients: &[Client], host: &Host, old: u64) {
    loop {
        if let Some((client, all)) = members(clients).await {
            let found = all.iter().find(|one| is(one, &host.name));
            let id = found.and_then(|found| found.member.as_ref()).map(|member| member.node_id);
            let outcome = match (id, host.role) {
                (None, _) => client.add_node(host.peer_address()).await.map(drop),
                (Some(id), _) if id <= old => client.remove_node(id).await,
                (Some(id), Role::Central) if found.is_some_and(|found| !found.voter) => {
                    client.promote(id).await
                }
                (Some(_), _) => return,
            };
            tracing::info!(host = host.name, old, id, ?outcome, "a step of a replacement");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn is(status: &NodeStatus, name: &str) -> bool {
    status.member.as_ref().is_some_and(|member| member.name == name)
}

/// A node that can be asked and belongs to the cluster, and all members as it knows them.
async fn members(clients: &[Client]) -> Option<(&Client, Vec<NodeStatus>)> {
    for client in clients {
        match client.status(false).await {
            // A node that waits knows of nobody else.
            Ok(status) if status.nodes.len() > 1 => return Some((client, status.nodes)),
            _ => {}
        }
    }
    None
}
