//! `dancu household`: who lives with whom.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Ask, yes_or_no};
use crate::cli::Failure;
use crate::cli::answer::{meta_json, meta_text, word};
use crate::cli::connect::{Connect, Freshness, person_key};
use crate::cli::json;
use crate::cli::output::{Output, table};
use crate::domain::matching::full_name;
use crate::proto::registry::{
    HouseholdMember, PersonKey, Verdict, VerifyHouseholdRequest, VerifyHouseholdResponse,
};

/// What to ask.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List the household that a person belongs to
    Show(Ask),
    /// Verify that two people belong to one household: exit code 0 when all is so, 1 when not
    Verify {
        #[command(flatten)]
        connect: Connect,
        #[command(flatten)]
        freshness: Freshness,
        /// One person: a personal id, a CMND number, uid=NUMBER or TYPE=NUMBER
        #[arg(value_parser = person_key)]
        person: PersonKey,
        /// The other person
        #[arg(value_parser = person_key)]
        other: PersonKey,
        /// What the first is to the head
        #[arg(long)]
        role: Option<json::HouseholdRole>,
        /// What the other is to the head
        #[arg(long)]
        other_role: Option<json::HouseholdRole>,
    },
}

/// Asks.
///
/// # Errors
/// See [`Failure`].
pub async fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Show(ask) => show(&ask, output).await,
        Command::Verify { connect, freshness, person, other, role, other_role } => {
            let request = VerifyHouseholdRequest {
                person: Some(person),
                other: Some(other),
                role: role.map_or(0, json::HouseholdRole::to_proto),
                other_role: other_role.map_or(0, json::HouseholdRole::to_proto),
                options: Some(freshness.options()),
                ..VerifyHouseholdRequest::default()
            };
            let answer = connect.client()?.verify_household(request).await;
            let answer = answer.map_err(|e| Failure::from(e).unanswered())?;
            output.result(|| verified_json(&answer), || verified_text(&answer))?;
            Ok(yes_or_no(answer.all_match))
        }
    }
}

async fn show(ask: &Ask, output: &Output) -> Result<ExitCode, Failure> {
    let (client, key, options) = ask.parts()?;
    let answer = client.household(key, options).await?;
    let meta = answer.meta.unwrap_or_default();
    output.result(
        || {
            json!({
                "residence_file_no": answer.residence_file_no,
                "members": answer.members.iter().map(member_json).collect::<Vec<_>>(),
                "meta": meta_json(&meta),
            })
        },
        || {
            if answer.residence_file_no.is_empty() {
                return format!("belongs to no household\n{}", meta_text(&meta));
            }
            let header = ["uid", "role", "name", "personal id", "CMND"];
            let shown = table(&header, answer.members.iter().map(member_row).collect());
            format!("household {}\n{shown}\n{}", answer.residence_file_no, meta_text(&meta))
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

fn role_of(member: &HouseholdMember) -> String {
    word(member.role().as_str_name(), "HOUSEHOLD_ROLE_")
}

fn member_json(member: &HouseholdMember) -> Value {
    json!({
        "person_uid": member.person_uid,
        "role": role_of(member),
        "birth_name": member.birth_name.clone().map(json::PersonName::from),
        "personal_id": member.personal_id,
        "old_id_numbers": member.old_id_numbers,
    })
}

fn member_row(member: &HouseholdMember) -> Vec<String> {
    let name = member.birth_name.as_ref().map(full_name).unwrap_or_default();
    let (uid, old_ids) = (member.person_uid.to_string(), member.old_id_numbers.join(", "));
    vec![uid, role_of(member), name, member.personal_id.clone(), old_ids]
}

/// The question and its verdict, of those that were asked.
fn verdicts(answer: &VerifyHouseholdResponse) -> Vec<(&'static str, String)> {
    let all = [
        ("same_household", answer.same_household()),
        ("role", answer.role()),
        ("other_role", answer.other_role()),
    ];
    let asked = all.into_iter().filter(|(_, verdict)| *verdict != Verdict::Unspecified);
    asked.map(|(question, verdict)| (question, word(verdict.as_str_name(), "VERDICT_"))).collect()
}

fn verified_json(answer: &VerifyHouseholdResponse) -> Value {
    let mut json: serde_json::Map<String, Value> = verdicts(answer)
        .into_iter()
        .map(|(question, verdict)| (question.to_owned(), verdict.into()))
        .collect();
    json.insert("all_match".to_owned(), answer.all_match.into());
    json.insert("meta".to_owned(), meta_json(&answer.meta.clone().unwrap_or_default()));
    json.into()
}

fn verified_text(answer: &VerifyHouseholdResponse) -> String {
    let row = |(question, verdict): (&str, String)| vec![question.replace('_', " "), verdict];
    let shown = table(&["claim", "verdict"], verdicts(answer).into_iter().map(row).collect());
    let all = if answer.all_match { "all match" } else { "NOT all match" };
    format!("{shown}\n{all} · {}", meta_text(&answer.meta.clone().unwrap_or_default()))
}
