//! What a licence lets pass.

use std::sync::Arc;

use super::{ATTRIBUTES, Compiled, place};
use crate::domain::error::rejection;
use crate::domain::fields::Fields;
use crate::domain::matching;
use crate::domain::units::{self, Coverage};
use crate::proto::registry::{
    Address, Agency, Attribute, Claim, ConsentRecord, ErrorReason, MatchStrength, Operation, Person,
    PersonField, Rejection, UnitEdition,
};

/// Fields that only a policy made for them may permit (law 91/2025/QH15, decree 356/2025).
pub const SENSITIVE: [PersonField; 4] =
    [PersonField::Ethnicity, PersonField::EthnicityName, PersonField::Religion, PersonField::BloodType];

/// What one call may do.
#[derive(Clone, Debug)]
pub struct Licence {
    /// Whose it is; nobody's where callers are not known.
    agency: Option<Arc<Agency>>,
    read: Fields,
    write: Fields,
    verify: [MatchStrength; ATTRIBUTES],
    operations: u64,
    /// The units that the agency is limited to; none: no limit.
    provinces: Arc<[Address]>,
    /// The person whose consent the call relies on.
    consenting: Option<u64>,
}

impl Licence {
    /// That of a caller whom nobody knows, on a listener in the clear: everything.
    pub fn everything() -> Self {
        Self {
            agency: None,
            read: Fields::ALL,
            write: Fields::ALL,
            verify: [MatchStrength::Canonical; ATTRIBUTES],
            operations: u64::MAX,
            provinces: Arc::new([]),
            consenting: None,
        }
    }

    /// That of an agency without any policy.
    pub(super) fn nothing(agency: Arc<Agency>) -> Self {
        let province = |code: &String| Address {
            unit_code: code.clone(),
            unit_edition: UnitEdition::V34.into(),
            ..Address::default()
        };
        Self {
            provinces: agency.provinces.iter().map(province).collect(),
            agency: Some(agency),
            read: Fields::NONE,
            write: Fields::NONE,
            verify: [MatchStrength::Unspecified; ATTRIBUTES],
            operations: 0,
            consenting: None,
        }
    }

    /// Adds what a policy permits.
    pub(super) fn add(&mut self, policy: &Compiled) {
        self.read = self.read.and(policy.read);
        self.write = self.write.and(policy.write);
        self.operations |= policy.operations;
        for (mine, more) in self.verify.iter_mut().zip(policy.verify) {
            *mine = (*mine).max(more);
        }
    }

    /// Takes away what a consent does not cover: other fields, other people, and all operations.
    pub(super) fn limit_to(&mut self, consent: ConsentRecord) {
        let consented = consent.fields().fold(Fields::NONE, Fields::with);
        self.read = self.read.only(consented);
        self.write = Fields::NONE;
        self.operations = 0;
        for (number, strength) in self.verify.iter_mut().enumerate() {
            let attribute = i32::try_from(number).ok().and_then(|number| Attribute::try_from(number).ok());
            let held = attribute.map(matching::held_in).unwrap_or_default();
            if held.is_empty() || !held.iter().all(|field| consented.contain(*field as u32)) {
                *strength = MatchStrength::Unspecified;
            }
        }
        self.consenting = Some(consent.person_uid);
    }

    /// Whose licence it is; `None` where callers are not known.
    pub fn agency(&self) -> Option<&Arc<Agency>> {
        self.agency.as_ref()
    }

    /// Whether these fields may be read; `at` says where the request names them.
    ///
    /// # Errors
    /// `ATTRIBUTE_NOT_PERMITTED`.
    pub fn may_read(&self, fields: &[PersonField], at: &str) -> Result<(), Rejection> {
        Self::all(self.read, fields, at, "read")
    }

    /// Whether whole records may be read.
    ///
    /// # Errors
    /// `ATTRIBUTE_NOT_PERMITTED` with what to do instead.
    pub fn may_read_whole(&self) -> Result<(), Rejection> {
        match ALL_FIELDS.iter().find(|field| !self.read.contain(**field as u32)) {
            None => Ok(()),
            Some(field) => {
                let detail = format!(
                    "a whole record holds {}, which the agency's policies do not let it read for this purpose: ask for the \
                     fields that it may by ReadPersonAttributes",
                    name(*field)
                );
                Err(rejection(ErrorReason::AttributeNotPermitted, "", detail))
            }
        }
    }

    /// Whether these fields may be written.
    ///
    /// # Errors
    /// `ATTRIBUTE_NOT_PERMITTED`.
    pub fn may_write(&self, fields: &[PersonField], at: &str) -> Result<(), Rejection> {
        Self::all(self.write, fields, at, "write")
    }

    fn all(permitted: Fields, fields: &[PersonField], at: &str, verb: &str) -> Result<(), Rejection> {
        match fields.iter().find(|field| !permitted.contain(**field as u32)) {
            None => Ok(()),
            Some(field) => {
                let detail =
                    format!("the agency's policies do not let it {verb} {} for this purpose", name(*field));
                Err(rejection(ErrorReason::AttributeNotPermitted, at, detail))
            }
        }
    }

    /// Whether a person's numbers may be told.
    pub fn shows_numbers(&self) -> bool {
        self.read.contain(PersonField::PersonalId as u32)
    }

