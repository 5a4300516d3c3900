//! The JSON form of people and events: what `dancu generate` writes, `dancu import`, `dancu person` and `dancu event`
//! read, and `--json` prints.
//!
//! It mirrors the messages of `dancu.registry.v1` name by name. Enums are lower-case words, a partial date is
//! `"1990-05-17"`, `"1990-05"` or `"1990"`, and what is empty is left out. A name that the form does not know is an
//! error, so that a misspelt field is never dropped in silence. Whether the values make sense is for the registry to say.
//!
//! * `read.rs`: JSON in; what is wrong with it is said by field.
//! * `form.rs`: how a part is declared, with its conversions both ways.
//! * `words.rs`: enums.
//! * `date.rs`: partial dates.
//! * `parts.rs`: names, addresses, papers and the like.
//! * `events.rs`: life events.

mod date;
mod events;
mod form;
mod parts;
mod read;
#[cfg(test)]
mod tests;
mod words;

pub use self::date::Date;
pub use self::events::{
    Adoption, Birth, Correction, Death, Divorce, Event, Marriage, Move, Mover, NewPersonalId, PersonKey,
};
pub use self::form::{Kind, Texts};
use self::form::{Shape, form};
pub use self::parts::{
    AbsenceDeclaration, Address, Credential, CredentialKey, EidAccount, Extension, ExtensionValue,
    PersonName, PhysicalStatus, Provenance, RelatedPerson, TemporaryResidence,
};
pub use self::read::{read, read_value};
pub use self::words::LegalBasis;
pub use self::words::{
    BloodType, CredentialStatus, CredentialType, EidLevel, EidState, Gender, HouseholdRole, MaritalStatus,
    PersonField, PersonStatus, PhysicalStatusKind, RelationKind, ResidenceKind, UnitEdition,
};
use crate::proto::registry as proto;

form! {
    /// A person record.
    Person of Person {
        /// The registry's internal id; ignored when written.
        uid: u64,
        /// Revision of the last change; ignored when written.
        record_revision: u64,
        /// Name at birth.
        birth_name: Option<PersonName>,
        /// Other names.
        other_names: Vec<String>,
        /// 12 digits.
        personal_id: String,
        /// Earlier personal ids.
        cancelled_personal_ids: Vec<String>,
        /// Date of birth.
        birth_date: Option<Date>,
        /// Gender.
        gender: Option<Gender>,
        /// Where the person was born.
        birth_place: Option<Address>,
        /// Where the birth was registered.
        birth_registration_place: Option<Address>,
        /// Place of origin.
        place_of_origin: Option<Address>,
        /// 9-digit CMND numbers.
        old_id_numbers: Vec<String>,
        /// Permanent residence.
        permanent_residence: Option<Address>,
        /// Current residence.
        current_residence: Option<Address>,
        /// ISO 3166-1 alpha-2 codes.
        nationalities: Vec<String>,
        /// Alive, deceased or missing.
        physical_status: Option<PhysicalStatus>,
        /// Code of the ethnicity.
        ethnicity: String,
        /// What the person calls it.
        ethnicity_name: String,
        /// Code of the religion.
        religion: String,
        /// Blood type.
        blood_type: Option<BloodType>,
        /// Related people.
        relations: Vec<RelatedPerson>,
        /// Temporary residences.
        temporary_residences: Vec<TemporaryResidence>,
        /// Declaration of absence.
        absence: Option<AbsenceDeclaration>,
        /// The residence file: the household.
        residence_file_no: String,
        /// What the person is to its head.
        household_role: Option<HouseholdRole>,
        /// Marital status.
        marital_status: Option<MaritalStatus>,
        /// Telephone numbers.
        phone_numbers: Vec<String>,
        /// Electronic mail addresses.
        email_addresses: Vec<String>,
        /// Other information.
        extensions: Vec<Extension>,
        /// Papers and cards.
        credentials: Vec<Credential>,
        /// The electronic identity account.
        eid_account: Option<EidAccount>,
        /// Where the values come from.
        provenance: Vec<Provenance>,
        /// Whether the record is in use.
        person_status: Option<PersonStatus>,
        /// The record that took the place of this one.
        merged_into: u64,
    }
}

impl Person {
    /// What the field at a path holds, as in `relations[0].name`; `None` where there is no such field.
    pub fn kind_at(path: &str) -> Option<Kind> {
        <Self as Shape>::kind_at(path)
    }

    /// The record for people to read, its fields in the order of the API.
    pub fn pretty(&self) -> String {
        serde_json::to_string_pretty(self).expect("a person is plain data")
    }
}
