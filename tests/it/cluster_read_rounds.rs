//! Linearizable reads at a provincial node share their questions to the leader.

use dancu::proto::registry::ReadOptions;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::people::citizen;
use crate::harness::{Cluster, api};

const READERS: u32 = 64;
const READS_EACH: u32 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn cluster_read_rounds_are_shared_by_64_readers() {
    let mut cluster = Cluster::start(3, 1).await;
    let mut registry = api::registry(&cluster.node(0).client_address());
    for n in 0..READERS {
        registry.create_person(api::create(&format!("person-{n}"), citizen(n))).await.unwrap();
    }
    let province = cluster.named("province-1");
    let leader = cluster.leader().await;
    let asked_by_province = || cluster.metric(province, "read_rounds_total");
    let served_by_leader = || cluster.metric(leader, "read_index_served_total");
    let (at_province, at_leader) = (asked_by_province(), served_by_leader());

    // Eight connections, as services would have, with eight readers on each.
    let addresses = cluster.fleet.nodes[province].client_address();
    let connections: Vec<_> = (0..8).map(|_| api::registry(&addresses)).collect();
    let begun = Instant::now();
    let mut readers = JoinSet::new();
    for n in 0..READERS {
        let mut registry = connections[n as usize % 8].clone();
        readers.spawn(async move {
            for _ in 0..READS_EACH {
                let request = api::read(api::by_id(&citizen(n).personal_id), ReadOptions::default());
                registry.read_person(request).await.unwrap();
            }
        });
    }
    while let Some(ended) = readers.join_next().await {
        ended.unwrap();
    }
    let (reads, seconds) = (f64::from(READERS * READS_EACH), begun.elapsed().as_secs_f64());
    let asked = (asked_by_province() - at_province) / reads;
    let answered = (served_by_leader() - at_leader) / reads;
    println!(
        "{reads} linearizable reads at a province by {READERS} readers, {:.0}/s: {asked:.4} questions to the leader \
         per read, {answered:.4} quorum rounds of the leader per read",
        reads / seconds
    );
    assert!(asked < 0.1, "{asked} rounds per read");
    assert!(answered > 0.0 && answered < 0.1, "{answered} rounds of the leader per read");
    cluster.assert_no_errors();
}
