//! What a node measures, in one struct, handed to whoever measures.
//!
//! ```text
//! storage, raft, service -> fields of Metrics -> GET /metrics -> Prometheus
//!                            process.rs (read at the scrape) ----^
//! ```
//!
//! The doc comment of a field is also its HELP text, so each metric is described once. Names get the prefix `dancu_`;
//! counters end in `_total`, as the exposition format wants. Labels are few and bounded: modes, method names, status
//! codes and node ids, never anything of a citizen. Fields are counters, gauges and histograms of atomics: cheap to
//! clone, free of locks on the paths that matter.

mod process;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// A value that goes up and down and is never negative.
pub type Gauge = gauge::Gauge<u64, AtomicU64>;

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Read mode of a read: "linearizable", "at_least", "bounded_stale" or "as_of".
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReadLabels {
    /// The mode.
    pub mode: &'static str,
}

/// A node by its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct NodeLabels {
    /// The node's id in the cluster.
    pub node: u64,
}

/// A listener: "peers" or "clients".
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ListenerLabels {
    /// Whom it serves.
    pub listener: &'static str,
}

/// A gRPC method: "Verification/Verify". Only names of the API, never what a client sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct MethodLabels {
    /// The method.
    pub method: &'static str,
}

/// A gRPC method and the status it ended with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabels {
    /// The method: "Verification/Verify".
    pub method: &'static str,
    /// The status: "OK", "UNAVAILABLE".
    pub code: &'static str,
}

type SecondsByMethod = Family<MethodLabels, Histogram, fn() -> Histogram>;

/// Declares the metrics, their help texts and their registration in one place.
macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $field:ident ($name:literal): $type:ty = $new:expr;)+) => {
        /// All metrics of a node. Shared as `Arc<Metrics>`; every field may be updated from any thread.
        pub struct Metrics {
            registry: Registry,
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl Metrics {
            /// Metrics at zero. In one process with several nodes (`dancu dev`, tests) each node has its own.
            pub fn new() -> Self {
                let mut registry = Registry::with_prefix("dancu");
                $(
                    let $field: $type = $new;
                    // The encoder ends the help text with a full stop of its own.
                    let help = concat!($($doc),+).trim().trim_end_matches('.');
                    registry.register($name, help, $field.clone());
                )+
                registry.register_collector(Box::new(process::Process));
                Self { registry, $($field,)+ }
            }
        }
    };
}

