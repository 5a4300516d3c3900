//! A node's part in the cluster, once it has an identity: its stores, its Raft, and the way of a write and a read.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Config, SnapshotPolicy};
use tokio::time::Instant;

use crate::audit::{Audit, Owner};
use crate::config::{NodeConfig, RaftConfig};
use crate::machine;
use crate::metrics::Metrics;
use crate::proto::cluster::Member;
use crate::proto::store::{Command, Reply, Vote};
use crate::raft::barrier::{ATTEMPT, Barrier, Rounds};
use crate::raft::divergence::{Comparisons, Verdict};
use crate::raft::error::{Error, ProposeError};
use crate::raft::fault::Fault;
use crate::raft::leader;
use crate::raft::leadership::{Standing, Told};
use crate::raft::log_storage::LogStorage;
use crate::raft::observer::Observer;
use crate::raft::peer::channel::Me;
use crate::raft::peer::client::PeerCalls;
use crate::raft::peer::network::NetworkFactory;
use crate::raft::proposer::{Proposer, now_ms};
use crate::raft::receipts;
use crate::raft::retention;
use crate::raft::state_machine::StateMachine;
use crate::raft::status;
use crate::raft::trail;
use crate::raft::types::Raft;
use crate::receipt::Keyring;
use crate::storage::data_dir::Identity;
use crate::storage::log::{LogOptions, LogStore};
use crate::storage::sealing::{self, Masters};
use crate::storage::state::{StateOptions, StateStore};
use crate::tls::Tls;

/// How often a node confirms its age when no read does: keeps the bound of bounded-stale answers small.
const REFRESH: Duration = Duration::from_millis(500);

/// Pause before a write is tried again, unless a new leader shows up sooner.
const PAUSE: Duration = Duration::from_millis(50);

/// How long Raft may take to stop.
const STOP: Duration = Duration::from_secs(5);

/// What an overloaded node asks its callers to wait.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The running replica.
pub struct Replica {
    /// Who this node is.
    pub identity: Identity,
    /// Its description, as it was configured.
    pub member: Member,
    /// Consensus.
    pub raft: Raft,
    /// The log.
    pub log: LogStore,
    /// The state machine.
    pub state: StateStore,
    /// Calls to other nodes.
    pub calls: Arc<PeerCalls>,
    /// The read barrier.
    pub barrier: Barrier,
    /// The record of accesses; nothing when it is off.
    pub audit: Option<Arc<Audit>>,
    /// What it signs receipts with; nothing where accesses are not recorded, which is what a receipt rests on.
    pub receipts: Option<Arc<Keyring>>,
    /// Set once this node may no longer answer.
    pub fault: Fault,
    /// Held while a node is added.
    pub adding: tokio::sync::Mutex<()>,
    /// Held while the other nodes' audit logs are fetched.
    pub fetching: tokio::sync::Mutex<()>,
    /// Held while the cluster agrees on this node's receipt key.
    pub agreeing: tokio::sync::Mutex<()>,
    told: Told,
    proposer: Proposer,
    comparisons: Mutex<Comparisons>,
    metrics: Arc<Metrics>,
}

impl Replica {
    /// Opens the stores and starts Raft. Must run on a tokio runtime.
    ///
    /// # Errors
    /// In words, when a store cannot be opened or openraft refuses what it finds.
    pub async fn open(
        config: &NodeConfig,
        identity: Identity,
        member: Member,
        metrics: Arc<Metrics>,
        tls: Option<Arc<Tls>>,
    ) -> Result<Arc<Self>, String> {
        let (log, state) = open_stores(config, &metrics).await?;
        fit_together(&log, &state)?;
        let audit = open_audit(config, &identity, &metrics).await?;
        let receipts = match &audit {
            Some(_) => receipts::open(config, &identity).await,
            None => None,
        };
        let raft_config = openraft_config(&config.raft, &identity).map_err(|e| e.to_string())?;
        let storage = LogStorage::new(log.clone());
        let machine = StateMachine::new(state.clone(), log.durable(), metrics.clone());
        let fault = Fault::default();
        let told = Told::default();
        let me = Me { identity: identity.clone(), tls };
        let network = NetworkFactory::new(me.clone(), metrics.clone(), fault.clone(), told.clone());
        let raft = Raft::new(identity.node_id, Arc::new(raft_config), network, storage, machine)
            .await
            .map_err(|fatal| format!("Raft did not start: {fatal}"))?;

        let calls = Arc::new(PeerCalls::new(me));
        let barrier = Barrier::start(Rounds {
            raft: raft.clone(),
            log: log.clone(),
            state: state.clone(),
            told: told.clone(),
            calls: calls.clone(),
            fault: fault.clone(),
            metrics: metrics.clone(),
        });
        let proposer = Proposer::start(raft.clone(), config.raft.clone(), metrics.clone());
        let replica = Arc::new(Self {
            identity,
            member,
            raft,
            log,
            state,
            calls,
            barrier,
            audit,
            receipts,
            fault,
            adding: tokio::sync::Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            agreeing: tokio::sync::Mutex::default(),
            told,
            proposer,
            comparisons: Mutex::default(),
            metrics,
        });
        tokio::spawn(watch_over(Arc::downgrade(&replica)));
        retention::start(&replica, config.history.retention_ms);
        trail::start(&replica, &config.audit);
        receipts::start(&replica);
        Ok(replica)
    }

