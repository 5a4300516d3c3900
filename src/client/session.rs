//! Sessions: requests on a stream, several on their way at once, sent again elsewhere after a break.
//!
//! ```text
//! send(1) send(2) ... send(5)          waits once `window` requests are unanswered
//!      answer 1   answer 2             answers come in order
//!           connection breaks, or the node says that it cannot answer
//!      new stream at the next endpoint: 3, 4, 5 again, under the same numbers
//! ```
//!
//! What an import and a stream of verifications do their own way is an [`Exchange`].

use std::collections::VecDeque;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

use super::endpoints::Target;
use super::retry::{Attempts, Failure, Kind, hung};
use super::{Client, ClientError};

/// A call that opens a stream.
pub(super) type Opening<Answer> = BoxFuture<'static, Result<Response<Streaming<Answer>>, Status>>;

/// How a kind of session sends its requests, and what it makes of the answers.
#[derive(Debug)]
pub(super) struct Exchange<Request, Answer> {
    /// What sending a request again does.
    pub kind: Kind,
    /// What error texts call the session, and one request.
    pub names: (&'static str, &'static str),
    /// Requests that may wait for their answers at once.
    pub window: usize,
    /// The time an answer may take before the next endpoint is asked.
    pub patience: Duration,
    /// Opens the stream at a node.
    pub open: fn(&Client, Channel, ReceiverStream<Request>) -> Opening<Answer>,
    /// The number of the request that this answers.
    pub number: fn(&Answer) -> u64,
    /// The failure, when another node may give a better answer than this.
    pub failure: fn(&Answer) -> Option<Status>,
}

/// Requests under way, numbered from 1. Dropping the session stops it after those that were sent.
#[derive(Debug)]
pub struct Session<Request, Answer> {
    pub(super) client: Client,
    exchange: Exchange<Request, Answer>,
    sent: u64,
    unanswered: VecDeque<Request>,
    stream: Option<Stream<Request, Answer>>,
}

/// One connection's part of the session.
#[derive(Debug)]
struct Stream<Request, Answer> {
    target: Target,
    sender: mpsc::Sender<Request>,
    answers: Streaming<Answer>,
}

impl<Request: Clone, Answer> Session<Request, Answer> {
    /// A session that has sent nothing yet.
    pub(super) fn new(client: &Client, exchange: Exchange<Request, Answer>) -> Self {
        Self { client: client.clone(), exchange, sent: 0, unanswered: VecDeque::new(), stream: None }
    }

    /// The number of the next request.
    pub(super) fn next_number(&self) -> u64 {
        self.sent + 1
    }

    /// Sends a request under the next number and returns the answers that it had to wait for to stay within the window.
    pub(super) async fn push(&mut self, request: Request) -> Result<Vec<Answer>, ClientError> {
        self.sent += 1;
        self.unanswered.push_back(request.clone());
        if let Some(stream) = &self.stream {
            // The channel has room for the whole window, so this fails only when the stream broke; the answer's
            // reader finds that out and sends the request again.
            let _ = stream.sender.try_send(request);
        }
        let mut answers = Vec::new();
        while self.unanswered.len() > self.exchange.window.max(1) {
            answers.extend(self.answer().await?);
        }
        Ok(answers)
    }

    /// Waits for the answer to the oldest unanswered request; `None` when all are answered.
    ///
    /// # Errors
    /// When the server refused the request or the stream as a whole, or no endpoint answered within the client's
    /// deadline.
    pub async fn answer(&mut self) -> Result<Option<Answer>, ClientError> {
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
            let error = self.client.told(&status);
            let failure = Failure::of(self.exchange.kind, &status, &error);
            if failure == Failure::Final {
                return Err(error);
            }
            match attempts.failed(&self.client, &target, failure, &error) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(attempts.exhausted(self.exchange.kind, error, allowed)),
            }
        }
    }

    /// Waits for all answers that are still due, and ends the session.
    ///
    /// # Errors
    /// As [`Session::answer`].
    pub async fn finish(mut self) -> Result<Vec<Answer>, ClientError> {
        let mut answers = Vec::new();
        while let Some(answer) = self.answer().await? {
            answers.push(answer);
        }
        Ok(answers)
    }

    /// Waits for one answer on the open stream, opening it first if need be.
    async fn attempt(&mut self, target: &Target, attempts: &Attempts) -> Result<Answer, Status> {
        let due = self.next_number() - self.unanswered.len() as u64;
        let (session, request) = self.exchange.names;
        let timeout = attempts.remaining().min(self.exchange.patience);
        let answer = tokio::time::timeout(timeout, async {
            if self.stream.is_none() {
                self.stream = Some(self.open(target).await?);
            }
            let stream = self.stream.as_mut().expect("it was opened above");
            stream.answers.message().await
        });
        match answer.await {
            Ok(Ok(Some(answer))) if (self.exchange.number)(&answer) == due => {
                (self.exchange.failure)(&answer).map_or(Ok(answer), Err)
            }
            Ok(Ok(Some(_))) => {
                Err(Status::internal(format!("the node answered another {request} than the one due")))
            }
            Ok(Ok(None)) => Err(Status::unavailable(format!("the node ended the {session} early"))),
            Ok(Err(status)) => Err(status),
            Err(_) => Err(hung(target, timeout)),
        }
    }

    /// Opens a stream and puts every unanswered request on it.
    async fn open(&self, target: &Target) -> Result<Stream<Request, Answer>, Status> {
        let room = self.unanswered.len().max(self.exchange.window) + 1;
        let (sender, requests) = mpsc::channel(room);
        for request in &self.unanswered {
            let _ = sender.try_send(request.clone());
        }
        let requests = ReceiverStream::new(requests);
        let answers =
            (self.exchange.open)(&self.client, target.channel.clone(), requests).await?.into_inner();
        Ok(Stream { target: target.clone(), sender, answers })
    }
}
