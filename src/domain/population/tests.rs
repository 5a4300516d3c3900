//! The population as a whole: valid, unique, in the stated proportions, and the same everywhere.

use std::collections::{HashMap, HashSet};

use prost::Message as _;
use sha2::{Digest as _, Sha256};
use unicode_normalization::is_nfc;

use super::*;
use crate::domain::command::{Alias, Counters, Overlay, View, decide};
use crate::domain::policy::{Policies, PolicyKey};
use crate::domain::{fixtures, validate};
use crate::proto::registry::extension::Value;
use crate::proto::registry::write::Write as Kind;
use crate::proto::registry::write_outcome::Outcome;
use crate::proto::registry::{
    Atomicity, BloodType, CreatePerson, Credential, CredentialStatus, CredentialType, EidLevel, EidState,
    HouseholdRole, MaritalStatus, PhysicalStatusKind, RelatedPerson, RelationKind, Write,
};
use crate::proto::store::{
    AuditLogRow, Command, NodeRow, PersonRow, PersonalIdRow, PolicyRow, ReceiptKeysRow, WriteSet,
    command::Op, reply::Reply as Answer,
};

const PEOPLE_TESTED: u64 = 200_000;

fn people(seed: u64) -> impl Iterator<Item = Person> {
    let population = Population::new(seed);
    (0..PEOPLE_TESTED).map(move |index| population.person(index))
}

/// Asserts that `count` of the people tested is the stated share, in parts of a thousand, give or take a tenth of it.
fn assert_share(what: &str, count: usize, per_mille: u64) {
    let expected = PEOPLE_TESTED * per_mille / 1_000;
    let difference = expected.abs_diff(count as u64);
    assert!(difference * 10 <= expected, "{what}: {count} and not about {expected}");
}

