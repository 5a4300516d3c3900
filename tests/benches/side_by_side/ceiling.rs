//! The ceiling: a bare tonic service over one RocksDB, in a process of its own. A call is a key, an answer its value: no
//! consensus, no record, no comparison. What dancu's read path loses against it is its own cost.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use prost::Message;
use rocksdb::DB;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::grpc::{self, Loop};
use super::machine::Processes;
use super::sample::{Sample, Work};

#[derive(Clone, PartialEq, Message)]
struct Get {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct Got {
    #[prost(bytes = "bytes", tag = "1")]
    value: Bytes,
}

fn key(number: u64) -> Bytes {
    format!("{number:012}").into()
}

/// The service.
#[derive(Clone)]
struct Bare {
    db: Arc<DB>,
}

impl NamedService for Bare {
    const NAME: &'static str = "bare.Bare";
}

impl Service<http::Request<Body>> for Bare {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let bare = self.clone();
        Box::pin(async move { Ok(Grpc::new(ProstCodec::<Got, Get>::default()).unary(bare, request).await) })
    }
}

impl UnaryService<Get> for Bare {
    type Response = Got;
    type Future = Ready<Result<Response<Got>, Status>>;

    fn call(&mut self, request: Request<Get>) -> Self::Future {
        let found = self.db.get(&request.get_ref().key);
        ready(match found {
            Ok(Some(value)) => Ok(Response::new(Got { value: value.into() })),
            Ok(None) => Err(Status::not_found("no such key")),
            Err(error) => Err(Status::internal(error.to_string())),
        })
    }
}

/// Serves `keys` values of `size` bytes until the process is ended; says at which address on standard output.
pub async fn serve(folder: &Path, keys: u64, size: usize) -> Result<(), String> {
    let db = DB::open_default(folder.join("rocksdb")).map_err(|e| e.to_string())?;
    for number in 0..keys {
        db.put(key(number), vec![0x5a; size]).map_err(|e| e.to_string())?;
    }
    db.flush().map_err(|e| e.to_string())?;
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
    let listener = listener.await.map_err(|e| e.to_string())?;
    println!("{}", listener.local_addr().map_err(|e| e.to_string())?);
    // Without nodelay an answer waits 40 ms for the acknowledgement of the one before.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let service = Bare { db: Arc::new(db) };
    let server = Server::builder().add_service(service).serve_with_incoming(incoming);
    server.await.map_err(|e| e.to_string())
}

/// The process that serves, and connections to it.
pub struct Ceiling {
    processes: Processes,
    channels: Vec<Channel>,
    keys: u64,
    size: usize,
}

impl Ceiling {
    /// Starts this very program as the server.
    pub fn start(folder: &Path, keys: u64, size: usize) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut processes = Processes::default();
        let child = processes.start(
            Command::new(program)
                .args(["--bench", "serve-ceiling", "--keys", &keys.to_string(), "--size", &size.to_string()])
                .arg("--folder")
                .arg(folder)
                .stdin(Stdio::null())
                .stdout(Stdio::piped()),
        )?;
        let output = child.stdout.take().expect("it is piped");
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address).map_err(|e| e.to_string())?;
        if address.is_empty() {
            return Err("the server of the ceiling ended before it served".to_owned());
        }
        let channels = grpc::channels(&[address.trim().to_owned()])?;
        Ok(Self { processes, channels, keys, size })
    }

    /// Gets of keys at random.
    pub async fn measure(&self, work: Work, plan: Loop) -> Result<Sample, String> {
        let (keys, size) = (self.keys, self.size);
        let get = move |channel, client, call| get(channel, grpc::some_key(client, call, keys), size);
        match work {
            Work::Read(_) => {
                grpc::closed_loop(plan, &self.channels, || self.processes.cpu_seconds(), get).await
            }
            other => Err(format!("there is no {} here", other.name())),
        }
    }
}

async fn get(channel: Channel, number: u64, expected: usize) -> Result<(), String> {
    let answer: Got =
        grpc::call(channel, "/bare.Bare/Get", Get { key: key(number) }).await.map_err(|e| e.to_string())?;
    if answer.value.len() == expected { Ok(()) } else { Err("a value is not as long as it was".to_owned()) }
}
