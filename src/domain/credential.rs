//! Whether a credential is in force at a date.
//!
//! A record holds what is true of a credential now: since when it is valid, until when, and its status with the day
//! that it took effect. What the dates settle is answered; what they leave open is UNDETERMINED, never a guess:
//!
//! ```text
//!              issued_on            status_since            expires_on
//! on  NOT_YET_VALID | UNDETERMINED: an earlier status | as the status says | EXPIRED
//! ```
//!
//! A date of lower precision than a day leaves open whatever falls within it. The history, read as of then, knows the
//! earlier status.

use std::cmp::Ordering;

use super::date;
use crate::proto::registry::{Credential, CredentialStatus, CredentialVerdict, DatePrecision, PartialDate};

/// Where a day lies from a date that may be imprecise.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Before,
    On,
    After,
    /// Within a date of lower precision.
    Within,
}

fn place(on: &PartialDate, of: &PartialDate) -> Place {
    match date::compare(on, of) {
        (Ordering::Less, _) => Place::Before,
        (Ordering::Greater, _) => Place::After,
        (Ordering::Equal, DatePrecision::Day) => Place::On,
        (Ordering::Equal, _) => Place::Within,
    }
}

/// What is known of a credential on a day, which has month and day. What is certain goes before what is open: a
/// credential that has expired has done so whatever its status was.
pub fn verdict(credential: &Credential, on: &PartialDate) -> CredentialVerdict {
    use CredentialVerdict::{Expired, InForce, NotYetValid, Revoked, Suspended, Undetermined};
    let place = |of: &Option<PartialDate>| of.as_ref().map(|of| place(on, of));
    let (issued, expires) = (place(&credential.issued_on), place(&credential.expires_on));
    let since = place(&credential.status_since);
    let has_status = matches!(since, None | Some(Place::On | Place::After));
    if issued == Some(Place::Before) {
        return NotYetValid;
    }
    if credential.status() == CredentialStatus::Revoked && has_status {
        return Revoked;
    }
    if expires == Some(Place::After) {
        return Expired;
    }
    let open = [issued, expires].contains(&Some(Place::Within));
    match credential.status() {
        CredentialStatus::Suspended if has_status => Suspended,
        CredentialStatus::Valid | CredentialStatus::Unspecified if has_status && !open => InForce,
        _ => Undetermined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::date::tests::date;

    #[test]
    fn in_force_at_a_date() {
        use CredentialStatus::{Revoked, Suspended, Valid};
        use CredentialVerdict as V;
        let day = |month, day| Some(date(2024, month, day));
        let year = |year| Some(date(year, 0, 0));
        let (from, to) = (Some(date(2020, 3, 1)), Some(date(2030, 2, 28)));
        #[rustfmt::skip]
        let cases = [
            // status, since, issued, expires, on, verdict
            (Valid, None, from, to, date(2020, 2, 29), V::NotYetValid),
            (Valid, None, from, to, date(2020, 3, 1), V::InForce),
            (Valid, None, from, to, date(2030, 2, 28), V::InForce),
            (Valid, None, from, to, date(2030, 3, 1), V::Expired),
            (Valid, None, None, None, date(1999, 1, 1), V::InForce),
            (Valid, None, year(2020), to, date(2020, 6, 1), V::Undetermined),
            (Valid, None, year(2020), to, date(2021, 1, 1), V::InForce),
            (Valid, None, from, year(2030), date(2030, 6, 1), V::Undetermined),
            (Valid, None, from, year(2030), date(2031, 1, 1), V::Expired),
            // Valid again: what it was before is not in the record.
            (Valid, day(5, 1), from, to, date(2024, 4, 30), V::Undetermined),
            (Valid, day(5, 1), from, to, date(2024, 5, 1), V::InForce),
            (Suspended, day(5, 1), from, to, date(2024, 4, 30), V::Undetermined),
            (Suspended, day(5, 1), from, to, date(2024, 5, 1), V::Suspended),
            (Suspended, year(2024), from, to, date(2024, 6, 1), V::Undetermined),
            (Suspended, None, from, to, date(2024, 6, 1), V::Suspended),
            (Suspended, day(5, 1), from, to, date(2031, 1, 1), V::Expired),
            (Suspended, day(5, 1), from, to, date(2019, 1, 1), V::NotYetValid),
            (Revoked, day(5, 1), from, to, date(2024, 4, 30), V::Undetermined),
            (Revoked, day(5, 1), from, to, date(2024, 5, 1), V::Revoked),
            (Revoked, day(5, 1), from, to, date(2031, 1, 1), V::Revoked),
            (Revoked, None, from, to, date(2024, 1, 1), V::Revoked),
        ];
        for (i, (status, status_since, issued_on, expires_on, on, expected)) in cases.into_iter().enumerate()
        {
            let credential = Credential {
                status: status.into(),
                status_since,
                issued_on,
                expires_on,
                ..Credential::default()
            };
            assert_eq!(verdict(&credential, &on), expected, "case {i} (from 0)");
        }
    }
}
