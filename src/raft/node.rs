//! A node: waits for a cluster, takes part in one, stops in good order.
//!
//! ```text
//! start -> no IDENTITY in the folder -> waiting -- Peer.Adopt (by Init or AddNode of a cluster) --> replica
//!       -> IDENTITY ------------------------------------------------------------------------------> replica
//! ```
//!
//! A node's id comes from the cluster, never from its configuration: a node whose folder was lost waits again and
//! cannot vote under its old id.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::Stream;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

use crate::audit::Audit;
use crate::config::{NodeConfig, Role};
use crate::domain::policy::Policies;
use crate::machine::{self, Connection};
use crate::metrics::Metrics;
use crate::proto::cluster::{Member, NodeRole, NodeStatus};
use crate::proto::registry::{Checkpoint, LogCoverage};
use crate::proto::store::{Command, Reply};
use crate::raft::error::Error;
use crate::raft::leader;
use crate::raft::peer::server;
use crate::raft::read::{ReadMode, Reading};
use crate::raft::receipts;
use crate::raft::replica::Replica;
use crate::raft::status;
use crate::raft::trail;
use crate::receipt::{KeySet, Keyring};
use crate::storage::data_dir::{DataDir, Identity};
use crate::storage::sealing::Masters;
use crate::storage::state::Digest;
use crate::tls::{Circle, Holder, Tls, warn_of_plaintext};

/// How often a snapshot is asked for until there is one.
const SNAPSHOT_ASKED: Duration = Duration::from_millis(500);

/// How long a stopping leader waits for its successor.
const HAND_OVER: Duration = Duration::from_secs(3);

/// How long calls of peers may take to end.
const PEERS_END: Duration = Duration::from_secs(1);

/// Why a node did not start. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The folder, the log or the state cannot be used.
    #[error("{0}")]
    Storage(#[from] crate::storage::error::StorageError),
    /// The files of `peer_tls` cannot be used.
    #[error("{0}")]
    Tls(#[from] crate::tls::TlsError),
    /// The peer listener cannot be bound.
    #[error(
        "cannot listen for peers on {address}: {source}. Stop what uses the port, or change peer_listen."
    )]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// The replica did not open.
    #[error("{0}")]
    Replica(String),
}

/// What every answer says about the node that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The cluster, empty while the node waits.
    pub cluster_id: String,
    /// The node's name.
    pub name: String,
    /// The Raft term as it knows it.
    pub term: u64,
}

