//! Two ends on loopback: who gets through, under which name, and what changed files change.

use std::fs;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tonic::transport::server::{Connected, TcpIncoming};

use super::authority::Authority;
use super::*;

/// The folder of an authority of peers, with what it gave to these nodes.
fn certified(nodes: &[&str]) -> (tempfile::TempDir, Authority) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::init(folder.path(), Circle::Peers, 10).unwrap();
    for node in nodes {
        issue(&authority, node, 10);
    }
    (folder, authority)
}

fn issue(authority: &Authority, node: &str, days: u32) {
    authority.issue(&Holder::node(node), &[], days).unwrap();
}

fn at(folder: &tempfile::TempDir, node: &str) -> PathBuf {
    folder.path().join(format!("peers/node-{node}"))
}

fn load(folder: &tempfile::TempDir, node: &str) -> Arc<Tls> {
    Arc::new(Tls::load(&at(folder, node), Some(&Holder::node(node))).unwrap())
}

/// Whom `server` learns `client` to be, which expects the node `expected`: once both have heard the other.
async fn meet(server: &Arc<Tls>, client: &Arc<Tls>, expected: Option<&str>) -> Result<Holder, String> {
    meet_in(Circle::Peers, server, client, &files::dns_name(expected)).await
}

async fn meet_in(
    circle: Circle,
    server: &Arc<Tls>,
    client: &Arc<Tls>,
    expected: &str,
) -> Result<Holder, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Arc::new(Metrics::new());
    let mut secured = Box::pin(server.accept(circle, TcpIncoming::from(listener), metrics.clone()));
    let accepted = tokio::spawn(async move {
        let mut stream = secured.next().await.unwrap().unwrap();
        stream.write_all(b"hello").await.unwrap();
        stream.flush().await.unwrap();
        stream.read_u8().await.unwrap();
        Connected::connect_info(&stream).holder
    });
    let said = async {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(expected.to_owned()).unwrap();
        let connector = TlsConnector::from(client.current().client.clone());
        let mut stream = connector.connect(name, stream).await?;
        let mut heard = [0; 5];
        // With TLS 1.3 the client learns only by its first read that it was refused.
        stream.read_exact(&mut heard).await?;
        assert_eq!(&heard, b"hello");
        stream.write_u8(1).await?;
        stream.flush().await
    };
    let said: io::Result<()> = said.await;
    match said {
        Ok(()) => Ok(accepted.await.unwrap()),
        Err(error) => {
            // Refused by the client or by the server: either way it is counted there.
            let deadline = tokio::time::Instant::now() + HANDSHAKE;
            while refused(&metrics, circle) == 0 {
                assert!(tokio::time::Instant::now() < deadline, "the server does not count it: {error}");
                tokio::task::yield_now().await;
            }
            accepted.abort();
            Err(error.to_string())
        }
    }
}

fn refused(metrics: &Metrics, circle: Circle) -> u64 {
    metrics.handshakes_refused_total.get_or_create(&ListenerLabels { listener: circle.name() }).get()
}

#[tokio::test]
async fn each_end_learns_who_the_other_is() {
    let (folder, _) = certified(&["central-1", "province-7"]);
    let (one, two) = (load(&folder, "central-1"), load(&folder, "province-7"));
    assert_eq!(meet(&one, &two, Some("central-1")).await.unwrap(), Holder::node("province-7"));
    assert_eq!(meet(&two, &one, Some("province-7")).await.unwrap(), Holder::node("central-1"));
    assert_eq!(
        meet(&one, &two, None).await.unwrap(),
        Holder::node("province-7"),
        "a node that is not known yet"
    );
    let wrong = meet(&one, &two, Some("central-2")).await.unwrap_err();
    assert!(wrong.contains("not valid for name"), "{wrong}");
}

#[tokio::test]
async fn another_authority_is_refused_by_both_ends() {
    let (ours, _) = certified(&["central-1", "central-2"]);
    let (theirs, _) = certified(&["central-2"]);
    let (one, two, stranger) =
        (load(&ours, "central-1"), load(&ours, "central-2"), load(&theirs, "central-2"));
    // Each way: the server's authority is unknown to the client, or the client's to the server.
    meet(&stranger, &one, Some("central-2")).await.unwrap_err();
    meet(&one, &stranger, Some("central-1")).await.unwrap_err();
    // A client that believes our authority, but has no certificate of it.
    fs::copy(ours.path().join("peers/authority.pem"), at(&theirs, "central-2").join("authority.pem"))
        .unwrap();
    assert!(stranger.reload().unwrap());
    let refused = meet(&one, &stranger, Some("central-1")).await.unwrap_err();
    assert!(refused.contains("UnknownCA") || refused.contains("DecryptError"), "{refused}");
    assert_eq!(meet(&one, &two, Some("central-1")).await.unwrap(), Holder::node("central-2"));
}

