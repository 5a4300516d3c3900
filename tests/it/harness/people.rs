//! Persons to write: each number gives another one, valid by all rules.

use dancu::proto::registry::{Address, Gender, PartialDate, Person, PersonName, UnitEdition};

/// The names that the tests write. None of them may ever be in a log.
pub const NAMES: [&str; 3] = ["Nguyễn", "Quỳnh", "Thúy"];

/// The personal id of citizen `n`: a woman of Hà Nội, born in 1990 or in the years after.
pub fn personal_id(n: u32) -> String {
    assert!(n < 9_000_000, "the years 1990 to 1998 have no more numbers");
    format!("0011{:02}{:06}", 90 + n / 1_000_000, n % 1_000_000)
}

/// Citizen `n`.
pub fn citizen(n: u32) -> Person {
    let [family, middle, given] = NAMES.map(str::to_owned);
    Person {
        birth_name: Some(PersonName { family, middle, given }),
        personal_id: personal_id(n),
        birth_date: Some(PartialDate { year: 1990 + n / 1_000_000, month: 5, day: 17 }),
        gender: Gender::Female.into(),
        permanent_residence: Some(residence(&format!("house {n}"))),
        ..Person::default()
    }
}

/// A residence in Hà Nội.
pub fn residence(detail: &str) -> Address {
    Address {
        unit_code: "01".to_owned(),
        unit_edition: UnitEdition::V34.into(),
        detail: detail.to_owned(),
        country: String::new(),
    }
}
