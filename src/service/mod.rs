//! The gRPC server for services and operators. What happens to a request:
//!
//! ```text
//! connections          at most N, each of a client that reads its answers      connections.rs
//! handshake            mutual TLS: who is at the other end                     crate::tls
//! HTTP/2 limits        streams, header size, message size, keepalive           serve() below
//! observe              span with a correlation id, metrics, size errors        observe.rs
//! who may call what    agencies and operators, each their own methods          caller.rs
//! admission            as many as can be answered soon, the rest is refused    call.rs, lag.rs
//! deadline             the caller's, bounded; answers leave before it passes   deadline.rs
//! validation           domain::validate: a clear error before anything moves   a file or folder for each service
//! raft::Node           a write to the leader, or leave to read local state     write.rs, lookup.rs
//! storage, domain      rows of one consistent view; verdicts                   read.rs, verification/
//! answer               with ResponseMeta, or a status with its reason          meta.rs, status.rs
//! audit                of a read: recorded durably, then the answer leaves     lookup.rs
//! ```
//!
//! Rules that hold for every method:
//!
//! * **An error says what is known.** Each status carries `google.rpc.ErrorInfo` with a reason of the domain "dancu".
//!   A mismatch is a verdict and never an error; an error is never a mismatch.
//! * **Answers come within the caller's deadline**, errors included: the server works against a slightly earlier one,
//!   so that the caller reads "no majority" and not merely that its own time ran out.
//! * **A request is refused before queues grow.** What is over the limit gets RESOURCE_EXHAUSTED and a time to come back
//!   (`RetryInfo`); operators' calls and health checks are exempt, because they are needed most then.
//! * **A client that goes away harms nothing.** A write that was handed over goes on without it; its reply waits in the
//!   request table for the retry.
//! * **No personal data leaves but in an answer.** Spans, metrics and statuses hold ids of requests and agencies, names
//!   of fields and methods, never their values.
//!
//! | limit of the transport | value | why |
//! |---|---|---|
//! | largest request | `limits.max_message_bytes` | memory of one request |
//! | connections | `limits.max_connections` | descriptors and memory; a further one is closed at once |
//! | handshakes | 1,024 under way; the oldest gives way | silent connections keep nobody out |
//! | requests of one agency | `limits.max_requests_of_an_agency` | none takes the whole node |
//! | an answer nobody reads | `limits.max_unread_ms` | it stays in memory: its connection is ended |
//! | streams on one connection | 1,024 | one client cannot take all of `limits.max_requests_in_flight` |
//! | header list | 16 KiB | headers are read before anything is checked |
//! | reset streams pending | 32 | rapid-reset floods |
//! | keepalive | 30 s, answered within 10 s | half-open connections go away |
//! | time of one call | `limits.max_deadline_ms` + 5 s | the last resort: every call ends by its own deadline first |
//! | age of a connection | none | clients keep to one node; a rolling restart moves them |
//!
//! What is deliberately absent: which agency may ask for which attributes, and how often; that comes with the access policies.

mod access;
mod audit;
mod budget;
mod call;
mod caller;
mod cluster;
mod connections;
mod consent;
mod credentials;
mod deadline;
mod health;
mod lag;
mod lookup;
mod meta;
mod observe;
mod policy;
mod read;
pub(crate) mod registry;
mod shares;
mod status;
#[cfg(test)]
mod tests;
mod uin;
mod units;
mod verification;
mod write;

use std::future::Future;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::config::LimitsConfig;
use crate::machine::Connection;
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::proto::DESCRIPTORS;
use crate::proto::cluster::cluster_admin_server::ClusterAdminServer;
use crate::proto::registry::admin_units_server::AdminUnitsServer;
use crate::proto::registry::audit_server::AuditServer;
use crate::proto::registry::consent_server::ConsentServer;
use crate::proto::registry::credentials_server::CredentialsServer;
use crate::proto::registry::data_access_server::DataAccessServer;
use crate::proto::registry::eid_account_server::EidAccountServer;
use crate::proto::registry::policy_server::PolicyServer;
use crate::proto::registry::population_registry_server::PopulationRegistryServer;
use crate::proto::registry::uin_management_server::UinManagementServer;
use crate::proto::registry::verification_server::VerificationServer;
use crate::raft::Node;
use crate::tls::{Circle, Tls};
use caller::Caller;
use shares::Shares;

/// Streams on one connection at once.
const MAX_STREAMS: u32 = 1024;
/// How long open connections may take to end after the shutdown began.
const DRAIN: Duration = Duration::from_secs(5);

/// What all methods share.
pub(crate) struct Shared {
    node: Arc<Node>,
    limits: LimitsConfig,
    metrics: Arc<Metrics>,
    /// One permit for each request that may be in flight.
    gate: Arc<Semaphore>,
    /// What each agency may have of them.
    shares: Shares,
    /// What is reserved here of their quotas.
    quotas: budget::Quotas,
    /// Wrong claims that the cluster has not counted yet.
    uncounted: Arc<budget::Uncounted>,
    /// How late requests get to run.
    lag: lag::Lag,
    /// One permit for each batch of lookups that may run, and the pace at which they are done.
    batches: Arc<Semaphore>,
    batch_pace: Arc<Pace>,
    /// One permit for each chunk of an import that may be under way.
    imports: Semaphore,
    /// Set when the server shuts down: imports end, health turns bad.
    stopping: CancellationToken,
}

