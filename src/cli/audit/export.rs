//! `dancu audit export`: a node's log as NDJSON.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::line;
use crate::audit::record;
use crate::cli::Failure;
use crate::cli::connect::Connect;
use crate::cli::failure::file_failure;
use crate::proto::registry::export_accesses_response::Part;

/// What of which log.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    connect: Connect,
    /// The id of the node whose log is meant; the node that answers when it is left out
    #[arg(long, default_value_t = 0)]
    node: u64,
    /// The first record
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// The file to write; standard output when it is left out
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// Writes it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let mut parts = args.connect.client()?.export_accesses(args.node, args.from).await?;
    let mut sink: Box<dyn Write + Send> = match &args.output {
        Some(path) => {
            Box::new(BufWriter::new(File::create(path).map_err(|e| file_failure("create", path, &e))?))
        }
        None => Box::new(BufWriter::new(std::io::stdout())),
    };
    let mut write =
        |line: String| writeln!(sink, "{line}").map_err(|e| Failure::Input(format!("cannot write: {e}")));
    let (mut node, mut next, mut whole) = (0, 0, false);
    let broke = |status: tonic::Status| {
        Failure::Unavailable(format!("the export broke off: {}. Run it again", status.message()))
    };
    while let Some(part) = parts.message().await.map_err(broke)? {
        match part.part {
            Some(Part::Start(start)) => {
                (node, next) = (start.node_id, start.first);
                write(line::head(&start))?;
            }
            Some(Part::Records(records)) => {
                for bytes in records.records {
                    let access = record::decode(&bytes, node, next).map_err(|detail| {
                        Failure::Fault(format!("record {next} of node {node}: {detail}"))
                    })?;
                    write(line::record(next, &bytes, &access))?;
                    next += 1;
                }
                whole = false;
            }
            Some(Part::Checkpoint(checkpoint)) => {
                whole = checkpoint.size == next;
                write(line::checkpoint(&checkpoint))?;
            }
            None => {}
        }
    }
    sink.flush().map_err(|e| Failure::Input(format!("cannot write: {e}")))?;
    if whole {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::Unavailable(format!("the node ended the export at record {next}: run it again")))
}
