//! Where a person lives, lived or is from, and for how long.

use super::super::{Checked, DETAIL_CHARS, LIST_ITEMS, at, at_most_items, refuse, within};
use super::{free_text, is_alpha2, optional_date};
use crate::domain::date;
use crate::proto::registry::{Address, ErrorReason, PartialDate, Person, TemporaryResidence, UnitEdition};

/// Every address of a record, and its declaration of absence.
pub(super) fn residences(person: &Person, prefix: &str) -> Checked {
    let p = person;
    let addresses = [
        ("birth_place", &p.birth_place),
        ("birth_registration_place", &p.birth_registration_place),
        ("place_of_origin", &p.place_of_origin),
        ("permanent_residence", &p.permanent_residence),
        ("current_residence", &p.current_residence),
    ];
    for (name, value) in addresses {
        if let Some(value) = value {
            within(address(value, ""), || at(prefix, name))?;
        }
    }
    let field = at(prefix, "temporary_residences");
    at_most_items(p.temporary_residences.len(), LIST_ITEMS, &field)?;
    for (i, residence) in p.temporary_residences.iter().enumerate() {
        within(temporary_residence(residence, ""), || format!("{field}[{i}]"))?;
    }
    match &p.absence {
        Some(absence) => period(absence.since.as_ref(), absence.until.as_ref(), &at(prefix, "absence")),
        None => Ok(()),
    }
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
    free_text(&a.detail, DETAIL_CHARS, || at(field, "detail"))
}

/// A time from `since` until `until` of the message at `field`, either of which may be open.
pub fn period(since: Option<&PartialDate>, until: Option<&PartialDate>, field: &str) -> Checked {
    optional_date(since, || at(field, "since"))?;
    optional_date(until, || at(field, "until"))?;
    match (since, until) {
        (Some(since), Some(until)) if date::surely_before(until, since) => {
            refuse(ErrorReason::FieldInvalid, &at(field, "until"), "must not be before since")
        }
        _ => Ok(()),
    }
}

fn temporary_residence(residence: &TemporaryResidence, field: &str) -> Checked {
    let Some(value) = &residence.address else {
        return refuse(ErrorReason::FieldInvalid, &at(field, "address"), "required");
    };
    address(value, &at(field, "address"))?;
    period(residence.since.as_ref(), residence.until.as_ref(), field)
}
