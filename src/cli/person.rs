//! `dancu person`: read, create and change one record, and see its history.

use std::io::Read;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::answer::{meta_json, meta_text, resolution_json, resolution_text};
use super::connect::{Connect, Freshness, Whom};
use super::output::{Output, table};
use super::{Failure, json};
use crate::proto::registry::{CreatePerson, PatchPerson, Person, PersonVersion, WriteResponse};

/// What to do with a person.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Print a record
    Get {
        #[command(flatten)]
        connect: Connect,
        #[command(flatten)]
        whom: Whom,
        #[command(flatten)]
        freshness: Freshness,
    },
    /// Add a person
    Create {
        #[command(flatten)]
        connect: Connect,
        /// The record as JSON, @FILE to read it from a file, or - for standard input
        person: String,
        /// Key under which the write is applied at most once; repeat it to learn the outcome of a lost answer
        #[arg(long)]
        request_id: Option<String>,
    },
    /// Replace fields of a record: those that the JSON names; null clears one
    Patch {
        #[command(flatten)]
        connect: Connect,
        #[command(flatten)]
        whom: Whom,
        /// The fields as JSON, @FILE to read them from a file, or - for standard input
        fields: String,
        /// Only if the record's revision is still this one
        #[arg(long, default_value_t = 0)]
        expect: u64,
        /// Key under which the write is applied at most once; repeat it to learn the outcome of a lost answer
        #[arg(long)]
        request_id: Option<String>,
    },
    /// List the versions of a record, newest first
    History {
        #[command(flatten)]
        connect: Connect,
        #[command(flatten)]
        whom: Whom,
        #[command(flatten)]
        freshness: Freshness,
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
        Command::Get { connect, whom, freshness } => {
            let answer = connect.client()?.read(whom.key(), freshness.options()).await?;
            let meta = answer.meta.unwrap_or_default();
            let person = json::Person::from(answer.person.unwrap_or_default());
            let how = answer.resolution.unwrap_or_default();
            output.result(
                || json!({ "person": person, "resolution": resolution_json(&how), "meta": meta_json(&meta) }),
                || format!("{}\n{}{}", pretty(&person), resolution_text(&how), meta_text(&meta)),
            )?;
        }
        Command::Create { connect, person, request_id } => {
            let (person, _) = parse(&read_argument(&person)?)?;
            let client = connect.client()?;
            let mut context = client.context();
            context.request_id = request_id.unwrap_or(context.request_id);
            let create = CreatePerson { person: Some(person), accept_existing: false };
            written(output, &client.create(context, create).await?)?;
        }
        Command::Patch { connect, whom, fields, expect, request_id } => {
            let (person, paths) = parse(&read_argument(&fields)?)?;
            let client = connect.client()?;
            let mut context = client.context();
            context.request_id = request_id.unwrap_or(context.request_id);
            let patch = PatchPerson {
                key: Some(whom.key()),
                person: Some(person),
                update_mask: Some(prost_types::FieldMask { paths }),
                expected_record_revision: expect,
            };
            written(output, &client.patch(context, patch).await?)?;
        }
        Command::History { connect, whom, freshness, limit } => {
            let answer = connect.client()?.history(whom.key(), freshness.options(), limit, 0).await?;
            let meta = answer.meta.unwrap_or_default();
            let (versions, more) = (answer.versions, answer.more);
            output.result(
                || json!({ "versions": versions_json(&versions), "more": more, "meta": meta_json(&meta) }),
                || format!("{}\n{}", versions_text(&versions, more), meta_text(&meta)),
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An argument that is JSON itself, or says where it is.
fn read_argument(argument: &str) -> Result<String, Failure> {
    if argument == "-" {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        return read.map(|_| text).map_err(|e| Failure::Input(format!("cannot read standard input: {e}")));
    }
    match argument.strip_prefix('@') {
        None => Ok(argument.to_owned()),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|e| super::failure::file_failure("read", std::path::Path::new(path), &e)),
    }
}

/// The person that JSON describes, and the mask paths of the fields that it names.
fn parse(text: &str) -> Result<(Person, Vec<String>), Failure> {
    let malformed = |e: serde_json::Error| Failure::Input(format!("this is not a person in JSON: {e}"));
    let person: json::Person = serde_json::from_str(text).map_err(malformed)?;
    let fields: serde_json::Map<String, Value> = serde_json::from_str(text).map_err(malformed)?;
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

fn record(person: Person) -> Value {
    serde_json::to_value(json::Person::from(person)).expect("a person is plain data")
}

/// The record for people to read, its fields in the order of the API.
fn pretty(person: &json::Person) -> String {
    serde_json::to_string_pretty(person).expect("a person is plain data")
}

fn written(output: &Output, answer: &WriteResponse) -> Result<(), Failure> {
    let meta = answer.meta.clone().unwrap_or_default();
    let written = answer.written.unwrap_or_default();
    output.result(
        || {
            json!({
                "person_uid": written.person_uid,
                "record_revision": written.record_revision,
                "changed": written.changed,
                "meta": meta_json(&meta),
            })
        },
        || {
            let did = if written.changed { "written" } else { "nothing to change" };
            let (uid, revision) = (written.person_uid, written.record_revision);
            format!("{did}: person {uid}, record revision {revision}\n{}", meta_text(&meta))
        },
    )
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
