//! Mutual TLS: what both ends of a connection show each other, and what they make of it.
//!
//! ```text
//! dancu certs issue -> folder {authority.pem, node.pem, node.key, revoked.pem} -> Tls -> accept  (listeners)
//!                                        read again when they change ----------^    \-> connect (channels)
//! ```
//!
//! A certificate names its holder by a DNS name under `peers.dancu`: `central-1.peers.dancu`. Whoever connects knows which name
//! the other side must show; who accepts takes every holder of the authority and learns its name, to be compared with what
//! the calls claim. TLS 1.3 alone. Names of machines play no part: a node may move to another address and keep its
//! certificate.
//!
//! Files are read again every few seconds. What cannot be used is reported and changes nothing: the node goes on with what it
//! read before. Connections that were made stay; a node that must go is removed from the cluster, which ends its calls at
//! once.

pub mod authority;
mod error;
mod files;
mod secured;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use futures::{Stream, StreamExt};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::machine::{self, Connection};
use crate::metrics::Metrics;

pub use error::TlsError;
pub use secured::{Holder, Secured};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Handshakes under way at once; who comes further waits.
const HANDSHAKES: usize = 256;
/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// What this node shows to its peers, and whom it believes.
pub struct Tls {
    folder: PathBuf,
    name: String,
    current: RwLock<Arc<Loaded>>,
    /// What the files held when they were read last, usable or not.
    seen: Mutex<files::Content>,
}

/// Made of one reading of the files.
struct Loaded {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    /// When the certificate ends, in seconds since 1970-01-01T00:00:00Z.
    expires: u64,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("folder", &self.folder).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files of `folder`, whose certificate must be that of the node `name`.
    ///
    /// # Errors
    /// Which file cannot be used, why, and what to do.
    pub fn load(folder: &Path, name: &str) -> Result<Self, TlsError> {
        let content = files::Content::read(folder)?;
        let current = RwLock::new(Arc::new(content.load(folder, name)?));
        Ok(Self { folder: folder.to_owned(), name: name.to_owned(), current, seen: Mutex::new(content) })
    }

    fn current(&self) -> Arc<Loaded> {
        self.current.read().expect("nothing panics while it holds this lock").clone()
    }

    /// When the certificate ends, in seconds since 1970-01-01T00:00:00Z.
    pub fn expires(&self) -> u64 {
        self.current().expires
    }

    /// Reads the files again. True when they had changed.
    ///
    /// # Errors
    /// As [`Tls::load`]: what was read before stays in use. The same content is reported once.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let content = files::Content::read(&self.folder)?;
        {
            let mut seen = self.seen.lock().expect("nothing panics while it holds this lock");
            if *seen == content {
                return Ok(false);
            }
            *seen = content.clone();
        }
        let loaded = Arc::new(content.load(&self.folder, &self.name)?);
        *self.current.write().expect("nothing panics while it holds this lock") = loaded;
        Ok(true)
    }

    /// Reads the files again whenever they change, until `end`.
    pub fn watch(self: &Arc<Self>, metrics: Arc<Metrics>, end: CancellationToken) {
        let tls = self.clone();
        metrics.peer_certificate_expires_seconds.set(tls.expires());
        tokio::spawn(end.run_until_cancelled_owned(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                let reading = tls.clone();
                match machine::blocking(move || reading.reload()).await.unwrap_or(Ok(false)) {
                    Ok(true) => tracing::info!(expires = tls.expires(), "took the changed certificates"),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(%error, "the changed certificates cannot be used: going on with those before");
                    }
                }
                metrics.peer_certificate_expires_seconds.set(tls.expires());
            }
        }));
    }

    /// Makes the connections of a listener secure. Those whose handshake fails are dropped and counted.
    pub fn accept<I: Connection, S: Stream<Item = io::Result<I>> + Send + 'static>(
        self: &Arc<Self>,
        incoming: S,
        metrics: Arc<Metrics>,
    ) -> impl Stream<Item = io::Result<Secured<I>>> + Send + use<I, S> {
        let tls = self.clone();
        let handshake = move |accepted: io::Result<I>| {
            let acceptor = TlsAcceptor::from(tls.current().server.clone());
            async move {
                let stream = timeout(HANDSHAKE, acceptor.accept(accepted?)).await??;
                Secured::of(stream)
            }
        };
        incoming.map(handshake).buffer_unordered(HANDSHAKES).filter_map(move |secured| {
            let refused = secured.as_ref().err().map(ToString::to_string);
            if let Some(error) = refused {
                metrics.peer_handshakes_refused_total.inc();
                tracing::info!(error, "refused a connection of a peer");
            }
            std::future::ready(secured.ok().map(Ok))
        })
    }

    /// A channel to the node `name`, or to any peer when it is not known yet; connects at its first call, and again when a
    /// connection was lost.
    pub fn connect_lazy(self: &Arc<Self>, endpoint: &Endpoint, name: Option<&str>) -> Channel {
        let tls = self.clone();
        let name = files::dns_name(name);
        let connect = move |uri: Uri| {
            let (tls, name) = (tls.clone(), name.clone());
            async move {
                let address = uri.authority().map(ToString::to_string).unwrap_or_default();
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let name = ServerName::try_from(name).map_err(io::Error::other)?;
                let connector = TlsConnector::from(tls.current().client.clone());
                let stream = timeout(HANDSHAKE, connector.connect(name, stream)).await??;
                io::Result::Ok(TokioIo::new(stream))
            }
        };
        endpoint.connect_with_connector_lazy(tower::service_fn(connect))
    }
}
