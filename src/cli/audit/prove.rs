//! `dancu audit checkpoint` and `prove`: what a node's log holds, and that a record is in it. Proofs are checked here: the
//! node that gave them need not be believed.

use std::process::ExitCode;

use serde_json::json;

use super::line;
use crate::audit::checkpoint::{hex, is_signed, root};
use crate::audit::merkle::{self, Hash};
use crate::audit::record;
use crate::cli::Failure;
use crate::cli::connect::Connect;
use crate::cli::output::Output;
use crate::proto::registry::{Checkpoint, ProveInclusionResponse};

/// Whose log.
#[derive(clap::Args)]
pub struct Of {
    #[command(flatten)]
    connect: Connect,
    /// The id of the node whose log is meant; the node that answers when it is left out
    #[arg(long, default_value_t = 0)]
    node: u64,
}

/// Which record.
#[derive(clap::Args)]
pub struct Prove {
    #[command(flatten)]
    connect: Connect,
    /// Node and position, as `history` shows them: 3/4711
    #[arg(value_parser = place)]
    record: (u64, u64),
}

fn place(text: &str) -> Result<(u64, u64), String> {
    let numbers =
        text.split_once('/').and_then(|(node, position)| Some((node.parse().ok()?, position.parse().ok()?)));
    numbers.ok_or_else(|| "expected NODE/POSITION, as in 3/4711".to_owned())
}

/// Shows the newest checkpoint; exit code 1 when its signature is not right.
///
/// # Errors
/// See [`Failure`].
pub async fn checkpoint(args: Of, output: &Output) -> Result<ExitCode, Failure> {
    let checkpoint = args.connect.client()?.checkpoint(args.node).await?;
    let signed = is_signed(&checkpoint);
    output.result(
        || json!({ "checkpoint": line::checkpoint_json(&checkpoint), "signed": signed }),
        || text(&checkpoint, signed),
    )?;
    Ok(ExitCode::from(u8::from(!signed)))
}

fn text(checkpoint: &Checkpoint, signed: bool) -> String {
    format!(
        "node {} · {} records · {}\nroot {}\nkey  {}\nthe signature is {}",
        checkpoint.node_id,
        checkpoint.size,
        line::time(checkpoint.time_ms),
        hex(&checkpoint.root),
        hex(&checkpoint.public_key),
        if signed { "right" } else { "NOT RIGHT" },
    )
}

/// Whether a proof shows that its record is the one at this place of the node's log, up to a root that the node has signed.
pub fn is_included(proof: &ProveInclusionResponse, node: u64, position: u64) -> bool {
    let Some(checkpoint) = &proof.checkpoint else { return false };
    let path: Option<Vec<Hash>> = proof.path.iter().map(|hash| hash[..].try_into().ok()).collect();
    let leaf = merkle::leaf(&proof.record);
    checkpoint.node_id == node
        && is_signed(checkpoint)
        && path
            .zip(root(checkpoint))
            .is_some_and(|(path, root)| merkle::includes(&leaf, position, checkpoint.size, &path, &root))
}

/// Shows a record and whether it is proven.
///
/// # Errors
/// See [`Failure`].
pub async fn inclusion(args: Prove, output: &Output) -> Result<ExitCode, Failure> {
    let (node, position) = args.record;
    let proof = args
        .connect
        .client()?
        .prove_inclusion(node, position)
        .await
        .map_err(|error| Failure::from(error).unanswered())?;
    let included = is_included(&proof, node, position);
    let checkpoint = proof.checkpoint.unwrap_or_default();
    let access = record::decode(&proof.record, node, position).map_err(Failure::Fault)?;
    output.result(
        || {
            json!({
                "included": included,
                "access": line::access(&access),
                "record": hex(&proof.record),
                "path": proof.path.iter().map(|hash| hex(hash)).collect::<Vec<_>>(),
                "checkpoint": line::checkpoint_json(&checkpoint),
            })
        },
        || {
            let verdict = if included { "is in the log" } else { "IS NOT PROVEN to be in the log" };
            let access = line::access(&access);
            let steps = proof.path.len();
            let signed = text(&checkpoint, is_signed(&checkpoint));
            format!("{access:#}\nthis record {verdict}, by {steps} hashes up to the root that was signed:\n{signed}")
        },
    )?;
    Ok(ExitCode::from(u8::from(!included)))
}
