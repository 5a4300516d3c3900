//! A voter's log is damaged while it is down. It comes back with all that it acknowledged and may lead, or it says what is
//! wrong and takes no part; the others go on, and the way back is the one that it names.

use std::path::Path;

use dancu::cli::forming;
use dancu::proto::cluster::{PromoteRequest, RemoveNodeRequest};

use crate::harness::damage::{cut, delete, flip, tear, unmark};
use crate::harness::{Cluster, PATIENCE, api, eventually};

/// What is done to a data folder, and whether the node may start on it.
struct Damage {
    what: &'static str,
    inflict: fn(&Path),
    starts: bool,
}

/// The table of the log's damages: tail, middle, whole file, and the mark that watches over it.
const TABLE: [Damage; 5] = [
    Damage { what: "a torn write behind the last", inflict: tear, starts: true },
    Damage { what: "the second half is cut off", inflict: cut, starts: false },
    Damage { what: "a bit is flipped in the middle", inflict: flip, starts: false },
    Damage { what: "the write-ahead log is gone", inflict: delete, starts: false },
    Damage { what: "the mark is gone", inflict: unmark, starts: false },
];

/// The damaged node starts, and is made the leader.
async fn leads(cluster: &mut Cluster, victim: usize) {
    cluster.restart(victim).await;
    let id = cluster.status(victim).await.member.unwrap().node_id;
    eventually("the damaged node to lead", PATIENCE, async || {
        let leader = cluster.leader().await;
        // It may have to catch up first.
        let _ = cluster.only(leader).transfer_leadership(id).await;
        (leader == victim).then_some(())
    })
    .await;
}

/// The damaged node does not start, says so in one message, and comes back the way that this names.
async fn is_replaced(cluster: &mut Cluster, victim: usize, old_id: u64, what: &str) {
    cluster.node(victim).start().unwrap();
    let node = cluster.node(victim);
    let status = eventually("the damaged node to end", PATIENCE, async || node.ended().unwrap()).await;
    let said = node.log_tail(1);
    println!("{what}: {status}: {said}");
    assert!(!status.success() && status.code().is_some(), "{what}: {status}");
    assert!(said.starts_with("dancu: ") && said.contains("add it"), "{what}: it says {said:?}");
    assert!(!node.log_tail(200).contains("panicked"), "{what}");

    node.kill().unwrap();
    node.wipe().unwrap();
    let leader = cluster.leader().await;
    let mut admin = api::admin(&cluster.fleet.nodes[leader].client_address());
    admin.remove_node(RemoveNodeRequest { node_id: old_id }).await.unwrap();
    cluster.node(victim).start().unwrap();
    cluster.node(victim).wait_serving(PATIENCE).unwrap();
    let peer = cluster.node(victim).peer_address();
    forming::add(&cluster.only(leader), &peer, PATIENCE).await.unwrap();
    cluster.ready(victim).await;
    let node_id = cluster.status(victim).await.member.unwrap().node_id;
    assert_ne!(node_id, old_id, "an id came back");
    eventually("the new node to be promoted", PATIENCE, async || {
        admin.promote(PromoteRequest { node_id }).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_damage_to_a_log_is_noticed_and_never_spread() {
    let mut cluster = Cluster::start(3, 0).await;
    let load = cluster.load(4);
    for damage in &TABLE {
        assert!(load.advance(100, PATIENCE).await, "writes stopped before: {}", damage.what);
        let leader = cluster.leader().await;
        let victim = (leader + 1) % 3;
        let id = cluster.status(victim).await.member.unwrap().node_id;
        let data = cluster.node(victim).config().data_dir.clone();
        cluster.node(victim).kill().unwrap();
        (damage.inflict)(&data);
        assert!(load.advance(40, PATIENCE).await, "writes stopped beside: {}", damage.what);
        if damage.starts {
            leads(&mut cluster, victim).await;
            println!("{}: it came back and led", damage.what);
        } else {
            is_replaced(&mut cluster, victim, id, damage.what).await;
        }
    }
    let acks = load.stop().await.unwrap();
    cluster.holds_acks(&acks).await;
}
