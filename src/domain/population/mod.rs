//! A synthetic population from a seed: for tests, demonstrations and load. Nobody in it exists.
//!
//! [`Population::person`] gives the person at an index, in any order and without the others, and the same on every
//! machine: integers alone choose, from a small generator written here.
//!
//! # How identifiers stay unique
//!
//! ```text
//! index --permutation of 2^27, by the seed--> slot
//!
//! slots   | province 001                                        | province 002 ...
//!         | 1930 m | 1930 f | 1931 m | ...  one group each      |
//!                     ^ offset inside its group -> the last six digits
//! ```
//!
//! The slots are shared out among groups of province, birth year and gender, each as long as its weight: provinces
//! by their number of communes, years by a pyramid from 1930 to 2025. A person's slot thus gives place, year and
//! gender, and the offset inside the group, multiplied by a number that shares no factor with a million, gives the
//! last six digits. No group is longer than half a million; the digits of the upper half are those of cancelled ids,
//! in the group of the next province. So every id is unique among all 2^27 people (134,217,728), active ones and
//! cancelled ones together. CMND numbers come from the offset inside the province in the same way.
//!
//! # What it holds
//!
//! Names: a family name by its frequency, middle and given name by gender, in NFC as the register demands. 2 % have
//! a birth year only; 20 % have a CMND number (two of seven among those born up to 2006); 0.3 % have a cancelled id
//! and its successor; 3 % are deceased, and one in a thousand of the others is declared missing. Of each 200 people below index 10,000,000 a pair shares a CMND number from
//! 271450001 to 271500000, the range that was issued twice, provided that both are of an age to have one.
//! [`Population::claim_name`] gives the name as a caller would type it: 3 % put the tone mark on the other vowel
//! (hòa, hoà), 1 % use combining marks (NFD).
//!
//! | file | part |
//! |---|---|
//! | `household.rs` | who lives with whom, and as what to the head |
//! | `fate.rs` | who died, who is missing, and who left |
//! | `life.rs` | ethnicity, religion, blood type, marital status, contacts |
//! | `kin.rs` | parents and spouse as papers state them |
//! | `papers.rs` | cards, licences and the like, the electronic identity account, provenance |
//!
//! All of it is as of the end of 2025. Ages count by the year.
//!
//! Sources and licences of the data: `src/domain/data/SOURCES.md`. The pyramid is a rough shape, not a statistic.

pub mod events;
mod fate;
mod household;
mod kin;
mod life;
mod names;
mod numbers;
mod papers;
mod tables;
#[cfg(test)]
mod tests;

use unicode_normalization::UnicodeNormalization;

use super::{date, matching};
use crate::proto::registry::{Address, Gender, PartialDate, Person, PersonName, UnitEdition};
use numbers::{SplitMix64, mix, spread};
use tables::{Group, TABLES};

/// How many people there are. A greater index counts from the start again.
pub const PEOPLE: u64 = 1 << 27;

/// The birth years.
pub const BIRTH_YEARS: std::ops::RangeInclusive<u32> = 1930..=2025;

/// The last birth year of which anybody has a CMND number.
const LAST_CMND_YEAR: u32 = 2006;
/// The CMND numbers that were issued twice.
const SHARED: std::ops::RangeInclusive<u64> = 271_450_001..=271_500_000;
/// In each so many consecutive people there may be one pair that shares a number.
const PAIR_BLOCK: u64 = 200;

/// A population; see the module. Cheap to make and to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Population {
    seed: u64,
}

/// What the index alone decides.
#[derive(Clone, Copy)]
struct Place {
    index: u64,
    group: Group,
    /// Position inside the group.
    offset: u64,
    /// Position inside the province.
    in_province: u64,
}

impl Place {
    /// Age in years at the end of the last birth year.
    fn age(&self) -> u32 {
        BIRTH_YEARS.end() - self.group.year
    }

    /// The code of the province of birth: three digits.
    fn province(&self) -> &'static str {
        TABLES.provinces[self.group.province].code
    }
}

/// The parts of a record, each of which draws random numbers of its own: so one can be known without the others.
#[derive(Clone, Copy)]
enum Part {
    Birth,
    Name,
    Home,
    Death,
    Missing,
    Abroad,
    Claim,
    Form,
    Sizes,
    Household,
    Role,
    Residence,
    Life,
    Marriage,
    Contact,
    Kin,
    Papers,
    OtherPapers,
    Account,
    Provenance,
}

/// More than there are parts.
const PARTS: u64 = 32;

impl Population {
    /// The population of this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The person at an index from 0, as a `CreatePerson` takes it: valid, uid and record_revision 0.
    pub fn person(&self, index: u64) -> Person {
        let index = index % PEOPLE;
        let place = self.place(index);
        let birth = birth_date(&mut self.random(index, Part::Birth), place.group.year);
        let mut random = self.random(index, Part::Home);
        let origin = origin(place.group);
        let mut person = Person {
            birth_name: Some(self.name(&place)),
            personal_id: self.personal_id(place.group, place.offset),
            birth_date: Some(birth),
            gender: place.group.gender.into(),
            birth_place: Some(origin.clone()),
            birth_registration_place: Some(origin.clone()),
            place_of_origin: Some(origin),
            old_id_numbers: self.old_ids(index, &place),
            nationalities: self.nationalities(index),
            physical_status: Some(self.physical_status(index, &birth)),
            ..Person::default()
        };
        if random.below(1_000) < 3 {
            person.cancelled_personal_ids = vec![self.cancelled_id(&place)];
        }
        let household = self.household(index);
        let home = match &household {
            Some(household) => self.join_household(household, &place, &mut person),
            None => home(&mut random, place.group),
        };
        let current = if random.percent(10) { home_anywhere(&mut random) } else { home.clone() };
        person.permanent_residence = Some(home);
        person.current_residence = Some(self.abroad(index).unwrap_or(current));
        self.add_life(&place, &mut person);
        self.add_kin(&place, household.as_ref(), &mut person);
        self.add_papers(&place, &mut person);
        person
    }

