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
//! The same rounds bound the staleness of local state: see `age`.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::defect::{self, Defect};
use crate::metrics::Metrics;
use crate::proto::peer::ReadIndexRequest;
use crate::raft::age::Confirmed;
use crate::raft::fault::Fault;
use crate::raft::leader;
use crate::raft::leadership::{Confirmations, Told};
use crate::raft::peer::client::PeerCalls;
use crate::raft::types::Raft;
use crate::storage::log::LogStore;
use crate::storage::state::StateStore;

/// How long one attempt of a round may take before it is asked anew.
pub(super) const ATTEMPT: Duration = Duration::from_secs(1);

/// Pause after a failed attempt, unless a new leader shows up sooner.
const PAUSE: Duration = Duration::from_millis(50);

/// Readers that may stand before the next round; whoever comes then waits for room, within its own deadline. Without a
/// bound, readers with short deadlines would pile up behind a round that takes long.
const ARRIVALS: usize = 1024;

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
    /// What it told others to be committed.
    pub told: Told,
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
    arrivals: mpsc::Sender<Waiter>,
    state: StateStore,
    confirmed: Arc<Mutex<Confirmed>>,
}

impl Barrier {
    /// Starts the task that runs the rounds; it ends when the last handle is dropped.
    pub fn start(rounds: Rounds) -> Self {
        let (arrivals, waiting) = mpsc::channel(ARRIVALS);
        let (state, confirmed) = (rounds.state.clone(), Arc::new(Mutex::default()));
        tokio::spawn(run(Arc::new(rounds), waiting, confirmed.clone()));
        Self { arrivals, state, confirmed }
    }

    /// Returns once local state holds every write that was acknowledged before this call began; `false` when
    /// `deadline` came first.
    pub async fn pass(&self, deadline: Instant) -> bool {
        let (waiter, passed) = oneshot::channel();
        let pass = async { self.arrivals.send(waiter).await.is_ok() && passed.await.is_ok() };
        tokio::time::timeout_at(deadline, pass).await.unwrap_or(false)
    }

    /// The age bound of local state; `None` when no round has passed yet.
    pub fn age(&self) -> Option<Duration> {
        let applied = self.state.watch().borrow().index;
        lock(&self.confirmed).fresh_at(applied).map(|at| at.elapsed())
    }
}

fn lock(confirmed: &Mutex<Confirmed>) -> MutexGuard<'_, Confirmed> {
    confirmed.lock().expect("no holder of this lock panics")
}

async fn run(rounds: Arc<Rounds>, mut arrivals: mpsc::Receiver<Waiter>, confirmed: Arc<Mutex<Confirmed>>) {
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
                lock(&confirmed).note(index, started);
                let rounds = rounds.clone();
                if rounds.applied() >= Some(index) {
                    release(waiters);
                } else {
                    // The next round need not wait until this one is applied.
                    tokio::spawn(async move {
                        if rounds.wait_applied(index, &mut waiters).await {
                            release(waiters);
                        }
                    });
                }
                break;
            }
            leader::changed(&rounds.raft, PAUSE).await;
        }
    }
}

fn release(waiters: Vec<Waiter>) {
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
            if defect::has(Defect::LocalLeaderRead) {
                return self.applied();
            }
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