#[tokio::test]
async fn a_client_in_the_clear_is_refused_and_holds_up_nobody() {
    let (folder, _) = certified(&["central-1", "central-2"]);
    let (one, two) = (load(&folder, "central-1"), load(&folder, "central-2"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Arc::new(Metrics::new());
    let mut secured = Box::pin(one.accept(Circle::Peers, TcpIncoming::from(listener), metrics.clone()));
    // One says nothing, one speaks plain HTTP/2; a third is let in meanwhile.
    let _silent = TcpStream::connect(address).await.unwrap();
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(two.current().client.clone());
    let name = ServerName::try_from(files::dns_name(Some("central-1"))).unwrap();
    let (third, accepted) = tokio::join!(connector.connect(name, stream), secured.next());
    third.unwrap();
    assert!(accepted.unwrap().is_ok());
    assert_eq!(refused(&metrics, Circle::Peers), 1);
}

#[tokio::test]
async fn a_certificate_that_was_taken_back_is_refused_as_soon_as_the_list_is_read() {
    let (folder, authority) = certified(&["central-1", "central-2", "central-3"]);
    let [one, two, three] = ["central-1", "central-2", "central-3"].map(|node| load(&folder, node));
    assert_eq!(meet(&one, &two, Some("central-1")).await.unwrap(), Holder::node("central-2"));
    assert!(!one.reload().unwrap(), "nothing has changed");
    authority.revoke(&Holder::node("central-2")).unwrap();
    assert!(one.reload().unwrap());
    meet(&one, &two, Some("central-1")).await.unwrap_err();
    meet(&two, &one, Some("central-2")).await.unwrap_err();
    assert_eq!(meet(&one, &three, Some("central-1")).await.unwrap(), Holder::node("central-3"));
    // A second one, and a new certificate for the first: the list keeps what it had.
    authority.revoke(&Holder::node("central-3")).unwrap();
    assert!(one.reload().unwrap());
    meet(&one, &two, Some("central-1")).await.unwrap_err();
    meet(&one, &three, Some("central-1")).await.unwrap_err();
    issue(&authority, "central-2", 10);
    assert!(two.reload().unwrap());
    assert_eq!(meet(&one, &two, Some("central-1")).await.unwrap(), Holder::node("central-2"));
}

#[tokio::test]
async fn changed_files_are_taken_and_bad_ones_left() {
    let (folder, authority) = certified(&["central-1", "central-2"]);
    let (one, two) = (load(&folder, "central-1"), load(&folder, "central-2"));
    let ended = one.expires();
    issue(&authority, "central-1", 20);
    assert!(one.reload().unwrap());
    assert_eq!((one.expires() - ended) / 86_400, 10);
    assert_eq!(meet(&one, &two, Some("central-1")).await.unwrap(), Holder::node("central-2"));

    let key = at(&folder, "central-1").join("holder.key");
    fs::copy(at(&folder, "central-2").join("holder.key"), &key).unwrap();
    let error = one.reload().unwrap_err().to_string();
    assert!(error.contains("holder.key") && error.contains("dancu certs issue"), "{error}");
    assert!(!one.reload().unwrap(), "it is reported once");
    let met = meet(&one, &two, Some("central-1")).await.unwrap();
    assert_eq!(met, Holder::node("central-2"), "it goes on with what it had");
    fs::remove_file(&key).unwrap();
    assert!(one.reload().unwrap_err().to_string().contains("cannot read"));
}

#[test]
fn what_cannot_be_used_says_which_file_and_why() {
    let (folder, authority) = certified(&["central-1"]);
    let at = |node: &str| at(&folder, node);
    let text =
        |node: &str, name: &str| Tls::load(&at(node), Some(&Holder::node(name))).unwrap_err().to_string();
    let other = text("central-1", "central-2");
    assert!(other.contains("certificate of node central-1, this is node central-2"), "{other}");
    assert!(text("central-9", "central-9").contains("cannot read"), "no folder");
    let unnameable = authority.issue(&Holder::node("a-.b"), &[], 10).unwrap_err().to_string();
    assert!(unnameable.contains("cannot stand in a certificate"), "{unnameable}");
    issue(&authority, "old", 0);
    let ended = text("old", "old");
    assert!(ended.contains("ended on 20") && ended.contains("dancu certs renew"), "{ended}");
    fs::write(at("central-1").join("authority.pem"), "nothing").unwrap();
    let empty = text("central-1", "central-1");
    assert!(empty.contains("authority.pem") && empty.contains("no certificate"), "{empty}");
    fs::copy(folder.path().join("peers/authority.pem"), at("central-1").join("holder.pem")).unwrap();
    assert!(text("central-1", "central-1").contains("names no holder"), "an authority is nobody");
}

#[test]
fn an_authority_is_made_once_and_its_key_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, authority) = certified(&["central-1"]);
    let again = Authority::init(folder.path(), Circle::Peers, 10).err().unwrap().to_string();
    assert!(again.contains("is there already"), "{again}");
    for key in [folder.path().join("peers/authority.key"), at(&folder, "central-1").join("holder.key")] {
        let mode = fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", key.display());
    }
    let none = Authority::open(folder.path(), Circle::Clients).err().unwrap().to_string();
    assert!(none.contains("dancu certs init"), "{none}");
    let unknown = authority.revoke(&Holder::node("nobody")).unwrap_err().to_string();
    assert!(unknown.contains("nothing was taken back"), "{unknown}");
}