    /// The full name of the person at an index, as somebody would type it into a form: like ATTRIBUTE_FULL_NAME takes
    /// it, but for some with the tone mark on the other vowel and for some in NFD.
    pub fn claim_name(&self, index: u64) -> String {
        let index = index % PEOPLE;
        let name = matching::full_name(&self.name(&self.place(index)));
        let mut random = self.random(index, Part::Claim);
        // 110 of the 2,454 middle and given names can be written in two ways: two thirds of them are 3 % of all.
        if let Some(other) = names::other_tone_style(&name)
            && random.percent(67)
        {
            return other;
        }
        if random.percent(1) { name.nfd().collect() } else { name }
    }

    /// Whether the office that wrote down the person at an index writes combining marks (NFD): 1 % do. The record that
    /// [`Population::person`] gives is in NFC all the same.
    pub fn is_decomposed(&self, index: u64) -> bool {
        self.random(index % PEOPLE, Part::Form).percent(1)
    }

    fn random(&self, index: u64, part: Part) -> SplitMix64 {
        SplitMix64::new(mix(self.seed) ^ mix(index * PARTS + part as u64))
    }

    fn name(&self, place: &Place) -> PersonName {
        names::choose(&mut self.random(place.index, Part::Name), place.group.gender)
    }

    fn place(&self, index: u64) -> Place {
        let slot = numbers::permute(self.seed, index);
        let (group, group_start, province_start) = TABLES.group_of(slot);
        Place { index, group, offset: slot - group_start, in_province: slot - province_start }
    }

    fn personal_id(&self, group: Group, offset: u64) -> String {
        let province = TABLES.provinces[group.province].code;
        let century = (group.year - 1900) / 100 * 2 + u32::from(group.gender == Gender::Female);
        let shift = mix(self.seed ^ group.number());
        let digits = spread(offset, shift, 1_000_000);
        format!("{province}{century}{:02}{digits:06}", group.year % 100)
    }

    /// The number that was given first, with the wrong province.
    fn cancelled_id(&self, place: &Place) -> String {
        let province = (place.group.province + 1) % TABLES.provinces.len();
        self.personal_id(Group { province, ..place.group }, tables::LONGEST_GROUP + place.offset)
    }

    fn old_ids(&self, index: u64, place: &Place) -> Vec<String> {
        let mut ids = Vec::new();
        if place.group.year > LAST_CMND_YEAR {
            return ids;
        }
        // A province's years come in order, so those of an age stand at its start and their offsets without gaps.
        let (sevens, rest) = (place.in_province / 7, place.in_province % 7);
        if rest < 2 {
            let (first, last) = TABLES.provinces[place.group.province].cmnd;
            let number = first + spread(sevens * 2 + rest, mix(self.seed), last - first + 1);
            ids.push(format!("{number:09}"));
        }
        ids.extend(self.shared_old_id(index).map(|number| format!("{number:09}")));
        ids
    }

    /// The number that the person shares with one neighbour.
    fn shared_old_id(&self, index: u64) -> Option<u64> {
        let (block, position) = (index / PAIR_BLOCK, index % PAIR_BLOCK);
        let partner = match position {
            100 => index + 1,
            101 => index - 1,
            _ => return None,
        };
        let count = SHARED.end() - SHARED.start() + 1;
        let of_age = self.place(partner).group.year <= LAST_CMND_YEAR;
        (block < count && of_age).then(|| SHARED.start() + spread(block, mix(self.seed), count))
    }
}

fn birth_date(random: &mut SplitMix64, year: u32) -> PartialDate {
    let year_only = random.percent(2);
    let day = day_in(random, year);
    if year_only { PartialDate { year, month: 0, day: 0 } } else { day }
}

/// Any day of a year.
fn day_in(random: &mut SplitMix64, year: u32) -> PartialDate {
    let month = random.one_to(12);
    PartialDate { year, month, day: random.one_to(date::days_in_month(year, month)) }
}

/// The province of birth, by the two-digit code of the list before the merger.
fn origin(group: Group) -> Address {
    Address {
        unit_code: TABLES.provinces[group.province].code[1..].to_owned(),
        unit_edition: UnitEdition::V63.into(),
        ..Default::default()
    }
}

/// Where somebody lives: four in five in a commune of the province of birth, as it is after the merger.
fn home(random: &mut SplitMix64, group: Group) -> Address {
    if random.percent(20) {
        return home_anywhere(random);
    }
    let communes = TABLES.provinces[group.province].communes.clone();
    let commune = communes.start + random.index(communes.len());
    in_commune(random, commune)
}

fn home_anywhere(random: &mut SplitMix64) -> Address {
    let commune = random.index(TABLES.communes.len());
    in_commune(random, commune)
}

fn in_commune(random: &mut SplitMix64, commune: usize) -> Address {
    let (house, group) = (random.one_to(400), random.one_to(30));
    Address {
        unit_code: TABLES.communes[commune].to_owned(),
        unit_edition: UnitEdition::V34.into(),
        detail: format!("Số {house}, tổ {group}"),
        country: String::new(),
    }
}
