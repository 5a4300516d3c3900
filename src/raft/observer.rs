//! Carries what the stores observe into the metrics: the storage folder knows no metric by name.

use std::sync::Arc;
use std::time::Duration;

use crate::metrics::Metrics;
use crate::storage::log::LogObserver;
use crate::storage::state::StateObserver;

/// Told by the stores of one node.
pub struct Observer(pub Arc<Metrics>);

impl LogObserver for Observer {
    fn flushed(&self, entries: usize, _bytes: usize, took: Duration) {
        self.0.observe_fsync(took, entries);
    }

    fn queue_depth(&self, ops: usize) {
        self.0.log_queue_depth.set(ops as u64);
    }
}

impl StateObserver for Observer {
    fn applied(&self, entries: usize, _commands: usize, took: Duration) {
        self.0.observe_apply(took, entries);
    }

    fn compacted(&self, versions: u32) {
        self.0.history_compacted_versions_total.inc_by(versions.into());
    }
}
