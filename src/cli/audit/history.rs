//! `dancu audit history` and `find`: accesses, newest first, from a central node.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::line;
use crate::cli::Failure;
use crate::cli::connect::{Connect, Freshness, Whom, instant};
use crate::cli::output::{Output, table};
use crate::proto::registry::{AccessRecord, LogCoverage, QueryAccessesRequest};

/// About whom.
#[derive(clap::Args)]
pub struct History {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    freshness: Freshness,
    /// The most accesses
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// Which ones.
#[derive(clap::Args)]
pub struct Find {
    #[command(flatten)]
    connect: Connect,
    /// Of this agency (--agency and --officer say who asks now)
    #[arg(long, default_value = "")]
    by_agency: String,
    /// Of this officer
    #[arg(long, default_value = "")]
    by_officer: String,
    /// Of this method, as in Verification/Verify
    #[arg(long, default_value = "")]
    method: String,
    /// With this request id
    #[arg(long, default_value = "")]
    request_id: String,
    /// Not before this time, like 2026-01-31T10:00:00Z
    #[arg(long, value_parser = instant)]
    from: Option<u64>,
    /// Before this time
    #[arg(long, value_parser = instant)]
    until: Option<u64>,
    /// Those that were refused alone
    #[arg(long)]
    refused: bool,
    /// The most accesses
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// The most that is asked for at once.
const PAGE: usize = 500;

fn page(limit: usize, have: usize) -> u32 {
    u32::try_from((limit - have).min(PAGE)).expect("a page is small")
}

/// Lists the accesses to one person.
///
/// # Errors
/// See [`Failure`].
pub async fn of_person(args: History, output: &Output) -> Result<ExitCode, Failure> {
    let client = args.connect.client()?;
    let (mut all, mut next, mut coverage) = (Vec::new(), bytes::Bytes::new(), Vec::new());
    while all.len() < args.limit {
        let options = args.freshness.options();
        let wanted = page(args.limit, all.len());
        let answer = client.access_history(args.whom.key(), wanted, next, options).await?;
        all.extend(answer.accesses);
        (next, coverage) = (answer.next_page, answer.coverage);
        if next.is_empty() {
            break;
        }
    }
    show(output, &all, &coverage, !next.is_empty())
}

/// Lists accesses by a description.
///
/// # Errors
/// See [`Failure`].
pub async fn find(args: Find, output: &Output) -> Result<ExitCode, Failure> {
    let client = args.connect.client()?;
    let mut asked = QueryAccessesRequest {
        agency_id: args.by_agency,
        officer_id: args.by_officer,
        method: args.method,
        request_id: args.request_id,
        from_ms: args.from.unwrap_or(0),
        until_ms: args.until.unwrap_or(0),
        refused: args.refused,
        ..QueryAccessesRequest::default()
    };
    let (mut all, mut coverage) = (Vec::new(), Vec::new());
    while all.len() < args.limit {
        asked.limit = page(args.limit, all.len());
        let answer = client.query_accesses(asked.clone()).await?;
        all.extend(answer.accesses);
        (asked.page, coverage) = (answer.next_page, answer.coverage);
        if asked.page.is_empty() {
            break;
        }
    }
    show(output, &all, &coverage, !asked.page.is_empty())
}

fn show(
    output: &Output,
    accesses: &[AccessRecord],
    coverage: &[LogCoverage],
    more: bool,
) -> Result<ExitCode, Failure> {
    output.result(
        || {
            json!({
                "accesses": accesses.iter().map(line::access).collect::<Vec<_>>(),
                "more": more,
                "coverage": coverage.iter().map(coverage_json).collect::<Vec<_>>(),
            })
        },
        || text(accesses, coverage, more),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Accesses as lines that line up.
pub fn table_of(accesses: &[AccessRecord]) -> String {
    let row = |access: &AccessRecord| {
        let context = access.context.clone().unwrap_or_default();
        let place = format!("{}/{}", access.node_id, access.position);
        vec![
            line::time(access.time_ms),
            place,
            if access.caller.is_empty() { context.agency_id } else { access.caller.clone() },
            context.officer_id,
            access.method.clone(),
            context.purpose,
            line::what(access, access.persons.first()),
        ]
    };
    let header = ["time", "node/record", "who", "officer", "method", "purpose", "what"];
    table(&header, accesses.iter().map(row).collect())
}

fn text(accesses: &[AccessRecord], coverage: &[LogCoverage], more: bool) -> String {
    let mut text = table_of(accesses);
    if more {
        text += "\nthere are more: --limit";
    }
    let behind = coverage.iter().filter(|of| of.held < of.known || of.asked_at_ms == 0);
    for of in behind {
        let when = match of.asked_at_ms {
            0 => "it was not reached".to_owned(),
            ms => format!("it had {} at {}", of.known, line::time(ms)),
        };
        let name = if of.name.is_empty() { of.node_id.to_string() } else { of.name.clone() };
        text += &format!("\nof node {name} only the first {} records were looked through: {when}", of.held);
    }
    text
}

fn coverage_json(of: &LogCoverage) -> Value {
    json!({
        "node_id": of.node_id, "name": of.name, "held": of.held, "known": of.known, "asked_at_ms": of.asked_at_ms,
    })
}
