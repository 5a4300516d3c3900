//! What eight clients are told of a few records, at every node, while leaders are killed and paused: judged by both judges
//! of `tests/check`, which share nothing but the history. The long form is `scripts/chaos`.

use std::sync::atomic::Ordering::Relaxed;

use crate::check::judge;
use crate::harness::{Cluster, PATIENCE, eventually, seed};
use crate::workload::{Tally, Told, Workload};

/// Answered calls in all: enough that the first records are closed and judged before the end.
const CALLS: u64 = 4800;
/// Leaders lost.
const FAULTS: u64 = 4;

/// Kills the leader, or lets it sleep, until there is another one, and has it back.
async fn lose_leader(cluster: &mut Cluster, kill: bool) {
    let leader = cluster.leader().await;
    if kill {
        cluster.node(leader).kill().unwrap();
    } else {
        cluster.node(leader).pause().unwrap();
    }
    let another = async || (cluster.leader().await != leader).then_some(());
    eventually("another leader", PATIENCE, another).await;
    if kill {
        cluster.restart(leader).await;
    } else {
        cluster.node(leader).resume().unwrap();
    }
}

fn judge_all(told: &Told, tally: &Tally, seed: u64) {
    assert!(told.strange.is_empty(), "seed {seed}: {}", told.strange[0]);
    if let Some(wrong) = told.judged.wrong.first() {
        panic!("seed {seed}: {}", wrong.what);
    }
    let mut given_up = told.judged.given_up;
    for operations in &told.history {
        let found = judge(operations);
        assert!(found.broken.is_none(), "seed {seed}: {}", found.broken.unwrap());
        // Too many calls without an answer at once: the other judge has seen them all.
        given_up += usize::from(found.gave_up);
    }
    let (writes, unknown) = (tally.writes.load(Relaxed), tally.unknown.load(Relaxed));
    let calls = writes + unknown + tally.reads.load(Relaxed);
    println!(
        "{calls} calls on {} records ({writes} writes, {unknown} without an answer) over {FAULTS} lost leaders: judged sound",
        told.history.len()
    );
    assert!(told.judged.cut > 0, "no record was closed before the end");
    assert!(given_up < told.history.len() / 2, "the searches of {given_up} records were given up");
    assert!(writes > calls / 10 && unknown < calls / 10, "the run tells too little");
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_judged_histories_are_linearizable_while_leaders_die_and_sleep() {
    let seed = seed("cluster_judged");
    let mut cluster = Cluster::start(3, 1).await;
    let workload = Workload::start(&cluster.fleet.client_addresses(), 1, seed);
    let tally = workload.tally();
    let answered = || tally.reads.load(Relaxed) + tally.writes.load(Relaxed);
    let reached = async |wanted| {
        eventually("answered calls", PATIENCE, async || (answered() >= wanted).then_some(())).await;
    };
    for round in 1..=FAULTS {
        reached(CALLS * round / (FAULTS + 2)).await;
        lose_leader(&mut cluster, round % 2 == 0).await;
    }
    reached(CALLS).await;
    judge_all(&workload.stop(true).await, &tally, seed);
    cluster.assert_no_errors();
}