    /// The weakest likeness that a claim on an attribute may ask for; `None` when it may not be verified.
    pub fn weakest(&self, attribute: Attribute) -> Option<MatchStrength> {
        let weakest = self.verify.get(place(attribute)).copied().unwrap_or_default();
        (weakest != MatchStrength::Unspecified).then_some(weakest)
    }

    /// Whether a claim may be judged. One on an attribute that this version does not know may: nothing is known of it.
    pub fn permits(&self, claim: &Claim) -> bool {
        match Attribute::try_from(claim.attribute) {
            Ok(attribute) if attribute != Attribute::Unspecified => self.weakest(attribute).is_some(),
            _ => true,
        }
    }

    /// Whether some of these claims may be judged: where none may, nobody is looked for.
    ///
    /// # Errors
    /// `ATTRIBUTE_NOT_PERMITTED`.
    pub fn may_verify_some<'a>(
        &self,
        claims: impl IntoIterator<Item = &'a Claim>,
        at: &str,
    ) -> Result<(), Rejection> {
        let mut claims = claims.into_iter().peekable();
        if claims.peek().is_none() || claims.any(|claim| self.permits(claim)) {
            return Ok(());
        }
        let detail = "the agency's policies let it verify none of these attributes for this purpose";
        Err(rejection(ErrorReason::AttributeNotPermitted, at, detail))
    }

    /// Whether these attributes may be verified.
    ///
    /// # Errors
    /// `ATTRIBUTE_NOT_PERMITTED`.
    pub fn may_verify(&self, attributes: &[Attribute], at: &str) -> Result<(), Rejection> {
        match attributes.iter().find(|attribute| self.weakest(**attribute).is_none()) {
            None => Ok(()),
            Some(attribute) => {
                let named = short(attribute.as_str_name(), "ATTRIBUTE_");
                let detail = format!("the agency's policies do not let it verify {named} for this purpose");
                Err(rejection(ErrorReason::AttributeNotPermitted, at, detail))
            }
        }
    }

    /// Whether an operation may be done.
    ///
    /// # Errors
    /// `OPERATION_NOT_PERMITTED`.
    pub fn may(&self, operation: Operation, at: &str) -> Result<(), Rejection> {
        if self.operations >> (operation as u32) & 1 == 1 {
            return Ok(());
        }
        let named = short(operation.as_str_name(), "OPERATION_");
        let detail = format!("the agency's policies do not permit {named} for this purpose");
        Err(rejection(ErrorReason::OperationNotPermitted, at, detail))
    }

    /// What is read of a record to see whether it may be shown at all.
    pub fn looks_at(&self, fields: Fields) -> Fields {
        if self.provinces.is_empty() {
            return fields;
        }
        use PersonField::{CurrentResidence, PermanentResidence, TemporaryResidences};
        [CurrentResidence, PermanentResidence, TemporaryResidences].into_iter().fold(fields, Fields::with)
    }

    /// Whether a person lives where the agency may look, surely or perhaps: a record may hold a unit that was split.
    pub fn covers(&self, person: &Person) -> bool {
        let temporary = person.temporary_residences.iter().filter_map(|residence| residence.address.as_ref());
        let mut homes = [&person.permanent_residence, &person.current_residence]
            .into_iter()
            .filter_map(Option::as_ref)
            .chain(temporary);
        self.provinces.is_empty() || homes.any(|home| self.covers_address(home))
    }

    /// Whether an address lies where the agency may look.
    pub fn covers_address(&self, address: &Address) -> bool {
        let within = |province: &Address| units::covers(province, address) != Coverage::Apart;
        let placed = !address.unit_code.is_empty();
        self.provinces.is_empty() || (placed && self.provinces.iter().any(within))
    }

    /// Whether a call that relies on a consent is about the person who gave it.
    ///
    /// # Errors
    /// `CONSENT_MISSING`.
    pub fn of_person(&self, uid: u64, at: &str) -> Result<(), Rejection> {
        if self.consenting.is_none_or(|consenting| consenting == uid) {
            return Ok(());
        }
        let detail = "the consent that the call relies on is not this person's";
        Err(rejection(ErrorReason::ConsentMissing, at, detail))
    }
}

/// All fields that can be read.
const ALL_FIELDS: [PersonField; 29] = {
    use PersonField as F;
    [
        F::BirthName,
        F::OtherNames,
        F::PersonalId,
        F::CancelledPersonalIds,
        F::BirthDate,
        F::Gender,
        F::BirthPlace,
        F::BirthRegistrationPlace,
        F::PlaceOfOrigin,
        F::OldIdNumbers,
        F::PermanentResidence,
        F::CurrentResidence,
        F::Nationalities,
        F::PhysicalStatus,
        F::Ethnicity,
        F::EthnicityName,
        F::Religion,
        F::BloodType,
        F::Relations,
        F::TemporaryResidences,
        F::Absence,
        F::ResidenceFileNo,
        F::HouseholdRole,
        F::MaritalStatus,
        F::PhoneNumbers,
        F::EmailAddresses,
        F::Extensions,
        F::Credentials,
        F::EidAccount,
    ]
};

/// How a field is named to people: as in the messages.
pub(super) fn name(field: PersonField) -> String {
    short(field.as_str_name(), "PERSON_FIELD_")
}

/// The same of any value of an enum.
pub(super) fn short(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_record_is_all_of_its_fields() {
        let all: Vec<_> = (1..100).filter_map(|number| PersonField::try_from(number).ok()).collect();
        assert_eq!(ALL_FIELDS.to_vec(), all);
    }
}
