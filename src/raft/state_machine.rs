//! The state store as openraft sees it, and the durable gate in front of apply.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use futures::{Stream, StreamExt};
use openraft::OptionalSend;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use tokio::sync::watch;

use crate::machine;
use crate::metrics::Metrics;
use crate::proto::store;
use crate::raft::convert;
use crate::raft::types::{LogId, RaftSnapshot, Replies, SnapshotMeta, StoredMembership, TypeConfig};
use crate::storage::error::StorageError;
use crate::storage::state::{Frozen, Snapshot, StateStore};

/// The most entries that go into one write of the state store.
const MAX_ENTRIES_PER_WRITE: usize = 256;

/// The state store under openraft.
pub struct StateMachine {
    state: StateStore,
    durable: watch::Receiver<Option<store::LogId>>,
    metrics: Arc<Metrics>,
}

impl StateMachine {
    /// Wraps the store; `durable` is the log's last id that is on disk.
    pub fn new(
        state: StateStore,
        durable: watch::Receiver<Option<store::LogId>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { state, durable, metrics }
    }

    /// Waits until the log is on disk up to `id`.
    ///
    /// openraft may apply an entry that a majority has but this node's disk does not. The state store could then
    /// outlive the log in a crash, and the node would not start again.
    async fn wait_durable(&mut self, id: &store::LogId) -> io::Result<()> {
        let reached = |durable: &Option<store::LogId>| {
            durable.as_ref().is_some_and(|d| (d.term, d.index) >= (id.term, id.index))
        };
        let gone =
            || io::Error::other("the log store has stopped: entries above its durable end are not applied");
        self.durable.wait_for(reached).await.map_err(|_| gone())?;
        Ok(())
    }

    async fn apply_some(&mut self, some: Vec<EntryResponder<TypeConfig>>) -> io::Result<()> {
        let Some(last) = some.last().map(|(entry, _)| convert::log_id(&entry.log_id)) else { return Ok(()) };
        self.wait_durable(&last).await?;
        let entries: Vec<store::Entry> = some.iter().map(|(entry, _)| convert::entry(entry)).collect();
        let state = self.state.clone();
        let replies = off_runtime(move || state.apply(&entries)).await?;
        for ((_, responder), replies) in some.into_iter().zip(replies) {
            if let Some(responder) = responder {
                responder.send(Replies(replies));
            }
        }
        Ok(())
    }
}

/// Runs disk work where it may block.
async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> io::Result<T> {
    machine::blocking(work).await.map_err(io::Error::other)?.map_err(io::Error::from)
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Snapshot;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let applied = self.state.applied();
        let membership = convert::raft_stored_membership(applied.membership.as_ref())?;
        Ok((applied.log_id.as_ref().map(convert::raft_log_id), membership))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut some = Vec::new();
        while let Some(entry) = entries.next().await {
            some.push(entry?);
            if some.len() == MAX_ENTRIES_PER_WRITE {
                self.apply_some(std::mem::take(&mut some)).await?;
            }
        }
        self.apply_some(some).await
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Self::SnapshotBuilder> {
        Some(self.get_snapshot_builder().await)
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        // The view is frozen here, between two applies; the builder then runs beside them.
        let state = self.state.clone();
        let begun = Instant::now();
        let frozen = Some(off_runtime(move || state.freeze()).await);
        SnapshotBuilder { frozen, begun, metrics: self.metrics.clone() }
    }

    async fn install_snapshot(&mut self, _meta: &SnapshotMeta, snapshot: Snapshot) -> Result<(), io::Error> {
        let state = self.state.clone();
        off_runtime(move || state.install(&snapshot)).await
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<RaftSnapshot>, io::Error> {
        self.state.snapshot().map(described).transpose()
    }
}

/// Turns a frozen view into a durable snapshot.
pub struct SnapshotBuilder {
    frozen: Option<io::Result<Frozen>>,
    begun: Instant,
    metrics: Arc<Metrics>,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = Snapshot;

    async fn build_snapshot(&mut self) -> Result<RaftSnapshot, io::Error> {
        let frozen =
            self.frozen.take().ok_or_else(|| io::Error::other("this snapshot was built already"))??;
        let snapshot = off_runtime(move || frozen.finish()).await?;
        self.metrics.observe_snapshot_build(self.begun.elapsed());
        described(snapshot)
    }
}

fn described(snapshot: Snapshot) -> io::Result<RaftSnapshot> {
    Ok(RaftSnapshot { meta: convert::snapshot_meta(snapshot.manifest())?, snapshot })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::poll;

    use super::*;
    use crate::storage::state::StateOptions;

    fn id(term: u64, index: u64) -> store::LogId {
        store::LogId { term, leader_id: 1, index }
    }

    fn machine() -> (tempfile::TempDir, watch::Sender<Option<store::LogId>>, StateMachine) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateStore::open(folder.path(), &StateOptions::default(), Arc::new(())).expect("opens");
        let (disk, durable) = watch::channel(None);
        (folder, disk, StateMachine::new(state, durable, Arc::default()))
    }

    /// A committed entry that this node's disk does not have yet waits; so does one that takes the place of an entry
    /// of an older term, which the disk still has.
    #[tokio::test]
    async fn the_gate_opens_when_the_log_is_durable() {
        let (_folder, disk, mut machine) = machine();
        let wanted = id(2, 2);
        let mut gate = pin!(machine.wait_durable(&wanted));
        for not_yet in [None, Some(id(1, 1)), Some(id(1, 2)), Some(id(1, 3)), Some(id(2, 1))] {
            disk.send_replace(not_yet);
            assert!(poll!(gate.as_mut()).is_pending(), "opened at {not_yet:?}");
        }
        disk.send_replace(Some(id(2, 2)));
        gate.await.expect("durable");
    }

    #[tokio::test]
    async fn apply_stands_behind_the_gate() {
        let (_folder, disk, mut machine) = machine();
        let state = machine.state.clone();
        let blank = store::Entry {
            log_id: Some(id(1, 1)),
            payload: Some(store::entry::Payload::Blank(store::Blank {})),
        };
        let entry = convert::raft_entry(blank).expect("well-formed");
        {
            let mut applying = pin!(machine.apply(futures::stream::iter([Ok((entry.clone(), None))])));
            assert!(poll!(applying.as_mut()).is_pending());
            disk.send_replace(Some(id(1, 1)));
            applying.await.expect("applies");
        }
        assert_eq!(state.watch().borrow().index, Some(1));

        // A log that stopped never becomes durable: the error reaches openraft, which stops.
        drop(disk);
        let mut later = entry;
        later.log_id.index = 2;
        machine.apply(futures::stream::iter([Ok((later, None))])).await.expect_err("refused");
        assert_eq!(state.watch().borrow().index, Some(1));
    }
}
