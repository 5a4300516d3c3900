//! A node that cannot start says why in one message, exits with a code that says whose fault it is, and touches nothing.

use std::path::{Path, PathBuf};

use crate::harness::command::run;
use crate::harness::{Cluster, PATIENCE};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn config(&self, text: &str) -> PathBuf {
        let file = self.0.path().join("node.toml");
        std::fs::write(&file, text).unwrap();
        file
    }

    fn valid(&self, data_dir: &Path, client_listen: &str) -> PathBuf {
        self.config(&format!(
            "name = \"node-1\"\nrole = \"central\"\ndata_dir = {data_dir:?}\nclient_listen = \"{client_listen}\"\n\
             peer_listen = \"127.0.0.1:0\"\nplaintext = true\n"
        ))
    }
}

/// Runs a node that must not start; its message must be one line that holds all of `says`.
fn refused(config: &Path, code: i32, says: &[&str]) {
    let (got, out, err) = run(["node".as_ref(), "--config".as_ref(), config.as_os_str()]);
    assert_eq!(got, code, "{err}");
    assert_eq!(out, "");
    let message = err.lines().last().unwrap_or_default();
    assert!(message.starts_with("dancu: "), "{err}");
    for word in says {
        assert!(message.contains(word), "{word:?} is missing in: {message}");
    }
    assert!(!err.contains("panicked") && !err.contains("backtrace"), "{err}");
    println!("exit code {code}: {message}");
}

#[test]
fn node_trouble_configuration() {
    let folder = Folder::new();
    refused(&folder.0.path().join("absent.toml"), 2, &["absent.toml"]);
    refused(&folder.config("name = \n"), 2, &["node.toml", "line 1"]);
    let good = "name = \"n\"\nrole = \"central\"\ndata_dir = \"d\"\nclient_listen = \"127.0.0.1:0\"\npeer_listen = \"127.0.0.1:0\"\n";
    refused(&folder.config(&format!("{good}cluster = 7\n")), 2, &["unknown field", "cluster"]);
    refused(
        &folder.config(&format!("{good}[raft]\nheartbeat_ms = 7\n")),
        2,
        &["unknown field", "heartbeat_ms"],
    );
    refused(&folder.config(&good.replace("central", "regional")), 2, &["role", "regional"]);
}

#[test]
fn node_trouble_port_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    let data = folder.0.path().join("data");
    refused(&folder.valid(&data, &address), 4, &[&address, "client_listen"]);
    assert!(!data.exists(), "a node that did not start made its folder");
}

#[test]
fn node_trouble_folder_that_cannot_be_written() {
    let folder = Folder::new();
    // Also root cannot make a folder below a file.
    let file = folder.0.path().join("file");
    std::fs::write(&file, "").unwrap();
    refused(&folder.valid(&file.join("data"), "127.0.0.1:0"), 4, &["file"]);
    refused(&folder.valid(Path::new("/proc/dancu"), "127.0.0.1:0"), 4, &["/proc/dancu"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn node_trouble_folder_of_another_node() {
    let mut cluster = Cluster::start(1, 0).await;
    let data = cluster.node(0).config().data_dir.clone();
    let folder = Folder::new();

    // It runs: nobody else may use its folder.
    refused(&folder.valid(&data, "127.0.0.1:0"), 4, &["central-1"]);

    // It does not run: the folder is still its own.
    cluster.node(0).stop(PATIENCE).unwrap();
    refused(&folder.valid(&data, "127.0.0.1:0"), 4, &["central-1", "node-1"]);
    cluster.restart(0).await;
    cluster.assert_no_errors();
}

#[test]
fn node_trouble_certificates() {
    let folder = Folder::new();
    let root = folder.0.path().join("certs");
    let certs = |arguments: &[&str]| {
        let folder = ["--folder", root.to_str().unwrap()];
        run(["certs"].iter().chain(&arguments[..1]).chain(&folder).chain(&arguments[1..]))
    };
    // With one listener in the clear, so that the other one's certificate is what is at fault.
    let with = |circle: &str, node: &str| {
        let config = folder.valid(&folder.0.path().join("data"), "127.0.0.1:0");
        let text = std::fs::read_to_string(config).unwrap();
        let key = if circle == "peers" { "peer_tls" } else { "client_tls" };
        folder.config(&format!("{text}{key} = {:?}\n", root.join(circle).join(node)))
    };
    let issue = |name| certs(&["issue", "node", name, "--host", "127.0.0.1,localhost"]);
    let (code, _, err) = issue("node-1");
    assert!(code == 2 && err.contains("dancu certs init"), "{err}");
    assert_eq!(certs(&["init"]).0, 0);
    let (code, _, err) = certs(&["init"]);
    assert!(code == 2 && err.contains("is there already"), "{err}");
    for bad in [&["node", "Node 1", "--host", "a"], &["agency", "G 12", "--days", "1"]] {
        let (code, _, err) = certs(&[&["issue"], &bad[..]].concat());
        assert!(code == 2 && err.contains("is no name of"), "{err}");
    }
    let (code, _, err) = certs(&["issue", "node", "node-1", "--host", "a_b/c"]);
    assert!(code == 2 && err.contains("cannot stand in a certificate"), "{err}");
    assert_eq!((issue("node-1").0, issue("node-2").0), (0, 0));
    assert_eq!(certs(&["issue", "agency", "G12"]).0, 0);
    assert_eq!(certs(&["renew"]).1.trim(), "no certificate ends within 60 days");
    let (code, out, err) = certs(&["renew", "--within", "400"]);
    assert!(
        code == 0 && out.contains("clients: agency G12") && out.contains("peers: node node-2"),
        "{out}{err}"
    );

    let at = |circle: &str, node: &str| root.join(circle).join(node);
    for circle in ["peers", "clients"] {
        refused(&with(circle, "node-node-3"), 4, &["node-node-3/authority.pem", "dancu certs issue"]);
        refused(&with(circle, "node-node-2"), 4, &["certificate of node node-2", "this is node node-1"]);
        let [one, two] = ["node-node-1", "node-node-2"].map(|node| at(circle, node).join("holder.key"));
        std::fs::copy(two, one).unwrap();
        refused(&with(circle, "node-node-1"), 4, &["holder.key", "cannot be used"]);
    }
    refused(&with("clients", "agency-G12"), 4, &["certificate of agency G12", "this is node node-1"]);
    assert!(!folder.0.path().join("data").exists(), "the data folder was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn node_trouble_a_crash_leaves_no_core() {
    let cluster = Cluster::waiting(1, |_| {});
    let pid = cluster.fleet.nodes[0].pid().unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let [soft, hard] = [4, 5].map(|word| core.split_whitespace().nth(word).unwrap());
    assert_eq!((soft, hard), ("0", "0"), "{core}");
}
