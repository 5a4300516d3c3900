//! Whom a person is related to, married to and lives with.

use super::super::{
    Checked, NAME_CHARS, RELATIONS, RESIDENCE_FILE_CHARS, as_reason, at, at_most_chars, at_most_items,
    refuse, within,
};
use super::{is_alpha2, known};
use crate::domain::{identifier, text};
use crate::proto::registry::{
    ErrorReason, HouseholdRole, MaritalStatus, Person, PhysicalStatusKind, RelatedPerson, RelationKind,
};

/// Relations, marital status and household of a record, by themselves and together.
pub(super) fn family(person: &Person, prefix: &str) -> Checked {
    let p = person;
    relations(&p.relations, &at(prefix, "relations"))?;
    known::<MaritalStatus>(p.marital_status, || at(prefix, "marital_status"))?;
    let linked = |r: &RelatedPerson| r.kind() == RelationKind::Spouse && r.person_uid != 0;
    if p.relations.iter().any(linked) && p.marital_status() != MaritalStatus::Married {
        let field = at(prefix, "marital_status");
        return refuse(ErrorReason::FieldInvalid, &field, "MARRIED while there is a link to a spouse");
    }
    household(p, prefix)
}

/// A related person at `field`: as a paper stated it, or as a link.
pub fn related_person(related: &RelatedPerson, field: &str) -> Checked {
    let r = related;
    let refuse_part = |reason, name, detail| refuse(reason, &at(field, name), detail);
    if matches!(RelationKind::try_from(r.kind), Err(_) | Ok(RelationKind::Unspecified)) {
        return refuse_part(ErrorReason::FieldInvalid, "kind", "say what they are to the person");
    }
    if !r.name.is_empty() {
        if r.person_uid != 0 {
            return refuse_part(ErrorReason::FieldInvalid, "name", "empty in a link, whose record has it");
        }
        at_most_chars(&r.name, NAME_CHARS, || at(field, "name"))?;
        as_reason(text::check_name(&r.name), ErrorReason::NameCharset, || at(field, "name"))?;
    }
    if !r.personal_id.is_empty() && !identifier::is_personal_id(&r.personal_id) {
        return refuse_part(ErrorReason::IdStructureInvalid, "personal_id", "a personal id has 12 digits");
    }
    if !r.old_id_number.is_empty() && !identifier::is_old_id(&r.old_id_number) {
        return refuse_part(ErrorReason::IdStructureInvalid, "old_id_number", "a CMND number has 9 digits");
    }
    if !r.nationality.is_empty() && !is_alpha2(&r.nationality) {
        let detail = "two capital letters of ISO 3166-1 alpha-2, or empty for VN";
        return refuse_part(ErrorReason::FieldInvalid, "nationality", detail);
    }
    Ok(())
}

fn relations(relations: &[RelatedPerson], field: &str) -> Checked {
    at_most_items(relations.len(), RELATIONS, field)?;
    for (i, related) in relations.iter().enumerate() {
        within(related_person(related, ""), || format!("{field}[{i}]"))?;
        let before = &relations[..i];
        let single =
            matches!(related.kind(), RelationKind::Father | RelationKind::Mother | RelationKind::Spouse);
        if single && before.iter().any(|other| other.kind == related.kind) {
            let field = format!("{field}[{i}].kind");
            return refuse(
                ErrorReason::FieldInvalid,
                &field,
                "at most one father, one mother and one spouse",
            );
        }
        let same =
            |other: &RelatedPerson| other.kind == related.kind && other.person_uid == related.person_uid;
        if related.person_uid != 0 && before.iter().any(same) {
            let field = format!("{field}[{i}]");
            return refuse(ErrorReason::FieldInvalid, &field, "stands in the list twice");
        }
    }
    Ok(())
}

fn household(person: &Person, prefix: &str) -> Checked {
    let file = &person.residence_file_no;
    let field = at(prefix, "residence_file_no");
    at_most_chars(file, RESIDENCE_FILE_CHARS, || field.clone())?;
    if !file.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
        return refuse(ErrorReason::FieldInvalid, &field, "1 to 20 letters A to Z and digits, or empty");
    }
    let dead = person.physical_status.is_some_and(|s| s.kind() == PhysicalStatusKind::Deceased);
    if dead && !file.is_empty() {
        return refuse(ErrorReason::FieldInvalid, &field, "the dead belong to no household");
    }
    let field = at(prefix, "household_role");
    known::<HouseholdRole>(person.household_role, || field.clone())?;
    if file.is_empty() && person.household_role() != HouseholdRole::Unspecified {
        return refuse(ErrorReason::FieldInvalid, &field, "needs a residence_file_no");
    }
    Ok(())
}
