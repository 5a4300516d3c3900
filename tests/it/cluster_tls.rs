//! Nodes and clients know each other by certificates: what has none of the cluster's authorities is nobody, whatever it
//! claims, and who has one is what it says.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dancu::cli::fleet::{Fleet, Issuer};
use dancu::cli::forming;
use dancu::client::{Certificates, Client, ClientOptions};
use dancu::config::Role;
use dancu::proto::cluster::{AddNodeRequest, NodeState};
use dancu::proto::registry::population_registry_client::PopulationRegistryClient;
use dancu::proto::registry::{AccessRecord, CreatePerson, ErrorReason, QueryAccessesRequest, ReadOptions};
use dancu::tls::authority::Authority;
use dancu::tls::{Circle, Holder, Right};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use crate::harness::command::run;
use crate::harness::{AGENCY, Cluster, PATIENCE, api, eventually, options, people};

fn certs(cluster: &Cluster, arguments: &[&str]) {
    let folder = ["--folder", cluster.certified.root().to_str().unwrap()];
    let (code, _, err) = run(["certs"].iter().chain(&arguments[..1]).chain(&folder).chain(&arguments[1..]));
    assert_eq!(code, 0, "{err}");
}

fn refused_handshakes(cluster: &Cluster, circle: Circle, nodes: usize) -> f64 {
    let metric = format!("handshakes_refused_total{{listener=\"{}\"}}", circle.name());
    (0..nodes).map(|i| cluster.metric_or_zero(i, &metric)).sum()
}

/// A client of the first node that shows this certificate and names this agency.
fn client(cluster: &Cluster, holder: &Holder, agency: &str) -> Client {
    let clients = Authority::open(cluster.certified.root(), Circle::Clients).unwrap();
    let tls = Certificates::load(&clients.ensure(holder, &[], 10).unwrap()).unwrap();
    let certificates = Certificates { agency: Some(tls), ..Certificates::default() };
    let options = ClientOptions { certificates, agency_id: agency.to_owned(), ..options() };
    Client::connect(vec![cluster.fleet.nodes[0].client_address()], options).unwrap()
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
    other.secure(Arc::new(Issuer::of(&folder.path().join("certs"), AGENCY).unwrap()));
    for (fleet, what) in [(&mut other, "another authority's"), (&mut plain, "none")] {
        fleet.spawn("province-1", Role::Provincial).unwrap();
        let stranger = &mut fleet.nodes[0];
        stranger.wait_serving(PATIENCE).unwrap();
        let mut admin = api::admin(&cluster.fleet.nodes[0].client_address());
        let peer_address = stranger.peer_address();
        let refused = api::refusal(admin.add_node(AddNodeRequest { peer_address }).await);
        assert_eq!((refused.0, refused.1.as_str()), (Code::FailedPrecondition, "CLUSTER_STATE"), "{what}");
        let stranger = forming::only(&stranger.client_address(), &fleet.certificates).unwrap();
        let status = stranger.status(true).await.unwrap().nodes.swap_remove(0);
        assert_eq!(status.state(), NodeState::Waiting, "{what}");
    }

    // A client in the clear, at the cluster's own listener.
    let mut stream = TcpStream::connect(cluster.fleet.nodes[0].peer_address()).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert!(!heard.windows(2).any(|two| two == [0, 4]), "it answered with HTTP/2: {heard:?}");
    let counted = async || (refused_handshakes(&cluster, Circle::Peers, 1) > 0.0).then_some(());
    eventually("the refusal is counted", PATIENCE, counted).await;
    assert_eq!(cluster.status(0).await.state(), NodeState::Leader);
}

/// A certificate is taken back, and new ones are given out, while the cluster writes.
#[tokio::test(flavor = "multi_thread")]
async fn cluster_tls_certificates_change_without_a_restart() {
    let mut cluster = Cluster::start(3, 0).await;
    // A name of its own: the certificates of the others are those of other tests' clusters too.
    cluster.add("province-revoked", Role::Provincial).await;
    let load = cluster.load(2);
    assert!(load.advance(50, PATIENCE).await);

    certs(&cluster, &["revoke", "node", "province-revoked"]);
    cluster.node(3).kill().unwrap();
    // Its next connections come when the others have read the list: it is started again until one is refused.
    eventually("a node whose certificate was taken back is refused", PATIENCE, async || {
        cluster.node(3).start().unwrap();
        cluster.node(3).wait_serving(PATIENCE).unwrap();
        let refused = refused_handshakes(&cluster, Circle::Peers, 3) > 0.0;
        cluster.node(3).kill().unwrap();
        refused.then_some(())
    })
    .await;
    // Its clients know the list as well: it is asked no more until it has a new certificate.
    assert!(load.advance(50, PATIENCE).await, "writes stopped");
    cluster.node(3).start().unwrap();
    cluster.node(3).wait_serving(PATIENCE).unwrap();

    let expiry = |circle: Circle| format!("certificate_expires_seconds{{listener=\"{}\"}}", circle.name());
    let expires = cluster.metric(0, &expiry(Circle::Peers));
    certs(&cluster, &["renew", "--within", "400", "--days", "500"]);
    // The provincial node reads its new certificates by itself and is let in again.
    cluster.ready(3).await;
    for (i, circle) in [(0, Circle::Peers), (1, Circle::Clients), (2, Circle::Peers)] {
        let taken = async || (cluster.metric(i, &expiry(circle)) > expires + 86_400.0).then_some(());
        eventually("the new certificate is taken", PATIENCE, taken).await;
    }
    cluster.node(0).kill().unwrap();
    cluster.restart(0).await;
    assert!(load.advance(50, PATIENCE).await, "writes stopped");
    let acks = load.stop().await.unwrap();
    cluster.holds_acks(&acks).await;
}

