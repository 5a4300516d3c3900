//! Records for the tests of this folder, and the seeds of those that draw at random.

use std::hash::{BuildHasher, RandomState};

use proptest::test_runner::{Config, RngSeed};

use crate::proto::registry::{
    AbsenceDeclaration, Address, BloodType, Credential, CredentialStatus, CredentialType, EidAccountState,
    EidLevel, EidState, Extension, Gender, HouseholdRole, MaritalStatus, PartialDate, Person, PersonField,
    PersonName, PhysicalStatus, PhysicalStatusKind, Provenance, RelatedPerson, RelationKind, RequestContext,
    TemporaryResidence, UnitEdition, extension,
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

/// A valid person, dead, with every field set but the registry's own (uid, record_revision, person_status, merged_into,
/// links) and the household, which the dead have not.
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
            since: year(2020),
        }),
        ethnicity: "12".into(),
        ethnicity_name: "Rađê".into(),
        religion: "03".into(),
        blood_type: BloodType::Ab.into(),
        relations: vec![RelatedPerson {
            kind: RelationKind::Mother.into(),
            person_uid: 0,
            name: "Đỗ Thị Hoà".into(),
            personal_id: "001160000003".into(),
            old_id_number: "012345679".into(),
            nationality: "VN".into(),
        }],
        temporary_residences: vec![TemporaryResidence {
            address: Some(address("48", "")),
            since: year(2018),
            until: year(2019),
        }],
        absence: Some(AbsenceDeclaration { since: year(2019), until: None }),
        residence_file_no: String::new(),
        household_role: 0,
        marital_status: MaritalStatus::NeverMarried.into(),
        phone_numbers: vec!["+84901234567".into()],
        email_addresses: vec!["thuy@example.org".into()],
        extensions: vec![Extension { name: "army".into(), value: Some(extension::Value::Flag(true)) }],
        credentials: vec![licence()],
        eid_account: Some(EidAccountState {
            level: EidLevel::EidLevel2.into(),
            state: EidState::Locked.into(),
            lock_reason: "deceased".into(),
        }),
        provenance: vec![Provenance {
            source_system: "birth".into(),
            document: "12/2020".into(),
            agency: "G01.001".into(),
            date: year(2020),
            fields: vec![PersonField::BirthName.into()],
        }],
        person_status: 0,
        merged_into: 0,
    }
}

/// The same person, declared missing and in a household: every field is set that a caller may write.
pub(crate) fn missing_person() -> Person {
    let kind = PhysicalStatusKind::Missing.into();
    Person {
        physical_status: Some(PhysicalStatus { kind, since: year(2020) }),
        residence_file_no: "HS001".into(),
        household_role: HouseholdRole::Sibling.into(),
        ..full_person()
    }
}

/// A driving licence with every field set.
pub(crate) fn licence() -> Credential {
    Credential {
        r#type: CredentialType::DrivingLicence.into(),
        number: "790123456789".into(),
        credential_class: "B1".into(),
        issuing_authority: "Sở Giao thông vận tải".into(),
        issuing_place: "Hà Nội".into(),
        issued_on: year(2015),
        expires_on: year(2025),
        status: CredentialStatus::Suspended.into(),
        status_since: year(2020),
        source_system: "gplx".into(),
        source_revision: "7".into(),
    }
}

fn year(year: u32) -> Option<PartialDate> {
    Some(PartialDate { year, month: 0, day: 0 })
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

/// A seed for a test that draws by itself: that of the environment or a new one, printed with the command that repeats
/// the test.
pub(crate) fn seed(filter: &str) -> u64 {
    let given = std::env::var("DANCU_SEED").ok();
    let seed = given.map_or_else(
        || RandomState::new().hash_one(filter),
        |seed| seed.parse().expect("DANCU_SEED is a number"),
    );
    println!("repeat with: DANCU_SEED={seed} cargo test --release --lib {filter} -- --nocapture");
    seed
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
