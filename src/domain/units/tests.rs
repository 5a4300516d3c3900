//! What the data files must hold, the seven codes that mean two provinces, and coverage against its definition.

use std::collections::{BTreeSet, HashMap, HashSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::domain::data::{COMMUNES34, COMMUNES63, DISTRICTS63, MERGER, rows};
use crate::domain::fixtures::{full_person, random_cases};
use crate::proto::registry::UnitEdition::{V34, V63};
use crate::proto::registry::{Address, Person};
use Coverage::{Apart, Covers, Undetermined};

fn unit(edition: UnitEdition, code: &str) -> &'static Unit {
    find(edition, code).unwrap_or_else(|| panic!("{code} of {}", edition.as_str_name()))
}

fn at(edition: UnitEdition, code: &str) -> Address {
    Address { unit_code: code.into(), unit_edition: edition.into(), ..Address::default() }
}

fn codes(edition: UnitEdition, code: &str, to: UnitEdition) -> Vec<&'static str> {
    convert(unit(edition, code), to).into_iter().map(|unit| unit.code).collect()
}

fn level(edition: UnitEdition, digits: usize) -> Vec<&'static Unit> {
    all().iter().filter(|unit| unit.edition == edition && unit.code.len() == digits).collect()
}

#[test]
fn the_lists_are_complete() {
    assert_eq!([2, 3, 5].map(|digits| level(V63, digits).len()), [63, 696, 10_035]);
    assert_eq!([2, 3, 5].map(|digits| level(V34, digits).len()), [34, 0, 3_321]);
    assert!(all().is_sorted_by(|a, b| a.key() < b.key()), "no code stands twice");
    for unit in all() {
        assert!(unit.code.bytes().all(|byte| byte.is_ascii_digit()), "{unit:?}");
        assert!(!unit.name.is_empty() && unit.name.trim() == unit.name, "{unit:?}");
        assert_eq!(find(unit.edition, unit.code), Some(unit));
        let above = find(unit.edition, unit.parent_code);
        assert_eq!(above.is_some(), unit.code.len() > 2, "{unit:?}");
        assert!(above.is_none_or(|above| above.province_code == unit.province_code), "{unit:?}");
        let province = find(unit.edition, unit.province_code).unwrap();
        assert_eq!((province.name, province.parent_code), (unit.province_name, ""));
    }
}

#[test]
fn names_begin_with_their_kind() {
    let kinds = |units: &[&Unit], known: &[&str]| {
        for unit in units {
            assert!(known.iter().any(|kind| unit.name.starts_with(&format!("{kind} "))), "{unit:?}");
        }
    };
    kinds(&level(V63, 3), &["Quận", "Huyện", "Thị xã", "Thành phố"]);
    kinds(&level(V63, 5), &["Phường", "Xã", "Thị trấn"]);
    kinds(&level(V34, 5), &["Phường", "Xã", "Đặc khu"]);
}

#[test]
fn every_commune_of_both_editions_has_a_part() {
    let mut reached = HashSet::new();
    let mut times = HashMap::new();
    let mut lead = |name: &str, now: &'static str| {
        let communes: Vec<_> = now.split(' ').collect();
        assert!(communes.is_sorted_by(|a, b| a < b), "{name}");
        assert!(
            communes.iter().all(|code| find(V34, code).is_some_and(|unit| unit.code.len() == 5)),
            "{name}"
        );
        *times.entry(communes.len()).or_insert(0) += 1;
        reached.extend(communes);
    };
    let rows63 = rows(COMMUNES63);
    rows63.iter().for_each(|[_, _, name, now]| lead(name, now));
    let with_communes: HashSet<_> = rows63.iter().map(|[district, ..]| *district).collect();
    for [_, code, name, now] in rows(DISTRICTS63) {
        if with_communes.contains(code) {
            assert_eq!(now, "", "{name} is what its communes are");
        } else {
            lead(name, now);
        }
    }
    assert_eq!(reached.len(), 3_321);
    let mut times: Vec<_> = times.into_iter().collect();
    times.sort_unstable();
    assert_eq!(times, [(1, 9_598), (2, 370), (3, 56), (4, 15), (5, 1)]);
}

