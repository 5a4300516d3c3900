//! Addresses of either edition: which lies in which, and the same address in the other edition.

use super::{Unit, convert, listed, padded};
use crate::proto::registry::{Address, Person, UnitEdition};

/// Whether one address lies in the unit of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// It surely does.
    Covers,
    /// It surely does not.
    Apart,
    /// The register cannot tell: it knows a larger unit than was claimed, a commune that was split, or a code that no
    /// list has.
    Undetermined,
}

/// Whether the unit of `held` lies in that of `claimed` or equals it, each in whichever edition it is given. Details
/// are not looked at. Abroad the country is the unit.
pub fn covers(claimed: &Address, held: &Address) -> Coverage {
    if is_abroad(claimed) || is_abroad(held) {
        return if claimed.country == held.country { Coverage::Covers } else { Coverage::Apart };
    }
    let known = claimed.unit_edition() != UnitEdition::Unspecified && !claimed.unit_code.is_empty();
    if known && claimed.unit_edition == held.unit_edition && claimed.unit_code == held.unit_code {
        return Coverage::Covers;
    }
    let held = readings(held);
    let pairs = readings(claimed)
        .into_iter()
        .flatten()
        .flat_map(|claimed| held.into_iter().flatten().map(|held| claimed.coverage_of(held)));
    pairs
        .reduce(|one, other| if one == other { one } else { Coverage::Undetermined })
        .unwrap_or(Coverage::Undetermined)
}

/// Gives every address of a person in this edition, where the other edition has exactly one unit for it. Every other
/// address stays as it was recorded, and its `unit_edition` says so. `UNSPECIFIED` changes nothing.
pub fn in_edition(person: &mut Person, edition: UnitEdition) {
    let Person {
        birth_place,
        birth_registration_place,
        place_of_origin,
        permanent_residence,
        current_residence,
        temporary_residences,
        ..
    } = person;
    let single =
        [birth_place, birth_registration_place, place_of_origin, permanent_residence, current_residence];
    let temporary = temporary_residences.iter_mut().filter_map(|residence| residence.address.as_mut());
    for address in single.into_iter().flatten().chain(temporary) {
        restate(address, edition);
    }
}

fn restate(address: &mut Address, edition: UnitEdition) {
    if address.unit_edition() == edition {
        return;
    }
    let [Some(unit), None] = readings(address) else { return };
    if let [only] = convert(unit, edition)[..] {
        address.unit_code = only.code.to_owned();
        address.unit_edition = only.edition.into();
    }
}

/// The units that the code of an address may mean: one, none, or, for three digits of V63, a district and a province.
fn readings(address: &Address) -> [Option<&'static Unit>; 2] {
    let (edition, code) = (address.unit_edition(), address.unit_code.as_str());
    match (listed(edition, code), padded(edition, code)) {
        (None, province) => [province, None],
        (unit, province) => [unit, province],
    }
}

/// An empty country means VN.
fn is_abroad(address: &Address) -> bool {
    !matches!(address.country.as_str(), "" | "VN")
}
