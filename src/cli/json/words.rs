//! Enums of the JSON form: lower-case words.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::form::{Form, holds, no_text};
use crate::proto::registry as proto;

/// Declares an enum whose JSON form is a lower-case word, and its conversions with the proto enum. A value that is
/// absent is unspecified in protobuf.
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

        impl Form<i32> for Option<$name> {
            fn into_proto(self) -> i32 {
                self.map_or(0, $name::to_proto)
            }

            fn from_proto(from: i32) -> Self {
                $name::from_proto(from)
            }
        }

        no_text!($name);
        holds!(Word: $name);
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

words! {
    /// Blood type.
    BloodType of proto::BloodType {
        /// A.
        A = "a",
        /// B.
        B = "b",
        /// AB.
        Ab = "ab",
        /// O.
        O = "o",
        /// Unknown.
        Unknown = "unknown",
    }
}

words! {
    /// Marital status.
    MaritalStatus of proto::MaritalStatus {
        /// Never married.
        NeverMarried = "never_married",
        /// Married.
        Married = "married",
        /// Divorced or widowed.
        DivorcedOrWidowed = "divorced_or_widowed",
        /// Unknown.
        Unknown = "unknown",
    }
}

words! {
    /// What a related person is.
    RelationKind of proto::RelationKind {
        /// The father.
        Father = "father",
        /// The mother.
        Mother = "mother",
        /// The husband or wife.
        Spouse = "spouse",
        /// A child.
        Child = "child",
        /// Who represents the person by law.
        LegalRepresentative = "legal_representative",
        /// Whom the person represents by law.
        Represented = "represented",
    }
}

words! {
    /// What a person is to the head of the household.
    HouseholdRole of proto::HouseholdRole {
        /// The head.
        Head = "head",
        /// Husband or wife.
        Spouse = "spouse",
        /// Child.
        Child = "child",
        /// Father or mother.
        Parent = "parent",
        /// Grandparent.
        Grandparent = "grandparent",
        /// Grandchild.
        Grandchild = "grandchild",
        /// Brother or sister.
        Sibling = "sibling",
        /// Another relative.
        OtherRelative = "other_relative",
        /// No relative.
        Unrelated = "unrelated",
    }
}

words! {
    /// Kinds of papers and cards.
    CredentialType of proto::CredentialType {
        /// Căn cước.
        IdentityCard = "identity_card",
        /// Căn cước công dân.
        CitizenIdCard = "citizen_id_card",
        /// The 12-digit CMND.
        Cmnd12 = "cmnd12",
        /// Passport.
        Passport = "passport",
        /// Birth certificate.
        BirthCertificate = "birth_certificate",
        /// Marriage certificate.
        MarriageCertificate = "marriage_certificate",
        /// Driving licence.
        DrivingLicence = "driving_licence",
        /// Vehicle registration.
        VehicleRegistration = "vehicle_registration",
        /// Health insurance.
        HealthInsurance = "health_insurance",
        /// Social insurance book.
        SocialInsurance = "social_insurance",
        /// Practising certificate.
        PractisingCertificate = "practising_certificate",
        /// Vaccination record.
        Vaccination = "vaccination",
        /// Health certificate.
        HealthCertificate = "health_certificate",
        /// Diploma or school certificate.
        Education = "education",
        /// Civil servant's card.
        CivilServant = "civil_servant",
        /// Residence card of a foreigner.
        ResidenceCard = "residence_card",
        /// Work permit.
        WorkPermit = "work_permit",
        /// Tax code.
        TaxCode = "tax_code",
    }
}

words! {
    /// What became of a credential.
    CredentialStatus of proto::CredentialStatus {
        /// In force.
        Valid = "valid",
        /// Out of force for a time.
        Suspended = "suspended",
        /// Out of force for good.
        Revoked = "revoked",
    }
}

words! {
    /// Level of an electronic identity account.
    EidLevel of proto::EidLevel {
        /// Level 1.
        EidLevel1 = "1",
        /// Level 2.
        EidLevel2 = "2",
    }
}

words! {
    /// Whether an electronic identity account may be used.
    EidState of proto::EidState {
        /// In use.
        Unlocked = "unlocked",
        /// Locked.
        Locked = "locked",
    }
}

words! {
    /// To which kind of residence people move.
    ResidenceKind of proto::ResidenceKind {
        /// Thường trú.
        Permanent = "permanent",
        /// Tạm trú.
        Temporary = "temporary",
        /// Nơi ở hiện tại.
        Current = "current",
    }
}

words! {
    /// Whether a record is in use.
    PersonStatus of proto::PersonStatus {
        /// In use.
        Active = "active",
        /// Taken out of use.
        Inactive = "inactive",
        /// A duplicate.
        Merged = "merged",
    }
}

words! {
    /// Why the caller may process this person's data.
    LegalBasis of proto::LegalBasis {
        /// A law names it.
        Law = "law",
        /// A state agency does its function.
        StateFunction = "state_function",
        /// A contract with the person needs it.
        Contract = "contract",
        /// The person agreed.
        Consent = "consent",
        /// Somebody's life is in danger.
        VitalInterest = "vital_interest",
        /// A court ordered it.
        Court = "court",
    }
}

/// A field of a person, by its name in protobuf and in JSON. One that this version has no name for stands as its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PersonField(i32);

const FIELD_PREFIX: &str = "PERSON_FIELD_";

impl PersonField {
    /// The field of this name; unspecified is none.
    pub fn named(name: &str) -> Option<Self> {
        let lower = !name.contains(|c: char| c.is_ascii_uppercase());
        let full = format!("{FIELD_PREFIX}{}", name.to_ascii_uppercase());
        let field = proto::PersonField::from_str_name(&full).filter(|_| lower)?;
        (field != proto::PersonField::Unspecified).then_some(Self(field.into()))
    }

    /// The proto value of the field.
    pub fn to_proto(self) -> i32 {
        self.0
    }
}

impl Serialize for PersonField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match proto::PersonField::try_from(self.0) {
            Ok(field) => {
                let name = field.as_str_name().trim_start_matches(FIELD_PREFIX);
                serializer.serialize_str(&name.to_ascii_lowercase())
            }
            Err(_) => serializer.serialize_i32(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for PersonField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| de::Error::custom("expected the name of a field of a person"))
    }
}

impl Form<i32> for PersonField {
    fn into_proto(self) -> i32 {
        self.0
    }

    fn from_proto(from: i32) -> Self {
        Self(from)
    }
}

no_text!(PersonField);
holds!(Word: PersonField);
