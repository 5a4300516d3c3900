//! From what went wrong to a gRPC status.
//!
//! | from | to |
//! |---|---|
//! | `Rejection` (every node decided alike, or validation) | the status its reason names |
//! | `raft::Error` | UNAVAILABLE, DEADLINE_EXCEEDED, OUT_OF_RANGE, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, INTERNAL |
//! | a failing disk (`View::failed`) | INTERNAL / NODE_FAULT; its text goes to the log, not to the caller |
//! | tonic's own (too large, not protobuf) | INVALID_ARGUMENT |
//!
//! Every status carries `google.rpc.ErrorInfo`: the reason, the domain "dancu", and as metadata `retry_safe` ("true":
//! a write may always be sent again under its request id, a read has no effect) and what the reason calls for, such as
//! `current_record_revision`. A field at fault stands in `BadRequest` and as `field`; what passes by itself carries
//! `RetryInfo`.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::domain::error::{reason_name, reason_named, rejection, status_code};
use crate::proto::registry::{ErrorReason, Rejection, StreamError};
use crate::raft::{Error, FirstRevision};

/// The domain of every reason.
const DOMAIN: &str = "dancu";
/// When to come back to a node that has no leader or is starting: about the time of an election.
const RETRY_SOON: Duration = Duration::from_millis(200);

/// A status being made.
struct Answer {
    reason: ErrorReason,
    message: String,
    metadata: HashMap<String, String>,
    retry_after: Option<Duration>,
}

impl Answer {
    fn new(reason: ErrorReason, message: impl Into<String>) -> Self {
        let metadata = HashMap::from([("retry_safe".to_owned(), "true".to_owned())]);
        Self { reason, message: message.into(), metadata, retry_after: None }
    }

    fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    fn status(self) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(reason_name(self.reason), DOMAIN, self.metadata);
        if let Some(field) = details.error_info().and_then(|info| info.metadata.get("field")).cloned() {
            details.add_bad_request_violation(field, &self.message);
        }
        if let Some(delay) = self.retry_after {
            details.set_retry_info(Some(delay));
        }
        Status::with_error_details(code(self.reason), self.message, details)
    }
}

/// The gRPC status of a reason.
pub fn code(reason: ErrorReason) -> Code {
    Code::from_i32(status_code(reason) as i32)
}

/// A rejection by what the registry holds at `revision`, which the metadata names: so that a caller can tell how new the
/// no is, as it can for every yes.
pub fn rejected_at(rejected: &Rejection, revision: u64) -> Status {
    answer(rejected).with("revision", revision).status()
}

/// A rejection by validation alone.
pub fn rejected(rejected: &Rejection) -> Status {
    answer(rejected).status()
}

fn answer(rejection: &Rejection) -> Answer {
    let reason = rejection.reason();
    let message = match (reason, rejection.field.as_str()) {
        (ErrorReason::RevisionConflict, _) => format!(
            "the record was changed since: its record_revision is now {}. Read it again and base the change on that",
            rejection.current_record_revision
        ),
        (_, "") => rejection.detail.clone(),
        (_, field) => format!("{field}: {}", rejection.detail),
    };
    let mut answer = Answer::new(reason, message);
    if !rejection.field.is_empty() {
        answer = answer.with("field", &rejection.field);
    }
    if reason == ErrorReason::RevisionConflict {
        answer = answer.with("current_record_revision", rejection.current_record_revision);
    }
    answer
}

/// A field that is missing, unknown or contradicts another.
pub fn invalid(field: &str, detail: &str) -> Status {
    rejected(&rejection(ErrorReason::FieldInvalid, field, detail))
}

/// A part of the request that must be there.
///
/// # Errors
/// `FIELD_INVALID` with the field's path when it is not.
pub fn required<T>(part: Option<T>, field: &str) -> Result<T, Status> {
    part.ok_or_else(|| invalid(field, "is required"))
}

/// Why raft did not do it.
pub fn failed(error: Error) -> Status {
    let message = error.to_string();
    let answer = match error {
        Error::NotReady(_) => Answer::new(ErrorReason::NotReady, message).retry_after(RETRY_SOON),
        Error::NoQuorum(_) => Answer::new(ErrorReason::NoQuorum, message).retry_after(RETRY_SOON),
        Error::Deadline(_) => Answer::new(ErrorReason::Deadline, message),
        Error::StalenessExceeded { bound_ms } => Answer::new(ErrorReason::StalenessExceeded, message)
            .with("staleness_bound_ms", bound_ms)
            .retry_after(RETRY_SOON),
        Error::RevisionFuture { current } => {
            Answer::new(ErrorReason::RevisionFuture, message).with("current_revision", current)
        }
        Error::Overloaded { retry_after } => {
            Answer::new(ErrorReason::Overloaded, message).retry_after(retry_after)
        }
        Error::Fault(_) => return out_of_service(),
        Error::ClusterState(_) => Answer::new(ErrorReason::ClusterState, message),
        Error::Invalid { field, detail } => return invalid(&field, &detail),
    };
    answer.status()
}

