//! The attempts of one call: which failures are worth another one, where, and when.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use super::endpoints::Target;
use super::{Client, ClientError};
use crate::proto::registry::ErrorReason;

/// The longest first pause, doubled after each round over all endpoints ...
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// ... up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// An attempt that gets less than this is not worth making: it would only end in doubt.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(20);

/// What repeating a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A read: nothing.
    Read,
    /// A write with a request id: the first one's answer comes again.
    Write,
    /// A read of everything a node holds: each attempt is dear, so it gets the whole deadline.
    LongRead,
    /// A change of the cluster: it may happen twice, so it is repeated only when it surely was not sent.
    Once,
}

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It never reached a node, or a node refused it before doing anything.
    NotDone,
    /// The answer was lost, or the node could not say.
    Lost,
    /// The answer is an error that will not change by asking again.
    Final,
}

impl Failure {
    /// Judges the status of an attempt at a call of this kind.
    pub fn of(kind: Kind, status: &Status, error: &ClientError) -> Self {
        match error.reason() {
            ErrorReason::Overloaded => return Self::NotDone,
            // A node says so before it does anything for an operator; a write it may have passed on before it stopped.
            ErrorReason::NotReady if kind == Kind::Once => return Self::NotDone,
            ErrorReason::Unspecified => {}
            ErrorReason::NoQuorum
            | ErrorReason::StalenessExceeded
            | ErrorReason::NotReady
            | ErrorReason::Deadline
            | ErrorReason::AuditUnavailable
            | ErrorReason::NodeFault => return Self::Lost,
            _ => return Self::Final,
        }
        if never_connected(status) {
            return Self::NotDone;
        }
        match status.code() {
            Code::ResourceExhausted => Self::NotDone,
            Code::Unavailable
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Internal
            | Code::Unknown => Self::Lost,
            _ => Self::Final,
        }
    }

    /// Whether a call of this kind is tried again.
    pub fn may_retry(self, kind: Kind) -> bool {
        match self {
            Self::NotDone => true,
            Self::Lost => kind != Kind::Once,
            Self::Final => false,
        }
    }
}

/// True when the connection was refused or never opened, so that nothing can have been sent.
fn never_connected(status: &Status) -> bool {
    caused_by::<tonic::ConnectError>(status)
}

/// True when an error of this type stands behind a status that this machine made.
fn caused_by<E: Error + 'static>(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Counts the attempts of a call and spaces them.
#[derive(Debug)]
pub(super) struct Attempts {
    deadline: Instant,
    count: u32,
    asked: Vec<String>,
    maybe_done: bool,
}

impl Attempts {
    /// A call that may last this long from now.
    pub fn new(allowed: Duration) -> Self {
        Self { deadline: Instant::now() + allowed, count: 0, asked: Vec::new(), maybe_done: false }
    }

    /// What is left of the deadline.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Notes a failed attempt. Moves on to the next endpoint and says how long to wait before asking it; `None` when
    /// the deadline comes first.
    pub fn failed(
        &mut self,
        client: &Client,
        target: &Target,
        failure: Failure,
        error: &ClientError,
    ) -> Option<Duration> {
        self.count += 1;
        self.maybe_done |= failure == Failure::Lost;
        if !self.asked.contains(&target.address) {
            self.asked.push(target.address.clone());
        }
        client.endpoints.leave(target);
        let pause = self.pause(client.endpoints.len(), error);
        (pause + SHORTEST_ATTEMPT < self.remaining()).then_some(pause)
    }

    /// No pause before an endpoint that was not asked yet in this round, except by order of an overloaded server: all
    /// servers together are the cluster that asks for less.
    fn pause(&self, endpoints: usize, error: &ClientError) -> Duration {
        let round = u32::try_from(endpoints).unwrap_or(u32::MAX);
        let asked_to_wait = error.retry_after().unwrap_or_default();
        if !self.count.is_multiple_of(round) {
            let overloaded = error.reason() == ErrorReason::Overloaded;
            return if overloaded { asked_to_wait } else { Duration::ZERO };
        }
        let doublings = (self.count / round - 1).min(10);
        let longest = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
        longest.mul_f64(jitter()).max(asked_to_wait)
    }