#[test]
fn everybody_may_be_registered_under_a_number_of_their_own() {
    for seed in [1, u64::MAX] {
        let (mut ids, mut old_ids, mut papers) = (HashSet::new(), HashMap::new(), HashSet::new());
        for person in people(seed) {
            assert_eq!(validate::person(&person, "person"), Ok(()));
            for paper in person.credentials {
                assert!(papers.insert((paper.r#type, paper.number)));
            }
            assert!(ids.insert(person.personal_id));
            assert!(person.cancelled_personal_ids.into_iter().all(|id| ids.insert(id)));
            for number in person.old_id_numbers {
                *old_ids.entry(number.parse::<u64>().expect("nine digits")).or_insert(0) += 1;
            }
        }
        let mut shared = 0;
        for (number, holders) in old_ids {
            assert_eq!(holders, if SHARED.contains(&number) { 2 } else { 1 });
            shared += usize::from(SHARED.contains(&number));
        }
        // One pair in each block, unless one of the two is too young: about half.
        assert!((400..600).contains(&shared), "{shared}");
    }
}

/// A register that holds nobody.
struct Nobody;

impl View for Nobody {
    type Error = std::convert::Infallible;

    fn person(&self, _: u64) -> Result<Option<std::sync::Arc<PersonRow>>, Self::Error> {
        Ok(None)
    }

    fn personal_id(&self, _: &str) -> Result<Option<PersonalIdRow>, Self::Error> {
        Ok(None)
    }

    fn holders(&self, _: &Alias, _: usize) -> Result<Vec<u64>, Self::Error> {
        Ok(Vec::new())
    }

    fn node(&self, _: u64) -> Result<Option<NodeRow>, Self::Error> {
        Ok(None)
    }

    fn audit_log(&self, _: u64) -> Result<Option<AuditLogRow>, Self::Error> {
        Ok(None)
    }

    fn policy_row(&self, _: &PolicyKey) -> Result<Option<PolicyRow>, Self::Error> {
        Ok(None)
    }

    fn policies(&self) -> std::sync::Arc<Policies> {
        std::sync::Arc::default()
    }

    fn receipt_keys(&self, _: u64) -> Result<Option<ReceiptKeysRow>, Self::Error> {
        Ok(None)
    }

    fn live_node_named(&self, _: &str) -> Result<Option<u64>, Self::Error> {
        Ok(None)
    }
}

#[test]
fn the_register_takes_everybody() {
    let mut register = Overlay::new(&Nobody);
    // A clock of early 2026: nobody is born in its future.
    let mut counters = Counters { time_ms: 1_767_225_600_000, ..Counters::default() };
    let create = |person| Kind::Create(CreatePerson { person: Some(person), accept_existing: true });
    let people: Vec<Person> = people(11).take(20_000).collect();
    for chunk in people.chunks(1_000) {
        let writes = chunk.iter().cloned().map(|person| Write { write: Some(create(person)) }).collect();
        let op = Op::WriteSet(WriteSet { writes, atomicity: Atomicity::Each.into() });
        let context = Some(fixtures::context());
        let Ok(decision) =
            decide(&register, counters, &Command { context, op: Some(op), ..Command::default() });
        let Some(Answer::WriteSet(reply)) = decision.reply.reply else { panic!("a set was sent") };
        for outcome in reply.outcomes {
            assert!(matches!(outcome.outcome, Some(Outcome::Written(written)) if written.changed));
        }
        register.apply(&decision.effects);
        counters = decision.counters;
    }
    assert_eq!(counters.persons, 20_000);
}

/// What every record has is not listed; nor what the registry alone writes, and papers of foreigners.
#[test]
fn every_field_and_every_word_occurs() {
    let mut missing: HashSet<String> = [
        "other_names",
        "cancelled_personal_ids",
        "birth year alone",
        "old_id_numbers",
        "two CMND numbers",
        "lives abroad",
        "lives elsewhere",
        "two nationalities",
        "since",
        "ethnicity_name",
        "relation.personal_id",
        "relation.old_id_number",
        "relation.nationality",
        "stay until",
        "stay without end",
        "absence",
        "two telephone numbers",
        "email",
        "extension text",
        "extension number",
        "extension date",
        "extension flag",
        "class",
        "issuing_authority",
        "issuing_place",
        "expires_on",
        "status_since",
        "source_system",
        "source_revision",
        "lock_reason",
        "fields vouched for",
        "whole record vouched for",
    ]
    .map(str::to_owned)
    .into();
    let mut words = |prefix: &str, count: i32| {
        missing.extend((1..=count).map(|word| format!("{prefix} {word}")));
    };
    words("status", PhysicalStatusKind::Missing.into());
    words("gender", Gender::Female.into());
    words("blood", BloodType::Unknown.into());
    words("marital", MaritalStatus::Unknown.into());
    words("relation", RelationKind::Represented.into());
    words("role", HouseholdRole::Unrelated.into());
    words("paper", CredentialType::CivilServant.into());
    words("paper status", CredentialStatus::Revoked.into());
    words("level", EidLevel::EidLevel2.into());
    words("state", EidState::Locked.into());
    missing.insert(format!("paper {}", CredentialType::TaxCode as i32));
    for person in people(7) {
        for found in seen(&person) {
            missing.remove(&found);
        }
        if missing.is_empty() {
            return;
        }
    }
    panic!("nobody has {missing:?}");
}

/// What of that a record has.
fn seen(p: &Person) -> Vec<String> {
    let status = p.physical_status.unwrap_or_default();
    let home = p.permanent_residence.as_ref();
    let current = p.current_residence.as_ref();
    let facts = [
        ("other_names", !p.other_names.is_empty()),
        ("cancelled_personal_ids", !p.cancelled_personal_ids.is_empty()),
        ("birth year alone", p.birth_date.is_some_and(|date| date.month == 0)),
        ("old_id_numbers", !p.old_id_numbers.is_empty()),
        ("two CMND numbers", p.old_id_numbers.len() == 2),
        ("lives abroad", current.is_some_and(|address| !address.country.is_empty())),
        (
            "lives elsewhere",
            current.is_some_and(|address| Some(address) != home && address.country.is_empty()),
        ),
        ("two nationalities", p.nationalities.len() == 2),
        ("since", status.since.is_some()),
        ("ethnicity_name", !p.ethnicity_name.is_empty()),
        ("absence", p.absence.is_some()),
        ("two telephone numbers", p.phone_numbers.len() == 2),
        ("email", !p.email_addresses.is_empty()),
        ("lock_reason", p.eid_account.as_ref().is_some_and(|account| !account.lock_reason.is_empty())),
        ("fields vouched for", p.provenance.iter().any(|entry| !entry.fields.is_empty())),
        ("whole record vouched for", p.provenance.iter().any(|entry| entry.fields.is_empty())),
    ];
    let mut seen: Vec<String> =
        facts.into_iter().filter(|(_, has)| *has).map(|(what, _)| what.to_owned()).collect();
    let words = [
        ("status", status.kind),
        ("gender", p.gender),
        ("blood", p.blood_type),
        ("marital", p.marital_status),
        ("role", p.household_role),
        ("level", p.eid_account.as_ref().map_or(0, |account| account.level)),
        ("state", p.eid_account.as_ref().map_or(0, |account| account.state)),
    ];
    seen.extend(words.map(|(what, word)| format!("{what} {word}")));
    seen.extend(p.relations.iter().flat_map(seen_of_kin));
    for stay in &p.temporary_residences {
        seen.push(if stay.until.is_some() { "stay until" } else { "stay without end" }.to_owned());
    }
    for extension in &p.extensions {
        seen.push(match extension.value.as_ref().expect("each has one") {
            Value::Text(_) => "extension text".to_owned(),
            Value::Number(_) => "extension number".to_owned(),
            Value::Date(_) => "extension date".to_owned(),
            Value::Flag(_) => "extension flag".to_owned(),
        });
    }
    seen.extend(p.credentials.iter().flat_map(seen_on_paper));
    seen
}

fn seen_of_kin(relation: &RelatedPerson) -> Vec<String> {
    let texts = [
        ("relation.personal_id", &relation.personal_id),
        ("relation.old_id_number", &relation.old_id_number),
        ("relation.nationality", &relation.nationality),
    ];
    stated(texts).into_iter().chain([format!("relation {}", relation.kind)]).collect()
}

fn seen_on_paper(paper: &Credential) -> Vec<String> {
    let texts = [
        ("class", &paper.credential_class),
        ("issuing_authority", &paper.issuing_authority),
        ("issuing_place", &paper.issuing_place),
        ("source_system", &paper.source_system),
        ("source_revision", &paper.source_revision),
    ];
    let mut seen = stated(texts);
    let dates = [("expires_on", paper.expires_on), ("status_since", paper.status_since)];
    seen.extend(dates.into_iter().filter(|(_, date)| date.is_some()).map(|(what, _)| what.to_owned()));
    seen.extend([format!("paper {}", paper.r#type), format!("paper status {}", paper.status)]);
    seen
}

fn stated<const N: usize>(texts: [(&str, &String); N]) -> Vec<String> {
    texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(what, _)| what.to_owned()).collect()
}

#[test]
fn the_proportions_are_those_stated() {
    type Property = fn(&Person) -> bool;
    fn has(p: &Person, kind: CredentialType) -> bool {
        p.credentials.iter().any(|paper| paper.r#type() == kind)
    }
    fn related(p: &Person, kind: RelationKind) -> bool {
        p.relations.iter().any(|r| r.kind() == kind && r.person_uid == 0 && !r.name.is_empty())
    }
    let deceased = |p: &Person| p.physical_status.is_some_and(|s| s.kind() == PhysicalStatusKind::Deceased);
    let level_2 = |p: &Person| p.eid_account.as_ref().is_some_and(|a| a.level() == EidLevel::EidLevel2);
    #[rustfmt::skip]
    let mut properties: [(&str, u64, Property, usize); 33] = [
        ("women", 500, |p| p.gender() == Gender::Female, 0),
        ("birth year only", 20, |p| p.birth_date.is_some_and(|d| d.month == 0), 0),
        ("CMND", 200, |p| !p.old_id_numbers.is_empty(), 0),
        ("cancelled id", 3, |p| !p.cancelled_personal_ids.is_empty(), 0),
        ("deceased", 30, deceased, 0),
        ("Nguyễn", 453, |p| p.birth_name.as_ref().is_some_and(|n| n.family == "Nguyễn"), 0),
        // 126 of 3,321 communes are in Hà Nội, which was not merged.
        ("Hà Nội", 38, |p| p.personal_id.starts_with("001"), 0),
        ("Kinh", 853, |p| p.ethnicity == "01", 0),
        ("Khmer", 14, |p| p.ethnicity == "05", 0),
        ("no religion", 760, |p| p.religion == "00", 0),
        ("blood type", 450, |p| (1..5).contains(&p.blood_type), 0),
        ("married", 520, |p| p.marital_status() == MaritalStatus::Married, 0),
        ("other names", 20, |p| !p.other_names.is_empty(), 0),
        ("father", 800, |p| related(p, RelationKind::Father), 0),
        ("mother", 900, |p| related(p, RelationKind::Mother), 0),
        ("card", 790, |p| has(p, CredentialType::IdentityCard) || has(p, CredentialType::CitizenIdCard), 0),
        ("driving licence", 380, |p| has(p, CredentialType::DrivingLicence), 0),
        ("health insurance", 920, |p| has(p, CredentialType::HealthInsurance), 0),
        ("social insurance", 250, |p| has(p, CredentialType::SocialInsurance), 0),
        ("passport", 150, |p| has(p, CredentialType::Passport), 0),
        ("tax code", 225, |p| has(p, CredentialType::TaxCode), 0),
        ("account of level 2", 590, level_2, 0),
        ("household", 970, |p| !p.residence_file_no.is_empty(), 0),
        ("temporary residence", 48, |p| !p.temporary_residences.is_empty(), 0),
        ("telephone", 700, |p| !p.phone_numbers.is_empty(), 0),
        ("mail", 195, |p| !p.email_addresses.is_empty(), 0),
        ("extension", 6, |p| !p.extensions.is_empty(), 0),
        ("two sources", 500, |p| p.provenance.len() == 2, 0),
        ("child", 18, |p| related(p, RelationKind::Child), 0),
        ("marriage certificate", 52, |p| has(p, CredentialType::MarriageCertificate), 0),
        ("vehicle", 58, |p| has(p, CredentialType::VehicleRegistration), 0),
        ("diploma", 73, |p| has(p, CredentialType::Education), 0),
        ("lives abroad", 5, |p| p.current_residence.as_ref().is_some_and(|home| !home.country.is_empty()), 0),
    ];
    for person in people(7) {
        for (_, _, property, count) in &mut properties {
            *count += usize::from(property(&person));
        }
    }
    for (what, per_mille, _, count) in &properties {
        println!("{what}: {} of 1,000, {per_mille} expected", *count as u64 * 1_000 / PEOPLE_TESTED);
    }
    for (what, per_mille, _, count) in properties {
        assert_share(what, count, per_mille);
    }
}

#[test]
fn the_living_are_in_households_with_one_head() {
    use HouseholdRole::{Child, Head, Spouse};
    let mut households: HashMap<String, Vec<Person>> = HashMap::new();
    for person in people(7) {
        let alive = person.physical_status.is_some_and(|s| s.kind() != PhysicalStatusKind::Deceased);
        assert_eq!(alive, !person.residence_file_no.is_empty());
        assert_eq!(alive, person.household_role() != HouseholdRole::Unspecified);
        households.entry(person.residence_file_no.clone()).or_default().push(person);
    }
    households.remove("");
    let (mut sizes, mut spouses) = ([0; 7], 0);
    for members in households.values() {
        sizes[members.len()] += 1;
        let head: Vec<_> = members.iter().filter(|p| p.household_role() == Head).collect();
        assert_eq!(head.len(), 1);
        let born = |p: &Person| p.birth_date.map_or(0, |date| date.year);
        let adults = members.iter().filter(|p| born(p) <= 2007).count();
        assert!(adults == 0 || born(head[0]) <= 2007, "a child is the head among adults");
        let spouse: Vec<_> = members.iter().filter(|p| p.household_role() == Spouse).collect();
        for (one, other) in spouse.iter().zip(&head).flat_map(|(a, b)| [(a, b), (b, a)]) {
            assert_eq!(one.marital_status(), MaritalStatus::Married);
            let stated = one.relations.iter().find(|r| r.kind() == RelationKind::Spouse).expect("stated");
            assert_eq!(stated.personal_id, other.personal_id);
        }
        spouses += spouse.len();
        assert!(spouse.len() <= 1);
        for member in members {
            assert_eq!(member.permanent_residence, head[0].permanent_residence);
            assert!(member.household_role() != Child || born(member) > born(head[0]));
        }
    }
    println!("households by size: {sizes:?}, couples: {spouses}");
    assert_eq!(sizes[0], 0);
    assert!(sizes[1..].iter().all(|&count| count > 7_000), "{sizes:?}");
    assert!(spouses > 5_000, "{spouses}");
}

#[test]
fn names_as_they_are_typed() {
    let population = Population::new(7);
    let (mut nfd, mut other_tone) = (0, 0);
    for index in 0..PEOPLE_TESTED {
        let registered = matching::full_name(&population.person(index).birth_name.expect("required"));
        let typed = population.claim_name(index);
        if !is_nfc(&typed) {
            assert_eq!(typed.nfc().collect::<String>(), registered);
            nfd += 1;
        } else if typed != registered {
            assert_eq!(names::other_tone_style(&typed), Some(registered));
            other_tone += 1;
        }
    }
    assert_share("NFD", nfd, 10);
    assert_share("other tone style", other_tone, 30);
}

#[test]
fn a_seed_gives_the_same_people_on_every_machine() {
    let population = Population::new(42);
    let mut hash = Sha256::new();
    for index in (0..1_000).chain(PEOPLE - 10..PEOPLE) {
        hash.update(population.person(index).encode_to_vec());
        hash.update(population.claim_name(index));
    }
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    // A change of this value changes every population that was ever made: seeds in reports lose their meaning.
    assert_eq!(digest, "4f88b410e386fc491f7314ab610a709ccce9ee2f07bdac721dc8b29458e29bf6");
    assert_eq!(population.person(PEOPLE + 5), population.person(5));
    assert_ne!(population.person(5), Population::new(43).person(5));
}
