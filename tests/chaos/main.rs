//! `scripts/chaos`: five real processes under faults, with every answer judged.
//!
//! ```text
//! main       the command line, one run, the exit code        verdict    both judges, and whether the run tells anything
//! lab        the cluster and how each fault is made          report     report.md, summary.json, histories judged wrong
//! fault      the faults by name                              timeline   the run as a picture
//! nemesis    when which fault begins and ends                picture    the same on the terminal, live
//! net disks  namespaces, disks that can lose power           watch      who leads, how far each node is
//! strace     tampers with fsync                              resources  what the nodes take, and what leaks
//! install    how far a snapshot's installation has come   power_log  a log alone that loses power
//! ```
//!
//! The clients and the judges are those of the integration tests: `tests/workload` and `tests/check`.
//!
//! Exit codes: 0 every promise held, 1 one was broken, 2 the command line is wrong, 3 the run was rejected because it tells
//! too little.

#![allow(clippy::unwrap_used)]

#[path = "../check/mod.rs"]
#[allow(dead_code, unused_imports, reason = "its tests run with the integration tests")]
mod check;
mod command;
mod disks;
mod fault;
#[path = "../it/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the integration tests use the rest")]
mod harness;
mod install;
mod lab;
mod nemesis;
mod net;
mod picture;
mod power_log;
mod report;
mod resources;
mod strace;
mod timeline;
mod verdict;
mod watch;
#[path = "../workload/mod.rs"]
mod workload;

use std::any::Any;
use std::io::IsTerminal as _;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use futures::FutureExt as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;

use fault::{FAULTS, Fault, Needs};
use harness::{Cluster, PATIENCE};
use lab::{Lab, Trouble};
use nemesis::Nemesis;
use picture::Board;
use report::Run;
use resources::Resources;
use verdict::{Made, Outcome, Verdict, judge};
use watch::Watch;
use workload::Workload;

/// Groups of eight clients.
const GROUPS: u32 = 3;

/// Runs five nodes under faults and judges every answer.
#[derive(Parser)]
#[command(name = "scripts/chaos", after_help = list())]
struct Arguments {
    /// How long faults are made.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// A soak of so many hours instead, such as 0.5: in its second half no fault ends a process, and what grows then is a leak.
    #[arg(long, conflicts_with = "seconds")]
    hours: Option<f64>,
    /// What the faults and the calls are drawn from; drawn itself when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// The faults to make, by name; all that can be made when absent.
    #[arg(long, value_delimiter = ',')]
    faults: Vec<Fault>,
    /// A network namespace for each node, so that links can be cut. As root.
    #[arg(long)]
    netns: bool,
    /// A disk for each node too, so that its power can be cut. As root; implies --netns.
    #[arg(long)]
    disks: bool,
    /// Where the report goes.
    #[arg(long, default_value = "target/chaos")]
    output: PathBuf,
    /// The outcome as JSON.
    #[arg(long)]
    json: bool,
}

/// The faults, for the help text.
fn list() -> String {
    let needs = |needs| match needs {
        Needs::Nothing => "",
        Needs::Net => "  (--netns)",
        Needs::Disks => "  (--disks)",
    };
    let line = |(_, name, what, about): &(Fault, &str, Needs, &str)| {
        format!("  {name:13} {about}{}\n", needs(*what))
    };
    format!("Faults:\n{}", FAULTS.iter().map(line).collect::<String>())
}

impl Arguments {
    /// Those asked for, if they can be made.
    fn chosen(&self) -> Result<Vec<Fault>, String> {
        let can = |fault: &Fault| match fault.needs() {
            Needs::Nothing => true,
            Needs::Net => self.netns || self.disks,
            Needs::Disks => self.disks,
        };
        if self.faults.is_empty() {
            return Ok(FAULTS.iter().map(|row| row.0).filter(can).collect());
        }
        match self.faults.iter().find(|fault| !can(fault)) {
            Some(fault) if fault.needs() == Needs::Net => Err(format!("{fault} needs --netns")),
            Some(fault) => Err(format!("{fault} needs --disks")),
            None => Ok(self.faults.clone()),
        }
    }

    /// How long faults are made.
    fn length(&self) -> Duration {
        self.hours.map_or(Duration::from_secs(self.seconds), |hours| Duration::from_secs_f64(hours * 3600.0))
    }

