//! Looks at every node several times a second: who leads, how far each is.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use dancu::proto::cluster::{NodeState, NodeStatus};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::api;

const EVERY: Duration = Duration::from_millis(150);
const LIMIT: Duration = Duration::from_millis(400);

/// What was seen of the nodes. Cheap to clone.
#[derive(Clone)]
pub struct Watch(Arc<Mutex<Seen>>);

/// What was seen.
pub struct Seen {
    begun: Instant,
    /// Each node's last answer; `None` when it gives none.
    pub nodes: Vec<Option<NodeStatus>>,
    /// Who led, in which term, from when on (seconds since the beginning).
    pub leaders: Vec<(f64, usize, u64)>,
}

impl Watch {
    /// Begins to look at the nodes at these addresses, until the set of tasks is dropped.
    pub fn start(addresses: &[String], begun: Instant, tasks: &mut JoinSet<()>) -> Self {
        let seen = Seen { begun, nodes: vec![None; addresses.len()], leaders: Vec::new() };
        let watch = Self(Arc::new(Mutex::new(seen)));
        for (node, address) in addresses.iter().enumerate() {
            let (watch, mut admin) = (watch.clone(), api::admin(address));
            tasks.spawn(async move {
                loop {
                    let answer = timeout(LIMIT, admin.status(api::local())).await;
                    let status =
                        answer.ok().and_then(Result::ok).and_then(|answer| answer.into_inner().nodes.pop());
                    watch.look().note(node, status);
                    tokio::time::sleep(EVERY).await;
                }
            });
        }
        watch
    }

    /// What was seen so far.
    pub fn look(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }
}

impl Seen {
    fn note(&mut self, node: usize, status: Option<NodeStatus>) {
        if let Some(status) = status.as_ref().filter(|status| status.state() == NodeState::Leader) {
            let known = self.leaders.iter().map(|(_, _, term)| *term).max().unwrap_or_default();
            if status.term > known {
                self.leaders.push((self.begun.elapsed().as_secs_f64(), node, status.term));
            }
        }
        self.nodes[node] = status;
    }

    /// The node that leads in the newest term that anybody claims to lead in.
    pub fn leader(&self) -> Option<usize> {
        let leads = |status: &NodeStatus| (status.state() == NodeState::Leader).then_some(status.term);
        let leaders =
            self.nodes.iter().enumerate().filter_map(|(i, status)| Some((leads(status.as_ref()?)?, i)));
        leaders.max().map(|(_, i)| i)
    }

    /// How many entries each node is behind the one that has applied most; 0 for one that gives no answer.
    pub fn behind(&self) -> Vec<f64> {
        let applied = |status: &Option<NodeStatus>| status.as_ref().map(|status| status.applied_index);
        let most = self.nodes.iter().filter_map(applied).max().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a distance")]
        let behind = |status| (most - applied(status).unwrap_or(most)) as f64;
        self.nodes.iter().map(behind).collect()
    }
}
