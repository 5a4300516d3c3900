//! The typed client: one object for any number of nodes, every call retried safely until its deadline.
//!
//! ```text
//! Client ─ call ─> attempt at the endpoint that answered last
//!                    │ answer, or a rejection ───────────────> the caller
//!                    │ refused, hung, no quorum, node fault
//!                    └> next endpoint, same request id ─> ...  until the deadline
//! ```
//!
//! * **Any node will do.** Writes may be sent to every node: it carries them to the leader. So the client does not look
//!   for the leader; it stays with the endpoint that answered last and moves on when that one fails.
//! * **Why retries are safe.** A write carries a request id. The registry applies each (agency, request id) at most
//!   once and gives every repetition the first reply. A read has no effect. So both are repeated, under the same id,
//!   whenever an answer is lost. Changes of the cluster's members ([`Client::init`], [`Client::add_node`], ...) have no
//!   such id and are repeated only when they surely never left this machine.
//! * **Three outcomes.** Applied; not applied; and *unknown*, when the deadline passed after the write may have reached
//!   a node ([`ClientError::is_unknown`]). To resolve an unknown write, repeat it with the same context: its request id
//!   makes the answer that of the first.
//! * **A hung node costs one attempt.** An attempt gets [`ClientOptions::attempt_timeout`], not the whole deadline, and
//!   tells the server so.
//!
//! * **Who asks.** [`ClientOptions::certificates`] are what the nodes let in: an agency's for everything about people, an
//!   operator's for the cluster, an auditor's for the audit trail. A node must show a certificate for the host of its endpoint.
//!
//! What is deliberately absent: hedged requests, and a cache of answers.

/// Makes the future of one attempt: a stub over the channel, and its method.
macro_rules! send {
    ($self:ident, $stub:ident . $method:ident) => {{
        let limit = $self.options.max_message_bytes;
        move |channel, request| async move {
            let mut stub =
                $stub::new(channel).max_decoding_message_size(limit).max_encoding_message_size(limit);
            stub.$method(request).await
        }
    }};
}

mod access;
mod audit;
mod cluster;
mod consent;
mod credentials;
mod endpoints;
mod error;
mod import;
mod persons;
mod policy;
mod retry;
mod session;
#[cfg(test)]
mod tests;
mod uin;
mod units;
mod verification;
mod verify_stream;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use endpoints::channel;
pub use error::{ClientError, Outcome};
pub use import::ImportSession;
pub use verify_stream::VerifySession;

use crate::proto::registry::{LegalBasis, RequestContext};
use crate::tls::{Holder, Tls, TlsError};
use endpoints::Endpoints;

/// What a client shows to the nodes. Nothing: then it speaks in the clear, which only tests on one machine allow.
#[derive(Debug, Clone, Default)]
pub struct Certificates {
    /// For calls about people.
    pub agency: Option<Arc<Tls>>,
    /// For calls about the cluster.
    pub operator: Option<Arc<Tls>>,
    /// For calls about who asked about whom.
    pub auditor: Option<Arc<Tls>>,
}

impl Certificates {
    /// The certificate of an agency or an operator, as `dancu certs issue` makes its folder. Changed files are taken by the
    /// next connection.
    ///
    /// # Errors
    /// Which file cannot be used, why, and what to do.
    pub fn load(folder: &Path) -> Result<Arc<Tls>, TlsError> {
        Tls::load(folder, None).map(Arc::new)
    }

    /// True when nothing is shown.
    pub fn is_empty(&self) -> bool {
        self.agency.is_none() && self.operator.is_none() && self.auditor.is_none()
    }

    /// The agency of its certificate.
    pub fn agency_id(&self) -> Option<&str> {
        match self.agency.as_ref()?.holder() {
            Holder::Agency(id) => Some(id),
            _ => None,
        }
    }
}

/// How a client asks, and for whom.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The time a call may take in all, retries included. Default: 10 s.
    pub deadline: Duration,
    /// The time one attempt may take before the next endpoint is asked. Default: 2 s.
    pub attempt_timeout: Duration,
    /// The largest answer that is read, in bytes. Default: 16 MiB.
    pub max_message_bytes: usize,
    /// Chunks of an import that may wait for their answers at once. Default: 4, what a server works on at once.
    pub import_window: usize,
    /// Requests of a verification stream that may wait for their answers at once. Default: 64, what a server works on
    /// at once.
    pub verify_window: usize,
    /// What is shown to the nodes. Default: nothing.
    pub certificates: Certificates,
    /// The agency that asks; required for writes, and the certificate's. Default: empty.
    pub agency_id: String,
    /// The officer on whose behalf it asks. Default: empty.
    pub officer_id: String,
    /// What the data is for. Default: not stated.
    pub purpose: String,
    /// The legal basis. Default: not stated.
    pub legal_basis: LegalBasis,
    /// The consent that is relied on, with that basis. Default: empty.
    pub consent_id: String,
    /// The administrative procedure. Default: empty.
    pub procedure_code: String,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(2),
            max_message_bytes: 16 << 20,
            import_window: 4,
            verify_window: 64,
            certificates: Certificates::default(),
            agency_id: String::new(),
            officer_id: String::new(),
            purpose: String::new(),
            legal_basis: LegalBasis::Unspecified,
            consent_id: String::new(),
            procedure_code: String::new(),
        }
    }
}

/// A client of a cluster. Cheap to clone; all clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    endpoints: Arc<Endpoints>,
    options: Arc<ClientOptions>,
}

impl Client {
    /// A client of the nodes at these client addresses (`host:port`). Connects when the first call needs it, so this
    /// succeeds even while no node runs. To be called within a tokio runtime.
    ///
    /// # Errors
    /// `FIELD_INVALID` when there is no endpoint or one is not `host:port`.
    pub fn connect(endpoints: Vec<String>, options: ClientOptions) -> Result<Self, ClientError> {
        let endpoints = Endpoints::new(endpoints, options.certificates.clone())?;
        Ok(Self { endpoints: Arc::new(endpoints), options: Arc::new(options) })
    }

    /// The options this client was made with.
    pub fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// The addresses this client may ask, the one that answered last first.
    pub fn endpoints(&self) -> Vec<String> {
        self.endpoints.addresses()
    }

    /// The context of a new request: who asks and for what, by the options, and a fresh request id. Keep it to repeat
    /// a write whose outcome is unknown.
    pub fn context(&self) -> RequestContext {
        RequestContext {
            request_id: request_id(),
            agency_id: self.options.agency_id.clone(),
            officer_id: self.options.officer_id.clone(),
            purpose: self.options.purpose.clone(),
            legal_basis: self.options.legal_basis.into(),
            consent_id: self.options.consent_id.clone(),
            procedure_code: self.options.procedure_code.clone(),
            ..RequestContext::default()
        }
    }
}

/// A new, unique request id: 32 hexadecimal digits.
#[expect(
    clippy::disallowed_methods,
    reason = "the id comes with the command: it is made here, once, by the caller"
)]
pub fn request_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
