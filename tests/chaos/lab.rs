//! The cluster under test with the means to hurt it: what each fault does, and how it is taken back.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use dancu::cli::fleet::Host;
use dancu::cli::forming;
use dancu::proto::cluster::NodeState;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::disks::Disks;
use super::fault::Fault;
use super::install::{self, Step};
use super::net::{self, Net, Rule};
use super::power_log;
use super::strace::Injector;
use super::watch::Watch;
use crate::harness::{Cluster, PATIENCE, damage, eventually};

/// Voters, and learners in provinces.
pub const CENTRAL: usize = 3;
const PROVINCIAL: usize = 2;
/// All nodes.
pub const NODES: usize = CENTRAL + PROVINCIAL;

/// How long a failing fsync is waited for, and then that the node leaves service.
const FSYNC: Duration = Duration::from_secs(10);

/// How long one look at a node's status may take.
const ANSWER: Duration = Duration::from_millis(500);

/// A directed link: from, to.
type Link = (usize, usize);

/// The cluster and its surroundings. The order of the fields is that of their end.
pub struct Lab {
    /// The processes.
    pub cluster: Cluster,
    net: Option<Net>,
    /// One for each node, and one for a log alone.
    disks: Option<Disks>,
    folder: tempfile::TempDir,
    /// Nodes that a fault has in its hands: no other one touches their process.
    held: BTreeSet<usize>,
}

/// A fault under way.
pub struct Active {
    /// Which.
    pub fault: Fault,
    /// Whom it hits.
    pub nodes: Vec<usize>,
    /// Since when.
    pub since: Instant,
    links: Vec<Link>,
    injector: Option<Injector>,
    /// More about what happened.
    pub detail: String,
    made: bool,
}

/// Why a run cannot go on.
pub enum Trouble {
    /// The cluster broke a promise.
    Broken(String),
    /// A fault could be neither made nor taken back: that says nothing about the cluster.
    Harness(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Harness(error.to_string())
    }
}

