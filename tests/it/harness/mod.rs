//! Clusters of real node processes for the tests, on ports that the system chooses.
//!
//! ```text
//! mod       Cluster: form, kill, restart, wait, read back, look into logs and metrics
//! api       one node's services, without the client's retries: to see every refusal as it is
//! people    persons to write
//! command   the binary as a user runs it
//! damage    what can befall the files of a log
//! dev       a running `dancu dev`
//! tests     the harness itself: it can fail
//! ```
//!
//! Nothing sleeps for a time and hopes: [`eventually`] waits for a condition, with a deadline. A test that fails prints
//! the end of every node's log. Processes end with the cluster that started them.

pub mod api;
pub mod command;
pub mod damage;
pub mod dev;
pub mod people;
mod tests;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use dancu::cli::fleet::load::{Ack, Load};
use dancu::cli::fleet::readback::{ReadBack, read_back};
use dancu::cli::fleet::{Fleet, Host, Issuer, Process};
use dancu::cli::forming;
use dancu::client::{Certificates, Client, ClientError, ClientOptions};
use dancu::config::{NodeConfig, Role};
use dancu::proto::cluster::{NodeState, NodeStatus};
use dancu::proto::registry::{Person, PersonKey};
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take before a test gives up. Far above what is normal: it decides about no figure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The agency that asks.
pub const AGENCY: &str = "tests";

/// Who gives certificates to all clusters of this process and to those who ask them, and the folder of them all.
pub struct Certified {
    pub issuer: Arc<Issuer>,
    folder: tempfile::TempDir,
}

/// The one there is, as long as a cluster has it.
static CERTIFIED: Mutex<Weak<Certified>> = Mutex::new(Weak::new());

/// The certificates of the clusters there are; `None` without one.
pub fn certified() -> Option<Arc<Certified>> {
    CERTIFIED.lock().unwrap().upgrade()
}

/// The same, made if need be.
fn certify() -> Arc<Certified> {
    let mut certified = CERTIFIED.lock().unwrap();
    certified.upgrade().unwrap_or_else(|| {
        let folder = tempfile::tempdir().unwrap();
        let issuer = Arc::new(Issuer::of(folder.path(), AGENCY).unwrap());
        let made = Arc::new(Certified { issuer, folder });
        *certified = Arc::downgrade(&made);
        made
    })
}

impl Certified {
    /// The folder of the authorities.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }
}

/// What is shown to the nodes.
pub fn shown() -> Certificates {
    certified().expect("there is a cluster").issuer.certificates.clone()
}

/// How the tests ask.
pub fn options() -> ClientOptions {
    ClientOptions {
        deadline: PATIENCE,
        attempt_timeout: Duration::from_secs(2),
        certificates: shown(),
        agency_id: AGENCY.to_owned(),
        ..ClientOptions::default()
    }
}

/// Node processes that form one cluster, in a folder of their own.
pub struct Cluster {
    /// The processes: central nodes first, then provincial ones, then those added later.
    pub fleet: Fleet,
    /// Its certificates.
    pub certified: Arc<Certified>,
    /// Configurations, logs and data; deleted with the cluster.
    _folder: tempfile::TempDir,
}

impl Cluster {
    /// A ready cluster of so many central and provincial nodes.
    pub async fn start(central: usize, provincial: usize) -> Self {
        Self::start_with(central, provincial, |_| {}).await
    }

    /// The same with other settings.
    pub async fn start_with(central: usize, provincial: usize, change: impl FnOnce(&mut NodeConfig)) -> Self {
        Self::start_on(Vec::new(), central, provincial, change).await
    }

    /// The same on these hosts.
    pub async fn start_on(
        hosts: Vec<Host>,
        central: usize,
        provincial: usize,
        change: impl FnOnce(&mut NodeConfig),
    ) -> Self {
        let mut cluster = Self::waiting_on(hosts, central, change);
        let first = cluster.only(0);
        first.init(cluster.fleet.central_peers()).await.expect("the nodes wait for a cluster");
        for i in 0..central {
            cluster.ready(i).await;
        }
        forming::license(&first, AGENCY).await.unwrap();
        for n in 1..=provincial {
            cluster.add(&format!("province-{n}"), Role::Provincial).await;
        }
        cluster
    }

