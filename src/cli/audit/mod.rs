//! `dancu audit`: who saw whom, and whether the log that says so is whole.
//!
//! ```text
//! history     the accesses to one person       checkpoint  what a node's log holds, signed
//! find        accesses by who asked            prove       that a record is in it, checked here
//! export      a node's log as NDJSON           verify      an export or a log's folder, without a cluster
//! ```

mod export;
mod history;
pub(in crate::cli) mod line;
mod prove;
mod verify;

use std::process::ExitCode;

use super::Failure;
use super::output::Output;

/// What to ask of the audit trail.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the accesses to one person, newest first
    History(history::History),
    /// List accesses by who asked, how and when, newest first
    Find(history::Find),
    /// Show the newest signed checkpoint of a node's log
    Checkpoint(prove::Of),
    /// Show a record, and check the proof that it is in a node's log; exit code 1 when it is not
    Prove(prove::Prove),
    /// Write a node's log as NDJSON, with its signed checkpoints
    Export(export::Args),
    /// Check an exported file or the folder of a log offline, and name the first bad record; exit code 1 when there is one
    Verify(verify::Args),
}

pub use self::history::table_of;
pub use self::prove::is_included;

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::History(args) => history::of_person(args, output).await,
        Command::Find(args) => history::find(args, output).await,
        Command::Checkpoint(args) => prove::checkpoint(args, output).await,
        Command::Prove(args) => prove::inclusion(args, output).await,
        Command::Export(args) => export::run(args).await,
        Command::Verify(args) => verify::run(&args, output),
    }
}
