//! A person record: each field by itself, and the fields that must agree with each other.
//!
//! * `mod.rs`: the whole; names, numbers, birth and death.
//! * `address.rs`: addresses, residences and absence.
//! * `family.rs`: relations, marital status, household.
//! * `traits.rs`: ethnicity, religion, contacts, extensions.
//! * `papers.rs`: credentials, the electronic identity account, provenance.

mod address;
mod family;
mod papers;
#[cfg(test)]
mod tests;
mod traits;

use prost::Message;

use super::{
    Checked, LIST_ITEMS, NAME_CHARS, NAME_PART_CHARS, NATIONALITIES, RECORD_BYTES, as_reason, at,
    at_most_chars, at_most_items, refuse,
};
use crate::domain::error::rejection;
use crate::domain::{date, identifier, text};
use crate::proto::registry::{
    ErrorReason, Gender, PartialDate, Person, PersonName, PersonStatus, PhysicalStatus, PhysicalStatusKind,
    Rejection,
};

pub use address::{address, period};
pub use family::related_person;
pub use papers::{credential, credential_key, provenance};

/// Before this instant (the start of 2025, in milliseconds) no log of this register was written: a clock that shows
/// an earlier one was never set, and says nothing of what lies in the future.
const FIRST_LOG_MS: u64 = 1_735_689_600_000;
/// A day, in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// A whole record as it is to be stored; uid and record_revision are not looked at. `prefix` is the path of the
/// record in the request, "person" as a rule. What callers may not write is told apart elsewhere: here a link in
/// relations and a record that was merged are as good as any other.
pub fn person(person: &Person, prefix: &str) -> Checked {
    person_after(None, person, prefix)
}

/// The same, of a record that takes the place of another one, which was checked when it was stored: parts in which the
/// two are equal are not looked at again.
pub(in crate::domain) fn person_after(before: Option<&Person>, person: &Person, prefix: &str) -> Checked {
    let p = person;
    /// Whether any of these fields differs, or there was no record.
    macro_rules! changed {
        ($($field:ident),+) => { before.is_none_or(|before| $(before.$field != p.$field)||+) };
    }
    if changed!(birth_name, other_names) {
        birth_name(p.birth_name.as_ref(), &at(prefix, "birth_name"))?;
        other_names(&p.other_names, &at(prefix, "other_names"))?;
    }
    if changed!(birth_date, gender, personal_id, cancelled_personal_ids, old_id_numbers, physical_status) {
        numbers(p, prefix)?;
    }
    if changed!(nationalities) {
        nationalities(&p.nationalities, &at(prefix, "nationalities"))?;
    }
    if changed!(
        birth_place,
        birth_registration_place,
        place_of_origin,
        permanent_residence,
        current_residence,
        temporary_residences,
        absence
    ) {
        address::residences(p, prefix)?;
    }
    if changed!(relations, marital_status, residence_file_no, household_role, physical_status) {
        family::family(p, prefix)?;
    }
    if changed!(ethnicity, ethnicity_name, religion, blood_type, phone_numbers, email_addresses, extensions) {
        traits::traits(p, prefix)?;
    }
    if changed!(credentials, eid_account, provenance) {
        papers::papers(p, prefix)?;
    }
    person_status(p, prefix)?;
    if p.encoded_len() > RECORD_BYTES {
        return refuse(ErrorReason::TooLarge, prefix, format!("a record has at most {RECORD_BYTES} bytes"));
    }
    Ok(())
}

/// Birth, gender, death, and the numbers that must agree with them.
fn numbers(p: &Person, prefix: &str) -> Checked {
    let birth = required_date(p.birth_date.as_ref(), &at(prefix, "birth_date"))?;
    let gender = match p.gender() {
        Gender::Unspecified => {
            return refuse(ErrorReason::FieldInvalid, &at(prefix, "gender"), "MALE, FEMALE or UNKNOWN");
        }
        stated => stated,
    };
    if !p.personal_id.is_empty() {
        let checked = identifier::check_structure(&p.personal_id, &birth, gender);
        as_reason(checked, ErrorReason::IdStructureInvalid, || at(prefix, "personal_id"))?;
    }
    cancelled_ids(p, &at(prefix, "cancelled_personal_ids"))?;
    old_ids(&p.old_id_numbers, &at(prefix, "old_id_numbers"))?;
    match &p.physical_status {
        Some(status) => physical_status(status, &birth, &at(prefix, "physical_status")),
        None => Ok(()),
    }
}

/// That a birth does not lie in the future of `time_ms`, milliseconds since 1970. A day more is allowed: where the
/// record was made it may be tomorrow already. An absent date passes, because another check refuses it.
pub fn born_by(birth: Option<&PartialDate>, time_ms: u64) -> Checked {
    let latest = date::day_of(time_ms.saturating_add(DAY_MS));
    match birth {
        Some(birth) if time_ms >= FIRST_LOG_MS && date::surely_before(&latest, birth) => {
            refuse(ErrorReason::DateInvalid, "person.birth_date", "must not lie in the future")
        }
        _ => Ok(()),
    }
}

