//! Records for the tests of this folder, and the seeds of those that draw at random.

use std::hash::{BuildHasher, RandomState};

use proptest::test_runner::{Config, RngSeed};

use crate::proto::registry::{
    Address, Gender, PartialDate, Person, PersonName, PhysicalStatus, PhysicalStatusKind, RequestContext,
    UnitEdition,
};

/// A valid context of a write.
pub(crate) fn context() -> RequestContext {
    RequestContext { request_id: "r-1".into(), agency_id: "G01.001".into(), ..Default::default() }
}

/// An address in a province of edition V63.
pub(crate) fn address(unit_code: &str, detail: &str) -> Address {
    Address {
        unit_code: unit_code.into(),
        unit_edition: UnitEdition::V63.into(),
        detail: detail.into(),
        country: String::new(),
    }
}

/// A valid person, dead, with every field set but the registry's own.
pub(crate) fn full_person() -> Person {
    Person {
        uid: 0,
        record_revision: 0,
        birth_name: Some(PersonName {
            family: "Nguyễn".into(),
            middle: "Thị Thanh".into(),
            given: "Thuỷ".into(),
        }),
        other_names: vec!["Nguyễn Thuỷ".into()],
        personal_id: "001190000001".into(),
        cancelled_personal_ids: vec!["002190000002".into()],
        birth_date: Some(PartialDate { year: 1990, month: 5, day: 2 }),
        gender: Gender::Female.into(),
        birth_place: Some(address("01", "Bệnh viện")),
        birth_registration_place: Some(address("001", "")),
        place_of_origin: Some(address("00001", "Thôn 3")),
        old_id_numbers: vec!["271450001".into(), "012345678".into()],
        permanent_residence: Some(address("79", "Số 12")),
        current_residence: Some(Address {
            country: "FR".into(),
            detail: "Lyon".into(),
            ..Default::default()
        }),
        nationalities: vec!["VN".into(), "FR".into()],
        physical_status: Some(PhysicalStatus {
            kind: PhysicalStatusKind::Deceased.into(),
            since: Some(PartialDate { year: 2020, month: 0, day: 0 }),
        }),
    }
}

/// A valid person, alive, with nothing but what is required and this personal id (which may be empty).
pub(crate) fn plain_person(given: &str, personal_id: &str) -> Person {
    Person {
        birth_name: Some(PersonName { family: "Trần".into(), middle: String::new(), given: given.into() }),
        personal_id: personal_id.into(),
        birth_date: Some(PartialDate { year: 1990, month: 0, day: 0 }),
        gender: Gender::Unknown.into(),
        physical_status: Some(PhysicalStatus { kind: PhysicalStatusKind::Alive.into(), since: None }),
        ..Default::default()
    }
}

/// How properties are tested: with the seed of the environment or a new one, which a failed test prints with the
/// command that repeats it.
pub(crate) fn random_cases(filter: &str) -> Config {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => RandomState::new().hash_one(filter),
    };
    config.rng_seed = RngSeed::Fixed(seed);
    println!("repeat with: PROPTEST_RNG_SEED={seed} cargo test --release --lib {filter}");
    config
}
