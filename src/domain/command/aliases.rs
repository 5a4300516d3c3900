//! The numbers that lead to a person, and what may become of them.
//!
//! ```text
//! personal id   free --> active (one holder) --> cancelled (the same holder, for ever)
//!               free ---------------------------> cancelled (a record that came with its past)
//! CMND number   any number of holders, added and removed
//! credential    one holder at a time, added and removed
//! household     up to 64 holders: its members
//! name          any number of holders; how people are found without a number
//! ```
//!
//! All but the first are an [`Alias`]: what a record says decides which of them lead to it ([`aliases_of`]), so a
//! changed record adds and removes exactly the difference.

use std::collections::BTreeSet;
use std::fmt;

use super::people::{Draft, People};
use super::{Effect, Stop, View};
use crate::domain::error::rejection;
use crate::domain::{matching, text};
use crate::proto::registry::{ErrorReason, Person, PersonField, Rejection};
use crate::proto::store::PersonalIdRow;

const ACTIVE: &str = "person.personal_id";
const CANCELLED: &str = "person.cancelled_personal_ids";

/// What leads to people besides a personal id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alias {
    /// A CMND number.
    OldId(String),
    /// A credential.
    Credential {
        /// Its type, as protobuf numbers it.
        kind: i32,
        /// Its number.
        number: String,
    },
    /// A residence file: the household of those whom it leads to.
    Household(String),
    /// A name without case, spaces and diacritics, and the birth date: year, month and day, 0 where unknown.
    Name {
        /// See [`text::folded`].
        folded: String,
        /// The birth date.
        born: (u32, u32, u32),
    },
}

impl Alias {
    /// The fields that say whether it leads to a record.
    pub fn fields(&self) -> &'static [PersonField] {
        match self {
            Self::OldId(_) => &[PersonField::OldIdNumbers],
            Self::Credential { .. } => &[PersonField::Credentials],
            Self::Household(_) => &[PersonField::ResidenceFileNo],
            Self::Name { .. } => &[PersonField::BirthName, PersonField::BirthDate],
        }
    }
}

/// Names the kind alone: the rest is a citizen's.
impl fmt::Debug for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OldId(_) => "OldId",
            Self::Credential { .. } => "Credential",
            Self::Household(_) => "Household",
            Self::Name { .. } => "Name",
        })
    }
}

