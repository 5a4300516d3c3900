//! `dancu bench`: load on a cluster, and what it saw and cost.
//!
//! ```text
//! site       the cluster: somewhere, or node processes of this machine
//! people     whom the load asks about; puts them into the registry first
//! skew       how often about each
//! operation  what is asked for, one call after another
//! stream     the same on streams: many requests on their way
//! load       closed and open loop, warm-up, latencies, errors: knows nothing of dancu
//! counters   what the nodes' own counters say it cost
//! runner     one run: clients at work between two readings of the counters
//! report     a table, JSON
//! mod        the command line
//! ```
//!
//! A call is one attempt with a deadline, by the generated clients: the retries of [`crate::client`] would hide what a
//! load is to show. Every answer is looked at, so a registry that answers fast and wrong fails: a verification that does
//! not match, a write that changed nothing and a missing person are errors like a refusal. Errors are counted by reason,
//! and any of them makes the exit code 1.
//!
//! The clients share a few HTTP/2 connections, and the processor time of the load itself is told beside that of the
//! nodes: where both run on one machine, it is time that the nodes did not have.
//!
//! What is deliberately absent: comparison with other systems (see `tests/benches`), and profiles of the nodes.

mod counters;
pub mod load;
mod operation;
mod people;
mod report;
mod runner;
mod site;
mod skew;
mod stream;

use std::io::{self, IsTerminal};
use std::ops::RangeInclusive;
use std::process::ExitCode;

use indicatif::ProgressBar;
use serde_json::json;

use self::operation::Operation;
use self::report::Run;
use self::runner::Runner;
use self::site::{Local, Site, Target};
use self::skew::Skew;
use super::Failure;
use super::connect::{Connect, Freshness};
use super::output::Output;
use super::serving::stop_signal;
use crate::domain::population::PEOPLE;

/// What to load, and how.
#[derive(clap::Args)]
pub struct Args {
    /// What to ask for, one run after the other
    #[arg(default_value = "verify")]
    operations: Vec<Operation>,
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    local: Local,
    #[command(flatten)]
    freshness: Freshness,
    #[command(flatten)]
    how: How,
}

/// How hard, how long, about whom.
#[derive(clap::Args)]
struct How {
    /// Logical clients, each with one call on its way; several numbers, separated by commas, are one run each
    #[arg(long, short, value_delimiter = ',', default_value = "64", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    clients: Vec<u32>,
    /// HTTP/2 connections that the clients share
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Open loop: so many calls a second of all clients together (on streams: requests), due at equal distances; latency
    /// counts from when a call was due. Without it a closed loop: each client asks again when it was answered
    #[arg(long, value_parser = rate)]
    rate: Option<f64>,
    /// Seconds of a run that count
    #[arg(long, short, default_value_t = 10.0, value_parser = duration)]
    seconds: f64,
    /// Seconds of a run before that
    #[arg(long, default_value_t = 2.0, value_parser = duration)]
    warm_up: f64,
    /// Who is asked
    #[arg(long, default_value = "all")]
    target: Target,
    /// People to ask about: the first ones of the synthetic population of --seed
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=PEOPLE))]
    people: u64,
    /// Seed of the population and of all choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The people are there already: fail when they are not, instead of importing them
    #[arg(long)]
    existing: bool,
    /// How often each is asked about: uniform, zipf (exponent 0.99) or zipf=S
    #[arg(long, default_value = "uniform", value_parser = Skew::parse)]
    skew: Skew,
    /// People of a call or chunk, requests on their way of a stream
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    batch: u32,
    /// Percent of writes in a mixed load
    #[arg(long, default_value_t = 5.0, value_parser = percent)]
    write_share: f64,
    /// Import: end after so many people instead of after --seconds, and count from the first on
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=PEOPLE))]
    import_count: Option<u64>,
}

fn rate(text: &str) -> Result<f64, String> {
    number(text, 0.001..=10_000_000.0)
}

fn duration(text: &str) -> Result<f64, String> {
    number(text, 0.0..=86_400.0)
}

fn percent(text: &str) -> Result<f64, String> {
    number(text, 0.0..=100.0)
}

fn number(text: &str, range: RangeInclusive<f64>) -> Result<f64, String> {
    let expected = || format!("expected {} to {}", range.start(), range.end());
    text.parse().ok().filter(|number| range.contains(number)).ok_or_else(expected)
}

/// Loads the cluster; 0 when every call was answered as it should be, 1 when not.
///
/// # Errors
/// See [`Failure`]: when the cluster cannot be reached or prepared.
pub async fn run(args: Args, output: &Output) -> Result<ExitCode, Failure> {
    tokio::select! {
        outcome = bench(&args, output) => outcome,
        signalled = stop_signal() => signalled.map(|()| ExitCode::from(130)),
    }
}

async fn bench(args: &Args, output: &Output) -> Result<ExitCode, Failure> {
    let progress = if io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
    let site = Site::find(&args.local, &args.connect).await?;
    let runner = Runner::prepare(site, (&args.connect, &args.freshness), &args.how, &progress).await?;
    let mut runs = Vec::new();
    for &operation in &args.operations {
        for &clients in &args.how.clients {
            runs.push(runner.run(operation, clients).await?);
        }
    }
    progress.finish_and_clear();
    output.result(
        || json!({ "runs": runs.iter().map(Run::json).collect::<Vec<_>>() }),
        || report::text(&runs),
    )?;
    let clean = runs.iter().all(|run| run.errors() == 0 && run.measured.operations() > 0);
    Ok(ExitCode::from(u8::from(!clean)))
}
