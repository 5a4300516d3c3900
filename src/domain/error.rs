//! Rejections: how they are made, what their reasons are called, and which gRPC status each goes with.
//!
//! A [`Rejection`] is a decision about a request, alike on every node; a fault of a machine is never one. The
//! table below follows the comments of `ErrorReason` in `proto/dancu/registry/v1/common.proto`.

use crate::proto::registry::{ErrorReason, Rejection};

/// The gRPC status codes that go with a reason, with their numbers on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request is malformed.
    InvalidArgument = 3,
    /// The caller's time ran out.
    DeadlineExceeded = 4,
    /// There is no such person.
    NotFound = 5,
    /// The identifier is taken.
    AlreadyExists = 6,
    /// The caller may not do this, whatever it asks.
    PermissionDenied = 7,
    /// Too many requests wait.
    ResourceExhausted = 8,
    /// The state does not allow it.
    FailedPrecondition = 9,
    /// Somebody else was first.
    Aborted = 10,
    /// The revision is not there yet, or no longer.
    OutOfRange = 11,
    /// A fault of the node.
    Internal = 13,
    /// Another node or a later try may succeed.
    Unavailable = 14,
}

/// Makes a rejection. `field` is a dotted path, or empty when no one field is at fault; `detail` says what was
/// expected and must not hold personal data.
pub fn rejection(reason: ErrorReason, field: impl Into<String>, detail: impl Into<String>) -> Rejection {
    Rejection {
        reason: reason.into(),
        field: field.into(),
        detail: detail.into(),
        current_record_revision: 0,
    }
}

/// The reason's name without its prefix, as it stands in `google.rpc.ErrorInfo`: "IDENTIFIER_TAKEN".
pub fn reason_name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

/// The reason of such a name.
pub fn reason_named(name: &str) -> Option<ErrorReason> {
    ErrorReason::from_str_name(&format!("ERROR_REASON_{name}"))
}

/// The gRPC status that goes with a reason. `UNSPECIFIED` is never sent, so one that appears is a fault.
pub fn status_code(reason: ErrorReason) -> Code {
    use ErrorReason as R;
    match reason {
        R::IdStructureInvalid
        | R::NameCharset
        | R::DateInvalid
        | R::TooLarge
        | R::FieldInvalid
        | R::FieldMaskInvalid
        | R::RequestIdReused => Code::InvalidArgument,
        R::MethodNotPermitted
        | R::AgencyMismatch
        | R::AgencyUnknown
        | R::AgencySuspended
        | R::PurposeNotLicensed
        | R::AttributeNotPermitted
        | R::OperationNotPermitted
        | R::ConsentMissing => Code::PermissionDenied,
        R::PersonNotFound
        | R::CredentialNotFound
        | R::ProcedureUnknown
        | R::UnitUnknown
        | R::AccessUnknown
        | R::ConsentUnknown => Code::NotFound,
        R::IdentifierTaken => Code::AlreadyExists,
        R::AmbiguousKey
        | R::ClusterState
        | R::IdCancelled
        | R::PersonInactive
        | R::EidLocked
        | R::ReceiptKeyRefused
        | R::EventConflict => Code::FailedPrecondition,
        R::RevisionConflict | R::BatchAborted => Code::Aborted,
        R::RevisionFuture | R::RevisionCompacted => Code::OutOfRange,
        R::Overloaded | R::IdSpaceExhausted | R::Quota | R::GuessBudget => Code::ResourceExhausted,
        R::NoQuorum | R::StalenessExceeded | R::NotReady | R::AuditUnavailable | R::ReceiptUnavailable => {
            Code::Unavailable
        }
        R::Deadline => Code::DeadlineExceeded,
        R::NodeFault | R::Unspecified => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_the_code_that_its_proto_comment_names() {
        let comments = include_str!("../../proto/dancu/registry/v1/common.proto");
        let (_, comments) = comments.split_once("enum ErrorReason").expect("the enum is there");
        let mut comment = String::new();
        let mut seen = 0;
        for line in comments.lines().map(str::trim) {
            if let Some(text) = line.strip_prefix("// ") {
                comment = if comment.is_empty() { text.to_owned() } else { comment };
            } else if let Some((name, _)) = line.split_once(" = ") {
                let reason = ErrorReason::from_str_name(name).expect("generated from the same file");
                let code = format!("{:?}", status_code(reason)).to_uppercase();
                let stated = comment.split(':').next().expect("split gives one part").replace('_', "");
                if reason != ErrorReason::Unspecified {
                    assert_eq!(code, stated, "{name}");
                }
                seen += 1;
                comment.clear();
            } else if line == "}" {
                break;
            }
        }
        assert_eq!(seen, 45);
    }

    #[test]
    fn a_reason_is_named_without_its_prefix() {
        assert_eq!(reason_name(ErrorReason::IdentifierTaken), "IDENTIFIER_TAKEN");
        assert_eq!(reason_named("IDENTIFIER_TAKEN"), Some(ErrorReason::IdentifierTaken));
        assert_eq!(reason_named("NO_SUCH_REASON"), None);
    }
}
