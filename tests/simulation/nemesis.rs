//! Which fault is made when, and when it ends: from the seed alone.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use turmoil::Sim;

use super::cluster::Cluster;
use super::operator::Orders;

/// The most faults at once.
const AT_ONCE: usize = 3;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A node crashes.
    Crash,
    /// The leader crashes.
    CrashLeader,
    /// All nodes crash at once.
    CrashAll,
    /// The leader is cut off from all nodes, clients still reach it.
    IsolateLeader,
    /// The nodes fall into two parts.
    Split,
    /// What one node says does not reach another; the other way it does.
    OneWay,
    /// Two nodes cannot reach each other, all others can.
    Pair,
    /// What a node says and hears is kept back, and delivered later.
    Hold,
    /// A node's messages take long.
    Slow,
    /// A node loses its folder, is removed, and comes back as a new one.
    Replace,
}

/// All of them.
pub const FAULTS: [Fault; 10] = [
    Fault::Crash,
    Fault::CrashLeader,
    Fault::CrashAll,
    Fault::IsolateLeader,
    Fault::Split,
    Fault::OneWay,
    Fault::Pair,
    Fault::Hold,
    Fault::Slow,
    Fault::Replace,
];

impl Fault {
    /// For the summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::CrashLeader => "crash-leader",
            Self::CrashAll => "crash-all",
            Self::IsolateLeader => "isolate-leader",
            Self::Split => "split",
            Self::OneWay => "one-way",
            Self::Pair => "pair",
            Self::Hold => "hold",
            Self::Slow => "slow",
            Self::Replace => "replace",
        }
    }
}

/// What takes a fault back.
enum Undo {
    Restart(Vec<usize>),
    Links(Vec<(usize, usize)>),
    Latency(usize),
    /// The operator does.
    Replaced(usize),
}

/// A fault under way, and when it ends.
struct Active {
    undo: Undo,
    until: Duration,
}

/// Makes faults.
pub struct Nemesis {
    cluster: Cluster,
    orders: Orders,
    random: ChaCha8Rng,
    active: Vec<Active>,
    next: Duration,
    made: BTreeMap<String, u64>,
}

impl Nemesis {
    /// Faults for this cluster; `orders` are what its operator does.
    pub fn new(cluster: Cluster, orders: Orders, random: ChaCha8Rng) -> Self {
        Self { cluster, orders, random, active: Vec::new(), next: Duration::ZERO, made: BTreeMap::new() }
    }

    /// Ends what is due, and makes the next fault if it is time.
    pub fn step(&mut self, sim: &mut Sim<'_>, now: Duration) {
        self.heal(sim, now, |one| one.until <= now);
        if now < self.next || self.active.len() >= AT_ONCE {
            return;
        }
        self.next = now + Duration::from_millis(self.random.random_range(50..2500));
        let fault = FAULTS[self.random.random_range(0..FAULTS.len())];
        if let Some(undo) = self.make(sim, fault) {
            *self.made.entry(fault.name().to_owned()).or_default() += 1;
            // Shorter and longer than an election takes.
            let lasts = Duration::from_millis(self.random.random_range(20..5000));
            self.active.push(Active { undo, until: now + lasts });
        }
    }

    /// Ends all faults that can be ended.
    pub fn heal_all(&mut self, sim: &mut Sim<'_>, now: Duration) {
        self.heal(sim, now, |_| true);
    }

    fn heal(&mut self, sim: &mut Sim<'_>, now: Duration, is_due: impl Fn(&Active) -> bool) {
        for one in std::mem::take(&mut self.active) {
            if is_due(&one) {
                self.undo(sim, one.undo, now);
            } else {
                self.active.push(one);
            }
        }
    }

    /// Whether no fault is under way any more.
    pub fn is_over(&self) -> bool {
        self.active.is_empty()
    }

    /// How many of each were made.
    pub fn made(&self) -> &BTreeMap<String, u64> {
        &self.made
    }

    fn any(&mut self) -> usize {
        self.random.random_range(0..self.cluster.hosts().len())
    }

    fn name(&self, host: usize) -> &str {
        &self.cluster.hosts()[host].name
    }

