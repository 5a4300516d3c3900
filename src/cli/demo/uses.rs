//! What Decision 06/QD-TTg asks of a population register, group by group: written at one province, asked at the other.

use super::narrator::Narrator;
use super::stage::Stage;
use super::steps::{PROVINCES, claim};
use crate::cli::Failure;
use crate::client::{Client, ClientError};
use crate::proto::registry::claim::Value as ClaimValue;
use crate::proto::registry::event::Event as Kind;
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{
    Address, Attribute, AttributeVerdict, CreatePerson, Credential, CredentialKey, CredentialType,
    CredentialVerdict, EidLevel, ErrorReason, Event, Gender, HouseholdRole, IdentifierLink, Marriage, Move,
    Mover, PartialDate, Person, PersonKey, PersonName, ReadOptions, ResidenceKind, Subject, UnitEdition,
    Verdict, VerifyCredentialRequest, VerifyHouseholdRequest,
};

/// A number of the range that was issued twice.
const TWICE: &str = "271499999";
/// A number that one person holds.
const ONCE: &str = "099999999";
/// The procedure that the tax office names.
const TAX: &str = "1.001612";
/// The day on which everything happens.
const TODAY: PartialDate = PartialDate { year: 2026, month: 6, day: 15 };

/// The three people of these steps.
struct People {
    minh: PersonKey,
    hoa: PersonKey,
    nam: PersonKey,
    minh_id: String,
    hoa_id: String,
}

impl Stage {
    /// Writes three people and what happens to them at one province, and asks for it at the other.
    pub async fn uses(&mut self, narrator: &mut Narrator) -> Result<(), Failure> {
        narrator.step("What Decision 06 asks of a register, group by group")?;
        let (here, there) = (self.clients[PROVINCES[0]].clone(), self.clients[PROVINCES[1]].clone());
        let people = register(&here).await?;
        identifiers(narrator, &there, &people).await?;
        facts(narrator, &there, &people).await?;
        licence(narrator, &here, &there, &people).await?;
        account(narrator, &here, &there, &people).await?;
        household(narrator, &here, &there, &people).await?;
        address(narrator, &there, &people).await?;
        for key in [people.minh, people.hoa, people.nam] {
            let person = there.read(key.clone(), ReadOptions::default()).await?.person.unwrap_or_default();
            self.written.push((key, person));
        }
        Ok(())
    }
}

/// Three people, two of whom hold one CMND number. The registry makes their personal ids.
async fn register(here: &Client) -> Result<People, Failure> {
    let minh = create(here, person("Minh", Gender::Male, &[ONCE])).await?;
    let hoa = create(here, person("Hoa", Gender::Female, &[TWICE])).await?;
    let nam = create(here, person("Nam", Gender::Male, &[TWICE])).await?;
    let mut ids = Vec::new();
    for key in [&minh, &hoa] {
        let made = here.generate_uin(here.context(), key.clone(), "024".to_owned()).await?;
        ids.push(made.written.unwrap_or_default().new_personal_id);
    }
    let [minh_id, hoa_id] = <[String; 2]>::try_from(ids).expect("two were made");
    Ok(People { minh, hoa, nam, minh_id, hoa_id })
}

async fn create(here: &Client, person: Person) -> Result<PersonKey, Failure> {
    let create = CreatePerson { person: Some(person), accept_existing: false };
    let written = here.create(here.context(), create).await?.written.unwrap_or_default();
    Ok(PersonKey { key: Some(Key::PersonUid(written.person_uid)) })
}

fn person(given: &str, gender: Gender, old_id_numbers: &[&str]) -> Person {
    let name =
        PersonName { family: "Nguyễn".to_owned(), middle: "Văn".to_owned(), given: given.to_owned() };
    Person {
        birth_name: Some(name),
        birth_date: Some(PartialDate { year: 1990, month: 5, day: 17 }),
        gender: gender.into(),
        old_id_numbers: old_id_numbers.iter().map(|&number| number.to_owned()).collect(),
        permanent_residence: Some(unit("24", UnitEdition::V63)),
        ethnicity: "01".to_owned(),
        ..Person::default()
    }
}

