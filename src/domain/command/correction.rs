//! A correction of name, gender or birth date, with the new personal id that it may need.

use super::people::People;
use super::{Stop, View, aliases, numbers};
use crate::domain::error::rejection;
use crate::domain::identifier;
use crate::proto::registry::{Correction, ErrorReason, Gender, Person};

/// Records it. The active id goes when it no longer says what the record says (circular 59/2021/TT-BCA article 6);
/// one that still does, because the gender was unknown or is now, stays.
pub(super) fn correct<V: View>(
    people: &mut People<'_, V>,
    correction: &Correction,
) -> Result<(), Stop<V::Error>> {
    let c = correction;
    let uid = people.name(c.person.as_ref(), "correction.person", "correction")?;
    let person = people.edit(uid);
    if let Some(name) = &c.birth_name {
        person.birth_name = Some(name.clone());
    }
    if c.gender() != Gender::Unspecified {
        person.gender = c.gender;
    }
    person.birth_date = c.birth_date.or(person.birth_date);
    match (contradicts(person), &c.new_personal_id, c.personal_id.as_str()) {
        (true, Some(new), _) => numbers::give(people, uid, new, "correction.new_personal_id"),
        (true, None, "") => {
            let detail = "a changed gender or birth year needs a new personal id, made or given";
            Stop::rejected(ErrorReason::EventConflict, "correction.new_personal_id", detail)
        }
        (true, None, number) => {
            let before = person.clone();
            number.clone_into(&mut person.personal_id);
            Ok(aliases::keep_past(&before, person).map_err(|mut rejection| {
                "correction.personal_id".clone_into(&mut rejection.field);
                rejection
            })?)
        }
        (false, None, "") => Ok(()),
        (false, new, _) => {
            let field = if new.is_some() { "correction.new_personal_id" } else { "correction.personal_id" };
            let detail = "no new personal id is due: there is none, or it still agrees with the record";
            Err(rejection(ErrorReason::EventConflict, field, detail).into())
        }
    }
}

/// Whether the active id says something else than the record.
fn contradicts(person: &Person) -> bool {
    let born = person.birth_date.unwrap_or_default();
    !person.personal_id.is_empty()
        && identifier::check_structure(&person.personal_id, &born, person.gender()).is_err()
}