metrics! {
    /// Seconds that one fsync of the log took, with the write before it.
    fsync_seconds ("fsync_seconds"): Histogram = seconds();
    /// Log entries and votes that shared one fsync.
    fsync_batch_entries ("fsync_batch_entries"): Histogram = sizes();
    /// Operations waiting for the log's I/O thread.
    log_queue_depth ("log_queue_depth"): Gauge = Gauge::default();
    /// 1 after this node went out of service for good: it serves nothing until it is repaired.
    storage_failed ("storage_failed"): Gauge = Gauge::default();
    /// Seconds that applying one batch of committed entries took, the wait for the log included.
    apply_seconds ("apply_seconds"): Histogram = seconds();
    /// Log entries applied in one batch.
    apply_batch_entries ("apply_batch_entries"): Histogram = sizes();
    /// Index of the last log entry applied on this node.
    applied_index ("applied_index"): Gauge = Gauge::default();
    /// Revision of the registry on this node.
    revision ("revision"): Gauge = Gauge::default();
    /// Persons on record on this node.
    persons ("persons"): Gauge = Gauge::default();
    /// Versions of records that compaction removed from the history on this node since it started.
    history_compacted_versions_total ("history_compacted_versions"): Counter = Counter::default();
    /// First revision that can be read as of on this node; 0 when nothing was compacted.
    history_first_revision ("history_first_revision"): Gauge = Gauge::default();

    /// Raft term of this node.
    term ("term"): Gauge = Gauge::default();
    /// 1 while this node leads.
    is_leader ("is_leader"): Gauge = Gauge::default();
    /// Times that this node saw the leader change.
    leader_changes_total ("leader_changes"): Counter = Counter::default();
    /// On the leader: log entries each other node lacks.
    lag ("replication_lag_entries"): Family<NodeLabels, Gauge> = Family::default();

    /// Log entries proposed on this node as leader.
    proposals_total ("proposals"): Counter = Counter::default();
    /// Writes that shared one log entry.
    commands_per_entry ("commands_per_entry"): Histogram = sizes();
    /// Writes waiting on this node to be proposed.
    write_queue_depth ("write_queue_depth"): Gauge = Gauge::default();
    /// Writes and requests refused because too many were waiting.
    overloaded_total ("overloaded"): Counter = Counter::default();
    /// Writes forwarded to the leader.
    forwards_total ("forwards"): Counter = Counter::default();

    /// Reads served, by mode.
    reads_total ("reads"): Family<ReadLabels, Counter> = Family::default();
    /// Read-index rounds this node began: at the leader a question to a majority, elsewhere a question to the leader.
    read_rounds_total ("read_rounds"): Counter = Counter::default();
    /// Questions of other nodes for a read index that this node, as the leader, put to a majority.
    read_index_served_total ("read_index_served"): Counter = Counter::default();
    /// Linearizable reads that shared one round.
    reads_per_round ("reads_per_round"): Histogram = sizes();
    /// Milliseconds by which this node's data may be behind, as of its last round.
    staleness_bound_ms ("staleness_bound_ms"): Gauge = Gauge::default();

    /// When the certificate that this node shows at a listener ends, in seconds since 1970. Absent for one in the clear.
    certificate_expires_seconds ("certificate_expires_seconds"): Family<ListenerLabels, Gauge> = Family::default();
    /// Connections whose handshake failed, by listener: without a certificate of its authority, or too slow.
    handshakes_refused_total ("handshakes_refused"): Family<ListenerLabels, Counter> = Family::default();

    /// Connections of clients.
    connections ("connections"): Gauge = Gauge::default();
    /// Connections of clients that were closed at once because there were too many.
    connections_refused_total ("connections_refused"): Counter = Counter::default();
    /// Connections of clients that were ended because an answer was not read.
    unread_total ("unread"): Counter = Counter::default();
    /// Calls of the client API, by method and status.
    grpc_requests_total ("grpc_requests"): Family<CallLabels, Counter> = Family::default();
    /// Seconds that calls of the client API took, by method.
    grpc_seconds ("grpc_seconds"): SecondsByMethod = Family::new_with_constructor(seconds as fn() -> Histogram);

    /// Accesses recorded in this node's audit log since it started.
    audit_records_total ("audit_records"): Counter = Counter::default();
    /// Bytes of those records.
    audit_bytes_total ("audit_bytes"): Counter = Counter::default();
    /// Accesses that shared one fsync of the audit log.
    audit_batch_records ("audit_batch_records"): Histogram = sizes();
    /// Seconds that one fsync of the audit log took, with the write before it.
    audit_fsync_seconds ("audit_fsync_seconds"): Histogram = seconds();
    /// Records in this node's audit log.
    audit_position ("audit_position"): Gauge = Gauge::default();
    /// 1 while this node cannot record accesses and therefore answers no reads.
    audit_closed ("audit_closed"): Gauge = Gauge::default();
    /// Records of each other node's audit log that this node holds.
    audit_carried ("audit_carried_position"): Family<NodeLabels, Gauge> = Family::default();

    /// Snapshots made on this node.
    snapshots_built_total ("snapshots_built"): Counter = Counter::default();
    /// Seconds that making a snapshot took.
    snapshot_build_seconds ("snapshot_build_seconds"): Histogram = seconds();
    /// Snapshots taken over from the leader.
    snapshots_installed_total ("snapshots_installed"): Counter = Counter::default();
    /// Bytes of snapshots sent to other nodes.
    snapshot_sent_bytes_total ("snapshot_sent_bytes"): Counter = Counter::default();
    /// Bytes of snapshots received.
    snapshot_received_bytes_total ("snapshot_received_bytes"): Counter = Counter::default();
}

