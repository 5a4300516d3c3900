//! Verifying one person after another without waiting: a session of verifications.
//!
//! A read has no effect, so asking again is safe. What is wrong with one request answers that request
//! (`VerifyStreamResponse.error`) and the session goes on; what is wrong with a node sends the session to the next one,
//! as it does for single calls.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::retry::{Failure, Kind};
use super::session::{Exchange, Session};
use super::{Client, ClientError};
use crate::domain::error::reason_name;
use crate::proto::registry::verification_client::VerificationClient;
use crate::proto::registry::verify_stream_response::Result as Answer;
use crate::proto::registry::{
    ReadOptions, Subject, VerifyRequest, VerifyStreamRequest, VerifyStreamResponse,
};

/// Verifications under way.
pub type VerifySession = Session<VerifyStreamRequest, VerifyStreamResponse>;

impl Client {
    /// Starts to verify people one after another. Nothing is sent yet.
    pub fn verify_stream(&self) -> VerifySession {
        let exchange = Exchange {
            kind: Kind::Read,
            names: ("stream", "request"),
            window: self.options.verify_window,
            patience: self.options.attempt_timeout,
            open: |client, channel, requests| {
                Box::pin(send!(client, VerificationClient.verify_stream)(channel, requests))
            },
            number: |answer| answer.sequence,
            failure: node_failure,
        };
        Session::new(self, exchange)
    }
}

impl VerifySession {
    /// Sends the next request, numbered from 1, and returns the answers that it had to wait for to stay within the
    /// window: none at first, usually one later on.
    ///
    /// # Errors
    /// As [`Session::answer`].
    pub async fn send(
        &mut self,
        subject: Subject,
        options: ReadOptions,
    ) -> Result<Vec<VerifyStreamResponse>, ClientError> {
        let (context, subject, options) = (Some(self.client.context()), Some(subject), Some(options));
        let request = Some(VerifyRequest { context, subject, options, receipt: false });
        self.push(VerifyStreamRequest { sequence: self.next_number(), request }).await
    }
}

/// The status that a single call would have ended with, when such a call would be tried again.
fn node_failure(answer: &VerifyStreamResponse) -> Option<Status> {
    let Some(Answer::Error(error)) = &answer.result else { return None };
    let details = ErrorDetails::with_error_info(reason_name(error.reason()), "dancu", []);
    let status = Status::with_error_details(Code::from_i32(error.code), error.message.clone(), details);
    let failure = Failure::of(Kind::Read, &status, &ClientError::answered(&status));
    failure.may_retry(Kind::Read).then_some(status)
}
