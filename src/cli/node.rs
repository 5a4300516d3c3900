//! `dancu node`: runs one node until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use super::Failure;
use super::serving::{Serving, stop_signal};
use crate::config::NodeConfig;
use crate::telemetry;

/// Which node.
#[derive(clap::Args)]
pub struct Args {
    /// The node's configuration; see the samples in cluster/
    #[arg(long, short)]
    config: PathBuf,
}

/// Runs the node until SIGTERM or SIGINT; a second signal ends it at once.
///
/// # Errors
/// An input failure for the configuration, a fault for ports, folders and disks.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let config = NodeConfig::load(&args.config).map_err(|error| Failure::Input(error.to_string()))?;
    telemetry::init(&config.log).map_err(|problem| Failure::Input(problem.to_string()))?;
    let stopping = stop_signal();
    tokio::pin!(stopping);
    let name = config.name.clone();
    let mut serving = tokio::select! {
        started = Serving::start(config) => started?,
        signalled = &mut stopping => return signalled.map(|()| ExitCode::SUCCESS),
    };
    tracing::info!(name, version = env!("CARGO_PKG_VERSION"), "serving");
    let outcome = tokio::select! {
        signalled = &mut stopping => signalled,
        failure = serving.broken() => Err(failure),
    };
    tracing::info!("stopping");
    serving.stop().await;
    tracing::info!("stopped");
    outcome.map(|()| ExitCode::SUCCESS)
}
