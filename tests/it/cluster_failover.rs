//! The leader is killed or cut off, again and again, while writers write: nothing acknowledged is lost, nothing is
//! applied twice.

use std::process::Stdio;
use std::time::Duration;

use dancu::client::request_id;
use dancu::proto::registry::ReadOptions;
use tokio::time::Instant;

use crate::harness::command::{dancu, ended, run};
use crate::harness::people::citizen;
use crate::harness::{Cluster, PATIENCE, api, eventually};

/// Leaders killed in a row, unless `DANCU_KILLS` says another number.
const KILLS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn cluster_failover_leaders_killed_in_a_row() {
    let given = std::env::var("DANCU_KILLS").ok();
    let kills: usize = given.map_or(KILLS, |kills| kills.parse().expect("DANCU_KILLS is a number"));
    let mut cluster = Cluster::start(3, 1).await;
    let load = cluster.load(4);
    let mut gaps = Vec::new();
    for round in 1..=kills {
        assert!(load.advance(40, PATIENCE).await, "writes stopped before kill {round}");
        let leader = cluster.leader().await;
        cluster.node(leader).kill().unwrap();
        let killed = Instant::now();
        let gap = load.next_after(killed, PATIENCE).await.expect("writes go on after a kill");
        gaps.push(u64::try_from(gap.as_millis()).unwrap());
        cluster.restart(leader).await;
    }
    let acks = load.stop().await.unwrap();
    gaps.sort_unstable();
    let at = |percent: usize| gaps[(gaps.len() * percent).div_ceil(100) - 1];
    println!(
        "{kills} leaders killed under load: next acknowledged write after {} ms (p50), {} ms (p99), {} ms (worst)",
        at(50),
        at(99),
        at(100)
    );
    let held = cluster.holds_acks(&acks).await;
    println!(
        "acknowledged {}, found {}, lost {}, doubled {}",
        acks.len(),
        held.found,
        held.lost(),
        held.doubled()
    );
    cluster.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_failover_a_leader_that_was_paused_is_no_leader_when_it_wakes() {
    let cluster = Cluster::start(3, 1).await;
    let load = cluster.load(4);
    for round in 1..=3 {
        assert!(load.advance(40, PATIENCE).await, "writes stopped before pause {round}");
        let old = cluster.leader().await;
        let node = &cluster.fleet.nodes[old];
        node.pause().unwrap();
        let paused = Instant::now();
        let gap = load.next_after(paused, PATIENCE).await.expect("writes go on without it");
        let new = cluster.leader().await;
        assert_ne!(new, old);

        // Written while it slept; asked of it the moment it wakes, when it may still take itself for the leader.
        let other = cluster.fleet.nodes[new].client_address();
        let write = api::create(&request_id(), citizen(round));
        let written = api::registry(&other).create_person(write).await.unwrap().into_inner().meta.unwrap();
        node.resume().unwrap();
        let read = api::read(api::by_id(&citizen(round).personal_id), ReadOptions::default());
        let answer = api::registry(&node.client_address()).read_person(api::within(PATIENCE, read)).await;
        let revision = answer.expect("it finds the new leader").into_inner().meta.unwrap().revision;
        assert!(revision >= written.revision, "a stale answer from a leader of the past");
        println!(
            "pause {round}: next acknowledged write after {gap:.1?}; awake again, it read what was written meanwhile"
        );
    }
    let acks = load.stop().await.unwrap();
    let people = (1..=3).map(|n| (api::by_id(&citizen(n).personal_id), citizen(n)));
    let expected: Vec<_> = acks.iter().map(dancu::cli::fleet::load::Ack::expected).chain(people).collect();
    cluster.holds_exactly(&expected).await;
    cluster.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_failover_an_import_survives_the_loss_of_the_leader_and_of_its_node() {
    const COUNT: u64 = 20_000;
    let mut cluster = Cluster::start(3, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.ndjson");
    let path = file.to_str().unwrap();
    let (code, _, err) = run(["generate", "--count", &COUNT.to_string(), "--seed", "11", "--output", path]);
    assert_eq!(code, 0, "{err}");

    let province = cluster.named("province-1");
    let mut endpoints = cluster.fleet.client_addresses();
    endpoints.rotate_left(province);
    let endpoints = endpoints.join(",");
    let arguments = ["--json", "import", "-e", &endpoints, "--chunk", "100", "--timeout", "30", path];
    let import = dancu(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    for (done, victim) in [(COUNT / 10, None), (COUNT / 4, Some(province))] {
        eventually("the import to get on", PATIENCE, async || {
            let leader = cluster.leader().await;
            (cluster.status(leader).await.revision >= done).then_some(())
        })
        .await;
        let victim = match victim {
            Some(victim) => victim,
            None => cluster.leader().await,
        };
        cluster.node(victim).kill().unwrap();
        cluster.restart(victim).await;
    }
    let (code, summary, err) = ended(import.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    println!("{}", summary.replace('\n', ""));
    for i in 0..4 {
        let held = cluster.only(i).digest(COUNT).await.unwrap();
        assert_eq!(held.persons, COUNT, "people were lost or doubled");
    }
    cluster.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_failover_a_dead_node_is_not_hammered() {
    const MEASURED: Duration = Duration::from_secs(3);
    let mut cluster = Cluster::start(3, 1).await;
    let load = cluster.load(2);
    let leader = cluster.leader().await;
    let dead = (0..3).find(|i| *i != leader).unwrap();
    cluster.node(dead).kill().unwrap();
    let lines = || cluster.fleet.nodes[leader].log_tail(usize::MAX).lines().count();
    let before = lines();
    tokio::time::sleep(MEASURED).await;
    let logged = lines() - before;
    println!("{logged} lines logged by the leader in the {} s after a node was lost", MEASURED.as_secs());
    assert!(logged < 100, "the leader asks a dead node again without a pause");
    let acks = load.stop().await.unwrap();
    cluster.restart(dead).await;
    cluster.holds_acks(&acks).await;
    cluster.assert_no_errors();
}
