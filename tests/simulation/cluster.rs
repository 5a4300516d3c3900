//! The hosts of a simulated cluster, each with one node.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::fs;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use turmoil::Sim;

use super::image;
use crate::config::{NodeConfig, Role};
use crate::metrics::Metrics;
use crate::proto::store::LogId;
use crate::raft::Node;
use crate::service;
use crate::simulated;
use crate::storage::data_dir::DataDir;

const CLIENT_PORT: u16 = 7000;
const PEER_PORT: u16 = 7001;

/// The hosts. Clones share them.
#[derive(Clone)]
pub struct Cluster {
    hosts: Rc<Vec<Host>>,
    _folder: Rc<tempfile::TempDir>,
}

/// A host and what is known of its node from outside.
pub struct Host {
    pub name: String,
    pub role: Role,
    config: NodeConfig,
    /// The node that runs; nothing while it is down.
    node: RefCell<Weak<Node>>,
    metrics: RefCell<Arc<Metrics>>,
    /// What the log had on disk when the host crashed last: it must be there again.
    durable: Cell<Option<LogId>>,
    starts: Cell<u64>,
    installs: Cell<u64>,
}

impl Cluster {
    /// Three to five central nodes and one or two provincial ones, which wait to be formed into a cluster.
    pub fn start(sim: &mut Sim<'_>, random: &mut ChaCha8Rng) -> Self {
        let folder = match fs::exists("/dev/shm") {
            Ok(true) => tempfile::tempdir_in("/dev/shm"),
            _ => tempfile::tempdir(),
        };
        let folder = folder.expect("a temporary folder");
        let central = if random.random_ratio(1, 4) { 5 } else { 3 };
        let provincial = random.random_range(1..=2);
        let keep = random.random_range(2..20);
        let every = random.random_range(5..80);
        let host = |number: usize| {
            let name = format!("node{number}");
            let role = if number <= central { Role::Central } else { Role::Provincial };
            let mut config = NodeConfig::loopback(&name, role, &folder.path().join(&name));
            config.client_advertise = Some(format!("{name}:{CLIENT_PORT}"));
            config.peer_advertise = Some(format!("{name}:{PEER_PORT}"));
            config.raft.snapshot_every_entries = every;
            config.raft.keep_entries = keep;
            config.storage.block_cache_mb = 1;
            config.storage.memtable_mb = 1;
            // Its log has a thread and a disk of the machine's own. What it holds back and lets go is tested in src/audit,
            // src/service/tests and tests/it, with real processes.
            config.audit.enabled = false;
            Host {
                name,
                role,
                config,
                node: RefCell::default(),
                metrics: RefCell::default(),
                durable: Cell::new(None),
                starts: Cell::new(0),
                installs: Cell::new(0),
            }
        };
        let hosts = (1..=central + provincial).map(host).collect();
        let cluster = Self { hosts: Rc::new(hosts), _folder: Rc::new(folder) };
        for number in 0..cluster.hosts.len() {
            let cluster = cluster.clone();
            let name = cluster.hosts[number].name.clone();
            sim.host(name, move || {
                let cluster = cluster.clone();
                async move { cluster.hosts[number].serve().await }
            });
        }
        cluster
    }

    /// The hosts: central ones first.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Where clients find the nodes.
    pub fn client_addresses(&self) -> Vec<String> {
        self.hosts.iter().map(|host| format!("{}:{CLIENT_PORT}", host.name)).collect()
    }

    /// Drops everything that runs on the host. Its folder stays as it was at that moment: what RocksDB does when it is
    /// closed, as writing out its memory, is undone.
    pub fn crash(&self, sim: &mut Sim<'_>, host: usize) {
        let host = &self.hosts[host];
        if let Some(node) = host.node() {
            host.durable.set(node.replica().ok().and_then(|replica| *replica.log.durable().borrow()));
        }
        let (folder, image) = (&host.config.data_dir, host.config.data_dir.with_extension("image"));
        image::take(folder, &image);
        sim.crash(host.name.as_str());
        assert!(host.node().is_none(), "something of {} outlived its crash", host.name);
        fs::remove_dir_all(folder).expect("the folder goes");
        fs::rename(image, folder).expect("the image takes its place");
    }

    /// Starts the host again.
    pub fn restart(&self, sim: &mut Sim<'_>, host: usize) {
        sim.bounce(self.hosts[host].name.as_str());
    }

    /// Empties the folder of a host that is down.
    pub fn wipe(&self, host: usize) {
        let host = &self.hosts[host];
        assert!(host.node().is_none());
        fs::remove_dir_all(&host.config.data_dir).expect("the folder goes");
        host.durable.set(None);
    }

