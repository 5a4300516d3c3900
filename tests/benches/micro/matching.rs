//! Comparing texts, and claims with a record.

use std::hint::black_box;

use criterion::Criterion;
use dancu::domain::matching;
use dancu::domain::population::Population;
use dancu::proto::registry::claim::Value;
use dancu::proto::registry::{Address, Attribute, Claim, MatchStrength, UnitEdition, Verdict};

/// Two names of each class.
const NAMES: [(&str, &str, MatchStrength); 5] = [
    ("Nguyễn Thị Thúy", "Nguyễn Thị Thúy", MatchStrength::Exact),
    ("Nguyễn Thị Thúy", "nguyễn thị thuý", MatchStrength::Canonical),
    ("Nguyễn Thị Thy", "Nguyễn Thị Thi", MatchStrength::Variant),
    ("Nguyễn Thị Thúy", "Nguyen Thi Thuy", MatchStrength::Folded),
    ("Nguyễn Thị Thúy", "Trần Văn Hùng", MatchStrength::Unspecified),
];

/// How strongly two names agree.
pub fn strength(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("matching");
    for (one, other, expected) in NAMES {
        assert_eq!(matching::strength(one, other), expected, "{one} and {other}");
        let name = format!("{expected:?} names").to_lowercase();
        group.bench_function(name, |bencher| {
            bencher.iter(|| matching::strength(black_box(one), black_box(other)));
        });
    }
    group.finish();
}

/// Verdicts on claims about one person, as a verification gives them.
pub fn verify(criterion: &mut Criterion) {
    let person = Population::new(1).person(4);
    let claim = |attribute: Attribute, value| Claim {
        attribute: attribute.into(),
        value: Some(value),
        ..Claim::default()
    };
    let name = matching::full_name(person.birth_name.as_ref().unwrap());
    let home = person.permanent_residence.clone().unwrap();
    let province =
        Address { unit_code: "01".to_owned(), unit_edition: UnitEdition::V63.into(), ..Address::default() };
    let usual = vec![
        claim(Attribute::FullName, Value::Text(name)),
        claim(Attribute::BirthDate, Value::Date(person.birth_date.unwrap())),
        claim(Attribute::Gender, Value::Gender(person.gender)),
    ];
    let same_place = vec![claim(Attribute::PermanentResidence, Value::Address(home))];
    let other_edition = vec![claim(Attribute::PermanentResidence, Value::Address(province))];
    for claims in [&usual, &same_place] {
        let verdicts = matching::verify(&person, claims);
        assert!(verdicts.iter().all(|verdict| verdict.verdict() == Verdict::Match), "{verdicts:?}");
    }
    let mut group = criterion.benchmark_group("verify");
    let cases = [
        ("name, birth date, gender", usual),
        ("address", same_place),
        ("address, other edition", other_edition),
    ];
    for (name, claims) in cases {
        group.bench_function(name, |bencher| {
            bencher.iter(|| matching::verify(black_box(&person), black_box(&claims)));
        });
    }
    group.finish();
}
