//! Life events, and the keys by which they name people.

use serde::{Deserialize, Serialize};

use super::Person;
use super::date::Date;
use super::form::{self, Form, Kind, Shape, Texts, form};
use super::parts::{Address, CredentialKey, PersonName, Provenance, RelatedPerson};
use super::words::{Gender, HouseholdRole, ResidenceKind};
use crate::domain::error::rejection;
use crate::proto::registry as proto;
use crate::proto::registry::event::Event as Life;
use crate::proto::registry::person_key::Key;
use crate::proto::registry::{ErrorReason, Rejection};

/// How a person is named, under the name of the way: `{"personal_id": "001190000001"}`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Debug))]
#[serde(rename_all = "snake_case")]
pub enum PersonKey {
    /// The registry's id.
    PersonUid(u64),
    /// 12 digits.
    PersonalId(String),
    /// 9 digits.
    OldIdNumber(String),
    /// A paper or card.
    Credential(CredentialKey),
}

impl Form<Option<proto::PersonKey>> for Option<PersonKey> {
    fn into_proto(self) -> Option<proto::PersonKey> {
        let key = match self? {
            PersonKey::PersonUid(uid) => Key::PersonUid(uid),
            PersonKey::PersonalId(number) => Key::PersonalId(number),
            PersonKey::OldIdNumber(number) => Key::OldIdNumber(number),
            PersonKey::Credential(key) => Key::Credential(key.into()),
        };
        Some(proto::PersonKey { key: Some(key) })
    }

    fn from_proto(from: Option<proto::PersonKey>) -> Self {
        Some(match from?.key? {
            Key::PersonUid(uid) => PersonKey::PersonUid(uid),
            Key::PersonalId(number) => PersonKey::PersonalId(number),
            Key::OldIdNumber(number) => PersonKey::OldIdNumber(number),
            Key::Credential(key) => PersonKey::Credential(key.into()),
        })
    }
}

impl Texts for PersonKey {
    fn texts(&mut self, visit: &mut dyn FnMut(&mut String)) {
        match self {
            Self::PersonUid(_) => {}
            Self::PersonalId(number) | Self::OldIdNumber(number) => visit(number),
            Self::Credential(key) => key.texts(visit),
        }
    }
}

impl Shape for PersonKey {
    fn kind_at(path: &str) -> Option<Kind> {
        match form::first(path) {
            ("", _) => Some(Kind::Part),
            ("person_uid", rest) => u64::kind_at(rest),
            ("personal_id" | "old_id_number", rest) => String::kind_at(rest),
            ("credential", rest) => CredentialKey::kind_at(rest),
            _ => None,
        }
    }
}

form! {
    /// A personal id to be made.
    NewPersonalId of NewPersonalId {
        /// 3 digits.
        place_code: String,
    }
}

form! {
    /// A birth.
    Birth of Birth {
        /// The child.
        child: Option<Person>,
        /// Make the child's personal id.
        new_personal_id: Option<NewPersonalId>,
        /// The mother.
        mother: Option<PersonKey>,
        /// The father.
        father: Option<PersonKey>,
    }
}

form! {
    /// A death, or a declaration that somebody is missing.
    Death of Death {
        /// Who.
        person: Option<PersonKey>,
        /// The day.
        on: Option<Date>,
        /// A declaration that the person is missing.
        missing: bool,
    }
}

form! {
    /// A marriage.
    Marriage of Marriage {
        /// One of the two.
        one: Option<PersonKey>,
        /// The other, when registered.
        other: Option<PersonKey>,
        /// The other, when not registered.
        unregistered: Option<RelatedPerson>,
        /// The day.
        on: Option<Date>,
    }
}

form! {
    /// A divorce.
    Divorce of Divorce {
        /// One of the two.
        one: Option<PersonKey>,
        /// The other, when registered.
        other: Option<PersonKey>,
        /// The day.
        on: Option<Date>,
    }
}

