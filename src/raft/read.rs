//! The four read modes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::proto::registry::Consistency;
use crate::raft::error::Error;
use crate::raft::fault::Fault;
use crate::raft::replica::Replica;
use crate::storage::state::{AsOf, StateStore};

/// What a bounded-stale read waits for a round when this node's copy is too old: a node that is cut off says so soon.
const ONE_ROUND: Duration = Duration::from_secs(1);

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadMode {
    /// Reflects every write acknowledged anywhere before the read began.
    Linearizable,
    /// Reflects at least this revision.
    AtLeast(u64),
    /// Is at most this old.
    BoundedStale(Duration),
    /// As the registry stood.
    AsOf(AsOf),
}

/// Leave to read local state, and what to say about the answer.
pub struct Reading {
    /// The state to read.
    pub state: StateStore,
    /// Where in its history; `None` for the present.
    pub at: Option<AsOf>,
    /// The mode that was served.
    pub served: Consistency,
    /// The answer is no older than this many milliseconds; `u32::MAX` when nothing is known.
    pub staleness_bound_ms: u32,
    /// Where a reader declares that this node's disk failed it.
    pub fault: Fault,
}

impl Replica {
    /// Waits until local state may be read in `mode`.
    ///
    /// # Errors
    /// [`Error::NoQuorum`] when the barrier was not passed by `deadline`, [`Error::StalenessExceeded`],
    /// [`Error::RevisionFuture`], [`Error::Fault`].
    pub async fn read(&self, mode: ReadMode, deadline: Instant) -> Result<Reading, Error> {
        self.in_service()?;
        let reading = match mode {
            ReadMode::Linearizable => {
                self.pass(deadline).await?;
                self.reading(None, Consistency::Linearizable, 0)
            }
            ReadMode::AtLeast(revision) => {
                self.reach(revision, deadline).await?;
                self.reading(None, Consistency::AtLeast, self.staleness_bound_ms())
            }
            ReadMode::BoundedStale(max) => {
                let bound_ms = self.within(max, deadline).await?;
                self.reading(None, Consistency::BoundedStale, bound_ms)
            }
            ReadMode::AsOf(at) => {
                self.reach_instant(at, deadline).await?;
                self.reading(Some(at), Consistency::AsOf, self.staleness_bound_ms())
            }
        };
        // A fault may have been found while this read waited.
        self.in_service()?;
        Ok(reading)
    }

    fn reading(&self, at: Option<AsOf>, served: Consistency, staleness_bound_ms: u32) -> Reading {
        Reading { state: self.state.clone(), at, served, staleness_bound_ms, fault: self.fault.clone() }
    }

    async fn pass(&self, deadline: Instant) -> Result<(), Error> {
        if self.barrier.pass(deadline).await {
            return Ok(());
        }
        self.in_service()?;
        let hint =
            "no leader confirmed this node's state in time; ask BOUNDED_STALE for an answer with its age";
        Err(Error::NoQuorum(hint.to_owned()))
    }

    async fn reach(&self, revision: u64, deadline: Instant) -> Result<(), Error> {
        if self.state.watch().borrow().revision >= revision {
            return Ok(());
        }
        self.pass(deadline).await?;
        let current = self.state.watch().borrow().revision;
        if current < revision { Err(Error::RevisionFuture { current }) } else { Ok(()) }
    }

    async fn within(&self, max: Duration, deadline: Instant) -> Result<u32, Error> {
        let fresh = |replica: &Self| replica.barrier.age().is_some_and(|age| age <= max);
        if !fresh(self) {
            // The age that counts is the one at the end: a round that came too late does not help.
            self.barrier.pass(deadline.min(Instant::now() + ONE_ROUND)).await;
        }
        let bound_ms = self.staleness_bound_ms();
        if fresh(self) { Ok(bound_ms) } else { Err(Error::StalenessExceeded { bound_ms }) }
    }

    async fn reach_instant(&self, at: AsOf, deadline: Instant) -> Result<(), Error> {
        match at {
            AsOf::Revision(revision) => self.reach(revision, deadline).await,
            // Times never go back: once a later one was applied, nothing earlier can still come.
            AsOf::Instant(ms) if self.state.applied().time_ms > ms => Ok(()),
            AsOf::Instant(ms) => {
                self.pass(deadline).await?;
                #[expect(clippy::disallowed_methods, reason = "only to refuse instants to come")]
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                if u128::from(ms) > now.as_millis() {
                    return Err(Error::RevisionFuture { current: self.state.watch().borrow().revision });
                }
                Ok(())
            }
        }
    }
}
