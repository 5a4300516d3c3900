//! The layer around all services: who calls and whether they may (caller.rs), a span with a correlation id, the metrics of
//! each call, the errors that tonic gives by itself put into this API's terms, and an eye on whether the answer is read
//! (connections.rs).
//!
//! The correlation id is the caller's `dancu-correlation-id`, else the request id, else a new one. Ids reach a span only
//! after they were checked to be short and printable, so that nobody writes lines into the log. The method of a span or
//! a metric is a name of the API, never what the client sent.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap};
use axum::middleware::{self, Next};
use axum::response::Response;
use futures::future::BoxFuture;
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::service::Routes;
use tonic::{Code, Status};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::caller::{self, Caller, For};
use super::connections::{Unread, Watched};
use super::status;
use crate::metrics::Metrics;
use crate::proto::DESCRIPTORS;
use crate::proto::registry::{ErrorReason, RequestContext};
use crate::tls::Shown;

/// The metadata key of a caller's correlation id, at most 64 characters of printable ASCII.
const CORRELATION: &str = "dancu-correlation-id";
/// The longest correlation id taken.
const MAX_CORRELATION: usize = 64;
/// The method of calls that are none of the API's.
pub(super) const OTHER: &str = "other";
/// Streams are counted by their parts, because how long a stream lasts says nothing: this one by its chunks.
pub(super) const IMPORT: &str = "PopulationRegistry/Import";
/// This one by its requests.
pub(super) const VERIFY_STREAM: &str = "Verification/VerifyStream";
/// Those whose lookups run on a thread of their own (`Call::run_batch`), of which there are few.
pub(super) const BATCHES: [&str; 5] = [
    "DataAccess/ReadHousehold",
    "PopulationRegistry/BatchReadPersons",
    "PopulationRegistry/FindPersons",
    "PopulationRegistry/ReadPersonHistory",
    "Verification/BatchVerify",
];

/// A method of the API.
struct Method {
    /// Its name in metrics and spans.
    name: String,
    /// Who may call it.
    whom: Option<For>,
}

/// The methods of other people's services that are served here.
const COMMON: [(&str, &str); 5] = [
    ("grpc.health.v1", "Health/Check"),
    ("grpc.health.v1", "Health/Watch"),
    ("grpc.health.v1", "Health/List"),
    ("grpc.reflection.v1", "ServerReflection/ServerReflectionInfo"),
    ("grpc.reflection.v1alpha", "ServerReflection/ServerReflectionInfo"),
];

/// Path of a call -> the method, for every method that is served.
static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
    let set = FileDescriptorSet::decode(DESCRIPTORS).expect("the build wrote these descriptors");
    let own = |name: &str| Method { name: name.to_owned(), whom: caller::whom(name) };
    let mut methods = HashMap::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let name = format!("{}/{}", service.name(), method.name());
                methods.insert(format!("/{}.{name}", file.package()), own(&name));
            }
        }
    }
    // Peers have a listener of their own: their methods are never called here.
    methods.retain(|_, method| !method.name.starts_with("Peer/"));
    methods.extend(COMMON.map(|(package, name)| (format!("/{package}.{name}"), own(name))));
    methods
});

/// What the layer asks of the service.
pub(super) trait Gatekeeper: Send + Sync + 'static {
    /// Whether a call of this method may begin now; the refusal when not.
    fn welcome(&self, method: &str) -> Result<(), Status>;

    /// Notes that a call was refused because the method, or what it would have changed, is not for the caller.
    fn refused(&self, method: &'static str, caller: Caller, why: Status) -> BoxFuture<'_, ()>;
}

/// What the layer needs.
#[derive(Clone)]
struct Observer {
    /// Whether each caller has shown a certificate.
    secure: bool,
    metrics: Arc<Metrics>,
    max_message_bytes: usize,
    gatekeeper: Arc<dyn Gatekeeper>,
}

