//! Between the JSON form of a person and the protobuf one, both ways.

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::{Address, Gender, Person, PersonName, PhysicalStatus, PhysicalStatusKind, UnitEdition};
use crate::proto::registry as proto;

/// The enum's number, or 0 (unspecified) when it is absent.
macro_rules! number {
    ($option:expr) => {
        $option.map_or(0, |value| value.to_proto())
    };
}

impl From<Person> for proto::Person {
    fn from(p: Person) -> Self {
        Self {
            uid: p.uid,
            record_revision: p.record_revision,
            birth_name: p.birth_name.map(Into::into),
            other_names: p.other_names,
            personal_id: p.personal_id,
            cancelled_personal_ids: p.cancelled_personal_ids,
            birth_date: p.birth_date.map(Into::into),
            gender: number!(p.gender),
            birth_place: p.birth_place.map(Into::into),
            birth_registration_place: p.birth_registration_place.map(Into::into),
            place_of_origin: p.place_of_origin.map(Into::into),
            old_id_numbers: p.old_id_numbers,
            permanent_residence: p.permanent_residence.map(Into::into),
            current_residence: p.current_residence.map(Into::into),
            nationalities: p.nationalities,
            physical_status: p.physical_status.map(Into::into),
        }
    }
}

impl From<proto::Person> for Person {
    fn from(p: proto::Person) -> Self {
        Self {
            uid: p.uid,
            record_revision: p.record_revision,
            birth_name: p.birth_name.map(Into::into),
            other_names: p.other_names,
            personal_id: p.personal_id,
            cancelled_personal_ids: p.cancelled_personal_ids,
            birth_date: p.birth_date.map(Into::into),
            gender: Gender::from_proto(p.gender),
            birth_place: p.birth_place.map(Into::into),
            birth_registration_place: p.birth_registration_place.map(Into::into),
            place_of_origin: p.place_of_origin.map(Into::into),
            old_id_numbers: p.old_id_numbers,
            permanent_residence: p.permanent_residence.map(Into::into),
            current_residence: p.current_residence.map(Into::into),
            nationalities: p.nationalities,
            physical_status: p.physical_status.and_then(status_from_proto),
        }
    }
}

impl Person {
    /// Brings all text into NFC, the form that the registry takes. True when something changed.
    pub fn normalise(&mut self) -> bool {
        let name = self.birth_name.iter_mut().flat_map(|n| [&mut n.family, &mut n.middle, &mut n.given]);
        let places = [
            &mut self.birth_place,
            &mut self.birth_registration_place,
            &mut self.place_of_origin,
            &mut self.permanent_residence,
            &mut self.current_residence,
        ];
        let details = places.into_iter().flatten().map(|address| &mut address.detail);
        let mut changed = false;
        for text in name.chain(&mut self.other_names).chain(details) {
            if !is_nfc(text) {
                *text = text.nfc().collect();
                changed = true;
            }
        }
        changed
    }
}

impl From<PersonName> for proto::PersonName {
    fn from(n: PersonName) -> Self {
        Self { family: n.family, middle: n.middle, given: n.given }
    }
}

impl From<proto::PersonName> for PersonName {
    fn from(n: proto::PersonName) -> Self {
        Self { family: n.family, middle: n.middle, given: n.given }
    }
}

impl From<Address> for proto::Address {
    fn from(a: Address) -> Self {
        Self {
            unit_code: a.unit_code,
            unit_edition: number!(a.unit_edition),
            detail: a.detail,
            country: a.country,
        }
    }
}

impl From<proto::Address> for Address {
    fn from(a: proto::Address) -> Self {
        Self {
            unit_code: a.unit_code,
            unit_edition: UnitEdition::from_proto(a.unit_edition),
            detail: a.detail,
            country: a.country,
        }
    }
}

impl From<PhysicalStatus> for proto::PhysicalStatus {
    fn from(s: PhysicalStatus) -> Self {
        Self { kind: s.kind.to_proto(), since: s.since.map(Into::into) }
    }
}

/// A status that states nothing has no JSON form.
fn status_from_proto(s: proto::PhysicalStatus) -> Option<PhysicalStatus> {
    let kind = PhysicalStatusKind::from_proto(s.kind)?;
    Some(PhysicalStatus { kind, since: s.since.map(Into::into) })
}
