//! `dancu credential`: papers and cards.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Ask, Submit, argument, day, malformed, yes_or_no};
use crate::cli::Failure;
use crate::cli::answer::{meta_json, meta_text, word};
use crate::cli::connect::{Connect, Freshness, Whom, credential_key};
use crate::cli::json::{self, Texts as _};
use crate::cli::output::{Output, table};
use crate::proto::registry::claim::Value as ClaimValue;
use crate::proto::registry::{
    Attribute, AttributeVerdict, Claim, Credential, CredentialKey, CredentialVerdict, PartialDate,
    VerifyCredentialRequest, VerifyCredentialResponse,
};

/// Which credential, and since when its status changes.
#[derive(clap::Args)]
pub struct Change {
    #[command(flatten)]
    submit: Submit,
    /// The credential as TYPE=NUMBER: driving_licence=790123456789
    #[arg(value_parser = credential_key)]
    credential: CredentialKey,
    /// Since when; today when absent
    #[arg(long)]
    since: Option<json::Date>,
}

/// What to do with papers and cards.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Add a credential to a person
    Issue {
        #[command(flatten)]
        submit: Submit,
        #[command(flatten)]
        whom: Whom,
        /// The credential as JSON, as in {"type": "passport", "number": "C1234567"}; @FILE, or - for standard input
        content: String,
    },
    /// Replace what a credential says, but for its status
    Update {
        #[command(flatten)]
        submit: Submit,
        /// The whole credential as JSON, @FILE, or - for standard input
        content: String,
    },
    /// Put a credential out of force for a time
    Suspend(Change),
    /// Put a suspended credential into force again
    Unsuspend(Change),
    /// Put a credential out of force for good
    Revoke(Change),
    /// List a person's credentials
    List(Ask),
    /// Verify that a credential is in force, and whose it is: exit code 0 when all is so, 1 when not
    Verify(Question),
}

/// What is asked about a credential.
#[derive(clap::Args)]
pub struct Question {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    freshness: Freshness,
    /// The credential as TYPE=NUMBER: driving_licence=790123456789
    #[arg(value_parser = credential_key)]
    credential: CredentialKey,
    /// On this day; today when absent
    #[arg(long)]
    on: Option<json::Date>,
    /// The holder's whole name: family, middle, given
    #[arg(long)]
    name: Option<String>,
    /// The holder's date of birth
    #[arg(long)]
    born: Option<json::Date>,
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Issue { submit, whom, content } => {
            let credential = read(&content)?;
            submit
                .run(output, async |client, context| {
                    client.issue_credential(context, whom.key(), credential).await
                })
                .await
        }
        Command::Update { submit, content } => {
            let credential = read(&content)?;
            submit
                .run(output, async |client, context| client.update_credential(context, credential).await)
                .await
        }
        Command::Suspend(Change { submit, credential, since }) => {
            let suspend = async |client: &crate::client::Client, context| {
                client.suspend_credential(context, credential, day(since)).await
            };
            submit.run(output, suspend).await
        }
        Command::Unsuspend(Change { submit, credential, since }) => {
            let unsuspend = async |client: &crate::client::Client, context| {
                client.unsuspend_credential(context, credential, day(since)).await
            };
            submit.run(output, unsuspend).await
        }
        Command::Revoke(Change { submit, credential, since }) => {
            let revoke = async |client: &crate::client::Client, context| {
                client.revoke_credential(context, credential, day(since)).await
            };
            submit.run(output, revoke).await
        }
        Command::List(ask) => list(ask, output).await,
        Command::Verify(question) => verify(question, output).await,
    }
}

fn read(text: &str) -> Result<Credential, Failure> {
    let read = json::read::<json::Credential>(argument(text)?.as_bytes());
    let mut credential = read.map_err(|e| malformed(&e))?;
    credential.normalise();
    Ok(credential.into())
}