/// Puts the layer around the services of a listener, which is `secure` or in the clear. `max_message_bytes` is what they decode
/// at most; `gatekeeper` says which calls reach them.
pub(super) fn around(
    routes: Routes,
    secure: bool,
    metrics: &Arc<Metrics>,
    max_message_bytes: usize,
    gatekeeper: Arc<dyn Gatekeeper>,
) -> Routes {
    let observer = Observer { secure, metrics: metrics.clone(), max_message_bytes, gatekeeper };
    let layer = middleware::from_fn_with_state(observer, call);
    Routes::from(routes.into_axum_router().layer(layer))
}

/// Marks a request whose caller named its correlation id.
#[derive(Debug, Clone, Copy)]
struct Correlated;

/// True when the caller named a correlation id, which is in the span then.
pub(super) fn is_correlated(extensions: &tonic::Extensions) -> bool {
    extensions.get::<Correlated>().is_some()
}

/// Names the request in the current span, once its context was validated.
pub(super) fn identify(context: &RequestContext, agency_id: &str, correlated: bool) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    span.record("request_id", context.request_id.as_str());
    span.record("agency_id", agency_id);
    if correlated {
        return;
    }
    if context.request_id.is_empty() {
        span.record("correlation_id", new_correlation());
    } else {
        span.record("correlation_id", context.request_id.as_str());
    }
}

/// The span of one part of a stream, within the stream's own: parts have ids of their own.
pub(super) fn part_span(stream: &Span) -> Span {
    tracing::info_span!(parent: stream, "part", request_id = Empty, agency_id = Empty)
}

#[expect(clippy::disallowed_methods, reason = "it names a call in this node's log and is never replicated")]
fn new_correlation() -> String {
    // Not from the system's source, as a UUID's would be: that is a system call for each read.
    format!("{:032x}", rand::random::<u128>())
}

async fn call(State(observer): State<Observer>, mut request: Request, next: Next) -> Response {
    let known = METHODS.get(request.uri().path());
    let method = known.map_or(OTHER, |known| known.name.as_str());
    let span =
        tracing::info_span!("call", method, correlation_id = Empty, request_id = Empty, agency_id = Empty);
    if let Some(correlation) = correlation(request.headers()) {
        span.record("correlation_id", correlation);
        request.extensions_mut().insert(Correlated);
    }
    let (caller, unread) = take_caller(request.extensions_mut(), observer.secure);
    let writer = caller.clone().filter(|_| known.is_some_and(|method| method.whom == Some(For::Writers)));
    let mut record =
        (!matches!(method, IMPORT | VERIFY_STREAM)).then(|| Record::start(&observer.metrics, method));
    // Before its message is read and decoded: to refuse has to be cheap when there is too much to do.
    let response = match observer.admit(known, caller.as_ref()).await {
        Ok(()) => {
            caller.map(|caller| request.extensions_mut().insert(caller));
            next.run(request).instrument(span.clone()).await
        }
        Err(refusal) => refusal.into_http(),
    };
    let response = in_our_terms(response, observer.max_message_bytes);
    observer.note_refusal(known, writer, response.headers()).await;
    if let Some(record) = &mut record {
        record.code = code_of(response.headers());
        let (code, elapsed) = (name(record.code), record.started.elapsed());
        span.in_scope(|| tracing::debug!(code, ?elapsed, "answered"));
    }
    match unread {
        Some(unread) => response.map(|body| Watched::body(body, unread)),
        None => response,
    }
}

/// Who calls, and the answers that wait on the connection. On a secure listener nobody calls without a certificate.
fn take_caller(extensions: &mut Extensions, secure: bool) -> (Option<Caller>, Option<Arc<Unread>>) {
    if !secure {
        return (Some(Caller::Unknown), extensions.remove::<Arc<Unread>>());
    }
    match extensions.remove::<Shown<Arc<Unread>>>() {
        Some(Shown { holder, connection }) => (Some(Caller::Known(holder)), Some(connection)),
        None => (None, None),
    }
}