/// Whether this has the form of an ISO 3166-1 alpha-2 code.
pub(in crate::domain) fn is_alpha2(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn birth_name(name: Option<&PersonName>, field: &str) -> Checked {
    let Some(name) = name else {
        return refuse(ErrorReason::FieldInvalid, field, "required");
    };
    let parts =
        [("family", &name.family, true), ("middle", &name.middle, false), ("given", &name.given, true)];
    for (part, value, required) in parts {
        if value.is_empty() && !required {
            continue;
        }
        at_most_chars(value, NAME_PART_CHARS, || at(field, part))?;
        as_reason(text::check_name(value), ErrorReason::NameCharset, || at(field, part))?;
    }
    Ok(())
}

fn other_names(names: &[String], field: &str) -> Checked {
    at_most_items(names.len(), LIST_ITEMS, field)?;
    for (i, name) in names.iter().enumerate() {
        at_most_chars(name, NAME_CHARS, || format!("{field}[{i}]"))?;
        as_reason(text::check_name(name), ErrorReason::NameCharset, || format!("{field}[{i}]"))?;
    }
    Ok(())
}

/// A date that may be absent.
fn optional_date(value: Option<&PartialDate>, field: impl FnOnce() -> String) -> Checked {
    as_reason(value.map_or(Ok(()), date::check), ErrorReason::DateInvalid, field)
}

/// A value of an enum that this version knows; unspecified is one of them.
fn known<E: TryFrom<i32>>(value: i32, field: impl FnOnce() -> String) -> Checked {
    as_reason(E::try_from(value).map(drop).map_err(|_| "not a known value"), ErrorReason::FieldInvalid, field)
}

/// Text that is no name, and may be empty.
fn free_text(value: &str, max: usize, field: impl Fn() -> String) -> Checked {
    at_most_chars(value, max, &field)?;
    as_reason(text::check_free(value), ErrorReason::NameCharset, field)
}

fn required_date(value: Option<&PartialDate>, field: &str) -> Result<PartialDate, Rejection> {
    let Some(value) = value else {
        return Err(rejection(ErrorReason::FieldInvalid, field, "required; the year alone is enough"));
    };
    as_reason(date::check(value), ErrorReason::DateInvalid, || field.to_owned())?;
    Ok(*value)
}

fn cancelled_ids(person: &Person, field: &str) -> Checked {
    let ids = &person.cancelled_personal_ids;
    at_most_items(ids.len(), LIST_ITEMS, field)?;
    for (i, id) in ids.iter().enumerate() {
        let item = format!("{field}[{i}]");
        if !identifier::is_personal_id(id) {
            return refuse(ErrorReason::IdStructureInvalid, &item, "a personal id has 12 digits");
        }
        if *id == person.personal_id {
            return refuse(ErrorReason::FieldInvalid, &item, "a cancelled personal id is not the active one");
        }
    }
    distinct(ids, field)
}

fn old_ids(ids: &[String], field: &str) -> Checked {
    at_most_items(ids.len(), LIST_ITEMS, field)?;
    for (i, id) in ids.iter().enumerate() {
        if !identifier::is_old_id(id) {
            let item = format!("{field}[{i}]");
            return refuse(ErrorReason::IdStructureInvalid, &item, "a CMND number has 9 digits");
        }
    }
    distinct(ids, field)
}

fn nationalities(codes: &[String], field: &str) -> Checked {
    at_most_items(codes.len(), NATIONALITIES, field)?;
    for (i, code) in codes.iter().enumerate() {
        if !is_alpha2(code) {
            let item = format!("{field}[{i}]");
            return refuse(ErrorReason::FieldInvalid, &item, "two capital letters of ISO 3166-1 alpha-2");
        }
    }
    distinct(codes, field)
}

fn distinct<T: PartialEq>(items: &[T], field: &str) -> Checked {
    match (1..items.len()).find(|&i| items[..i].contains(&items[i])) {
        Some(i) => refuse(ErrorReason::FieldInvalid, &format!("{field}[{i}]"), "stands in the list twice"),
        None => Ok(()),
    }
}

fn physical_status(status: &PhysicalStatus, birth: &PartialDate, field: &str) -> Checked {
    let Ok(kind) = PhysicalStatusKind::try_from(status.kind) else {
        return refuse(ErrorReason::FieldInvalid, &at(field, "kind"), "not a known status");
    };
    let Some(since) = &status.since else { return Ok(()) };
    let field = at(field, "since");
    if !matches!(kind, PhysicalStatusKind::Deceased | PhysicalStatusKind::Missing) {
        return refuse(ErrorReason::FieldInvalid, &field, "only with DECEASED or MISSING");
    }
    as_reason(date::check(since), ErrorReason::DateInvalid, || field.clone())?;
    if date::surely_before(since, birth) {
        return refuse(ErrorReason::FieldInvalid, &field, "must not be before the birth");
    }
    Ok(())
}

fn person_status(person: &Person, prefix: &str) -> Checked {
    known::<PersonStatus>(person.person_status, || at(prefix, "person_status"))?;
    if (person.person_status() == PersonStatus::Merged) != (person.merged_into != 0) {
        let field = at(prefix, "merged_into");
        return refuse(ErrorReason::FieldInvalid, &field, "set in a MERGED record, and in no other");
    }
    Ok(())
}