    /// The position of the host that leads with the highest term, if one does.
    pub fn leader(&self) -> Option<usize> {
        let leads = |(position, host): (usize, &Host)| {
            let node = host.node()?;
            let replica = node.replica().ok()?;
            let leads = replica.leads();
            leads.then(|| (node.about().term, position))
        };
        self.hosts.iter().enumerate().filter_map(leads).max().map(|(_, position)| position)
    }

    /// Whether every node runs, serves, and has applied what the others have.
    pub fn is_whole(&self) -> bool {
        let applied: Option<Vec<_>> = self
            .hosts
            .iter()
            .map(|host| {
                let node = host.node()?;
                node.readiness().ok()?;
                node.replica().ok().map(|replica| replica.state.applied().revision)
            })
            .collect();
        // Clients go on writing meanwhile: near is enough, `alike` compares at the end.
        let spread =
            |all: &Vec<u64>| all.iter().max().zip(all.iter().min()).map(|(most, least)| most - least);
        applied.as_ref().and_then(spread).is_some_and(|spread| spread < 20) && self.leader().is_some()
    }

    /// All nodes hold the same.
    pub fn alike(&self) -> Result<(), String> {
        let digests: Vec<_> = self
            .hosts
            .iter()
            .map(|host| {
                let node = host.node().ok_or(format!("{} is down", host.name))?;
                let replica = node.replica().map_err(|error| error.to_string())?;
                let digest = replica.state.digest().map_err(|error| error.to_string())?;
                Ok::<_, String>((digest, host.name.as_str()))
            })
            .collect::<Result<_, _>>()?;
        let newest = digests.iter().map(|(digest, _)| digest.revision).max();
        for pair in digests.windows(2) {
            let [(first, one), (second, other)] = pair else { continue };
            if first.revision == second.revision && first != second {
                return Err(format!("{one} and {other} differ at revision {newest:?}"));
            }
        }
        Ok(())
    }

    /// Starts after the first of each host.
    pub fn restarts(&self) -> u64 {
        self.hosts.iter().map(|host| host.starts.get().saturating_sub(1)).sum()
    }

    /// Snapshots that were installed.
    pub fn installs(&self) -> u64 {
        self.hosts
            .iter()
            .map(|host| host.installs.get() + host.metrics.borrow().snapshots_installed_total.get())
            .sum()
    }

    /// How the nodes are, in words.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for host in self.hosts.iter() {
            let state = match host.node() {
                Some(node) => match node.replica() {
                    Ok(replica) => format!(
                        "term {} leads {} applied {:?} revision {} ready {:?}",
                        node.about().term,
                        replica.leads(),
                        replica.state.last_applied().map(|id| id.index),
                        replica.state.applied().revision,
                        node.readiness(),
                    ),
                    Err(error) => error.to_string(),
                },
                None => "down".to_owned(),
            };
            write!(text, "\n  {}: {state}", host.name).expect("a string takes it");
        }
        text
    }
}

impl Host {
    /// The node, while it runs.
    pub fn node(&self) -> Option<Arc<Node>> {
        self.node.borrow().upgrade()
    }

    /// Where peers find it.
    pub fn peer_address(&self) -> String {
        format!("{}:{PEER_PORT}", self.name)
    }

    /// How often it was started.
    pub fn starts(&self) -> u64 {
        self.starts.get()
    }

    /// What `dancu node` does.
    async fn serve(&self) -> turmoil::Result {
        self.starts.set(self.starts.get() + 1);
        self.installs.set(self.installs.get() + self.metrics.borrow().snapshots_installed_total.get());
        let metrics = Arc::new(Metrics::new());
        *self.metrics.borrow_mut() = metrics.clone();
        let config = self.config.clone();
        let limits = config.limits.clone();
        let folder = DataDir::open(&config.data_dir, &config.name)?;
        let address = ([0, 0, 0, 0], PEER_PORT).into();
        let node =
            Node::start_on(config, metrics.clone(), folder, address, simulated::incoming(PEER_PORT), None)
                .await?;
        *self.node.borrow_mut() = Arc::downgrade(&node);
        self.nothing_durable_is_lost(&node)?;
        let clients = simulated::incoming(CLIENT_PORT);
        let served = service::serve_on(node.clone(), clients, None, &limits, metrics, std::future::pending());
        tokio::select! {
            biased;
            why = node.out_of_service() => Err(why.into()),
            served = served => Ok(served?),
        }
    }

    /// Before any peer was heard: what was synced before the crash is there.
    fn nothing_durable_is_lost(&self, node: &Node) -> Result<(), String> {
        let Some(durable) = self.durable.take() else { return Ok(()) };
        let last = node.replica().ok().and_then(|replica| replica.log.last());
        if last.map(|id| id.index) < Some(durable.index) {
            return Err(format!("{}: {durable:?} was synced, the log ends at {last:?}", self.name));
        }
        Ok(())
    }
}
