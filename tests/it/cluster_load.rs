//! A cluster under more than it likes: a log that nobody reads, a provincial node that hangs or is gone, and more writes
//! than can be made. What is taken is still answered soon, and memory stays what it was.

use std::time::Duration;

use dancu::cli::fleet::load::Load;
use dancu::client::{Client, ClientError};
use dancu::proto::registry::ReadOptions;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::Instant;

use crate::harness::people::citizen;
use crate::harness::{self, Cluster, PATIENCE, api, eventually};

/// etcd issue 22214: a log sink that took nothing hung every read while the node called itself healthy.
#[tokio::test(flavor = "multi_thread")]
async fn cluster_load_a_log_that_nobody_reads_stops_nothing() {
    let mut cluster = Cluster::start_with(1, 0, |settings| settings.log.level = "trace".to_owned()).await;
    let written =
        api::registry(&cluster.node(0).client_address()).create_person(api::create("one", citizen(1))).await;
    written.unwrap();
    cluster.node(0).stop(PATIENCE).unwrap();
    let log = cluster.node(0).log_file().to_owned();
    std::fs::remove_file(&log).unwrap();
    mknodat(CWD, &log, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    // Somebody has to hold it open, or the node would wait for a reader; nobody reads.
    let _unread = open(&log, OFlags::RDWR, Mode::empty()).unwrap();
    cluster.restart(0).await;

    let mut registry = api::registry(&cluster.node(0).client_address());
    let begun = Instant::now();
    let mut reads = 0;
    while cluster.metric(0, "log_lines_dropped_total") == 0.0 {
        assert!(begun.elapsed() < PATIENCE, "{reads} reads filled no log");
        for _ in 0..200 {
            let read = api::read(api::by_id(&citizen(1).personal_id), ReadOptions::default());
            registry.read_person(api::within(Duration::from_secs(5), read)).await.unwrap();
            reads += 1;
        }
    }
    println!("{reads} reads in {:.1?} while nobody read the log", begun.elapsed());
    // Its last lines cannot be written either: it does not wait for that.
    cluster.node(0).stop(PATIENCE).unwrap();
}

/// Each connection takes a descriptor, and many systems allow a process 1,024 unless it asks for more.
#[tokio::test(flavor = "multi_thread")]
async fn cluster_load_a_node_takes_all_descriptors_that_it_may_have() {
    let allowed = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), ..allowed }).unwrap();
    let cluster = Cluster::start_with(1, 0, |_| {}).await;
    setrlimit(Resource::Nofile, allowed).unwrap();
    let limits = format!("/proc/{}/limits", cluster.fleet.nodes[0].pid().unwrap());
    let limits = std::fs::read_to_string(limits).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let [soft, hard, _] = line.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{line}") };
    assert_eq!(soft, hard);
}

/// Writers that know the central nodes alone.
fn writers(cluster: &Cluster, central: usize) -> Load {
    let addresses: Vec<_> = cluster.fleet.client_addresses().into_iter().take(central).collect();
    let client = |_| Client::connect(addresses.clone(), harness::options());
    Load::start(8, client).map_err(|error: ClientError| error.to_string()).unwrap()
}

/// Writes acknowledged within two seconds.
async fn acknowledged(load: &Load) -> usize {
    let before = load.acknowledged();
    tokio::time::sleep(Duration::from_secs(2)).await;
    load.acknowledged() - before
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_load_a_provincial_node_that_hangs_or_is_gone_slows_no_write() {
    let mut cluster = Cluster::start(3, 1).await;
    let load = writers(&cluster, 3);
    assert!(load.advance(100, PATIENCE).await);
    // Turn and turn about, so that a busy machine troubles all three alike.
    let (mut well, mut hung, mut gone) = (0, 0, 0);
    for _ in 0..3 {
        well += acknowledged(&load).await;
        cluster.node(3).pause().unwrap();
        hung += acknowledged(&load).await;
        cluster.node(3).resume().unwrap();
        cluster.node(3).kill().unwrap();
        gone += acknowledged(&load).await;
        cluster.restart(3).await;
    }
    println!("writes acknowledged in 6 s each: {well} with it, {hung} while it hung, {gone} without it");
    // A leader that waited for it would acknowledge a hundredth; the rest is what else the machine does.
    assert!(hung * 2 > well && gone * 2 > well, "a node that does not vote slows writes");
    let acks = load.stop().await.unwrap();
    eventually("it caught up", PATIENCE, async || {
        let (leads, follows) = (cluster.status(cluster.leader().await).await, cluster.status(3).await);
        (follows.applied_index >= leads.applied_index).then_some(())
    })
    .await;
    cluster.holds_acks(&acks).await;
    cluster.assert_no_errors();
}
