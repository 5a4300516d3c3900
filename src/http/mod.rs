//! What operators and their tools ask a node over HTTP: metrics, health, status.
//!
//! | path | answer |
//! |---|---|
//! | /metrics | all metrics, OpenMetrics text |
//! | /healthz | 200 as long as the process answers: is a restart needed? |
//! | /readyz | 200, or 503 with the reason: should this node get requests? |
//! | /status | the node's status, JSON |
//! | /.well-known/jwks.json | the public keys of all receipts of the cluster, for whoever checks one: JSON Web Key Set |
//! | / | this table |
//!
//! Nothing here writes to the log: a log sink that blocks must neither hang a health check nor be hidden by one
//! (etcd #22214 is both). Nothing here takes a lock that serving takes, and no answer holds a citizen's data.
//!
//! What is deliberately absent: anything that changes the node, and TLS.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::future::BoxFuture;
use tokio::net::TcpListener;

use crate::metrics::{self, Metrics};

const INDEX: &str = "\
dancu node

/metrics  metrics, OpenMetrics text
/healthz  200 as long as the process answers
/readyz   200, or 503 with the reason
/status   the node's status, JSON
/.well-known/jwks.json  the public keys of all receipts of the cluster
";

/// What a node tells about itself. Implemented by the node; answers from memory, without waiting, but for the keys.
pub trait StatusSource: Send + Sync + 'static {
    /// Whether the node should get requests.
    ///
    /// # Errors
    /// The reason why not, in one line, without a citizen's data.
    fn ready(&self) -> Result<(), String>;

    /// The node's status as it is shown by `dancu cluster status --json`.
    fn status_json(&self) -> serde_json::Value;

    /// The public keys of receipts, as this node knows them; from its disk.
    ///
    /// # Errors
    /// Why there are none, in one line.
    fn receipt_keys(&self) -> BoxFuture<'_, Result<serde_json::Value, String>>;
}

#[derive(Clone)]
struct Shared {
    source: Arc<dyn StatusSource>,
    metrics: Arc<Metrics>,
}

/// Serves until `shutdown` is done and the answers under way are sent.
///
/// # Errors
/// That of the listener, when it can accept no more connections.
pub async fn serve(
    listener: TcpListener,
    source: Arc<dyn StatusSource>,
    metrics: Arc<Metrics>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let routes = Router::new()
        .route("/", get(|| async { INDEX }))
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .route("/.well-known/jwks.json", get(receipt_keys))
        .with_state(Shared { source, metrics });
    axum::serve(listener, routes).with_graceful_shutdown(shutdown).await
}

async fn metrics_text(State(shared): State<Shared>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], shared.metrics.encode())
}

async fn ready(State(shared): State<Shared>) -> (StatusCode, String) {
    match shared.source.ready() {
        Ok(()) => (StatusCode::OK, "ready\n".to_string()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn status(State(shared): State<Shared>) -> Json<serde_json::Value> {
    Json(shared.source.status_json())
}

async fn receipt_keys(State(shared): State<Shared>) -> Result<Response, (StatusCode, String)> {
    let keys = shared.source.receipt_keys().await;
    let unknown = |reason| (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n"));
    Ok(([(CONTENT_TYPE, "application/jwk-set+json")], keys.map_err(unknown)?.to_string()).into_response())
}

#[cfg(test)]
mod tests;