    /// The error of a call whose time ran out.
    pub fn exhausted(&self, kind: Kind, error: ClientError, allowed: Duration) -> ClientError {
        let effect = matches!(kind, Kind::Write | Kind::Once);
        error.exhausted(&self.asked, allowed, effect && self.maybe_done)
    }
}

/// Keeps clients that failed together from coming back together.
#[expect(clippy::disallowed_methods, reason = "only the pause between two attempts depends on it")]
fn jitter() -> f64 {
    rand::rng().random_range(0.5..1.0)
}

impl Client {
    /// Does one call about people: attempts, each with the same request, until an answer, a final error or the deadline.
    pub(super) async fn call<Req, Res, Sent>(
        &self,
        kind: Kind,
        request: Req,
        send: impl Fn(Channel, Request<Req>) -> Sent,
    ) -> Result<Res, ClientError>
    where
        Req: Clone,
        Sent: Future<Output = Result<Response<Res>, Status>>,
    {
        self.call_over(|target| &target.channel, kind, request, send).await
    }

    /// The same for a call about the cluster.
    pub(super) async fn operate<Req, Res, Sent>(
        &self,
        kind: Kind,
        request: Req,
        send: impl Fn(Channel, Request<Req>) -> Sent,
    ) -> Result<Res, ClientError>
    where
        Req: Clone,
        Sent: Future<Output = Result<Response<Res>, Status>>,
    {
        self.call_over(|target| &target.operators, kind, request, send).await
    }

    /// The same for a call about the audit trail.
    pub(super) async fn audit<Req, Res, Sent>(
        &self,
        kind: Kind,
        request: Req,
        send: impl Fn(Channel, Request<Req>) -> Sent,
    ) -> Result<Res, ClientError>
    where
        Req: Clone,
        Sent: Future<Output = Result<Response<Res>, Status>>,
    {
        self.call_over(|target| &target.auditors, kind, request, send).await
    }

    async fn call_over<Req, Res, Sent>(
        &self,
        channel: impl Fn(&Target) -> &Channel,
        kind: Kind,
        request: Req,
        send: impl Fn(Channel, Request<Req>) -> Sent,
    ) -> Result<Res, ClientError>
    where
        Req: Clone,
        Sent: Future<Output = Result<Response<Res>, Status>>,
    {
        let allowed = self.options.deadline;
        let mut attempts = Attempts::new(allowed);
        loop {
            let target = self.endpoints.current();
            let timeout = self.attempt_timeout(kind, &attempts);
            let mut attempt = Request::new(request.clone());
            attempt.set_timeout(timeout);
            let status = match tokio::time::timeout(timeout, send(channel(&target).clone(), attempt)).await {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) if !caused_by::<tonic::TimeoutExpired>(&status) => status,
                Ok(Err(_)) | Err(_) => hung(&target, timeout),
            };
            let error = self.told(&status);
            let failure = Failure::of(kind, &status, &error);
            if failure == Failure::Final {
                return Err(error);
            }
            if !failure.may_retry(kind) {
                return Err(error.once());
            }
            match attempts.failed(self, &target, failure, &error) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(attempts.exhausted(kind, error, allowed)),
            }
        }
    }

    /// What an attempt failed with.
    pub(super) fn told(&self, status: &Status) -> ClientError {
        let error = ClientError::answered(status);
        if self.options.certificates.is_empty() { error.without_certificate() } else { error }
    }

    fn attempt_timeout(&self, kind: Kind, attempts: &Attempts) -> Duration {
        match kind {
            Kind::Once | Kind::LongRead => attempts.remaining(),
            Kind::Read | Kind::Write => attempts.remaining().min(self.options.attempt_timeout),
        }
    }
}

/// What stands for the answer of a node that gave none.
pub(super) fn hung(target: &Target, waited: Duration) -> Status {
    let waited = waited.as_millis();
    Status::deadline_exceeded(format!("{} did not answer within {waited} ms", target.address))
}