#[test]
fn the_communes_agree_with_the_merger_of_the_provinces() {
    let now: HashMap<_, _> = rows(MERGER).into_iter().map(|[code, _, now, _]| (&code[1..], now)).collect();
    for old in all().iter().filter(|unit| unit.edition == V63) {
        for new in convert(old, V34) {
            assert_eq!(now[old.province_code], new.province_code, "{old:?} and {new:?}");
        }
    }
    for province in level(V63, 2) {
        assert_eq!(codes(V63, province.code, V34), [now[province.code]]);
    }
    for commune in level(V34, 5) {
        let provinces: BTreeSet<_> = convert(commune, V63).iter().map(|old| old.province_code).collect();
        assert_eq!(provinces.len(), 1, "{commune:?} lies in one province of V63");
    }
}

/// The table was made by names; codes are an independent witness.
#[test]
fn a_code_that_was_taken_over_is_of_ground_that_was_taken_over() {
    let mut taken_over = 0;
    for commune in rows(COMMUNES34).into_iter().filter_map(|[_, code, _]| find(V34, code)) {
        if let Some(before) = find(V63, commune.code) {
            assert!(convert(before, V34).contains(&commune), "{before:?} and {commune:?}");
            taken_over += 1;
        }
    }
    assert_eq!(taken_over, 3_316, "all but the five islands that were districts");
}

#[test]
fn provinces_know_their_names() {
    let name = |edition, code| find(edition, code).map(|unit| unit.name);
    assert_eq!(name(V63, "79"), Some("Hồ Chí Minh"));
    assert_eq!((name(V63, "02"), name(V34, "02")), (Some("Hà Giang"), None));
    for (edition, code) in [(V63, ""), (V63, "0"), (V63, "03"), (V34, "079"), (V63, "0079"), (V63, "99999")] {
        assert_eq!(name(edition, code), None, "{code}");
    }
    assert_eq!(name(UnitEdition::Unspecified, "01"), None);
}

#[test]
fn three_digits_are_a_district_first() {
    let name = |code| find(V63, code).map(|unit| unit.name);
    assert_eq!(name("001"), Some("Quận Ba Đình"));
    assert_eq!(name("024"), Some("Thành phố Hà Giang"));
    assert_eq!(name("079"), Some("Hồ Chí Minh"), "no district has these digits");
    let both = level(V63, 2)
        .iter()
        .filter(|province| find(V63, &format!("0{}", province.code)) != Some(province))
        .count();
    assert_eq!(both, 42);

    // 024 may be a city of Hà Giang (02) or the province Bắc Giang (24).
    let held = at(V63, "024");
    for claimed in ["24", "02", "00688"] {
        assert_eq!(covers(&at(V63, claimed), &held), Undetermined, "{claimed}");
    }
    assert_eq!(covers(&at(V63, "01"), &held), Apart, "neither is in Hà Nội");
    assert_eq!(covers(&held, &held), Covers);
    // 001 may be Hà Nội or its district Ba Đình.
    assert_eq!(covers(&at(V63, "01"), &at(V63, "001")), Covers);
    assert_eq!(covers(&at(V63, "001"), &at(V63, "00001")), Covers);
    assert_eq!(covers(&at(V63, "001"), &at(V63, "01")), Undetermined);
    assert_eq!(covers(&at(V63, "079"), &at(V63, "79")), Covers);
}

/// The seven codes that name one province in V63 and another in V34, with what V63 calls the province that V34 names.
#[test]
fn the_seven_reused_codes_are_never_confused() {
    let seven = [
        ("15", "Yên Bái", "Lào Cai", "10"),
        ("24", "Bắc Giang", "Bắc Ninh", "27"),
        ("44", "Quảng Bình", "Quảng Trị", "45"),
        ("52", "Bình Định", "Gia Lai", "64"),
        ("80", "Long An", "Tây Ninh", "72"),
        ("82", "Tiền Giang", "Đồng Tháp", "87"),
        ("91", "Kiên Giang", "An Giang", "89"),
    ];
    for (code, old_name, new_name, namesake) in seven {
        let (old, new) = (unit(V63, code), unit(V34, code));
        assert_eq!((old.name, new.name, unit(V63, namesake).name), (old_name, new_name, new_name));
        assert_ne!(old, new);
        // What the code named is a part of what it names now; the province of the same name is another part.
        assert_eq!(codes(V63, code, V34), [code]);
        assert!(codes(V34, code, V63).contains(&code) && codes(V34, code, V63).contains(&namesake));
        let (was, is, same_name) = (at(V63, code), at(V34, code), at(V63, namesake));
        assert_eq!(covers(&is, &was), Covers, "{old_name} lies in {new_name} of V34");
        assert_eq!(covers(&was, &is), Undetermined, "{new_name} of V34 is more than {old_name}");
        assert_eq!(covers(&is, &same_name), Covers);
        assert_eq!((covers(&was, &same_name), covers(&same_name, &was)), (Apart, Apart));
        // A commune of the one is not in the other.
        let commune = level(V63, 5).into_iter().find(|commune| commune.province_code == namesake).unwrap();
        let commune = at(V63, commune.code);
        assert_eq!((covers(&was, &commune), covers(&is, &commune)), (Apart, Covers), "{old_name}");
        assert_eq!(covers(&commune, &was), Apart);
    }
    let differ = level(V34, 2).into_iter().filter(|new| unit(V63, new.code).name != new.name);
    assert_eq!(differ.map(|new| new.code).collect::<Vec<_>>(), seven.map(|(code, ..)| code));
}