/// Why the server ended other than by its shutdown.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener failed. Clients find the other nodes; start this one again.
    #[error("the gRPC listener stopped: {0}. Nothing acknowledged is lost; start the node again")]
    Transport(#[from] tonic::transport::Error),
    /// The descriptors built into this program are damaged.
    #[error("the API's descriptors cannot be served: {0}. This program was built wrongly; build it again")]
    Descriptors(#[from] tonic_reflection::server::Error),
}

/// Serves clients on a bound `listener`, in the clear without `tls`, until `shutdown` ends; then stops listening, lets
/// running requests finish for at most 5 s, and returns. To be called before [`Node::shutdown`], so that what is in flight
/// can still be answered.
///
/// # Errors
/// [`ServeError`] when the listener fails.
pub async fn serve(
    node: Arc<Node>,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    limits: &LimitsConfig,
    metrics: Arc<Metrics>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let incoming =
        TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(Duration::from_secs(60)));
    serve_on(node, incoming, tls, limits, metrics, shutdown).await
}

/// As [`serve`], with clients that come on `incoming`.
pub(crate) async fn serve_on<I: Connection>(
    node: Arc<Node>,
    incoming: impl Stream<Item = io::Result<I>> + Send + 'static,
    tls: Option<Arc<Tls>>,
    limits: &LimitsConfig,
    metrics: Arc<Metrics>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let stopping = CancellationToken::new();
    let shared = Arc::new(Shared {
        node,
        limits: limits.clone(),
        metrics,
        gate: Arc::new(Semaphore::new(limits.max_requests_in_flight)),
        shares: Shares::new(limits.max_requests_of_an_agency),
        quotas: budget::Quotas::default(),
        uncounted: Arc::default(),
        lag: lag::Lag::watch(stopping.clone()),
        // One for each processor: more threads would take the processors from the tasks that read what clients send, and
        // what waits there is seen by nobody.
        batches: Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZero::get))),
        batch_pace: Pace::new(call::FEW),
        imports: Semaphore::new(registry::CHUNKS),
        stopping: stopping.clone(),
    });
    // However this function ends, nothing it started outlives it.
    let _stop = stopping.clone().drop_guard();
    let router = builder(limits).add_routes(routes(&shared, tls.is_some())?);
    let connections = connections::Connections::new(limits, &shared.metrics);
    let incoming = incoming
        .filter_map(move |accepted| std::future::ready(accepted.map(|io| connections.admit(io)).transpose()));
    let ending = shared.stopping.clone().cancelled_owned();
    let server: BoxFuture<'_, _> = match tls {
        Some(tls) => {
            tls.watch(Circle::Clients, shared.metrics.clone(), shared.stopping.clone());
            let secured = tls.accept(Circle::Clients, incoming, shared.metrics.clone());
            Box::pin(router.serve_with_incoming_shutdown(secured, ending))
        }
        None => Box::pin(router.serve_with_incoming_shutdown(incoming, ending)),
    };
    tokio::pin!(server);
    tokio::select! {
        biased;
        ended = &mut server => return Ok(ended?),
        () = shutdown => stopping.cancel(),
    }
    match timeout(DRAIN, server).await {
        Ok(ended) => Ok(ended?),
        Err(_) => {
            tracing::info!("some client connections did not end within {} s: leaving them", DRAIN.as_secs());
            Ok(())
        }
    }
}

/// The limits of the table above.
fn builder(limits: &LimitsConfig) -> Server {
    Server::builder()
        .tcp_nodelay(true)
        .timeout(Duration::from_millis(limits.max_deadline_ms) + Duration::from_secs(5))
        .concurrency_limit_per_connection(MAX_STREAMS as usize)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(16 << 10)
        .http2_max_pending_accept_reset_streams(Some(32))
        .http2_max_local_error_reset_streams(Some(256))
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_frame_size(64 << 10)
}

impl observe::Gatekeeper for Shared {
    fn welcome(&self, method: &str) -> Result<(), Status> {
        self.is_welcome(method)
    }

    fn refused(&self, method: &'static str, caller: Caller, why: Status) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.record_refusal(method, &caller, &why).await })
    }
}

/// All services behind the layer that observes them.
fn routes(shared: &Arc<Shared>, secure: bool) -> Result<Routes, ServeError> {
    let limit = shared.limits.max_message_bytes;
    // Answers are bounded where they are built (call.rs), with a better error than the transport's.
    let answer_limit = usize::MAX;
    /// A service with these limits.
    macro_rules! limited {
        ($server:ident, $service:expr) => {
            $server::new($service).max_decoding_message_size(limit).max_encoding_message_size(answer_limit)
        };
    }
    let issued = credentials::Issued::new(shared.clone());
    let routes = Routes::new(limited!(PopulationRegistryServer, registry::Registry::new(shared.clone())))
        .add_service(limited!(VerificationServer, verification::Verifier::new(shared.clone())))
        .add_service(limited!(DataAccessServer, access::Access::new(shared.clone())))
        .add_service(limited!(UinManagementServer, uin::Uin::new(shared.clone())))
        .add_service(limited!(CredentialsServer, issued.clone()))
        .add_service(limited!(EidAccountServer, issued))
        .add_service(limited!(PolicyServer, policy::Policing::new(shared.clone())))
        .add_service(limited!(ConsentServer, consent::Consents::new(shared.clone())))
        .add_service(limited!(AuditServer, audit::Trails::new(shared.clone())))
        .add_service(limited!(AdminUnitsServer, units::Units::new(shared.clone())))
        .add_service(limited!(ClusterAdminServer, cluster::Admin::new(shared.clone())))
        .add_service(health::start(shared))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok(observe::around(routes, secure, &shared.metrics, limit, shared.clone()))
}

/// Describes what this listener serves: what nodes say to each other has a listener of its own.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    health::REGISTRY
        .into_iter()
        .chain([health::ADMIN, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"])
        .fold(
            tonic_reflection::server::Builder::configure(),
            tonic_reflection::server::Builder::with_service_name,
        )
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
