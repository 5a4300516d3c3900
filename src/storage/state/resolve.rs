//! From a key to a person, at a view.
//!
//! ```text
//! personal id   alias row: C, before it B, before it A      the one of them who had it at the view
//! CMND number   alias rows of all who ever had it           those who had it at the view; several are ambiguous
//! credential    the same                                    the one who had it
//! uid           the record                                  where its merges lead at the view
//! ```
//!
//! Numbers move from one record to another by merges alone, and a merged record never changes again. So the row that a
//! record left with its number when it was merged (`HolderRow.handed_on`), and the list of earlier uids of a personal
//! id, say for ever which record a key named before; both outlive compaction, and the answer with them.

use std::iter;

use super::tables::{Table, personal_id_key};
use super::view::{ReadError, StateView, Tables, record};
use crate::domain::command::Alias;
use crate::proto::registry::{KeyResolution, Person, PersonKey, person_key::Key};
use crate::proto::store::{PersonRow, PersonalIdRow};
use crate::storage::error::StorageError;

/// What a key led to.
#[derive(Debug)]
pub enum Resolved {
    /// One person.
    Found {
        /// Their record at the view's revision.
        row: Box<PersonRow>,
        /// Whether the key was a cancelled number, or named a record that was merged.
        resolution: KeyResolution,
    },
    /// Nobody.
    NotFound,
    /// Several people hold this CMND number.
    Ambiguous,
}

impl Resolved {
    fn found(row: PersonRow, resolution: KeyResolution) -> Self {
        Self::Found { row: Box::new(row), resolution }
    }
}

impl StateView {
    /// Finds the person that a key names. An absent key names nobody.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn resolve(&self, key: &PersonKey) -> Result<Resolved, ReadError> {
        match &key.key {
            None => Ok(Resolved::NotFound),
            Some(Key::PersonUid(uid)) => self.resolve_uid(*uid),
            Some(Key::PersonalId(number)) => self.resolve_personal_id(number),
            Some(Key::OldIdNumber(number)) => self.resolve_alias(&Alias::OldId(number.clone())),
            Some(Key::Credential(key)) => {
                self.resolve_alias(&Alias::Credential { kind: key.r#type, number: key.number.clone() })
            }
        }
    }

    fn resolve_uid(&self, uid: u64) -> Result<Resolved, ReadError> {
        let Some(row) = self.person(uid)? else { return Ok(Resolved::NotFound) };
        let row = self.survivor(row)?;
        let merged_from = if record(&row)?.uid == uid { 0 } else { uid };
        Ok(Resolved::found(row, KeyResolution { merged_from, ..KeyResolution::default() }))
    }

    /// The record that another one led to at this view: itself, or the one that it was merged into.
    fn survivor(&self, mut row: PersonRow) -> Result<PersonRow, ReadError> {
        let lost =
            || StorageError::corrupt(Table::Person.row(), "a record was merged into it, and it is missing");
        // A record is merged into one that is in use, once: so this ends.
        while let uid @ 1.. = record(&row)?.merged_into {
            row = self.person(uid)?.ok_or_else(lost)?;
        }
        Ok(row)
    }

    fn resolve_personal_id(&self, number: &str) -> Result<Resolved, ReadError> {
        let alias: Option<PersonalIdRow> = self.generation.row(&personal_id_key(number))?;
        let Some(alias) = alias else { return Ok(Resolved::NotFound) };
        // From the last one back: at this view some of the merges may be still to come.
        let earlier = alias.earlier_uids.iter().rev().copied();
        for uid in iter::once(alias.person_uid).chain(earlier) {
            let Some(row) = self.person(uid)? else { continue };
            let Some(mut resolution) = held(record(&row)?, number) else { continue };
            let first = alias.earlier_uids.first().copied().unwrap_or(uid);
            resolution.merged_from = if first == uid { 0 } else { first };
            return Ok(Resolved::found(row, resolution));
        }
        Ok(Resolved::NotFound)
    }

    fn resolve_alias(&self, alias: &Alias) -> Result<Resolved, ReadError> {
        // Two are enough to know that there are several.
        let mut holders = self.holders(alias, 2)?;
        Ok(match (holders.len(), holders.pop()) {
            (1, Some(row)) => {
                let merged_from = self.handed_on(alias, record(&row)?.uid)?;
                Resolved::found(row, KeyResolution { merged_from, ..KeyResolution::default() })
            }
            (_, Some(_)) => Resolved::Ambiguous,
            (_, None) => Resolved::NotFound,
        })
    }

    /// The record whose merge handed an alias on to `holder` at this view, the first if there were several; 0 when
    /// there was none.
    fn handed_on(&self, alias: &Alias, holder: u64) -> Result<u64, ReadError> {
        let mut merged_into_it = Vec::new();
        for held in Tables::new(&self.generation).all_holders(alias) {
            let (uid, row) = held?;
            if !row.handed_on {
                continue;
            }
            let Some(merged) = self.person(uid)? else { continue };
            let merged_at = record(&merged)?.record_revision;
            if uid != holder && record(&self.survivor(merged)?)?.uid == holder {
                merged_into_it.push((merged_at, uid));
            }
        }
        Ok(merged_into_it.into_iter().min().map_or(0, |(_, uid)| uid))
    }
}

/// How a personal id leads to a record that has it or had it.
fn held(person: &Person, number: &str) -> Option<KeyResolution> {
    if person.personal_id == number {
        return Some(KeyResolution::default());
    }
    let superseded_by = person.personal_id.clone();
    let cancelled = person.cancelled_personal_ids.iter().any(|cancelled| cancelled == number);
    cancelled.then_some(KeyResolution { cancelled, superseded_by, merged_from: 0 })
}
