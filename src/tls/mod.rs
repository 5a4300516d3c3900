//! Mutual TLS: what both ends of a connection show each other, and what they make of it.
//!
//! ```text
//! dancu certs issue -> folder {authority.pem, holder.pem, holder.key, revoked.pem} -> Tls -> accept  (listeners)
//!                                          read again when they change ----------^    \-> connect (channels)
//! ```
//!
//! There are two circles, each with an authority and a listener of its own: nodes among themselves ([`Circle::Peers`]), and
//! agencies and operators with their servers ([`Circle::Clients`]). A certificate names its [`Holder`] by a URN; the one who
//! accepts learns it, to be compared with what the calls claim. A node that connects to another expects the certificate of
//! that node, whatever its address; a client expects a server's certificate for the host that it connects to. TLS 1.3
//! alone.
//!
//! Files are read again every few seconds by a listener, and for each new connection by the one who connects. What cannot be used is reported
//! and changes nothing: it goes on with what it read before. A connection ends with the certificate that opened it: when that
//! was taken back, has ended, or comes from an authority that is believed no more.

pub mod authority;
mod error;
mod files;
mod holder;
mod pending;
mod secured;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock, Weak};
use std::time::Duration;

use futures::{Stream, StreamExt};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::machine::{self, Connection};
use crate::metrics::{ListenerLabels, Metrics};

pub use error::TlsError;
pub use holder::{Circle, Holder, Right};
use pending::Pending;
use secured::Accepted;
pub use secured::{Secured, Shown};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Handshakes under way at once; who comes further takes the place of the oldest.
const HANDSHAKES: usize = 1024;
/// Those that are at their end beside them: they gave way, or are done and not taken yet.
const ENDING: usize = 64;
/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Says in the log that a listener is in the clear, and what that means. Not on loopback, where only this machine listens.
pub fn warn_of_plaintext(who: &str, what: &str, key: &str, bound: SocketAddr) {
    if !bound.ip().is_loopback() {
        tracing::warn!(
            "{who} in the clear, because the configuration says plaintext = true: whoever reaches {bound} can {what}, and whoever \
             sees the network reads everything. Set {key}; `dancu certs` makes what it needs"
        );
    }
}

/// What one end shows to the others of a circle, and whom it believes.
pub struct Tls {
    folder: PathBuf,
    holder: Holder,
    current: RwLock<Arc<Loaded>>,
    /// What the files held when they were read last, usable or not.
    seen: Mutex<files::Content>,
    /// The connections that were accepted.
    accepted: Mutex<Vec<Weak<Accepted>>>,
}

/// Made of one reading of the files.
struct Loaded {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    /// Judges the certificates of those who connect, as `server` does.
    judge: Arc<dyn ClientCertVerifier>,
    holder: Holder,
    /// When the certificate ends, in seconds since 1970-01-01T00:00:00Z.
    expires: u64,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("folder", &self.folder)
            .field("holder", &self.holder)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files of `folder`, whose certificate must be that of `wanted`, or may be anybody's when that is not known.
    ///
    /// # Errors
    /// Which file cannot be used, why, and what to do.
    pub fn load(folder: &Path, wanted: Option<&Holder>) -> Result<Self, TlsError> {
        let content = files::Content::read(folder)?;
        let loaded = content.load(folder, wanted)?;
        let holder = loaded.holder.clone();
        let current = RwLock::new(Arc::new(loaded));
        Ok(Self {
            folder: folder.to_owned(),
            holder,
            current,
            seen: Mutex::new(content),
            accepted: Mutex::default(),
        })
    }

    /// Whose certificate it is.
    pub fn holder(&self) -> &Holder {
        &self.holder
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
        let loaded = Arc::new(content.load(&self.folder, Some(&self.holder))?);
        *self.current.write().expect("nothing panics while it holds this lock") = loaded;
        Ok(true)
    }

