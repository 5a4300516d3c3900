//! `dancu uin`: personal ids made, cancelled, made anew, checked and resolved; and `dancu link`, which asks whether a CMND
//! number and a personal id are one person's.

use std::process::ExitCode;

use serde_json::json;

use super::{Submit, yes_or_no};
use crate::cli::Failure;
use crate::cli::answer::{meta_json, meta_text, resolution_json, resolution_text, word};
use crate::cli::connect::{Connect, Freshness, Whom};
use crate::cli::json;
use crate::cli::output::Output;
use crate::proto::registry::{
    CheckUinStructureRequest, CheckUinStructureResponse, IdentifierLink, ResolveIdentifierResponse,
};

/// For whom a number is made, and where.
#[derive(clap::Args)]
pub struct Make {
    #[command(flatten)]
    submit: Submit,
    #[command(flatten)]
    whom: Whom,
    /// Code of the place of birth registration, 3 digits
    #[arg(long)]
    place: String,
}

/// What to do with personal ids.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make a personal id for a person who has none
    Generate(Make),
    /// Cancel a person's personal id, if there is one, and make a new one
    Reissue(Make),
    /// Cancel a personal id; it goes on leading to the person
    Cancel {
        #[command(flatten)]
        submit: Submit,
        /// The number
        personal_id: String,
    },
    /// Check the structure of a number, without asking the register: exit code 0 when it is right, 1 when not
    Check {
        #[command(flatten)]
        connect: Connect,
        /// The number
        personal_id: String,
        /// Birth date that it must agree with
        #[arg(long)]
        born: Option<json::Date>,
        /// Gender that it must agree with
        #[arg(long)]
        gender: Option<json::Gender>,
        /// Code of the place that it must agree with, 3 digits
        #[arg(long, default_value = "")]
        place: String,
    },
    /// Say what became of a number: whether it is in use, and which numbers followed it
    Resolve {
        #[command(flatten)]
        connect: Connect,
        #[command(flatten)]
        freshness: Freshness,
        /// The number
        personal_id: String,
    },
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Generate(Make { submit, whom, place }) => {
            submit
                .run(output, async |client, context| client.generate_uin(context, whom.key(), place).await)
                .await
        }
        Command::Reissue(Make { submit, whom, place }) => {
            submit
                .run(output, async |client, context| client.reissue_uin(context, whom.key(), place).await)
                .await
        }
        Command::Cancel { submit, personal_id } => {
            submit.run(output, async |client, context| client.cancel_uin(context, personal_id).await).await
        }
        Command::Check { connect, personal_id, born, gender, place } => {
            let request = CheckUinStructureRequest {
                personal_id,
                birth_date: born.map(Into::into),
                gender: gender.map_or(0, json::Gender::to_proto),
                place_code: place,
            };
            let answer = connect.client()?.check_uin(request).await.map_err(Failure::from);
            let answer = answer.map_err(Failure::unanswered)?;
            checked(output, &answer)?;
            Ok(yes_or_no(answer.valid))
        }
        Command::Resolve { connect, freshness, personal_id } => {
            let answer = connect.client()?.resolve_identifier(personal_id, freshness.options()).await?;
            resolved(output, &answer)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn checked(output: &Output, answer: &CheckUinStructureResponse) -> Result<(), Failure> {
    let gender = word(answer.gender().as_str_name(), "GENDER_");
    output.result(
        || {
            json!({
                "valid": answer.valid,
                "problem": answer.problem,
                "place_code": answer.place_code,
                "place_name": answer.place_name,
                "gender": gender,
                "birth_year": answer.birth_year,
            })
        },
        || {
            let verdict =
                if answer.valid { "valid".to_owned() } else { format!("NOT valid: {}", answer.problem) };
            if answer.place_code.is_empty() {
                return verdict;
            }
            let place = [answer.place_code.as_str(), &answer.place_name].join(" ");
            format!("{verdict}\nsays: {}, {gender}, born {}", place.trim_end(), answer.birth_year)
        },
    )
}

fn resolved(output: &Output, answer: &ResolveIdentifierResponse) -> Result<(), Failure> {
    let status = word(answer.status().as_str_name(), "IDENTIFIER_STATUS_");
    let meta = answer.meta.clone().unwrap_or_default();
    output.result(
        || {
            json!({
                "status": status,
                "chain": answer.chain,
                "person_uid": answer.person_uid,
                "meta": meta_json(&meta),
            })
        },
        || {
            let followed = match answer.chain.as_slice() {
                [] => String::new(),
                chain => format!(", followed by {}", chain.join(", then ")),
            };
            format!("{status}{followed}: person {}\n{}", answer.person_uid, meta_text(&meta))
        },
    )
}

/// Two numbers.
#[derive(clap::Args)]
pub struct Link {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    freshness: Freshness,
    /// CMND number, 9 digits
    old_id: String,
    /// Personal id, 12 digits, in use or cancelled
    personal_id: String,
}

/// Asks; 0 when they are one person's, 1 when not or when several people hold the CMND number.
///
/// # Errors
/// See [`Failure`]. Every failure exits with 2 or more.
pub async fn link(args: Link, output: &Output) -> Result<ExitCode, Failure> {
    let Link { connect, freshness, old_id, personal_id } = args;
    let answer = connect.client()?.verify_identifier_link(old_id, personal_id, freshness.options()).await;
    let answer = answer.map_err(|e| Failure::from(e).unanswered())?;
    let (meta, how) =
        (answer.meta.clone().unwrap_or_default(), answer.resolution.clone().unwrap_or_default());
    let link = word(answer.link().as_str_name(), "IDENTIFIER_LINK_");
    output.result(
        || json!({ "link": link, "resolution": resolution_json(&how), "meta": meta_json(&meta) }),
        || {
            let text = match answer.link() {
                IdentifierLink::Linked => "linked: both are one person's",
                IdentifierLink::Ambiguous => {
                    "AMBIGUOUS: several people hold the CMND number, this one among them"
                }
                _ => "NOT linked",
            };
            format!("{text}\n{}{}", resolution_text(&how), meta_text(&meta))
        },
    )?;
    Ok(yes_or_no(answer.link() == IdentifierLink::Linked))
}
