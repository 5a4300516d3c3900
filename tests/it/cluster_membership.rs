//! Nodes come and go: added, promoted, removed, replaced, wiped; leadership is handed over. Ids are never used twice.

use std::time::Duration;

use dancu::cli::fleet::Process;
use dancu::config::Role;
use dancu::proto::cluster::{
    AddNodeRequest, InitRequest, NodeState, PromoteRequest, RemoveNodeRequest, TransferLeadershipRequest,
};
use tokio::time::Instant;
use tonic::Code;

use crate::harness::{Cluster, PATIENCE, api, eventually};

async fn id(cluster: &Cluster, i: usize) -> u64 {
    cluster.status(i).await.member.unwrap().node_id
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_membership_replace_a_central_node_under_writes() {
    let mut cluster = Cluster::start(3, 1).await;
    let load = cluster.load(2);
    let ids = [id(&cluster, 0).await, id(&cluster, 1).await, id(&cluster, 2).await, id(&cluster, 3).await];
    let province = cluster.named("province-1");
    let mut admin = api::admin(&cluster.node(province).client_address());

    // A provincial node never votes, and what is a member is not added again.
    let refused = api::refusal(admin.promote(PromoteRequest { node_id: ids[3] }).await);
    assert_eq!((refused.0, refused.1.as_str()), (Code::FailedPrecondition, "CLUSTER_STATE"));
    let peer_address = cluster.node(1).peer_address();
    let refused = api::refusal(admin.add_node(AddNodeRequest { peer_address }).await);
    assert_eq!((refused.0, refused.1.as_str()), (Code::FailedPrecondition, "CLUSTER_STATE"));

    // One goes for good, another comes in its place, and gets an id that nobody had.
    let gone = 2;
    cluster.node(gone).kill().unwrap();
    admin.remove_node(RemoveNodeRequest { node_id: ids[gone] }).await.unwrap();
    let new = cluster.add("central-4", Role::Central).await;
    let new_id = id(&cluster, new).await;
    assert!(!ids.contains(&new_id), "id {new_id} was used before");
    assert!(!cluster.status(new).await.voter);
    eventually("the new node to be promoted", PATIENCE, async || {
        admin.promote(PromoteRequest { node_id: new_id }).await.ok()
    })
    .await;
    eventually("the new node to vote", PATIENCE, async || cluster.status(new).await.voter.then_some(()))
        .await;

    // Leadership goes where it is told to go.
    admin.transfer_leadership(TransferLeadershipRequest { node_id: new_id }).await.unwrap();
    eventually("the new node to lead", PATIENCE, async || (cluster.leader().await == new).then_some(()))
        .await;

    // A leader can be removed too: it hands over first.
    admin.remove_node(RemoveNodeRequest { node_id: new_id }).await.unwrap();
    eventually("another leader", PATIENCE, async || (cluster.leader().await != new).then_some(())).await;
    let status = cluster.only(0).status(false).await.unwrap();
    assert!(status.nodes.iter().all(|n| n.member.as_ref().unwrap().node_id != new_id));
    let peer_address = cluster.node(new).peer_address();
    let refused = api::refusal(admin.add_node(AddNodeRequest { peer_address }).await);
    assert_eq!((refused.0, refused.1.as_str()), (Code::FailedPrecondition, "CLUSTER_STATE"));
    cluster.node(new).kill().unwrap();

    assert!(load.advance(50, PATIENCE).await, "writes stopped");
    let acks = load.stop().await.unwrap();
    cluster.holds_acks(&acks).await;
    cluster.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_membership_a_wiped_node_does_not_come_back_under_its_old_id() {
    let mut cluster = Cluster::start(3, 1).await;
    let load = cluster.load(2);
    assert!(load.advance(50, PATIENCE).await);
    let wiped = 1;
    let old_id = id(&cluster, wiped).await;
    cluster.node(wiped).kill().unwrap();
    cluster.node(wiped).wipe().unwrap();
    cluster.node(wiped).start().unwrap();
    cluster.node(wiped).wait_serving(PATIENCE).unwrap();
    assert!(load.advance(50, PATIENCE).await, "writes stopped");
    assert_eq!(cluster.status(wiped).await.state(), NodeState::Waiting, "it must not take part by itself");
    let refused = api::refusal(
        api::registry(&cluster.node(wiped).client_address())
            .read_person(api::read(api::by_uid(1), api::stale(60_000)))
            .await,
    );
    assert_eq!((refused.0, refused.1.as_str()), (Code::Unavailable, "NOT_READY"));

    // Forming the cluster again must not hand it its old id either, whoever is asked.
    let peer_addresses: Vec<String> = cluster.fleet.nodes[..3].iter().map(Process::peer_address).collect();
    for asked in [wiped, 0] {
        let mut admin = api::admin(&cluster.node(asked).client_address());
        let refused = api::refusal(admin.init(InitRequest { peer_addresses: peer_addresses.clone() }).await);
        assert_eq!((refused.0, refused.1.as_str()), (Code::FailedPrecondition, "CLUSTER_STATE"));
        assert_eq!(cluster.status(wiped).await.state(), NodeState::Waiting, "it was given an identity");
    }

    // Whoever is to remove it learns its old id from the others: it knows none itself.
    let all = cluster.only(0).status(false).await.unwrap().nodes;
    let as_seen = all.into_iter().find(|node| node.member.as_ref().is_some_and(|one| one.node_id == old_id));
    let as_seen = as_seen.expect("the wiped node is a member still");
    assert_eq!((as_seen.state(), as_seen.voter), (NodeState::Waiting, true));
    assert!(as_seen.problem.contains(&format!("remove node {old_id}")), "{}", as_seen.problem);

    // The way back: out of the cluster under the old id, in under a new one.
    let mut admin = api::admin(&cluster.node(0).client_address());
    admin.remove_node(RemoveNodeRequest { node_id: old_id }).await.unwrap();
    let peer_address = cluster.node(wiped).peer_address();
    let added = admin.add_node(AddNodeRequest { peer_address }).await.unwrap().into_inner().member.unwrap();
    assert!(added.node_id > old_id);
    cluster.ready(wiped).await;
    eventually("it to be promoted", PATIENCE, async || cluster.only(0).promote(added.node_id).await.ok())
        .await;
    let acks = load.stop().await.unwrap();
    cluster.holds_acks(&acks).await;
    cluster.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_membership_a_leader_that_is_asked_to_stop_hands_over() {
    let mut cluster = Cluster::start(3, 1).await;
    let load = cluster.load(4);
    let mut gaps = Vec::new();
    for _ in 0..3 {
        assert!(load.advance(100, PATIENCE).await);
        let leader = cluster.leader().await;
        let asked = Instant::now();
        let status = cluster.node(leader).stop(PATIENCE).unwrap();
        assert!(status.success(), "it ended with {status}");
        let took = asked.elapsed();
        let gap = load.next_after(Instant::now(), PATIENCE).await.expect("writes go on");
        gaps.push((took, gap));
        cluster.restart(leader).await;
    }
    let acks = load.stop().await.unwrap();
    // The longest time in which nobody got an acknowledgement, hand-overs included.
    let mut times: Vec<_> = acks.iter().map(|ack| ack.done).collect();
    times.sort_unstable();
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    println!(
        "3 leaders stopped in good order (time to stop, then to the next write): {gaps:.1?}; longest time without an acknowledgement {longest:.1?}"
    );
    assert!(longest < Duration::from_secs(3), "a hand-over should be shorter than an election");
    let logs = cluster.fleet.nodes.iter().map(|node| std::fs::read_to_string(node.log_file()).unwrap());
    let handed_over: usize = logs.map(|log| log.matches("handed leadership over").count()).sum();
    assert!(handed_over >= 2, "{handed_over} of 3 leaders handed over; the others left it to an election");
    cluster.holds_acks(&acks).await;
    cluster.assert_no_errors();
}

/// With one voter of three dead, taking the other follower out would leave two voters, one of them dead: no majority
/// could ever confirm it, and no write after it.
#[tokio::test(flavor = "multi_thread")]
async fn cluster_membership_a_removal_that_would_stop_the_cluster_is_refused() {
    let mut cluster = Cluster::start(3, 0).await;
    let load = cluster.load(1);
    let leader = cluster.leader().await;
    let (dead, live) = ((leader + 1) % 3, (leader + 2) % 3);
    let live_id = id(&cluster, live).await;
    cluster.node(dead).kill().unwrap();
    let killed = Instant::now();
    let mut admin = api::admin(&cluster.node(leader).client_address());
    // A node counts as there for three seconds after it was last heard.
    eventually("the dead node to have been silent long enough", PATIENCE, async || {
        (killed.elapsed() > Duration::from_secs(4)).then_some(())
    })
    .await;
    let refused = api::refusal(admin.remove_node(RemoveNodeRequest { node_id: live_id }).await);
    assert_eq!((refused.0, refused.1.as_str()), (Code::FailedPrecondition, "CLUSTER_STATE"), "{refused:?}");
    assert!(load.advance(20, PATIENCE).await, "writes go on");
    cluster.restart(dead).await;
    let acks = load.stop().await.unwrap();
    cluster.holds_acks(&acks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_membership_a_cluster_is_formed_once_and_of_the_right_nodes() {
    let mut cluster = Cluster::waiting(3, |_| {});
    let stranger = cluster.fleet.spawn("province-1", Role::Provincial).unwrap();
    cluster.node(stranger).wait_serving(PATIENCE).unwrap();
    let peers: Vec<String> = cluster.fleet.nodes.iter().map(Process::peer_address).collect();
    let mut admin = api::admin(&cluster.node(0).client_address());
    let init = |peers: &[String]| InitRequest { peer_addresses: peers.to_vec() };

    let refused = api::refusal(admin.init(init(&peers[..2])).await);
    assert_eq!(refused.0, Code::InvalidArgument);
    let refused =
        api::refusal(admin.init(init(&[peers[0].clone(), peers[1].clone(), peers[3].clone()])).await);
    assert_eq!((refused.0, refused.1.as_str()), (Code::FailedPrecondition, "CLUSTER_STATE"));
    let formed = admin.init(init(&peers[..3])).await.unwrap().into_inner();
    assert_eq!(formed.members.len(), 3);
    cluster.ready(0).await;
    let refused = api::refusal(admin.init(init(&peers[..3])).await);
    assert_eq!((refused.0, refused.1.as_str()), (Code::FailedPrecondition, "CLUSTER_STATE"));
    cluster.assert_no_errors();
}
