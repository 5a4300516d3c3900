//! A connection after its handshake, and who is at its other end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::files;

/// The node whose certificate was shown. In the extensions of each call that came over such a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder(Arc<str>);

impl Holder {
    /// Whom a certificate names.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        files::holder(certificate).map(|name| Self(name.into()))
    }

    /// One for a test.
    #[cfg(test)]
    pub fn named(name: &str) -> Self {
        Self(name.into())
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// A connection whose other end has shown a certificate of the authority.
pub struct Secured<I> {
    stream: TlsStream<I>,
    holder: Holder,
}

impl<I> Secured<I> {
    /// Takes the name from the certificate that was verified in the handshake.
    pub(super) fn of(stream: TlsStream<I>) -> io::Result<Self> {
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let shown = shown.ok_or_else(|| io::Error::other("the peer showed no certificate"))?;
        let holder = Holder::of(shown).map_err(io::Error::other)?;
        Ok(Self { stream, holder })
    }
}

impl<I> Connected for Secured<I> {
    type ConnectInfo = Holder;

    fn connect_info(&self) -> Holder {
        self.holder.clone()
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
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
