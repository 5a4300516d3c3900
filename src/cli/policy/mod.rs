//! `dancu policy`: who may ask what.
//!
//! ```text
//! apply     puts what files say        show      all of it
//! explain   why a call would pass      suspend, resume   an agency
//! ```

mod file;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

pub use self::file::everything;
use self::file::{File, fields, operations, permission_word, permissions, short, shorts};
use super::Failure;
use super::connect::Connect;
use super::output::{Output, table};
use crate::client::Client;
use crate::proto::registry::{
    AccessPolicy, Agency, ExplainRequest, ExplainResponse, Procedure, ReadPoliciesResponse, RequestContext,
    SuspendAgencyRequest,
};

/// What to do.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Put the procedures, policies and agencies of files; again: nothing changes
    ///
    /// cluster/policy.toml shows the form. Nothing is taken away: an agency that a file no longer names keeps its licence.
    Apply {
        #[command(flatten)]
        connect: Connect,
        /// The files, TOML
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Show all agencies, procedures and policies
    Show {
        #[command(flatten)]
        connect: Connect,
    },
    /// Say whether a call would pass, and why; exit code 1 when it would not
    Explain(Box<Explain>),
    /// Suspend an agency, whatever it is licensed for
    Suspend {
        #[command(flatten)]
        connect: Connect,
        /// Its id
        agency_id: String,
        /// Why
        #[arg(long)]
        because: String,
    },
    /// End the suspension of an agency
    Resume {
        #[command(flatten)]
        connect: Connect,
        /// Its id
        agency_id: String,
    },
}

/// The call that is asked about. Its purpose, basis, procedure and consent are options of every call.
#[derive(clap::Args)]
pub struct Explain {
    #[command(flatten)]
    connect: Connect,
    /// Explain a call of this agency, with an operator's certificate; one's own, when absent
    #[arg(long, value_name = "AGENCY")]
    of: Option<String>,
    /// Fields to be read, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "FIELDS")]
    read: Vec<String>,
    /// Attributes to be verified, as in full_name,given_name=folded
    #[arg(long, value_delimiter = ',', value_name = "ATTRIBUTES")]
    verify: Vec<String>,
    /// Fields to be written, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "FIELDS")]
    write: Vec<String>,
    /// What else to do, as in find,patch
    #[arg(long = "do", value_delimiter = ',', value_name = "OPERATIONS")]
    operations: Vec<String>,
}

