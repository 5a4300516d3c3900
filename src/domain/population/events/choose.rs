//! What happens next: a kind of event by its weight, people who are mostly fit for it, and days that mostly are.

use super::Events;
use super::rules::FUTURE;
use super::world::Known;
use crate::domain::date::days_in_month;
use crate::domain::identifier;
use crate::domain::population::names;
use crate::proto::registry::change_credential::Change;
use crate::proto::registry::event::Event as Life;
use crate::proto::registry::person_key::Key;
use crate::proto::registry::write::Write as Kind;
use crate::proto::registry::{
    Address, Adoption, AssignPersonalId, Birth, CancelPersonalId, ChangeCredential, ChangeEid, Correction,
    CreatePerson, Credential, CredentialKey, CredentialStatus, CredentialStatusChange, CredentialType, Death,
    Divorce, EidLevel, EidState, Event, Gender, HouseholdRole, Marriage, MergePersons, Move, Mover,
    NewPersonalId, PartialDate, Person, PersonKey, PersonStatus, ResidenceKind, SetPersonStatus, UnitEdition,
    Write,
};

/// The place code of the numbers that the registry makes here, and of no number that is given.
pub(super) const MADE_PLACE: &str = "001";
/// The place code of the numbers that are given.
const GIVEN_PLACE: &str = "900";
/// People without parents that come first, so that there is somebody to whom things can happen.
const FOUNDERS: u64 = 100;

impl Events {
    /// The next event.
    pub(super) fn choose(&mut self) -> Write {
        let die = if self.world.people() < FOUNDERS { 0 } else { self.random.below(100) };
        let write = match die {
            0..8 => self.founder(),
            8..28 => self.birth(),
            28..40 => self.marriage(),
            40..44 => self.divorce(),
            44..51 => self.death(),
            51..66 => self.moving(),
            66..73 => self.correction(),
            73..77 => self.adoption(),
            77..80 => self.merge(),
            80..83 => self.status(),
            83..87 => self.number(),
            87..94 => self.credential(),
            _ => self.account(),
        };
        Write { write: Some(write) }
    }

    /// Somebody fit, or in one of ten cases anybody, or nobody at all.
    fn pick(&mut self, fit: impl Fn(&Known) -> bool) -> u64 {
        let people = self.world.people();
        let any = 1 + self.random.below(people + 1);
        if self.random.percent(10) {
            return any;
        }
        let tries: Vec<u64> = (0..24).map(|_| 1 + self.random.below(people)).collect();
        let fit = |uid: &u64| self.world.person(*uid).is_some_and(&fit);
        tries.into_iter().find(fit).unwrap_or(any)
    }

    fn known(&self, uid: u64) -> Known {
        self.world.person(uid).cloned().unwrap_or_default()
    }

    /// A day so many years after a year, at the latest in 2025; one of a hundred lies in the future.
    fn day(&mut self, year: u32, after: std::ops::Range<u32>) -> PartialDate {
        let years = after.start + self.random.one_to(after.end - after.start) - 1;
        let year = if self.random.percent(1) { FUTURE } else { (year.max(1930) + years).min(2025) };
        let month = self.random.one_to(12);
        PartialDate { year, month, day: self.random.one_to(days_in_month(year, month)) }
    }

    fn gender(&mut self) -> Gender {
        if self.random.percent(50) { Gender::Male } else { Gender::Female }
    }

    /// A number that nobody has, or in one of thirty cases one that somebody had or has.
    fn given_id(&mut self, gender: Gender, year: u32) -> String {
        if self.random.percent(3)
            && let Some(known) = self.world.person(self.random.one_to(50).into())
            && let Some(id) =
                known.cancelled.iter().chain(&known.id).find(|id| (id.year, id.gender) == (year, gender))
            && let Some(number) = &id.number
        {
            return number.clone();
        }
        self.given += 1;
        let start = identifier::start(GIVEN_PLACE, gender, year).expect("a year from 1930, and a gender");
        format!("{start}{:06}", self.given)
    }

    fn person(&mut self, year: u32, after: std::ops::Range<u32>) -> Person {
        let gender = self.gender();
        let born = self.day(year, after);
        let mut old_id_numbers = Vec::new();
        if self.random.percent(10) {
            old_id_numbers.push(format!("27145{:04}", self.random.below(1000)));
        }
        Person {
            birth_name: Some(names::choose(&mut self.random, gender)),
            birth_date: Some(born),
            gender: gender.into(),
            old_id_numbers,
            permanent_residence: Some(self.address()),
            ..Person::default()
        }
    }

    fn address(&mut self) -> Address {
        let detail = format!("Số {}", self.random.one_to(1_000));
        Address {
            unit_code: "79".to_owned(),
            unit_edition: UnitEdition::V34.into(),
            detail,
            country: String::new(),
        }
    }