#[test]
fn communes_provinces_and_what_was_split() {
    // Phúc Xá (00001) went into Hồng Hà (00097) whole; Điện Biên (00019) was split over four.
    assert_eq!(codes(V63, "00001", V34), ["00097"]);
    assert_eq!(codes(V63, "00019", V34), ["00004", "00070", "00190", "00226"]);
    #[rustfmt::skip]
    let cases = [
        ((V34, "00097"), (V63, "00001"), Covers),
        ((V63, "00001"), (V34, "00097"), Undetermined),
        ((V34, "00004"), (V63, "00019"), Undetermined),
        ((V63, "00019"), (V34, "00004"), Undetermined),
        ((V34, "00097"), (V63, "00019"), Apart),
        ((V63, "00019"), (V34, "00097"), Apart),
        ((V34, "00097"), (V34, "00004"), Apart),
        // A province covers what is in it, and does not tell which commune.
        ((V63, "01"), (V63, "00001"), Covers), ((V63, "01"), (V34, "00097"), Covers), ((V34, "01"), (V63, "00001"), Covers),
        ((V63, "00001"), (V63, "01"), Undetermined), ((V34, "00097"), (V63, "01"), Undetermined),
        ((V34, "00097"), (V63, "79"), Apart), ((V63, "79"), (V34, "00097"), Apart),
        // Districts of V63: Ba Đình holds Phúc Xá; Côn Đảo had no communes and is one of V34.
        ((V63, "001"), (V34, "00097"), Undetermined),
        ((V63, "755"), (V34, "26732"), Covers), ((V34, "26732"), (V63, "755"), Covers),
        // A code that no list has covers itself alone.
        ((V63, "99999"), (V63, "99999"), Covers), ((V63, "99999"), (V34, "99999"), Undetermined),
        ((V63, "01"), (V63, "99999"), Undetermined), ((V63, "99999"), (V63, "00001"), Undetermined),
    ];
    for ((claimed_edition, claimed), (held_edition, held), expected) in cases {
        let found = covers(&at(claimed_edition, claimed), &at(held_edition, held));
        assert_eq!(found, expected, "{claimed} of {claimed_edition:?} and {held} of {held_edition:?}");
    }
}

#[test]
fn abroad_the_country_is_the_unit() {
    let abroad = |country: &str| Address { country: country.into(), ..Address::default() };
    let home = at(V34, "01");
    assert_eq!(covers(&abroad("FR"), &Address { detail: "Lyon".into(), ..abroad("FR") }), Covers);
    assert_eq!(covers(&abroad("FR"), &abroad("LA")), Apart);
    assert_eq!((covers(&abroad("FR"), &home), covers(&home, &abroad("FR"))), (Apart, Apart));
    assert_eq!(covers(&Address { country: "VN".into(), ..home.clone() }, &home), Covers);
    assert_eq!(covers(&abroad("VN"), &home), Undetermined, "no unit was named");
    let bare = Address { unit_code: "01".into(), ..Address::default() };
    assert_eq!(covers(&bare, &bare), Undetermined, "without its edition a code is none");
}