fn unit(code: &str, edition: UnitEdition) -> Address {
    Address { unit_code: code.to_owned(), unit_edition: edition.into(), ..Address::default() }
}

/// Group 1: the 9-digit number against the 12-digit one.
async fn identifiers(narrator: &mut Narrator, there: &Client, people: &People) -> Result<(), Failure> {
    use IdentifierLink::{Ambiguous, Linked, NotLinked};
    let mut links = Vec::new();
    for (number, id) in [(ONCE, &people.minh_id), (ONCE, &people.hoa_id), (TWICE, &people.hoa_id)] {
        let answer =
            there.verify_identifier_link(number.to_owned(), id.clone(), ReadOptions::default()).await?;
        links.push(answer.link());
    }
    let text =
        "procedures: a CMND number and a personal id are linked, or not, or the number was issued twice";
    narrator.holds(links == [Linked, NotLinked, Ambiguous], text)
}

/// Group 1: what a procedure needs, and no more.
async fn facts(narrator: &mut Narrator, there: &Client, people: &People) -> Result<(), Failure> {
    let answer =
        there.read_attribute_set(people.minh.clone(), TAX.to_owned(), ReadOptions::default()).await?;
    let fields = answer.set.unwrap_or_default().fields.len();
    let person = answer.person.unwrap_or_default();
    let given = person.personal_id == people.minh_id && person.birth_name.is_some();
    let kept = person.ethnicity.is_empty();
    let text =
        format!("procedures: the tax office reads the {fields} fields of its procedure, and nothing else");
    narrator.holds(given && kept, &text)
}

/// Group 1: a paper that nobody shows any more.
async fn licence(
    narrator: &mut Narrator,
    here: &Client,
    there: &Client,
    people: &People,
) -> Result<(), Failure> {
    let named = CredentialKey {
        r#type: CredentialType::DrivingLicence.into(),
        number: format!("24{}", &people.minh_id[2..]),
    };
    let licence = Credential {
        r#type: named.r#type,
        number: named.number.clone(),
        credential_class: "B1".to_owned(),
        issued_on: Some(PartialDate { year: 2020, month: 1, day: 10 }),
        expires_on: Some(PartialDate { year: 2030, month: 1, day: 9 }),
        ..Credential::default()
    };
    here.issue_credential(here.context(), people.minh.clone(), licence).await?;
    let valid = in_force(there, &named).await?;
    here.suspend_credential(here.context(), named.clone(), TODAY).await?;
    let suspended = in_force(there, &named).await?;
    let held = valid == (CredentialVerdict::InForce, true) && suspended.0 == CredentialVerdict::Suspended;
    narrator.holds(
        held,
        "papers: a driving licence is verified by its number, its holder by name; then suspended",
    )
}

/// Whether a licence is in force today, and everything about its holder is right.
async fn in_force(
    there: &Client,
    credential: &CredentialKey,
) -> Result<(CredentialVerdict, bool), ClientError> {
    let request = VerifyCredentialRequest {
        credential: Some(credential.clone()),
        on: Some(TODAY),
        holder_claims: vec![claim(Attribute::FullName, ClaimValue::Text("nguyễn văn minh".to_owned()))],
        ..VerifyCredentialRequest::default()
    };
    let answer = there.verify_credential(request).await?;
    Ok((answer.verdict(), answer.all_match))
}

