//! A partial date as text: `1990-05-17`, `1990-05` or `1990`.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::proto::registry as proto;

/// A date that may lack its day, or its month and day (0 when it does).
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Date {
    /// Year.
    pub year: u32,
    /// Month, 0 when unknown.
    pub month: u32,
    /// Day, 0 when unknown.
    pub day: u32,
}

impl Date {
    /// What text that is no date is answered with.
    pub const EXPECTED: &str = "expected a date as YYYY-MM-DD, YYYY-MM or YYYY";
}

impl From<Date> for proto::PartialDate {
    fn from(d: Date) -> Self {
        Self { year: d.year, month: d.month, day: d.day }
    }
}

impl From<proto::PartialDate> for Date {
    fn from(d: proto::PartialDate) -> Self {
        Self { year: d.year, month: d.month, day: d.day }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        if self.month != 0 {
            write!(f, "-{:02}", self.month)?;
        }
        if self.day != 0 {
            write!(f, "-{:02}", self.day)?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A part that is there is not zero: zero stands for a part that is unknown.
        let number = |part: Option<&str>, digits: usize| match part {
            None => Some(0),
            Some(p) if p.len() == digits && p.bytes().all(|b| b.is_ascii_digit()) => {
                p.parse().ok().filter(|n| *n != 0)
            }
            Some(_) => None,
        };
        let mut parts = text.splitn(3, '-');
        let date = (|| {
            let (year, month, day) = (parts.next(), parts.next(), parts.next());
            Some(Self { year: number(year, 4)?, month: number(month, 2)?, day: number(day, 2)? })
        })();
        date.ok_or_else(|| Self::EXPECTED.to_owned())
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DateVisitor;
        impl Visitor<'_> for DateVisitor {
            type Value = Date;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date as \"YYYY-MM-DD\", \"YYYY-MM\" or \"YYYY\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Date, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(DateVisitor)
    }
}
