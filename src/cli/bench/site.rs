//! The cluster under load: one that runs somewhere, or node processes started here and ended with the load.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::cli::cluster::state_word;
use crate::cli::connect::Connect;
use crate::cli::fleet::{Fleet, Issuer};
use crate::cli::{Failure, failure, forming};
use crate::client::{self, Certificates, Client, ClientOptions};
use crate::config::{Role, StorageConfig};
use crate::proto::cluster::{NodeState, NodeStatus};

/// How long nodes may take to serve and to form a cluster.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often nodes are asked how far they are.
const POLL: Duration = Duration::from_millis(20);
/// The agency that loads node processes started here.
const AGENCY: &str = "dancu-bench";
/// What a file system in memory says it is.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// The leader
    Leader,
    /// One node that does not vote
    Learner,
    /// The nodes that vote
    Voters,
    /// All nodes
    All,
}

/// Node processes to start here.
#[derive(clap::Args)]
pub struct Local {
    /// Start so many central nodes on this machine (1, 3 or 5) and load them, instead of a cluster at --endpoints
    #[arg(long, value_parser = ["1", "3", "5"])]
    fleet: Option<String>,
    /// With --fleet: provincial nodes beside them
    #[arg(long, default_value_t = 0, requires = "fleet")]
    provinces: usize,
    /// With --fleet: nodes and load speak mutual TLS, as in a cluster of real machines
    #[arg(long, requires = "fleet")]
    secure: bool,
    /// With --fleet: folder of the nodes' data, configurations and logs, kept afterwards; a temporary one when absent.
    /// It must lie on a real disk, where an fsync costs what it costs
    #[arg(long, requires = "fleet")]
    data: Option<PathBuf>,
    /// With --fleet: the nodes record no accesses, to see what records cost
    #[arg(long, requires = "fleet")]
    without_audit: bool,
    /// With --fleet: the nodes write to disk in the clear, to see what encryption at rest costs
    #[arg(long, requires = "fleet")]
    without_encryption: bool,
}

/// A cluster that can be loaded.
pub struct Site {
    /// A client of it.
    pub client: Client,
    /// Its node processes, when they were started here; they end with it.
    _fleet: Option<Fleet>,
    /// Their folder, when it goes with them.
    _folder: Option<TempDir>,
}

/// A node of it.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it does: "leader", "follower", "learner".
    pub state: String,
    /// host:port of its gRPC listener.
    pub address: String,
    /// host:port of its HTTP listener; empty when it has none.
    pub http_address: String,
}

impl Site {
    /// Starts the nodes that are to be started, or goes to those that `connect` names.
    ///
    /// # Errors
    /// When an address is malformed, or the nodes do not come up.
    pub async fn find(local: &Local, connect: &Connect) -> Result<Self, Failure> {
        let Some(central) = &local.fleet else {
            return Ok(Self { client: connect.client()?, _fleet: None, _folder: None });
        };
        let (folder, temporary) = match &local.data {
            Some(folder) => (folder.clone(), None),
            None => {
                let made = tempfile::tempdir();
                let made =
                    made.map_err(|e| Failure::Input(format!("cannot make a temporary folder: {e}")))?;
                (made.path().to_path_buf(), Some(made))
            }
        };
        std::fs::create_dir_all(&folder).map_err(|e| failure::file_failure("make", &folder, &e))?;
        let found = std::fs::read_dir(&folder).map_err(|e| failure::file_failure("read", &folder, &e))?;
        if found.count() > 0 {
            let shown = folder.display();
            return Err(Failure::Input(format!("{shown} is not empty: give --data a new or empty folder")));
        }
        if is_in_memory(&folder) {
            let shown = folder.display();
            eprintln!(
                "dancu: {shown} is in memory (tmpfs): an fsync costs nothing there, so the figures say nothing of disks"
            );
        }
        let binary = std::env::current_exe().map_err(|e| Failure::Fault(e.to_string()))?;
        let central = central.parse().expect("one of the values above");
        let mut fleet = fleet(&binary, &folder, central, local)?;
        forming::form(&mut fleet, PATIENCE).await?;
        let options = ClientOptions {
            agency_id: AGENCY.to_owned(),
            certificates: fleet.certificates.clone(),
            ..connect.options()?
        };
        let client = Client::connect(fleet.client_addresses(), options)?;
        Ok(Self { client, _fleet: Some(fleet), _folder: temporary })
    }

