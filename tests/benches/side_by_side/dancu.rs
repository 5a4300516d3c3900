//! dancu: real node processes, loaded by `dancu bench` as anybody would load them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dancu::cli::fleet::Fleet;
use dancu::cli::forming;
use dancu::config::{Role, StorageConfig};
use serde_json::Value;
use tokio::process::Command;

use super::grpc::Loop;
use super::sample::{Sample, Work};

const PATIENCE: Duration = Duration::from_secs(120);

/// Nodes that form a cluster.
pub struct Dancu {
    fleet: Fleet,
    people: u64,
}

impl Dancu {
    /// Starts three central nodes with the settings that a node has by default, and puts people in.
    pub async fn start(folder: &Path, people: u64) -> Result<Self, String> {
        std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        let mut fleet = Fleet::new(Path::new(env!("CARGO_BIN_EXE_dancu")), folder);
        fleet.settings.storage = StorageConfig::default();
        for n in 1..=3 {
            fleet.spawn(&format!("central-{n}"), Role::Central).map_err(|e| e.to_string())?;
        }
        forming::form(&mut fleet, PATIENCE).await.map_err(|e| e.to_string())?;
        let dancu = Self { fleet, people };
        // A first, short load imports whom the others ask about.
        dancu.bench(&["verify", "--clients=1", "--seconds=0.1", "--warm-up=0.1"]).await?;
        Ok(dancu)
    }

    /// Adds a node that does not vote.
    pub async fn add_learner(&mut self, number: u32) -> Result<(), String> {
        let failed = |e: &dyn std::fmt::Display| e.to_string();
        let place =
            self.fleet.spawn(&format!("province-{number}"), Role::Provincial).map_err(|e| failed(&e))?;
        let node = &mut self.fleet.nodes[place];
        node.wait_serving(PATIENCE).map_err(|e| failed(&e))?;
        let learner =
            forming::only(&node.client_address(), &self.fleet.certificates).map_err(|e| failed(&e))?;
        let leader = forming::only(&self.fleet.nodes[0].client_address(), &self.fleet.certificates)
            .map_err(|e| failed(&e))?;
        let peer = self.fleet.nodes[place].peer_address();
        forming::add(&leader, &peer, PATIENCE).await.map_err(|e| failed(&e))?;
        forming::ready(&learner, PATIENCE).await.map(drop).map_err(|e| failed(&e))
    }

    /// One run of `dancu bench`.
    pub async fn measure(&self, work: Work, plan: Loop) -> Result<Sample, String> {
        let run = self
            .bench(
                &[
                    &arguments(work)[..],
                    &[&format!("--seconds={}", plan.measure.as_secs_f64())],
                    &[&format!("--warm-up={}", plan.warm_up.as_secs_f64())],
                    &[&format!("--clients={}", plan.clients), "--existing"],
                ]
                .concat(),
            )
            .await?;
        sample(&run, work)
    }

    /// Imports so many new people, however long it takes.
    pub async fn import(&self, count: u64) -> Result<Sample, String> {
        let count = format!("--import-count={count}");
        let run = self
            .bench(&["import", &count, "--batch=500", "--clients=2", "--target=leader", "--existing"])
            .await?;
        sample(&run, Work::Import)
    }

    /// Runs the tool and returns its one run. It ends with whoever waits for it.
    async fn bench(&self, arguments: &[&str]) -> Result<Value, String> {
        let endpoints = self.fleet.client_addresses().join(",");
        let program = PathBuf::from(env!("CARGO_BIN_EXE_dancu"));
        let people = format!("--people={}", self.people);
        let output = Command::new(program)
            .args(["--json", "bench", "-e", &endpoints, &people])
            .args(arguments)
            .env_remove("DANCU_ENDPOINTS")
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|e| format!("dancu bench cannot be started: {e}"))?;
        let mut answer: Value = serde_json::from_slice(&output.stdout)
            .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let run = answer["runs"][0].take();
        if output.status.success() { Ok(run) } else { Err(format!("calls failed: {}", run["errors"])) }
    }
}

/// What the tool is told.
fn arguments(work: Work) -> Vec<&'static str> {
    match work {
        Work::Read(_) => vec!["verify"],
        Work::Write(_) => vec!["write"],
        Work::BatchRead => vec!["batch-verify"],
        Work::StreamRead => vec!["stream-verify"],
        Work::ReadAtLeader => vec!["verify", "--target=leader"],
        Work::ReadAtLearner => vec!["verify", "--target=learner"],
        // 200 of 5,200.
        Work::ReadBesideWrites => vec!["mixed", "--rate=5200", "--write-share=3.846"],
        Work::BatchWrite(_) => vec!["batch-write", "--target=leader"],
        Work::Import => vec!["import"],
    }
}

fn sample(run: &Value, work: Work) -> Result<Sample, String> {
    let number = |path: &str| run.pointer(path).and_then(Value::as_f64);
    let needed = |path: &str| number(path).ok_or_else(|| format!("dancu bench tells no {path}"));
    // Of a mixed load the latency of its reads.
    let reads = run["kinds"].as_array().and_then(|kinds| kinds.iter().find(|kind| kind["kind"] == "read"));
    let latency = match (work, reads) {
        (Work::ReadBesideWrites, Some(reads)) => &reads["latency_us"],
        _ => &run["latency_us"],
    };
    let processes = run["server"]["processes"].as_array().map_or(&[][..], Vec::as_slice);
    let leader = processes.iter().find(|process| process["state"] == "leader");
    let resident = processes.iter().filter_map(|process| process["resident_bytes"].as_f64());
    Ok(Sample {
        per_s: needed("/operations_per_s")?,
        p50_us: latency["p50"].as_f64(),
        p99_us: latency["p99"].as_f64(),
        cpu_us: number("/server/cpu_us_per_operation"),
        leader_cpu_us: leader.and_then(|leader| leader["cpu_us_per_operation"].as_f64()),
        resident_bytes: resident.reduce(f64::max),
        operations: needed("/operations")?,
    })
}
