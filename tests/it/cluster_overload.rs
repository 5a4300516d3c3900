//! Three times as many calls as the cluster can answer: those that are taken are answered soon, the others hear at once when to
//! come back, and memory stays what it was. `scripts/overload` does the same for minutes.
//!
//! The nodes have one half of the processors and the load the other: a load that takes the nodes' time would make them slower
//! the harder it tries, which no client of another machine does.

use std::process::Command;
use std::thread::available_parallelism;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use crate::harness::Cluster;
use crate::harness::command::{dancu, ended};

/// Seconds of the overload, unless `DANCU_SECONDS` says another number.
const SECONDS: u64 = 10;
/// From here on the run is long enough to judge how the latency compares and whether memory grows.
const JUDGED: u64 = 60;
/// Calls that the clients may have under way in the overload: more than a node takes.
const CLIENTS: &str = "--clients=4000";

/// What a run of `dancu bench` saw.
struct Seen {
    calls_per_second: f64,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    errors: Vec<String>,
    refused: u64,
}

/// The processors of the nodes, and those of the load, as `taskset` writes them.
fn processors() -> (String, String) {
    let all = available_parallelism().unwrap().get();
    match all / 2 {
        0 => ("0".to_owned(), "0".to_owned()),
        half => (format!("0-{}", half - 1), format!("{half}-{}", all - 1)),
    }
}

fn taskset(arguments: &[&str]) -> Command {
    let mut command = Command::new("taskset");
    command.args(arguments);
    command
}

fn bench(cluster: &Cluster, arguments: &[&str]) -> Seen {
    let endpoints = cluster.fleet.client_addresses().join(",");
    let common = ["--json", "bench", "-e", &endpoints, "--people=2000", "--warm-up=2"];
    let asked = dancu(common.iter().chain(arguments));
    let mut pinned = taskset(&["-c", &processors().1]);
    pinned.arg(asked.get_program()).args(asked.get_args());
    pinned.envs(asked.get_envs().filter_map(|(variable, value)| Some((variable, value?))));
    // Its exit code says that calls were refused, which is what is wanted.
    let (_, out, err) = ended(pinned.output().unwrap());
    let answer: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
    let run = &answer["runs"][0];
    let number = |path: &str| {
        run.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path} in {run:#}"))
    };
    let errors = run["errors"].as_object().unwrap();
    Seen {
        calls_per_second: number("/calls") / number("/seconds"),
        per_second: number("/operations_per_s"),
        p50_ms: number("/latency_from_send_us/p50") / 1e3,
        p99_ms: number("/latency_from_send_us/p99") / 1e3,
        errors: errors.keys().cloned().collect(),
        refused: errors.values().filter_map(Value::as_u64).sum(),
    }
}

/// The memory of all nodes together, in MiB.
fn memory(pids: &[u32]) -> f64 {
    let resident = |pid: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    };
    pids.iter().map(resident).sum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Overloads the cluster with three times as many calls as `sustained` clients make, of whom it need not refuse any.
async fn overload(operation: &'static str, batch: &'static str, sustained: &'static str) {
    let given = std::env::var("DANCU_SECONDS").ok();
    let seconds: u64 = given.map_or(SECONDS, |text| text.parse().expect("DANCU_SECONDS is a number"));
    // A small cache, so that it is full soon and what grows then is something else.
    let cluster = Cluster::start_with(3, 0, |settings| settings.storage.block_cache_mb = 16).await;
    let pids: Vec<u32> = cluster.fleet.nodes.iter().map(|node| node.pid().unwrap()).collect();
    for pid in &pids {
        let moved = taskset(&["-a", "-p", "-c", &processors().0, &pid.to_string()]).output().unwrap();
        assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    }
    let before = bench(&cluster, &[operation, batch, sustained, &format!("--seconds={}", seconds.min(10))]);
    // On a machine that is busy with other things, this many may be too many already.
    assert!(before.errors.iter().all(|reason| reason == "OVERLOADED"), "{:?}", before.errors);

    let watched = tokio::spawn(async move {
        let begun = Instant::now();
        let mut memories = Vec::new();
        for second in 1..=seconds {
            sleep_until(begun + Duration::from_secs(second)).await;
            memories.push(memory(&pids));
        }
        memories
    });
    let rate = format!("--rate={:.0}", before.calls_per_second * 3.0);
    let cluster = std::sync::Arc::new(cluster);
    let under = tokio::task::spawn_blocking({
        let cluster = cluster.clone();
        move || bench(&cluster, &[operation, batch, CLIENTS, &rate, &format!("--seconds={seconds}")])
    });
    let (under, memories) = (under.await.unwrap(), watched.await.unwrap());
    let quarter = memories.len() / 4;
    let (early, late) =
        (median(memories[quarter..2 * quarter].to_vec()), median(memories[3 * quarter..].to_vec()));
    println!(
        "{operation}: {:.0}/s at p50 {:.1} ms, p99 {:.1} ms, {} refused; asked three times as often for {seconds} s: {:.0}/s at p50 {:.1} ms, \
         p99 {:.1} ms, {} refused; memory of the nodes {early:.0} MiB early, {late:.0} MiB late",
        before.per_second,
        before.p50_ms,
        before.p99_ms,
        before.refused,
        under.per_second,
        under.p50_ms,
        under.p99_ms,
        under.refused
    );
    assert!(under.refused > 0, "nothing was refused: that was no overload");
    assert!(under.errors.iter().all(|reason| reason == "OVERLOADED"), "{:?}", under.errors);
    assert!(under.per_second * 4.0 > before.per_second, "little is done but refusing");
    if seconds >= JUDGED {
        let calls = before.calls_per_second * seconds.min(10) as f64;
        assert!((before.refused as f64) < calls / 100.0, "the rate before was not sustained");
        assert!(under.p50_ms < before.p50_ms * 3.0, "what was taken waits too long");
        assert!(under.p99_ms < before.p99_ms * 3.0, "some of what was taken waits too long");
        assert!(late < early * 1.1 + 16.0, "memory grows");
    }
    // Nothing is left behind: the next call is answered.
    let after = bench(&cluster, &[operation, batch, "--clients=16", "--seconds=1"]);
    assert!(after.errors.is_empty() && after.per_second > 0.0, "{:?}", after.errors);
    cluster.assert_no_errors();
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_overload_writes() {
    overload("batch-write", "--batch=16", "--clients=24").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_overload_verifications() {
    overload("batch-verify", "--batch=64", "--clients=192").await;
}

/// An import is a stream that waits: while the leader takes no more, its chunks do too, and take turns with those of others.
#[tokio::test(flavor = "multi_thread")]
async fn cluster_overload_imports_wait() {
    let cluster = Cluster::start_with(3, 0, |settings| settings.raft.write_queue_ms = 1).await;
    let seen = bench(&cluster, &["import", "--batch=300", "--clients=8", "--seconds=3"]);
    assert!(seen.errors.is_empty() && seen.per_second > 0.0, "{:?}", seen.errors);
    let refused: f64 = (0..3).map(|i| cluster.metric(i, "overloaded_total")).sum();
    println!("{:.0} people a second; chunks came too early {refused} times", seen.per_second);
    assert!(refused > 0.0, "the leader took everything at once: nothing had to wait");
}