    /// The fault, or nothing if it cannot be made now.
    fn make(&mut self, sim: &mut Sim<'_>, fault: Fault) -> Option<Undo> {
        let all: Vec<usize> = (0..self.cluster.hosts().len()).collect();
        match fault {
            Fault::Crash => {
                let host = self.any();
                self.crash(sim, vec![host])
            }
            Fault::CrashLeader => {
                let leader = self.cluster.leader()?;
                self.crash(sim, vec![leader])
            }
            Fault::CrashAll => self.crash(sim, all),
            Fault::IsolateLeader => {
                let leader = self.cluster.leader()?;
                let pairs = all.into_iter().filter(|other| *other != leader).map(|other| (leader, other));
                Some(self.cut(sim, pairs.collect()))
            }
            Fault::Split => {
                let mut hosts = all;
                hosts.shuffle(&mut self.random);
                let at = self.random.random_range(1..hosts.len());
                let (one, other) = hosts.split_at(at);
                Some(self.cut(sim, one.iter().flat_map(|a| other.iter().map(|b| (*a, *b))).collect()))
            }
            Fault::OneWay => {
                let (from, to) = self.two()?;
                sim.partition_oneway(self.name(from), self.name(to));
                Some(Undo::Links(vec![(from, to)]))
            }
            Fault::Pair => {
                let pair = self.two()?;
                Some(self.cut(sim, vec![pair]))
            }
            Fault::Hold => {
                let host = self.any();
                let pairs: Vec<_> =
                    all.into_iter().filter(|other| *other != host).map(|other| (host, other)).collect();
                for (a, b) in &pairs {
                    sim.hold(self.name(*a), self.name(*b));
                }
                Some(Undo::Links(pairs))
            }
            Fault::Slow => {
                let (host, least) = (self.any(), self.random.random_range(50..400));
                self.latency(sim, host, Duration::from_millis(least));
                Some(Undo::Latency(host))
            }
            Fault::Replace => self.replace(sim),
        }
    }

    fn two(&mut self) -> Option<(usize, usize)> {
        let (a, b) = (self.any(), self.any());
        (a != b).then_some((a, b))
    }

    fn crash(&mut self, sim: &mut Sim<'_>, hosts: Vec<usize>) -> Option<Undo> {
        let up: Vec<usize> =
            hosts.into_iter().filter(|host| self.cluster.hosts()[*host].node().is_some()).collect();
        for host in &up {
            self.cluster.crash(sim, *host);
        }
        (!up.is_empty()).then_some(Undo::Restart(up))
    }

    fn cut(&self, sim: &mut Sim<'_>, pairs: Vec<(usize, usize)>) -> Undo {
        for (a, b) in &pairs {
            sim.partition(self.name(*a), self.name(*b));
        }
        Undo::Links(pairs)
    }

    fn latency(&self, sim: &mut Sim<'_>, host: usize, least: Duration) {
        for other in (0..self.cluster.hosts().len()).filter(|other| *other != host) {
            sim.set_link_latency(self.name(host), self.name(other), least);
        }
    }

    /// One at a time: who wipes a majority has lost the data.
    fn replace(&mut self, sim: &mut Sim<'_>) -> Option<Undo> {
        let host = self.any();
        let old = self.cluster.hosts()[host].node()?.replica().ok()?.identity.node_id;
        if !self.orders.is_empty() {
            return None;
        }
        self.cluster.crash(sim, host);
        self.cluster.wipe(host);
        self.cluster.restart(sim, host);
        self.orders.replace(host, old);
        Some(Undo::Replaced(host))
    }

    fn undo(&mut self, sim: &mut Sim<'_>, undo: Undo, now: Duration) {
        match undo {
            Undo::Restart(hosts) => {
                for host in hosts {
                    self.cluster.restart(sim, host);
                }
            }
            Undo::Links(pairs) => {
                for (a, b) in pairs {
                    sim.release(self.name(a), self.name(b));
                }
            }
            Undo::Latency(host) => self.latency(sim, host, Duration::from_millis(1)),
            Undo::Replaced(host) if self.orders.is_open(host) => {
                let until = now + Duration::from_millis(100);
                self.active.push(Active { undo: Undo::Replaced(host), until });
            }
            Undo::Replaced(_) => {}
        }
    }
}