impl Metrics {
    /// All metrics in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry)
            .expect("a String takes any text and the collectors return no error");
        text
    }

    /// One fsync of the log that made `entries` durable.
    pub fn observe_fsync(&self, elapsed: Duration, entries: usize) {
        self.fsync_seconds.observe(elapsed.as_secs_f64());
        self.fsync_batch_entries.observe(entries as f64);
    }

    /// One batch of `entries` applied.
    pub fn observe_apply(&self, elapsed: Duration, entries: usize) {
        self.apply_seconds.observe(elapsed.as_secs_f64());
        self.apply_batch_entries.observe(entries as f64);
    }

    /// One batch of audit records made durable; the log has `position` now.
    pub fn observe_audit(&self, elapsed: Duration, records: usize, bytes: usize, position: u64) {
        self.audit_records_total.inc_by(records as u64);
        self.audit_bytes_total.inc_by(bytes as u64);
        self.audit_batch_records.observe(records as f64);
        self.audit_fsync_seconds.observe(elapsed.as_secs_f64());
        self.audit_position.set(position);
    }

    /// One entry proposed, holding `commands` writes.
    pub fn observe_proposal(&self, commands: usize) {
        self.proposals_total.inc();
        self.commands_per_entry.observe(commands as f64);
    }

    /// One read-index round, shared by `reads` reads.
    pub fn observe_read_round(&self, reads: usize) {
        self.read_rounds_total.inc();
        self.reads_per_round.observe(reads as f64);
    }

    /// One read served in a mode of [`ReadLabels`].
    pub fn count_read(&self, mode: &'static str) {
        self.reads_total.get_or_create(&ReadLabels { mode }).inc();
    }

    /// One call of the client API that ended with `code`.
    pub fn observe_call(&self, method: &'static str, code: &'static str, elapsed: Duration) {
        self.grpc_requests_total.get_or_create(&CallLabels { method, code }).inc();
        self.grpc_seconds.get_or_create(&MethodLabels { method }).observe(elapsed.as_secs_f64());
    }

    /// Where this node stands in the cluster; `lags` holds node id and missing entries of the others and is empty
    /// unless this node leads.
    pub fn set_raft(&self, term: u64, leads: bool, lags: &[(u64, u64)]) {
        self.term.set(term);
        self.is_leader.set(u64::from(leads));
        // Cleared first, so that a node that has left the cluster leaves the metrics too.
        self.lag.clear();
        for (node, lag) in lags {
            self.lag.get_or_create(&NodeLabels { node: *node }).set(*lag);
        }
    }

    /// One snapshot made.
    pub fn observe_snapshot_build(&self, elapsed: Duration) {
        self.snapshots_built_total.inc();
        self.snapshot_build_seconds.observe(elapsed.as_secs_f64());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// 50 us to 26 s, doubling.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(50e-6, 2.0, 20))
}

/// 1 to 4096, doubling.
fn sizes() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 13))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_encoded_with_help_labels_and_end() {
        let metrics = Metrics::new();
        metrics.observe_fsync(Duration::from_millis(3), 7);
        metrics.observe_call("Verification/Verify", "OK", Duration::from_millis(1));
        metrics.count_read("linearizable");
        metrics.observe_read_round(12);
        let text = metrics.encode();
        for line in [
            "# HELP dancu_fsync_seconds Seconds that one fsync of the log took, with the write before it.",
            "dancu_fsync_batch_entries_sum 7.0",
            "dancu_grpc_requests_total{method=\"Verification/Verify\",code=\"OK\"} 1",
            "dancu_reads_total{mode=\"linearizable\"} 1",
            "dancu_read_rounds_total 1",
            "dancu_reads_per_round_sum 12.0",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "`{line}` is missing in:\n{text}");
        }
        assert!(!text.contains(".."), "a help text ends with two full stops");
    }

    #[test]
    fn metrics_of_a_node_that_left_disappear() {
        let metrics = Metrics::new();
        metrics.set_raft(3, true, &[(2, 10), (3, 0)]);
        metrics.set_raft(3, true, &[(3, 4)]);
        let text = metrics.encode();
        assert!(text.contains("dancu_replication_lag_entries{node=\"3\"} 4"));
        assert!(!text.contains("node=\"2\""));
        assert!(text.contains("dancu_is_leader 1"));
    }
}
