//! Requests that only ask: what they look for, and the numbers and dates that they name.

use super::{CLAIM_CHARS, CLAIMS, Checked, as_reason, at_most_chars, at_most_items, refuse};
use crate::domain::error::rejection;
use crate::domain::{date, identifier, text};
use crate::proto::registry::{
    Address, Claim, DatePrecision, ErrorReason, FindPersonsRequest, HouseholdRole, PartialDate, Rejection,
};

/// Hits that one page may hold.
pub const FIND_LIMIT: usize = 200;
/// Hits in a page when the request names no number.
pub const FIND_DEFAULT: usize = 50;

/// What people are looked for by: a name, and a birth date and a unit if they are there.
pub fn find(request: &FindPersonsRequest) -> Checked {
    let name = text::nfc_trimmed(&request.name);
    if name.is_empty() {
        return refuse(ErrorReason::FieldInvalid, "name", "required: the whole birth name");
    }
    at_most_chars(&name, CLAIM_CHARS, || "name".to_owned())?;
    as_reason(text::check_name_characters(&name), ErrorReason::NameCharset, || "name".to_owned())?;
    if let Some(born) = &request.birth_date {
        as_reason(date::check(born), ErrorReason::DateInvalid, || "birth_date".to_owned())?;
    }
    match &request.unit {
        Some(unit) if unit.unit_code.is_empty() => {
            refuse(ErrorReason::FieldInvalid, "unit.unit_code", "required: the code of a province or commune")
        }
        Some(Address { unit_code, unit_edition, .. }) => {
            let (unit_code, unit_edition) = (unit_code.clone(), *unit_edition);
            super::address(&Address { unit_code, unit_edition, ..Address::default() }, "unit")
        }
        None => Ok(()),
    }
}

/// The number of hits to return: the default for 0, and never above the bound.
pub fn find_limit(limit: u32) -> Result<usize, Rejection> {
    match usize::try_from(limit) {
        Ok(0) => Ok(FIND_DEFAULT),
        Ok(limit) if limit <= FIND_LIMIT => Ok(limit),
        _ => Err(rejection(ErrorReason::TooLarge, "limit", format!("at most {FIND_LIMIT}"))),
    }
}

/// A personal id that is looked up: 12 digits, and no more, because a cancelled one may have been wrong in structure.
pub fn personal_id(number: &str, field: &str) -> Checked {
    if identifier::is_personal_id(number) {
        return Ok(());
    }
    refuse(ErrorReason::IdStructureInvalid, field, "a personal id has 12 digits")
}

/// A CMND number.
pub fn old_id(number: &str, field: &str) -> Checked {
    if identifier::is_old_id(number) {
        return Ok(());
    }
    refuse(ErrorReason::IdStructureInvalid, field, "a CMND number has 9 digits")
}

/// A day: a date that must be there, with month and day.
pub fn day(value: Option<&PartialDate>, field: &str) -> Result<PartialDate, Rejection> {
    let needed = || rejection(ErrorReason::FieldInvalid, field, "required, with month and day");
    let value = value.ok_or_else(needed)?;
    as_reason(date::check(value), ErrorReason::DateInvalid, || field.to_owned())?;
    if date::precision(value) == DatePrecision::Day { Ok(*value) } else { Err(needed()) }
}

/// The number of claims about the holder of a credential, which may be none.
pub fn holder_claims(claims: &[Claim]) -> Checked {
    at_most_items(claims.len(), CLAIMS, "holder_claims")
}

/// A role that is claimed, or UNSPECIFIED when none is.
pub fn household_role(role: i32, field: &str) -> Result<HouseholdRole, Rejection> {
    HouseholdRole::try_from(role)
        .map_err(|_| rejection(ErrorReason::FieldInvalid, field, "not a known role in a household"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixtures::address;
    use ErrorReason::{DateInvalid, FieldInvalid, IdStructureInvalid, NameCharset, TooLarge};

    /// The field and reason of a rejection.
    fn told<T>(checked: Result<T, Rejection>) -> Option<(String, ErrorReason)> {
        checked.err().map(|rejection| (rejection.field.clone(), rejection.reason()))
    }

    fn at_field(field: &str, reason: ErrorReason) -> Option<(String, ErrorReason)> {
        Some((field.to_owned(), reason))
    }

    #[test]
    fn what_people_are_looked_for_by() {
        let born = |year, month, day| Some(PartialDate { year, month, day });
        let request = |name: &str, birth_date, unit| FindPersonsRequest {
            name: name.to_owned(),
            birth_date,
            unit,
            ..FindPersonsRequest::default()
        };
        let no_edition = Address { unit_edition: 0, ..address("01", "") };
        #[rustfmt::skip]
        let cases = [
            (request("Nguyen Thi Lan", None, None), None),
            (request(" Nguye\u{0302}\u{0303}n ", born(1990, 0, 0), Some(address("01", "x\u{0000}"))), None),
            (request(&"ễ".repeat(302), None, None), None),
            (request(&"ễ".repeat(303), None, None), at_field("name", TooLarge)),
            (request("  ", None, None), at_field("name", FieldInvalid)),
            (request("Ðỗ", None, None), at_field("name", NameCharset)),
            (request("Lan", born(1990, 2, 30), None), at_field("birth_date", DateInvalid)),
            (request("Lan", None, Some(Address::default())), at_field("unit.unit_code", FieldInvalid)),
            (request("Lan", None, Some(no_edition)), at_field("unit.unit_edition", FieldInvalid)),
        ];
        for (i, (request, expected)) in cases.into_iter().enumerate() {
            assert_eq!(told(find(&request)), expected, "case {i} (from 0)");
        }
        assert_eq!([0, 1, 200].map(|n| find_limit(n).expect("within")), [50, 1, 200]);
        assert_eq!(told(find_limit(201)), at_field("limit", TooLarge));
    }

    #[test]
    fn days() {
        let of = |year, month, day| Some(PartialDate { year, month, day });
        assert_eq!(told(day(of(2024, 2, 29).as_ref(), "on")), None);
        assert_eq!(told(day(None, "on")), at_field("on", FieldInvalid));
        assert_eq!(told(day(of(2024, 2, 0).as_ref(), "on")), at_field("on", FieldInvalid));
        assert_eq!(told(day(of(2023, 2, 29).as_ref(), "on")), at_field("on", DateInvalid));
        assert_eq!(told(personal_id("1", "p")), at_field("p", IdStructureInvalid));
        assert_eq!(told(old_id("1", "o")), at_field("o", IdStructureInvalid));
        assert_eq!(told(holder_claims(&vec![Claim::default(); 33])), at_field("holder_claims", TooLarge));
        assert_eq!(told(household_role(77, "role")), at_field("role", FieldInvalid));
    }
}