    /// Whether this node may answer at all.
    ///
    /// # Errors
    /// [`Error::Fault`] once a fault was declared.
    pub fn in_service(&self) -> Result<(), Error> {
        self.fault.what().map_or(Ok(()), |what| Err(Error::Fault(what)))
    }

    /// What this node measures.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether this node leads, as far as it knows.
    pub fn leads(&self) -> bool {
        leader::current(&self.raft) == Some(self.identity.node_id)
    }

    /// Proposes a command here; for the leader only.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn propose(&self, command: Command, deadline: Instant) -> Result<Reply, ProposeError> {
        if let Some(what) = self.fault.what() {
            return Err(ProposeError::Stopped(what));
        }
        self.proposer.submit(command, deadline).await
    }

    /// Gets a command applied, whoever leads, and returns the state machine's reply.
    ///
    /// It is tried again, under its request id, until `deadline`: an attempt whose outcome is unknown may have been
    /// applied, and the request table gives the second one the first one's reply.
    ///
    /// # Errors
    /// [`Error::NoQuorum`] when the deadline passes; its text says whether the write may yet take effect.
    pub async fn write(&self, command: Command, deadline: Instant) -> Result<Reply, Error> {
        let mut doubt = None;
        loop {
            if let Err(fault) = self.in_service() {
                return Err(if doubt.is_some() { out_of_time(doubt) } else { fault });
            }
            match self.attempt(&command, deadline).await {
                Ok(reply) => return Ok(reply),
                Err(ProposeError::Overloaded) if doubt.is_none() => {
                    return Err(Error::Overloaded { retry_after: RETRY_AFTER });
                }
                Err(ProposeError::Stopped(why)) if doubt.is_none() => return Err(Error::NotReady(why)),
                Err(ProposeError::Stopped(_)) => return Err(out_of_time(doubt)),
                Err(ProposeError::Unknown(why)) => doubt = Some(why),
                Err(ProposeError::NotLeader(_) | ProposeError::Overloaded) => {}
            }
            if Instant::now() + PAUSE >= deadline {
                return Err(out_of_time(doubt));
            }
            leader::changed(&self.raft, PAUSE).await;
        }
    }

    async fn attempt(&self, command: &Command, deadline: Instant) -> Result<Reply, ProposeError> {
        let Some(id) = leader::current(&self.raft) else { return Err(ProposeError::NotLeader(None)) };
        let done = async {
            if id == self.identity.node_id {
                return self.propose(command.clone(), deadline).await;
            }
            let member = leader::member(&self.raft, id).ok_or(ProposeError::NotLeader(None))?;
            self.metrics.forwards_total.inc();
            let left = deadline.saturating_duration_since(Instant::now());
            // The call's own time runs out a moment later than `deadline`, too late to say what it means for the write.
            let forwarded = self.calls.forward(&member, command.clone(), left);
            let late = || ProposeError::Unknown("the leader did not answer in time".to_owned());
            tokio::time::timeout_at(deadline, forwarded).await.unwrap_or_else(|_| Err(late()))
        };
        // A leader that was replaced may never answer: its successor will.
        tokio::select! {
            biased;
            result = done => result,
            () = leader::lost(&self.raft, id) => Err(ProposeError::Unknown("the leader changed".to_owned())),
        }
    }

    /// Compares a point of another node's hash chain with this leader's own.
    pub fn compare(&self, with: u64, index: u64, hash: &[u8]) -> Verdict {
        let Some(mine) = self.state.chain_hash_at(index).filter(|_| index > 0) else { return Verdict::Alike };
        let mut comparisons = self.comparisons.lock().expect("no holder of this lock panics");
        let voters = leader::voters(&self.raft);
        let (verdict, alone) = comparisons.note(with, mine[..] == *hash, &voters, self.identity.node_id);
        if alone {
            self.fault.declare(
                "its state differs from that of a majority: no answer of it can be trusted. Nothing on the other \
                 nodes is affected. Remove this node from the cluster, empty its folder and add it again.",
            );
        }
        verdict
    }

    /// The index that a read of the node `from`, which holds `vote`, must wait for: if this node leads, and a majority
    /// confirms it in time.
    pub async fn read_index(&self, from: u64, vote: Option<&Vote>) -> Option<u64> {
        self.in_service().ok()?;
        let standing = Standing::of(&self.raft, &self.log, &self.state, &self.told)?;
        let me = self.identity.node_id;
        let two = |voter: &u64| *voter == me || *voter == from;
        if standing.is_confirmed_by(vote) && leader::is_majority(&self.raft, two) {
            return Some(standing.index);
        }
        self.metrics.read_index_served_total.inc();
        let passed = self.barrier.pass(Instant::now() + ATTEMPT).await;
        passed.then(|| self.state.last_applied().map_or(0, |id| id.index))
    }

    /// Milliseconds since the leader last confirmed this node; `u32::MAX` when never.
    pub fn staleness_bound_ms(&self) -> u32 {
        self.barrier.age().map_or(u32::MAX, |age| u32::try_from(age.as_millis()).unwrap_or(u32::MAX))
    }

    /// Stops Raft and the log; what is not on disk was not acknowledged.
    pub async fn stop(&self) {
        match tokio::time::timeout(STOP, self.raft.shutdown()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "Raft did not stop cleanly"),
            Err(_) => tracing::warn!("Raft did not stop in time: its disk may hang"),
        }
        let (log, audit) = (self.log.clone(), self.audit.clone());
        let close = move || {
            log.close();
            audit.inspect(|audit| audit.close());
        };
        drop(machine::blocking(close).await);
    }
}

