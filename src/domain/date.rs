//! Dates that may lack their day, or their month and day: a birth year alone is a legal birth date.
//!
//! Two such dates are compared at the lower of their precisions, and whoever is told the outcome is told the
//! precision too.

use std::cmp::Ordering;

use crate::proto::registry::{DatePrecision, PartialDate};

/// The years a record may name.
pub const YEARS: std::ops::RangeInclusive<u32> = 1800..=2399;

/// Checks that this is a date of the calendar, as far as it goes. The error says what was expected.
pub fn check(date: &PartialDate) -> Result<(), &'static str> {
    if !YEARS.contains(&date.year) {
        return Err("the year must be from 1800 to 2399");
    }
    match (date.month, date.day) {
        (0, 0) => Ok(()),
        (0, _) => Err("a day needs a month"),
        (1..=12, day) if day <= days_in_month(date.year, date.month) => Ok(()),
        (2, 29) => Err("29 February is a day of leap years only"),
        (1..=12, _) => Err("the month has no such day"),
        _ => Err("the month must be from 1 to 12, or 0 when unknown"),
    }
}

/// How precise a valid date is.
pub fn precision(date: &PartialDate) -> DatePrecision {
    match (date.month, date.day) {
        (0, _) => DatePrecision::Year,
        (_, 0) => DatePrecision::Month,
        _ => DatePrecision::Day,
    }
}

/// Compares two valid dates at the lower of their precisions, and says which that was.
pub fn compare(a: &PartialDate, b: &PartialDate) -> (Ordering, DatePrecision) {
    // The proto numbers the precisions from the finest: the greater number is the lower precision.
    let common = precision(a).max(precision(b));
    let cut = |date: &PartialDate| match common {
        DatePrecision::Year => (date.year, 0, 0),
        DatePrecision::Month => (date.year, date.month, 0),
        DatePrecision::Day | DatePrecision::Unspecified => (date.year, date.month, date.day),
    };
    (cut(a).cmp(&cut(b)), common)
}

/// Whether `a` lies before `b` for certain: false when the lower precision leaves it open.
pub fn surely_before(a: &PartialDate, b: &PartialDate) -> bool {
    compare(a, b).0 == Ordering::Less
}

/// The first and the last day that a valid date may be.
pub fn bounds(date: &PartialDate) -> [PartialDate; 2] {
    let PartialDate { year, month, day } = *date;
    let (first, last) = if month == 0 { (1, 12) } else { (month, month) };
    let end = days_in_month(year, last);
    let (from, to) = if day == 0 { (1, end) } else { (day, day) };
    [PartialDate { year, month: first, day: from }, PartialDate { year, month: last, day: to }]
}

/// The day of an instant, milliseconds since 1970, in UTC.
pub fn day_of(ms: u64) -> PartialDate {
    // Counted from 1 March of the year 0: a leap day is the last day of its year, and of its cycle of 400 years.
    let days = ms / 86_400_000 + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    let part =
        |number: u64| u32::try_from(number).expect("a u64 of milliseconds ends before the year 600,000,000");
    PartialDate { year: part(cycle * 400 + year), month: part(month), day: part(day) }
}

