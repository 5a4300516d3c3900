//! Operations on streams that are kept open: requests go out without waiting for the answers to those before.

use std::collections::VecDeque;
use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::load::{Seat, Turn};
use super::operation::{Asker, Job, all_match, reason, rejected};
use super::people::Chunks;
use crate::client::request_id;
use crate::domain::error::reason_name;
use crate::proto::registry::population_registry_client::PopulationRegistryClient;
use crate::proto::registry::verification_client::VerificationClient;
use crate::proto::registry::verify_stream_response::Result as Answer;
use crate::proto::registry::{ImportRequest, ImportResponse, VerifyStreamRequest, VerifyStreamResponse};

/// Chunks of an import on their way at once: what a server works on at once.
const CHUNKS: usize = 4;
/// Characters of an import's name.
const NAME_CHARS: usize = 28;

/// A stream that was opened.
struct Opened<Req, Res> {
    requests: mpsc::Sender<Req>,
    answers: Streaming<Res>,
}

/// What came off a stream that ended.
enum End {
    /// The time was up, or there was nothing more to send.
    Done,
    /// It broke.
    Broken(Status),
}

/// Asks and hears answers until the time is up, with at most `window` requests unanswered.
async fn exchange<Req, Res, Next>(
    seat: &Seat,
    (kind, window, patience): (&'static str, usize, Duration),
    mut stream: Opened<Req, Res>,
    mut next: impl FnMut() -> Next,
    judge: impl Fn(Res) -> Result<u64, String>,
) -> End
where
    Next: Future<Output = Option<Req>>,
{
    let mut unanswered: VecDeque<Turn> = VecDeque::new();
    let mut asking = true;
    let broken = loop {
        if unanswered.is_empty() && !asking {
            return End::Done;
        }
        tokio::select! {
            biased;
            turn = seat.next(), if asking && unanswered.len() < window => {
                let request = match turn { Some(_) => next().await, None => None };
                match (turn, request) {
                    (Some(turn), Some(request)) => {
                        unanswered.push_back(turn);
                        // The channel holds a whole window: this fails only when the stream broke, which shows below.
                        let _ = stream.requests.try_send(request);
                    }
                    _ => asking = false,
                }
            }
            answer = timeout(patience, stream.answers.message()), if !unanswered.is_empty() => match answer {
                Ok(Ok(Some(answer))) => {
                    let turn = unanswered.pop_front().expect("there is one, see above");
                    seat.note(kind, turn, judge(answer));
                }
                Ok(Ok(None)) => break Status::unavailable("the node ended the stream"),
                Ok(Err(status)) => break status,
                Err(_) => break Status::deadline_exceeded("the node did not answer in time"),
            },
        }
    };
    for turn in unanswered {
        seat.note(kind, turn, Err(reason(&broken)));
    }
    End::Broken(broken)
}

/// A client that keeps a verification stream, and opens another one when it breaks.
pub async fn verify(job: Arc<Job>, number: usize, channel: Channel, seat: Seat) {
    let mut asker = Asker::new(job.clone(), number, channel.clone());
    let mut sequence = 0;
    loop {
        let (requests, waiting) = mpsc::channel(job.batch);
        let mut stub = VerificationClient::new(channel.clone());
        let ended = match stub.verify_stream(ReceiverStream::new(waiting)).await {
            Ok(answers) => {
                let next = || {
                    sequence += 1;
                    ready(Some(VerifyStreamRequest { sequence, request: Some(asker.verify_request()) }))
                };
                let stream = Opened { requests, answers: answers.into_inner() };
                exchange(&seat, ("read", job.batch, job.deadline), stream, next, verified).await
            }
            Err(status) => End::Broken(status),
        };
        if over(&seat, "read", ended).await {
            return;
        }
    }
}

fn verified(answer: VerifyStreamResponse) -> Result<u64, String> {
    match answer.result {
        Some(Answer::Response(response)) => all_match(&response),
        Some(Answer::Error(error)) => Err(reason_name(error.reason()).to_owned()),
        None => Err("INCOMPLETE".to_owned()),
    }
}

/// A client that keeps an import stream. The chunks are shared with the other clients.
pub async fn import(job: Arc<Job>, chunks: Chunks, channel: Channel, seat: Seat) {
    loop {
        let (requests, waiting) = mpsc::channel(CHUNKS);
        let mut stub = PopulationRegistryClient::new(channel.clone());
        let mut context = job.reader();
        context.request_id = request_id();
        context.request_id.truncate(NAME_CHARS);
        let ended = match stub.import(ReceiverStream::new(waiting)).await {
            Ok(answers) => {
                let mut chunk = 0;
                let next = || {
                    chunk += 1;
                    let (context, chunks) = (Some(context.clone()), chunks.clone());
                    async move { Some(ImportRequest { context, chunk, persons: chunks.next().await? }) }
                };
                let stream = Opened { requests, answers: answers.into_inner() };
                exchange(&seat, ("import", CHUNKS, job.deadline), stream, next, added).await
            }
            Err(status) => End::Broken(status),
        };
        if over(&seat, "import", ended).await {
            return;
        }
    }
}

/// The people that a chunk added; those who were there already count for nothing.
fn added(answer: ImportResponse) -> Result<u64, String> {
    match answer.rejects.first() {
        Some(reject) => Err(rejected(&reject.rejection.clone().unwrap_or_default())),
        None => Ok(u64::from(answer.created)),
    }
}

/// Whether the client is done; after a break it goes on when there is time left.
async fn over(seat: &Seat, kind: &'static str, ended: End) -> bool {
    let End::Broken(status) = ended else { return true };
    let Some(turn) = seat.next().await else { return true };
    seat.settle(kind, turn, Err(reason(&status))).await;
    false
}
