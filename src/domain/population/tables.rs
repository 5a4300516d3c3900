//! The data files, parsed once, and the shares that the slots are divided by.

use std::ops::Range;
use std::sync::LazyLock;

use super::{BIRTH_YEARS, PEOPLE};
use crate::domain::data::{self, rows};
use crate::proto::registry::Gender;

/// No group has more people than this; a test holds it.
pub(super) const LONGEST_GROUP: u64 = 500_000;

/// All that the data files say.
pub(super) static TABLES: LazyLock<Tables> = LazyLock::new(Tables::parse);

/// Weight of a birth year from the first of a span on.
const PYRAMID: &[(u32, u64)] = &[
    (1930, 1),
    (1935, 3),
    (1940, 6),
    (1945, 12),
    (1950, 30),
    (1955, 50),
    (1960, 82),
    (1965, 100),
    (1970, 114),
    (1975, 130),
    (1980, 150),
    (1985, 165),
    (1995, 140),
    (2000, 135),
    (2005, 140),
    (2010, 155),
    (2015, 160),
    (2020, 140),
];

/// Communes are shared among the one, two or three provinces that were merged; this divides by each.
const SHARES: u64 = 6;
const YEARS: usize = (*BIRTH_YEARS.end() - *BIRTH_YEARS.start() + 1) as usize;
const GENDERS: [Gender; 2] = [Gender::Male, Gender::Female];

/// A province before the merger.
pub(super) struct Province {
    /// Three digits.
    pub(super) code: &'static str,
    /// Its first and its last CMND number.
    pub(super) cmnd: (u64, u64),
    /// The communes of the province it is part of now, as positions in [`Tables::communes`].
    pub(super) communes: Range<usize>,
}

/// People of one province, birth year and gender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Position of the province.
    pub(super) province: usize,
    /// Birth year.
    pub(super) year: u32,
    /// Male or female.
    pub(super) gender: Gender,
}

impl Group {
    /// A number of its own, from 0, in the order of the slots.
    pub(super) fn number(&self) -> u64 {
        let year = (self.year - BIRTH_YEARS.start()) as usize;
        ((self.province * YEARS + year) * GENDERS.len() + usize::from(self.gender == Gender::Female)) as u64
    }

    fn from_number(number: usize) -> Self {
        let (years, gender) = (number / GENDERS.len(), GENDERS[number % GENDERS.len()]);
        let year = u32::try_from(years % YEARS).expect("below the number of years") + BIRTH_YEARS.start();
        Self { province: years / YEARS, year, gender }
    }
}

/// See [`TABLES`].
pub(super) struct Tables {
    /// The 63, by code.
    pub(super) provinces: Vec<Province>,
    /// Codes of the 3,321 communes after the merger, by province.
    pub(super) communes: Vec<&'static str>,
    /// Family names, each with the sum of the weights up to and with it.
    pub(super) families: Vec<(u64, &'static str)>,
    /// Middle and given names of men, then of women.
    pub(super) given: [Vec<&'static str>; 2],
    /// First slot of each group, in the order of their numbers.
    starts: Vec<u64>,
}

impl Tables {
    fn parse() -> Self {
        let communes = rows(data::COMMUNES34);
        let provinces = parse_provinces(&communes);
        let mut sum = 0;
        let families = rows(data::FAMILY_NAMES).into_iter().map(|[name, weight]| {
            sum += number(weight);
            (sum, name)
        });
        let families = families.collect();
        let names = rows(data::GIVEN_NAMES);
        let of = |gender| names.iter().filter(|[g, _]| *g == gender).map(|[_, name]| *name).collect();
        Self {
            starts: starts(&provinces),
            provinces,
            communes: communes.iter().map(|[_, commune, _]| *commune).collect(),
            families,
            given: [of("male"), of("female")],
        }
    }

    /// The group of a slot, the first slot of that group and the first of its province.
    pub(super) fn group_of(&self, slot: u64) -> (Group, u64, u64) {
        let number = self.starts.partition_point(|&start| start <= slot) - 1;
        let province = number - number % (YEARS * GENDERS.len());
        (Group::from_number(number), self.starts[number], self.starts[province])
    }
}

fn parse_provinces(communes: &[[&'static str; 3]]) -> Vec<Province> {
    let merger = rows(data::MERGER);
    let cmnd = rows(data::CMND_RANGES);
    merger
        .iter()
        .zip(cmnd)
        .map(|([code, _, now, _], [cmnd_code, first, last])| {
            assert_eq!(*code, cmnd_code, "both files list the 63 provinces by code");
            let start = communes.partition_point(|[province, ..]| province < now);
            let end = communes.partition_point(|[province, ..]| province <= now);
            Province { code, cmnd: (number(first), number(last)), communes: start..end }
        })
        .collect()
}

/// Divides the slots among the groups in proportion to their weights.
fn starts(provinces: &[Province]) -> Vec<u64> {
    let mut weights = Vec::with_capacity(provinces.len() * YEARS * GENDERS.len());
    for province in provinces {
        let merged = provinces.iter().filter(|other| other.communes == province.communes).count() as u64;
        let communes = province.communes.len() as u64 * SHARES / merged;
        for year in BIRTH_YEARS {
            let span = PYRAMID.partition_point(|(first, _)| *first <= year) - 1;
            weights.extend([communes * PYRAMID[span].1; GENDERS.len()]);
        }
    }
    let total: u64 = weights.iter().sum();
    let mut before = 0;
    let start = |weight: &u64| {
        let start = PEOPLE * before / total;
        before += weight;
        start
    };
    weights.iter().map(start).collect()
}

fn number(text: &str) -> u64 {
    text.parse().expect("numbers of the data files are written in digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_whole() {
        let t = &*TABLES;
        assert_eq!((t.provinces.len(), t.communes.len(), t.families.len()), (63, 3_321, 15));
        assert_eq!((t.given[0].len(), t.given[1].len()), (1_190, 1_264));
        assert!(t.provinces.is_sorted_by(|a, b| a.code < b.code));
        let covered: usize = t.provinces.iter().map(|p| p.communes.len()).sum();
        assert!(t.provinces.iter().all(|p| !p.communes.is_empty()) && covered > 3_321);
    }

    #[test]
    fn groups_are_numbered_in_order_and_none_is_too_long() {
        let t = &*TABLES;
        let ends = t.starts.iter().skip(1).chain([&PEOPLE]);
        for (number, (start, end)) in t.starts.iter().zip(ends).enumerate() {
            assert_eq!(Group::from_number(number).number(), number as u64);
            assert!(end >= start && end - start <= LONGEST_GROUP);
        }
    }

    #[test]
    fn cmnd_ranges_are_disjoint_and_long_enough() {
        let t = &*TABLES;
        let mut ranges: Vec<_> = t.provinces.iter().map(|p| p.cmnd).collect();
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0));
        assert!(ranges.iter().all(|range| range.1 < *super::super::SHARED.start() || range.0 > *super::super::SHARED.end()));
        let per_province = YEARS * GENDERS.len();
        for (i, province) in t.provinces.iter().enumerate() {
            let end = t.starts.get((i + 1) * per_province).copied().unwrap_or(PEOPLE);
            let people = end - t.starts[i * per_province];
            assert!(people * 2 / 7 < province.cmnd.1 - province.cmnd.0, "{}", province.code);
        }
    }
}
