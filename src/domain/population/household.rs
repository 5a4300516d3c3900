//! Who lives with whom.
//!
//! Each 21 consecutive people are six households of 1, 2, 3, 4, 5 and 6, in an order that is drawn for each 21: so an
//! index alone tells its household. The dead belong to none. The head is the first of the living who is of age, or
//! the first of the living when none is; the others are to the head what their age suggests. All live where the
//! household does, mostly in the province where its head was born.

use super::{PEOPLE, Part, Place, Population, day_in, home, home_anywhere};
use crate::proto::registry::{
    AbsenceDeclaration, Address, HouseholdRole, MaritalStatus, Person, TemporaryResidence,
};

/// So many consecutive people make one household of each size.
const BLOCK: u64 = 21;
const SIZES: [u64; 6] = [1, 2, 3, 4, 5, 6];
/// When one may be the head among others.
const OF_AGE: u32 = 18;
/// Years between two generations, at least, and the most before it is two of them.
const GENERATION: u32 = 16;
const TWO_GENERATIONS: u32 = 45;

/// A household of living people; at least one.
pub(super) struct Household {
    /// A number of its own, from 0.
    number: u64,
    head: Place,
    spouse: Option<Place>,
}

impl Household {
    /// The husband or wife whom a person lives with.
    pub(super) fn spouse_of(&self, place: &Place) -> Option<Place> {
        match self.spouse {
            Some(spouse) if place.index == self.head.index => Some(spouse),
            Some(spouse) if place.index == spouse.index => Some(self.head),
            _ => None,
        }
    }
}

impl Population {
    /// The household of a living person.
    pub(super) fn household(&self, index: u64) -> Option<Household> {
        if !self.is_alive(index) {
            return None;
        }
        let (number, first, size) = self.span(index);
        let living = (first..(first + size).min(PEOPLE)).filter(|&member| self.is_alive(member));
        let members: Vec<_> = living.map(|member| self.place(member)).collect();
        let head = *members.iter().find(|member| member.age() >= OF_AGE).or(members.first())?;
        Some(Household { number, head, spouse: self.spouse_among(&members, &head) })
    }

    /// Puts a person into the household, and says where that lives.
    pub(super) fn join_household(
        &self,
        household: &Household,
        place: &Place,
        person: &mut Person,
    ) -> Address {
        // The code of a province and a running number, as an office that never heard of the others would give it.
        let province = household.head.province();
        person.residence_file_no = format!("{province}{:09}", household.number);
        person.household_role = self.role(household, place).into();
        self.add_stay(place, person);
        home(&mut self.random(household.number, Part::Household), household.head.group)
    }

    /// The number, first index and size of the household at an index.
    fn span(&self, index: u64) -> (u64, u64, u64) {
        let block = index / BLOCK;
        let mut random = self.random(block, Part::Sizes);
        let mut sizes = SIZES;
        for last in (1..sizes.len()).rev() {
            sizes.swap(last, random.index(last + 1));
        }
        let (mut number, mut first) = (block * SIZES.len() as u64, block * BLOCK);
        for size in sizes {
            if index < first + size {
                return (number, first, size);
            }
            (number, first) = (number + 1, first + size);
        }
        unreachable!("the sizes add up to a block")
    }

    fn role(&self, household: &Household, member: &Place) -> HouseholdRole {
        if member.index == household.head.index {
            return HouseholdRole::Head;
        }
        if household.spouse_of(member).is_some() {
            return HouseholdRole::Spouse;
        }
        match self.random(member.index, Part::Role).below(100) {
            0..3 => HouseholdRole::OtherRelative,
            3..5 => HouseholdRole::Unrelated,
            _ => kinship(household.head.group.year, member.group.year),
        }
    }

    /// The first who is married, of the other gender and of about the same age, when the head is married.
    fn spouse_among(&self, members: &[Place], head: &Place) -> Option<Place> {
        let married = |member: &Place| self.marital_status(member) == MaritalStatus::Married;
        let fits = |member: &&Place| {
            member.group.gender != head.group.gender
                && member.group.year.abs_diff(head.group.year) < GENERATION
                && married(member)
        };
        members.iter().find(fits).copied().filter(|_| married(head))
    }

    /// 5 % stay elsewhere for a time, and 1 % have declared that they are away.
    fn add_stay(&self, place: &Place, person: &mut Person) {
        let mut random = self.random(place.index, Part::Residence);
        let share = random.below(100);
        let since = Some(day_in(&mut random, 2024));
        if share < 5 {
            let until = random.percent(50).then(|| day_in(&mut random, 2025));
            let address = Some(home_anywhere(&mut random));
            person.temporary_residences = vec![TemporaryResidence { address, since, until }];
        } else if share == 5 {
            person.absence = Some(AbsenceDeclaration { since, until: None });
        }
    }
}

/// What somebody born in one year is to a head born in another.
fn kinship(head: u32, member: u32) -> HouseholdRole {
    match (head.abs_diff(member), member < head) {
        (0..GENERATION, _) => HouseholdRole::Sibling,
        (GENERATION..TWO_GENERATIONS, true) => HouseholdRole::Parent,
        (GENERATION..TWO_GENERATIONS, false) => HouseholdRole::Child,
        (TWO_GENERATIONS.., true) => HouseholdRole::Grandparent,
        (TWO_GENERATIONS.., false) => HouseholdRole::Grandchild,
    }
}