    fn founder(&mut self) -> Kind {
        let mut person = self.person(1930, 0..50);
        let (gender, year) = (person.gender(), person.birth_date.map_or(0, |born| born.year));
        // The bad luck of a day in the future needs no number.
        if year < FUTURE && self.random.percent(80) {
            person.personal_id = self.given_id(gender, year);
        }
        Kind::Create(CreatePerson { person: Some(person), accept_existing: false })
    }

    fn birth(&mut self) -> Kind {
        let mother =
            self.pick(|known| known.gender == Gender::Female && known.gone.is_none() && known.in_use());
        let (year, husband) = (self.known(mother).born.year, self.known(mother).spouse);
        let father = husband.filter(|_| self.random.percent(90)).unwrap_or_else(|| {
            self.pick(|known| known.gender == Gender::Male && known.in_use() && known.born.year < 1990)
        });
        let child = self.person(year, 18..45);
        let new_personal_id =
            (child.birth_date.is_some_and(|born| born.year < FUTURE) && self.random.percent(70)).then(made);
        let mother = self.random.percent(95).then(|| key(mother));
        let father = self.random.percent(80).then(|| key(father));
        event(Life::Birth(Birth { child: Some(child), new_personal_id, mother, father }))
    }

    fn marriage(&mut self) -> Kind {
        let single = |known: &Known| known.spouse.is_none() && known.gone.is_none() && known.in_use();
        let man = self.pick(|known| single(known) && known.gender == Gender::Male);
        let woman = self.pick(|known| single(known) && known.gender == Gender::Female);
        let year = self.known(man).born.year.max(self.known(woman).born.year);
        let (one, other) = if self.random.percent(50) { (man, woman) } else { (woman, man) };
        let on = Some(self.day(year, 19..60));
        event(Life::Marriage(Marriage {
            one: Some(key(one)),
            other: Some(key(other)),
            unregistered: None,
            on,
        }))
    }

    fn divorce(&mut self) -> Kind {
        let one = self.pick(|known| known.spouse.is_some() && known.in_use());
        let other = self.known(one).spouse.unwrap_or_else(|| 1 + self.random.below(self.world.people()));
        let on = Some(self.day(self.known(one).born.year, 20..70));
        event(Life::Divorce(Divorce { one: Some(key(one)), other: Some(key(other)), on }))
    }

    fn death(&mut self) -> Kind {
        let uid = self.pick(|known| known.gone.is_none() && known.in_use());
        let missing = self.random.percent(15);
        let from = if self.random.percent(90) { 1 } else { 0 };
        let on = Some(self.day(self.known(uid).born.year, from..80));
        event(Life::Death(Death { person: Some(key(uid)), on, missing }))
    }

    fn moving(&mut self) -> Kind {
        let there = |known: &Known| known.in_use() && !known.is_dead();
        let kind = match self.random.below(10) {
            0..6 => ResidenceKind::Permanent,
            6..8 => ResidenceKind::Temporary,
            _ => ResidenceKind::Current,
        };
        let mut residence_file_no = String::new();
        let founds = self.random.percent(60);
        if kind == ResidenceKind::Permanent && self.random.percent(90) {
            // A few files are crowded: that is where the bound of 64 people is met.
            let file = match self.random.below(10) {
                0 => 0,
                _ if founds || self.files == 0 => {
                    self.files += 1;
                    self.files
                }
                _ => self.random.one_to(self.files),
            };
            residence_file_no = format!("HK{file:06}");
        }
        let count = if residence_file_no == "HK000000" { 4 } else { self.random.one_to(4) };
        let mut movers = Vec::new();
        for i in 0..count {
            let household_role = match (residence_file_no.is_empty(), i) {
                (true, _) => HouseholdRole::Unspecified,
                (false, 0) if founds || self.random.percent(20) => HouseholdRole::Head,
                _ => HouseholdRole::OtherRelative,
            };
            let person = Some(key(self.pick(there)));
            movers.push(Mover { person, household_role: household_role.into() });
        }
        let to = Some(self.address());
        event(Life::Move(Move { movers, to, kind: kind.into(), residence_file_no, since: None, until: None }))
    }

    fn correction(&mut self) -> Kind {
        let uid = self.pick(Known::in_use);
        let known = self.known(uid);
        let mut correction = Correction { person: Some(key(uid)), ..Correction::default() };
        let mut due = false;
        match self.random.below(10) {
            0..4 => correction.birth_name = Some(names::choose(&mut self.random, known.gender)),
            4..6 => {
                let gender = if known.gender == Gender::Male { Gender::Female } else { Gender::Male };
                correction.set_gender(gender);
                due = known.id.is_some();
            }
            _ => {
                let born = self.day(known.born.year, 0..2);
                correction.birth_date = Some(born);
                due = known.id.is_some_and(|id| id.year != born.year);
            }
        }
        // Now and then what is due is forgotten, or given where nothing is.
        if due != self.random.percent(5) {
            let gender =
                if correction.gender() == Gender::Unspecified { known.gender } else { correction.gender() };
            let year = correction.birth_date.unwrap_or(known.born).year;
            if self.random.percent(50) || !(1900..FUTURE).contains(&year) || gender == Gender::Unspecified {
                correction.new_personal_id = Some(made());
            } else {
                correction.personal_id = self.given_id(gender, year);
            }
        }
        event(Life::Correction(correction))
    }

