//! CommitBatch: several writes as one command, at one place of the order.

use tonic::Status;

use super::super::call::Call;
use super::super::{status, write};
use crate::domain::validate;
use crate::proto::registry::{Atomicity, CommitBatchRequest, CommitBatchResponse, Write, WriteOutcome};
use crate::proto::store::{Command, Reply, WriteSet, WriteSetReply, command, reply};

/// Validates and applies a batch.
pub async fn commit(call: &Call, request: CommitBatchRequest) -> Result<CommitBatchResponse, Status> {
    let context = write::writer(call, request.context)?;
    let Ok(atomicity) = Atomicity::try_from(request.atomicity) else {
        return Err(status::invalid("atomicity", "is no known value"));
    };
    validate::writes(&request.writes).map_err(|rejection| status::rejected(&rejection))?;
    if atomicity != Atomicity::Each {
        check_all(&request.writes)?;
    }
    let people = request.writes.len();
    let set = WriteSet { writes: request.writes, atomicity: atomicity.into() };
    let command =
        Command { context: Some(context), op: Some(command::Op::WriteSet(set)), ..Command::default() };
    let (outcomes, revision) = outcomes(call.write(command, people).await?)?;
    Ok(CommitBatchResponse { meta: Some(call.meta_of_write(revision, 0)), outcomes })
}

/// Refuses a batch that must fail as a whole because of a malformed write. Where each write stands by itself, the state
/// machine rejects the malformed ones.
fn check_all(writes: &[Write]) -> Result<(), Status> {
    for (position, write) in writes.iter().enumerate() {
        if let Err(mut rejection) = validate::write(write) {
            rejection.field = format!("writes[{position}].{}", rejection.field);
            return Err(status::rejected(&rejection));
        }
    }
    Ok(())
}

/// What a set of writes came to, and the registry's revision after it.
pub fn outcomes(reply: Reply) -> Result<(Vec<WriteOutcome>, u64), Status> {
    match reply.reply {
        Some(reply::Reply::WriteSet(WriteSetReply { outcomes })) => Ok((outcomes, reply.revision)),
        Some(reply::Reply::Rejected(rejection)) => Err(status::rejected_at(&rejection, reply.revision)),
        _ => Err(status::broken("the reply to a set of writes is of another kind")),
    }
}
