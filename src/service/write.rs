//! One write as one command: what every method that changes a person goes through.

use tonic::Status;

use super::call::Call;
use super::status;
use crate::domain::validate;
use crate::proto::registry::write::Write as Op;
use crate::proto::registry::{RequestContext, Write, WriteOutcome, WriteResponse, write_outcome};
use crate::proto::store::{Command, Reply, command, reply};

/// Validates and applies one write of a [`writer`], `field` being where it stands in the request.
pub async fn one(
    call: &Call,
    context: RequestContext,
    op: Option<Op>,
    field: &str,
) -> Result<WriteResponse, Status> {
    let write = Write { write: Some(status::required(op, field)?) };
    validate::write(&write).map_err(|rejection| status::rejected(&rejection))?;
    let command =
        Command { context: Some(context), op: Some(command::Op::Write(write)), ..Command::default() };
    let Reply { reply, revision } = call.write(command, 1).await?;
    let outcome = match reply {
        Some(reply::Reply::Write(WriteOutcome { outcome: Some(outcome) })) => outcome,
        Some(reply::Reply::Rejected(rejection)) => write_outcome::Outcome::Rejected(rejection),
        _ => return Err(status::broken("the reply to a write is of another kind")),
    };
    match outcome {
        write_outcome::Outcome::Rejected(rejection) => Err(status::rejected_at(&rejection, revision)),
        write_outcome::Outcome::Written(written) => Ok(WriteResponse {
            meta: Some(call.meta_of_write(revision, written.record_revision)),
            written: Some(written),
        }),
    }
}

/// The context of a write, validated, the caller's own, and noted in the span. To be asked for before anything else of the
/// request is looked at: who may not ask learns nothing but that.
///
/// # Errors
/// What is wrong with it; as [`Call::identify`].
pub fn writer(call: &Call, context: Option<RequestContext>) -> Result<RequestContext, Status> {
    let context = context.unwrap_or_default();
    validate::context_for_write(&context).map_err(|rejection| status::rejected(&rejection))?;
    call.identify(&context)?;
    Ok(context)
}