    fn adoption(&mut self) -> Kind {
        let child = self.pick(|known| known.gone.is_none() && known.in_use());
        let year = self.known(child).born.year;
        let grown = |known: &Known, gender| {
            known.gender == gender && known.gone.is_none() && known.in_use() && known.born.year < year
        };
        let both = self.random.below(3);
        let mother = (both != 1).then(|| key(self.pick(|known| grown(known, Gender::Female))));
        let father = (both != 0).then(|| key(self.pick(|known| grown(known, Gender::Male))));
        let birth_name = self.random.percent(30).then(|| names::choose(&mut self.random, Gender::Male));
        event(Life::Adoption(Adoption { child: Some(key(child)), mother, father, birth_name }))
    }

    fn merge(&mut self) -> Kind {
        let survivor = self.pick(Known::in_use);
        let gender = self.known(survivor).gender;
        let duplicate = self.pick(|known| known.in_use() && known.gender == gender && known.relatives() < 2);
        Kind::Merge(MergePersons { survivor: Some(key(survivor)), duplicate: Some(key(duplicate)) })
    }

    /// Records go out of use, and most of them come back.
    fn status(&mut self) -> Kind {
        let back = self.random.percent(60);
        let uid = self.pick(|known| known.inactive == back && known.merged_into.is_none());
        let status = if back { PersonStatus::Active } else { PersonStatus::Inactive };
        Kind::SetStatus(SetPersonStatus { key: Some(key(uid)), status: status.into() })
    }

    fn number(&mut self) -> Kind {
        if self.random.percent(30) {
            let uid =
                self.pick(|known| known.in_use() && known.id.as_ref().is_some_and(|id| id.number.is_some()));
            let number = self.known(uid).id.and_then(|id| id.number);
            let personal_id =
                number.unwrap_or_else(|| format!("{GIVEN_PLACE}{:09}", self.random.below(1_000_000)));
            return Kind::CancelPersonalId(CancelPersonalId { personal_id });
        }
        let replace = self.random.percent(30);
        let uid = self.pick(|known| known.in_use() && known.id.is_some() == replace);
        Kind::AssignPersonalId(AssignPersonalId {
            key: Some(key(uid)),
            new_personal_id: Some(made()),
            replace,
        })
    }

    fn credential(&mut self) -> Kind {
        let change = |change, key| Kind::Credential(ChangeCredential { change: Some(change), key });
        if self.random.percent(60) {
            let uid = self.pick(|known| known.in_use() && !known.is_dead());
            let other = u64::from(self.random.one_to(100));
            let taken = self.known(other).credentials.into_keys().next();
            let number = taken.filter(|_| self.random.percent(5));
            self.given += 1;
            let number = number.unwrap_or_else(|| format!("A{:07}", self.given));
            let card = CredentialType::IdentityCard.into();
            return change(
                Change::Issue(Credential { r#type: card, number, ..Credential::default() }),
                Some(key(uid)),
            );
        }
        let uid = self.pick(|known| known.in_use() && !known.credentials.is_empty());
        let known = self.known(uid);
        let number = known.credentials.into_keys().next().unwrap_or_else(|| "A".to_owned());
        let status = match self.random.below(6) {
            0..3 => CredentialStatus::Suspended,
            3..5 => CredentialStatus::Valid,
            _ => CredentialStatus::Revoked,
        };
        let since = Some(self.day(known.born.year, 14..60));
        let credential = Some(CredentialKey { r#type: CredentialType::IdentityCard.into(), number });
        change(Change::Status(CredentialStatusChange { credential, status: status.into(), since }), None)
    }

    fn account(&mut self) -> Kind {
        let uid = self.pick(|known| known.in_use() && known.gone.is_none() && !known.credentials.is_empty());
        let mut eid = ChangeEid { key: Some(key(uid)), ..ChangeEid::default() };
        match self.random.below(10) {
            0..5 => {
                eid.set_level(if self.random.percent(60) {
                    EidLevel::EidLevel2
                } else {
                    EidLevel::EidLevel1
                });
                eid.on = Some(self.day(self.known(uid).born.year, 5..60));
            }
            5..8 => {
                eid.set_state(EidState::Locked);
                "telephone lost".clone_into(&mut eid.lock_reason);
            }
            _ => eid.set_state(EidState::Unlocked),
        }
        Kind::Eid(eid)
    }
}

fn event(event: Life) -> Kind {
    Kind::Event(Event { event: Some(event), source: None })
}

fn key(uid: u64) -> PersonKey {
    PersonKey { key: Some(Key::PersonUid(uid)) }
}

fn made() -> NewPersonalId {
    NewPersonalId { place_code: MADE_PLACE.to_owned() }
}
