//! `dancu verify`: checks claims about one person. The record itself is never shown.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::answer::{meta_json, meta_text, resolution_json, resolution_text};
use super::connect::{Connect, Freshness, Whom};
use super::output::{Output, table};
use super::{Failure, json};
use crate::proto::registry::claim::Value as ClaimValue;
use crate::proto::registry::{
    Attribute, AttributeVerdict, Claim, DatePrecision, MatchStrength, Subject, Verdict, VerifyResponse,
};

/// The person, and what is claimed of them.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    freshness: Freshness,
    #[command(flatten)]
    claims: Claims,
}

/// What is claimed; at least one thing.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
struct Claims {
    /// Whole name: family, middle, given
    #[arg(long)]
    name: Option<String>,
    /// Family name
    #[arg(long)]
    family: Option<String>,
    /// Middle name
    #[arg(long)]
    middle: Option<String>,
    /// Given name
    #[arg(long)]
    given: Option<String>,
    /// Date of birth: 1990-05-17, 1990-05 or 1990
    #[arg(long)]
    born: Option<json::Date>,
    /// Gender
    #[arg(long)]
    gender: Option<json::Gender>,
    /// Nationality, two letters
    #[arg(long)]
    nationality: Option<String>,
    /// Whether the person is alive
    #[arg(long)]
    status: Option<json::PhysicalStatusKind>,
}

impl Claims {
    fn list(self) -> Vec<Claim> {
        let text = |attribute, text: Option<String>| Some((attribute, ClaimValue::Text(text?)));
        let claims = [
            text(Attribute::FullName, self.name),
            text(Attribute::FamilyName, self.family),
            text(Attribute::MiddleName, self.middle),
            text(Attribute::GivenName, self.given),
            self.born.map(|date| (Attribute::BirthDate, ClaimValue::Date(date.into()))),
            self.gender.map(|gender| (Attribute::Gender, ClaimValue::Gender(gender.to_proto()))),
            text(Attribute::Nationality, self.nationality),
            self.status.map(|kind| (Attribute::PhysicalStatus, ClaimValue::PhysicalStatus(kind.to_proto()))),
        ];
        let claim =
            |(attribute, value): (Attribute, _)| Claim { attribute: attribute.into(), value: Some(value) };
        claims.into_iter().flatten().map(claim).collect()
    }
}

/// Asks for the verdicts; 0 when all match, 1 when not.
///
/// # Errors
/// See [`Failure`]. Every failure exits with 2 or more, so that 1 always means a mismatch.
pub async fn run(args: Args, output: &Output) -> Result<ExitCode, Failure> {
    let subject = Subject { key: Some(args.whom.key()), claims: args.claims.list() };
    let answer = args.connect.client()?.verify(subject, args.freshness.options()).await;
    let answer = answer.map_err(|e| match Failure::from(e) {
        Failure::Negative(text) => Failure::Input(text),
        other => other,
    })?;
    output.result(|| answer_json(&answer), || answer_text(&answer))?;
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
