//! Addresses: the country, the unit in whichever editions, and the detail when the claim has one.

use std::borrow::Cow;

use super::finding::{self, Finding, Judged, Note};
use super::profile::strength;
use crate::domain::units::{Coverage, covers};
use crate::domain::{text, validate};
use crate::proto::registry::claim::Value;
use crate::proto::registry::{Address, MatchStrength, Verdict};

/// Said when neither yes nor no is certain of the unit.
const OPEN_UNIT: &str =
    "the record's unit may lie in the one claimed or not: it is larger, was divided, or is on no list";
/// Said when only the claim has a detail.
const NO_DETAIL: &str = "the record has no detail of this address; the unit alone may be claimed";

/// Any of the addresses held.
pub(super) fn address<'a>(
    held: impl IntoIterator<Item = &'a Address>,
    value: Option<&Value>,
    least: MatchStrength,
) -> Judged {
    let Some(Value::Address(claimed)) = value else { return Err("takes an address".into()) };
    let claimed = valid(claimed)?;
    Ok(finding::any(held.into_iter().map(|held| compare(held, &claimed, least))))
}

/// The claim with its detail normalised, or what is wrong with it.
fn valid(claimed: &Address) -> Result<Cow<'_, Address>, Note> {
    let detail = text::nfc_trimmed(&claimed.detail);
    let claimed = if detail == claimed.detail {
        Cow::Borrowed(claimed)
    } else {
        Cow::Owned(Address { detail: detail.into_owned(), ..claimed.clone() })
    };
    validate::address(&claimed, "")
        .map_err(|wrong| Note::from(format!("{}: {}", wrong.field, wrong.detail)))?;
    Ok(claimed)
}

/// Place and detail: where one does not agree, that decides, and what is open comes before what agrees.
fn compare(held: &Address, claimed: &Address, least: MatchStrength) -> Finding {
    let place = match covers(claimed, held) {
        Coverage::Covers => Finding::yes(true),
        Coverage::Apart => Finding::yes(false),
        Coverage::Undetermined => Finding::NOT_AVAILABLE.noted(OPEN_UNIT),
    };
    if place.verdict == Verdict::NoMatch || claimed.detail.is_empty() {
        return place;
    }
    if held.detail.is_empty() {
        return if place.verdict == Verdict::Match { Finding::NOT_AVAILABLE.noted(NO_DETAIL) } else { place };
    }
    let detail = Finding::text(strength(&claimed.detail, &held.detail), least);
    if detail.verdict == Verdict::NoMatch { detail } else { Finding { strength: detail.strength, ..place } }
}
