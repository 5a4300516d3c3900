//! Verifying one person after another without waiting: requests on a stream, many on their way at once, asked again
//! elsewhere after a break.
//!
//! ```text
//! send(1) send(2) ... send(65)         waits once `verify_window` requests are unanswered
//!      answer 1   answer 2             answers come in order
//!           connection breaks, or the node says that it cannot answer
//!      new stream at the next endpoint: what was not answered again, under the same numbers
//! ```
//!
//! A read has no effect, so asking again is safe. What is wrong with one request answers that request
//! (`VerifyStreamResponse.error`) and the session goes on; what is wrong with a node sends the session to the next one,
//! as it does for single calls.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};

use super::endpoints::Target;
use super::retry::{Attempts, Failure, Kind, hung};
use super::{Client, ClientError};
use crate::domain::error::reason_name;
use crate::proto::registry::verification_client::VerificationClient;
use crate::proto::registry::verify_stream_response::Result as Answer;
use crate::proto::registry::{
    ReadOptions, StreamError, Subject, VerifyRequest, VerifyStreamRequest, VerifyStreamResponse,
};

/// Verifications under way.
#[derive(Debug)]
pub struct VerifySession {
    client: Client,
    last_sequence: u64,
    unanswered: VecDeque<VerifyStreamRequest>,
    stream: Option<Stream>,
}

/// One connection's part of the session.
#[derive(Debug)]
struct Stream {
    target: Target,
    sender: mpsc::Sender<VerifyStreamRequest>,
    answers: Streaming<VerifyStreamResponse>,
}

impl Client {
    /// Starts to verify people one after another. Nothing is sent yet.
    pub fn verify_stream(&self) -> VerifySession {
        let unanswered = VecDeque::new();
        VerifySession { client: self.clone(), last_sequence: 0, unanswered, stream: None }
    }
}

impl VerifySession {
    /// Sends the next request, numbered from 1, and returns the answers that it had to wait for to stay within the
    /// window: none at first, usually one later on.
    ///
    /// # Errors
    /// As [`VerifySession::answer`].
    pub async fn send(
        &mut self,
        subject: Subject,
        options: ReadOptions,
    ) -> Result<Vec<VerifyStreamResponse>, ClientError> {
        self.last_sequence += 1;
        let (context, subject, options) = (Some(self.client.context()), Some(subject), Some(options));
        let request = Some(VerifyRequest { context, subject, options });
        let request = VerifyStreamRequest { sequence: self.last_sequence, request };
        self.unanswered.push_back(request.clone());
        if let Some(stream) = &self.stream {
            // The channel has room for the whole window, so this fails only when the stream broke; the answer's
            // reader finds that out and sends the request again.
            let _ = stream.sender.try_send(request);
        }
        let mut answers = Vec::new();
        while self.unanswered.len() > self.client.options.verify_window.max(1) {
            answers.extend(self.answer().await?);
        }
        Ok(answers)
    }

    /// Waits for the answer to the oldest unanswered request; `None` when all are answered.
    ///
    /// # Errors
    /// When no endpoint answered within the client's deadline, or the stream as a whole was refused.
    pub async fn answer(&mut self) -> Result<Option<VerifyStreamResponse>, ClientError> {
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
            let failure = Failure::of(Kind::Read, &status, &error);
            if failure == Failure::Final {
                return Err(error);
            }
            match attempts.failed(&self.client, &target, failure, &error) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(attempts.exhausted(Kind::Read, error, allowed)),
            }
        }
    }

    /// Waits for all answers that are still due, and ends the session.
    ///
    /// # Errors
    /// As [`VerifySession::answer`].
    pub async fn finish(mut self) -> Result<Vec<VerifyStreamResponse>, ClientError> {
        let mut answers = Vec::new();
        while let Some(answer) = self.answer().await? {
            answers.push(answer);
        }
        Ok(answers)
    }

    /// Waits for one answer on the open stream, opening it first if need be. An answer that another node may give
    /// better is a failed attempt.
    async fn attempt(
        &mut self,
        target: &Target,
        attempts: &Attempts,
    ) -> Result<VerifyStreamResponse, Status> {
        let expected = self.unanswered.front().map_or(0, |request| request.sequence);
        let timeout = attempts.remaining().min(self.client.options.attempt_timeout);
        let answer = tokio::time::timeout(timeout, async {
            if self.stream.is_none() {
                self.stream = Some(self.open(target).await?);
            }
            let stream = self.stream.as_mut().expect("it was opened above");
            stream.answers.message().await
        });
        let answer = match answer.await {
            Ok(Ok(Some(answer))) if answer.sequence == expected => answer,
            Ok(Ok(Some(_))) => {
                return Err(Status::internal("the node answered another request than the one due"));
            }
            Ok(Ok(None)) => return Err(Status::unavailable("the node ended the stream early")),
            Ok(Err(status)) => return Err(status),
            Err(_) => return Err(hung(target, timeout)),
        };
        if let Some(Answer::Error(error)) = &answer.result {
            let status = status_of(error);
            let failure = Failure::of(Kind::Read, &status, &ClientError::answered(&status));
            if failure.may_retry(Kind::Read) {
                return Err(status);
            }
        }
        Ok(answer)
    }

    /// Opens a stream and puts every unanswered request on it.
    async fn open(&self, target: &Target) -> Result<Stream, Status> {
        let room = self.unanswered.len().max(self.client.options.verify_window) + 1;
        let (sender, requests) = mpsc::channel(room);
        for request in &self.unanswered {
            let _ = sender.try_send(request.clone());
        }
        let limit = self.client.options.max_message_bytes;
        let mut stub = VerificationClient::new(target.channel.clone())
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit);
        let answers = stub.verify_stream(ReceiverStream::new(requests)).await?.into_inner();
        Ok(Stream { target: target.clone(), sender, answers })
    }
}

/// The status that a single call would have ended with.
fn status_of(error: &StreamError) -> Status {
    let details = ErrorDetails::with_error_info(reason_name(error.reason()), "dancu", []);
    Status::with_error_details(Code::from_i32(error.code), error.message.clone(), details)
}
