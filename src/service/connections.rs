//! The connections of clients: how many there may be, and the end of those whose answers nobody reads.
//!
//! An answer that its client does not take stays in memory. HTTP/2 says so for each answer: the transport comes for the
//! next piece only when the client has room for it. Each answer notes since when it waits for the transport; the
//! connection looks at its oldest one and ends when that is older than `limits.max_unread_ms`. The whole connection, because
//! the transport offers no way to end one answer that it does not ask for; other calls on it end as UNAVAILABLE, which
//! the client library repeats. A client that takes no bytes at all does not answer pings either: keepalive ends it.

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tonic::transport::server::Connected;

use crate::config::LimitsConfig;
use crate::machine::Connection;
use crate::metrics::Metrics;

/// How many connections there may be.
pub(super) struct Connections {
    room: Arc<Semaphore>,
    patience: Duration,
    metrics: Arc<Metrics>,
}

impl Connections {
    pub fn new(limits: &LimitsConfig, metrics: &Arc<Metrics>) -> Self {
        Self {
            room: Arc::new(Semaphore::new(limits.max_connections)),
            patience: Duration::from_millis(limits.max_unread_ms),
            metrics: metrics.clone(),
        }
    }

    /// Takes a connection in; `None` when there are as many as there may be: it is closed at once, so that its client goes
    /// to another node instead of waiting.
    pub fn admit<I: Connection>(&self, io: I) -> Option<Client<I>> {
        let Ok(permit) = self.room.clone().try_acquire_owned() else {
            self.metrics.connections_refused_total.inc();
            return None;
        };
        self.metrics.connections.inc();
        let mut check = interval(self.patience / 4);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(Client {
            io,
            unread: Arc::default(),
            patience: self.patience,
            check,
            metrics: self.metrics.clone(),
            _permit: permit,
        })
    }
}

/// The connection of a client.
pub(super) struct Client<I> {
    io: I,
    unread: Arc<Unread>,
    patience: Duration,
    check: Interval,
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
}

impl<I> Client<I> {
    /// Fails when the client has left an answer unread for too long.
    fn is_read(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.check.poll_tick(context).is_ready() {
            if self.unread.oldest().is_some_and(|since| since.elapsed() > self.patience) {
                self.metrics.unread_total.inc();
                tracing::info!("cut off a client that left an answer unread for {:?}", self.patience);
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answers"));
            }
        }
        Ok(())
    }
}

impl<I> Drop for Client<I> {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

impl<I: Connection> Connected for Client<I> {
    type ConnectInfo = Arc<Unread>;

    fn connect_info(&self) -> Arc<Unread> {
        self.unread.clone()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Client<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The transport always waits for the client's next bytes: this is looked at whether or not any come.
        self.is_read(context)?;
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Client<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Answers of one connection that wait for the transport to take them.
#[derive(Debug, Default)]
pub(super) struct Unread(Mutex<Waiting>);

/// Since when, and a number that tells two of the same instant apart.
type Since = (Instant, u64);

#[derive(Debug, Default)]
struct Waiting {
    answers: BTreeSet<Since>,
    next: u64,
}

impl Unread {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }

    fn begin(&self) -> Since {
        let mut waiting = self.waiting();
        waiting.next += 1;
        let since = (Instant::now(), waiting.next);
        waiting.answers.insert(since);
        since
    }

    fn end(&self, since: Since) {
        self.waiting().answers.remove(&since);
    }

    fn oldest(&self) -> Option<Instant> {
        self.waiting().answers.first().map(|(since, _)| *since)
    }
}

/// An answer whose waiting is noted.
pub(super) struct Watched {
    body: Body,
    unread: Arc<Unread>,
    since: Option<Since>,
}

impl Watched {
    pub fn body(body: Body, unread: Arc<Unread>) -> Body {
        let since = Some(unread.begin());
        Body::new(Self { body, unread, since })
    }

    fn taken(&mut self) {
        if let Some(since) = self.since.take() {
            self.unread.end(since);
        }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // The transport has come: the piece before is on its way.
        self.taken();
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(_)) = polled {
            self.since = Some(self.unread.begin());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.taken();
    }
}
