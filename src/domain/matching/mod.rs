//! Comparing claims with a record: claims in, verdicts out, and nothing of the record.
//!
//! The profile is "nfc-exact/1": two texts are the same when they are equal code point by code point, after the
//! claim was put into NFC and trimmed. Case, tone placement ("Hoà", "Hòa"), i and y, and missing diacritics all make
//! a difference. A looser profile would be another name and another strength, never a silent change of this one.
//!
//! ```text
//! the claim is malformed, or of another kind than the attribute takes    INVALID_INPUT
//! this version does not know the attribute                               UNSUPPORTED
//! the record holds nothing to compare with                               NOT_AVAILABLE
//! the same                                                               MATCH, strength EXACT
//! something else                                                         NO_MATCH
//! ```
//!
//! The order is that of the table: a malformed claim is told so whatever the record holds. Notes say what was
//! expected of a claim, and never repeat what it or the record says.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::validate::{self, NAME_CHARS};
use super::{date, identifier, text};
use crate::proto::registry::claim::Value;
use crate::proto::registry::{
    Address, Attribute, AttributeVerdict, Claim, DatePrecision, Gender, MatchStrength, PartialDate, Person,
    PersonName, PhysicalStatusKind, Verdict,
};

/// The rules by which text is compared, as `ResponseMeta.normalization_profile` names them.
pub const PROFILE: &str = "nfc-exact/1";

/// The verdict on one claim about a person.
pub fn verify(person: &Person, claim: &Claim) -> AttributeVerdict {
    let (found, precision, note) = match judge(person, claim) {
        Ok((found, precision)) => (found, precision, ""),
        Err(note) => (Verdict::InvalidInput, DatePrecision::Unspecified, note),
    };
    let strength = if found == Verdict::Match { MatchStrength::Exact } else { MatchStrength::Unspecified };
    AttributeVerdict {
        attribute: claim.attribute,
        verdict: found.into(),
        strength: strength.into(),
        precision: precision.into(),
        note: note.to_owned(),
    }
}

/// The whole birth name as ATTRIBUTE_FULL_NAME takes it: family, middle, given, one space between.
pub fn full_name(name: &PersonName) -> String {
    let parts = [name.family.as_str(), &name.middle, &name.given];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A verdict, or why the claim is invalid.
type Judged = Result<Verdict, &'static str>;

fn judge(person: &Person, claim: &Claim) -> Result<(Verdict, DatePrecision), &'static str> {
    use Attribute as A;
    let Ok(attribute) = Attribute::try_from(claim.attribute) else {
        return Ok((Verdict::Unsupported, DatePrecision::Unspecified));
    };
    let name = person.birth_name.as_ref();
    let value = claim.value.as_ref();
    let verdict = match attribute {
        A::Unspecified => Err("name the attribute"),
        A::FullName => name_part(name.map(full_name).as_deref(), value, false),
        A::FamilyName => name_part(name.map(|n| n.family.as_str()), value, false),
        A::MiddleName => name_part(name.map(|n| n.middle.as_str()), value, true),
        A::GivenName => name_part(name.map(|n| n.given.as_str()), value, false),
        A::BirthDate => return birth_date(person.birth_date.as_ref(), value),
        A::Gender => gender(person.gender(), value),
        A::PersonalId => personal_id(&person.personal_id, value),
        A::OldIdNumber => old_id(&person.old_id_numbers, value),
        A::BirthPlace => address(person.birth_place.as_ref(), value),
        A::BirthRegistrationPlace => address(person.birth_registration_place.as_ref(), value),
        A::PlaceOfOrigin => address(person.place_of_origin.as_ref(), value),
        A::PermanentResidence => address(person.permanent_residence.as_ref(), value),
        A::CurrentResidence => address(person.current_residence.as_ref(), value),
        A::Nationality => nationality(&person.nationalities, value),
        A::PhysicalStatus => physical_status(person, value),
    };
    Ok((verdict?, DatePrecision::Unspecified))
}

fn same(equal: bool) -> Verdict {
    if equal { Verdict::Match } else { Verdict::NoMatch }
}

/// The claimed text, normalised. Its bound counts the characters that are compared.
fn claimed_text(value: Option<&Value>) -> Result<Cow<'_, str>, &'static str> {
    let Some(Value::Text(claimed)) = value else { return Err("takes a text") };
    let claimed = text::nfc_trimmed(claimed);
    if text::longer_than(&claimed, NAME_CHARS) { Err("at most 300 characters") } else { Ok(claimed) }
}