/// Group 3: the electronic identity.
async fn account(
    narrator: &mut Narrator,
    here: &Client,
    there: &Client,
    people: &People,
) -> Result<(), Failure> {
    let minh = &people.minh;
    let card = Credential {
        r#type: CredentialType::IdentityCard.into(),
        number: people.minh_id.clone(),
        ..Credential::default()
    };
    here.issue_credential(here.context(), minh.clone(), card).await?;
    here.set_eid_level(here.context(), minh.clone(), EidLevel::EidLevel2, TODAY).await?;
    let used = there.use_eid(minh.clone(), ReadOptions::default()).await?.account.unwrap_or_default();
    here.lock_eid(here.context(), minh.clone(), "telephone lost".to_owned()).await?;
    let refused = there.use_eid(minh.clone(), ReadOptions::default()).await;
    let refused = refused.is_err_and(|error| error.reason() == ErrorReason::EidLocked);
    let text =
        "digital citizens: an account of level 2 is used, locked at one province, refused at the other";
    narrator.holds(used.level() == EidLevel::EidLevel2 && refused, text)
}

/// Group 1: a household.
async fn household(
    narrator: &mut Narrator,
    here: &Client,
    there: &Client,
    people: &People,
) -> Result<(), Failure> {
    let couple = Marriage {
        one: Some(people.minh.clone()),
        other: Some(people.hoa.clone()),
        on: Some(TODAY),
        ..Marriage::default()
    };
    commit(here, Kind::Marriage(couple)).await?;
    let mover = |key: &PersonKey, role: HouseholdRole| Mover {
        person: Some(key.clone()),
        household_role: role.into(),
    };
    let home = Move {
        movers: vec![mover(&people.minh, HouseholdRole::Head), mover(&people.hoa, HouseholdRole::Spouse)],
        to: Some(unit("24", UnitEdition::V63)),
        kind: ResidenceKind::Permanent.into(),
        residence_file_no: format!("HK{}", people.minh_id),
        ..Move::default()
    };
    commit(here, Kind::Move(home)).await?;
    let request = VerifyHouseholdRequest {
        person: Some(people.hoa.clone()),
        other: Some(people.minh.clone()),
        role: HouseholdRole::Spouse.into(),
        other_role: HouseholdRole::Head.into(),
        ..VerifyHouseholdRequest::default()
    };
    let together = there.verify_household(request.clone()).await?;
    let stranger = VerifyHouseholdRequest { other: Some(people.nam.clone()), other_role: 0, ..request };
    let apart = there.verify_household(stranger).await?;
    let held = together.all_match && !apart.all_match;
    narrator
        .holds(held, "procedures: two people marry and found a household, and no paper is needed to prove it")
}

async fn commit(here: &Client, kind: Kind) -> Result<(), Failure> {
    here.commit_event(here.context(), Event { event: Some(kind), source: None }).await?;
    Ok(())
}

/// Group 4: units before and after the merger of 2025. 24 was Bắc Giang and is Bắc Ninh, of which Bắc Giang is a part;
/// 27 was Bắc Ninh alone. The record keeps the code that it was written with, and answers in either edition.
async fn address(narrator: &mut Narrator, there: &Client, people: &People) -> Result<(), Failure> {
    let at = |code, edition| claim(Attribute::PermanentResidence, ClaimValue::Address(unit(code, edition)));
    let claims = vec![at("24", UnitEdition::V63), at("24", UnitEdition::V34), at("27", UnitEdition::V63)];
    let subject = Subject { key: Some(people.minh.clone()), claims };
    let answer = there.verify(subject, ReadOptions::default()).await?;
    let verdicts: Vec<Verdict> = answer.verdicts.iter().map(AttributeVerdict::verdict).collect();
    let mut read = Vec::new();
    for edition in [UnitEdition::V63, UnitEdition::V34, UnitEdition::Unspecified] {
        let options = ReadOptions { unit_edition: edition.into(), ..ReadOptions::default() };
        let person = there.read(people.minh.clone(), options).await?.person.unwrap_or_default();
        read.push(person.permanent_residence.unwrap_or_default().unit_edition());
    }
    let held = verdicts == [Verdict::Match, Verdict::Match, Verdict::NoMatch]
        && read == [UnitEdition::V63, UnitEdition::V34, UnitEdition::V63];
    narrator
        .holds(held, "ecosystem: one address answers in the 63 and in the 34 provinces, reused codes apart")
}
