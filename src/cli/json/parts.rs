//! The parts of a person's JSON form.

use serde::{Deserialize, Serialize};

use super::date::Date;
use super::form::{self, Form, Kind, Shape, Texts, form};
use super::words::{
    CredentialStatus, CredentialType, EidLevel, EidState, PersonField, PhysicalStatusKind, RelationKind,
    UnitEdition,
};
use crate::proto::registry as proto;

form! {
    /// A name in three parts.
    PersonName of PersonName {
        /// Family name.
        family: String,
        /// Middle name.
        middle: String,
        /// Given name.
        given: String,
    }
}

form! {
    /// An address.
    Address of Address {
        /// Code of the administrative unit.
        unit_code: String,
        /// The list that the code belongs to.
        unit_edition: Option<UnitEdition>,
        /// House, street, hamlet.
        detail: String,
        /// ISO 3166-1 alpha-2.
        country: String,
    }
}

form! {
    /// Whether the person is alive.
    PhysicalStatus of PhysicalStatus {
        /// The status.
        kind: Option<PhysicalStatusKind>,
        /// Date of death or of the declaration.
        since: Option<Date>,
    }
}

form! {
    /// A related person: a link by uid, or what a paper said.
    RelatedPerson of RelatedPerson {
        /// What they are.
        kind: Option<RelationKind>,
        /// The registry's id of the person when it is a link.
        person_uid: u64,
        /// Name as stated.
        name: String,
        /// Personal id as stated.
        personal_id: String,
        /// CMND number as stated.
        old_id_number: String,
        /// ISO 3166-1 alpha-2.
        nationality: String,
    }
}

form! {
    /// A temporary residence.
    TemporaryResidence of TemporaryResidence {
        /// Where.
        address: Option<Address>,
        /// From when.
        since: Option<Date>,
        /// Until when.
        until: Option<Date>,
    }
}

form! {
    /// A declaration of absence.
    AbsenceDeclaration of AbsenceDeclaration {
        /// From when.
        since: Option<Date>,
        /// Until when.
        until: Option<Date>,
    }
}

form! {
    /// A paper or card.
    Credential of Credential {
        /// Its kind.
        r#type: Option<CredentialType>,
        /// Its number.
        number: String,
        /// Its class.
        credential_class: String,
        /// Who issued it.
        issuing_authority: String,
        /// Where it was issued.
        issuing_place: String,
        /// Since when it is valid.
        issued_on: Option<Date>,
        /// The last day it is valid on.
        expires_on: Option<Date>,
        /// What became of it.
        status: Option<CredentialStatus>,
        /// Since when it has that status.
        status_since: Option<Date>,
        /// The system that keeps the original.
        source_system: String,
        /// That system's version of it.
        source_revision: String,
    }
}

form! {
    /// Names one paper or card.
    CredentialKey of CredentialKey {
        /// Its kind.
        r#type: Option<CredentialType>,
        /// Its number.
        number: String,
    }
}

form! {
    /// An electronic identity account.
    EidAccount of EidAccountState {
        /// Its level.
        level: Option<EidLevel>,
        /// Whether it may be used.
        state: Option<EidState>,
        /// Why it is locked.
        lock_reason: String,
    }
}

form! {
    /// Where values come from.
    Provenance of Provenance {
        /// The system that delivered them.
        source_system: String,
        /// The paper that proves them.
        document: String,
        /// The agency that stated them.
        agency: String,
        /// The date of the paper.
        date: Option<Date>,
        /// The fields it vouches for; none means all.
        fields: Vec<PersonField>,
    }
}

form! {
    /// Other information, as `{"name": "army", "value": {"flag": true}}`.
    Extension of Extension {
        /// Its name.
        name: String,
        /// Its value.
        value: Option<ExtensionValue>,
    }
}

/// The value of an extension, under the name of its kind.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Debug))]
#[serde(rename_all = "lowercase")]
pub enum ExtensionValue {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// A date.
    Date(Date),
    /// Yes or no.
    Flag(bool),
}

impl Form<proto::extension::Value> for ExtensionValue {
    fn into_proto(self) -> proto::extension::Value {
        use proto::extension::Value;
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Number(number) => Value::Number(number),
            Self::Date(date) => Value::Date(date.into()),
            Self::Flag(flag) => Value::Flag(flag),
        }
    }

    fn from_proto(from: proto::extension::Value) -> Self {
        use proto::extension::Value;
        match from {
            Value::Text(text) => Self::Text(text),
            Value::Number(number) => Self::Number(number),
            Value::Date(date) => Self::Date(date.into()),
            Value::Flag(flag) => Self::Flag(flag),
        }
    }
}

impl Shape for ExtensionValue {
    fn kind_at(path: &str) -> Option<Kind> {
        match path {
            "" => Some(Kind::Part),
            "text" => Some(Kind::Text),
            "number" => Some(Kind::Number),
            "date" => Some(Kind::Date),
            "flag" => Some(Kind::Flag),
            _ => None,
        }
    }
}

impl Texts for ExtensionValue {
    fn texts(&mut self, visit: &mut dyn FnMut(&mut String)) {
        if let Self::Text(text) = self {
            visit(text);
        }
    }
}