    /// The command that repeats the run.
    fn command(&self, seed: u64) -> String {
        let mut command = match self.hours {
            Some(hours) => format!("scripts/chaos --hours {hours} --seed {seed}"),
            None => format!("scripts/chaos --seconds {} --seed {seed}", self.seconds),
        };
        for (flag, on) in [(" --netns", self.netns && !self.disks), (" --disks", self.disks)] {
            command += if on { flag } else { "" };
        }
        if !self.faults.is_empty() {
            let names: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
            command += &format!(" --faults {}", names.join(","));
        }
        command
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let faults = match arguments.chosen() {
        Ok(faults) => faults,
        Err(error) => {
            eprintln!("scripts/chaos: {error}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments, faults).await {
        Ok(Verdict::Ok) => ExitCode::SUCCESS,
        Ok(Verdict::Broken) => ExitCode::FAILURE,
        Ok(Verdict::Rejected) => ExitCode::from(3),
        Err(error) => {
            eprintln!("scripts/chaos: the harness failed: {error}");
            ExitCode::from(3)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a seed that is printed")]
async fn run(arguments: &Arguments, faults: Vec<Fault>) -> std::io::Result<Verdict> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let command = arguments.command(seed);
    eprintln!("repeat with: {command}");
    let mut lab = Lab::build(arguments.netns || arguments.disks, arguments.disks).await?;
    let names: Vec<String> = lab.cluster.fleet.nodes.iter().map(|node| node.name().to_owned()).collect();
    let addresses = lab.cluster.fleet.client_addresses();
    let workload = Workload::start(&addresses, GROUPS, seed);
    let begun = workload.begun();
    let end = begun + arguments.length();
    let calm = arguments.hours.map(|_| arguments.length() / 2);
    let (mut tasks, board) = (JoinSet::new(), Board::default());
    let watch = Watch::start(&addresses, begun, &mut tasks);
    let resources = Resources::start(&lab.cluster, begun, watch.clone(), &mut tasks);
    if std::io::stderr().is_terminal() && !arguments.json {
        picture::draw(&names, (begun, end), watch.clone(), board.clone(), workload.tally(), &mut tasks);
    }

    let random = ChaCha8Rng::seed_from_u64(seed);
    let calm_from = calm.map(|calm| begun + calm);
    let mut nemesis = Nemesis::new(faults.clone(), begun, calm_from, watch.clone(), random);
    let faults_made = AssertUnwindSafe(nemesis.run(&mut lab, end, |active| board.show(active)));
    // What the harness waits for in vain, it panics about: a finding as any other.
    let ended =
        faults_made.catch_unwind().await.unwrap_or_else(|panic| Err(Trouble::Broken(message(&*panic))));
    let (table, leaks) = resources.judge(&names, calm.map(|calm| calm.as_secs_f64()));
    let tally = workload.tally();
    let mut told = workload.stop(ended.is_ok()).await;
    let (mut broken, mut lacking) = (leaks, Vec::new());
    match ended {
        Ok(()) => broken.extend(same_everywhere(&lab.cluster).await.err()),
        Err(Trouble::Broken(what)) => broken.push(what),
        Err(Trouble::Harness(what)) => lacking.push(format!("the harness failed: {what}")),
    }
    tasks.shutdown().await;
    let seconds = begun.elapsed().as_secs_f64();
    let leaders = std::mem::take(&mut watch.look().leaders);
    let past = &nemesis.past[..];
    let leader_changes = leaders.len().saturating_sub(1);
    let made = Made { past, wanted: &faults, leader_changes, seconds };
    let mut outcome = judge(&mut told, &tally, &made, (broken, lacking));
    outcome.resources = table;
    let outcome = &outcome;
    let run =
        Run { command: &command, seconds, names: &names, told: &told, past, leaders: &leaders, outcome };
    run.write(&arguments.output)?;
    if outcome.verdict == Verdict::Broken {
        for node in &lab.cluster.fleet.nodes {
            std::fs::copy(node.log_file(), arguments.output.join(format!("{}.log", node.name())))?;
        }
    }
    tell(arguments, &run, outcome)?;
    Ok(outcome.verdict)
}

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

/// All nodes come to hold the same: revision, digest of every record, hash chain.
async fn same_everywhere(cluster: &Cluster) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut found = Vec::new();
        for node in 0..cluster.fleet.nodes.len() {
            let digest = cluster.only(node).digest(0).await.map_err(|error| error.to_string())?;
            let chain = cluster.status(node).await.chain_hash;
            found.push((digest.revision, digest.sha256, chain));
        }
        if found.iter().all(|one| *one == found[0]) {
            return Ok(());
        }
        if Instant::now() > deadline {
            let short = |(revision, sha256, chain): &(u64, String, String)| {
                format!("revision {revision} digest {sha256:.12} chain {chain:.12}")
            };
            let lines: Vec<String> = found.iter().map(short).collect();
            return Err(format!("the nodes hold different states: {}", lines.join("; ")));
        }
    }
}

fn tell(arguments: &Arguments, run: &Run<'_>, outcome: &Outcome) -> std::io::Result<()> {
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(outcome)?);
        return Ok(());
    }
    for (what, value) in run.counts() {
        println!("{what:24} {value}");
    }
    for reason in &outcome.reasons {
        println!("! {reason}");
    }
    let verdict = match outcome.verdict {
        Verdict::Ok => "OK",
        Verdict::Broken => "BROKEN",
        Verdict::Rejected => "REJECTED: the run tells too little",
    };
    println!("{verdict}   report: {}", arguments.output.join("report.md").display());
    Ok(())
}
