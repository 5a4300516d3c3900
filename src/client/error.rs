//! What a call failed with: the reason, what is known of a write's outcome, and what to do next.

use std::collections::HashMap;
use std::error::Error as _;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::domain::error::reason_named;
use crate::proto::registry::ErrorReason;

/// What is known of a failed call's effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was applied.
    NotApplied,
    /// It may have been applied, or still be: repeat it with the same request id to learn the answer.
    Unknown,
}

/// A failed call. Its text says what happened, what was not lost and what to do next; it never holds personal data.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ClientError {
    reason: ErrorReason,
    code: Code,
    message: String,
    field: String,
    metadata: HashMap<String, String>,
    retry_after: Option<Duration>,
    outcome: Outcome,
}

impl ClientError {
    /// The registry's reason; `Unspecified` when no node gave one (nothing was reached, or the peer is not dancu).
    pub fn reason(&self) -> ErrorReason {
        self.reason
    }

    /// The gRPC status code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The message alone.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The field at fault as a dotted path, empty when no one field is.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// When the server asked to come back, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What is known of the write's effect. Always [`Outcome::NotApplied`] for reads.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// True when a write may have been applied although it failed: repeat it with the same request id.
    pub fn is_unknown(&self) -> bool {
        self.outcome == Outcome::Unknown
    }

    /// `REVISION_CONFLICT`: the record's revision now.
    pub fn current_record_revision(&self) -> Option<u64> {
        self.metadata.get("current_record_revision")?.parse().ok()
    }

    /// The registry's revision at which the answer was no: a read found nobody, a write was rejected.
    pub fn revision(&self) -> Option<u64> {
        self.metadata.get("revision")?.parse().ok()
    }

    /// An argument that this client refused before asking anybody.
    pub(super) fn invalid(field: &str, message: &str) -> Self {
        Self {
            reason: ErrorReason::FieldInvalid,
            code: Code::InvalidArgument,
            message: format!("{field}: {message}"),
            field: field.to_owned(),
            metadata: HashMap::new(),
            retry_after: None,
            outcome: Outcome::NotApplied,
        }
    }

    /// What a node answered.
    pub(super) fn answered(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == "dancu");
        let field = details
            .bad_request()
            .and_then(|bad| bad.field_violations.first())
            .map(|violation| violation.field.clone());
        Self {
            reason: info.and_then(|info| reason_named(&info.reason)).unwrap_or(ErrorReason::Unspecified),
            code: status.code(),
            message: with_causes(status),
            field: field.unwrap_or_default(),
            metadata: info.map(|info| info.metadata.clone()).unwrap_or_default(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            outcome: Outcome::NotApplied,
        }
    }

    /// The same for a client that shows no certificate, which may be why.
    pub(super) fn without_certificate(mut self) -> Self {
        if self.reason == ErrorReason::Unspecified && matches!(self.code, Code::Unavailable | Code::Unknown) {
            self.message += " (this client shows no certificate, and nodes take none without: --tls, or ClientOptions::certificates)";
        }
        self
    }

    /// All attempts failed, this being the last one.
    pub(super) fn exhausted(mut self, tried: &[String], deadline: Duration, unknown: bool) -> Self {
        let tried = tried.join(", ");
        let next = if unknown {
            self.outcome = Outcome::Unknown;
            "The write may or may not have been applied: repeat it with the same request id, that gives its answer."
        } else {
            "Nothing was applied by this call: check that the nodes run and reach each other, then repeat it."
        };
        self.message = format!(
            "no answer within {} ms (asked {tried}); the last attempt said: {}. {next}",
            deadline.as_millis(),
            self.message.trim_end_matches('.'),
        );
        self
    }

    /// The connection broke under a call that may not be repeated.
    pub(super) fn once(mut self) -> Self {
        self.outcome = Outcome::Unknown;
        self.message = format!(
            "{}. It is not known whether this took effect: look at the cluster's status before repeating it.",
            self.message.trim_end_matches('.')
        );
        self
    }
}

/// What a status says, and what is behind it where this machine made it: "transport error" alone helps nobody.
fn with_causes(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = status.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
