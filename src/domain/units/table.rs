//! Both editions, parsed once from the data files.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use super::Unit;
use crate::domain::data::{COMMUNES34, COMMUNES63, DISTRICTS63, MERGER, rows};
use crate::proto::registry::UnitEdition::{self, V34, V63};

/// All that the data files say.
pub(super) static TABLE: LazyLock<Table> = LazyLock::new(Table::parse);

/// See [`TABLE`].
pub(super) struct Table {
    /// The units of both editions, by their keys.
    pub(super) units: Vec<Unit>,
    /// For each part in the order of V63 its smallest unit of V63, as a position in `units`.
    smallest63: Vec<u16>,
    /// The same of V34.
    smallest34: Vec<u16>,
}

/// What units are sorted by.
pub(super) type Key<'a> = (UnitEdition, usize, &'a str);

/// The key of a unit: the length of a code is its level.
pub(super) fn key(edition: UnitEdition, code: &str) -> Key<'_> {
    (edition, code.len(), code)
}

impl Unit {
    pub(super) fn key(&self) -> Key<'static> {
        key(self.edition, self.code)
    }
}

/// The ground that a commune of each edition share. The commune of V63 is empty where the district has none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    /// Province, district, commune.
    v63: [&'static str; 3],
    /// Province, commune.
    v34: [&'static str; 2],
}

/// The parts in both orders.
struct Parts {
    by63: Vec<Part>,
    by34: Vec<Part>,
    /// For each of `by63` its position in `by34`, and the other way round.
    in34: Vec<u16>,
    in63: Vec<u16>,
}

impl Table {
    fn parse() -> Self {
        let parts = Parts::parse();
        let mut units = Vec::new();
        units.extend(units63(&parts));
        units.extend(units34(&parts));
        units.sort_unstable_by(|a, b| a.key().cmp(&b.key()));
        let place = |edition, code| {
            let found = units.binary_search_by(|unit| unit.key().cmp(&key(edition, code)));
            position(found.expect("a part is made of units of the lists"))
        };
        let smallest63 = parts.by63.iter().map(|part| {
            let [_, district, commune] = part.v63;
            place(V63, if commune.is_empty() { district } else { commune })
        });
        let smallest34 = parts.by34.iter().map(|part| place(V34, part.v34[1]));
        Self { smallest63: smallest63.collect(), smallest34: smallest34.collect(), units }
    }

    /// The smallest units of an edition that these parts lie in, by its own numbers.
    pub(super) fn smallest(&self, edition: UnitEdition, parts: &[u16]) -> impl Iterator<Item = &Unit> {
        let smallest: &[u16] = match edition {
            V63 => &self.smallest63,
            V34 => &self.smallest34,
            UnitEdition::Unspecified => &[],
        };
        let place = |part: &u16| smallest.get(usize::from(*part));
        parts.iter().filter_map(place).map(|place| &self.units[usize::from(*place)])
    }
}

impl Parts {
    fn parse() -> Self {
        let province34: HashMap<_, _> = rows(COMMUNES34).into_iter().map(|[p, c, _]| (c, p)).collect();
        let province63 = provinces_of_districts();
        let without = rows(DISTRICTS63).into_iter().map(|[p, d, _, now]| ([p, d, ""], now));
        let communes = rows(COMMUNES63).into_iter().map(|[d, c, _, now]| ([province63[d], d, c], now));
        let mut by63: Vec<_> = without
            .chain(communes)
            .flat_map(|(v63, now)| now.split_ascii_whitespace().map(move |commune| (v63, commune)))
            .map(|(v63, commune)| Part { v63, v34: [province34[commune], commune] })
            .collect();
        by63.sort_unstable();
        let mut order: Vec<_> = (0..by63.len()).collect();
        order.sort_unstable_by_key(|&i| (by63[i].v34, by63[i].v63));
        let mut in34 = vec![0; by63.len()];
        for (place, &i) in order.iter().enumerate() {
            in34[i] = position(place);
        }
        Self {
            by34: order.iter().map(|&i| by63[i]).collect(),
            in63: order.iter().map(|&i| position(i)).collect(),
            by63,
            in34,
        }
    }

    /// The unit of V63 whose hierarchy, from the province down to itself, is this.
    fn unit63(&self, path: &[&'static str], name: &'static str, province_name: &'static str) -> Unit {
        let own = range(&self.by63, path, |part| &part.v63);
        unit(V63, path, [name, province_name], own, &self.in34)
    }

    /// The same of V34.
    fn unit34(&self, path: &[&'static str], name: &'static str, province_name: &'static str) -> Unit {
        let own = range(&self.by34, path, |part| &part.v34);
        unit(V34, path, [name, province_name], own, &self.in63)
    }
}

fn unit(
    edition: UnitEdition,
    path: &[&'static str],
    [name, province_name]: [&'static str; 2],
    own: Range<usize>,
    elsewhere: &[u16],
) -> Unit {
    let mut other = elsewhere[own.clone()].to_vec();
    other.sort_unstable();
    Unit {
        code: path[path.len() - 1],
        edition,
        name,
        parent_code: if path.len() == 1 { "" } else { path[path.len() - 2] },
        province_code: path[0],
        province_name,
        own: position(own.start)..position(own.end),
        other: other.into(),
    }
}

fn units63(parts: &Parts) -> impl Iterator<Item = Unit> {
    let names: HashMap<_, _> =
        rows(MERGER).into_iter().map(|[code, name, _, _]| (&code[1..], name)).collect();
    let province_of = provinces_of_districts();
    let provinces: Vec<_> = names.iter().map(|(p, name)| parts.unit63(&[*p], name, name)).collect();
    let districts = rows(DISTRICTS63).into_iter();
    let districts: Vec<_> = districts.map(|[p, d, name, _]| parts.unit63(&[p, d], name, names[p])).collect();
    let commune = move |[d, c, name, _]: [&'static str; 4]| {
        let p = province_of[d];
        parts.unit63(&[p, d, c], name, names[p])
    };
    provinces.into_iter().chain(districts).chain(rows(COMMUNES63).into_iter().map(commune))
}

fn units34(parts: &Parts) -> impl Iterator<Item = Unit> {
    let names: HashMap<_, _> = rows(MERGER).into_iter().map(|[_, _, code, name]| (code, name)).collect();
    let provinces: Vec<_> = names.iter().map(|(p, name)| parts.unit34(&[*p], name, name)).collect();
    let commune = move |[p, c, name]: [&'static str; 3]| parts.unit34(&[p, c], name, names[p]);
    provinces.into_iter().chain(rows(COMMUNES34).into_iter().map(commune))
}

/// The province of each district of V63.
fn provinces_of_districts() -> HashMap<&'static str, &'static str> {
    rows(DISTRICTS63).into_iter().map(|[province, district, _, _]| (district, province)).collect()
}

/// The parts whose hierarchy begins with this path.
fn range<const N: usize>(
    parts: &[Part],
    path: &[&str],
    of: impl Fn(&Part) -> &[&'static str; N],
) -> Range<usize> {
    let start = parts.partition_point(|part| of(part)[..path.len()] < *path);
    start..parts.partition_point(|part| of(part)[..path.len()] <= *path)
}

fn position(place: usize) -> u16 {
    u16::try_from(place).expect("both editions together have fewer than 65,536 units, and as many parts")
}
