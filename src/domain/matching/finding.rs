//! What judging one claim comes to, and what a claim's texts and required strength must be.

use std::borrow::Cow;

use super::Weakest;
use crate::domain::text;
use crate::domain::validate::CLAIM_CHARS;
use crate::proto::registry::claim::Value;
use crate::proto::registry::{AttributeVerdict, Claim, DatePrecision, MatchStrength, Verdict};

/// A verdict with what is said beside it, not yet on an attribute.
pub(super) struct Finding {
    pub verdict: Verdict,
    pub strength: MatchStrength,
    pub precision: DatePrecision,
    pub note: Note,
}

/// A finding, or why the claim is invalid.
pub(super) type Judged = Result<Finding, Note>;

/// What is said in words.
pub(super) type Note = Cow<'static, str>;

impl Finding {
    /// Nothing but a verdict.
    pub const fn of(verdict: Verdict) -> Self {
        let (strength, precision) = (MatchStrength::Unspecified, DatePrecision::Unspecified);
        Self { verdict, strength, precision, note: Cow::Borrowed("") }
    }

    /// The record holds nothing to compare with.
    pub const NOT_AVAILABLE: Self = Self::of(Verdict::NotAvailable);

    /// Something that is true of the record, or not.
    pub const fn yes(holds: bool) -> Self {
        Self::of(if holds { Verdict::Match } else { Verdict::NoMatch })
    }

    /// Numbers and codes, which are equal or not.
    pub fn code(equal: bool) -> Self {
        let strength = if equal { MatchStrength::Exact } else { MatchStrength::Unspecified };
        Self { strength, ..Self::yes(equal) }
    }

    /// Texts that agree so strongly, where at least `least` is a match.
    pub fn text(strength: MatchStrength, least: MatchStrength) -> Self {
        let enough = strength != MatchStrength::Unspecified && strength <= least;
        Self { strength, ..Self::yes(enough) }
    }

    /// A malformed claim, and what was expected.
    pub fn invalid(note: Note) -> Self {
        Self { note, ..Self::of(Verdict::InvalidInput) }
    }

    /// The same with a remark.
    pub fn noted(self, note: &'static str) -> Self {
        Self { note: note.into(), ..self }
    }

    /// The finding as the API says it.
    pub fn verdict_on(self, attribute: i32) -> AttributeVerdict {
        AttributeVerdict {
            attribute,
            verdict: self.verdict.into(),
            strength: self.strength.into(),
            precision: self.precision.into(),
            note: self.note.into_owned(),
        }
    }
}

/// The best of several findings, of which one is enough. Nothing to compare with when there are none.
pub(super) fn any(findings: impl Iterator<Item = Finding>) -> Finding {
    let rank = |found: &Finding| match found.verdict {
        Verdict::Match => 0,
        Verdict::NotAvailable => 1,
        _ => 2,
    };
    // No strength is the least of them, and the proto numbers it 0.
    let weakness = |found: &Finding| (found.strength as u8).wrapping_sub(1);
    findings.min_by_key(|found| (rank(found), weakness(found))).unwrap_or(Finding::NOT_AVAILABLE)
}

/// The strength that is enough for a match.
pub(super) fn required(claim: &Claim, weakest: Weakest<'_>) -> Result<MatchStrength, Note> {
    let asked = match MatchStrength::try_from(claim.required_strength) {
        Ok(MatchStrength::Unspecified) => MatchStrength::Canonical,
        Ok(asked) => asked,
        Err(_) => return Err("required_strength is no known one".into()),
    };
    if asked <= weakest(claim.attribute()).max(MatchStrength::Canonical) {
        return Ok(asked);
    }
    Err("required_strength may be EXACT or CANONICAL: a weaker likeness is told, and is no match unless a policy says so"
        .into())
}

/// A claimed text, normalised. Its bound counts the characters that are compared.
pub(super) fn text(value: Option<&Value>) -> Result<Cow<'_, str>, Note> {
    let Some(Value::Text(claimed)) = value else { return Err("takes a text".into()) };
    let claimed = text::nfc_trimmed(claimed);
    if text::longer_than(&claimed, CLAIM_CHARS) { Err("at most 302 characters".into()) } else { Ok(claimed) }
}
