//! Sets of fields of a record.

use crate::proto::registry::PersonField;

/// Some fields of `Person`, by their numbers in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields(u64);

impl Fields {
    /// The whole record.
    pub const ALL: Self = Self(u64::MAX);

    /// None of them.
    pub const NONE: Self = Self(0);

    /// Those that say whose record it is, which version, what numbers it has and what became of it.
    pub const IDENTITY: Self = Self::of_numbers(&[
        1, // uid
        2, // record_revision
        PersonField::PersonalId as u32,
        PersonField::CancelledPersonalIds as u32,
        33, // person_status
        34, // merged_into
    ]);

    const fn of_numbers(numbers: &[u32]) -> Self {
        let (mut set, mut i) = (0, 0);
        while i < numbers.len() {
            set |= 1 << numbers[i];
            i += 1;
        }
        Self(set)
    }

    /// These and one more.
    #[must_use]
    pub fn with(self, field: PersonField) -> Self {
        Self(self.0 | 1 << (field as u32))
    }

    /// These and those.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Those that are also among others.
    #[must_use]
    pub fn only(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Whether the field of this number is one of them. Numbers that no version of this program knew are only in
    /// [`Fields::ALL`].
    pub fn contain(self, number: u32) -> bool {
        self == Self::ALL || (number < u64::BITS && self.0 >> number & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_contains_what_was_put_in_and_nothing_else() {
        let set = Fields::IDENTITY.with(PersonField::Gender);
        let contained: Vec<u32> = (0..100).filter(|&number| set.contain(number)).collect();
        assert_eq!(contained, [1, 2, 5, 6, 8, 33, 34]);
        assert!((0..100).all(|number| Fields::ALL.contain(number)));
    }
}
