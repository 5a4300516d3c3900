//! The numbers that lead to a person, and what may become of them.
//!
//! ```text
//! personal id   free --> active (one holder) --> cancelled (the same holder, for ever)
//!               free ---------------------------> cancelled (a record that came with its past)
//! CMND number   any number of holders, added and removed
//! ```

use super::{Effect, Stop, View};
use crate::domain::error::rejection;
use crate::proto::registry::{ErrorReason, Person, Rejection};
use crate::proto::store::PersonalIdRow;

const ACTIVE: &str = "person.personal_id";
const CANCELLED: &str = "person.cancelled_personal_ids";

/// Moves the active id that `after` no longer has to its cancelled ones, and refuses a record that would forget one
/// or make it active again.
pub(super) fn keep_past(before: &Person, after: &mut Person) -> Result<(), Rejection> {
    let past = &before.personal_id;
    if !past.is_empty() && *past != after.personal_id && !after.cancelled_personal_ids.contains(past) {
        after.cancelled_personal_ids.push(past.clone());
    }
    for id in &before.cancelled_personal_ids {
        if *id == after.personal_id {
            return Err(rejection(ErrorReason::IdentifierTaken, ACTIVE, "this personal id was cancelled"));
        }
        if !after.cancelled_personal_ids.contains(id) {
            let detail = "a cancelled personal id stays with its record: list those the record has";
            return Err(rejection(ErrorReason::FieldInvalid, CANCELLED, detail));
        }
    }
    Ok(())
}

/// What to write so that exactly the numbers of `after` lead to it. `before` is the record that it replaces.
pub(super) fn effects<V: View>(
    view: &V,
    before: Option<&Person>,
    after: &Person,
) -> Result<Vec<Effect>, Stop<V::Error>> {
    let mut effects = Vec::new();
    if !after.personal_id.is_empty() {
        effects.extend(personal_id(view, after.uid, &after.personal_id, false)?);
    }
    for number in &after.cancelled_personal_ids {
        effects.extend(personal_id(view, after.uid, number, true)?);
    }
    let uid = after.uid;
    let had = before.map_or(&[][..], |person| &person.old_id_numbers);
    let has = &after.old_id_numbers;
    let removed = had.iter().filter(|number| !has.contains(number));
    effects.extend(removed.map(|number| Effect::RemoveOldId { number: number.clone(), uid }));
    let added = has.iter().filter(|number| !had.contains(number));
    effects.extend(added.map(|number| Effect::AddOldId { number: number.clone(), uid }));
    Ok(effects)
}

/// The alias row of one personal id, if it must change. That none of the person's own cancelled ids becomes active
/// again is seen to by [`keep_past`].
fn personal_id<V: View>(
    view: &V,
    uid: u64,
    number: &str,
    cancelled: bool,
) -> Result<Option<Effect>, Stop<V::Error>> {
    let field = if cancelled { CANCELLED } else { ACTIVE };
    match view.personal_id(number).map_err(Stop::View)? {
        Some(row) if row.person_uid != uid => {
            Stop::rejected(ErrorReason::IdentifierTaken, field, "this personal id belongs to another person")
        }
        Some(row) if row.cancelled == cancelled => Ok(None),
        _ => {
            let row = PersonalIdRow { person_uid: uid, cancelled };
            Ok(Some(Effect::PutPersonalId { number: number.to_owned(), row }))
        }
    }
}