impl Lab {
    /// A ready cluster of five nodes: on loopback, or in namespaces, with disks of their own if wished.
    pub async fn build(net: bool, disks: bool) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let net = if net { Some(Net::build(NODES)?) } else { None };
        let disks = if disks { Some(Disks::build(folder.path(), NODES + 1)?) } else { None };
        let host = |i: usize| Host {
            address: net::address(i),
            data_dir: disks
                .as_ref()
                .map_or_else(|| folder.path().join(format!("data-{i}")), |disks| disks.data(i)),
            enter: net::enter(i),
        };
        let hosts = if net.is_some() { (0..NODES).map(host).collect() } else { Vec::new() };
        let cluster = Cluster::start_on(hosts, CENTRAL, PROVINCIAL, |settings| {
            // The time-outs that users have; snapshots so often that whoever was away needs one.
            let usual = dancu::config::RaftConfig::default();
            settings.raft.election_timeout_min_ms = usual.election_timeout_min_ms;
            settings.raft.election_timeout_max_ms = usual.election_timeout_max_ms;
            settings.raft.snapshot_every_entries = 1000;
            settings.raft.keep_entries = 100;
            // A steady size, so that growth is a leak.
            settings.raft.request_window_ms = 120_000;
            settings.history.retention_ms = 120_000;
        })
        .await;
        Ok(Self { cluster, net, disks, folder, held: BTreeSet::new() })
    }

    /// Begins a fault; `None` when it cannot be made now.
    pub async fn inject(
        &mut self,
        fault: Fault,
        watch: &Watch,
        others: bool,
        random: &mut ChaCha8Rng,
    ) -> Result<Option<Active>, Trouble> {
        let Some(nodes) = self.choose(fault, watch.look().leader(), others, random) else { return Ok(None) };
        let (since, links_of) = (Instant::now(), links);
        let (links, injector) = (Vec::new(), None);
        let mut active = Active { fault, nodes, since, links, injector, detail: String::new(), made: true };
        match fault {
            Fault::HandOver | Fault::Snapshot => self.ask(&active).await,
            Fault::Replace => drop(self.replace(active.nodes[0], false).await?),
            Fault::CutInstall => self.cut_install(&mut active).await?,
            Fault::Damage => self.damage(active.nodes[0]).await?,
            Fault::PowerLog => tokio::task::block_in_place(|| power_log::cut(self.disks(), NODES))?,
            Fault::Isolate | Fault::Split | Fault::OneWay | Fault::Ring | Fault::Links | Fault::Flap => {
                active.links = links_of(fault, &active.nodes, random);
                self.cut_all(&active.links, random, fault).await?;
            }
            _ => self.hit(&mut active)?,
        }
        Ok(Some(active))
    }

    /// Takes a fault back. The nodes that it stopped run again and serve. False when it turned out not to have been made.
    pub async fn heal(&mut self, mut active: Active, random: &mut ChaCha8Rng) -> Result<bool, Trouble> {
        let (fault, mut made) = (active.fault, active.made);
        active.links.shuffle(random);
        for (from, to) in std::mem::take(&mut active.links) {
            self.net().filter(to, &Rule::From(from), false)?;
            if fault == Fault::Links {
                pause(random, 20..200).await;
            }
        }
        if let Some(injector) = active.injector.take() {
            made = if fault == Fault::FsyncError {
                self.has_left_service(active.nodes[0], injector).await?
            } else {
                injector.end()?
            };
        }
        self.restore(&active)?;
        if fault.holds() {
            self.held.retain(|node| !active.nodes.contains(node));
        }
        Ok(made)
    }

    /// Whom a fault hits; `None` when there is nobody for it.
    fn choose(
        &self,
        fault: Fault,
        leader: Option<usize>,
        others: bool,
        random: &mut ChaCha8Rng,
    ) -> Option<Vec<usize>> {
        let free: Vec<usize> = (0..NODES).filter(|node| !self.held.contains(node)).collect();
        let any = |random: &mut ChaCha8Rng| {
            (!free.is_empty()).then(|| vec![free[random.random_range(0..free.len())]])
        };
        let leading = leader.filter(|node| !self.held.contains(node)).map(|node| vec![node]);
        match fault {
            Fault::KillLeader
            | Fault::Bounce
            | Fault::PauseLeader
            | Fault::Isolate
            | Fault::Hole
            | Fault::SlowDisk => leading,
            Fault::PowerLog => Some(Vec::new()),
            Fault::KillAll | Fault::PowerAll => self.held.is_empty().then_some(free),
            Fault::Replace | Fault::Damage | Fault::CutInstall => {
                let alone = !others && self.held.is_empty();
                alone.then(|| vec![random.random_range(CENTRAL..NODES)])
            }
            // Beside another fault there may be no write, and so no fsync.
            Fault::FsyncError => any(random).filter(|_| !others),
            Fault::Split | Fault::Links => {
                let mut nodes: Vec<usize> = (0..NODES).collect();
                nodes.shuffle(random);
                Some(nodes)
            }
            Fault::Ring | Fault::OneWay | Fault::Flap | Fault::Slow | Fault::Loss => {
                // Half of the time it is the leader: it has most to lose.
                let node =
                    leader.filter(|_| random.random()).unwrap_or_else(|| random.random_range(0..NODES));
                Some(vec![node])
            }
            _ => any(random),
        }
    }

    /// What is done at once to the process or the host of a node.
    fn hit(&mut self, active: &mut Active) -> io::Result<()> {
        let nodes = active.nodes.clone();
        if active.fault.holds() {
            self.held.extend(&nodes);
        }
        if matches!(active.fault, Fault::PowerOne | Fault::PowerAll) {
            self.disks().cut(&nodes)?;
        }
        for node in nodes {
            match active.fault {
                Fault::PauseLeader | Fault::PauseOne => self.cluster.node(node).pause()?,
                Fault::Slow => self.net().slow(node, true)?,
                Fault::Loss => self.net().filter(node, &Rule::Loss, true)?,
                Fault::Hole => self.net().filter(node, &Rule::Hole, true)?,
                Fault::DiskFull => self.disks().fill(node, true)?,
                Fault::FsyncError => active.injector = Some(self.on_fsync(node, Injector::FAIL)?),
                Fault::SlowDisk => active.injector = Some(self.on_fsync(node, Injector::DELAY)?),
                _ => self.cluster.node(node).kill()?,
            }
        }
        Ok(())
    }

    /// Undoes `hit`.
    fn restore(&mut self, active: &Active) -> Result<(), Trouble> {
        for node in active.nodes.iter().copied() {
            match active.fault {
                Fault::PauseLeader | Fault::PauseOne => self.cluster.node(node).resume()?,
                Fault::Slow => self.net().slow(node, false)?,
                Fault::Loss => self.net().filter(node, &Rule::Loss, false)?,
                Fault::Hole => self.net().filter(node, &Rule::Hole, false)?,
                Fault::PowerOne | Fault::PowerAll => self.disks().restore(node)?,
                Fault::DiskFull => {
                    self.disks().fill(node, false)?;
                    self.cluster.node(node).kill()?;
                }
                _ => {}
            }
        }
        // Whom another fault holds, that fault has back.
        let stopped = |node: &usize| active.fault.holds() && !self.cluster.fleet.nodes[*node].started();
        let stopped: Vec<usize> = active.nodes.iter().copied().filter(stopped).collect();
        for node in &stopped {
            self.cluster.node(*node).start()?;
        }
        for node in stopped {
            self.serves_again(node, active.fault)?;
        }
        Ok(())
    }

    /// Waits until a node that was started serves.
    fn serves_again(&mut self, node: usize, fault: Fault) -> Result<(), Trouble> {
        let serving = tokio::task::block_in_place(|| self.cluster.node(node).wait_serving(PATIENCE));
        serving.map_err(|error| Trouble::Broken(format!("after {fault}: {error}")))
    }

    async fn cut_all(&mut self, links: &[Link], random: &mut ChaCha8Rng, fault: Fault) -> io::Result<()> {
        // A link that flaps ends cut, as any other.
        for round in 0..if fault == Fault::Flap { 9 } else { 1 } {
            for (from, to) in links {
                self.net().filter(*to, &Rule::From(*from), round % 2 == 0)?;
                if fault == Fault::Links {
                    pause(random, 20..200).await;
                }
            }
            if fault == Fault::Flap {
                pause(random, 100..400).await;
            }
        }
        Ok(())
    }

    /// Asks a node for something; whether it does it is up to it.
    async fn ask(&self, active: &Active) {
        let client = self.cluster.only(active.nodes[0]);
        let asked = async {
            if active.fault == Fault::Snapshot {
                client.trigger_snapshot().await.map(drop)
            } else {
                client.transfer_leadership(0).await.map(drop)
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), asked).await;
    }

    /// Replaces a provincial node, and kills it again and again while it receives and installs the snapshot that it needs.
    async fn cut_install(&mut self, active: &mut Active) -> Result<(), Trouble> {
        let cuts = self.replace(active.nodes[0], true).await?;
        active.made = cuts.iter().any(|step| *step < Step::Swapped);
        let names: Vec<&str> = cuts.into_iter().map(Step::name).collect();
        active.detail = format!("killed while it was {}", names.join(", "));
        Ok(())
    }

    /// Removes a provincial node, empties its folder and adds it again: under a new id. If asked so, the
    /// installation of its first snapshot is cut; returns where.
    async fn replace(&mut self, node: usize, cut: bool) -> Result<Vec<Step>, Trouble> {
        let others = self.cluster.client((node + 1) % NODES);
        let name = self.cluster.fleet.nodes[node].name().to_owned();
        let broken = |error: &dyn std::fmt::Debug| Trouble::Broken(format!("replace: {error:?}"));
        let known = others.status(false).await.map_err(|error| broken(&error))?;
        let mut members = known.nodes.into_iter().filter_map(|node| node.member);
        let old = members.find(|member| member.name == name).unwrap_or_default().node_id;
        // Whether the first attempt was done may be unknown; the second one says that there is no such node.
        eventually("the removal of a node", PATIENCE, async || {
            let _ = others.remove_node(old).await;
            let status = others.status(false).await.ok()?;
            let ids =
                status.nodes.iter().filter_map(|node| node.member.as_ref()).map(|member| member.node_id);
            (!ids.into_iter().any(|id| id == old)).then_some(())
        })
        .await;
        let process = self.cluster.node(node);
        process.kill()?;
        process.wipe()?;
        process.start()?;
        self.serves_again(node, Fault::Replace)?;
        let peer = self.cluster.node(node).peer_address();
        let mut cuts = Vec::new();
        if cut {
            // Behind it the leader purges its log, which then lacks what a new node needs.
            let _ = tokio::time::timeout(PATIENCE, others.trigger_snapshot()).await;
            // It may be killed while it is being added: that is finished by asking again.
            let added = eventually("the addition of a node", PATIENCE, async || {
                forming::add(&others, &peer, PATIENCE).await.ok()
            });
            let (_, cut) = tokio::join!(added, install::cut(self.cluster.node(node)));
            cuts = cut?;
            self.serves_again(node, Fault::CutInstall)?;
        } else {
            forming::add(&others, &peer, PATIENCE).await.map_err(|error| broken(&error))?;
        }
        self.cluster.ready(node).await;
        let new = self.cluster.status(node).await.member.unwrap_or_default();
        if new.node_id == old {
            return Err(Trouble::Broken(format!("replace: the new node has the id {old} of the old one")));
        }
        Ok(cuts)
    }

    /// Flips a bit of a node's log while it is down. It refuses to start, and is replaced.
    async fn damage(&mut self, node: usize) -> Result<(), Trouble> {
        let process = self.cluster.node(node);
        process.kill()?;
        damage::flip(&process.config().data_dir);
        process.start()?;
        let ended = eventually("a node with a damaged log to start or to end", PATIENCE, async || {
            let ended = process.ended().unwrap();
            (ended.is_some() || process.wait_serving(Duration::ZERO).is_ok()).then_some(ended)
        })
        .await;
        match ended {
            None => Err(Trouble::Broken(format!("{} started on a damaged log", process.name()))),
            Some(status) if status.code().is_none() => {
                Err(Trouble::Broken(format!("{} ended by {status}", process.name())))
            }
            Some(_) => self.replace(node, false).await.map(drop),
        }
    }

    /// From now on each fsync of the node is tampered with.
    fn on_fsync(&self, node: usize, how: &str) -> io::Result<Injector> {
        let pid = self.cluster.fleet.nodes[node].pid().unwrap_or_default();
        Injector::start(pid, how, &self.folder.path().join(format!("fsync-{node}.txt")))
    }

    /// After an error of its fsync a node is out of service or has ended, also when the disk works again. False when
    /// it did not come to an error.
    async fn has_left_service(&mut self, node: usize, injector: Injector) -> Result<bool, Trouble> {
        let deadline = Instant::now() + FSYNC;
        while !injector.has_injected() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let made = injector.end()?;
        let (mut left, deadline) = (!made, Instant::now() + FSYNC);
        let client = self.cluster.only(node);
        while !left && Instant::now() < deadline {
            // One that ends while it is asked never answers.
            let asked = tokio::time::timeout(ANSWER, forming::local_status(&client)).await;
            let out = asked
                .is_ok_and(|status| status.is_ok_and(|status| status.state() == NodeState::OutOfService));
            left = out || self.cluster.node(node).ended()?.is_some();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let process = self.cluster.node(node);
        process.kill()?;
        let overlooked = || Trouble::Broken(format!("{} went on after its fsync had failed", process.name()));
        if left { Ok(made) } else { Err(overlooked()) }
    }

    fn net(&self) -> &Net {
        self.net.as_ref().expect("the fault was asked for with --netns")
    }

    fn disks(&self) -> &Disks {
        self.disks.as_ref().expect("the fault was asked for with --disks")
    }
}

async fn pause(random: &mut ChaCha8Rng, ms: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(random.random_range(ms))).await;
}

/// The links that a fault cuts.
fn links(fault: Fault, nodes: &[usize], random: &mut ChaCha8Rng) -> Vec<Link> {
    let all =
        || (0..NODES).flat_map(|from| (0..NODES).map(move |to| (from, to))).filter(|(from, to)| from != to);
    let part: Vec<usize> = nodes[..random.random_range(1..=nodes.len().max(2) - 1)].to_vec();
    let first = nodes[0];
    let hears_nobody: bool = random.random();
    let across = |(from, to): &Link| match fault {
        Fault::Isolate | Fault::Flap => *from == first || *to == first,
        Fault::OneWay => first == if hears_nobody { *to } else { *from },
        Fault::Ring => *from != first && *to != first,
        _ => part.contains(from) != part.contains(to),
    };
    let mut links: Vec<Link> = if fault == Fault::Links {
        all().filter(|_| random.random_bool(0.4)).collect()
    } else {
        all().filter(across).collect()
    };
    links.shuffle(random);
    links
}
