//! Parts of a record: the fields that a caller names, or those that a procedure is entitled to.
//!
//! A part holds the fields asked for and nothing else, but for `uid` and `record_revision`, which say whose it is and
//! which version. What a procedure may read stands in `sets.rs` until an operator puts it. Who may name which procedure is
//! not asked here: see [`super::policy`].

mod sets;

use self::sets::{SETS, Set};
use super::error::rejection;
use crate::proto::registry::{AttributeSet, ErrorReason, Person, PersonField, Procedure, Rejection};

/// Fields that one request may name.
pub const FIELDS: usize = 32;

/// The procedures built in, by code.
pub fn procedures() -> impl Iterator<Item = Procedure> {
    SETS.iter().map(|set: &Set| Procedure {
        procedure_code: set.code.to_owned(),
        purpose: set.purpose.to_owned(),
        law: set.law.to_owned(),
        fields: set.fields.iter().map(|field| *field as i32).collect(),
        withdrawn: false,
    })
}

/// The attribute set that the context of a request names; `found` is the procedure of its code.
///
/// # Errors
/// `FIELD_INVALID` when no procedure is named, `PROCEDURE_UNKNOWN` for one that has no set.
pub fn set_of(procedure_code: &str, found: Option<Procedure>) -> Result<AttributeSet, Rejection> {
    const FIELD: &str = "context.procedure_code";
    if procedure_code.is_empty() {
        return Err(rejection(ErrorReason::FieldInvalid, FIELD, "required: it names the attribute set"));
    }
    let unknown = "no attribute set is known for this procedure: ListAttributeSets names those that are";
    found.map(attribute_set).ok_or_else(|| rejection(ErrorReason::ProcedureUnknown, FIELD, unknown))
}

/// What a procedure may read.
pub fn attribute_set(procedure: Procedure) -> AttributeSet {
    AttributeSet {
        purpose: format!("{} ({})", procedure.purpose, procedure.law),
        procedure_code: procedure.procedure_code,
        fields: procedure.fields,
    }
}

/// The fields of a request: 1 to 32, each known.
///
/// # Errors
/// `FIELD_INVALID` or `TOO_LARGE` at `fields`.
pub fn fields(named: &[i32]) -> Result<Vec<PersonField>, Rejection> {
    let refuse = |reason, field: String, detail: String| -> Rejection { rejection(reason, field, detail) };
    if named.is_empty() {
        return Err(refuse(ErrorReason::FieldInvalid, "fields".into(), format!("1 to {FIELDS} items")));
    }
    if named.len() > FIELDS {
        return Err(refuse(ErrorReason::TooLarge, "fields".into(), format!("at most {FIELDS} items")));
    }
    let known = |number: &i32| PersonField::try_from(*number).ok().filter(|f| *f != PersonField::Unspecified);
    let field = |(i, number)| {
        let unknown =
            || refuse(ErrorReason::FieldInvalid, format!("fields[{i}]"), "not a known field".into());
        known(number).ok_or_else(unknown)
    };
    named.iter().enumerate().map(field).collect()
}

/// The part of a record that holds these fields, with its uid and record_revision.
pub fn part(person: Person, fields: &[PersonField]) -> Person {
    let mut from = person;
    let mut part = Person { uid: from.uid, record_revision: from.record_revision, ..Person::default() };
    for (i, field) in fields.iter().enumerate() {
        if !fields[..i].contains(field) {
            take(*field, &mut from, &mut part);
        }
    }
    part
}

