//! `dancu person find`: people by name, in pages.

use std::process::ExitCode;

use bytes::Bytes;
use serde_json::{Value, json};

use super::person::record;
use super::yes_or_no;
use crate::cli::Failure;
use crate::cli::answer::{meta_json, meta_text, word};
use crate::cli::connect::{Connect, Freshness};
use crate::cli::json;
use crate::cli::output::{Output, table};
use crate::domain::matching::full_name;
use crate::proto::registry::{Address, FindPersonsRequest, FindPersonsResponse, FoundPerson};

/// Whom to find.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    freshness: Freshness,
    /// Whole name: family, middle, given
    #[arg(long)]
    name: String,
    /// Date of birth: 1990-05-17, 1990-05 or 1990
    #[arg(long)]
    born: Option<json::Date>,
    /// Province or commune of the permanent residence, with the edition of its code: 79@v63
    #[arg(long, value_parser = unit)]
    unit: Option<Address>,
    /// The most people of a page, 1 to 200
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// The next page, as the one before named it; all else must be as it was
    #[arg(long, value_parser = page, default_value = "")]
    page: Bytes,
}

/// Searches; 0 when there is somebody, 1 when there is nobody. A further page may well be empty.
///
/// # Errors
/// See [`Failure`].
pub async fn run(args: Args, output: &Output) -> Result<ExitCode, Failure> {
    let further = !args.page.is_empty();
    let request = FindPersonsRequest {
        name: args.name,
        birth_date: args.born.map(Into::into),
        unit: args.unit,
        options: Some(args.freshness.options()),
        limit: args.limit,
        page: args.page,
        ..FindPersonsRequest::default()
    };
    let answer = args.connect.client()?.find(request).await?;
    output.result(|| found_json(&answer), || found_text(&answer))?;
    Ok(yes_or_no(further || !answer.persons.is_empty() || !answer.next_page.is_empty()))
}

/// A unit with the edition of its code, as in 79@v63.
fn unit(text: &str) -> Result<Address, String> {
    let parts = text.split_once('@').and_then(|(code, edition)| {
        let edition = <json::UnitEdition as clap::ValueEnum>::from_str(edition, false).ok()?;
        Some(Address { unit_code: code.to_owned(), unit_edition: edition.to_proto(), ..Address::default() })
    });
    parts.ok_or_else(|| "expected CODE@v63 or CODE@v34".to_owned())
}

/// The mark of a page from hexadecimal digits.
fn page(text: &str) -> Result<Bytes, String> {
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let whole = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
    bytes
        .filter(|_| whole)
        .map(Bytes::from)
        .ok_or_else(|| "expected the page that the answer before named".to_owned())
}

fn page_text(page: &[u8]) -> String {
    page.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn strength(found: &FoundPerson) -> String {
    word(found.name_strength().as_str_name(), "MATCH_STRENGTH_")
}

fn found_json(answer: &FindPersonsResponse) -> Value {
    let one = |found: &FoundPerson| {
        json!({
            "name_strength": strength(found),
            "person": record(found.person.clone().unwrap_or_default()),
        })
    };
    json!({
        "persons": answer.persons.iter().map(one).collect::<Vec<_>>(),
        "next_page": page_text(&answer.next_page),
        "meta": meta_json(&answer.meta.clone().unwrap_or_default()),
    })
}

fn found_text(answer: &FindPersonsResponse) -> String {
    let row = |found: &FoundPerson| {
        let p = found.person.clone().unwrap_or_default();
        let name = p.birth_name.as_ref().map(full_name).unwrap_or_default();
        let born = p.birth_date.map(|date| json::Date::from(date).to_string()).unwrap_or_default();
        let gender = word(p.gender().as_str_name(), "GENDER_");
        let home = p.permanent_residence.unwrap_or_default();
        let edition = word(home.unit_edition().as_str_name(), "UNIT_EDITION_");
        let home =
            if home.unit_code.is_empty() { home.country } else { format!("{}@{edition}", home.unit_code) };
        vec![strength(found), p.uid.to_string(), p.personal_id, name, born, gender, home]
    };
    let header = ["strength", "uid", "personal id", "name", "born", "gender", "residence"];
    let shown = match answer.persons.as_slice() {
        [] => "nobody on this page".to_owned(),
        persons => table(&header, persons.iter().map(row).collect()),
    };
    let more = match page_text(&answer.next_page).as_str() {
        "" => String::new(),
        page => format!("there may be more: --page {page}\n"),
    };
    format!("{shown}\n{more}{}", meta_text(&answer.meta.clone().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_units_are_understood() {
        assert_eq!(page(&page_text(&[0, 9, 255])), Ok(Bytes::from_static(&[0, 9, 255])));
        for bad in ["0", "0g", "+1", "đ"] {
            assert!(page(bad).is_err(), "accepted {bad:?}");
        }
        assert_eq!(unit("79@v63").map(|a| (a.unit_code, a.unit_edition)), Ok(("79".to_owned(), 1)));
        for bad in ["79", "79@", "79@v62"] {
            assert!(unit(bad).is_err(), "accepted {bad:?}");
        }
    }
}
