//! A connection with a valid certificate that does what no client does: the node stays within its memory, and goes on
//! answering others within their deadline. HTTP/2 is spoken here byte by byte, because no library sends such frames.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dancu::proto::registry::{ReadOptions, Subject, VerifyRequest};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::harness::people::citizen;
use crate::harness::{Cluster, PATIENCE, api, eventually};

/// How long each flood lasts, unless the node ends it.
const FLOOD: Duration = Duration::from_secs(4);

/// What an answer to somebody else may take meanwhile.
const DEADLINE: Duration = Duration::from_secs(2);

/// What a flood may add to the node's memory, in bytes.
const MEMORY: f64 = (64 << 20) as f64;

/// Connections that say nothing: more than there are places for handshakes.
const SILENT: usize = 1_500;

mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const GOAWAY: u8 = 7;
    pub const CONTINUATION: u8 = 9;
}

/// Of a GOAWAY.
const ENHANCE_YOUR_CALM: u32 = 11;

/// END_HEADERS.
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header as HPACK writes one that no table knows and none shall.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0x10];
    for text in [name, value] {
        bytes.push(u8::try_from(text.len()).unwrap());
        bytes.extend(text.as_bytes());
    }
    assert!(name.len() < 127 && value.len() < 127, "lengths of one byte");
    bytes
}

