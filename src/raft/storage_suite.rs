//! openraft's storage conformance suite, run against the real stores.

use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::proto::store::LogId;
use crate::raft::log_storage::LogStorage;
use crate::raft::state_machine::StateMachine;
use crate::raft::types::TypeConfig;
use crate::storage::log::{LogOptions, LogStore};
use crate::storage::state::{StateOptions, StateStore};

struct Builder;

impl StoreBuilder<TypeConfig, LogStorage, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStorage, StateMachine), openraft::StorageError<TypeConfig>> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = LogStore::open(folder.path(), &LogOptions::default(), std::sync::Arc::new(()))
            .expect("a new log");
        let state = StateStore::open(folder.path(), &StateOptions::default(), std::sync::Arc::new(()))
            .expect("a new state");
        // The suite applies entries that it never appended: here the log counts as durable without end. The gate has
        // its own test in `state_machine`.
        let (_, durable) =
            watch::channel(Some(LogId { term: u64::MAX, leader_id: u64::MAX, index: u64::MAX }));
        let machine = StateMachine::new(state, durable, Default::default());
        Ok((folder, LogStorage::new(log), machine))
    }
}

#[test]
fn the_stores_pass_openrafts_suite() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime
        .block_on(Suite::<TypeConfig, LogStorage, StateMachine, Builder, TempDir>::test_all(Builder))
        .expect("passes");
}
