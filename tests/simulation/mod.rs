//! Whole clusters in one thread and in simulated time: the real nodes, their real stores and gRPC services, on a network, on
//! clocks and on a scheduler that a seed decides about.
//!
//! ```text
//! mod         a run of one seed: form, hurt, heal, judge; many seeds
//! cluster     the hosts: a node each, its folder, its crash and its restart
//! nemesis     which fault when, from the seed
//! operator    what somebody does about a lost node, by the administration's calls
//! image       the folder that a crash leaves behind
//! invariants  what holds at any moment, a file each
//! workload    (tests/workload) clients that write, read and verify at every node
//! check       (tests/check) the judges of what they were told
//! ```
//!
//! `turmoil` gives each host a runtime whose clock stands still until the simulation moves it, and a network that loses,
//! holds and delays. What dancu itself puts in the place of the machine is in `src/simulated.rs`: the log's I/O thread is a
//! task that takes simulated time, work that blocks is done at once, and openraft's random numbers come from the seed.
//!
//! A crash drops the host's runtime at the end of a tick: all its tasks, in whatever they wait for. What waits in the log's
//! queue or in RocksDB's memory then is the volatile half of the disk, and is lost. What files were given is the durable
//! half: the loss of bytes that were written and not synced is left to `scripts/chaos --disks`, which cuts the power of real
//! file systems.
//!
//! Deliberately absent: duplicated and reordered messages within a connection, since nodes speak over TCP, which has
//! neither. Connections of a pair of nodes are overtaken by each other, and requests are repeated by those who wait for them.
//! A node that pauses and wakes is left to `scripts/chaos` too: turmoil cannot stop the clock of one host.

#[path = "../check/mod.rs"]
#[allow(dead_code, reason = "the integration tests use the rest")]
mod check;
mod cluster;
#[path = "harness.rs"]
#[allow(dead_code, reason = "the integration tests use the rest")]
mod harness;
mod image;
mod invariants;
mod nemesis;
mod operator;
#[path = "../workload/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the chaos tests use the rest")]
mod workload;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic;
use std::process::Command;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use check::history::Answer;
use check::judge as judge_record;
use cluster::Cluster;
use invariants::Invariants;
use nemesis::Nemesis;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use workload::{Told, Workload};

use crate::simulated;

/// What a tick of the simulation is.
const TICK: Duration = Duration::from_millis(2);
/// Faults are made for so long, in simulated time.
const HURT: Duration = Duration::from_secs(12);
/// The cluster must be formed, and must be whole again after the last fault, within this simulated time.
const PATIENCE: Duration = Duration::from_secs(40);
/// Seeds of a usual run, from 1 on.
const SEEDS: u64 = 200;

/// Before the summary of a seed, where it is printed.
const SUMMARY: &str = "summary: ";

/// What a run did.
#[derive(Default, Serialize, Deserialize)]
struct Summary {
    faults: BTreeMap<String, u64>,
    leaders: u64,
    restarts: u64,
    /// Of snapshots.
    installs: u64,
    /// Calls with an answer.
    operations: u64,
    /// Writes without one.
    unknown: u64,
}

impl Summary {
    /// The one that was printed.
    fn find(printed: &str) -> Self {
        let line =
            printed.lines().find_map(|line| line.split_once(SUMMARY)).expect("a run prints its summary");
        serde_json::from_str(line.1).expect("a summary")
    }