/// The history no longer goes back to what was asked for; it begins at `first`.
pub fn compacted(first: FirstRevision) -> Status {
    let message = format!(
        "the history is kept from revision {} on, written at {} ms: what is older can no longer be read",
        first.revision, first.at_ms
    );
    Answer::new(ErrorReason::RevisionCompacted, message)
        .with("first_revision", first.revision)
        .with("first_revision_at_ms", first.at_ms)
        .status()
}

/// What the caller may not do, whatever the request says.
pub fn denied(reason: ErrorReason, message: String) -> Status {
    Answer::new(reason, message).status()
}

/// A method that this server does not have.
pub fn unknown_method() -> Status {
    Status::unimplemented("this server has no such method; gRPC reflection lists those it has")
}

/// Accesses cannot be recorded here. The reason goes to the log, not to the caller.
pub fn unrecorded() -> Status {
    let message =
        "this node cannot record accesses durably, so it answers no reads; nothing is lost: ask another node";
    Answer::new(ErrorReason::AuditUnavailable, message).status()
}

/// This node signs no receipts now.
pub fn unsigned() -> Status {
    let message = "this node signs no receipts: it records no accesses, or the cluster has not agreed on its key yet; ask \
                   without a receipt, again in a moment, or another node";
    Answer::new(ErrorReason::ReceiptUnavailable, message).retry_after(RETRY_SOON).status()
}

/// Too many requests are in flight here.
pub fn overloaded(retry_after: Duration) -> Status {
    let message = "this node serves as many requests as it may: nothing was applied; wait as RetryInfo says, then retry";
    Answer::new(ErrorReason::Overloaded, message).retry_after(retry_after).status()
}

/// The agency has made its calls of today.
pub fn over_quota(calls_per_day: u64, retry_after: Duration) -> Status {
    let message = format!(
        "this agency may ask about {calls_per_day} people in a day and has done so: nothing was read or applied; an operator \
         may give it more by PutAgency"
    );
    Answer::new(ErrorReason::Quota, message).retry_after(retry_after).status()
}

/// The time of the request ran out on this node.
pub fn out_of_time() -> Status {
    let message = "the deadline passed before this node had the answer. A write may or may not have been applied: \
                   repeat it with the same request_id and a longer deadline";
    Answer::new(ErrorReason::Deadline, message).status()
}

/// The server shuts down.
pub fn stopping() -> Status {
    let message = "this node is shutting down: everything answered so far is safe; go on at another node";
    Answer::new(ErrorReason::NotReady, message).retry_after(RETRY_SOON).status()
}

/// A fault of this program: what cannot be, was.
pub fn broken(what: &str) -> Status {
    tracing::error!("a fault of this program: {what}");
    out_of_service()
}

/// This node answers nothing more.
pub fn out_of_service() -> Status {
    let message = "this node has a fault and does not serve; nothing acknowledged is lost: ask another node";
    Answer::new(ErrorReason::NodeFault, message).status()
}

/// What a stream of requests broke with, in this API's terms where tonic said it.
pub fn of_stream(status: Status, max_message_bytes: usize) -> Status {
    of_transport(status.code(), !status.details().is_empty(), max_message_bytes).unwrap_or(status)
}

/// The reason that a status of this API carries.
pub fn reason_of(status: &Status) -> Option<ErrorReason> {
    status.get_details_error_info().and_then(|info| reason_named(&info.reason))
}

/// The same failure as the answer to one request of a stream.
pub fn within_stream(status: &Status) -> StreamError {
    StreamError {
        code: status.code() as i32,
        reason: reason_of(status).unwrap_or(ErrorReason::NodeFault).into(),
        message: status.message().to_owned(),
    }
}

/// What tonic refused by itself, in this API's terms; `None` for a status of our own, which always has details.
///
/// tonic says OUT_OF_RANGE when a message is larger than allowed and INTERNAL when it is not protobuf: both are bad
/// input.
pub fn of_transport(code: Code, has_details: bool, max_message_bytes: usize) -> Option<Status> {
    match code {
        _ if has_details => None,
        Code::OutOfRange => {
            let detail = format!("the request is larger than {max_message_bytes} bytes: send less at once");
            Some(rejected(&rejection(ErrorReason::TooLarge, "", detail)))
        }
        Code::Internal => {
            let detail = "the request is not the protobuf message that this method takes";
            Some(rejected(&rejection(ErrorReason::FieldInvalid, "", detail)))
        }
        _ => None,
    }
}
