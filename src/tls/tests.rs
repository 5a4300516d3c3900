//! Two ends on loopback: who gets through, under which name, and what changed files change.

use std::fs;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;

use super::authority::Authority;
use super::*;

/// The folder of an authority, with what it gave to these nodes.
fn certified(nodes: &[&str]) -> (tempfile::TempDir, Authority) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::init(folder.path(), 10).unwrap();
    for node in nodes {
        authority.issue(node, 10).unwrap();
    }
    (folder, authority)
}

fn load(folder: &tempfile::TempDir, node: &str) -> Arc<Tls> {
    Arc::new(Tls::load(&folder.path().join(node), node).unwrap())
}

/// The name that `server` learns of `client`, which expects the node `expected`: once both have heard the other.
async fn meet(server: &Arc<Tls>, client: &Arc<Tls>, expected: Option<&str>) -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Arc::new(Metrics::new());
    let mut secured = Box::pin(server.accept(TcpIncoming::from(listener), metrics.clone()));
    let accepted = tokio::spawn(async move {
        let mut stream = secured.next().await.unwrap().unwrap();
        stream.write_all(b"hello").await.unwrap();
        stream.flush().await.unwrap();
        stream.read_u8().await.unwrap();
        let Holder { .. } = tonic::transport::server::Connected::connect_info(&stream);
        tonic::transport::server::Connected::connect_info(&stream).name().to_owned()
    });
    let said = async {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from(files::dns_name(expected)).unwrap();
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
            while metrics.peer_handshakes_refused_total.get() == 0 {
                assert!(tokio::time::Instant::now() < deadline, "the server does not count it: {error}");
                tokio::task::yield_now().await;
            }
            accepted.abort();
            Err(error.to_string())
        }
    }
}

#[tokio::test]
async fn each_end_learns_who_the_other_is() {
    let (folder, _) = certified(&["central-1", "province-7"]);
    let (one, two) = (load(&folder, "central-1"), load(&folder, "province-7"));
    assert_eq!(meet(&one, &two, Some("central-1")).await.unwrap(), "province-7");
    assert_eq!(meet(&two, &one, Some("province-7")).await.unwrap(), "central-1");
    assert_eq!(meet(&one, &two, None).await.unwrap(), "province-7", "a node that is not known yet");
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
    fs::copy(ours.path().join("authority.pem"), theirs.path().join("central-2/authority.pem")).unwrap();
    assert!(stranger.reload().unwrap());
    let refused = meet(&one, &stranger, Some("central-1")).await.unwrap_err();
    assert!(refused.contains("UnknownCA") || refused.contains("DecryptError"), "{refused}");
    assert_eq!(meet(&one, &two, Some("central-1")).await.unwrap(), "central-2");
}

#[tokio::test]
async fn a_client_in_the_clear_is_refused_and_holds_up_nobody() {
    let (folder, _) = certified(&["central-1", "central-2"]);
    let (one, two) = (load(&folder, "central-1"), load(&folder, "central-2"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Arc::new(Metrics::new());
    let mut secured = Box::pin(one.accept(TcpIncoming::from(listener), metrics.clone()));
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
    assert_eq!(metrics.peer_handshakes_refused_total.get(), 1);
}

#[tokio::test]
async fn a_certificate_that_was_taken_back_is_refused_as_soon_as_the_list_is_read() {
    let (folder, authority) = certified(&["central-1", "central-2", "central-3"]);
    let [one, two, three] = ["central-1", "central-2", "central-3"].map(|node| load(&folder, node));
    assert_eq!(meet(&one, &two, Some("central-1")).await.unwrap(), "central-2");
    assert!(!one.reload().unwrap(), "nothing has changed");
    authority.revoke("central-2").unwrap();
    assert!(one.reload().unwrap());
    meet(&one, &two, Some("central-1")).await.unwrap_err();
    meet(&two, &one, Some("central-2")).await.unwrap_err();
    assert_eq!(meet(&one, &three, Some("central-1")).await.unwrap(), "central-3");
    // A second one, and a new certificate for the first: the list keeps what it had.
    authority.revoke("central-3").unwrap();
    assert!(one.reload().unwrap());
    meet(&one, &two, Some("central-1")).await.unwrap_err();
    meet(&one, &three, Some("central-1")).await.unwrap_err();
    authority.issue("central-2", 10).unwrap();
    assert!(two.reload().unwrap());
    assert_eq!(meet(&one, &two, Some("central-1")).await.unwrap(), "central-2");
}

#[tokio::test]
async fn changed_files_are_taken_and_bad_ones_left() {
    let (folder, authority) = certified(&["central-1", "central-2"]);
    let (one, two) = (load(&folder, "central-1"), load(&folder, "central-2"));
    let ended = one.expires();
    authority.issue("central-1", 20).unwrap();
    assert!(one.reload().unwrap());
    assert_eq!((one.expires() - ended) / 86_400, 10);
    assert_eq!(meet(&one, &two, Some("central-1")).await.unwrap(), "central-2");

    let key = folder.path().join("central-1/node.key");
    fs::copy(folder.path().join("central-2/node.key"), &key).unwrap();
    let error = one.reload().unwrap_err().to_string();
    assert!(error.contains("node.key") && error.contains("dancu certs issue"), "{error}");
    assert!(!one.reload().unwrap(), "it is reported once");
    assert_eq!(
        meet(&one, &two, Some("central-1")).await.unwrap(),
        "central-2",
        "it goes on with what it had"
    );
    fs::remove_file(&key).unwrap();
    assert!(one.reload().unwrap_err().to_string().contains("cannot read"));
}

#[test]
fn what_cannot_be_used_says_which_file_and_why() {
    let (folder, authority) = certified(&["central-1"]);
    let at = |node: &str| folder.path().join(node);
    let text = |node: &str, name: &str| Tls::load(&at(node), name).unwrap_err().to_string();
    let other = text("central-1", "central-2");
    assert!(other.contains("certificate of central-1, this is the node central-2"), "{other}");
    assert!(text("central-9", "central-9").contains("cannot read"), "no folder");
    authority.issue("a-.b", 10).unwrap();
    assert!(text("a-.b", "a-.b").contains("cannot stand in a certificate"));
    authority.issue("old", 0).unwrap();
    let ended = text("old", "old");
    assert!(ended.contains("ended on 20") && ended.contains("dancu certs issue old"), "{ended}");
    fs::write(at("central-1").join("authority.pem"), "nothing").unwrap();
    let empty = text("central-1", "central-1");
    assert!(empty.contains("authority.pem") && empty.contains("no certificate"), "{empty}");
    fs::copy(at("authority.pem"), at("central-1").join("node.pem")).unwrap();
    assert!(text("central-1", "central-1").contains("names no node"), "an authority is no node");
}

#[test]
fn an_authority_is_made_once_and_its_key_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, _) = certified(&["central-1"]);
    let again = Authority::init(folder.path(), 10).err().unwrap().to_string();
    assert!(again.contains("is there already"), "{again}");
    for key in ["authority.key", "central-1/node.key"] {
        let mode = fs::metadata(folder.path().join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let empty = tempfile::tempdir().unwrap();
    let none = Authority::open(empty.path()).err().unwrap().to_string();
    assert!(none.contains("dancu certs init"), "{none}");
    let unknown = Authority::open(folder.path()).unwrap().revoke("nobody").unwrap_err().to_string();
    assert!(unknown.contains("cannot use"), "{unknown}");
}