    /// Reads the files again, and goes on with what was read before when they cannot be used.
    async fn refresh(self: &Arc<Self>) {
        let tls = self.clone();
        match machine::blocking(move || tls.reload()).await.unwrap_or(Ok(false)) {
            Ok(true) => {
                tracing::info!(expires = self.expires(), holder = %self.holder, "took the changed certificates");
                self.judge_again();
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "the changed certificates cannot be used: going on with those before");
            }
        }
    }

    /// Ends the connections whose certificates would not be accepted any more.
    fn judge_again(&self) {
        let judge = self.current().judge.clone();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(files::now()));
        self.end_connections(|accepted| {
            let judged = judge.verify_client_cert(&accepted.certificate, &[], now);
            judged.err().map(|error| error.to_string())
        });
    }

    /// Ends the connections whose certificates have ended.
    fn end_expired(&self) {
        let now = files::now();
        self.end_connections(|accepted| {
            (accepted.expires <= now).then(|| "the certificate has ended".to_owned())
        });
    }

    fn end_connections(&self, why: impl Fn(&Accepted) -> Option<String>) {
        let mut all = self.accepted.lock().expect("nothing panics while it holds this lock");
        all.retain(|accepted| {
            let Some(accepted) = accepted.upgrade() else { return false };
            let Some(why) = why(&accepted) else { return true };
            tracing::info!(holder = %accepted.holder, why, "ended a connection");
            accepted.end.cancel();
            false
        });
    }

    /// Reads the files of a listener again whenever they change, until `end`.
    pub fn watch(self: &Arc<Self>, circle: Circle, metrics: Arc<Metrics>, end: CancellationToken) {
        let tls = self.clone();
        let labels = ListenerLabels { listener: circle.name() };
        tokio::spawn(end.run_until_cancelled_owned(async move {
            loop {
                metrics.certificate_expires_seconds.get_or_create(&labels).set(tls.expires());
                tokio::time::sleep(LOOK).await;
                tls.refresh().await;
                tls.end_expired();
            }
        }));
    }

    /// Makes the connections of a listener secure. Those whose handshake fails, or whose holder is not of its circle, are
    /// dropped and counted.
    pub fn accept<I: Connection, S: Stream<Item = io::Result<I>> + Send + 'static>(
        self: &Arc<Self>,
        circle: Circle,
        incoming: S,
        metrics: Arc<Metrics>,
    ) -> impl Stream<Item = io::Result<Secured<I>>> + Send + use<I, S> {
        let (tls, pending) = (self.clone(), Pending::new(HANDSHAKES));
        let handshake = move |accepted: io::Result<I>| {
            let (tls, place) = (tls.clone(), pending.begin());
            async move {
                let before = tls.current();
                let acceptor = TlsAcceptor::from(before.server.clone());
                let shaking = async { timeout(HANDSHAKE, acceptor.accept(accepted?)).await? };
                let stream = place.hold(shaking).await?;
                let secured = Secured::of(stream, circle)?;
                tls.accepted
                    .lock()
                    .expect("nothing panics while it holds this lock")
                    .push(secured.accepted());
                // What was taken back during the handshake was not seen by it.
                if !Arc::ptr_eq(&before, &tls.current()) {
                    tls.judge_again();
                }
                io::Result::Ok(secured)
            }
        };
        incoming.map(handshake).buffer_unordered(HANDSHAKES + ENDING).filter_map(move |secured| {
            if let Err(error) = &secured {
                let listener = circle.name();
                metrics.handshakes_refused_total.get_or_create(&ListenerLabels { listener }).inc();
                tracing::info!(%error, listener, "refused a connection");
            }
            std::future::ready(secured.ok().map(Ok))
        })
    }

    /// A channel to the node `name`, or to any peer when it is not known yet; connects at its first call, and again when a
    /// connection was lost.
    pub fn connect_to_peer(self: &Arc<Self>, endpoint: &Endpoint, name: Option<&str>) -> Channel {
        let name = files::dns_name(name);
        self.connect(endpoint, move |_| name.clone())
    }

    /// A channel to a server whose certificate is for the host of the endpoint. Changed files are taken before each connection.
    pub fn connect_to_host(self: &Arc<Self>, endpoint: &Endpoint) -> Channel {
        let host = |uri: &Uri| uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        self.connect(endpoint, host)
    }

    fn connect(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        expected: impl Fn(&Uri) -> String + Send + Sync + 'static,
    ) -> Channel {
        let tls = self.clone();
        let connect = move |uri: Uri| {
            let (tls, name) = (tls.clone(), expected(&uri));
            async move {
                let address = uri.authority().map(ToString::to_string).unwrap_or_default();
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                tls.refresh().await;
                let name = ServerName::try_from(name).map_err(io::Error::other)?;
                let connector = TlsConnector::from(tls.current().client.clone());
                let stream = timeout(HANDSHAKE, connector.connect(name, stream)).await??;
                io::Result::Ok(TokioIo::new(stream))
            }
        };
        endpoint.connect_with_connector_lazy(tower::service_fn(connect))
    }
}
