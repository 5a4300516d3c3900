//! Import: chunks of people on one stream, each applied as one command under a request id of its own.
//!
//! ```text
//! chunk 1 ─ check ─┬─ write ──────────┬─> answer 1
//! chunk 2 ─ check ─┼─ write ────┬─────┼─> answer 2     at most 4 at once, answers in the chunks' order
//! chunk 3 ─ check ─┼─ write ────┼──┬──┼─> answer 3
//! chunk 4          └ in flight ─┘  │  │
//! ```
//!
//! A chunk is read from the stream only when one of the four places is free, so HTTP/2 flow control slows the sender
//! down to the pace of the disks. Each chunk runs as a task of its own: a client that reads slowly holds nothing, and
//! one that goes away stops nothing half-way. The stream ends with the first chunk that cannot be applied as a whole;
//! what was answered before is durable, and the client goes on from there on another stream.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use tonic::{Code, Status, Streaming};
use tracing::{Instrument, Span};

use super::super::caller::Caller;
use super::super::observe::{IMPORT, Record};
use super::super::{Shared, status};
use super::batch;
use crate::domain::validate;
use crate::proto::registry::write::Write as Op;
use crate::proto::registry::{
    Atomicity, CreatePerson, ImportReject, ImportRequest, ImportResponse, Person, RequestContext,
    ResponseMeta, Write, WriteOutcome, write_outcome,
};
use crate::proto::store::{Command, WriteSet, command};

/// Chunks under way on one stream, and on all streams of a node: those of several take turns.
pub const CHUNKS: usize = 4;
/// Chunk numbers stay below this, so that with the import's id and a "/" they fit into a request id.
const MAX_CHUNK: u64 = 100_000_000_000;

/// The answers to the chunks of a stream, in order.
pub fn answers(
    shared: Arc<Shared>,
    caller: Caller,
    chunks: Streaming<ImportRequest>,
) -> BoxStream<'static, Result<ImportResponse, Status>> {
    let state = Reader { shared, caller, chunks, import: None, next: 0 };
    let jobs = stream::unfold(Some(state), |reader| async {
        let mut reader = reader?;
        match reader.chunk().await {
            Ok(None) => None,
            Ok(Some(job)) => Some((Ok(job), Some(reader))),
            Err(status) => Some((Err(status), None)),
        }
    });
    let span = Span::current();
    jobs.map(move |job| {
        let span = span.clone();
        async move { tokio::spawn(job?.run().instrument(span)).await.unwrap_or_else(|_| Err(died())) }
    })
    .buffered(CHUNKS)
    .boxed()
}

fn died() -> Status {
    status::broken("the task of an import's chunk died")
}

/// Reads and checks the chunks of one stream.
struct Reader {
    shared: Arc<Shared>,
    caller: Caller,
    chunks: Streaming<ImportRequest>,
    import: Option<RequestContext>,
    next: u64,
}

impl Reader {
    /// The next chunk, ready to be applied; `None` when the client has sent all.
    async fn chunk(&mut self) -> Result<Option<Chunk>, Status> {
        let limit = self.shared.limits.max_message_bytes;
        let received = tokio::select! {
            biased;
            () = self.shared.stopping.cancelled() => return Err(status::stopping()),
            received = self.chunks.message() => received.map_err(|status| status::of_stream(status, limit))?,
        };
        let Some(request) = received else { return Ok(None) };
        if self.import.is_none() {
            self.import = Some(import_context(&self.caller, request.context)?);
            // A stream that goes on with a broken one starts where that one was answered.
            self.next = request.chunk;
        }
        if request.chunk != self.next || !(1..MAX_CHUNK).contains(&request.chunk) {
            let expected = self.next.max(1);
            return Err(status::invalid("chunk", &format!("chunk {expected} is due, not {}", request.chunk)));
        }
        self.next += 1;
        validate::import_chunk(&request.persons).map_err(|rejection| status::rejected(&rejection))?;
        let mut context = self.import.clone().expect("it was set from the first message");
        context.request_id = format!("{}/{}", context.request_id, request.chunk);
        Ok(Some(Chunk {
            shared: self.shared.clone(),
            caller: self.caller.clone(),
            context,
            number: request.chunk,
            persons: request.persons,
        }))
    }
}

/// The context of an import, from its first message.
fn import_context(caller: &Caller, context: Option<RequestContext>) -> Result<RequestContext, Status> {
    let context = context.unwrap_or_default();
    validate::context_for_import(&context).map_err(|rejection| status::rejected(&rejection))?;
    caller.agency(&context)?;
    Ok(context)
}

/// A chunk on its way.
struct Chunk {
    shared: Arc<Shared>,
    caller: Caller,
    context: RequestContext,
    number: u64,
    persons: Vec<Person>,
}

impl Chunk {
    async fn run(self) -> Result<ImportResponse, Status> {
        let mut record = Record::of_part(&self.shared.metrics, IMPORT);
        let answer = self.apply().await;
        record.code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        answer
    }

    /// People that are malformed are rejected by the state machine like those that are taken: one bad record does not
    /// keep the others out, and the command stays the same whoever repeats it.
    async fn apply(self) -> Result<ImportResponse, Status> {
        let Ok(_turn) = self.shared.imports.acquire().await else { return Err(status::stopping()) };
        let call = self.shared.admit_part(self.caller).await?;
        let create = |person| Op::Create(CreatePerson { person: Some(person), accept_existing: true });
        let writes = self.persons.into_iter().map(|person| Write { write: Some(create(person)) }).collect();
        let set = WriteSet { writes, atomicity: Atomicity::Each.into() };
        let people = set.writes.len();
        let command = Command {
            context: Some(self.context),
            op: Some(command::Op::WriteSet(set)),
            ..Command::default()
        };
        let (outcomes, revision) = batch::outcomes(call.write_part(command, people).await?)?;
        Ok(summary(outcomes, self.number, call.meta_of_write(revision, 0)))
    }
}

fn summary(outcomes: Vec<WriteOutcome>, chunk: u64, meta: ResponseMeta) -> ImportResponse {
    let mut answer = ImportResponse { meta: Some(meta), chunk, ..ImportResponse::default() };
    for (position, outcome) in (0..).zip(outcomes) {
        match outcome.outcome {
            Some(write_outcome::Outcome::Written(written)) if written.changed => answer.created += 1,
            Some(write_outcome::Outcome::Written(_)) => answer.existing += 1,
            Some(write_outcome::Outcome::Rejected(rejection)) => {
                answer.rejects.push(ImportReject { position, rejection: Some(rejection) });
            }
            None => {}
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::registry::{Rejection, Written};

    #[test]
    fn counts_what_became_of_each_person() {
        let written = |changed| write_outcome::Outcome::Written(Written { changed, ..Written::default() });
        let rejected = write_outcome::Outcome::Rejected(Rejection::default());
        let outcomes = [written(true), rejected, written(false), written(true)]
            .map(|outcome| WriteOutcome { outcome: Some(outcome) });
        let answer = summary(outcomes.to_vec(), 7, ResponseMeta::default());
        assert_eq!((answer.chunk, answer.created, answer.existing), (7, 2, 1));
        assert_eq!(answer.rejects.iter().map(|reject| reject.position).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn the_longest_id_of_a_chunk_is_a_valid_request_id() {
        let longest = format!("{}/{}", "x".repeat(validate::IMPORT_ID_CHARS), MAX_CHUNK - 1);
        assert_eq!(longest.len(), validate::REQUEST_ID_CHARS);
    }
}