fn headers(method: &str) -> Vec<u8> {
    let path = format!("/dancu.registry.v1.{method}");
    let all = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", path.as_str()),
        (":authority", "node"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    all.into_iter().flat_map(|(name, value)| literal(name, value)).collect()
}

/// A message as gRPC frames it.
fn message(request: &impl prost::Message) -> Vec<u8> {
    let body = request.encode_to_vec();
    [&[0][..], &u32::try_from(body.len()).unwrap().to_be_bytes(), &body].concat()
}

/// The other end of a raw connection.
struct Raw {
    sending: tokio::io::WriteHalf<TlsStream<TcpStream>>,
    /// Reads all that comes, so that the node is not held up by it, and ends when the node ends the connection: with what it
    /// said last.
    reading: JoinHandle<Last>,
    stream: u32,
}

impl Raw {
    /// Connects with an agency's certificate and says these settings.
    async fn connect(cluster: &Cluster, settings: &[u8]) -> Self {
        let address = cluster.fleet.nodes[0].client_address();
        let stream = secured(&cluster.certified.issuer.agency_folder, &address).await;
        let (mut read, mut sending) = tokio::io::split(stream);
        let reading = tokio::spawn(async move {
            let mut last = Last::default();
            while last.frame(&mut read).await.is_ok() {}
            last
        });
        sending.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        sending.write_all(&frame(kind::SETTINGS, 0, 0, settings)).await.unwrap();
        sending.flush().await.unwrap();
        Self { sending, reading, stream: 1 }
    }

    fn next_stream(&mut self) -> u32 {
        self.stream += 2;
        self.stream - 2
    }

    /// Sends until the node ends the connection or the time is over; returns how many times, and what the node said when it
    /// ended it.
    async fn flood(mut self, mut bytes: impl FnMut(&mut Self) -> Vec<u8>) -> (u64, Option<Last>) {
        let (until, mut times) = (Instant::now() + FLOOD, 0);
        while Instant::now() < until {
            let bytes = bytes(&mut self);
            // A node that takes nothing more is one that is not flooded.
            match timeout(until - Instant::now(), self.sending.write_all(&bytes)).await {
                Ok(Ok(())) => times += 1,
                Ok(Err(_)) => return (times, Some(self.reading.await.unwrap())),
                Err(_) => break,
            }
        }
        let last = if self.reading.is_finished() { Some(self.reading.await.unwrap()) } else { None };
        (times, last)
    }
}

/// What a node says as it ends a connection, and streams before.
#[derive(Debug, Default)]
struct Last {
    /// Code and text of its GOAWAY.
    goaway: Option<(u32, String)>,
    /// How many streams it has ended by RST_STREAM.
    resets: u64,
}

impl Last {
    /// Reads one frame.
    async fn frame(&mut self, read: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
        let mut head = [0; 9];
        read.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        read.read_exact(&mut payload).await?;
        match head[3] {
            kind::RST_STREAM => self.resets += 1,
            kind::GOAWAY => {
                let code = u32::from_be_bytes(payload[4..8].try_into().unwrap());
                self.goaway = Some((code, String::from_utf8_lossy(&payload[8..]).into_owned()));
            }
            _ => {}
        }
        Ok(())
    }
}

async fn secured(folder: &Path, address: &str) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_file_iter(folder.join("authority.pem")).unwrap() {
        roots.add(authority.unwrap()).unwrap();
    }
    let chain = CertificateDer::pem_file_iter(folder.join("holder.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("holder.key")).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let mut config = config.with_client_auth_cert(chain.map(Result::unwrap).collect(), key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let host = address.rsplit_once(':').unwrap().0.to_owned();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(host).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

fn request() -> VerifyRequest {
    let claims = vec![dancu::proto::registry::Claim {
        attribute: dancu::proto::registry::Attribute::Gender.into(),
        ..Default::default()
    }];
    let subject = Some(Subject { key: Some(api::by_uid(1)), claims });
    VerifyRequest { subject, options: Some(ReadOptions::default()), ..VerifyRequest::default() }
}

/// Somebody else, who asks one thing after another on connections of their own.
struct Witness {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    asking: JoinHandle<Duration>,
}

impl Witness {
    /// Asks on one connection, or on a new one each time.
    fn start(address: String, always_new: bool) -> Self {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (stop.clone(), answers.clone());
        let asking = tokio::spawn(async move {
            let mut slowest = Duration::ZERO;
            let mut verification = api::verification(&address);
            while !stopped.load(Ordering::Relaxed) {
                if always_new {
                    verification = api::verification(&address);
                }
                let begun = Instant::now();
                let answer = timeout(DEADLINE, verification.verify(api::within(DEADLINE, request()))).await;
                answer.expect("the answer came in time").expect("somebody else is served");
                slowest = slowest.max(begun.elapsed());
                counted.fetch_add(1, Ordering::Relaxed);
            }
            slowest
        });
        Self { stop, answers, asking }
    }

    /// Says how it was served.
    async fn end(self, what: &str) {
        eventually("an answer", PATIENCE, async || {
            (self.answers.load(Ordering::Relaxed) > 3 || self.asking.is_finished()).then_some(())
        })
        .await;
        self.stop.store(true, Ordering::Relaxed);
        let slowest = self.asking.await.unwrap();
        println!(
            "{what}: {} answers to somebody else, the slowest {slowest:.1?}",
            self.answers.load(Ordering::Relaxed)
        );
    }
}

async fn cluster() -> Cluster {
    let cluster = Cluster::start_with(1, 0, |settings| settings.limits.max_unread_ms = 1_000).await;
    let mut registry = api::registry(&cluster.fleet.nodes[0].client_address());
    registry.create_person(api::create("add", citizen(1))).await.unwrap();
    cluster
}

fn memory(cluster: &Cluster) -> f64 {
    cluster.metric(0, "process_resident_memory_bytes")
}

/// One kind of flood on a node that serves somebody else meanwhile.
async fn flooded(what: &str, cluster: &Cluster, bytes: impl FnMut(&mut Raw) -> Vec<u8>) -> bool {
    let before = memory(cluster);
    let witness = Witness::start(cluster.fleet.nodes[0].client_address(), false);
    let (times, ended) = Raw::connect(cluster, &[]).await.flood(bytes).await;
    let grown = memory(cluster) - before;
    witness.end(what).await;
    println!(
        "{what}: {times} times, ended by the node: {ended:?}, memory {:+.1} MiB",
        grown / (1 << 20) as f64
    );
    assert!(grown < MEMORY, "{what}: the node took {grown} bytes more");
    if let Some(Last { goaway: Some((code, text)), .. }) = &ended {
        assert_eq!(*code, ENHANCE_YOUR_CALM, "{what}: {text}");
    }
    ended.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn node_flood_of_frames_is_bounded() {
    let cluster = cluster().await;
    // The certificate is good, and a call made of such frames is answered.
    flooded("streams opened and reset", &cluster, |raw| {
        let open = headers("Verification/Verify");
        let mut bytes = Vec::new();
        for _ in 0..32 {
            let stream = raw.next_stream();
            bytes.extend(frame(kind::HEADERS, END_HEADERS, stream, &open));
            bytes.extend(frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        }
        bytes
    })
    .await;

    let mut begun = false;
    let piece: Vec<u8> = (0..50).flat_map(|_| literal("x-flood", &"y".repeat(100))).collect();
    let ended = flooded("headers without an end", &cluster, |raw| {
        if begun {
            return frame(kind::CONTINUATION, 0, raw.stream - 2, &piece);
        }
        begun = true;
        let stream = raw.next_stream();
        frame(kind::HEADERS, 0, stream, &headers("Verification/Verify"))
    })
    .await;
    assert!(ended, "a connection whose headers do not end goes on");

    let mut begun = false;
    let ended = flooded("headers without an end, of empty frames", &cluster, |raw| {
        if begun {
            return frame(kind::CONTINUATION, 0, raw.stream - 2, &[]).repeat(64);
        }
        begun = true;
        let stream = raw.next_stream();
        frame(kind::HEADERS, 0, stream, &headers("Verification/Verify"))
    })
    .await;
    assert!(ended, "a connection whose headers do not end goes on");

    for method in ["Verification/Verify", "Verification/VerifyStream"] {
        let mut begun = false;
        flooded(&format!("empty data to {method}"), &cluster, |raw| {
            if begun {
                return frame(kind::DATA, 0, raw.stream - 2, &[]).repeat(64);
            }
            begun = true;
            let stream = raw.next_stream();
            frame(kind::HEADERS, END_HEADERS, stream, &headers(method))
        })
        .await;
    }
    cluster.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread")]
async fn node_flood_of_answers_that_nobody_reads_is_cut_off() {
    let cluster = cluster().await;
    let before = memory(&cluster);
    let witness = Witness::start(cluster.fleet.nodes[0].client_address(), false);
    // INITIAL_WINDOW_SIZE is 0: no answer may be sent.
    let mut raw = Raw::connect(&cluster, &[0, 4, 0, 0, 0, 0]).await;
    let body = message(&request());
    let mut bytes = Vec::new();
    for _ in 0..500 {
        let stream = raw.next_stream();
        bytes.extend(frame(kind::HEADERS, END_HEADERS, stream, &headers("Verification/Verify")));
        bytes.extend(frame(kind::DATA, 1, stream, &body));
    }
    raw.sending.write_all(&bytes).await.unwrap();
    raw.sending.flush().await.unwrap();
    timeout(PATIENCE, &mut raw.reading).await.expect("the node ends the connection").unwrap();
    witness.end("answers that nobody reads").await;
    assert!(cluster.metric(0, "unread_total") >= 1.0);
    assert!(memory(&cluster) - before < MEMORY);
    cluster.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread")]
async fn node_flood_of_silent_connections_keeps_nobody_out() {
    let cluster = cluster().await;
    let address = cluster.fleet.nodes[0].client_address();
    let before = memory(&cluster);
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    // Each time a handshake of its own.
    let witness = Witness::start(address.clone(), true);
    let until = Instant::now() + FLOOD;
    // As many as a few hundred machines make; more would only take this machine's processors.
    let mut pace = interval(Duration::from_millis(5));
    while Instant::now() < until {
        pace.tick().await;
        // Some of them are closed by now, and others come.
        silent.remove(0);
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    witness.end("silent connections").await;
    assert!(memory(&cluster) - before < MEMORY);
    drop(silent);
    cluster.assert_no_errors();
}
