//! Data folders of earlier builds: what they hold is found again, and what a later build wrote is refused by name.
//!
//! `fixtures/data_folder.tar.gz` is the folder of a node that ran alone and was killed: 30 people, a snapshot of them, and
//! 10 more in the log. A build that cannot open it any more, or finds anything else in it, has changed a format: then the
//! format's number goes up, and this build's folder joins the old one here. How it was made:
//!
//! ```text
//! dancu node --config node.toml (name "node-1", central); dancu cluster init; dancu generate --seed 7 --count 30, then 40;
//! dancu import of the first, dancu cluster snapshot, dancu import of the second; dancu cluster digest; kill -9; without LOG
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use dancu::config::{NodeConfig, Role};
use dancu::metrics::Metrics;
use dancu::raft::{Node, ReadMode, hex};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::harness::{PATIENCE, eventually};

/// As `dancu cluster digest` said before the node was killed.
const REVISION: u64 = 40;
const SHA256: &str = "8917b86952b716ae3277103474e1ce2717c327138f5da8fcbe2642ee6abae788";

/// The fixture, unpacked.
fn unpacked() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    // At run time, so that the tests also work from a target folder that several clones share.
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let packed = Path::new(&root).join("tests/it/fixtures/data_folder.tar.gz");
    let tar = Command::new("tar").arg("-xzf").arg(packed).arg("-C").arg(&data).status().unwrap();
    assert!(tar.success(), "tar: {tar}");
    (folder, data)
}

async fn start(data: &Path) -> Result<Arc<Node>, String> {
    let mut config = NodeConfig::loopback("node-1", Role::Central, data);
    // A node that records has the cluster agree on its receipt key. That entry's time would let replies of long ago go, which
    // the digest covers.
    config.audit.enabled = false;
    Node::start(config, Arc::new(Metrics::new())).await.map_err(|error| error.to_string())
}

/// The node, or nothing while one that was stopped in this process still closes its databases.
fn once_free(started: Result<Arc<Node>, String>) -> Option<Arc<Node>> {
    match started {
        Err(error) if error.contains("in use") => None,
        started => Some(started.unwrap()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_format_of_an_earlier_build_is_read() {
    let (_folder, data) = unpacked();
    // Twice: what this build has written to it is read as well.
    for _start in 0..2 {
        let node = eventually("a free folder", PATIENCE, async || once_free(start(&data).await)).await;
        let read = async || node.read(ReadMode::Linearizable, Instant::now() + PATIENCE).await.map(drop).ok();
        eventually("the only voter to lead", PATIENCE, read).await;
        let digest = node.digest(REVISION, Instant::now() + PATIENCE).await.unwrap();
        assert_eq!((digest.revision, digest.persons, hex(&digest.sha256).as_str()), (REVISION, 40, SHA256));
        node.shutdown().await;
    }
}

/// Writes over bytes of a file.
fn overwrite(file: &Path, offset: usize, bytes: &[u8]) {
    let mut content = std::fs::read(file).unwrap();
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
    std::fs::write(file, content).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn data_format_of_a_later_build_is_refused() {
    // Where each part of the folder says its format.
    let identity = ("IDENTITY", "format = ".len(), b"9".as_slice());
    let mark = ("raft.mark", 0, [9].as_slice());
    for (file, offset, newer) in [identity, mark] {
        let (_folder, data) = unpacked();
        overwrite(&data.join(file), offset, newer);
        let refused = start(&data).await.err().unwrap();
        println!("{refused}");
        for word in [file, "format 9", "newer"] {
            assert!(refused.contains(word), "{word:?} is missing in: {refused}");
        }
        // Nothing was touched: the build that wrote it still reads it.
        overwrite(&data.join(file), offset, if file == "IDENTITY" { b"2" } else { &[1] });
        start(&data).await.unwrap().shutdown().await;
    }
}
