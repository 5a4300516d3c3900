//! Birth dates, and predicates on age.

use std::cmp::Ordering;

use super::finding::{Finding, Judged};
use crate::domain::date;
use crate::proto::registry::claim::Value;
use crate::proto::registry::{AgeClaim, DatePrecision, PartialDate, Verdict};

/// Years that an age may be claimed to have.
const AGES: std::ops::RangeInclusive<u32> = 1..=150;

/// The birth date, at the lower precision of the two, which is told.
pub(super) fn birth_date(held: Option<&PartialDate>, value: Option<&Value>) -> Judged {
    let Some(Value::Date(claimed)) = value else { return Err("takes a date".into()) };
    date::check(claimed)?;
    Ok(held.map_or(Finding::NOT_AVAILABLE, |held| {
        let (order, precision) = date::compare(held, claimed);
        Finding { precision, ..Finding::yes(order == Ordering::Equal) }
    }))
}

/// Whether the person is so old on a day: yes when the latest birthday that the birth date allows has come, no when
/// the earliest has not, and open between them.
pub(super) fn age(held: Option<&PartialDate>, value: Option<&Value>) -> Judged {
    let Some(Value::Age(AgeClaim { at_least, on })) = value else { return Err("takes an age".into()) };
    if !AGES.contains(at_least) {
        return Err("at_least must be from 1 to 150 years".into());
    }
    let on = on.as_ref().ok_or("on is required: the day of the age, with month and day")?;
    date::check(on)?;
    if date::precision(on) != DatePrecision::Day {
        return Err("on needs its month and day".into());
    }
    let Some(held) = held else { return Ok(Finding::NOT_AVAILABLE) };
    let [earliest, latest] = date::bounds(held).map(|birth| reached(&birth, *at_least, on));
    let verdict = match (earliest, latest) {
        (_, true) => Verdict::Match,
        (false, _) => Verdict::NoMatch,
        (true, false) => Verdict::NotAvailable,
    };
    let note = if verdict == Verdict::NotAvailable { "the record's birth date leaves it open" } else { "" };
    Ok(Finding { precision: date::precision(held), ..Finding::of(verdict) }.noted(note))
}

/// Whether a birthday has come on a day. That of 29 February comes on 1 March of a common year.
fn reached(birth: &PartialDate, years: u32, on: &PartialDate) -> bool {
    let (year, month, day) = (birth.year + years, birth.month, birth.day);
    let (month, day) = if day > date::days_in_month(year, month) { (month + 1, 1) } else { (month, day) };
    (year, month, day) <= (on.year, on.month, on.day)
}