#[test]
fn a_record_is_given_in_the_other_edition_where_there_is_one_answer() {
    let recorded = Person {
        birth_place: Some(at(V63, "24")),
        birth_registration_place: Some(at(V63, "001")),
        place_of_origin: Some(at(V63, "00019")),
        permanent_residence: Some(Address { detail: "Số 12".into(), ..at(V63, "00001") }),
        ..full_person()
    };
    let given = |edition| {
        let mut person = recorded.clone();
        in_edition(&mut person, edition);
        person
    };
    let mut expected = recorded.clone();
    expected.birth_place = Some(at(V34, "24"));
    expected.permanent_residence = Some(Address { detail: "Số 12".into(), ..at(V34, "00097") });
    expected.temporary_residences[0].address = Some(at(V34, "48"));
    assert!(given(V34) == expected, "a split commune, two readings and Lyon stay as they were");
    assert!(given(V63) == recorded && given(UnitEdition::Unspecified) == recorded);

    // 15 of V34 is Yên Bái or Lào Cai; 01 is Hà Nội in both; Côn Đảo of V34 was a district.
    for (held, then) in
        [("15", None), ("01", Some("01")), ("26732", Some("755")), ("00097", None), ("99999", None)]
    {
        let mut person = Person { birth_place: Some(at(V34, held)), ..Person::default() };
        in_edition(&mut person, V63);
        assert_eq!(person.birth_place, Some(then.map_or_else(|| at(V34, held), |code| at(V63, code))));
    }
}

/// The parts of every unit, as the definition has them and straight from the files.
fn parts() -> HashMap<(UnitEdition, &'static str), HashSet<(&'static str, &'static str)>> {
    let province: HashMap<_, _> = rows(DISTRICTS63).into_iter().map(|[p, d, _, _]| (d, p)).collect();
    let province34: HashMap<_, _> = rows(COMMUNES34).into_iter().map(|[p, c, _]| (c, p)).collect();
    let mut parts: HashMap<_, HashSet<_>> = HashMap::new();
    let communes = rows(COMMUNES63).into_iter().map(|[d, c, _, now]| (d, c, now));
    let islands = rows(DISTRICTS63).into_iter().map(|[_, d, _, now]| (d, d, now));
    for (district, smallest, now) in communes.chain(islands) {
        for new in now.split_ascii_whitespace() {
            for of in [
                (V63, province[district]),
                (V63, district),
                (V63, smallest),
                (V34, province34[new]),
                (V34, new),
            ] {
                parts.entry(of).or_default().insert((smallest, new));
            }
        }
    }
    parts
}

/// A unit that is likely to have to do with the others drawn: one of a few neighbouring provinces.
fn any_unit() -> impl Strategy<Value = &'static Unit> {
    let neighbours: Vec<_> =
        all().iter().filter(|unit| ["01", "24", "27"].contains(&unit.province_code)).collect();
    prop_oneof![(0..all().len()).prop_map(|i| &all()[i]), proptest::sample::select(neighbours)]
}

#[test]
fn coverage_is_what_the_sets_of_parts_say() {
    let parts = parts();
    let config = Config { cases: 20_000, ..random_cases("domain::units") };
    let mut runner = TestRunner::new(config);
    let pair = (any_unit(), any_unit());
    let check = |(claimed, held): (&'static Unit, &'static Unit)| {
        let of = |unit: &Unit| &parts[&(unit.edition, unit.code)];
        let expected = match (of(held).is_subset(of(claimed)), of(held).is_disjoint(of(claimed))) {
            (true, _) => Covers,
            (_, true) => Apart,
            _ => Undetermined,
        };
        prop_assert_eq!(claimed.coverage_of(held), expected, "{:?} and {:?}", claimed, held);
        Ok(())
    };
    runner.run(&pair, check).unwrap();
}

#[test]
fn coverage_and_conversion_agree_for_every_unit() {
    for unit in all() {
        assert_eq!(unit.coverage_of(unit), Covers, "{unit:?}");
        assert_eq!(covers(&at(unit.edition, unit.code), &at(unit.edition, unit.code)), Covers);
        let other = if unit.edition == V63 { V34 } else { V63 };
        let there = convert(unit, other);
        assert!(!there.is_empty() && there.is_sorted_by(|a, b| a.code < b.code), "{unit:?}");
        for became in &there {
            assert_ne!(became.coverage_of(unit), Apart, "{unit:?} and {became:?}");
            assert_ne!(unit.coverage_of(became), Apart, "{unit:?} and {became:?}");
            let back = convert(became, unit.edition);
            assert!(back.iter().any(|back| unit.coverage_of(back) == Covers), "{unit:?} and {became:?}");
            assert!(back.contains(&unit) || unit.code.len() == 3, "{unit:?} and {became:?}");
        }
        let whole = there.len() == 1;
        assert_eq!(there[0].coverage_of(unit) == Covers, whole, "{unit:?}");
    }
}
