//! One node within this process: its listeners, its servers, and their orderly end. Used by `dancu node` and, four at
//! once, by `dancu dev`.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::cluster::node_json;
use crate::config::NodeConfig;
use crate::http::{self, StatusSource};
use crate::metrics::Metrics;
use crate::raft::Node;
use crate::service;
use crate::tls::{Holder, Tls, warn_of_plaintext};

/// File descriptors besides those of clients: files of the stores, other nodes, HTTP.
const OTHER_DESCRIPTORS: u64 = 1024;

/// A node that serves.
pub struct Serving {
    node: Arc<Node>,
    stop: CancellationToken,
    clients: JoinHandle<Result<(), service::ServeError>>,
    http: Option<JoinHandle<std::io::Result<()>>>,
}

impl Serving {
    /// Listens, opens the data folder and serves. The ports are taken first: when one of them is in use, the folder is
    /// not touched.
    ///
    /// # Errors
    /// A fault that names the port or the folder and says what to do.
    pub async fn start(mut config: NodeConfig) -> Result<Self, Failure> {
        allow_descriptors(config.limits.max_connections);
        forbid_core_dumps();
        let clients = listen("client_listen", config.client_listen).await?;
        let http = match config.http_listen {
            Some(address) => Some(listen("http_listen", address).await?),
            None => None,
        };
        // From here on the addresses are those that are really bound: a configured port may have been 0.
        let bound = |listener: &TcpListener| listener.local_addr().map_err(|e| Failure::Fault(e.to_string()));
        config.client_listen = bound(&clients)?;
        config.http_listen = http.as_ref().map(bound).transpose()?;
        let tls = certificates(&config)?;
        let metrics = Arc::new(Metrics::new());
        let limits = config.limits.clone();
        let node =
            Node::start(config, metrics.clone()).await.map_err(|error| Failure::Fault(error.to_string()))?;

        let stop = CancellationToken::new();
        let service = {
            let (node, metrics, stop) = (node.clone(), metrics.clone(), stop.clone().cancelled_owned());
            tokio::spawn(async move { service::serve(node, clients, tls, &limits, metrics, stop).await })
        };
        let http = http.map(|listener| {
            let source = Arc::new(Source(node.clone()));
            tokio::spawn(http::serve(listener, source, metrics, stop.clone().cancelled_owned()))
        });
        Ok(Self { node, stop, clients: service, http })
    }

    /// Waits until the node ends its service by itself, as after a fault of its disk, and says why.
    pub async fn broken(&mut self) -> Failure {
        let forever = std::future::pending();
        let why = tokio::select! {
            fault = self.node.out_of_service() => format!("this node is out of service: {fault}"),
            ended = &mut self.clients => describe(ended),
            ended = async { match &mut self.http { Some(http) => http.await, None => forever.await } } => describe(ended),
        };
        Failure::Fault(why)
    }

    /// Stops in good order: leadership goes over, what is in flight is answered, what was acknowledged is on disk.
    pub async fn stop(self) {
        self.node.hand_over().await;
        let node = self.drain().await;
        node.shutdown().await;
    }

    /// Stops a node whose cluster stops with it: there is nobody to hand leadership to.
    pub async fn stop_with_all(self) {
        let node = self.drain().await;
        node.stop().await;
    }

    /// Takes no more requests and answers those in flight.
    async fn drain(self) -> Arc<Node> {
        self.stop.cancel();
        // How they end no longer matters: the node stops. One that has ended may have been waited for by `broken`.
        if !self.clients.is_finished() {
            drop(self.clients.await);
        }
        if let Some(http) = self.http {
            http.abort();
        }
        self.node
    }
}

/// What the node shows to clients.
fn certificates(config: &NodeConfig) -> Result<Option<Arc<Tls>>, Failure> {
    let Some(folder) = &config.client_tls else {
        warn_of_plaintext("clients are served", "ask for anything", "client_tls", config.client_listen);
        return Ok(None);
    };
    let tls = Tls::load(folder, Some(&Holder::node(&config.name)));
    tls.map(|tls| Some(Arc::new(tls))).map_err(|error| Failure::Fault(error.to_string()))
}

/// Raises the process' limit of file descriptors as far as it may itself: systems start with 1,024, for the sake of old
/// programs that use select(2).
fn allow_descriptors(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of file descriptors stays as it was");
    }
    let wanted = connections as u64 + OTHER_DESCRIPTORS;
    if let Some(current) = getrlimit(Resource::Nofile).current.filter(|current| *current < wanted) {
        tracing::warn!(
            "this process may have {current} file descriptors and limits.max_connections asks for {wanted}: raise the limit \
             (ulimit -n, LimitNOFILE=), or lower limits.max_connections"
        );
    }
}

/// A core dump would hold citizens' records and the node's keys, in a file that nobody looks after.
fn forbid_core_dumps() {
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::warn!(%error, "a crash of this process may leave citizens' records in a core dump");
    }
}

async fn listen(key: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::Fault(format!(
            "cannot listen on {address} ({key}): {error}. Nothing was touched; stop what uses the port, or change {key}"
        ))
    })
}

fn describe<E: std::fmt::Display>(ended: Result<Result<(), E>, JoinError>) -> String {
    match ended {
        Ok(Ok(())) => "a listener stopped; start the node again, nothing acknowledged is lost".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => {
            format!("a server stopped: {error}; start the node again, nothing acknowledged is lost")
        }
    }
}

/// What the node tells over HTTP.
struct Source(Arc<Node>);

impl StatusSource for Source {
    fn ready(&self) -> Result<(), String> {
        self.0.readiness()
    }

    fn status_json(&self) -> serde_json::Value {
        let status = self.0.status();
        node_json(&status, std::slice::from_ref(&status))
    }

    fn receipt_keys(&self) -> BoxFuture<'_, Result<serde_json::Value, String>> {
        Box::pin(async {
            let keys = self.0.receipt_keys().await;
            keys.map(|keys| keys.to_json()).map_err(|error| error.to_string())
        })
    }
}

/// Waits for the first SIGINT or SIGTERM. From then on a second one ends the process at once.
///
/// # Errors
/// When the system does not let the process listen to signals.
pub async fn stop_signal() -> Result<(), Failure> {
    let failed = |e| Failure::Fault(format!("cannot listen to signals: {e}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut either = async move || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    either().await;
    tokio::spawn(async move {
        either().await;
        eprintln!("dancu: stopped at once by a second signal; what was acknowledged is on disk");
        #[expect(clippy::exit, reason = "whoever asks twice does not want to wait for anything")]
        std::process::exit(130);
    });
    Ok(())
}