/// Moves one field, which the part does not have yet.
fn take(field: PersonField, from: &mut Person, part: &mut Person) {
    /// Moves the field that goes with each variant.
    macro_rules! moved {
        ($($variant:ident: $name:ident),+ $(,)?) => {
            match field {
                PersonField::Unspecified => {}
                $(PersonField::$variant => std::mem::swap(&mut part.$name, &mut from.$name),)+
            }
        };
    }
    moved! {
        BirthName: birth_name,
        OtherNames: other_names,
        PersonalId: personal_id,
        CancelledPersonalIds: cancelled_personal_ids,
        BirthDate: birth_date,
        Gender: gender,
        BirthPlace: birth_place,
        BirthRegistrationPlace: birth_registration_place,
        PlaceOfOrigin: place_of_origin,
        OldIdNumbers: old_id_numbers,
        PermanentResidence: permanent_residence,
        CurrentResidence: current_residence,
        Nationalities: nationalities,
        PhysicalStatus: physical_status,
        Ethnicity: ethnicity,
        EthnicityName: ethnicity_name,
        Religion: religion,
        BloodType: blood_type,
        Relations: relations,
        TemporaryResidences: temporary_residences,
        Absence: absence,
        ResidenceFileNo: residence_file_no,
        HouseholdRole: household_role,
        MaritalStatus: marital_status,
        PhoneNumbers: phone_numbers,
        EmailAddresses: email_addresses,
        Extensions: extensions,
        Credentials: credentials,
        EidAccount: eid_account,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::fixtures::full_person;

    #[test]
    fn sets_are_in_order_and_well_formed() {
        let sets: Vec<_> = procedures().map(attribute_set).collect();
        assert!((8..=12).contains(&sets.len()));
        assert!(sets.is_sorted_by(|a, b| a.procedure_code < b.procedure_code));
        for set in &sets {
            assert!(set.procedure_code.len() <= 20 && !set.purpose.is_empty());
            let distinct: BTreeSet<_> = set.fields.iter().collect();
            assert_eq!(distinct.len(), set.fields.len(), "{}", set.procedure_code);
            assert_eq!(fields(&set.fields).expect("each is known").len(), set.fields.len());
            let code = set.procedure_code.as_str();
            let found = procedures().find(|procedure| procedure.procedure_code == code);
            assert_eq!(set_of(code, found).as_ref(), Ok(set));
        }
    }

    #[test]
    fn a_procedure_is_named_and_known() {
        let reason = |code| set_of(code, None).expect_err("no such set").reason();
        assert_eq!(reason(""), ErrorReason::FieldInvalid);
        assert_eq!(reason("9.999999"), ErrorReason::ProcedureUnknown);
    }

    #[test]
    fn a_part_has_what_was_asked_for_and_whose_it_is() {
        let whole = Person { uid: 7, record_revision: 9, ..full_person() };
        let asked = [PersonField::BirthDate, PersonField::PersonalId, PersonField::BirthDate];
        let expected = Person {
            uid: 7,
            record_revision: 9,
            birth_date: whole.birth_date,
            personal_id: whole.personal_id.clone(),
            ..Person::default()
        };
        assert!(part(whole.clone(), &asked) == expected);
        assert!(part(whole, &[]) == Person { uid: 7, record_revision: 9, ..Person::default() });
    }

    #[test]
    fn every_field_but_the_bookkeeping_can_be_asked_for() {
        let whole = Person { uid: 7, record_revision: 9, ..full_person() };
        let all: Vec<_> = (0..100).filter_map(|number| PersonField::try_from(number).ok()).collect();
        assert_eq!(all.len(), 30);
        let unasked = Person { provenance: Vec::new(), person_status: 0, merged_into: 0, ..whole.clone() };
        assert!(part(whole, &all) == unasked);
    }

    #[test]
    fn fields_are_counted_and_known() {
        let outcome = |named: &[i32]| fields(named).map_err(|r| (r.field.clone(), r.reason()));
        assert_eq!(outcome(&[3, 31]).expect("both are known").len(), 2);
        let invalid = |field: &str| Err((field.to_owned(), ErrorReason::FieldInvalid));
        assert_eq!(outcome(&[]), invalid("fields"));
        assert_eq!(outcome(&[3, 0]), invalid("fields[1]"));
        assert_eq!(outcome(&[2]), invalid("fields[0]"));
        assert_eq!(outcome(&[3; 33]), Err(("fields".to_owned(), ErrorReason::TooLarge)));
    }
}
