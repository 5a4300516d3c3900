//! A network of hosts: one namespace for each node, joined by a bridge. The program that asks, this one, sits at the bridge and
//! reaches every node whatever is cut between them.
//!
//! Everything lives in a network and a mount namespace that end with this program (`scripts/chaos` makes them): nothing is left
//! behind, however it ends.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use super::command::run;

/// Milliseconds that a slow link may hold back a packet, and its rate.
const SLOW: &str = "tbf rate 1mbit burst 8kb latency 400ms";
/// Part of the packets that a lossy host loses.
const LOST: &str = "0.15";
/// Packets from this size on fall into the hole: heartbeats pass, appended entries do not.
const LARGE: u32 = 1001;

/// The hosts.
pub struct Net;

/// A rule of the packet filter of a host.
pub enum Rule {
    /// Nothing from this host arrives.
    From(usize),
    /// Large packets to other hosts vanish.
    Hole,
    /// Of packets from other hosts, some vanish.
    Loss,
}

impl Net {
    /// Makes so many hosts.
    ///
    /// # Errors
    /// When a command of the system fails.
    pub fn build(hosts: usize) -> io::Result<Self> {
        run("ip link set lo up")?;
        run("ip link add hub type bridge")?;
        run(&format!("ip addr add {}/24 dev hub", at_hub()))?;
        run("ip link set hub up")?;
        for host in 0..hosts {
            let (inside, address) = (enter(host).join(" "), address(host));
            run(&format!("ip netns add node-{host}"))?;
            run(&format!("ip link add v{host} type veth peer name eth0 netns node-{host}"))?;
            run(&format!("ip link set v{host} master hub up"))?;
            run(&format!("{inside} ip addr add {address}/24 dev eth0"))?;
            run(&format!("{inside} ip link set lo up"))?;
            run(&format!("{inside} ip link set eth0 up"))?;
        }
        Ok(Self)
    }

    /// Adds a rule to a host's filter, or takes one such rule out.
    ///
    /// # Errors
    /// When the command fails.
    pub fn filter(&self, host: usize, rule: &Rule, add: bool) -> io::Result<()> {
        let change = if add { "-A" } else { "-D" };
        let hub = at_hub();
        let what = match rule {
            Rule::From(other) => format!("INPUT -s {}", address(*other)),
            Rule::Hole => format!("OUTPUT ! -d {hub} -m length --length {LARGE}:65535"),
            Rule::Loss => format!("INPUT ! -s {hub} -m statistic --mode random --probability {LOST}"),
        };
        let (chain, matches) = what.split_once(' ').unwrap_or_default();
        let inside = enter(host).join(" ");
        run(&format!("{inside} iptables -w {change} {chain} {matches} -j DROP"))
    }

    /// Makes what a host sends slow, or as fast as it was.
    ///
    /// # Errors
    /// When the command fails.
    pub fn slow(&self, host: usize, slow: bool) -> io::Result<()> {
        let inside = enter(host).join(" ");
        if slow {
            run(&format!("{inside} tc qdisc add dev eth0 root {SLOW}"))
        } else {
            run(&format!("{inside} tc qdisc del dev eth0 root"))
        }
    }
}

/// The address of a host.
pub fn address(host: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 77, 0, u8::try_from(host + 1).unwrap_or(u8::MAX)))
}

/// This program's address.
fn at_hub() -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 77, 0, 254))
}

/// What runs a command on a host. Not `ip netns exec`: its own mount namespace would hold on to the disks of all nodes.
pub fn enter(host: usize) -> Vec<String> {
    vec!["nsenter".to_owned(), format!("--net=/run/netns/node-{host}")]
}