form! {
    /// One of the people who move.
    Mover of Mover {
        /// Who.
        person: Option<PersonKey>,
        /// What the person is to the head of the new household.
        household_role: Option<HouseholdRole>,
    }
}

form! {
    /// A move.
    Move of Move {
        /// Who.
        movers: Vec<Mover>,
        /// Where to.
        to: Option<Address>,
        /// What the address becomes.
        kind: Option<ResidenceKind>,
        /// The residence file of the household they join or found.
        residence_file_no: String,
        /// From when, for a temporary residence.
        since: Option<Date>,
        /// Until when.
        until: Option<Date>,
    }
}

form! {
    /// A correction of name, gender or birth date.
    Correction of Correction {
        /// Whose.
        person: Option<PersonKey>,
        /// The name, when it changes.
        birth_name: Option<PersonName>,
        /// The gender, when it changes.
        gender: Option<Gender>,
        /// The birth date, when it changes.
        birth_date: Option<Date>,
        /// Make the new personal id.
        new_personal_id: Option<NewPersonalId>,
        /// The new personal id.
        personal_id: String,
    }
}

form! {
    /// An adoption.
    Adoption of Adoption {
        /// The child.
        child: Option<PersonKey>,
        /// The adoptive mother.
        mother: Option<PersonKey>,
        /// The adoptive father.
        father: Option<PersonKey>,
        /// The child's new name, when it changes.
        birth_name: Option<PersonName>,
    }
}

form! {
    /// One event, under the name of its kind, and where it is recorded.
    Event {
        /// A birth.
        birth: Option<Birth>,
        /// A death or a declaration that somebody is missing.
        death: Option<Death>,
        /// A marriage.
        marriage: Option<Marriage>,
        /// A divorce.
        divorce: Option<Divorce>,
        /// A move.
        r#move: Option<Move>,
        /// A correction.
        correction: Option<Correction>,
        /// An adoption.
        adoption: Option<Adoption>,
        /// Where it is recorded.
        source: Option<Provenance>,
    }
}

impl TryFrom<Event> for proto::Event {
    type Error = Rejection;

    fn try_from(from: Event) -> Result<Self, Rejection> {
        let kinds = [
            from.birth.map(|event| Life::Birth(event.into())),
            from.death.map(|event| Life::Death(event.into())),
            from.marriage.map(|event| Life::Marriage(event.into())),
            from.divorce.map(|event| Life::Divorce(event.into())),
            from.r#move.map(|event| Life::Move(event.into())),
            from.correction.map(|event| Life::Correction(event.into())),
            from.adoption.map(|event| Life::Adoption(event.into())),
        ];
        let mut kinds = kinds.into_iter().flatten();
        let (event, None) = (kinds.next(), kinds.next()) else { return Err(not_one()) };
        if event.is_none() {
            return Err(not_one());
        }
        Ok(Self { event, source: from.source.into_proto() })
    }
}

fn not_one() -> Rejection {
    let kinds = "birth, death, marriage, divorce, move, correction or adoption";
    rejection(ErrorReason::FieldInvalid, "", format!("name one event: {kinds}"))
}

impl From<proto::Event> for Event {
    fn from(from: proto::Event) -> Self {
        let mut event = Self { source: Form::from_proto(from.source), ..Self::default() };
        match from.event {
            None => {}
            Some(Life::Birth(birth)) => event.birth = Some(birth.into()),
            Some(Life::Death(death)) => event.death = Some(death.into()),
            Some(Life::Marriage(marriage)) => event.marriage = Some(marriage.into()),
            Some(Life::Divorce(divorce)) => event.divorce = Some(divorce.into()),
            Some(Life::Move(r#move)) => event.r#move = Some(r#move.into()),
            Some(Life::Correction(correction)) => event.correction = Some(correction.into()),
            Some(Life::Adoption(adoption)) => event.adoption = Some(adoption.into()),
        }
        event
    }
}
