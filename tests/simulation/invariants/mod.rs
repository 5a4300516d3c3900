//! What holds at any moment, whatever happened: looked at after every tick, from outside.

mod complete;
mod durable_first;
mod never_back;
mod same_state;

use super::cluster::{Cluster, Host};
use crate::proto::store::LogId;

/// What is seen of a node that runs and belongs to a cluster.
struct Seen<'a> {
    name: &'a str,
    /// How often its host was started.
    start: u64,
    node_id: u64,
    term: u64,
    leads: bool,
    /// Of its log.
    last: Option<LogId>,
    durable: Option<LogId>,
    applied: Option<LogId>,
    revision: u64,
    /// The last entry that its newest snapshot covers.
    snapshot: Option<u64>,
    /// An index, and the hash chain there.
    chain: Option<(u64, [u8; 32])>,
}

/// All of them, with what they remember.
#[derive(Default)]
pub struct Invariants {
    complete: complete::Complete,
    never_back: never_back::NeverBack,
    same_state: same_state::SameState,
}

impl Invariants {
    /// Looks at all nodes. The error says which one broke what.
    pub fn check(&mut self, cluster: &Cluster) -> Result<(), String> {
        let seen: Vec<Seen<'_>> = cluster.hosts().iter().filter_map(look).collect();
        self.complete.check(&seen)?;
        self.never_back.check(&seen)?;
        self.same_state.check(&seen)?;
        durable_first::check(&seen)
    }

    /// How many leaderships there were.
    pub fn leaders(&self) -> usize {
        self.complete.leaders()
    }
}

fn look(host: &Host) -> Option<Seen<'_>> {
    let node = host.node()?;
    let replica = node.replica().ok()?;
    let applied = replica.state.applied();
    let durable = *replica.log.durable().borrow();
    Some(Seen {
        name: &host.name,
        start: host.starts(),
        node_id: replica.identity.node_id,
        term: node.about().term,
        leads: replica.leads(),
        last: replica.log.last(),
        durable,
        applied: applied.log_id,
        revision: applied.revision,
        snapshot: replica.state.snapshot().and_then(|snapshot| snapshot.index()),
        chain: replica.state.latest_hash_point(),
    })
}
