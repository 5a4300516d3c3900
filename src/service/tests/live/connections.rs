//! How many connections there may be, and what becomes of clients that do not read their answers.

use tonic::transport::Endpoint;

use super::*;
use crate::proto::registry::{VerifyStreamRequest, VerifyStreamResponse};

/// How long an answer may stay unread in these tests.
const UNREAD: Duration = Duration::from_millis(400);

fn request(sequence: u64) -> VerifyStreamRequest {
    let claim = Claim {
        attribute: Attribute::GivenName.into(),
        value: Some(claim::Value::Text("An".to_owned())),
        ..Claim::default()
    };
    let subject = Subject { key: Some(key(Key::PersonUid(1))), claims: vec![claim] };
    let request = VerifyRequest { subject: Some(subject), ..VerifyRequest::default() };
    VerifyStreamRequest { sequence, request: Some(request) }
}

/// A stream on a connection of its own: where its requests go, and its answers.
async fn open(
    server: &Server,
) -> (mpsc::Sender<VerifyStreamRequest>, tonic::Streaming<VerifyStreamResponse>) {
    let endpoint = Endpoint::from_shared(server.address.clone()).unwrap();
    // What a client has room for without reading.
    let channel = endpoint.initial_stream_window_size(16 << 10).connect().await.unwrap();
    let (sender, requests) = mpsc::channel(1);
    let answers = VerificationClient::new(channel).verify_stream(ReceiverStream::new(requests)).await;
    (sender, answers.unwrap().into_inner())
}

impl Server {
    /// Requests of streams that were answered.
    fn answered_on_streams(&self) -> u64 {
        let text = self.metrics.encode();
        let counts = text.lines().filter(|line| {
            line.starts_with("dancu_grpc_requests_total{method=\"Verification/VerifyStream\"")
        });
        counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_a_stream_is_cut_off() {
    let limits = LimitsConfig { max_unread_ms: UNREAD.as_millis() as u64, ..LimitsConfig::default() };
    let server = Server::ready(limits).await;
    let (reading, mut its_answers) = open(&server).await;
    let (unread, answers) = open(&server).await;

    // It asks for more than its window takes and reads nothing: the server stops to answer, and then ends the connection.
    let asked = 5_000;
    let cut_off = async {
        for sequence in 0..asked {
            unread.send(request(sequence)).await.expect("its requests fit into the window of the server");
        }
        unread.closed().await;
    };
    // Meanwhile another one reads slowly, and pauses for longer while nothing waits for it.
    let reads = async {
        for sequence in 0..4 {
            reading.send(request(sequence)).await.unwrap();
            assert_eq!(its_answers.message().await.unwrap().unwrap().sequence, sequence);
            tokio::time::sleep(UNREAD).await;
        }
    };
    let begun = Instant::now();
    tokio::time::timeout(PATIENCE, async { tokio::join!(cut_off, reads) })
        .await
        .expect("the client is cut off");
    let answered = server.answered_on_streams();
    println!("cut off within {:.1?}, when {answered} of {asked} requests were answered", begun.elapsed());
    assert_eq!(server.metrics.unread_total.get(), 1);
    // Those in flight, those that its window took, and what is gathered for one message of the transport. The other
    // requests were left in the windows of the connection.
    assert!((64..asked / 2).contains(&answered), "{answered} answers were made");
    drop(answers);

    reading.send(request(9)).await.unwrap();
    assert_eq!(its_answers.message().await.unwrap().unwrap().sequence, 9);
    drop(reading);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_too_many_is_closed_at_once_and_room_comes_back() {
    let server = Server::ready(LimitsConfig { max_connections: 2, ..LimitsConfig::default() }).await;
    let second = Channel::from_shared(server.address.clone()).unwrap().connect().await.unwrap();
    let mut admin = ClusterAdminClient::new(second.clone());
    admin.status(StatusRequest { local_only: true }).await.unwrap();
    assert_eq!(server.metrics.connections.get(), 2);

    let third = Channel::from_shared(server.address.clone()).unwrap().connect_lazy();
    let mut refused = ClusterAdminClient::new(third);
    let begun = Instant::now();
    let refusal = refused.status(StatusRequest { local_only: true }).await.unwrap_err();
    assert!(matches!(refusal.code(), Code::Unavailable | Code::Unknown | Code::Cancelled), "{refusal:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "it was kept waiting for {:?}", begun.elapsed());
    assert!(server.metrics.connections_refused_total.get() >= 1);

    drop((admin, second));
    eventually(|| async { server.metrics.connections.get() == 1 }).await;
    refused.status(StatusRequest { local_only: true }).await.unwrap();
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_runs_late_refuses_what_is_more_than_a_few() {
    let server = Server::ready(LimitsConfig { max_lag_ms: 2, ..LimitsConfig::default() }).await;
    server.create("r1", person(1)).await.unwrap();
    // Whatever runs here waits for some of these first: eight for each thread, each for a millisecond.
    let busy: Vec<_> = (0..16)
        .map(|_| {
            tokio::spawn(async {
                loop {
                    std::thread::sleep(Duration::from_millis(1));
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for _ in 0..5 {
        server.read(id(1), ReadOptions::default()).await.expect("one at a time is no overload");
    }

    // Many at a time are, and are told to come back.
    let refusal = tokio::time::timeout(PATIENCE, async {
        loop {
            let reads = (0..200).map(|_| server.read(id(1), ReadOptions::default()));
            let refused = futures::future::join_all(reads).await.into_iter().find_map(Result::err);
            if let Some(refusal) = refused {
                return refusal;
            }
        }
    });
    let refusal = refusal.await.expect("two hundred reads that run late are too many");
    assert_eq!((told(&refusal).0.as_str(), refusal.code()), ("OVERLOADED", Code::ResourceExhausted));
    assert!(refusal.get_details_retry_info().unwrap().retry_delay.is_some());
    busy.iter().for_each(tokio::task::JoinHandle::abort);
    eventually(|| async { server.read(id(1), ReadOptions::default()).await.is_ok() }).await;
    server.shutdown().await;
}
