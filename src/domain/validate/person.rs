//! A person record: each field by itself, and the fields that must agree with each other.

use super::{
    Checked, DETAIL_CHARS, LIST_ITEMS, NAME_CHARS, NAME_PART_CHARS, NATIONALITIES, as_reason, at,
    at_most_chars, at_most_items, refuse,
};
use crate::domain::error::rejection;
use crate::domain::{date, identifier, text};
use crate::proto::registry::{
    Address, ErrorReason, Gender, PartialDate, Person, PersonName, PhysicalStatus, PhysicalStatusKind,
    Rejection, UnitEdition,
};

/// A whole record as it is to be stored; uid and record_revision are not looked at. `prefix` is the path of the
/// record in the request, "person" as a rule.
pub fn person(person: &Person, prefix: &str) -> Checked {
    let p = person;
    birth_name(p.birth_name.as_ref(), &at(prefix, "birth_name"))?;
    other_names(&p.other_names, &at(prefix, "other_names"))?;
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
    let addresses = [
        ("birth_place", &p.birth_place),
        ("birth_registration_place", &p.birth_registration_place),
        ("place_of_origin", &p.place_of_origin),
        ("permanent_residence", &p.permanent_residence),
        ("current_residence", &p.current_residence),
    ];
    for (name, value) in addresses {
        if let Some(value) = value {
            address(value, &at(prefix, name))?;
        }
    }
    nationalities(&p.nationalities, &at(prefix, "nationalities"))?;
    p.physical_status.as_ref().map_or(Ok(()), |s| physical_status(s, &birth, &at(prefix, "physical_status")))
}

/// An address: a unit of a stated edition in Viet Nam, or a country abroad, and a detail. A claim's address is held
/// to the same, after its detail was normalised.
pub fn address(address: &Address, field: &str) -> Checked {
    let a = address;
    let refuse_part = |name, detail| refuse(ErrorReason::FieldInvalid, &at(field, name), detail);
    if !a.country.is_empty() && !is_alpha2(&a.country) {
        return refuse_part("country", "two capital letters of ISO 3166-1 alpha-2, or empty for VN");
    }
    let Ok(edition) = UnitEdition::try_from(a.unit_edition) else {
        return refuse_part("unit_edition", "not a known edition");
    };
    let home = a.country.is_empty() || a.country == "VN";
    if a.unit_code.is_empty() {
        if home {
            return refuse_part("unit_code", "required in Viet Nam; name the country of an address abroad");
        }
        if edition != UnitEdition::Unspecified {
            return refuse_part("unit_edition", "only with a unit code");
        }
    } else {
        if !home {
            return refuse_part("unit_code", "must be empty for an address abroad");
        }
        let lengths: &[usize] = match edition {
            UnitEdition::Unspecified => return refuse_part("unit_edition", "required with a unit code"),
            UnitEdition::V63 => &[2, 3, 5],
            UnitEdition::V34 => &[2, 5],
        };
        let digits = a.unit_code.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || !lengths.contains(&a.unit_code.len()) {
            return refuse_part("unit_code", "2 or 5 digits, or 3 in edition V63");
        }
    }
    at_most_chars(&a.detail, DETAIL_CHARS, || at(field, "detail"))?;
    as_reason(text::check_free(&a.detail), ErrorReason::NameCharset, || at(field, "detail"))
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

fn distinct(items: &[String], field: &str) -> Checked {
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