async fn list(ask: Ask, output: &Output) -> Result<ExitCode, Failure> {
    let (client, key, options) = ask.parts()?;
    let answer = client.credentials(key, options).await?;
    let meta = answer.meta.unwrap_or_default();
    let credentials: Vec<_> = answer.credentials.into_iter().map(json::Credential::from).collect();
    output.result(
        || json!({ "credentials": credentials, "meta": meta_json(&meta) }),
        || {
            let header = ["type", "number", "class", "issued", "expires", "status", "since"];
            let shown = table(&header, credentials.iter().map(row).collect());
            format!("{shown}\n{}", meta_text(&meta))
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

fn row(credential: &json::Credential) -> Vec<String> {
    let c = credential;
    let date = |date: Option<json::Date>| date.map(|date| date.to_string()).unwrap_or_default();
    let (kind, status) = (word_of(c.r#type), word_of(c.status));
    let (number, class) = (c.number.clone(), c.credential_class.clone());
    vec![kind, number, class, date(c.issued_on), date(c.expires_on), status, date(c.status_since)]
}

/// A word of the JSON form as text.
fn word_of(word: Option<impl clap::ValueEnum>) -> String {
    word.and_then(|word| word.to_possible_value()).map(|word| word.get_name().to_owned()).unwrap_or_default()
}

async fn verify(question: Question, output: &Output) -> Result<ExitCode, Failure> {
    let text = |name| (Attribute::FullName, ClaimValue::Text(name));
    let date = |born: json::Date| (Attribute::BirthDate, ClaimValue::Date(born.into()));
    let claims = [question.name.map(text), question.born.map(date)];
    let claim = |(attribute, value): (Attribute, ClaimValue)| Claim {
        attribute: attribute.into(),
        value: Some(value),
        ..Claim::default()
    };
    let on = day(question.on);
    let request = VerifyCredentialRequest {
        credential: Some(question.credential),
        on: Some(on),
        holder_claims: claims.into_iter().flatten().map(claim).collect(),
        options: Some(question.freshness.options()),
        ..VerifyCredentialRequest::default()
    };
    let answer = question.connect.client()?.verify_credential(request).await;
    let answer = answer.map_err(|e| Failure::from(e).unanswered())?;
    output.result(|| verified_json(&answer), || verified_text(&answer, on))?;
    Ok(yes_or_no(answer.all_match))
}

fn verified_json(answer: &VerifyCredentialResponse) -> Value {
    json!({
        "all_match": answer.all_match,
        "verdict": verdict(answer),
        "credential_class": answer.credential_class,
        "expires_on": answer.expires_on.map(json::Date::from),
        "holder_verdicts": answer.holder_verdicts.iter().map(holder_json).collect::<Vec<_>>(),
        "meta": meta_json(&answer.meta.clone().unwrap_or_default()),
    })
}

fn verified_text(answer: &VerifyCredentialResponse, on: PartialDate) -> String {
    let on = json::Date::from(on);
    let verdict = match answer.verdict() {
        CredentialVerdict::InForce => format!("in force on {on}"),
        CredentialVerdict::Unknown => "UNKNOWN: nobody has it".to_owned(),
        _ => format!("NOT in force on {on}: {}", verdict(answer).replace('_', " ")),
    };
    let class = match answer.credential_class.as_str() {
        "" => String::new(),
        class => format!(", class {class}"),
    };
    let expires = answer.expires_on.map(|date| format!(", until {}", json::Date::from(date)));
    let holder = match answer.holder_verdicts.as_slice() {
        [] => String::new(),
        verdicts => {
            let header = ["holder's", "verdict", "strength"];
            format!("{}\n", table(&header, verdicts.iter().map(|v| holder(v).into()).collect()))
        }
    };
    let meta = meta_text(&answer.meta.clone().unwrap_or_default());
    format!("{verdict}{class}{}\n{holder}{meta}", expires.unwrap_or_default())
}

/// Attribute, verdict and strength of a claim about the holder.
fn holder(v: &AttributeVerdict) -> [String; 3] {
    [
        word(v.attribute().as_str_name(), "ATTRIBUTE_"),
        word(v.verdict().as_str_name(), "VERDICT_"),
        word(v.strength().as_str_name(), "MATCH_STRENGTH_"),
    ]
}

fn holder_json(v: &AttributeVerdict) -> Value {
    let [attribute, verdict, strength] = holder(v);
    json!({ "attribute": attribute, "verdict": verdict, "strength": strength })
}

fn verdict(answer: &VerifyCredentialResponse) -> String {
    word(answer.verdict().as_str_name(), "CREDENTIAL_VERDICT_")
}