    fn add(&mut self, other: &Self) {
        for (fault, times) in &other.faults {
            *self.faults.entry(fault.clone()).or_default() += times;
        }
        self.leaders += other.leaders;
        self.restarts += other.restarts;
        self.installs += other.installs;
        self.operations += other.operations;
        self.unknown += other.unknown;
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Forming,
    Hurting,
    /// Faults are over; the clients go on until the cluster is whole.
    Healing,
    /// The clients make their last reads.
    Ending,
}

/// Runs one seed. Returns what happened and all that the clients were told.
fn run(seed: u64) -> Result<(Summary, Told), String> {
    simulated::seed(seed);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(TICK)
        .simulation_duration(Duration::from_secs(600))
        .min_message_latency(Duration::from_micros(200))
        .max_message_latency(Duration::from_millis(random.random_range(2..30)))
        .tcp_capacity(4096)
        .enable_random_order()
        .build();
    let cluster = Cluster::start(&mut sim, &mut random);
    let phase = Rc::new(Cell::new(Phase::Forming));
    let told = Rc::new(RefCell::new(None));
    let orders = operator::Orders::default();
    sim.client("clients", clients(cluster.clone(), seed, phase.clone(), told.clone(), orders.clone()));

    let mut nemesis = Nemesis::new(cluster.clone(), orders, random);
    let mut invariants = Invariants::default();
    let mut entered = (phase.get(), sim.elapsed());
    loop {
        let ended = sim.step().map_err(|error| format!("a host ended: {error}"))?;
        invariants.check(&cluster)?;
        if ended {
            break;
        }
        let now = sim.elapsed();
        if entered.0 != phase.get() {
            entered = (phase.get(), now);
        }
        let long = now - entered.1;
        match entered.0 {
            Phase::Hurting if long < HURT => nemesis.step(&mut sim, now),
            Phase::Hurting => phase.set(Phase::Healing),
            Phase::Healing => {
                nemesis.heal_all(&mut sim, now);
                if nemesis.is_over() && cluster.is_whole() {
                    phase.set(Phase::Ending);
                }
            }
            Phase::Forming | Phase::Ending => {}
        }
        if entered.0 != Phase::Hurting && long > PATIENCE {
            return Err(format!(
                "liveness: {:?} after {} s: {}",
                entered.0,
                PATIENCE.as_secs(),
                cluster.describe()
            ));
        }
    }
    let told = told.take().ok_or("the clients told nothing")?;
    cluster.alike()?;
    let summary = judge(&told, &cluster, &nemesis, &invariants)?;
    Ok((summary, told))
}

/// Forms the cluster, lets clients work until the end, reads everything back.
async fn clients(
    cluster: Cluster,
    seed: u64,
    phase: Rc<Cell<Phase>>,
    told: Rc<RefCell<Option<Told>>>,
    orders: operator::Orders,
) -> turmoil::Result {
    operator::form(&cluster).await?;
    phase.set(Phase::Hurting);
    let workload = Workload::start(&cluster.client_addresses(), 1, seed);
    let working = async {
        while phase.get() != Phase::Ending {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        biased;
        () = working => {}
        never = operator::work(&cluster, &orders) => match never {},
    }
    *told.borrow_mut() = Some(workload.stop(true).await);
    Ok(())
}

/// Judges what the clients were told, and adds up what was done.
fn judge(
    told: &Told,
    cluster: &Cluster,
    nemesis: &Nemesis,
    invariants: &Invariants,
) -> Result<Summary, String> {
    if let Some(strange) = told.strange.first() {
        return Err(format!("an answer that nothing explains: {strange}"));
    }
    if let Some(wrong) = told.judged.wrong.first() {
        return Err(wrong.what.clone());
    }
    for record in &told.history {
        if let Some(broken) = judge_record(record).broken {
            return Err(broken);
        }
    }
    let all = || told.history.iter().flatten();
    let unknown = all().filter(|one| one.answer == Answer::Unknown).count();
    Ok(Summary {
        faults: nemesis.made().clone(),
        leaders: invariants.leaders() as u64,
        restarts: cluster.restarts(),
        installs: cluster.installs(),
        operations: (all().count() - unknown) as u64,
        unknown: unknown as u64,
    })
}

/// Whether something panicked: in a task of a node it would go unnoticed otherwise.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// As [`run`], with a panic of a node as an error. Once in a process: what tokio counts there decides about its order.
fn run_alone(seed: u64) -> Result<(Summary, Told), String> {
    if let Ok(level) = std::env::var("DANCU_LOG") {
        let level: tracing::Level = level.parse().expect("DANCU_LOG is a level");
        tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(std::io::stderr).init();
    }
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICKED.store(true, Ordering::Relaxed);
        usual(info);
    }));
    // A thread of its own, which has drawn no random numbers yet.
    let outcome =
        thread::spawn(move || run(seed)).join().unwrap_or_else(|_| Err("the harness panicked".to_owned()));
    if PANICKED.load(Ordering::Relaxed) {
        return Err("something panicked".to_owned());
    }
    outcome
}

/// Runs a seed in a process of its own, and returns what it printed.
fn run_apart(seed: u64, variables: &[(&str, &str)]) -> Result<String, String> {
    let test = "simulation::simulated_clusters_keep_their_promises";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env("DANCU_SEED", seed.to_string());
    command.envs(variables.iter().copied());
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let again = format!("DANCU_SEED={seed} scripts/test --lib -E 'test({test})' --no-capture");
    Err(format!("again: {again}\n{printed}\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// A number that was given.
fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// The promises hold under every fault that the seeds bring, and afterwards the cluster is whole again. `DANCU_SEED` runs
/// one seed, with the nodes' log if `DANCU_LOG` is a level; `DANCU_SEEDS` so many from a random one
/// on; without either they are always the same.
#[test]
fn simulated_clusters_keep_their_promises() {
    if let Some(seed) = given("DANCU_SEED") {
        let (summary, told) = run_alone(seed).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        println!("{SUMMARY}{}", serde_json::to_string(&summary).unwrap());
        if std::env::var_os("DANCU_HISTORY").is_some() {
            told.history.iter().flatten().for_each(|operation| println!("{operation}"));
        }
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "a wider search tries other seeds each time")]
    let (first, many) =
        given("DANCU_SEEDS").map_or((1, SEEDS), |many| (u64::from(rand::random::<u32>()), many));
    let (next, total, failures) =
        (AtomicU64::new(first), Mutex::new(Summary::default()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + many || !failures.lock().unwrap().is_empty() {
                return;
            }
            match run_apart(seed, &[]) {
                Ok(printed) => total.lock().unwrap().add(&Summary::find(&printed)),
                Err(why) => failures.lock().unwrap().push(why),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let total = total.into_inner().unwrap();
    println!("{many} seeds from {first}: {}", serde_json::to_string(&total).unwrap());
    // A simulation in which nothing happens proves nothing.
    if many >= 50 {
        let missing: Vec<_> =
            nemesis::FAULTS.iter().filter(|fault| !total.faults.contains_key(fault.name())).collect();
        assert!(missing.is_empty(), "never made: {missing:?}");
        assert!(total.leaders > 2 * many, "{} leaders in {many} runs", total.leaders);
        assert!(total.installs > many / 5, "{} snapshots installed in {many} runs", total.installs);
        assert!(total.operations > 200 * many, "{} calls answered in {many} runs", total.operations);
    }
}

/// A failure can be looked at again: the same seed does the same.
#[test]
fn a_seed_of_a_simulation_repeats_itself() {
    let run = || run_apart(7, &[("DANCU_HISTORY", "yes")]).unwrap_or_else(|why| panic!("{why}"));
    let (once, again) = (run(), run());
    assert!(once.lines().count() > 100, "{once}");
    for (one, other) in once.lines().zip(again.lines()).filter(|(line, _)| !line.contains("finished in")) {
        assert_eq!(one, other);
    }
}