/// The aliases that lead to a record because of what it says.
pub fn aliases_of(person: &Person) -> BTreeSet<Alias> {
    let mut aliases: BTreeSet<Alias> = person.old_id_numbers.iter().cloned().map(Alias::OldId).collect();
    let credentials = person.credentials.iter();
    aliases.extend(credentials.map(|c| Alias::Credential { kind: c.r#type, number: c.number.clone() }));
    if !person.residence_file_no.is_empty() {
        aliases.insert(Alias::Household(person.residence_file_no.clone()));
    }
    aliases.extend(name_of(person));
    aliases
}

/// Whether [`aliases_of`] a record holds this one, without making all the others.
pub fn leads_to(alias: &Alias, person: &Person) -> bool {
    match alias {
        Alias::OldId(held) => person.old_id_numbers.contains(held),
        Alias::Credential { kind, number } => {
            person.credentials.iter().any(|held| held.r#type == *kind && held.number == *number)
        }
        Alias::Household(file) => !file.is_empty() && person.residence_file_no == *file,
        Alias::Name { .. } => name_of(person).as_ref() == Some(alias),
    }
}

/// A name leads to a record unless it was merged into another.
fn name_of(person: &Person) -> Option<Alias> {
    let (Some(name), Some(born), 0) = (&person.birth_name, person.birth_date, person.merged_into) else {
        return None;
    };
    let folded = text::folded(&matching::full_name(name));
    Some(Alias::Name { folded, born: (born.year, born.month, born.day) })
}

/// Moves the active id that `after` no longer has to its cancelled ones, and refuses a record that would forget one
/// or make it active again.
pub(super) fn keep_past(before: &Person, after: &mut Person) -> Result<(), Rejection> {
    if before.personal_id == after.personal_id
        && before.cancelled_personal_ids == after.cancelled_personal_ids
    {
        return Ok(());
    }
    let past = &before.personal_id;
    if !past.is_empty() && *past != after.personal_id && !after.cancelled_personal_ids.contains(past) {
        after.cancelled_personal_ids.push(past.clone());
    }
    let order = |person: &Person| -> Vec<String> {
        let held =
            person.cancelled_personal_ids.iter().filter(|id| before.cancelled_personal_ids.contains(id));
        held.cloned().collect()
    };
    for id in &before.cancelled_personal_ids {
        if *id == after.personal_id {
            return Err(rejection(ErrorReason::IdentifierTaken, ACTIVE, "this personal id was cancelled"));
        }
        if !after.cancelled_personal_ids.contains(id) {
            let detail = "a cancelled personal id stays with its record: list those the record has";
            return Err(rejection(ErrorReason::FieldInvalid, CANCELLED, detail));
        }
    }
    if order(after) != before.cancelled_personal_ids {
        let detail = "cancelled personal ids stay in the order in which they ended";
        return Err(rejection(ErrorReason::FieldInvalid, CANCELLED, detail));
    }
    Ok(())
}

/// What to write so that exactly the numbers of a draft lead to it.
pub(super) fn effects<V: View>(people: &People<'_, V>, draft: &Draft) -> Result<Vec<Effect>, Stop<V::Error>> {
    let (uid, after, before) = (draft.after.uid, &draft.after, draft.before());
    let mut effects = Vec::new();
    if before.is_some_and(|before| same_names(before, after)) {
        return Ok(effects);
    }
    if !after.personal_id.is_empty() {
        let field = || format!("{}.personal_id", draft.path);
        effects.extend(personal_id(people, uid, &after.personal_id, false, field)?);
    }
    for number in &after.cancelled_personal_ids {
        let field = || format!("{}.cancelled_personal_ids", draft.path);
        effects.extend(personal_id(people, uid, number, true, field)?);
    }
    let had = before.map(aliases_of).unwrap_or_default();
    let mut has = aliases_of(after);
    effects.extend(had.difference(&has).map(|alias| Effect::RemoveHolder { alias: alias.clone(), uid }));
    has.retain(|alias| !had.contains(alias));
    for alias in &has {
        if matches!(alias, Alias::Credential { .. }) {
            credential(people, uid, alias, &draft.path)?;
        }
    }
    effects.extend(has.into_iter().map(|alias| Effect::AddHolder { alias, uid }));
    Ok(effects)
}

/// Whether two versions say the same wherever a number, a household or a name comes from. Most changes are elsewhere.
fn same_names(before: &Person, after: &Person) -> bool {
    before.personal_id == after.personal_id
        && before.cancelled_personal_ids == after.cancelled_personal_ids
        && before.old_id_numbers == after.old_id_numbers
        && before.credentials == after.credentials
        && before.residence_file_no == after.residence_file_no
        && before.birth_name == after.birth_name
        && before.birth_date == after.birth_date
        && before.merged_into == after.merged_into
}

/// The alias row of one personal id, if it must change. That none of the person's own cancelled ids becomes active
/// again is seen to by [`keep_past`].
fn personal_id<V: View>(
    people: &People<'_, V>,
    uid: u64,
    number: &str,
    cancelled: bool,
    field: impl FnOnce() -> String,
) -> Result<Option<Effect>, Stop<V::Error>> {
    let mut row = match people.view.personal_id(number).map_err(Stop::View)? {
        Some(row) if row.person_uid == uid && row.cancelled == cancelled => return Ok(None),
        Some(row) if row.person_uid == uid || merges(people, row.person_uid, uid) => row,
        Some(_) => {
            let detail = "this personal id belongs to another person";
            return Err(rejection(ErrorReason::IdentifierTaken, field(), detail).into());
        }
        None => PersonalIdRow { person_uid: uid, ..PersonalIdRow::default() },
    };
    if row.person_uid != uid {
        row.earlier_uids.push(row.person_uid);
    }
    let row = PersonalIdRow { person_uid: uid, cancelled, ..row };
    Ok(Some(Effect::PutPersonalId { number: number.to_owned(), row }))
}

/// Refuses a credential that somebody else has.
fn credential<V: View>(
    people: &People<'_, V>,
    uid: u64,
    alias: &Alias,
    path: &str,
) -> Result<(), Stop<V::Error>> {
    let holders = people.view.holders(alias, 2).map_err(Stop::View)?;
    if holders.iter().any(|&holder| holder != uid && !merges(people, holder, uid)) {
        let detail = "a credential of this type and number belongs to another person";
        let field = format!("{path}.credentials");
        return Err(rejection(ErrorReason::IdentifierTaken, field, detail).into());
    }
    Ok(())
}

/// Whether the write merges one record into the other.
fn merges<V: View>(people: &People<'_, V>, from: u64, into: u64) -> bool {
    people.drafts().get(&from).is_some_and(|draft| draft.after.merged_into == into)
}
