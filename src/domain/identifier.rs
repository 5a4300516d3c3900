//! The numbers that name a person: the 12-digit personal id and the 9-digit CMND.
//!
//! ```text
//! 0 7 9 | 2      | 0 5    | 1 2 3 4 5 6
//! place | century| birth  | any digits
//!       | gender | year   |
//! ```
//!
//! Digits 1 to 3 are the code of the place of birth registration: one of the 63 provinces before the merger of 2025
//! (001 to 096) or a country. The list of country codes is open, so anything but 000 passes. Digit 4 holds century
//! and gender: 0 and 1 are men and women born 1900 to 1999, 2 and 3 those born 2000 to 2099, and so on to 2399.
//! Digits 5 and 6 are the last two of the birth year. There is no check digit (decree 137/2015 article 13, circular
//! 59/2021 article 4). Sources differ on whether the last six may be all zero; they may here.

use std::fmt;

use crate::proto::registry::{Gender, PartialDate};

/// Digits of a personal id.
pub const PERSONAL_ID_DIGITS: usize = 12;
/// Digits of a CMND number.
pub const OLD_ID_DIGITS: usize = 9;

/// A personal id whose form is right. It prints as "PersonalId(redacted)", because it tells birth year, gender and
/// place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PersonalId([u8; PERSONAL_ID_DIGITS]);

impl PersonalId {
    /// Parses 12 digits whose place code is not 000. The error says what was expected.
    pub fn parse(number: &str) -> Result<Self, &'static str> {
        match number.as_bytes().try_into() {
            Ok(digits) if is_personal_id(number) && !number.starts_with("000") => Ok(Self(digits)),
            _ => Err("a personal id has 12 digits, of which the first three are a place code other than 000"),
        }
    }

    /// The code of the place of birth registration, 1 to 999.
    pub fn place(&self) -> u32 {
        self.number(0, 3)
    }

    /// The birth year, 1900 to 2399.
    pub fn birth_year(&self) -> u32 {
        1900 + 100 * (self.number(3, 4) / 2) + self.number(4, 6)
    }

    /// Male or female.
    pub fn gender(&self) -> Gender {
        if self.number(3, 4).is_multiple_of(2) { Gender::Male } else { Gender::Female }
    }

    fn number(&self, from: usize, to: usize) -> u32 {
        self.0[from..to].iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0'))
    }
}

impl fmt::Debug for PersonalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonalId(redacted)")
    }
}

/// Whether this is 12 ASCII digits. Nothing more is asked of a cancelled id: it may have been cancelled because its
/// structure was wrong.
pub fn is_personal_id(number: &str) -> bool {
    is_digits(number, PERSONAL_ID_DIGITS)
}

/// Whether this is 9 ASCII digits.
pub fn is_old_id(number: &str) -> bool {
    is_digits(number, OLD_ID_DIGITS)
}

/// The first six digits of a personal id: those that say place, century and gender, and year. The error says what was
/// expected. `GENDER_UNKNOWN` has no digit 4.
pub fn start(place_code: &str, gender: Gender, birth_year: u32) -> Result<String, &'static str> {
    if !is_place_code(place_code) {
        return Err("a place code has three digits and is not 000");
    }
    let woman = match gender {
        Gender::Male => 0,
        Gender::Female => 1,
        Gender::Unspecified | Gender::Unknown => return Err("digit 4 says MALE or FEMALE"),
    };
    if !(1900..2400).contains(&birth_year) {
        return Err("a personal id says a birth year from 1900 to 2399");
    }
    let century = (birth_year - 1900) / 100 * 2 + woman;
    Ok(format!("{place_code}{century}{:02}", birth_year % 100))
}

/// Whether this is a code of a place of birth registration: three digits, "001" to "999".
pub fn is_place_code(code: &str) -> bool {
    is_digits(code, 3) && code != "000"
}

/// Checks a personal id against the record it stands in. For `GENDER_UNKNOWN` the century alone is checked, because
/// digit 4 has no value for it. The error says what was expected and holds none of the number.
pub fn check_structure(number: &str, birth: &PartialDate, gender: Gender) -> Result<(), &'static str> {
    let id = PersonalId::parse(number)?;
    // Digit 4 first, then digits 5 and 6, so that the caller hears which of them is wrong.
    if id.birth_year() / 100 != birth.year / 100 {
        return Err("digit 4 must agree with the century of birth");
    }
    let stated = matches!(gender, Gender::Male | Gender::Female);
    if stated && id.gender() != gender {
        return Err("digit 4 must agree with the gender");
    }
    if id.birth_year() != birth.year {
        return Err("digits 5 and 6 must be the last two of the birth year");
    }
    Ok(())
}

fn is_digits(number: &str, count: usize) -> bool {
    number.len() == count && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::date::tests::date;

    #[test]
    fn structure() {
        use Gender::{Female, Male, Unknown};
        #[rustfmt::skip]
        let cases = [
            ("001090123456", 1990, Male, true), ("001190123456", 1990, Female, true),
            ("079205000000", 2005, Male, true), ("079305999999", 2005, Female, true),
            ("096400000001", 2100, Male, true), ("096799000001", 2299, Female, true),
            ("096899000001", 2399, Male, true), ("096900000001", 2300, Female, true),
            // No gender in digit 4 to compare with: the century alone.
            ("001090123456", 1990, Unknown, true), ("001190123456", 1990, Unknown, true),
            ("001290123456", 1990, Unknown, false),
            // A country code, and a code that none of the 63 provinces has.
            ("999090123456", 1990, Male, true), ("003090123456", 1990, Male, true),
            ("000090123456", 1990, Male, false),
            ("001190123456", 1990, Male, false), ("001090123456", 1990, Female, false),
            ("001091123456", 1990, Male, false), ("001290123456", 1990, Male, false),
            // No id has a century before 1900.
            ("001090123456", 1890, Male, false),
            ("00109012345", 1990, Male, false), ("0010901234567", 1990, Male, false), ("", 1990, Male, false),
            ("00109012345x", 1990, Male, false), (" 01090123456", 1990, Male, false),
            // Arabic-Indic digits are digits to Unicode, not here.
            ("٠٠١٠٩٠", 1990, Male, false),
        ];
        for (number, year, gender, valid) in cases {
            assert_eq!(check_structure(number, &date(year, 0, 0), gender).is_ok(), valid, "{number}");
        }
    }

    #[test]
    fn parts_of_an_id() {
        let id = PersonalId::parse("079305123456").expect("well formed");
        assert_eq!((id.place(), id.birth_year(), id.gender()), (79, 2005, Gender::Female));
        assert_eq!(format!("{id:?}"), "PersonalId(redacted)");
    }

    #[test]
    fn old_ids_have_nine_digits() {
        for (number, valid) in
            [("271450001", true), ("27145000", false), ("2714500011", false), ("27145000a", false)]
        {
            assert_eq!(is_old_id(number), valid, "{number}");
        }
    }
}