/// A part that the record holds as empty (no middle name) is a fact, and compared as one.
fn name_part(held: Option<&str>, value: Option<&Value>, may_be_empty: bool) -> Judged {
    let claimed = claimed_text(value)?;
    if !(claimed.is_empty() && may_be_empty) {
        text::check_name_characters(&claimed)?;
    }
    Ok(held.map_or(Verdict::NotAvailable, |held| same(held == claimed)))
}

fn birth_date(
    held: Option<&PartialDate>,
    value: Option<&Value>,
) -> Result<(Verdict, DatePrecision), &'static str> {
    let Some(Value::Date(claimed)) = value else { return Err("takes a date") };
    date::check(claimed)?;
    Ok(held.map_or((Verdict::NotAvailable, DatePrecision::Unspecified), |held| {
        let (order, precision) = date::compare(held, claimed);
        (same(order == Ordering::Equal), precision)
    }))
}

/// A record whose gender is unknown agrees with a claim that it is, and has nothing to say of any other.
fn gender(held: Gender, value: Option<&Value>) -> Judged {
    let Some(Value::Gender(claimed)) = value else { return Err("takes a gender") };
    match Gender::try_from(*claimed) {
        Err(_) | Ok(Gender::Unspecified) => Err("MALE, FEMALE or UNKNOWN"),
        Ok(claimed) if claimed == held => Ok(Verdict::Match),
        Ok(_) if matches!(held, Gender::Unknown | Gender::Unspecified) => Ok(Verdict::NotAvailable),
        Ok(_) => Ok(Verdict::NoMatch),
    }
}

fn personal_id(held: &str, value: Option<&Value>) -> Judged {
    let claimed = claimed_text(value)?;
    if !identifier::is_personal_id(&claimed) {
        return Err("a personal id has 12 digits");
    }
    Ok(if held.is_empty() { Verdict::NotAvailable } else { same(held == claimed) })
}

fn old_id(held: &[String], value: Option<&Value>) -> Judged {
    let claimed = claimed_text(value)?;
    if !identifier::is_old_id(&claimed) {
        return Err("a CMND number has 9 digits");
    }
    Ok(if held.is_empty() { Verdict::NotAvailable } else { same(held.iter().any(|n| *n == claimed)) })
}

/// Codes are compared as they are written: "01" and "001" of edition V63 may be a province and a district.
fn address(held: Option<&Address>, value: Option<&Value>) -> Judged {
    let Some(Value::Address(claimed)) = value else { return Err("takes an address") };
    let claimed = Address { detail: text::nfc_trimmed(&claimed.detail).into_owned(), ..claimed.clone() };
    validate::address(&claimed, "").map_err(|_| "not a valid address: see the bounds of Address")?;
    Ok(held.map_or(Verdict::NotAvailable, |held| {
        same(
            held.unit_code == claimed.unit_code
                && held.unit_edition == claimed.unit_edition
                && country(&held.country) == country(&claimed.country)
                && (claimed.detail.is_empty() || held.detail == claimed.detail),
        )
    }))
}

fn nationality(held: &[String], value: Option<&Value>) -> Judged {
    let claimed = claimed_text(value)?;
    if !validate::is_alpha2(&claimed) {
        return Err("two capital letters of ISO 3166-1 alpha-2");
    }
    let vietnamese_by_default = held.is_empty() && claimed == "VN";
    Ok(same(vietnamese_by_default || held.iter().any(|code| *code == claimed)))
}

fn physical_status(person: &Person, value: Option<&Value>) -> Judged {
    use PhysicalStatusKind::{Alive, Unspecified};
    let Some(Value::PhysicalStatus(claimed)) = value else { return Err("takes a physical status") };
    let held = match person.physical_status.map_or(Unspecified, |status| status.kind()) {
        Unspecified => Alive,
        stated => stated,
    };
    match PhysicalStatusKind::try_from(*claimed) {
        Err(_) | Ok(Unspecified) => Err("ALIVE, DECEASED or MISSING"),
        Ok(claimed) => Ok(same(claimed == held)),
    }
}

/// An empty country means VN.
fn country(code: &str) -> &str {
    if code.is_empty() { "VN" } else { code }
}

#[cfg(test)]
mod tests;
