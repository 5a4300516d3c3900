//! Numbers and codes, which are the same or not, and ethnicities, which have a code and names.

use super::ethnicity;
use super::finding::{self, Finding, Judged};
use super::profile::strength;
use crate::domain::validate::{self, RESIDENCE_FILE_CHARS};
use crate::domain::{identifier, text};
use crate::proto::registry::claim::Value;
use crate::proto::registry::{MatchStrength, Person};

/// The active number: a cancelled one leads to the person, and is no longer theirs.
pub(super) fn personal_id(held: &str, value: Option<&Value>) -> Judged {
    code(as_one(held), value, identifier::is_personal_id, "a personal id has 12 digits")
}

/// Any of the CMND numbers.
pub(super) fn old_id(held: &[String], value: Option<&Value>) -> Judged {
    code(held.iter().map(String::as_str), value, identifier::is_old_id, "a CMND number has 9 digits")
}

/// Any of the nationalities. A record that names none means VN.
pub(super) fn nationality(held: &[String], value: Option<&Value>) -> Judged {
    let default = held.is_empty().then_some("VN");
    let expected = "two capital letters of ISO 3166-1 alpha-2";
    code(held.iter().map(String::as_str).chain(default), value, validate::is_alpha2, expected)
}

pub(super) fn religion(held: &str, value: Option<&Value>) -> Judged {
    code(as_one(held), value, is_two_digits, "the code of a religion has two digits")
}

pub(super) fn residence_file(held: &str, value: Option<&Value>) -> Judged {
    let valid = |text: &str| {
        let known = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        known && (1..=RESIDENCE_FILE_CHARS).contains(&text.len())
    };
    code(as_one(held), value, valid, "a residence file has 1 to 20 capital letters A to Z and digits")
}

/// By code, or by a name: that of the list, or the one by which the record calls it.
pub(super) fn ethnicity(person: &Person, value: Option<&Value>, least: MatchStrength) -> Judged {
    let claimed = finding::text(value)?;
    if claimed.bytes().any(|byte| byte.is_ascii_digit()) {
        let valid = |code: &str| ethnicity::name(code).is_some();
        return code(as_one(&person.ethnicity), value, valid, "the code of an ethnicity is from 01 to 55");
    }
    text::check_name_characters(&claimed)?;
    let names = ethnicity::name(&person.ethnicity).into_iter().chain(as_one(&person.ethnicity_name));
    Ok(finding::any(names.map(|held| Finding::text(strength(&claimed, held), least))))
}

/// A text that is there, as the one item of a list.
fn as_one(text: &str) -> impl Iterator<Item = &str> {
    Some(text).filter(|text| !text.is_empty()).into_iter()
}

/// Any of the codes held, all of them of one form.
fn code<'a>(
    held: impl Iterator<Item = &'a str>,
    value: Option<&Value>,
    valid: impl Fn(&str) -> bool,
    expected: &'static str,
) -> Judged {
    let claimed = finding::text(value)?;
    if !valid(&claimed) {
        return Err(expected.into());
    }
    Ok(finding::any(held.map(|held| Finding::code(held == claimed))))
}

fn is_two_digits(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_digit())
}