/// One node of a cluster.
pub struct Node {
    config: NodeConfig,
    member: Member,
    metrics: Arc<Metrics>,
    /// What it shows to its peers; nothing when they speak in the clear.
    pub(super) tls: Option<Arc<Tls>>,
    folder: tokio::sync::Mutex<DataDir>,
    replica: OnceLock<Arc<Replica>>,
    /// Set by `hand_over`: new work goes elsewhere.
    stopping: OnceLock<()>,
    /// Ends the peer listener and its streams.
    peers_end: CancellationToken,
    peers: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Node {
    /// Opens the folder, listens for peers, and takes part in the cluster that the folder belongs to, if any.
    ///
    /// # Errors
    /// [`StartError`]: nothing was damaged.
    pub async fn start(config: NodeConfig, metrics: Arc<Metrics>) -> Result<Arc<Self>, StartError> {
        let me = Holder::node(&config.name);
        let tls = config.peer_tls.as_deref().map(|folder| Tls::load(folder, Some(&me))).transpose()?;
        // A node that waits for a cluster does not use them yet: it would only find out when it is taken into one.
        Masters::of(&config.encryption)?;
        let folder = DataDir::open(&config.data_dir, &config.name)?;
        let address = config.peer_listen;
        let listener =
            TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
        let bound = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        match tls.map(Arc::new) {
            Some(tls) => {
                let secured = tls.accept(Circle::Peers, incoming, metrics.clone());
                Self::start_on(config, metrics, folder, bound, secured, Some(tls)).await
            }
            None => {
                warn_of_plaintext("nodes speak", "act as one", "peer_tls", bound);
                Self::start_on(config, metrics, folder, bound, incoming, None).await
            }
        }
    }

    /// As [`Node::start`], with the folder open and peers that come on `incoming`, at the address `bound`, secure if there is
    /// `tls`.
    pub(crate) async fn start_on<I: Connection>(
        config: NodeConfig,
        metrics: Arc<Metrics>,
        folder: DataDir,
        bound: SocketAddr,
        incoming: impl Stream<Item = io::Result<I>> + Send + 'static,
        tls: Option<Arc<Tls>>,
    ) -> Result<Arc<Self>, StartError> {
        let identity = folder.identity();
        let member = Member {
            node_id: identity.as_ref().map_or(0, |identity| identity.node_id),
            name: config.name.clone(),
            role: role(config.role).into(),
            peer_address: config.peer_address(bound),
            client_address: config.client_address(config.client_listen),
        };
        let node = Arc::new(Self {
            config,
            member,
            metrics,
            tls,
            folder: tokio::sync::Mutex::new(folder),
            replica: OnceLock::new(),
            stopping: OnceLock::new(),
            peers_end: CancellationToken::new(),
            peers: tokio::sync::Mutex::default(),
        });
        match identity {
            Some(identity) => node.take_part(identity).await.map_err(StartError::Replica)?,
            None => {
                tracing::info!(peer_address = %node.member.peer_address, "waiting to be adopted by a cluster");
            }
        }
        if let Some(tls) = &node.tls {
            tls.watch(Circle::Peers, node.metrics.clone(), node.peers_end.clone());
        }
        let serving = tokio::spawn(server::serve(node.clone(), incoming, node.peers_end.clone()));
        *node.peers.lock().await = Some(serving);
        Ok(node)
    }

    async fn take_part(&self, identity: Identity) -> Result<(), String> {
        tracing::info!(cluster_id = %identity.cluster_id, node_id = identity.node_id, "taking part in the cluster");
        let member = Member { node_id: identity.node_id, ..self.member.clone() };
        let replica =
            Replica::open(&self.config, identity, member, self.metrics.clone(), self.tls.clone()).await?;
        self.replica.set(replica).map_err(|_| "this node takes part in a cluster already".to_owned())
    }

    /// Gives a waiting node its identity; done again with the same one, it changes nothing.
    ///
    /// # Errors
    /// [`Error::ClusterState`] when it has another identity.
    pub async fn adopt(self: &Arc<Self>, cluster_id: String, node_id: u64) -> Result<(), Error> {
        let letters = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if cluster_id.is_empty() || cluster_id.len() > 64 || !letters(&cluster_id) {
            return Err(Error::invalid("cluster_id", "1 to 64 letters, digits and hyphens"));
        }
        // In a task of its own: a caller that goes away must not leave an identity without a replica.
        let node = self.clone();
        let adopting = tokio::spawn(async move { node.adopt_whole(cluster_id, node_id).await });
        adopting.await.map_err(|error| Error::Fault(error.to_string()))?
    }

    async fn adopt_whole(&self, cluster_id: String, node_id: u64) -> Result<(), Error> {
        let folder = self.folder.lock().await;
        if let Some(identity) = folder.identity() {
            if identity.cluster_id == cluster_id && identity.node_id == node_id {
                if self.replica.get().is_some() {
                    return Ok(());
                }
                return self.take_part(identity).await.map_err(Error::Fault);
            }
            return Err(Error::ClusterState(format!(
                "{} is node {} of cluster {} already; to use it elsewhere, stop it and give it an empty folder",
                identity.name, identity.node_id, identity.cluster_id
            )));
        }
        let identity = Identity { cluster_id, node_id, name: self.member.name.clone() };
        folder.adopt(identity.clone()).map_err(|error| Error::Fault(error.to_string()))?;
        self.take_part(identity).await.map_err(Error::Fault)
    }

    /// Whether this node holds anything of its cluster's log or state.
    pub fn formed(&self) -> bool {
        self.replica.get().is_some_and(|replica| {
            replica.log.last().is_some()
                || replica.log.vote().is_some()
                || replica.state.applied().log_id.is_some()
        })
    }

    /// What this node measures.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// This node's description; its id is 0 while it waits.
    pub fn member(&self) -> Member {
        self.replica.get().map_or_else(|| self.member.clone(), |replica| replica.member.clone())
    }

    /// The replica, once the node has an identity.
    ///
    /// # Errors
    /// [`Error::NotReady`] while it waits or stops.
    pub fn replica(&self) -> Result<&Arc<Replica>, Error> {
        let waiting =
            "it waits for a cluster: form one with `dancu cluster init` or add it with `dancu cluster add`";
        self.replica.get().ok_or_else(|| Error::NotReady(waiting.to_owned()))
    }

    /// Where accesses are recorded: nowhere while the node waits, which answers nothing then, or when that is off.
    pub fn audit(&self) -> Option<&Arc<Audit>> {
        self.replica.get().and_then(|replica| replica.audit.as_ref())
    }

    /// What signs receipts: nothing while the node waits, or where accesses are not recorded.
    pub fn receipts(&self) -> Option<&Arc<Keyring>> {
        self.replica.get().and_then(|replica| replica.receipts.as_ref())
    }

    /// The public keys of all receipts of this cluster, as far as this node has applied them: the set to be published.
    ///
    /// # Errors
    /// [`Error::NotReady`] while it waits for a cluster; [`Error::Fault`] when the disk fails.
    pub async fn receipt_keys(&self) -> Result<KeySet, Error> {
        let replica = self.replica()?;
        let (state, cluster_id) = (replica.state.clone(), replica.identity.cluster_id.clone());
        let read = machine::blocking(move || state.receipt_keys()).await;
        let rows = read.map_err(|e| Error::Fault(e.to_string()))?.map_err(|e| Error::Fault(e.to_string()))?;
        Ok(KeySet::of(cluster_id, rows))
    }

    /// Has this node sign receipts with a new key; see [`receipts::rotate`].
    ///
    /// # Errors
    /// See [`receipts::rotate`].
    pub async fn rotate_receipt_key(&self, deadline: Instant) -> Result<(String, u64), Error> {
        receipts::rotate(self.replica()?, deadline).await
    }

    /// The newest checkpoint of a node's audit log that the cluster agreed on. Of this node's own one is made now, by
    /// `deadline`, when there are records that none covers.
    ///
    /// # Errors
    /// As [`Replica::write`] for this node's own; [`Error::Fault`] when the disk fails.
    pub async fn audit_checkpoint(
        &self,
        node_id: u64,
        deadline: Instant,
    ) -> Result<Option<Checkpoint>, Error> {
        let replica = self.replica()?;
        match &replica.audit {
            Some(audit) if audit.owner().node_id == node_id => {
                trail::checkpoint(replica, audit, deadline).await
            }
            _ => replica.state.audit_checkpoint(node_id).map_err(|error| Error::Fault(error.to_string())),
        }
    }

    /// Fetches what the other nodes have recorded, as far as they can be reached by `deadline`, and says how much of each
    /// log is here.
    ///
    /// # Errors
    /// [`Error::ClusterState`] on a node that does not vote: it holds its own log alone.
    pub async fn fetch_audit(&self, deadline: Instant) -> Result<Vec<LogCoverage>, Error> {
        trail::gather(self.replica()?, deadline).await
    }

    /// What answers say about this node.
    pub fn about(&self) -> About {
        let cluster_id = self.replica.get().map(|replica| replica.identity.cluster_id.clone());
        let term = self.replica.get().map_or(0, |replica| leader::term(&replica.raft));
        About { cluster_id: cluster_id.unwrap_or_default(), name: self.member.name.clone(), term }
    }

    /// Gets a command applied and returns its reply; see [`Replica::write`].
    ///
    /// # Errors
    /// See [`Replica::write`].
    pub async fn write(&self, command: Command, deadline: Instant) -> Result<Reply, Error> {
        self.replica()?.write(command, deadline).await
    }

    /// All agencies, procedures and policies, as far as this node has applied them.
    ///
    /// # Errors
    /// [`Error::NotReady`] while the node waits for a cluster.
    pub fn policies(&self) -> Result<Arc<Policies>, Error> {
        Ok(self.replica()?.state.view().policies().clone())
    }

    /// Waits until local state may be read; see [`Replica::read`].
    ///
    /// # Errors
    /// See [`Replica::read`].
    pub async fn read(&self, mode: ReadMode, deadline: Instant) -> Result<Reading, Error> {
        self.metrics.count_read(match mode {
            ReadMode::Linearizable => "linearizable",
            ReadMode::AtLeast(_) => "at_least",
            ReadMode::BoundedStale(_) => "bounded_stale",
            ReadMode::AsOf(_) => "as_of",
        });
        self.replica()?.read(mode, deadline).await
    }

    /// Returns why this node went out of service, once it did.
    pub async fn out_of_service(&self) -> String {
        loop {
            match self.replica.get() {
                Some(replica) => return replica.fault.declared().await,
                None => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }

    /// Whether services should send requests here.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn readiness(&self) -> Result<(), String> {
        if self.stopping.get().is_some() {
            return Err("this node is stopping".to_owned());
        }
        let replica = self.replica().map_err(|error| error.to_string())?;
        replica.in_service().map_err(|error| error.to_string())?;
        // A node that is cut off later stays ready: it goes on serving bounded-stale reads.
        replica
            .barrier
            .age()
            .map(drop)
            .ok_or_else(|| "no leader has confirmed this node's state yet".to_owned())
    }

    /// The state of this node.
    pub fn status(&self) -> NodeStatus {
        match self.replica.get() {
            Some(replica) => status::of(replica, &self.http_address()),
            None => status::waiting(self.member.clone(), &self.http_address()),
        }
    }

    /// The state of this node and of every other member, as it can reach them.
    pub async fn cluster_status(&self) -> Vec<NodeStatus> {
        let Some(replica) = self.replica.get() else { return vec![self.status()] };
        let others = leader::members(&replica.raft).into_iter();
        let others = others.filter(|(member, _)| member.node_id != replica.identity.node_id);
        let asked = others.map(|(member, voter)| async move {
            match replica.calls.status(&member).await {
                Ok(status) => status::as_member(status, member, voter),
                Err(error) => status::unreachable(member, voter, error.message().to_owned()),
            }
        });
        let mut all = vec![self.status()];
        all.extend(futures::future::join_all(asked).await);
        all
    }

    fn http_address(&self) -> String {
        self.config.http_listen.map(|address| address.to_string()).unwrap_or_default()
    }

    /// Builds a snapshot now and returns the index of its last entry.
    ///
    /// # Errors
    /// [`Error::NotReady`], [`Error::Fault`], or [`Error::Deadline`] when it is not built by `deadline`.
    pub async fn trigger_snapshot(&self, deadline: Instant) -> Result<u64, Error> {
        let replica = self.replica()?;
        let wanted = replica.state.applied().log_id.map_or(0, |log_id| log_id.index);
        loop {
            // Asked again: while one is being built that began before, Raft begins no other and forgets that it was asked.
            replica.raft.trigger().snapshot().await.map_err(|fatal| Error::Fault(fatal.to_string()))?;
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = replica.raft.wait(Some(left.min(SNAPSHOT_ASKED)));
            let built = wait.metrics(
                |metrics| metrics.snapshot.is_some_and(|log_id| log_id.index >= wanted),
                "a snapshot of everything applied",
            );
            match built.await {
                Ok(metrics) => return Ok(metrics.snapshot.map_or(0, |log_id| log_id.index)),
                Err(_) if left > SNAPSHOT_ASKED => {}
                Err(_) => return Err(Error::Deadline("the snapshot is still being built".to_owned())),
            }
        }
    }

    /// Waits for a revision and digests everything that this node holds.
    ///
    /// # Errors
    /// [`Error::Deadline`] when the revision is not applied by `deadline`; [`Error::Fault`] when the disk fails.
    pub async fn digest(&self, at_least_revision: u64, deadline: Instant) -> Result<Digest, Error> {
        let state = self.replica()?.state.clone();
        let mut watch = state.watch();
        let reached = watch.wait_for(|mark| mark.revision >= at_least_revision);
        match tokio::time::timeout_at(deadline, reached).await {
            Ok(Ok(_)) => {}
            _ => {
                return Err(Error::Deadline(format!("revision {at_least_revision} is not applied here yet")));
            }
        }
        let digested = machine::blocking(move || state.digest()).await;
        digested.map_err(|e| Error::Fault(e.to_string()))?.map_err(|e| Error::Fault(e.to_string()))
    }

    /// Refuses new work as far as health says so, and hands leadership over if this node leads.
    pub async fn hand_over(&self) {
        // Set once; a second signal changes nothing.
        let _ = self.stopping.set(());
        let Some(replica) = self.replica.get() else { return };
        if replica.leads() {
            match tokio::time::timeout(HAND_OVER, replica.transfer(0)).await {
                Ok(Ok(successor)) => tracing::info!(successor, "handed leadership over"),
                Ok(Err(error)) => tracing::warn!(%error, "stops as the leader: the others elect a new one"),
                Err(_) => tracing::warn!("no successor in time: the others elect a new leader"),
            }
        }
    }

    /// Stops in good order: leadership first, then as [`Node::stop`].
    pub async fn shutdown(&self) {
        self.hand_over().await;
        self.stop().await;
    }

    /// Stops peers, Raft and the log without handing leadership over: for nodes that all stop together. What was
    /// acknowledged is on disk.
    pub async fn stop(&self) {
        // Set once; it may be set already.
        let _ = self.stopping.set(());
        // Peers first: one that went on appending to a stopped Raft would find it out the loud way.
        self.peers_end.cancel();
        if let Some(serving) = self.peers.lock().await.take() {
            let abort = serving.abort_handle();
            if tokio::time::timeout(PEERS_END, serving).await.is_err() {
                abort.abort();
            }
        }
        if let Some(replica) = self.replica.get() {
            replica.stop().await;
        }
    }
}

fn role(role: Role) -> NodeRole {
    match role {
        Role::Central => NodeRole::Central,
        Role::Provincial => NodeRole::Provincial,
    }
}
