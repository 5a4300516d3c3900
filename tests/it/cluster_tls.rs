//! Nodes know each other by certificates: what has none of the cluster's authority is no peer, whatever it claims.

use std::path::{Path, PathBuf};

use dancu::cli::fleet::Fleet;
use dancu::config::Role;
use dancu::proto::cluster::{AddNodeRequest, NodeState};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use crate::harness::command::run;
use crate::harness::{Cluster, PATIENCE, api, eventually};

/// The folder of the cluster's authority.
fn authority(cluster: &Cluster) -> PathBuf {
    let of_a_node = cluster.fleet.nodes[0].config().peer_tls.clone().unwrap();
    of_a_node.parent().unwrap().to_owned()
}

fn certs(authority: &Path, arguments: &[&str]) {
    let folder = ["--folder", authority.to_str().unwrap()];
    let (code, _, err) = run(["certs"].iter().chain(&arguments[..1]).chain(&folder).chain(&arguments[1..]));
    assert_eq!(code, 0, "{err}");
}

fn refused_handshakes(cluster: &Cluster, nodes: usize) -> f64 {
    (0..nodes).map(|i| cluster.metric(i, "peer_handshakes_refused_total")).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_tls_a_stranger_is_no_peer() {
    let cluster = Cluster::start(1, 0).await;
    let folder = tempfile::tempdir().unwrap();
    let fleet = |name: &str| {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        Fleet::new(Path::new(env!("CARGO_BIN_EXE_dancu")), &folder)
    };
    let (mut other, mut plain) = (fleet("other"), fleet("plain"));
    other.secure().unwrap();
    for (fleet, what) in [(&mut other, "another authority's"), (&mut plain, "none")] {
        fleet.spawn("province-1", Role::Provincial).unwrap();
        let stranger = &mut fleet.nodes[0];
        stranger.wait_serving(PATIENCE).unwrap();
        let mut admin = api::admin(&cluster.fleet.nodes[0].client_address());
        let peer_address = stranger.peer_address();
        let refused = api::refusal(admin.add_node(AddNodeRequest { peer_address }).await);
        assert_eq!((refused.0, refused.1.as_str()), (Code::FailedPrecondition, "CLUSTER_STATE"), "{what}");
        let stranger = dancu::cli::forming::only(&stranger.client_address()).unwrap();
        let status = stranger.status(true).await.unwrap().nodes.swap_remove(0);
        assert_eq!(status.state(), NodeState::Waiting, "{what}");
    }

    // A client in the clear, at the cluster's own listener.
    let mut stream = TcpStream::connect(cluster.fleet.nodes[0].peer_address()).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert!(!heard.windows(2).any(|two| two == [0, 4]), "it answered with HTTP/2: {heard:?}");
    let counted = async || (refused_handshakes(&cluster, 1) > 0.0).then_some(());
    eventually("the refusal is counted", PATIENCE, counted).await;
    assert_eq!(cluster.status(0).await.state(), NodeState::Leader);
}

/// A certificate is taken back, and new ones are given out, while the cluster writes.
#[tokio::test(flavor = "multi_thread")]
async fn cluster_tls_certificates_change_without_a_restart() {
    let mut cluster = Cluster::start(3, 1).await;
    let authority = authority(&cluster);
    let load = cluster.load(2);
    assert!(load.advance(50, PATIENCE).await);

    certs(&authority, &["revoke", "province-1"]);
    cluster.node(3).kill().unwrap();
    // Its next connections come when the others have read the list: it is started again until one is refused.
    eventually("a node whose certificate was taken back is refused", PATIENCE, async || {
        cluster.node(3).start().unwrap();
        cluster.node(3).wait_serving(PATIENCE).unwrap();
        let refused = refused_handshakes(&cluster, 3) > 0.0;
        cluster.node(3).kill().unwrap();
        refused.then_some(())
    })
    .await;
    assert!(load.advance(50, PATIENCE).await, "writes stopped");
    cluster.node(3).start().unwrap();
    cluster.node(3).wait_serving(PATIENCE).unwrap();

    let expires = cluster.metric(0, "peer_certificate_expires_seconds");
    certs(&authority, &["issue", "--days", "500", "province-1", "central-1", "central-2", "central-3"]);
    // The provincial node reads its new certificate by itself and is let in again.
    cluster.ready(3).await;
    for i in 0..3 {
        let taken = async || {
            (cluster.metric(i, "peer_certificate_expires_seconds") > expires + 86_400.0).then_some(())
        };
        eventually("the new certificate is taken", PATIENCE, taken).await;
    }
    cluster.node(0).kill().unwrap();
    cluster.restart(0).await;
    assert!(load.advance(50, PATIENCE).await, "writes stopped");
    let acks = load.stop().await.unwrap();
    cluster.holds_acks(&acks).await;
}