fn out_of_time(doubt: Option<String>) -> Error {
    Error::NoQuorum(match doubt {
        Some(why) => {
            format!(
                "{why}; the write may yet take effect: retry it with the same request_id to learn its outcome"
            )
        }
        None => "no leader could be reached; nothing was applied, a retry is safe".to_owned(),
    })
}

async fn open_stores(config: &NodeConfig, metrics: &Arc<Metrics>) -> Result<(LogStore, StateStore), String> {
    let folder = config.data_dir.clone();
    let keyring = open_keyring(config).await?;
    let log_options = LogOptions {
        cache_bytes: config.storage.log_cache_mb << 20,
        keyring: keyring.clone(),
        ..LogOptions::default()
    };
    let state_options = StateOptions {
        block_cache_bytes: config.storage.block_cache_mb << 20,
        memtable_bytes: config.storage.memtable_mb << 20,
        keyring,
        ..StateOptions::default()
    };
    let observer = Arc::new(Observer(metrics.clone()));
    let opening = machine::blocking(move || {
        let log = LogStore::open(&folder, &log_options, observer.clone())?;
        let state = StateStore::open(&folder, &state_options, observer)?;
        Ok::<_, crate::storage::error::StorageError>((log, state))
    });
    opening.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
}

async fn open_keyring(config: &NodeConfig) -> Result<Arc<sealing::Keyring>, String> {
    let (folder, settings) = (config.data_dir.clone(), config.encryption.clone());
    let opening = machine::blocking(move || {
        sealing::Keyring::open(&folder, Masters::of(&settings)?, settings.data_key_days, now_ms())
    });
    let keyring = opening.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
    if !keyring.seals() {
        tracing::warn!(
            "VALUES ARE WRITTEN TO DISK IN THE CLEAR: whoever takes the disk of this node, or a copy of it, reads them. Set              encryption.key_file"
        );
    }
    Ok(keyring)
}

async fn open_audit(
    config: &NodeConfig,
    identity: &Identity,
    metrics: &Arc<Metrics>,
) -> Result<Option<Arc<Audit>>, String> {
    if !config.audit.enabled {
        tracing::warn!(
            "ACCESSES ARE NOT RECORDED: audit.enabled is false. Nobody will learn who looked at whom; keep real people's \
             data out"
        );
        return Ok(None);
    }
    let owner = Owner { cluster_id: identity.cluster_id.clone(), node_id: identity.node_id };
    let (data, settings, metrics) = (config.data_dir.clone(), config.audit.clone(), metrics.clone());
    let opened = machine::blocking(move || Audit::open(&data, owner, &settings, &metrics)).await;
    opened.map(|audit| Some(Arc::new(audit))).map_err(|error| error.to_string())
}

/// The state must reach back to what the log still holds, and must not be ahead of it.
fn fit_together(log: &LogStore, state: &StateStore) -> Result<(), String> {
    let applied = state.applied().log_id.map(|id| id.index);
    let (purged, last) = (log.purged().map(|id| id.index), log.last().map(|id| id.index));
    let advice = "Nothing on the other nodes is affected. Remove this node from the cluster, empty its folder and add \
                  it again.";
    if purged > applied {
        return Err(format!(
            "the state ends at entry {applied:?}, but the log begins after {purged:?}: parts of the \
                            folder are missing. {advice}"
        ));
    }
    // After a crash between the installation of a snapshot and the purge of the log behind it, openraft purges.
    let installed = state.snapshot().and_then(|snapshot| snapshot.index());
    if applied > last.max(purged) && applied > installed {
        return Err(format!(
            "the state is at entry {applied:?}, ahead of the log's last, {last:?}: parts of the folder \
                            are missing. {advice}"
        ));
    }
    Ok(())
}

