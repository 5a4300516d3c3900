//! The read barrier: what makes a local read linearizable, at every node.
//!
//! ```text
//! reads ---> waiting ---\
//! reads ---> waiting ----+--> one round: on the leader a read index that a majority confirms (never a lease),
//! reads ---> waiting ---/                elsewhere one question to the leader
//!                                           |
//!            applied >= index  <------------/    then all of that round read locally
//! ```
//!
//! One round is under way at a time and whoever arrives meanwhile joins the next one, never the one already sent: its
//! index may be older than a write that was acknowledged before they arrived. A failed round is asked anew; an old
//! answer is never used for it.
//!
//! The same round bounds staleness without trusting clocks between machines: when a round that *started* at local
//! monotonic time t has been applied, local state is no older than now - t.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::proto::peer::ReadIndexRequest;
use crate::raft::fault::Fault;
use crate::raft::leader;
use crate::raft::leadership::Confirmations;
use crate::raft::peer::client::PeerCalls;
use crate::raft::types::Raft;
use crate::storage::log::LogStore;
use crate::storage::state::StateStore;

/// How long one attempt of a round may take before it is asked anew.
pub(super) const ATTEMPT: Duration = Duration::from_secs(1);

/// Pause after a failed attempt, unless a new leader shows up sooner.
const PAUSE: Duration = Duration::from_millis(50);

/// Someone who waits for a round.
type Waiter = oneshot::Sender<()>;

/// What rounds need.
pub struct Rounds {
    /// This node.
    pub raft: Raft,
    /// Its log, for the vote.
    pub log: LogStore,
    /// Its state.
    pub state: StateStore,
    /// Its way to the leader.
    pub calls: Arc<PeerCalls>,
    /// Where a difference from the leader's state is declared.
    pub fault: Fault,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// Joins readers into rounds. Cheap to clone.
#[derive(Clone)]
pub struct Barrier {
    arrivals: mpsc::UnboundedSender<Waiter>,
    fresh_at: Arc<Mutex<Option<Instant>>>,
}

impl Barrier {
    /// Starts the task that runs the rounds; it ends when the last handle is dropped.
    pub fn start(rounds: Rounds) -> Self {
        let (arrivals, waiting) = mpsc::unbounded_channel();
        let fresh_at = Arc::new(Mutex::new(None));
        tokio::spawn(run(Arc::new(rounds), waiting, fresh_at.clone()));
        Self { arrivals, fresh_at }
    }

    /// Returns once local state holds every write that was acknowledged before this call began; `false` when
    /// `deadline` came first.
    pub async fn pass(&self, deadline: Instant) -> bool {
        let (waiter, passed) = oneshot::channel();
        self.arrivals.send(waiter).is_ok()
            && matches!(tokio::time::timeout_at(deadline, passed).await, Ok(Ok(())))
    }

    /// The age bound of local state; `None` when no round has passed yet.
    pub fn age(&self) -> Option<Duration> {
        self.fresh_at.lock().expect("no holder of this lock panics").map(|at| at.elapsed())
    }
}

async fn run(
    rounds: Arc<Rounds>,
    mut arrivals: mpsc::UnboundedReceiver<Waiter>,
    fresh_at: Arc<Mutex<Option<Instant>>>,
) {
    let mut voters = Confirmations::default();
    while let Some(first) = arrivals.recv().await {
        let mut waiters = vec![first];
        loop {
            // Whoever is here before the attempt starts may use its answer.
            while let Ok(waiter) = arrivals.try_recv() {
                waiters.push(waiter);
            }
            waiters.retain(|waiter| !waiter.is_closed());
            if waiters.is_empty() {
                break;
            }
            let started = Instant::now();
            if let Some(index) = rounds.confirm(&mut voters).await {
                rounds.metrics.observe_read_round(waiters.len());
                let fresh_at = fresh_at.clone();
                let rounds = rounds.clone();
                if rounds.applied() >= Some(index) {
                    release(waiters, started, &fresh_at);
                } else {
                    // The next round need not wait until this one is applied.
                    tokio::spawn(async move {
                        if rounds.wait_applied(index, &mut waiters).await {
                            release(waiters, started, &fresh_at);
                        }
                    });
                }
                break;
            }
            leader::changed(&rounds.raft, PAUSE).await;
        }
    }
}

fn release(waiters: Vec<Waiter>, started: Instant, fresh_at: &Mutex<Option<Instant>>) {
    let mut fresh_at = fresh_at.lock().expect("no holder of this lock panics");
    *fresh_at = (*fresh_at).max(Some(started));
    drop(fresh_at);
    for waiter in waiters {
        // A reader that gave up meanwhile needs no answer.
        let _ = waiter.send(());
    }
}

impl Rounds {
    fn applied(&self) -> Option<u64> {
        self.state.watch().borrow().index
    }

    /// Waits for an index as long as somebody waits for it: a disk that hangs must not gather tasks without end.
    async fn wait_applied(&self, index: u64, waiters: &mut Vec<Waiter>) -> bool {
        let mut watch = self.state.watch();
        loop {
            let reached = watch.wait_for(|mark| mark.index >= Some(index));
            match tokio::time::timeout(ATTEMPT, reached).await {
                Ok(reached) => return reached.is_ok(),
                Err(_) => waiters.retain(|waiter| !waiter.is_closed()),
            }
            if waiters.is_empty() {
                return false;
            }
        }
    }

    /// One attempt: the index that local state must have applied.
    async fn confirm(&self, voters: &mut Confirmations) -> Option<u64> {
        if self.fault.is_declared() {
            return None;
        }
        let leader = leader::current(&self.raft)?;
        if leader == *self.raft.node_id() {
            return voters.round(self, Instant::now() + ATTEMPT).await;
        }
        let member = leader::member(&self.raft, leader)?;
        // With each question: a leader that has not applied so far yet compares it the next time.
        let point = self.state.latest_hash_point();
        let request = ReadIndexRequest {
            hash_index: point.map_or(0, |(index, _)| index),
            chain_hash: point.map(|(_, hash)| hash.to_vec().into()).unwrap_or_default(),
            vote: self.log.vote(),
        };
        match tokio::time::timeout(ATTEMPT, self.calls.read_index(&member, request)).await {
            Ok(Ok(response)) if response.diverged => {
                self.fault.declare(
                    "its state differs from the leader's: no answer of it can be trusted. Nothing on the other \
                     nodes is affected. Remove this node from the cluster, empty its folder and add it again.",
                );
                None
            }
            Ok(Ok(response)) => Some(response.index),
            Ok(Err(status)) => {
                tracing::debug!(leader, code = ?status.code(), "the leader did not confirm a read index");
                None
            }
            Err(_) => None,
        }
    }
}