/// An authority of clients, a node that serves at 127.0.0.1, an agency and an operator.
fn clients() -> (tempfile::TempDir, Authority, [Arc<Tls>; 3]) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::init(folder.path(), Circle::Clients, 10).unwrap();
    let holders = [
        (Holder::node("central-1"), vec!["127.0.0.1".to_owned(), "localhost".to_owned()]),
        (Holder::agency("G12"), Vec::new()),
        (Holder::operator("hoa", Right::Observe), Vec::new()),
    ];
    let load = |(holder, hosts): (Holder, Vec<String>)| {
        Arc::new(Tls::load(&authority.issue(&holder, &hosts, 10).unwrap(), Some(&holder)).unwrap())
    };
    let loaded = holders.map(load);
    (folder, authority, loaded)
}

#[tokio::test]
async fn clients_are_let_in_by_what_they_are() {
    let (_folder, _, [node, agency, operator]) = clients();
    let meet = async |client, host: &str| meet_in(Circle::Clients, &node, client, host).await;
    assert_eq!(meet(&agency, "127.0.0.1").await.unwrap(), Holder::agency("G12"));
    assert_eq!(meet(&operator, "localhost").await.unwrap(), Holder::operator("hoa", Right::Observe));
    let elsewhere = meet(&agency, "127.0.0.2").await.unwrap_err();
    assert!(elsewhere.contains("not valid for name"), "a server is one for its hosts: {elsewhere}");
    // What serves clients is no client: not even the certificate of another node.
    meet(&node, "127.0.0.1").await.unwrap_err();
    // And no certificate of clients opens the listener of peers.
    let (peers, _) = certified(&["central-1"]);
    meet_in(Circle::Peers, &load(&peers, "central-1"), &agency, "central-1.peers.dancu").await.unwrap_err();
}

#[tokio::test]
async fn what_ends_soon_is_renewed_with_all_its_names() {
    let (_folder, authority, [node, agency, operator]) = clients();
    authority.issue(&Holder::agency("later"), &[], 300).unwrap();
    assert_eq!(authority.renew(5, 30).unwrap(), []);
    let renewed = authority.renew(20, 30).unwrap();
    assert_eq!(renewed, [agency.holder(), node.holder(), operator.holder()].map(Clone::clone));
    for tls in [&node, &agency, &operator] {
        let ended = tls.expires();
        assert!(tls.reload().unwrap());
        assert_eq!((tls.expires() - ended) / 86_400, 20);
    }
    let met = meet_in(Circle::Clients, &node, &operator, "localhost").await.unwrap();
    assert_eq!(&met, operator.holder());
    assert_eq!(meet_in(Circle::Clients, &node, &agency, "127.0.0.1").await.unwrap(), Holder::agency("G12"));
    assert_eq!(authority.renew(20, 30).unwrap(), []);
}
