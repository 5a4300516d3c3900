//! The JSON form of a person: what `dancu generate` writes, `dancu import` and `dancu person` read, and `--json` prints.
//!
//! It mirrors `dancu.registry.v1.Person` name by name. Enums are lower-case words, a partial date is `"1990-05-17"`,
//! `"1990-05"` or `"1990"`, and what is empty is left out. A name that the form does not know is an error, so that a
//! misspelt field is never dropped in silence. Whether the values make sense is for the registry to say.

mod convert;
mod date;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::date::Date;
use crate::proto::registry as proto;

/// A person record. Every field may be absent.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Debug))]
#[serde(deny_unknown_fields, default)]
pub struct Person {
    /// The registry's internal id; ignored when written.
    #[serde(skip_serializing_if = "is_zero")]
    pub uid: u64,
    /// Revision of the last change; ignored when written.
    #[serde(skip_serializing_if = "is_zero")]
    pub record_revision: u64,
    /// Name at birth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_name: Option<PersonName>,
    /// Other names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_names: Vec<String>,
    /// 12 digits.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub personal_id: String,
    /// Earlier personal ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cancelled_personal_ids: Vec<String>,
    /// Date of birth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<Date>,
    /// Gender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<Gender>,
    /// Where the person was born.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_place: Option<Address>,
    /// Where the birth was registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_registration_place: Option<Address>,
    /// Place of origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place_of_origin: Option<Address>,
    /// 9-digit CMND numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub old_id_numbers: Vec<String>,
    /// Permanent residence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permanent_residence: Option<Address>,
    /// Current residence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_residence: Option<Address>,
    /// ISO 3166-1 alpha-2 codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nationalities: Vec<String>,
    /// Alive, deceased or missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physical_status: Option<PhysicalStatus>,
}

/// A name in three parts.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Debug))]
#[serde(deny_unknown_fields, default)]
pub struct PersonName {
    /// Family name.
    pub family: String,
    /// Middle name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub middle: String,
    /// Given name.
    pub given: String,
}

/// An address.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Debug))]
#[serde(deny_unknown_fields, default)]
pub struct Address {
    /// Code of the administrative unit.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unit_code: String,
    /// The list that the code belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_edition: Option<UnitEdition>,
    /// House, street, hamlet.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// ISO 3166-1 alpha-2.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub country: String,
}

/// Whether the person is alive.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Debug))]
#[serde(deny_unknown_fields)]
pub struct PhysicalStatus {
    /// The status.
    pub kind: PhysicalStatusKind,
    /// Date of death or of the declaration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Date>,
}

/// Declares an enum whose JSON form is a lower-case word, and its conversions with the proto enum.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident of $proto:ty { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] #[value(name = $word)] $variant,)+
        }

        impl $name {
            /// The word for a proto value, `None` for an unspecified or unknown one.
            pub fn from_proto(value: i32) -> Option<Self> {
                match <$proto>::try_from(value) {
                    $(Ok(<$proto>::$variant) => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The proto value of the word.
            pub fn to_proto(self) -> i32 {
                match self {
                    $(Self::$variant => <$proto>::$variant as i32,)+
                }
            }
        }
    };
}

words! {
    /// Gender.
    Gender of proto::Gender {
        /// Male.
        Male = "male",
        /// Female.
        Female = "female",
        /// Unknown.
        Unknown = "unknown",
    }
}

words! {
    /// Which list of administrative units a code belongs to.
    UnitEdition of proto::UnitEdition {
        /// The 63 provinces.
        V63 = "v63",
        /// The 34 provinces.
        V34 = "v34",
    }
}

words! {
    /// Whether a person is alive.
    PhysicalStatusKind of proto::PhysicalStatusKind {
        /// Alive.
        Alive = "alive",
        /// Deceased.
        Deceased = "deceased",
        /// Declared missing.
        Missing = "missing",
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
