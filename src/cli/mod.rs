//! The command line: one file for each subcommand, and what they share.
//!
//! ```text
//! node       runs a node                     generate   a synthetic population
//! dev        runs a whole cluster            import     people from a file, resumable
//! demo       shows what a cluster withstands register   people, events, numbers, papers, households
//! cluster    for operators                   verify     claims about one person
//! certs      certificates of nodes           audit      who saw whom, and proofs of it
//! bench      load, and what it cost          unit       administrative units
//!                                            receipt    signed answers, checked offline
//!
//! help       `dancu --help` in groups        fleet      node processes, for the demo and the tests
//! connect    options that lead to a cluster  serving    one node within this process
//! output     text or JSON on standard output forming    a cluster of nodes on this machine
//! failure    exit codes                      json       the JSON form of people and events
//! fetch      a GET to a node
//! answer     what answers have in common
//! ```
//!
//! Results go to standard output, everything else (progress, logs, errors) to standard error, so that output can be
//! piped. Exit codes: 0 done, 1 the answer is no, 2 wrong command line, configuration or input, 3 no cluster could be
//! reached, 4 a fault of a node. Questions of yes or no keep 1 for "no": that there is no such person is 2 there. `verify`
//! has those three alone, yes, no and no answer.

mod answer;
mod audit;
pub mod bench;
mod certs;
mod cluster;
mod connect;
mod consent;
mod demo;
mod dev;
mod failure;
mod fetch;
pub mod fleet;
pub mod forming;
mod generate;
mod help;
pub(crate) mod import;
pub mod json;
mod node;
mod output;
mod policy;
mod receipt;
mod register;
mod serving;
mod unit;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use self::failure::Failure;
use self::output::Output;

/// A replicated population registry: linearizable verification at every node.
#[derive(Parser)]
#[command(name = "dancu", version, max_term_width = 110)]
struct Cli {
    /// Print results as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a node
    Node(node::Args),
    /// Run a whole cluster in this process on loopback, to develop services against
    Dev(dev::Args),
    /// Show what a cluster withstands: node processes, a large import, a killed leader, nothing lost
    Demo(demo::Args),
    /// Load a cluster and tell rates, latencies and what they cost its nodes
    ///
    /// dancu bench --fleet 3 verify write --clients 1,64,256 starts three nodes here, asks them, and ends them.
    Bench(bench::Args),
    /// Form a cluster, change its members, look at it
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Make the certificates with which nodes know each other
    #[command(subcommand)]
    Certs(certs::Command),
    /// Write a synthetic population as NDJSON, the same for the same seed on every machine
    Generate(generate::Args),
    /// Add the people of an NDJSON or CSV file; run again after a break, it adds nobody twice
    Import(import::Args),
    #[command(flatten)]
    Register(register::Command),
    /// Check what was claimed about a person
    ///
    /// Exit codes: 0 when all matches; 1 when something does not match, or the register holds nothing to compare it
    /// with; 2 when there is no answer: a malformed claim or command line, no such person, no node that answers.
    Verify(Box<verify::Args>),
    /// Ask who saw whom, and check that the record of it is whole
    #[command(subcommand)]
    Audit(audit::Command),
    /// Say who may ask what, and why a call passes or not
    #[command(subcommand)]
    Policy(policy::Command),
    /// Record what people agreed to
    #[command(subcommand)]
    Consent(consent::Command),
    /// Check the receipt of a verification, without its cluster when the keys are at hand
    #[command(subcommand)]
    Receipt(Box<receipt::Command>),
    /// Look up an administrative unit, and what it became in the other edition: dancu unit 24 --edition v63 --to v34
    Unit(unit::Args),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    crate::telemetry::abort_on_panic();
    let cli = Cli::from_arg_matches(&help::grouped(Cli::command()).get_matches());
    let outcome = run(cli.unwrap_or_else(|error| error.exit()));
    crate::telemetry::flush();
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("dancu: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let output = Output::new(cli.json);
    if let Command::Generate(args) = cli.command {
        return generate::run(&args);
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|e| {
        Failure::Fault(format!("cannot start the runtime's threads: {e}; raise the process limits"))
    })?;
    runtime.block_on(async {
        match cli.command {
            Command::Node(args) => node::run(args).await,
            Command::Dev(args) => dev::run(args, &output).await,
            Command::Demo(args) => demo::run(args, &output).await,
            Command::Bench(args) => bench::run(args, &output).await,
            Command::Cluster(command) => cluster::run(command, &output).await,
            Command::Certs(command) => certs::run(command, &output),
            Command::Generate(args) => generate::run(&args),
            Command::Import(args) => import::run(args, &output).await,
            Command::Register(command) => register::run(command, &output).await,
            Command::Verify(args) => verify::run(*args, &output).await,
            Command::Audit(command) => audit::run(command, &output).await,
            Command::Policy(command) => policy::run(command, &output).await,
            Command::Consent(command) => consent::run(command, &output).await,
            Command::Receipt(command) => receipt::run(*command, &output).await,
            Command::Unit(args) => unit::run(args, &output).await,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        help::grouped(Cli::command()).debug_assert();
    }

    #[test]
    fn every_command_has_its_group_in_the_help() {
        let help = help::grouped(Cli::command()).render_help().to_string();
        assert!(help.contains("\nThe register:\n") && !help.contains("Others:"), "{help}");
    }
}