    /// Waits until every node that answers has what the others have now: a stale read would not find the people that were
    /// just put in.
    ///
    /// # Errors
    /// When a node does not get so far, or none answers.
    pub async fn settle(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut wanted = 0;
        loop {
            let nodes = self.client.status(false).await?.nodes;
            let answering = nodes.iter().filter(|node| node.state() != NodeState::Unspecified);
            let revisions: Vec<u64> = answering.map(|node| node.revision).collect();
            if wanted == 0 {
                wanted = revisions.iter().copied().max().unwrap_or_default();
            }
            if revisions.iter().all(|&revision| revision >= wanted) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Failure::Unavailable(format!("a node does not reach revision {wanted}")));
            }
            sleep(POLL).await;
        }
    }

    /// The nodes that answer, the leader first.
    ///
    /// # Errors
    /// When none does.
    pub async fn nodes(&self) -> Result<Vec<Node>, Failure> {
        let mut statuses = self.client.status(false).await?.nodes;
        statuses.retain(|status| status.state() != NodeState::Unspecified);
        statuses.sort_by_key(|status| {
            let id = status.member.as_ref().map_or(0, |member| member.node_id);
            (status.state() != NodeState::Leader, id)
        });
        let node = |status: NodeStatus| {
            let state = state_word(status.state());
            let member = status.member.unwrap_or_default();
            let (name, address) = (member.name, member.client_address);
            Node { name, state, address, http_address: status.http_address }
        };
        Ok(statuses.into_iter().map(node).collect())
    }
}

/// Central and provincial nodes with the settings that a node has by default, not a cluster yet.
fn fleet(binary: &Path, folder: &Path, central: usize, local: &Local) -> Result<Fleet, Failure> {
    let mut fleet = Fleet::new(binary, folder);
    if local.secure {
        let issuer = Issuer::of(&folder.join("certs"), AGENCY).map_err(|e| Failure::Fault(e.to_string()))?;
        fleet.secure(Arc::new(issuer));
    }
    fleet.settings.storage = StorageConfig::default();
    fleet.settings.audit.enabled = !local.without_audit;
    fleet.encrypted = !local.without_encryption;
    let names = (1..=central).map(|n| (format!("central-{n}"), Role::Central));
    for (name, role) in
        names.chain((1..=local.provinces).map(|n| (format!("province-{n}"), Role::Provincial)))
    {
        fleet.spawn(&name, role).map_err(|e| Failure::Fault(e.to_string()))?;
    }
    Ok(fleet)
}

fn is_in_memory(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|found| found.f_type as u64 == TMPFS_MAGIC)
}

/// Those of the nodes that are asked, the leader first.
///
/// # Errors
/// When there is none of that kind.
pub fn chosen(nodes: &[Node], target: Target) -> Result<Vec<Node>, Failure> {
    let is = |node: &Node, states: &[&str]| states.contains(&node.state.as_str());
    let wanted = |node: &&Node| match target {
        Target::Leader => is(node, &["leader"]),
        Target::Learner => is(node, &["learner"]),
        Target::Voters => is(node, &["leader", "follower", "candidate"]),
        Target::All => is(node, &["leader", "follower", "candidate", "learner"]),
    };
    let mut found: Vec<Node> = nodes.iter().filter(wanted).cloned().collect();
    if target == Target::Learner {
        found.truncate(1);
    }
    if found.is_empty() {
        let word = target.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        return Err(Failure::Unavailable(format!("the cluster has no node for --target {word} at present")));
    }
    Ok(found)
}

/// So many connections, open and shared out among the nodes. Each carries the calls of many clients.
///
/// # Errors
/// When a node does not answer at its address.
pub async fn channels(
    nodes: &[Node],
    certificates: &Certificates,
    connections: usize,
) -> Result<Vec<Channel>, Failure> {
    let mut channels = Vec::with_capacity(connections);
    for node in nodes.iter().cycle().take(connections) {
        let channel = client::channel(&node.address, certificates.agency.as_ref())?;
        let mut health = HealthClient::new(channel.clone());
        if let Err(status) = health.check(HealthCheckRequest::default()).await {
            let (name, address, why) = (&node.name, &node.address, status.message());
            return Err(Failure::Unavailable(format!("{name} does not answer at {address}: {why}")));
        }
        channels.push(channel);
    }
    Ok(channels)
}
