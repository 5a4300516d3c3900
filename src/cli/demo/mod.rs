//! `dancu demo`: what a cluster does and withstands, in some three minutes, with real node processes on loopback.
//!
//! ```text
//! mod       the order of the steps, the report, the exit code
//! stage     the node processes, and what happened so far
//! steps     one function for each step
//! trail     the step that shows who may ask, and who saw whom
//! receipt   the step that takes an answer away, signed
//! uses      the step that shows what a register is for
//! narrator  what is said, and whether it came true
//! ```

mod narrator;
mod receipt;
mod stage;
mod steps;
mod trail;
mod uses;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use self::narrator::Narrator;
use self::stage::Stage;
use super::Failure;
use super::output::Output;
use super::serving::stop_signal;

/// How large a demo.
#[derive(clap::Args)]
pub struct Args {
    /// People to import
    #[arg(long, default_value_t = 100_000)]
    count: u64,
    /// Seed of the synthetic population
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the nodes' folders, configurations and logs here; a temporary folder, deleted at the end, when absent
    #[arg(long)]
    keep: Option<PathBuf>,
    /// A program that checks a receipt, given the files of receipt and key set: scripts/demo names one in Python
    #[arg(long, value_name = "PROGRAM")]
    receipt_check: Option<PathBuf>,
}

/// Runs the demo; 0 when everything that it states held, 1 when something did not.
///
/// # Errors
/// See [`Failure`]: when a step could not be done at all.
pub async fn run(args: Args, output: &Output) -> Result<ExitCode, Failure> {
    let temporary =
        tempfile::tempdir().map_err(|e| Failure::Input(format!("cannot make a temporary folder: {e}")))?;
    let folder = args.keep.clone().unwrap_or_else(|| temporary.path().to_path_buf());
    std::fs::create_dir_all(&folder).map_err(|e| super::failure::file_failure("make", &folder, &e))?;
    tokio::select! {
        outcome = tell(&args, &folder, output) => {
            if outcome.is_err() && args.keep.is_none() {
                let kept = temporary.keep();
                eprintln!("dancu: the nodes' logs are kept in {}", kept.display());
            }
            outcome
        }
        signalled = stop_signal() => signalled.map(|()| ExitCode::from(130)),
    }
}

async fn tell(args: &Args, folder: &Path, output: &Output) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    let mut narrator = Narrator::new(output.is_json());
    let mut stage = Stage::set(folder)?;
    stage.form(&mut narrator).await?;
    stage.import(&mut narrator, args.count, args.seed).await?;
    stage.verify(&mut narrator).await?;
    stage.write_here_read_there(&mut narrator).await?;
    stage.trail(&mut narrator).await?;
    stage.receipt(&mut narrator, args.receipt_check.as_deref()).await?;
    stage.uses(&mut narrator).await?;
    let load = stage.load()?;
    stage.kill_leader(&mut narrator, &load).await?;
    stage.add_province(&mut narrator, &load).await?;
    let acks = load.stop().await?;
    stage.read_back(&mut narrator, &acks).await?;
    stage.stop(&mut narrator)?;

    let seconds = begun.elapsed().as_secs_f64();
    let report = stage.report();
    let broken = narrator.broken();
    output.result(
        || serde_json::json!({ "held": broken.is_empty(), "broken": broken, "seconds": seconds, "figures": report }),
        || match broken {
            [] => format!("\nEverything held, in {seconds:.0} s."),
            broken => format!("\nDID NOT HOLD:\n  {}", broken.join("\n  ")),
        },
    )?;
    Ok(ExitCode::from(u8::from(!broken.is_empty())))
}