/// Days of a month from 1 to 12 in the Gregorian calendar.
pub fn days_in_month(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    //! A failed property prints the command that repeats it, with its seed.

    use proptest::prelude::*;

    use super::*;

    /// A date from its parts.
    pub(crate) fn date(year: u32, month: u32, day: u32) -> PartialDate {
        PartialDate { year, month, day }
    }

    /// Any valid date of 1900 to 2099, of any precision.
    pub(crate) fn any_date() -> impl Strategy<Value = PartialDate> {
        (1900u32..2100, 0u32..=12, 0u32..=31).prop_map(|(year, month, day)| {
            let day = if month == 0 { 0 } else { day.min(days_in_month(year, month)) };
            date(year, month, day)
        })
    }

    #[test]
    fn the_calendar() {
        #[rustfmt::skip]
        let cases = [
            (1800, 0, 0, true), (2399, 12, 31, true), (1999, 5, 0, true), (2000, 2, 29, true), (2024, 2, 29, true),
            (1799, 1, 1, false), (2400, 1, 1, false), (0, 0, 0, false), (1999, 0, 5, false), (1999, 13, 1, false),
            (1999, 4, 31, false), (1900, 2, 29, false), (2023, 2, 29, false), (1999, 12, 32, false),
            (1999, 1, u32::MAX, false), (1999, u32::MAX, 1, false), (u32::MAX, 1, 1, false),
        ];
        for (y, m, d, valid) in cases {
            assert_eq!(check(&date(y, m, d)).is_ok(), valid, "{y}-{m}-{d}");
        }
    }

    #[test]
    fn days_of_instants() {
        let day = 86_400_000;
        #[rustfmt::skip]
        let cases = [
            (0, date(1970, 1, 1)), (day - 1, date(1970, 1, 1)), (day, date(1970, 1, 2)),
            (951_782_400_000, date(2000, 2, 29)), (951_868_800_000, date(2000, 3, 1)),
            (1_709_164_800_000, date(2024, 2, 29)), (1_735_689_599_999, date(2024, 12, 31)),
            (1_735_689_600_000, date(2025, 1, 1)), (4_107_542_400_000, date(2100, 3, 1)),
        ];
        for (ms, expected) in cases {
            assert_eq!(day_of(ms), expected, "{ms}");
        }
        assert!(day_of(u64::MAX).year > 500_000_000);
        assert_eq!(check(&date(2023, 2, 29)), Err("29 February is a day of leap years only"));
        assert_eq!(check(&date(2023, 2, 30)), Err("the month has no such day"));
    }

    #[test]
    fn comparison_at_the_lower_precision() {
        use DatePrecision::{Day, Month, Year};
        #[rustfmt::skip]
        let cases = [
            (date(1990, 5, 2), date(1990, 5, 2), Ordering::Equal, Day),
            (date(1990, 5, 2), date(1990, 5, 3), Ordering::Less, Day),
            (date(1990, 5, 2), date(1990, 5, 0), Ordering::Equal, Month),
            (date(1990, 6, 0), date(1990, 5, 31), Ordering::Greater, Month),
            (date(1990, 0, 0), date(1990, 5, 31), Ordering::Equal, Year),
            (date(1990, 0, 0), date(1991, 1, 0), Ordering::Less, Year),
        ];
        for (a, b, order, precision) in cases {
            assert_eq!(compare(&a, &b), (order, precision));
        }
    }

    #[test]
    fn days_that_a_date_may_be() {
        #[rustfmt::skip]
        let cases = [
            (date(1990, 0, 0), [date(1990, 1, 1), date(1990, 12, 31)]), (date(1990, 4, 0), [date(1990, 4, 1), date(1990, 4, 30)]),
            (date(2024, 2, 0), [date(2024, 2, 1), date(2024, 2, 29)]), (date(1990, 4, 7), [date(1990, 4, 7); 2]),
        ];
        for (given, expected) in cases {
            assert_eq!(bounds(&given), expected);
        }
    }

    #[test]
    fn what_precision_leaves_open_is_not_before() {
        assert!(surely_before(&date(1989, 0, 0), &date(1990, 1, 1)));
        assert!(!surely_before(&date(1990, 0, 0), &date(1990, 12, 31)));
        assert!(!surely_before(&date(1990, 5, 2), &date(1990, 5, 2)));
    }

    proptest! {
        #![proptest_config(crate::domain::fixtures::random_cases("domain::date"))]

        #[test]
        fn comparison_is_symmetric(a in any_date(), b in any_date()) {
            prop_assert!(check(&a).is_ok());
            let ((there, p), (back, q)) = (compare(&a, &b), compare(&b, &a));
            prop_assert_eq!(there, back.reverse());
            prop_assert_eq!(p, q);
            prop_assert_eq!(compare(&a, &a), (Ordering::Equal, precision(&a)));
        }
    }
}
