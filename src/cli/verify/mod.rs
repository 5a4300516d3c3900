//! `dancu verify`: checks claims about one person. The record itself is never shown.
//!
//! `claims` has the options, one for each attribute.

mod claims;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::Failure;
use super::answer::{meta_json, meta_text, resolution_json, resolution_text};
use super::connect::{Connect, Freshness, Whom};
use super::output::{Output, table};
use super::receipt;
use crate::proto::registry::{
    AttributeVerdict, DatePrecision, MatchStrength, Subject, Verdict, VerifyResponse,
};

/// The person, and what is claimed of them.
#[derive(clap::Args)]
#[command(
    override_usage = "dancu verify [OPTIONS] <--id ID | --old-id NUMBER | --uid UID | --credential TYPE=NUMBER> <CLAIMS>"
)]
pub struct Args {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    freshness: Freshness,
    /// How strongly texts must agree: to the letter, or but for case, spaces and where the tone mark of oa, oe, uy stands
    #[arg(long, value_name = "STRENGTH", default_value = "canonical")]
    require: Required,
    /// Have the answer signed, and write the receipt to this file: see dancu receipt
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    claims: claims::Claims,
}

/// The strengths that are a match.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Required {
    Exact,
    Canonical,
}

/// Asks for the verdicts: 0 when all match, 1 when one does not or cannot be told.
///
/// # Errors
/// Whatever fails, and a malformed claim, exits with 2: a script that asks "is it so?" has three cases, yes, no and no
/// answer.
pub async fn run(args: Args, output: &Output) -> Result<ExitCode, Failure> {
    ask(args, output).await.map_err(|failure| Failure::Input(failure.to_string()))
}

async fn ask(args: Args, output: &Output) -> Result<ExitCode, Failure> {
    let required = match args.require {
        Required::Exact => MatchStrength::Exact,
        Required::Canonical => MatchStrength::Canonical,
    };
    let subject = Subject { key: Some(args.whom.key()), claims: args.claims.list(required) };
    let (client, options) = (args.connect.client()?, args.freshness.options());
    let answer = match &args.receipt {
        None => client.verify(subject, options).await?,
        Some(path) => {
            let answer = client.verify_with_receipt(subject, options).await?;
            receipt::write(path, &answer.receipt.clone().unwrap_or_default())?;
            answer
        }
    };
    output.result(|| answer_json(&answer), || answer_text(&answer))?;
    let malformed =
        |v: &AttributeVerdict| matches!(v.verdict(), Verdict::InvalidInput | Verdict::Unsupported);
    if answer.verdicts.iter().any(malformed) {
        return Err(Failure::Input("not every claim could be compared: see the notes".to_owned()));
    }
    Ok(ExitCode::from(u8::from(!answer.all_match)))
}

fn answer_text(answer: &VerifyResponse) -> String {
    let row = |v: &AttributeVerdict| vec![attribute(v), verdict(v), strength(v), note(v)];
    let shown = table(&["claim", "verdict", "strength", "note"], answer.verdicts.iter().map(row).collect());
    let how = resolution_text(&answer.resolution.clone().unwrap_or_default());
    let all = if answer.all_match { "all claims match" } else { "NOT all claims match" };
    format!("{shown}\n{how}{all} · {}", meta_text(&answer.meta.clone().unwrap_or_default()))
}

fn answer_json(answer: &VerifyResponse) -> Value {
    let one = |v: &AttributeVerdict| {
        json!({
            "attribute": attribute(v), "verdict": verdict(v), "strength": strength(v),
            "precision": precision(v), "note": v.note,
        })
    };
    json!({
        "all_match": answer.all_match,
        "verdicts": answer.verdicts.iter().map(one).collect::<Vec<_>>(),
        "resolution": resolution_json(&answer.resolution.clone().unwrap_or_default()),
        "meta": meta_json(&answer.meta.clone().unwrap_or_default()),
    })
}

/// The word of an enum value: its proto name without the prefix, in lower case.
fn word(name: &str, prefix: &str) -> String {
    match name.trim_start_matches(prefix) {
        "UNSPECIFIED" => String::new(),
        word => word.to_lowercase(),
    }
}

fn attribute(v: &AttributeVerdict) -> String {
    word(v.attribute().as_str_name(), "ATTRIBUTE_")
}

fn verdict(v: &AttributeVerdict) -> String {
    word(Verdict::as_str_name(&v.verdict()), "VERDICT_")
}

fn strength(v: &AttributeVerdict) -> String {
    word(MatchStrength::as_str_name(&v.strength()), "MATCH_STRENGTH_")
}

fn precision(v: &AttributeVerdict) -> String {
    word(DatePrecision::as_str_name(&v.precision()), "DATE_PRECISION_")
}

fn note(v: &AttributeVerdict) -> String {
    match (precision(v).as_str(), v.note.as_str()) {
        ("", note) => note.to_owned(),
        (precision, "") => format!("compared to the {precision}"),
        (precision, note) => format!("compared to the {precision}; {note}"),
    }
}
