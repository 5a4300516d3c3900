//! VerifyStream: one verification after another on one stream, without waiting for answers.
//!
//! ```text
//! request 1 ─┬─ read, compare ─────┬─> answer 1
//! request 2 ─┼─ read, compare ─┬───┼─> answer 2      at most 64 at once, answers in the requests' order
//! request 3 ─┼─ read, compare ─┼─┬─┼─> answer 3
//! request 4  └─── in flight ───┘ │ │
//! ```
//!
//! Each request is a call of its own: its own read, its own deadline (the default one), its own place among those in
//! flight. Linearizable reads that wait at the same time share a round with the leader, so a stream is as fast as its
//! window allows and not as slow as one round after another. A request is read from the stream only when one of the
//! places is free, so HTTP/2 flow control slows the sender down. What a single call would have failed with answers its
//! request, and the stream goes on; it ends early only when the node stops or the stream itself is broken.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use tonic::{Code, Status, Streaming};
use tracing::{Instrument, Span};

use super::super::caller::Caller;
use super::super::lookup::Lookup;
use super::super::observe::{self, Record, VERIFY_STREAM};
use super::super::{Shared, status};
use super::claims;
use crate::proto::registry::verify_stream_response::Result as Answer;
use crate::proto::registry::{VerifyResponse, VerifyStreamRequest, VerifyStreamResponse};

/// Requests in flight on one stream.
const IN_FLIGHT: usize = 64;

/// The answers to the requests of a stream, in order.
pub fn answers(
    shared: Arc<Shared>,
    caller: Caller,
    requests: Streaming<VerifyStreamRequest>,
) -> BoxStream<'static, Result<VerifyStreamResponse, Status>> {
    let span = Span::current();
    let reader = Some(Reader { shared: shared.clone(), requests });
    let received = stream::unfold(reader, |reader| async {
        let mut reader = reader?;
        match reader.next().await {
            Ok(None) => None,
            Ok(Some(request)) => Some((Ok(request), Some(reader))),
            Err(status) => Some((Err(status), None)),
        }
    });
    let answer = move |request: Result<VerifyStreamRequest, Status>| {
        let (shared, caller, span) = (shared.clone(), caller.clone(), observe::part_span(&span));
        async move {
            let request = request?;
            let sequence = request.sequence;
            // A task of its own: a client that reads its answers slowly does not hold up the reads.
            let done = tokio::spawn(verify(shared, caller, request).instrument(span)).await;
            let died = |_| Err(status::broken("the task of a stream's request died"));
            let result = done.unwrap_or_else(died).unwrap_or_else(|status| {
                // The stream has no other way to say what a single call says by its status.
                Answer::Error(status::within_stream(&status))
            });
            Ok(VerifyStreamResponse { sequence, result: Some(result) })
        }
    };
    received.map(answer).buffered(IN_FLIGHT).boxed()
}

/// Reads the requests of one stream.
struct Reader {
    shared: Arc<Shared>,
    requests: Streaming<VerifyStreamRequest>,
}

impl Reader {
    /// The next request; `None` when the client has sent all.
    async fn next(&mut self) -> Result<Option<VerifyStreamRequest>, Status> {
        let received = tokio::select! {
            biased;
            () = self.shared.stopping.cancelled() => return Err(status::stopping()),
            received = self.requests.message() => received,
        };
        let limit = self.shared.limits.max_message_bytes;
        received.map_err(|status| status::of_stream(status, limit))
    }
}

async fn verify(shared: Arc<Shared>, caller: Caller, request: VerifyStreamRequest) -> Result<Answer, Status> {
    let mut record = Record::of_part(&shared.metrics, VERIFY_STREAM);
    let answer = one(&shared, caller, request).await;
    record.code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
    answer.map(Answer::Response)
}

async fn one(
    shared: &Arc<Shared>,
    caller: Caller,
    request: VerifyStreamRequest,
) -> Result<VerifyResponse, Status> {
    let serve = |call: Arc<Lookup>, asked: VerifyStreamRequest| async move {
        claims::verify(&call, status::required(asked.request, "request")?).await
    };
    let (unsealed, position) = shared.lookup_part(VERIFY_STREAM, caller, request, serve).await?;
    unsealed.sealed(position)
}
