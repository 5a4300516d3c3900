//! `dancu person`: read, create and change records, and see their history.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Ask, Submit, argument, find, malformed};
use crate::cli::Failure;
use crate::cli::answer::{meta_json, meta_text, resolution_json, resolution_text};
use crate::cli::connect::{Whom, person_key};
use crate::cli::json::{self, Texts as _};
use crate::cli::output::{Output, table};
use crate::proto::registry::{CreatePerson, PatchPerson, Person, PersonKey, PersonStatus, PersonVersion};

/// What to do with people.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Print a record
    Get(Ask),
    /// Find people by name, also one without diacritics, and say how strongly it agrees; exit code 1 when there is nobody
    Find(find::Args),
    /// Add a person
    Create {
        #[command(flatten)]
        submit: Submit,
        /// The record as JSON, @FILE to read it from a file, or - for standard input
        person: String,
    },
    /// Replace fields of a record: those that the JSON names; null clears one
    Patch {
        #[command(flatten)]
        submit: Submit,
        #[command(flatten)]
        whom: Whom,
        /// The fields as JSON, @FILE to read them from a file, or - for standard input
        fields: String,
        /// Only if the record's revision is still this one
        #[arg(long, default_value_t = 0)]
        expect: u64,
    },
    /// Take a record out of use, or back into it
    Status {
        #[command(flatten)]
        submit: Submit,
        #[command(flatten)]
        whom: Whom,
        /// active or inactive
        status: json::PersonStatus,
    },
    /// Merge a duplicate into the record that stays, to which its numbers lead from then on
    Merge {
        #[command(flatten)]
        submit: Submit,
        /// The record that stays: a personal id, a CMND number, uid=NUMBER or TYPE=NUMBER of a credential
        #[arg(value_parser = person_key)]
        survivor: PersonKey,
        /// The record that goes
        #[arg(value_parser = person_key)]
        duplicate: PersonKey,
    },
    /// List the versions of a record, newest first
    History {
        #[command(flatten)]
        ask: Ask,
        /// The most versions
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Get(ask) => get(&ask, output).await,
        Command::Find(args) => find::run(args, output).await,
        Command::Create { submit, person } => {
            let (person, _) = parse(&argument(&person)?)?;
            let create = CreatePerson { person: Some(person), accept_existing: false };
            submit.run(output, async |client, context| client.create(context, create).await).await
        }
        Command::Patch { submit, whom, fields, expect } => {
            let (person, paths) = parse(&argument(&fields)?)?;
            let patch = PatchPerson {
                key: Some(whom.key()),
                person: Some(person),
                update_mask: Some(prost_types::FieldMask { paths }),
                expected_record_revision: expect,
            };
            submit.run(output, async |client, context| client.patch(context, patch).await).await
        }
        Command::Status { submit, whom, status } => {
            let status = PersonStatus::try_from(status.to_proto()).unwrap_or_default();
            submit
                .run(output, async |client, context| client.set_status(context, whom.key(), status).await)
                .await
        }
        Command::Merge { submit, survivor, duplicate } => {
            submit.run(output, async |client, context| client.merge(context, survivor, duplicate).await).await
        }
        Command::History { ask, limit } => history(&ask, limit, output).await,
    }
}

async fn get(ask: &Ask, output: &Output) -> Result<ExitCode, Failure> {
    let (client, key, options) = ask.parts()?;
    let answer = client.read(key, options).await?;
    let meta = answer.meta.unwrap_or_default();
    let person = json::Person::from(answer.person.unwrap_or_default());
    let how = answer.resolution.unwrap_or_default();
    output.result(
        || json!({ "person": person, "resolution": resolution_json(&how), "meta": meta_json(&meta) }),
        || format!("{}\n{}{}", person.pretty(), resolution_text(&how), meta_text(&meta)),
    )?;
    Ok(ExitCode::SUCCESS)
}

async fn history(ask: &Ask, limit: u32, output: &Output) -> Result<ExitCode, Failure> {
    let (client, key, options) = ask.parts()?;
    let answer = client.history(key, options, limit, 0).await?;
    let meta = answer.meta.unwrap_or_default();
    let (versions, more) = (answer.versions, answer.more);
    output.result(
        || json!({ "versions": versions_json(&versions), "more": more, "meta": meta_json(&meta) }),
        || format!("{}\n{}", versions_text(&versions, more), meta_text(&meta)),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The person that JSON describes, and the mask paths of the fields that it names.
fn parse(text: &str) -> Result<(Person, Vec<String>), Failure> {
    let mut person: json::Person = json::read(text.as_bytes()).map_err(|e| malformed(&e))?;
    person.normalise();
    let fields: serde_json::Map<String, Value> = json::read(text.as_bytes()).map_err(|e| malformed(&e))?;
    let mut paths = Vec::new();
    for (field, value) in fields {
        // Parts of a name are fields of their own: naming one leaves the others alone.
        match value {
            Value::Object(parts) if field == "birth_name" => {
                paths.extend(parts.keys().map(|part| format!("{field}.{part}")));
            }
            _ => paths.push(field),
        }
    }
    Ok((person.into(), paths))
}

/// A record as JSON.
pub(super) fn record(person: Person) -> Value {
    serde_json::to_value(json::Person::from(person)).expect("a person is plain data")
}

fn versions_json(versions: &[PersonVersion]) -> Vec<Value> {
    let version = |v: &PersonVersion| {
        let by = v.written_by.clone().unwrap_or_default();
        json!({
            "person": record(v.person.clone().unwrap_or_default()),
            "written_at": instant(v.written_at_ms),
            "agency_id": by.agency_id,
            "officer_id": by.officer_id,
            "request_id": by.request_id,
            "purpose": by.purpose,
        })
    };
    versions.iter().map(version).collect()
}

fn versions_text(versions: &[PersonVersion], more: bool) -> String {
    let row = |v: &PersonVersion| {
        let by = v.written_by.clone().unwrap_or_default();
        let person = v.person.clone().unwrap_or_default();
        let revision = person.record_revision.to_string();
        vec![revision, instant(v.written_at_ms), by.agency_id, by.officer_id, record(person).to_string()]
    };
    let header = ["revision", "written", "agency", "officer", "record"];
    let shown = table(&header, versions.iter().map(row).collect());
    if more { format!("{shown}\nthere are older versions: raise --limit") } else { shown }
}

fn instant(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_names_the_fields_of_its_json() {
        let text = r#"{"birth_name": {"given": "Thu\u0301y"}, "old_id_numbers": null, "gender": "male"}"#;
        let (person, mut paths) = parse(text).unwrap_or_else(|e| panic!("{e}"));
        paths.sort_unstable();
        assert_eq!(paths, ["birth_name.given", "gender", "old_id_numbers"]);
        assert_eq!(person.birth_name.map(|name| name.given).as_deref(), Some("Thúy"));
        for (bad, field) in
            [(r#"{"gender": "f"}"#, "gender: "), (r#"{"shoe_size": 38}"#, "shoe_size: "), ("x", "not JSON")]
        {
            let problem = parse(bad).err().unwrap_or_else(|| panic!("accepted {bad}")).to_string();
            assert!(problem.starts_with(field), "{problem}");
        }
    }
}
