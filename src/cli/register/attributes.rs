//! `dancu attributes`: parts of a record, so that nobody is shown more than the matter at hand needs; and `dancu
//! procedures`, which lists what each procedure may read.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::Ask;
use crate::cli::Failure;
use crate::cli::answer::{meta_json, meta_text, resolution_json, resolution_text};
use crate::cli::connect::Connect;
use crate::cli::json;
use crate::cli::output::{Output, table};
use crate::proto::registry::{AttributeSet, PersonField};

/// Whose fields, and which.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    ask: Ask,
    #[command(flatten)]
    which: Which,
}

/// Which fields, in one of two ways.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Code of the administrative procedure, as in 1.001612; `dancu procedures` lists them
    #[arg(long)]
    procedure: Option<String>,
    /// Names of fields, separated by commas, as in birth_name,permanent_residence
    #[arg(long, value_delimiter = ',', value_parser = field)]
    fields: Vec<PersonField>,
}

fn field(text: &str) -> Result<PersonField, String> {
    let named = json::PersonField::named(text).and_then(|field| PersonField::try_from(field.to_proto()).ok());
    named.ok_or_else(|| "a person has no such field".to_owned())
}

/// Asks.
///
/// # Errors
/// See [`Failure`].
pub async fn run(args: Args, output: &Output) -> Result<ExitCode, Failure> {
    let (client, key, options) = args.ask.parts()?;
    let (person, resolution, meta) = match args.which.procedure {
        Some(procedure) => {
            let answer = client.read_attribute_set(key, procedure, options).await?;
            (answer.person, answer.resolution, answer.meta)
        }
        None => {
            let answer = client.read_attributes(key, &args.which.fields, options).await?;
            (answer.person, answer.resolution, answer.meta)
        }
    };
    let person = json::Person::from(person.unwrap_or_default());
    let (how, meta) = (resolution.unwrap_or_default(), meta.unwrap_or_default());
    output.result(
        || json!({ "person": person, "resolution": resolution_json(&how), "meta": meta_json(&meta) }),
        || format!("{}\n{}{}", person.pretty(), resolution_text(&how), meta_text(&meta)),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Lists the procedures.
///
/// # Errors
/// See [`Failure`].
pub async fn procedures(connect: &Connect, output: &Output) -> Result<ExitCode, Failure> {
    let sets = connect.client()?.attribute_sets().await?;
    output.result(|| sets.iter().map(set_json).collect(), || sets_text(&sets))?;
    Ok(ExitCode::SUCCESS)
}

fn fields(set: &AttributeSet) -> Vec<String> {
    let name = |field: PersonField| field.as_str_name().trim_start_matches("PERSON_FIELD_").to_lowercase();
    set.fields().map(name).collect()
}

fn set_json(set: &AttributeSet) -> Value {
    json!({ "procedure_code": set.procedure_code, "purpose": set.purpose, "fields": fields(set) })
}

fn sets_text(sets: &[AttributeSet]) -> String {
    let row =
        |set: &AttributeSet| vec![set.procedure_code.clone(), set.purpose.clone(), fields(set).join(", ")];
    table(&["procedure", "purpose", "fields"], sets.iter().map(row).collect())
}
