//! Defects put in on purpose, to see that the tests find them. Not part of a node: only a build with the feature
//! `seeded-defects` has them, and there the variable `DANCU_DEFECT` names the one that is on. `scripts/defects` shows each
//! with the job that finds it, `tests/README.md` has the table.

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Entries count as durable before they are synced.
    NoLogFsync,
    /// So does the vote.
    NoVoteFsync,
    /// An entry counts as acknowledged by a follower when it has been sent.
    AckBeforeCommit,
    /// The leader answers linearizable reads without asking a majority whether it still leads.
    LocalLeaderRead,
    /// It asks no more often than every ten seconds.
    LeaseRead,
    /// The position that the state is at reaches the disk with the next write, not with what it is the position of.
    ApplyInTwoBatches,
    /// A snapshot that was installed lacks the request table.
    SnapshotWithoutRequests,
    /// A request that was done before is done again.
    NoRequestTable,
    /// A log is opened with what can be read of it.
    IgnoredChecksum,
    /// A new node gets the id of one that was removed.
    ReusedNodeId,
}

#[cfg(feature = "seeded-defects")]
impl Defect {
    /// The name that `DANCU_DEFECT` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoLogFsync => "no-log-fsync",
            Self::NoVoteFsync => "no-vote-fsync",
            Self::AckBeforeCommit => "ack-before-commit",
            Self::LocalLeaderRead => "local-leader-read",
            Self::LeaseRead => "lease-read",
            Self::ApplyInTwoBatches => "apply-in-two-batches",
            Self::SnapshotWithoutRequests => "snapshot-without-requests",
            Self::NoRequestTable => "no-request-table",
            Self::IgnoredChecksum => "ignored-checksum",
            Self::ReusedNodeId => "reused-node-id",
        }
    }
}

/// Whether this build and run has a defect: never, without the feature.
#[cfg(not(feature = "seeded-defects"))]
#[inline]
pub fn has(_: Defect) -> bool {
    false
}

/// Whether this run has a defect.
#[cfg(feature = "seeded-defects")]
pub fn has(defect: Defect) -> bool {
    static NAMED: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let named = NAMED.get_or_init(|| std::env::var("DANCU_DEFECT").unwrap_or_default());
    named == defect.name()
}

/// [`Defect::LeaseRead`]: whether the leader asked a majority not long ago. Once it is no, it is asked.
pub fn trusts_lease() -> bool {
    use std::sync::Mutex;
    use std::time::{Duration, Instant};
    static SINCE: Mutex<Option<Instant>> = Mutex::new(None);
    if !has(Defect::LeaseRead) {
        return false;
    }
    let mut since = SINCE.lock().expect("no holder of this lock panics");
    let runs = since.is_some_and(|since| since.elapsed() < Duration::from_secs(10));
    if !runs {
        *since = Some(Instant::now());
    }
    runs
}
