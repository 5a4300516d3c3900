//! Importing many people: a session of chunks, each answered after it is durable.
//!
//! The server makes each chunk's request id of the import's id and the chunk's number, so a chunk that was applied
//! before the connection broke is answered from the request table and nobody is added twice.

use super::retry::Kind;
use super::session::{Exchange, Session};
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
    context: RequestContext,
    chunks: Session<ImportRequest, ImportResponse>,
}

impl Client {
    /// Starts an import. The context's request id names it: at most 28 characters, unique to this list of people, and
    /// the same when the same list is imported again.
    pub fn import(&self, context: RequestContext) -> ImportSession {
        let exchange = Exchange {
            kind: Kind::Write,
            names: ("import", "chunk"),
            window: self.options.import_window,
            patience: self.options.attempt_timeout * PATIENCE,
            open: |client, channel, chunks| {
                Box::pin(send!(client, PopulationRegistryClient.import)(channel, chunks))
            },
            number: |answer| answer.chunk,
            failure: |_| None,
        };
        ImportSession { context, chunks: Session::new(self, exchange) }
    }
}

impl ImportSession {
    /// Sends the next chunk (1 to 1,000 people, 1 MiB in all) and returns the answers that it had to wait for to stay
    /// within the window: none at first, usually one later on.
    ///
    /// # Errors
    /// As [`ImportSession::answer`].
    pub async fn send(&mut self, persons: Vec<Person>) -> Result<Vec<ImportResponse>, ClientError> {
        let (context, chunk) = (Some(self.context.clone()), self.chunks.next_number());
        self.chunks.push(ImportRequest { context, chunk, persons }).await
    }

    /// Waits for the answer to the oldest unanswered chunk; `None` when all are answered.
    ///
    /// # Errors
    /// What the server rejected the chunk with as a whole, or an unknown outcome when the client's deadline passed
    /// without any answer: chunks before it are safe, and importing again under the same request id adds nobody twice.
    pub async fn answer(&mut self) -> Result<Option<ImportResponse>, ClientError> {
        self.chunks.answer().await
    }

    /// Waits for all answers that are still due, and ends the import.
    ///
    /// # Errors
    /// As [`ImportSession::answer`].
    pub async fn finish(self) -> Result<Vec<ImportResponse>, ClientError> {
        self.chunks.finish().await
    }
}
