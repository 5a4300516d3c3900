//! Importing many people: chunks on a stream, several on their way at once, resumed after a break.
//!
//! ```text
//! send(chunk 1) send(chunk 2) ... send(chunk 5)   waits once `import_window` chunks are unanswered
//!      answer 1      answer 2                     answers come in order, each after its chunk is durable
//!           connection breaks
//!      new stream at the next endpoint: chunks 3, 4, 5 again, under the same numbers
//! ```
//!
//! The server makes each chunk's request id of the import's id and the chunk's number, so a chunk that was applied
//! before the break is answered from the request table and nobody is added twice.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::endpoints::Target;
use super::retry::{Attempts, Failure, Kind, hung};
use super::{Client, ClientError};
use crate::proto::registry::population_registry_client::PopulationRegistryClient;
use crate::proto::registry::{ImportRequest, ImportResponse, Person, RequestContext};

/// Attempt time-outs to wait for the answer to a chunk: a thousand writes take longer than one, and sending the window
/// again is dear.
const PATIENCE: u32 = 3;

/// An import under way. Dropping it stops the import after the chunks that were sent; running it again adds nobody
/// twice.
#[derive(Debug)]
pub struct ImportSession {
    client: Client,
    context: RequestContext,
    last_chunk: u64,
    unanswered: VecDeque<ImportRequest>,
    stream: Option<Stream>,
}

/// One connection's part of the import.
#[derive(Debug)]
struct Stream {
    target: Target,
    sender: mpsc::Sender<ImportRequest>,
    answers: Streaming<ImportResponse>,
}

impl Client {
    /// Starts an import. The context's request id names it: at most 28 characters, unique to this list of people, and
    /// the same when the same list is imported again.
    pub fn import(&self, context: RequestContext) -> ImportSession {
        ImportSession {
            client: self.clone(),
            context,
            last_chunk: 0,
            unanswered: VecDeque::new(),
            stream: None,
        }
    }
}

impl ImportSession {
    /// Sends the next chunk (1 to 1,000 people, 1 MiB in all) and returns the answers that it had to wait for to stay
    /// within the window: none at first, usually one later on.
    ///
    /// # Errors
    /// As [`ImportSession::answer`].
    pub async fn send(&mut self, persons: Vec<Person>) -> Result<Vec<ImportResponse>, ClientError> {
        self.last_chunk += 1;
        let chunk = ImportRequest { context: Some(self.context.clone()), chunk: self.last_chunk, persons };
        self.unanswered.push_back(chunk.clone());
        if let Some(stream) = &self.stream {
            // The channel has room for the whole window, so this fails only when the stream broke; the answer's
            // reader finds that out and sends the chunk again.
            let _ = stream.sender.try_send(chunk);
        }
        let mut answers = Vec::new();
        while self.unanswered.len() > self.client.options.import_window.max(1) {
            answers.extend(self.answer().await?);
        }
        Ok(answers)
    }

    /// Waits for the answer to the oldest unanswered chunk; `None` when all are answered.
    ///
    /// # Errors
    /// What the server rejected the chunk with as a whole, or an unknown outcome when the client's deadline passed
    /// without any answer: chunks before it are safe, and importing again under the same request id adds nobody twice.
    pub async fn answer(&mut self) -> Result<Option<ImportResponse>, ClientError> {
        if self.unanswered.is_empty() {
            return Ok(None);
        }
        let allowed = self.client.options.deadline;
        let mut attempts = Attempts::new(allowed);
        loop {
            let target = match &self.stream {
                Some(stream) => stream.target.clone(),
                None => self.client.endpoints.current(),
            };
            let status = match self.attempt(&target, &attempts).await {
                Ok(answer) => {
                    self.unanswered.pop_front();
                    return Ok(Some(answer));
                }
                Err(status) => status,
            };
            self.stream = None;
            let error = ClientError::answered(&status);
            let failure = Failure::of(Kind::Write, &status, &error);
            if failure == Failure::Final {
                return Err(error);
            }
            match attempts.failed(&self.client, &target, failure, &error) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(attempts.exhausted(Kind::Write, error, allowed)),
            }
        }
    }

    /// Waits for all answers that are still due, and ends the import.
    ///
    /// # Errors
    /// As [`ImportSession::answer`].
    pub async fn finish(mut self) -> Result<Vec<ImportResponse>, ClientError> {
        let mut answers = Vec::new();
        while let Some(answer) = self.answer().await? {
            answers.push(answer);
        }
        Ok(answers)
    }

    /// Waits for one answer on the open stream, opening it first if need be.
    async fn attempt(&mut self, target: &Target, attempts: &Attempts) -> Result<ImportResponse, Status> {
        let expected = self.unanswered.front().map_or(0, |chunk| chunk.chunk);
        let timeout = attempts.remaining().min(self.client.options.attempt_timeout * PATIENCE);
        let answer = tokio::time::timeout(timeout, async {
            if self.stream.is_none() {
                self.stream = Some(self.open(target).await?);
            }
            let stream = self.stream.as_mut().expect("it was opened above");
            stream.answers.message().await
        });
        match answer.await {
            Ok(Ok(Some(answer))) if answer.chunk == expected => Ok(answer),
            Ok(Ok(Some(_))) => Err(Status::internal("the node answered another chunk than the one due")),
            Ok(Ok(None)) => Err(Status::unavailable("the node ended the import early")),
            Ok(Err(status)) => Err(status),
            Err(_) => Err(hung(target, timeout)),
        }
    }

    /// Opens a stream and puts every unanswered chunk on it.
    async fn open(&self, target: &Target) -> Result<Stream, Status> {
        let room = self.unanswered.len().max(self.client.options.import_window) + 1;
        let (sender, chunks) = mpsc::channel(room);
        for chunk in &self.unanswered {
            let _ = sender.try_send(chunk.clone());
        }
        let limit = self.client.options.max_message_bytes;
        let mut stub = PopulationRegistryClient::new(target.channel.clone())
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit);
        let answers = stub.import(ReceiverStream::new(chunks)).await?.into_inner();
        Ok(Stream { target: target.clone(), sender, answers })
    }
}