/// Does it.
///
/// # Errors
/// See [`Failure`].
pub async fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Apply { connect, files } => {
            let files = files.iter().map(|file| File::read(file)).collect::<Result<Vec<_>, _>>()?;
            let (put, changed) = apply(&connect.client()?, files).await?;
            output.result(
                || json!({ "put": put, "changed": changed }),
                || format!("put {put}, of which {changed} changed something"),
            )?;
        }
        Command::Show { connect } => {
            let all = connect.client()?.read_policies().await?;
            output.result(|| all_json(&all), || all_text(&all))?;
        }
        Command::Explain(asked) => return explain(*asked, output).await,
        Command::Suspend { connect, agency_id, because } => {
            let text = format!("{agency_id} is suspended: from now on it learns and changes nothing");
            let request = SuspendAgencyRequest { agency_id, suspended: true, because };
            let changed = connect.client()?.suspend_agency(request).await?.changed;
            output.result(|| json!({ "suspended": true, "changed": changed }), || text)?;
        }
        Command::Resume { connect, agency_id } => {
            let text = format!("{agency_id} is no longer suspended");
            let request = SuspendAgencyRequest { agency_id, ..SuspendAgencyRequest::default() };
            let changed = connect.client()?.suspend_agency(request).await?.changed;
            output.result(|| json!({ "suspended": false, "changed": changed }), || text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts what files say: procedures and policies before the agencies that have them. How many, and how many changed.
async fn apply(client: &Client, files: Vec<File>) -> Result<(usize, usize), Failure> {
    let (mut put, mut changed) = (0, 0);
    let mut count = |answer: bool| {
        put += 1;
        changed += usize::from(answer);
    };
    let (mut policies, mut agencies) = (Vec::new(), Vec::new());
    for file in files {
        let (procedures, of_policies, of_agencies) = file.parts()?;
        for procedure in procedures {
            count(client.put_procedure(procedure).await?.changed);
        }
        policies.extend(of_policies);
        agencies.extend(of_agencies);
    }
    for policy in policies {
        count(client.put_policy(policy).await?.changed);
    }
    for agency in agencies {
        count(client.put_agency(agency).await?.changed);
    }
    Ok((put, changed))
}

async fn explain(asked: Explain, output: &Output) -> Result<ExitCode, Failure> {
    let client = asked.connect.client()?;
    let agency_id = asked.of.clone().unwrap_or_else(|| client.context().agency_id);
    let request = ExplainRequest {
        context: Some(RequestContext { agency_id, request_id: String::new(), ..client.context() }),
        read: fields(&asked.read, "--read", true)?,
        verify: permissions(&asked.verify, "--verify", true)?,
        write: fields(&asked.write, "--write", true)?,
        operations: operations(&asked.operations, "--do")?,
    };
    let told = match asked.of {
        Some(_) => client.explain_of(request).await?,
        None => client.explain(request).await?,
    };
    output.result(|| told_json(&told), || told_text(&told))?;
    Ok(if told.permitted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn reason(told: &ExplainResponse) -> &'static str {
    crate::domain::error::reason_name(told.reason())
}

fn told_json(told: &ExplainResponse) -> Value {
    let step = |step: &crate::proto::registry::ExplainStep| json!({ "what": step.what, "passes": step.passes, "because": step.because });
    let reason = if told.permitted { "" } else { reason(told) };
    let steps: Vec<Value> = told.steps.iter().map(step).collect();
    json!({ "permitted": told.permitted, "reason": reason, "steps": steps })
}

/// The steps as a table, and what they come to.
pub fn told_text(told: &ExplainResponse) -> String {
    let rows = told.steps.iter().map(|step| {
        let passes = if step.passes { "yes" } else { "no" };
        vec![step.what.clone(), passes.to_owned(), step.because.clone()]
    });
    let verdict = match told.permitted {
        true => "the call would pass, as far as that depends on no person".to_owned(),
        false => format!("the call would be refused: {}", reason(told)),
    };
    format!("{}\n{verdict}", table(&["what", "passes", "because"], rows.collect()))
}

fn agency_json(agency: &Agency) -> Value {
    json!({
        "id": agency.agency_id,
        "name": agency.name,
        "policies": agency.policies,
        "provinces": agency.provinces,
        "calls_per_day": agency.calls_per_day,
        "guesses_per_person": agency.guesses_per_person,
        "suspended": agency.suspended,
        "suspended_because": agency.suspended_because,
    })
}

fn policy_json(policy: &AccessPolicy) -> Value {
    json!({
        "name": policy.name,
        "law": policy.law,
        "purposes": policy.purposes,
        "legal_bases": shorts(policy.legal_bases(), |basis| short(basis.as_str_name(), "LEGAL_BASIS_")),
        "procedures": policy.procedures,
        "read": shorts(policy.read(), |field| short(field.as_str_name(), "PERSON_FIELD_")),
        "verify": policy.verify.iter().map(permission_word).collect::<Vec<_>>(),
        "write": shorts(policy.write(), |field| short(field.as_str_name(), "PERSON_FIELD_")),
        "operations": shorts(policy.operations(), |operation| short(operation.as_str_name(), "OPERATION_")),
        "sensitive": policy.sensitive,
    })
}

fn procedure_json(procedure: &Procedure) -> Value {
    json!({
        "code": procedure.procedure_code,
        "purpose": procedure.purpose,
        "law": procedure.law,
        "fields": shorts(procedure.fields(), |field| short(field.as_str_name(), "PERSON_FIELD_")),
        "withdrawn": procedure.withdrawn,
    })
}

fn all_json(all: &ReadPoliciesResponse) -> Value {
    json!({
        "agencies": all.agencies.iter().map(agency_json).collect::<Vec<_>>(),
        "policies": all.policies.iter().map(policy_json).collect::<Vec<_>>(),
        "procedures": all.procedures.iter().map(procedure_json).collect::<Vec<_>>(),
    })
}

fn all_text(all: &ReadPoliciesResponse) -> String {
    let or = |text: String, otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { text };
    let agency = |agency: &Agency| {
        vec![
            agency.agency_id.clone(),
            agency.name.clone(),
            agency.policies.join(", "),
            or(agency.provinces.join(", "), "all"),
            if agency.calls_per_day == 0 { "-".to_owned() } else { agency.calls_per_day.to_string() },
            if agency.suspended { format!("suspended: {}", agency.suspended_because) } else { String::new() },
        ]
    };
    let policy = |policy: &AccessPolicy| {
        let list = |value: &Value| {
            let words: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            words.join(", ")
        };
        let shown = policy_json(policy);
        let mut cells = vec![policy.name.clone(), policy.purposes.join(", ")];
        cells.extend(["legal_bases", "read", "verify", "operations"].map(|part| list(&shown[part])));
        cells
    };
    let agencies = table(
        &["agency", "name", "policies", "provinces", "calls a day", ""],
        all.agencies.iter().map(agency).collect(),
    );
    let policies = table(
        &["policy", "purposes", "bases", "reads", "verifies", "does"],
        all.policies.iter().map(policy).collect(),
    );
    let procedures = all.procedures.len();
    format!("{agencies}\n\n{policies}\n\n{procedures} procedures: \"dancu procedures\" lists them")
}
