//! The administrative units in both editions, and what lies in what.
//!
//! ```text
//! edition  until / from            province        district        commune
//! V63      until 30 June 2025      63, 2 digits    696, 3 digits   10,035, 5 digits
//! V34      from 1 July 2025        34, 2 digits    none            3,321, 5 digits
//! ```
//!
//! Every province of V63 went as a whole into one of V34. Of its communes 442 were split over two to five, and five
//! districts (all islands) had no communes and became one each.
//!
//! # Parts
//!
//! Both editions divide the same ground. A *part* is the ground that one commune of V63 and one of V34 share: 10,571 in
//! all. Whatever its level and its edition, a unit is a set of parts, and every question becomes one about sets:
//!
//! ```text
//! convert(unit, to)        the units of `to` that the parts of `unit` lie in
//! covers(claimed, held)    Covers        all parts of `held` are parts of `claimed`
//!                          Apart         none is
//!                          Undetermined  some are: `held` is larger than `claimed`, or a commune that was split
//! ```
//!
//! The parts are numbered twice, in the order of each edition's hierarchy, so that a unit is a range of its own edition's
//! numbers and a sorted list of the other's. Comparing two units compares the ends of ranges: it allocates nothing.
//!
//! # Codes
//!
//! A code means nothing without its edition. 15, 24, 44, 52, 80, 82 and 91 name one province in V63 and another in V34,
//! and nearly all 3,321 codes of communes in V34 were those of other ground in V63.
//!
//! In V63 three digits are a district, or, as in a personal id, a province with a zero before it; 42 of the 63 provinces
//! so written read as a district too (024 is the city Hà Giang, and the province Bắc Giang). The rule: **what the list
//! of units says comes first.** [`find`] gives the district where there is one, and the province otherwise. A record may
//! have meant the other, so [`covers`] and [`in_edition`] decide on such a code only what holds for both readings. Who
//! knows that a code is a province's writes two digits.
//!
//! A code that its edition does not know (a unit that was abolished earlier) covers itself and is undetermined against
//! all others: the digits of a commune do not say which district or province it was in.
//!
//! # How sure the table is
//!
//! Names, codes and hierarchy are those of the official lists and complete in number. Which commune became which comes
//! from a public project that read it off the state map publisher's site of the merger (SOURCES.md in src/domain/data);
//! it was not checked against the text of the resolutions. It holds together, which the tests show: the provinces agree
//! with the merger, every commune of both editions has a part, a commune of V34 shares ground with the commune of V63
//! whose code it took over, and none lies in two provinces of V63. 31 parts of the source were left out, because they came
//! from two communes of one name being taken for each other.
//!
//! A second public list, made independently, was compared by name. It says the same of 9,799 of 10,016 communes of V63,
//! and names fewer pieces of 201 others. Of 9,569 communes that this table sends to one commune of V34 it sends 12 to a
//! second one as well, and one elsewhere. So "covers" and "apart" rest on what was stated twice in all but a few cases,
//! and of those none is known to be wrong; "undetermined" may be more than it need be.
//!
//! # Deliberately absent
//!
//! * How large a part is, and which houses lie in it: a commune that was split stays undetermined.
//! * Units abolished before 30 June 2025, and changes since 1 July 2025.
//! * Borders of provinces and districts that moved before 2025: V63 is the list as it stood on its last day.

mod address;
mod table;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use address::{Coverage, covers, in_edition};
use table::TABLE;

use crate::proto::registry::UnitEdition;

/// A province, district or commune of one edition.
#[derive(PartialEq, Eq)]
pub struct Unit {
    /// 2 digits for a province, 3 for a district, 5 for a commune.
    pub code: &'static str,
    /// The edition.
    pub edition: UnitEdition,
    /// Its name with its kind; a province has its name alone.
    pub name: &'static str,
    /// The unit it is directly part of; empty for a province.
    pub parent_code: &'static str,
    /// The province it is part of, or itself.
    pub province_code: &'static str,
    /// The name of that province.
    pub province_name: &'static str,
    /// Its parts, numbered in the order of its own edition.
    own: Range<u16>,
    /// Its parts, numbered in the order of the other edition; ascending, never empty.
    other: Box<[u16]>,
}

impl std::fmt::Debug for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.edition.as_str_name(), self.code, self.name)
    }
}

impl Unit {
    fn is_province(&self) -> bool {
        self.parent_code.is_empty()
    }

    /// Whether a unit lies in this one, each of any edition.
    fn coverage_of(&self, held: &Unit) -> Coverage {
        let ground = &self.own;
        let (all, any) = if self.edition == held.edition {
            let all = ground.start <= held.own.start && held.own.end <= ground.end;
            (all, ground.start < held.own.end && held.own.start < ground.end)
        } else {
            let (before, from) = held.other.split_at(held.other.partition_point(|part| *part < ground.start));
            let within = from.partition_point(|part| *part < ground.end);
            (before.is_empty() && within == from.len(), within > 0)
        };
        match (all, any) {
            (true, _) => Coverage::Covers,
            (_, true) => Coverage::Undetermined,
            _ => Coverage::Apart,
        }
    }
}

/// The unit with this code, if the edition has it. In V63 a province may have a zero before its two digits, as in a
/// personal id, where no district has those three digits.
pub fn find(edition: UnitEdition, code: &str) -> Option<&'static Unit> {
    listed(edition, code).or_else(|| padded(edition, code))
}

/// Every unit of both editions: V63 before V34, provinces before districts before communes, by code.
pub fn all() -> &'static [Unit] {
    &TABLE.units
}

/// The units of an edition that share ground with this one, by code: provinces for a province, otherwise the smallest
/// there are. For its own edition the unit itself.
pub fn convert(unit: &'static Unit, to: UnitEdition) -> Vec<&'static Unit> {
    if to == unit.edition {
        return vec![unit];
    }
    let mut units: Vec<_> = TABLE.smallest(to, &unit.other).collect();
    if unit.is_province() {
        units.dedup_by_key(|unit| unit.province_code);
        units = units.iter().filter_map(|unit| listed(to, unit.province_code)).collect();
    }
    units.sort_unstable_by_key(|unit| unit.code);
    units.dedup();
    units
}

/// The unit that the list of the edition has under this code.
fn listed(edition: UnitEdition, code: &str) -> Option<&'static Unit> {
    let key = table::key(edition, code);
    let place = TABLE.units.binary_search_by(|unit| unit.key().cmp(&key));
    place.ok().map(|place| &TABLE.units[place])
}

/// The province of V63 whose code has a zero before it here.
fn padded(edition: UnitEdition, code: &str) -> Option<&'static Unit> {
    let code = code.strip_prefix('0').filter(|code| code.len() == 2 && edition == UnitEdition::V63)?;
    listed(edition, code)
}
