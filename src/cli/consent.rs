//! `dancu consent`: what people agreed to.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::Failure;
use super::connect::{Connect, Whom, instant};
use super::json::PersonField;
use super::output::{Output, table};
use crate::proto::registry::{ConsentRecord, ConsentResponse};

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Record a consent of a person, for an agency, some fields, purposes and a time
    Grant(Box<Grant>),
    /// End a consent: it holds nowhere any more
    Withdraw {
        #[command(flatten)]
        connect: Connect,
        /// Its id
        consent_id: String,
    },
    /// Say whether a consent holds; exit code 1 when it does not
    Check {
        #[command(flatten)]
        connect: Connect,
        /// Its id
        consent_id: String,
    },
    /// List the consents of a person, ended ones too
    List {
        #[command(flatten)]
        connect: Connect,
        #[command(flatten)]
        whom: Whom,
    },
}

/// A consent.
#[derive(clap::Args)]
pub struct Grant {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    whom: Whom,
    /// Its id, at most 40 characters
    consent_id: String,
    /// The agency that may rely on it
    #[arg(long)]
    to: String,
    /// The fields, separated by commas, as in birth_name,birth_date
    #[arg(long, required = true, value_delimiter = ',', value_parser = field)]
    fields: Vec<PersonField>,
    /// The purposes, one option for each
    #[arg(long = "for", required = true, value_name = "PURPOSE")]
    purposes: Vec<String>,
    /// From when, like 2026-01-31T10:00:00Z; from now, when absent
    #[arg(long, value_parser = instant)]
    from: Option<u64>,
    /// Until when
    #[arg(long, value_parser = instant)]
    until: u64,
}

fn field(text: &str) -> Result<PersonField, String> {
    PersonField::named(text).ok_or_else(|| "a person has no such field".to_owned())
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Grant(grant) => {
            let client = grant.connect.client()?;
            let consent = ConsentRecord {
                consent_id: grant.consent_id,
                agency_id: grant.to,
                fields: grant.fields.into_iter().map(PersonField::to_proto).collect(),
                purposes: grant.purposes,
                from_ms: grant.from.unwrap_or_else(crate::audit::now_ms),
                until_ms: grant.until,
                ..ConsentRecord::default()
            };
            show(&client.grant_consent(client.context(), grant.whom.key(), consent).await?, output)?;
        }
        Command::Withdraw { connect, consent_id } => {
            let client = connect.client()?;
            show(&client.withdraw_consent(client.context(), consent_id).await?, output)?;
        }
        Command::Check { connect, consent_id } => {
            let answer = connect.client()?.check_consent(consent_id).await?;
            show(&answer, output)?;
            return Ok(if answer.in_force { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::List { connect, whom } => {
            let consents = connect.client()?.list_consents(whom.key()).await?;
            output.result(|| consents.iter().map(consent_json).collect(), || text(&consents))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(answer: &ConsentResponse, output: &Output) -> Result<(), Failure> {
    let consent = answer.consent.clone().unwrap_or_default();
    let state = if answer.in_force { "it holds now" } else { "it does not hold now" };
    output.result(
        || json!({ "consent": consent_json(&consent), "in_force": answer.in_force }),
        || format!("{}\n{state}", text(std::slice::from_ref(&consent))),
    )
}

fn consent_json(consent: &ConsentRecord) -> Value {
    json!({
        "consent_id": consent.consent_id,
        "person_uid": consent.person_uid,
        "agency_id": consent.agency_id,
        "fields": fields(consent),
        "purposes": consent.purposes,
        "from": time(consent.from_ms),
        "until": time(consent.until_ms),
        "granted_by": consent.granted_by,
        "withdrawn_at": time(consent.withdrawn_at_ms),
    })
}

fn fields(consent: &ConsentRecord) -> Vec<String> {
    consent
        .fields()
        .map(|field| field.as_str_name().trim_start_matches("PERSON_FIELD_").to_lowercase())
        .collect()
}

fn time(ms: u64) -> Option<String> {
    let time = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.filter(|_| ms != 0).map(|time| time.to_string())
}

fn text(consents: &[ConsentRecord]) -> String {
    let row = |consent: &ConsentRecord| {
        vec![
            consent.consent_id.clone(),
            consent.agency_id.clone(),
            consent.purposes.join(", "),
            fields(consent).join(", "),
            time(consent.from_ms).unwrap_or_default(),
            time(consent.until_ms).unwrap_or_default(),
            time(consent.withdrawn_at_ms).unwrap_or_else(|| "-".to_owned()),
        ]
    };
    table(
        &["consent", "agency", "purposes", "fields", "from", "until", "withdrawn"],
        consents.iter().map(row).collect(),
    )
}
