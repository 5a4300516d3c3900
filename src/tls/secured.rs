//! A connection after its handshake, and who is at its other end.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::{Circle, Holder, files};

/// What each call over a secure connection has in its extensions.
#[derive(Debug, Clone)]
pub struct Shown<C> {
    /// Whose certificate was shown.
    pub holder: Holder,
    /// What the connection beneath tells.
    pub connection: C,
}

/// A connection whose other end has shown a certificate of the circle's authority.
pub struct Secured<I> {
    stream: TlsStream<I>,
    accepted: Arc<Accepted>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// By which certificate a connection was accepted. It is there as long as the connection.
pub(super) struct Accepted {
    pub holder: Holder,
    pub certificate: CertificateDer<'static>,
    /// When it ends, in seconds since 1970-01-01T00:00:00Z.
    pub expires: u64,
    /// Cancelled to end the connection.
    pub end: CancellationToken,
}

impl<I> Secured<I> {
    /// Takes the name from the certificate that was verified in the handshake.
    pub(super) fn of(stream: TlsStream<I>, circle: Circle) -> io::Result<Self> {
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let shown = shown.ok_or_else(|| io::Error::other("no certificate was shown"))?;
        let holder = Holder::of(shown).map_err(io::Error::other)?;
        if !circle.admits(&holder) {
            return Err(io::Error::other(format!("a certificate of {holder} is not for this listener")));
        }
        let expires = files::ends(shown).map_err(io::Error::other)?;
        let (certificate, end) = (shown.clone().into_owned(), CancellationToken::new());
        let ended = Box::pin(end.clone().cancelled_owned());
        let accepted = Arc::new(Accepted { holder, certificate, expires, end });
        Ok(Self { stream, accepted, ended })
    }

    /// What it was accepted by.
    pub(super) fn accepted(&self) -> Weak<Accepted> {
        Arc::downgrade(&self.accepted)
    }
}

impl<I: Connected> Connected for Secured<I> {
    type ConnectInfo = Shown<I::ConnectInfo>;

    fn connect_info(&self) -> Self::ConnectInfo {
        Shown { holder: self.accepted.holder.clone(), connection: self.stream.get_ref().0.connect_info() }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The transport always waits for the next bytes: this is looked at whether or not any come.
        if self.ended.as_mut().poll(context).is_ready() {
            let why = "the certificate of this connection is no longer good";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, why)));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
