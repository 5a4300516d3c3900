//! Papers and cards, the electronic identity account, and where a record comes from.
//!
//! Each kind of paper numbers the people by a permutation of its own, so that no two of a kind share a number. Cards
//! that carry the personal id have that for their number, as the real ones do.

use super::numbers::{SplitMix64, mix, permute};
use super::{Part, Place, Population, day_in};
use crate::proto::registry::{
    Credential, CredentialStatus, CredentialType, EidAccountState, EidLevel, EidState, MaritalStatus,
    PartialDate, Person, PersonField, Provenance,
};

/// The year in which the population is looked at.
const NOW: u32 = 2025;
/// From when on people have a card.
const CARD_AGE: u32 = 14;
const OF_AGE: u32 = 18;
/// At these ages cards are renewed; the last one is for life.
const RENEWALS: [u32; 3] = [25, 40, 60];

/// What a birth certificate states.
const FROM_BIRTH: [PersonField; 5] = [
    PersonField::BirthName,
    PersonField::BirthDate,
    PersonField::Gender,
    PersonField::BirthPlace,
    PersonField::BirthRegistrationPlace,
];

impl Population {
    /// All of it.
    pub(super) fn add_papers(&self, place: &Place, person: &mut Person) {
        let mut random = self.random(place.index, Part::Papers);
        let age = place.age();
        let mut papers = Vec::new();
        if age >= CARD_AGE && random.percent(97) {
            papers.push(card(&mut random, place, person));
        }
        if age >= OF_AGE && random.percent(50) {
            papers.push(self.licence(&mut random, place));
        }
        if random.percent(92) {
            papers.push(self.health_insurance(place));
        }
        if (OF_AGE..=62).contains(&age) && random.percent(40) {
            papers.push(self.social_insurance(&mut random, place));
        }
        if random.percent(15) {
            papers.push(self.passport(&mut random, place));
        }
        if age >= OF_AGE && random.percent(30) {
            papers.push(self.numbered(CredentialType::TaxCode, place, |number| format!("8{number:09}")));
        }
        if age < CARD_AGE && random.percent(80) {
            papers.push(self.birth_certificate(place, person));
        }
        self.add_others(place, person, &mut papers);
        let has_card =
            age >= CARD_AGE && papers.first().is_some_and(|paper| paper.number == person.personal_id);
        person.credentials = papers;
        if has_card {
            person.eid_account = self.account(place);
        }
        self.add_provenance(place, person);
    }

    /// A paper of a kind with a number that nobody else has on one of that kind.
    fn numbered(
        &self,
        kind: CredentialType,
        place: &Place,
        number: impl FnOnce(u64) -> String,
    ) -> Credential {
        Credential {
            r#type: kind.into(),
            number: number(permute(mix(self.seed ^ kind as u64), place.index)),
            status: CredentialStatus::Valid.into(),
            ..Credential::default()
        }
    }

    /// For ten years, but that for motorcycles for life. One in a hundred is suspended, one in two hundred revoked.
    fn licence(&self, random: &mut SplitMix64, place: &Place) -> Credential {
        let class = ["A1", "A1", "A1", "A1", "A1", "A", "B", "B", "B", "C1"][random.index(10)];
        let issued = recently(random, place, OF_AGE, 2016);
        let mut licence = self.numbered(CredentialType::DrivingLicence, place, |number| {
            format!("{}{number:09}", place.province())
        });
        licence.credential_class = class.to_owned();
        licence.issuing_authority = "Sở Giao thông vận tải".to_owned();
        licence.source_system = "gplx".to_owned();
        licence.source_revision = issued.year.to_string();
        licence.issued_on = Some(issued);
        licence.expires_on = (!class.starts_with('A')).then(|| years_after(&issued, 10));
        let status = match random.below(200) {
            0 => CredentialStatus::Revoked,
            1 | 2 => CredentialStatus::Suspended,
            _ => return licence,
        };
        licence.set_status(status);
        licence.status_since = Some(PartialDate { year: NOW, month: 0, day: 0 });
        licence
    }

    fn health_insurance(&self, place: &Place) -> Credential {
        // The number of the social insurance book is the person's in both.
        let number = permute(mix(self.seed ^ CredentialType::SocialInsurance as u64), place.index);
        let class = match place.age() {
            0..6 => "TE1",
            6..CARD_AGE => "HS4",
            CARD_AGE..62 => "DN4",
            _ => "HT3",
        };
        Credential {
            number: format!("{number:010}"),
            credential_class: class.to_owned(),
            issuing_authority: "Bảo hiểm xã hội Việt Nam".to_owned(),
            expires_on: Some(PartialDate { year: NOW + 1, month: 12, day: 31 }),
            ..self.numbered(CredentialType::HealthInsurance, place, |_| String::new())
        }
    }

    fn social_insurance(&self, random: &mut SplitMix64, place: &Place) -> Credential {
        let kind = CredentialType::SocialInsurance;
        let mut book = self.numbered(kind, place, |number| format!("{number:010}"));
        book.issuing_authority = "Bảo hiểm xã hội Việt Nam".to_owned();
        book.issued_on = Some(recently(random, place, OF_AGE, 2000));
        book
    }