/// Who has no certificate, or one that names somebody else, gets nothing, and hears why.
#[tokio::test(flavor = "multi_thread")]
async fn cluster_tls_clients_are_who_their_certificates_say() {
    let cluster = Cluster::start(1, 0).await;
    let address = cluster.fleet.nodes[0].client_address();
    let create = |n| CreatePerson { person: Some(people::citizen(n)), accept_existing: false };

    // In its own name, and in another's.
    let agency = client(&cluster, &Holder::agency("G12"), "G12");
    forming::license(&cluster.only(0), "G12").await.unwrap();
    agency.create(agency.context(), create(1)).await.unwrap();
    let liar = client(&cluster, &Holder::agency("G12"), "G13");
    let refused = liar.create(liar.context(), create(2)).await.unwrap_err();
    assert_eq!((refused.code(), refused.reason()), (Code::PermissionDenied, ErrorReason::AgencyMismatch));
    assert!(refused.message().contains("agency G12"), "{refused}");
    let refused = liar.read(api::by_uid(1), ReadOptions::default()).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::AgencyMismatch);

    // Operators read no records, agencies do not run the cluster, observers change nothing.
    for (holder, right) in [("hoa", Right::Administer), ("an", Right::Observe)] {
        let operator = client(&cluster, &Holder::operator(holder, right), "");
        operator.status(false).await.unwrap();
        let refused = operator.read(api::by_uid(1), ReadOptions::default()).await.unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::MethodNotPermitted, "{refused}");
        let snapshot = operator.trigger_snapshot().await.err().map(|error| error.reason());
        let denied = Some(ErrorReason::MethodNotPermitted).filter(|_| right == Right::Observe);
        assert_eq!(snapshot, denied);
    }
    let refused = agency.status(true).await.unwrap_err();
    assert_eq!(refused.reason(), ErrorReason::MethodNotPermitted, "{refused}");

    // What was refused is on record, by whom it was asked and not by whom it was said to be.
    let asked = QueryAccessesRequest { refused: true, limit: 100, ..QueryAccessesRequest::default() };
    let refused = cluster.only(0).query_accesses(asked).await.unwrap().accesses;
    for (caller, method) in [
        ("agency G12", "PopulationRegistry/ReadPerson"),
        ("operator hoa (admin)", "PopulationRegistry/ReadPerson"),
        ("operator an (observer)", "ClusterAdmin/TriggerSnapshot"),
        ("agency G12", "ClusterAdmin/Status"),
    ] {
        let recorded = |access: &&AccessRecord| access.caller == caller && access.method == method;
        let count = refused.iter().filter(recorded).count();
        assert_eq!(count, 1, "{caller} {method}: {refused:#?}");
    }

    // Without a certificate, with another cluster's, and with one of the other circle.
    let folder = tempfile::tempdir().unwrap();
    let other = Issuer::of(folder.path(), AGENCY).unwrap();
    let (_, peer) = cluster.certified.issuer.node("central-1", "127.0.0.1".parse().unwrap()).unwrap();
    let peer = Certificates { agency: Some(Certificates::load(&peer).unwrap()), ..Certificates::default() };
    for certificates in [Certificates::default(), other.certificates, peer] {
        let deadline = Duration::from_secs(1);
        let options = ClientOptions { certificates, deadline, ..options() };
        let stranger = Client::connect(vec![address.clone()], options).unwrap();
        let refused = stranger.read(api::by_uid(1), ReadOptions::default()).await.unwrap_err();
        assert_eq!((refused.reason(), refused.is_unknown()), (ErrorReason::Unspecified, false), "{refused}");
    }
    assert!(refused_handshakes(&cluster, Circle::Clients, 1) >= 3.0);
    assert_eq!(agency.read(api::by_uid(1), ReadOptions::default()).await.unwrap().person.unwrap().uid, 1);

    // Taken back: its connection ends and the next one is refused, while the others go on.
    let folder = cluster.certified.root().join("clients/agency-G12");
    let tls = Certificates::load(&folder).unwrap();
    let mut open = PopulationRegistryClient::new(dancu::client::channel(&address, Some(&tls)).unwrap());
    let read = || api::read(api::by_uid(1), ReadOptions::default());
    open.read_person(read()).await.unwrap();
    certs(&cluster, &["revoke", "agency", "G12"]);
    let ended = async || open.read_person(read()).await.err().map(drop);
    eventually("an agency whose certificate was taken back is refused", PATIENCE, ended).await;
    let options = ClientOptions { deadline: Duration::from_secs(1), ..agency.options().clone() };
    let again = Client::connect(vec![address.clone()], options).unwrap();
    let before = refused_handshakes(&cluster, Circle::Clients, 1);
    let refused = again.read(api::by_uid(1), ReadOptions::default()).await.unwrap_err();
    // Whether the client reads the alert that says why depends on who is first: the node knows.
    assert_eq!(refused.reason(), ErrorReason::Unspecified, "{refused}");
    assert!(refused_handshakes(&cluster, Circle::Clients, 1) > before);
    cluster.client(0).read(api::by_uid(1), ReadOptions::default()).await.unwrap();
    cluster.assert_no_errors();
}
