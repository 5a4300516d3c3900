//! What a simulation (`tests/simulation`) puts in the place of the machine, in unit tests alone: the network, the time that
//! the log's disk takes, and openraft's random numbers. Everything else is what a real node runs.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use openraft_rt::{AsyncRuntime, OptionalSend};
use openraft_rt_tokio::TokioRuntime;
use rand::{Rng, RngExt as _, SeedableRng, TryRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Uri};

thread_local! {
    /// Of the simulation that this thread runs, or as random as the system's.
    static RANDOM: RefCell<ChaCha8Rng> = RefCell::new(ChaCha8Rng::from_rng(&mut system()));
}

#[expect(clippy::disallowed_methods, reason = "a test that is no simulation behaves as a node does")]
fn system() -> impl Rng {
    rand::rng()
}

/// Whether the caller is part of a simulation.
pub fn active() -> bool {
    turmoil::in_simulation()
}

/// Random numbers of this thread come from this seed from now on, the system's too.
pub fn seed(seed: u64) {
    seeded_entropy::seed(seed);
    RANDOM.set(ChaCha8Rng::seed_from_u64(seed));
}

/// How long the disk takes for a sync: mostly little, at times long.
pub fn sync_time() -> Duration {
    let mut random = Random;
    let slow = random.random_ratio(1, 200);
    Duration::from_micros(if slow {
        random.random_range(20_000..400_000)
    } else {
        random.random_range(50..3_000)
    })
}

/// A connection over the simulated network.
pub struct Stream(turmoil::net::TcpStream);

impl Stream {
    async fn connect(address: &str) -> io::Result<Self> {
        turmoil::net::TcpStream::connect(address).await.map(Self)
    }
}

/// The connections that come to a port of this host.
pub fn incoming(port: u16) -> impl futures::Stream<Item = io::Result<Stream>> {
    futures::TryFutureExt::try_flatten_stream(async move {
        let listener = turmoil::net::TcpListener::bind(("0.0.0.0", port)).await?;
        Ok(futures::stream::try_unfold(listener, |listener| async move {
            let (stream, _) = listener.accept().await?;
            Ok(Some((Stream(stream), listener)))
        }))
    })
}

/// As [`Endpoint::connect_lazy`].
pub fn connect_lazy(endpoint: &Endpoint) -> Channel {
    let connect = |uri: Uri| async move {
        let address = uri.authority().map(ToString::to_string).unwrap_or_default();
        Stream::connect(&address).await.map(TokioIo::new)
    };
    endpoint.connect_with_connector_lazy(tower::service_fn(connect))
}

impl Connected for Stream {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// The random numbers of this thread.
pub struct Random;

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(RANDOM.with_borrow_mut(Rng::next_u32))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(RANDOM.with_borrow_mut(Rng::next_u64))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        RANDOM.with_borrow_mut(|random| random.fill_bytes(bytes));
        Ok(())
    }
}

/// openraft's runtime: tokio, with the random numbers of this thread.
#[derive(Debug)]
pub struct Runtime(TokioRuntime);

impl AsyncRuntime for Runtime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = Random;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = <TokioRuntime as AsyncRuntime>::Watch;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(error)
    }

    fn thread_rng() -> Random {
        Random
    }

    fn new(threads: usize) -> Self {
        Self(TokioRuntime::new(threads))
    }

    fn block_on<F: Future<Output = T>, T>(&mut self, future: F) -> T {
        self.0.block_on(future)
    }
}