    /// Central nodes that listen and wait for a cluster.
    pub fn waiting(central: usize, change: impl FnOnce(&mut NodeConfig)) -> Self {
        Self::waiting_on(Vec::new(), central, change)
    }

    fn waiting_on(hosts: Vec<Host>, central: usize, change: impl FnOnce(&mut NodeConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut fleet = Fleet::new(Path::new(env!("CARGO_BIN_EXE_dancu")), folder.path());
        // Elections soon, but not so soon that a busy machine causes them.
        fleet.settings.raft.election_timeout_min_ms = 500;
        fleet.settings.raft.election_timeout_max_ms = 1000;
        let certified = certify();
        fleet.secure(certified.issuer.clone());
        change(&mut fleet.settings);
        fleet.hosts = hosts.into();
        for n in 1..=central {
            fleet.spawn(&format!("central-{n}"), Role::Central).unwrap();
        }
        for node in &mut fleet.nodes {
            node.wait_serving(PATIENCE).unwrap();
        }
        Self { fleet, certified, _folder: folder }
    }

    /// Starts a further node and adds it to the cluster; returns its position when it serves.
    pub async fn add(&mut self, name: &str, role: Role) -> usize {
        let i = self.fleet.spawn(name, role).unwrap();
        self.node(i).wait_serving(PATIENCE).unwrap();
        let peer = self.node(i).peer_address();
        forming::add(&self.only(0), &peer, PATIENCE).await.unwrap();
        self.ready(i).await;
        i
    }

    /// A node's process.
    pub fn node(&mut self, i: usize) -> &mut Process {
        &mut self.fleet.nodes[i]
    }

    /// Position of the node of this name.
    pub fn named(&self, name: &str) -> usize {
        self.fleet.nodes.iter().position(|node| node.name() == name).expect("it was started")
    }

    /// A client that asks node `i` alone.
    pub fn only(&self, i: usize) -> Client {
        forming::only(&self.fleet.nodes[i].client_address(), &shown()).unwrap()
    }

    /// A client that may ask all nodes, beginning with node `first`.
    pub fn client(&self, first: usize) -> Client {
        let mut addresses = self.fleet.client_addresses();
        addresses.rotate_left(first);
        Client::connect(addresses, options()).unwrap()
    }

    /// Writers, spread over all nodes.
    pub fn load(&self, writers: u64) -> Load {
        let nodes = self.fleet.nodes.len();
        let client = |number| Ok::<_, ClientError>(self.client(usize::try_from(number).unwrap() % nodes));
        Load::start(writers, client).unwrap()
    }

    /// Starts a node again on its data and waits until it serves.
    pub async fn restart(&mut self, i: usize) {
        self.node(i).start().unwrap();
        self.node(i).wait_serving(PATIENCE).unwrap();
        self.ready(i).await;
    }

    /// Waits until a node serves linearizable reads.
    pub async fn ready(&self, i: usize) {
        forming::ready(&self.only(i), PATIENCE).await.unwrap();
    }

    /// A node's own status.
    pub async fn status(&self, i: usize) -> NodeStatus {
        forming::local_status(&self.only(i)).await.unwrap()
    }

    /// Position of the node that leads, once there is one.
    pub async fn leader(&self) -> usize {
        eventually("a leader", PATIENCE, async || {
            let mut leaders = BTreeMap::new();
            for (i, node) in self.fleet.nodes.iter().enumerate().filter(|(_, node)| node.started()) {
                let mut admin = api::admin(&node.client_address());
                // A paused node takes the request and never answers.
                let asked = timeout(Duration::from_secs(1), admin.status(api::local())).await;
                let Ok(Ok(status)) = asked else { continue };
                let status = status.into_inner().nodes.into_iter().next().unwrap_or_default();
                if status.state() == NodeState::Leader {
                    leaders.insert(status.term, i);
                }
            }
            leaders.pop_last().map(|(_, i)| i)
        })
        .await
    }

    /// Reads back `expected` at every node that runs; fails unless each holds all of it, nothing else, and all hold the
    /// same. Returns the nodes' common finding.
    pub async fn holds_exactly(&self, expected: &[(PersonKey, Person)]) -> ReadBack {
        let mut findings = Vec::new();
        for (i, node) in self.fleet.nodes.iter().enumerate().filter(|(_, node)| node.started()) {
            let held = read_back(&self.only(i), expected.iter().cloned()).await.unwrap();
            println!(
                "{}: acknowledged {}, found {}, lost {}, doubled {}, revision {}, state {}",
                node.name(),
                held.acknowledged,
                held.found,
                held.lost(),
                held.doubled(),
                held.revision,
                &held.sha256[..16]
            );
            findings.push(held);
        }
        for held in &findings {
            assert_eq!((held.lost(), held.doubled()), (0, 0));
            assert_eq!(held.sha256, findings[0].sha256, "two nodes hold different states");
        }
        findings.swap_remove(0)
    }

    /// As [`Cluster::holds_exactly`], for what a load got acknowledged.
    pub async fn holds_acks(&self, acks: &[Ack]) -> ReadBack {
        let expected: Vec<_> = acks.iter().map(Ack::expected).collect();
        self.holds_exactly(&expected).await
    }

    /// The value of a metric of a node; a name with its labels, without `dancu_`.
    pub fn metric(&self, i: usize, name: &str) -> f64 {
        self.find_metric(i, name).unwrap_or_else(|| panic!("node {i} has no metric {name}"))
    }

    /// The same for one that is not there until it was counted once.
    pub fn metric_or_zero(&self, i: usize, name: &str) -> f64 {
        self.find_metric(i, name).unwrap_or_default()
    }

    fn find_metric(&self, i: usize, name: &str) -> Option<f64> {
        let address = self.fleet.nodes[i].config().http_listen.unwrap();
        let text = http_get(address, "/metrics");
        let wanted = format!("dancu_{name} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&wanted))?;
        Some(line.trim().parse().unwrap())
    }

    /// Fails when a node logged an ERROR: that means that a person must look, and nothing here should need one.
    pub fn assert_no_errors(&self) {
        for (name, line) in self.log_lines() {
            assert!(!line.contains(" ERROR "), "{name} logged an error: {line}");
        }
    }

    /// Fails when one of these texts is in a node's log.
    pub fn assert_not_logged(&self, texts: &[&str]) {
        let lines = self.log_lines();
        assert!(!lines.is_empty(), "no node wrote a log");
        for (name, line) in lines {
            for text in texts {
                assert!(!line.contains(text), "{name} logged {text:?}: {line}");
            }
        }
    }

    fn log_lines(&self) -> Vec<(String, String)> {
        let read = |node: &Process| {
            let text = std::fs::read(node.log_file()).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            text.lines().map(|line| (node.name().to_owned(), line.to_owned())).collect::<Vec<_>>()
        };
        self.fleet.nodes.iter().flat_map(read).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in &self.fleet.nodes {
                eprintln!("--- end of the log of {}\n{}", node.name(), node.log_tail(40));
            }
        }
    }
}

/// Waits until `probe` finds what it looks for; fails, naming it, after `limit`.
pub async fn eventually<T>(what: &str, limit: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {} s in vain for {what}", limit.as_secs());
        sleep(Duration::from_millis(20)).await;
    }
}

/// The seed of a test that draws at random: that of the environment or a new one, printed with the command that repeats
/// the test.
#[expect(clippy::disallowed_methods, reason = "a seed that is printed")]
pub fn seed(test: &str) -> u64 {
    let given = std::env::var("DANCU_SEED").ok();
    let seed = given.map_or_else(rand::random, |seed| seed.parse().expect("DANCU_SEED is a number"));
    println!("repeat with: DANCU_SEED={seed} scripts/test -E 'test({test})'");
    seed
}

/// The body of an HTTP answer.
pub fn http_get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}
