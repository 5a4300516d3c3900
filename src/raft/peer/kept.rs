//! A call on a stream that is kept open: what a call of its own costs in headers and tasks is paid once.
//!
//! One request, one answer. The stream is given away for an exchange and comes back only with the answer: an exchange
//! that is cut short leaves none behind that would answer the next request with this one's answer.

use std::future::Future;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};

/// An open stream with no request under way.
pub struct Kept<Req, Res> {
    requests: mpsc::Sender<Req>,
    answers: Streaming<Res>,
}

impl<Req, Res> Kept<Req, Res> {
    /// Opens one by the call that `start` makes of its requests.
    ///
    /// # Errors
    /// That of the call.
    pub async fn open<F>(start: impl FnOnce(ReceiverStream<Req>) -> F) -> Result<Self, Status>
    where
        F: Future<Output = Result<Response<Streaming<Res>>, Status>>,
    {
        let (requests, outgoing) = mpsc::channel(1);
        let answers = start(ReceiverStream::new(outgoing)).await?.into_inner();
        Ok(Self { requests, answers })
    }

    /// Asks, and hears the answer.
    ///
    /// # Errors
    /// What the other side ended the stream with, or that it did.
    pub async fn exchange(mut self, request: Req) -> Result<(Res, Self), Status> {
        let gone = || Status::aborted("the peer closed the stream");
        self.requests.send(request).await.map_err(|_| gone())?;
        let answer = self.answers.message().await?.ok_or_else(gone)?;
        Ok((answer, self))
    }
}
