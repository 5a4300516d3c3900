//! The log is cut off behind a snapshot, and a node that joins later gets the snapshot, while writes go on. What came
//! by snapshot is complete: the request table too.

use std::time::Duration;

use dancu::cli::fleet::load::Ack;
use dancu::config::{NodeConfig, Role};

use crate::harness::people::citizen;
use crate::harness::{Cluster, PATIENCE, api, eventually};

/// Snapshots soon, and hardly any log kept behind them.
fn short_log(config: &mut NodeConfig) {
    config.raft.snapshot_every_entries = 50;
    config.raft.keep_entries = 10;
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_snapshot_brings_in_a_node_under_writes() {
    let mut cluster = Cluster::start_with(3, 0, short_log).await;
    let request = || api::create("before-the-snapshot", citizen(1));
    let first = api::registry(&cluster.node(0).client_address()).create_person(request()).await.unwrap();

    let load = cluster.load(2);
    eventually("the log's beginning to be purged", PATIENCE, async || {
        let leader = cluster.leader().await;
        (cluster.status(leader).await.purged_index > 10).then_some(())
    })
    .await;

    let learner = cluster.add("province-1", Role::Provincial).await;
    let joiner = cluster.add("central-4", Role::Central).await;
    for i in [learner, joiner] {
        let installed = cluster.metric(i, "snapshots_installed_total");
        let bytes = cluster.metric(i, "snapshot_received_bytes_total");
        let name = cluster.node(i).name();
        println!("{name}: {installed} snapshots installed, {bytes} bytes received");
        assert!(installed >= 1.0, "{name} should have needed a snapshot");
        assert!(bytes > 0.0);
    }
    assert!(load.advance(100, PATIENCE).await, "writes stopped");

    // The node that has its request table from a snapshot leads now: it must know the first write's reply.
    let id = cluster.status(joiner).await.member.unwrap().node_id;
    eventually("the new node to be promoted", PATIENCE, async || cluster.only(0).promote(id).await.ok())
        .await;
    eventually("the new node to lead", PATIENCE, async || {
        let _ = cluster.only(0).transfer_leadership(id).await;
        (cluster.leader().await == joiner).then_some(())
    })
    .await;
    let mut registry = api::registry(&cluster.node(joiner).client_address());
    let again = registry.create_person(api::within(Duration::from_secs(5), request())).await.unwrap();
    assert_eq!(again.into_inner().written, first.into_inner().written);

    let acks = load.stop().await.unwrap();
    let mut expected: Vec<_> = acks.iter().map(Ack::expected).collect();
    expected.push((api::by_id(&citizen(1).personal_id), citizen(1)));
    cluster.holds_exactly(&expected).await;
    cluster.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_snapshot_brings_back_a_node_that_was_away_for_long() {
    let mut cluster = Cluster::start_with(3, 1, short_log).await;
    let away = cluster.named("province-1");
    cluster.node(away).kill().unwrap();
    let behind = cluster.leader().await;
    let applied = cluster.status(behind).await.applied_index;
    let load = cluster.load(2);
    eventually("the log to be purged beyond what the absent node has", PATIENCE, async || {
        let leader = cluster.leader().await;
        (cluster.status(leader).await.purged_index > applied).then_some(())
    })
    .await;
    cluster.restart(away).await;
    let acks = load.stop().await.unwrap();
    cluster.holds_acks(&acks).await;
    assert!(cluster.metric(away, "snapshots_installed_total") >= 1.0, "it should have needed a snapshot");

    // And once more from its own snapshot and log, after a crash.
    cluster.node(away).kill().unwrap();
    cluster.restart(away).await;
    cluster.holds_acks(&acks).await;
    cluster.assert_no_errors();
}
