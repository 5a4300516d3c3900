//! etcd, three nodes on loopback with its default durability, and the three calls that are needed of it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tonic::transport::Channel;

use super::grpc::{self, Loop};
use super::machine::{Processes, free_ports, run};
use super::sample::{Sample, Work};

const PATIENCE: Duration = Duration::from_secs(30);
/// Clients that put the first values in.
const FILLERS: u64 = 64;

// Of etcd's rpc.proto and kv.proto (Apache-2.0): the fields that are used here.

#[derive(Clone, PartialEq, Message)]
struct RangeRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct PutResponse {}

#[derive(Clone, PartialEq, Message)]
struct StatusRequest {}

#[derive(Clone, PartialEq, Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

#[derive(Clone, PartialEq, Message)]
struct ResponseHeader {
    #[prost(uint64, tag = "2")]
    member_id: u64,
}

/// A cluster that holds the keys.
pub struct Etcd {
    processes: Processes,
    channels: Vec<Channel>,
    keys: u64,
    value: Bytes,
}

impl Etcd {
    /// Its version, when it is installed.
    pub fn version() -> Option<String> {
        let text = run(Command::new("etcd").arg("--version")).ok()?;
        Some(format!("etcd {}", text.lines().next()?.rsplit(' ').next()?))
    }

    /// Starts three nodes and puts the keys in.
    pub async fn start(folder: &Path, keys: u64, value: Bytes) -> Result<Self, String> {
        let ports: [u16; 6] = free_ports().map_err(|e| e.to_string())?;
        let (clients, peers) = ports.split_at(3);
        let url = |port: &u16| format!("http://127.0.0.1:{port}");
        let members: Vec<String> =
            peers.iter().enumerate().map(|(n, port)| format!("e{n}={}", url(port))).collect();
        let mut processes = Processes::default();
        for (n, (client, peer)) in clients.iter().zip(peers).enumerate() {
            let log = std::fs::File::create(folder.join(format!("e{n}.log"))).map_err(|e| e.to_string())?;
            let (client, peer) = (url(client), url(peer));
            processes.start(
                Command::new("etcd")
                    .args(["--name", &format!("e{n}"), "--log-level", "error"])
                    .arg("--data-dir")
                    .arg(folder.join(format!("e{n}")))
                    .args(["--quota-backend-bytes", "8000000000"])
                    .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
                    .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
                    .args(["--initial-cluster", &members.join(","), "--initial-cluster-state", "new"])
                    .stdin(Stdio::null())
                    .stdout(log.try_clone().map_err(|e| e.to_string())?)
                    .stderr(log),
            )?;
        }
        let addresses: Vec<String> = clients.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let channels = grpc::channels(&leader_first(addresses).await?)?;
        let etcd = Self { processes, channels, keys, value };
        etcd.fill().await?;
        Ok(etcd)
    }

    async fn fill(&self) -> Result<(), String> {
        let put = |first: u64| async move {
            for n in (first..self.keys).step_by(FILLERS as usize) {
                put(self.channels[0].clone(), n, self.value.clone()).await?;
            }
            Ok::<_, String>(())
        };
        futures::future::try_join_all((0..FILLERS).map(put)).await.map(drop)
    }

    /// Linearizable gets or puts of keys at random.
    pub async fn measure(&self, work: Work, plan: Loop) -> Result<Sample, String> {
        let cpu = || self.processes.cpu_seconds();
        let (keys, value) = (self.keys, self.value.clone());
        match work {
            Work::Read(_) => {
                let get = move |channel, client, call| {
                    get(channel, grpc::some_key(client, call, keys), value.len())
                };
                grpc::closed_loop(plan, &self.channels, cpu, get).await
            }
            Work::Write(_) => {
                let put = move |channel, client, call| {
                    put(channel, grpc::some_key(client, call, keys), value.clone())
                };
                grpc::closed_loop(plan, &self.channels, cpu, put).await
            }
            other => Err(format!("there is no {} here", other.name())),
        }
    }
}

fn key(number: u64) -> Bytes {
    format!("c/{number:012}").into()
}

async fn get(channel: Channel, number: u64, expected: usize) -> Result<(), String> {
    let request = RangeRequest { key: key(number) };
    let answer: RangeResponse =
        grpc::call(channel, "/etcdserverpb.KV/Range", request).await.map_err(|e| e.to_string())?;
    match answer.kvs.first() {
        Some(found) if found.value.len() == expected => Ok(()),
        _ => Err("a value is missing".to_owned()),
    }
}

async fn put(channel: Channel, number: u64, value: Bytes) -> Result<(), String> {
    let request = PutRequest { key: key(number), value };
    let answer = grpc::call::<_, PutResponse>(channel, "/etcdserverpb.KV/Put", request).await;
    answer.map(drop).map_err(|e| e.to_string())
}

/// The addresses when there is a leader, its own first: where a single client asks, it asks where it is answered soonest.
async fn leader_first(mut addresses: Vec<String>) -> Result<Vec<String>, String> {
    for address in &addresses {
        grpc::wait_for(address, PATIENCE).await?;
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        for place in 0..addresses.len() {
            let channel = dancu::client::channel(&addresses[place], None).map_err(|e| e.to_string())?;
            let status = grpc::call::<_, StatusResponse>(
                channel,
                "/etcdserverpb.Maintenance/Status",
                StatusRequest {},
            );
            if let Ok(status) = status.await
                && status.leader != 0
                && status.header.is_some_and(|header| header.member_id == status.leader)
            {
                addresses.swap(0, place);
                return Ok(addresses);
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("etcd has no leader".to_owned())
}
