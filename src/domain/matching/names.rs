//! Names: the whole, its parts, and other names.
//!
//! Some systems hold one string, and those that hold three parts divide it in different places: with a compound family
//! name "Nguyễn Phúc | Minh | An" may stand elsewhere as "Nguyễn | Phúc Minh | An". So neighbouring parts that are
//! claimed together are compared joined as well, and agree when either they or the joined text does; a part that is
//! claimed alone is compared with its part.

use std::borrow::Cow;

use super::Weakest;
use super::finding::{self, Finding, Judged, Note};
use super::profile::strength;
use crate::domain::text;
use crate::proto::registry::claim::Value;
use crate::proto::registry::{Attribute, Claim, MatchStrength, Person, PersonName, Verdict};

/// Said of a part that agrees only together with its neighbours.
const DIVIDED: &str = "compared joined with its neighbours: the register divides the name in another place";

/// The whole birth name as ATTRIBUTE_FULL_NAME takes it: family, middle, given, one space between.
pub fn full_name(name: &PersonName) -> String {
    joined([&name.family, &name.middle, &name.given])
}

fn joined<'a>(parts: impl IntoIterator<Item = &'a String>) -> String {
    let parts = parts.into_iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

/// The whole name.
pub(super) fn full(held: Option<&PersonName>, value: Option<&Value>, least: MatchStrength) -> Judged {
    let claimed = name(value)?;
    let Some(held) = held else { return Ok(Finding::NOT_AVAILABLE) };
    let strength = if is_full_name(&claimed, held) {
        MatchStrength::Exact
    } else {
        strength(&claimed, &full_name(held))
    };
    Ok(Finding::text(strength, least))
}

/// Whether the text is the whole name, without putting that together.
fn is_full_name(text: &str, name: &PersonName) -> bool {
    let parts = [&name.family, &name.middle, &name.given].into_iter().filter(|part| !part.is_empty());
    let mut rest = Some(text);
    for (position, part) in parts.enumerate() {
        let begun = rest.and_then(|rest| if position == 0 { Some(rest) } else { rest.strip_prefix(' ') });
        rest = begun.and_then(|rest| rest.strip_prefix(part.as_str()));
    }
    rest == Some("")
}

/// The family name, or the given name.
pub(super) fn part(held: Option<&str>, value: Option<&Value>, least: MatchStrength) -> Judged {
    Ok(compare(held, &name(value)?, least))
}

/// The middle name. That there is none is a fact, and compared as one.
pub(super) fn middle(held: Option<&str>, value: Option<&Value>, least: MatchStrength) -> Judged {
    let claimed = finding::text(value)?;
    if !claimed.is_empty() {
        text::check_name_characters(&claimed)?;
    }
    Ok(compare(held, &claimed, least))
}

/// Any of the other names.
pub(super) fn other(held: &[String], value: Option<&Value>, least: MatchStrength) -> Judged {
    let claimed = name(value)?;
    Ok(finding::any(held.iter().map(|held| compare(Some(held), &claimed, least))))
}

fn name(value: Option<&Value>) -> Result<Cow<'_, str>, Note> {
    let claimed = finding::text(value)?;
    text::check_name_characters(&claimed)?;
    Ok(claimed)
}

fn compare(held: Option<&str>, claimed: &str, least: MatchStrength) -> Finding {
    held.map_or(Finding::NOT_AVAILABLE, |held| Finding::text(strength(claimed, held), least))
}

/// Compares neighbouring parts joined where one of them did not agree by itself: all three, then two and two.
pub(super) fn join_parts(person: &Person, claims: &[Claim], findings: &mut [Finding], weakest: Weakest<'_>) {
    let Some(held) = &person.birth_name else { return };
    if findings.iter().all(|found| found.verdict == Verdict::Match) {
        return;
    }
    let held = [&held.family, &held.middle, &held.given];
    let places = [Attribute::FamilyName, Attribute::MiddleName, Attribute::GivenName]
        .map(|attribute| only(claims, findings, attribute));
    for run in [0..3, 0..2, 1..3] {
        let places: Vec<usize> = places[run.clone()].iter().flatten().copied().collect();
        if places.len() < run.len() {
            continue;
        }
        let claimed = joined(places.iter().filter_map(|&at| match &claims[at].value {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }));
        let whole = strength(&claimed, &joined(held[run].iter().copied()));
        for at in places {
            let found = &mut findings[at];
            let stronger = found.strength == MatchStrength::Unspecified || whole < found.strength;
            if found.verdict != Verdict::Match && whole != MatchStrength::Unspecified && stronger {
                // The claim was judged, so what it requires is valid.
                let least = finding::required(&claims[at], weakest).unwrap_or(MatchStrength::Exact);
                *found = Finding::text(whole, least).noted(DIVIDED);
            }
        }
    }
}

/// The place of the one valid claim on an attribute; none when there are several, which cannot be joined.
fn only(claims: &[Claim], findings: &[Finding], attribute: Attribute) -> Option<usize> {
    let mut places = (0..claims.len()).filter(|&at| claims[at].attribute() == attribute);
    let place = places.next().filter(|_| places.next().is_none())?;
    Some(place).filter(|&at| findings[at].verdict != Verdict::InvalidInput)
}