fn openraft_config(config: &RaftConfig, identity: &Identity) -> Result<Config, openraft::ConfigError> {
    // openraft lets a follower stand after its `election_timeout_max` (the leader's lease) and then a random time
    // between its min and max. The configuration means the sum: its lease is half of the configured maximum.
    let lease = config.election_timeout_max_ms / 2;
    let least = config
        .election_timeout_min_ms
        .saturating_sub(lease)
        .max(config.heartbeat_interval_ms + 1)
        .min(lease - 1);
    Config {
        cluster_name: identity.cluster_id.clone(),
        heartbeat_interval: config.heartbeat_interval_ms,
        election_timeout_min: least,
        election_timeout_max: lease,
        // Sending and installing a whole snapshot; the default of 200 ms would never finish one.
        install_snapshot_timeout: 3_600_000,
        max_payload_entries: 1024,
        max_append_entries: Some(4096),
        replication_lag_threshold: config.keep_entries.max(1000),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.snapshot_every_entries),
        max_in_snapshot_log_to_keep: config.keep_entries,
        purge_batch_size: config.keep_entries.clamp(1, 1024),
        api_channel_size: Some(8192),
        backoff: "50ms 100ms 200ms ..1s".to_owned(),
        enable_pre_vote: Some(true),
        // With the default a restarted leader answers reads below what it acknowledged (openraft #1511).
        enable_leader_restore: Some(false),
        // Partial partitions can otherwise block elections (openraft #2080); twice the time-out is its minimum.
        quorum_loss_probe_interval: Some(2 * lease),
        ..Config::default()
    }
    .validate()
}

/// While the replica lives: keeps its age bound fresh, its metrics true, and declares a fault when Raft has died.
async fn watch_over(replica: std::sync::Weak<Replica>) {
    let mut tick = tokio::time::interval(REFRESH);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut known = None;
    loop {
        tick.tick().await;
        let Some(replica) = replica.upgrade() else { return };
        if replica.fault.is_declared() {
            replica.metrics.storage_failed.set(1);
            replica.metrics.set_raft(leader::term(&replica.raft), false, &[]);
            // It must not vote either: what it would vouch for cannot be trusted.
            replica.stop().await;
            return;
        }
        if let Err(fatal) = &replica.raft.metrics().borrow_watched().running_state {
            if !matches!(fatal, openraft::errors::Fatal::Stopped) {
                replica.fault.declare(format!(
                    "{fatal}. What it acknowledged is on the other nodes. Look at its disk, then restart it."
                ));
                continue;
            }
            return;
        }
        status::publish(&replica, &replica.metrics);
        let leads = leader::current(&replica.raft);
        if leads.is_some() && leads != known {
            replica.metrics.leader_changes_total.inc();
            known = leads;
        }
        let barrier = replica.barrier.clone();
        drop(replica);
        // Joins the rounds of the readers: an idle node asks twice a second, a busy one adds nothing.
        barrier.pass(Instant::now() + REFRESH).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::store::{Blank, Entry, LogId, entry};

    fn stores() -> (tempfile::TempDir, LogStore, StateStore) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = LogStore::open(folder.path(), &LogOptions::default(), Arc::new(())).expect("a new log");
        let state =
            StateStore::open(folder.path(), &StateOptions::default(), Arc::new(())).expect("a new state");
        (folder, log, state)
    }

    fn id(index: u64) -> LogId {
        LogId { term: 1, leader_id: 1, index }
    }

    fn apply(state: &StateStore, index: u64) {
        let payload = Some(entry::Payload::Blank(Blank {}));
        state.apply(&[Entry { log_id: Some(id(index)), payload }]).expect("applies");
    }

    #[test]
    fn a_folder_whose_parts_do_not_meet_is_refused() {
        let (_folder, log, state) = stores();
        fit_together(&log, &state).expect("both are empty");
        apply(&state, 0);
        fit_together(&log, &state).expect_err("the state is ahead of the log");
        log.purge(id(0));
        fit_together(&log, &state).expect("the log begins where the state ends");
        log.purge(id(7));
        fit_together(&log, &state).expect_err("entries between the state and the log are missing");
    }

    #[test]
    fn a_crash_between_installing_a_snapshot_and_purging_the_log_is_no_fault() {
        let (_folder, log, state) = stores();
        apply(&state, 5);
        fit_together(&log, &state).expect_err("nothing says where entry 5 came from");
        state.freeze().expect("freezes").finish().expect("a snapshot");
        fit_together(&log, &state).expect("a snapshot holds it");
    }
}