impl Observer {
    /// Whether the call may begin: its method is for the caller, and there is room for it.
    async fn admit(&self, method: Option<&'static Method>, caller: Option<&Caller>) -> Result<(), Status> {
        let caller =
            caller.ok_or_else(|| status::broken("a call came over a connection without a certificate"))?;
        let method = method.ok_or_else(status::unknown_method)?;
        let whom = method
            .whom
            .ok_or_else(|| status::broken("a method has no line in the table of who may call it"))?;
        if let Err(why) = caller.check_method(whom) {
            self.gatekeeper.refused(&method.name, caller.clone(), why.clone()).await;
            return Err(why);
        }
        self.gatekeeper.welcome(&method.name)
    }
}

impl Observer {
    /// Has it recorded that a write was not for its caller, or came under the id of another. Reads are recorded with their
    /// answers.
    async fn note_refusal(
        &self,
        method: Option<&'static Method>,
        writer: Option<Caller>,
        headers: &HeaderMap,
    ) {
        let (Some(method), Some(writer)) = (method, writer) else { return };
        let code = code_of(headers);
        if !matches!(code, Code::PermissionDenied | Code::InvalidArgument) {
            return;
        }
        let Some(why) = Status::from_header_map(headers) else { return };
        let telling = match status::reason_of(&why) {
            // It is on record already.
            Some(ErrorReason::MethodNotPermitted) => false,
            Some(ErrorReason::RequestIdReused) => true,
            _ => code == Code::PermissionDenied,
        };
        if telling {
            self.gatekeeper.refused(&method.name, writer, why).await;
        }
    }
}

/// Who calls, as the layer found out.
///
/// # Errors
/// When the request has not come through the layer.
pub(super) fn caller(extensions: &tonic::Extensions) -> Result<Caller, Status> {
    extensions
        .get()
        .cloned()
        .ok_or_else(|| status::broken("a request came past the layer that knows who calls"))
}

/// The caller's correlation id, if it is one.
fn correlation(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(CORRELATION)?.to_str().ok()?;
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    (printable && (1..=MAX_CORRELATION).contains(&text.len())).then_some(text)
}

/// Counts a call when it ends: with its status, or as cancelled when its caller went away first.
pub(super) struct Record {
    metrics: Arc<Metrics>,
    method: &'static str,
    started: Instant,
    /// What it ended with.
    pub code: Code,
}

impl Record {
    fn start(metrics: &Arc<Metrics>, method: &'static str) -> Self {
        Self { metrics: metrics.clone(), method, started: Instant::now(), code: Code::Cancelled }
    }

    /// Begins to count one part of a stream of this method.
    pub fn of_part(metrics: &Arc<Metrics>, method: &'static str) -> Self {
        Self::start(metrics, method)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.metrics.observe_call(self.method, name(self.code), self.started.elapsed());
    }
}

/// The status of a response: errors stand in its headers, OK comes after its message.
fn code_of(headers: &HeaderMap) -> Code {
    headers.get("grpc-status").map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()))
}

/// Replaces an error that tonic gave by itself.
fn in_our_terms(response: Response, max_message_bytes: usize) -> Response {
    let headers = response.headers();
    let has_details = headers.contains_key("grpc-status-details-bin");
    match status::of_transport(code_of(headers), has_details, max_message_bytes) {
        Some(status) => status.into_http(),
        None => response,
    }
}

/// The name of a status code in metrics, as the gRPC specification writes it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_api_has_a_name() {
        assert_eq!(METHODS["/dancu.registry.v1.Verification/Verify"].name, "Verification/Verify");
        assert_eq!(METHODS["/dancu.cluster.v1.ClusterAdmin/Init"].name, "ClusterAdmin/Init");
        for named in [IMPORT, VERIFY_STREAM].iter().chain(&BATCHES) {
            assert!(METHODS.values().any(|method| method.name == *named), "{named}");
        }
    }

    #[test]
    fn a_correlation_id_is_short_and_printable() {
        let with = |text: &str| HeaderMap::from_iter([(CORRELATION.parse().unwrap(), text.parse().unwrap())]);
        assert_eq!(correlation(&with("case-7")), Some("case-7"));
        assert_eq!(correlation(&with("")), None);
        assert_eq!(correlation(&with("two words")), None);
        assert_eq!(correlation(&with(&"x".repeat(65))), None);
        assert_eq!(correlation(&HeaderMap::new()), None);
    }
}
