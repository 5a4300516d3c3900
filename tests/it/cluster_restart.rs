//! All nodes are killed at once, under load: what was acknowledged is there afterwards, and a request that is repeated
//! gets its first reply.

use dancu::cli::fleet::load::Ack;
use tokio::time::Instant;

use crate::harness::people::citizen;
use crate::harness::{Cluster, PATIENCE, api};

#[tokio::test(flavor = "multi_thread")]
async fn cluster_restart_all_nodes_killed_at_once() {
    let mut cluster = Cluster::start(3, 1).await;
    let mut first_replies = Vec::new();
    for n in 0..50 {
        let mut registry = api::registry(&cluster.node(n as usize % 4).client_address());
        let request = api::create(&format!("before-{n}"), citizen(n));
        first_replies.push(registry.create_person(request).await.unwrap().into_inner());
    }

    let load = cluster.load(4);
    for round in 1..=3 {
        assert!(load.advance(100, PATIENCE).await, "writes stopped before restart {round}");
        for node in &mut cluster.fleet.nodes {
            node.kill().unwrap();
        }
        let killed = Instant::now();
        for node in &mut cluster.fleet.nodes {
            node.start().unwrap();
        }
        for i in 0..4 {
            cluster.node(i).wait_serving(PATIENCE).unwrap();
            cluster.ready(i).await;
        }
        let ready = killed.elapsed();
        let gap = load.next_after(killed, PATIENCE).await.expect("writes go on after the restart");
        println!(
            "restart {round}: all nodes ready after {ready:.1?}, next acknowledged write after {gap:.1?}"
        );
    }

    for (n, first) in (0..).zip(&first_replies) {
        let mut registry = api::registry(&cluster.node((n as usize + 1) % 4).client_address());
        let again = registry.create_person(api::create(&format!("before-{n}"), citizen(n))).await.unwrap();
        let again = again.into_inner();
        assert_eq!(again.written, first.written, "the repeated request got another reply");
        assert_eq!(again.meta.unwrap().revision, first.meta.as_ref().unwrap().revision);
    }

    let acks = load.stop().await.unwrap();
    let people = (0..50).map(|n| (api::by_id(&citizen(n).personal_id), citizen(n)));
    let expected: Vec<_> = acks.iter().map(Ack::expected).chain(people).collect();
    cluster.holds_exactly(&expected).await;
    cluster.assert_no_errors();
}
