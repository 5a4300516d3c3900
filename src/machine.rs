//! The two things of the machine that a simulation (`tests/simulation`) replaces: threads that may block, and the network.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinError;
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint};

/// Runs `work` on a thread where waiting for the disk holds up nobody, and returns what it does. In a simulation it is done
/// at once: nothing there may depend on the threads of the machine.
///
/// # Errors
/// When `work` panicked, or the runtime ended before it began.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    #[cfg(test)]
    if crate::simulated::active() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await
}

/// A channel that connects at its first call, and again when a connection was lost.
pub fn connect_lazy(endpoint: &Endpoint) -> Channel {
    #[cfg(test)]
    if crate::simulated::active() {
        return crate::simulated::connect_lazy(endpoint);
    }
    endpoint.connect_lazy()
}

/// What a listener serves: a TCP connection, or that of a simulation.
pub trait Connection: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static> Connection for T {}