    fn passport(&self, random: &mut SplitMix64, place: &Place) -> Credential {
        // A letter and eight digits: two letters are enough for all.
        let number = |number: u64| {
            format!("{}{:08}", ["C", "P"][usize::from(number >= 100_000_000)], number % 100_000_000)
        };
        let mut passport = self.numbered(CredentialType::Passport, place, number);
        let issued = recently(random, place, 0, 2016);
        let years = if issued.year < place.group.year + CARD_AGE { 5 } else { 10 };
        passport.issuing_authority = "Cục Quản lý xuất nhập cảnh".to_owned();
        passport.issuing_place = "Hà Nội".to_owned();
        passport.issued_on = Some(issued);
        passport.expires_on = Some(years_after(&issued, years));
        passport
    }

    /// Papers that few have, or that few registers know of. Those of foreigners are nobody's here.
    fn add_others(&self, place: &Place, person: &Person, papers: &mut Vec<Credential>) {
        use CredentialType as Type;
        let mut random = self.random(place.index, Part::OtherPapers);
        let age = place.age();
        let married = person.marital_status() == MaritalStatus::Married;
        // Who may have one, how many of a hundred of those do, and at what age they got it at the earliest.
        let kinds = [
            (Type::Cmnd12, (28..60).contains(&age), 1, CARD_AGE),
            (Type::MarriageCertificate, married, 10, 20),
            (Type::VehicleRegistration, age >= OF_AGE, 8, OF_AGE),
            (Type::PractisingCertificate, (24..70).contains(&age), 1, 24),
            (Type::Vaccination, age < CARD_AGE, 30, 0),
            (Type::HealthCertificate, age >= OF_AGE, 2, OF_AGE),
            (Type::Education, age >= OF_AGE, 10, OF_AGE),
            (Type::CivilServant, (22..62).contains(&age), 2, 22),
        ];
        for (kind, may, share, since) in kinds {
            if may && random.percent(share) {
                let paper = self.numbered(kind, place, |number| format!("{}-{number:09}", place.province()));
                papers
                    .push(Credential { issued_on: Some(recently(&mut random, place, since, 1990)), ..paper });
            }
        }
    }

    fn birth_certificate(&self, place: &Place, person: &Person) -> Credential {
        let year = place.group.year;
        let mut paper =
            self.numbered(CredentialType::BirthCertificate, place, |number| format!("{number}/{year}"));
        paper.issued_on = person.birth_date.map(|born| PartialDate { month: 0, day: 0, ..born });
        paper
    }

    /// Three in four of those with a card have level 2, one in ten level 1. That of the dead is locked.
    fn account(&self, place: &Place) -> Option<EidAccountState> {
        let mut random = self.random(place.index, Part::Account);
        let level = match random.below(20) {
            0..15 => EidLevel::EidLevel2,
            15..17 => EidLevel::EidLevel1,
            _ => return None,
        };
        let reason = match (self.is_alive(place.index), random.below(200)) {
            (false, _) => "deceased",
            (true, 0) => "at the holder's request",
            _ => "",
        };
        let state = if reason.is_empty() { EidState::Unlocked } else { EidState::Locked };
        let lock_reason = reason.to_owned();
        Some(EidAccountState { level: level.into(), state: state.into(), lock_reason })
    }

    /// Everybody was entered by the police of some commune; of half, the birth certificate was seen.
    fn add_provenance(&self, place: &Place, person: &mut Person) {
        let mut random = self.random(place.index, Part::Provenance);
        let year = place.group.year.max(2017 + random.one_to(6));
        let commune = person.permanent_residence.as_ref().map_or("", |home| home.unit_code.as_str());
        person.provenance.push(Provenance {
            source_system: "residence".to_owned(),
            document: "DC01".to_owned(),
            agency: format!("G01.{commune}"),
            date: Some(day_in(&mut random, year)),
            fields: Vec::new(),
        });
        if random.percent(50) {
            let (number, year) = (random.one_to(400), place.group.year);
            person.provenance.push(Provenance {
                source_system: "civil-status".to_owned(),
                document: format!("GKS {number}/{year}"),
                agency: "G15".to_owned(),
                date: Some(PartialDate { year, month: 0, day: 0 }),
                fields: FROM_BIRTH.map(i32::from).to_vec(),
            });
        }
    }
}

/// The card of the law of 2014, or that of 2023 when it was issued since July 2024.
fn card(random: &mut SplitMix64, place: &Place, person: &Person) -> Credential {
    let issued = recently(random, place, CARD_AGE, 2021);
    let new = (issued.year, issued.month) >= (2024, 7);
    let (kind, authority) = if new {
        (CredentialType::IdentityCard, "Bộ Công an")
    } else {
        (CredentialType::CitizenIdCard, "Cục Cảnh sát quản lý hành chính về trật tự xã hội")
    };
    let born = person.birth_date.unwrap_or(issued);
    let renewal = RENEWALS.iter().find(|&&age| issued.year < place.group.year + age);
    Credential {
        r#type: kind.into(),
        number: person.personal_id.clone(),
        issuing_authority: authority.to_owned(),
        issued_on: Some(issued),
        expires_on: renewal.map(|&age| years_after(&born, age)),
        status: CredentialStatus::Valid.into(),
        ..Credential::default()
    }
}

/// A day since a year, and since the person was of an age.
fn recently(random: &mut SplitMix64, place: &Place, age: u32, since: u32) -> PartialDate {
    let first = since.max(place.group.year + age).min(NOW);
    let year = first - 1 + random.one_to(NOW - first + 1);
    day_in(random, year)
}

/// The same day years later; 28 February for 29 February, which that year need not have.
fn years_after(date: &PartialDate, years: u32) -> PartialDate {
    let day = if (date.month, date.day) == (2, 29) { 28 } else { date.day };
    PartialDate { year: date.year + years, month: date.month, day }
}
