//! `dancu unit`: an administrative unit by its code, and what became of it in the other edition.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::connect::Connect;
use super::output::{Output, table};
use super::{Failure, json};
use crate::proto::registry::{Unit, UnitEdition};

/// The unit, and what is asked about it.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    connect: Connect,
    /// The code: 2 digits for a province, 3 for a district of v63, 5 for a commune
    code: String,
    /// The edition of the code: seven province codes name another province in each
    #[arg(long)]
    edition: json::UnitEdition,
    /// Show the units of this edition that share ground with it
    #[arg(long)]
    to: Option<json::UnitEdition>,
}

/// Looks the unit up; 0 when the edition has it, 1 when not.
///
/// # Errors
/// See [`Failure`].
pub async fn run(args: Args, output: &Output) -> Result<ExitCode, Failure> {
    let client = args.connect.client()?;
    let edition = proto(args.edition);
    let (from, units) = match args.to {
        None => (client.unit(args.code, edition).await?.unit, Vec::new()),
        Some(to) => {
            let answer = client.convert_unit(args.code, edition, proto(to)).await?;
            (answer.from, answer.units)
        }
    };
    let from = from.unwrap_or_default();
    output.result(
        || {
            let to = args.to.map(|_| units.iter().map(unit_json).collect::<Vec<_>>());
            json!({ "unit": unit_json(&from), "to": to })
        },
        || text(&from, &units),
    )?;
    Ok(ExitCode::SUCCESS)
}

fn proto(edition: json::UnitEdition) -> UnitEdition {
    UnitEdition::try_from(edition.to_proto()).unwrap_or_default()
}

fn word(unit: &Unit) -> &'static str {
    match unit.edition() {
        UnitEdition::V63 => "v63",
        UnitEdition::V34 => "v34",
        UnitEdition::Unspecified => "",
    }
}

/// The unit asked for, and below it those of the other edition.
fn text(from: &Unit, units: &[Unit]) -> String {
    let row = |unit: &Unit| {
        let province = format!("{} {}", unit.province_code, unit.province_name);
        vec![word(unit).to_owned(), unit.code.clone(), unit.name.clone(), unit.parent_code.clone(), province]
    };
    let rows = std::iter::once(from).chain(units).map(row).collect();
    table(&["edition", "code", "name", "part of", "province"], rows)
}

fn unit_json(unit: &Unit) -> Value {
    json!({
        "code": unit.code, "edition": word(unit), "name": unit.name, "parent_code": unit.parent_code,
        "province_code": unit.province_code, "province_name": unit.province_name,
    })
}
