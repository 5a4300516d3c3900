//! Reading the state: a view is a revision.
//!
//! The tables keep every version of a record, so a consistent view needs no snapshot of RocksDB: it is the number of
//! a revision, and a row read through it is the newest version that is not newer. What is written while a view is
//! held is newer and stays out of its sight. A read as of an earlier revision or instant is the same read with a
//! smaller number.
//!
//! ```text
//! person 7 @ 12         history 7 @ 9, 7 @ 4        view 12: person row    view 10: 7 @ 9    view 3: not found
//! ```
//!
//! Numbers are not versioned: an alias row says who ever held the number, and the person's version at the view's
//! revision says whether it was theirs then.

use std::fmt;
use std::sync::Arc;

use rocksdb::ReadOptions;

use super::generation::Generation;
use super::tables::{Row, Table, history_key, id_key, id_of, old_id_prefix, personal_id_key};
use crate::domain::command::View;
use crate::proto::registry::{KeyResolution, Person, PersonKey, person_key::Key};
use crate::proto::store::{NodeRow, OldIdRow, PersonRow, PersonalIdRow};
use crate::storage::error::StorageError;

/// The point at which to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// After the change that made this revision, and before the next.
    Revision(u64),
    /// After the last write at or before this instant, in milliseconds since 1970-01-01T00:00:00Z, as the leaders
    /// stamped them. Writes that this view does not hold yet may come to bear an instant after [`StateView::time_ms`].
    Instant(u64),
}

/// Why a view cannot be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AsOfError {
    /// The registry, as this view holds it, has not reached the revision.
    #[error("the registry is at revision {current} and has not reached the one asked for")]
    RevisionFuture {
        /// Where it is.
        current: u64,
    },
}

/// What a key led to.
#[derive(Debug)]
pub enum Resolved {
    /// One person.
    Found {
        /// Their record at the view's revision.
        row: Box<PersonRow>,
        /// Whether the key was a cancelled number.
        resolution: KeyResolution,
    },
    /// Nobody.
    NotFound,
    /// So many people hold this CMND number.
    Ambiguous(usize),
}

/// The state at one revision. Owned, cheap to make and to clone; writes go on beside it. It keeps the files of its
/// generation, so hold it for a request, not for ever.
#[derive(Clone)]
pub struct StateView {
    generation: Arc<Generation>,
    revision: u64,
    time_ms: u64,
    /// Versions written later than this are out of sight.
    instant_ms: u64,
}

impl StateView {
    pub(super) fn new(generation: Arc<Generation>, revision: u64, time_ms: u64) -> Self {
        Self { generation, revision, time_ms, instant_ms: u64::MAX }
    }

    /// The registry's revision that this view reads at. With [`AsOf::Instant`] it is the newest one that was looked
    /// through.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The time of the last batch applied when the view was made, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// The same view at an earlier point.
    ///
    /// # Errors
    /// `RevisionFuture` for a revision above its own.
    pub fn at(self, point: AsOf) -> Result<Self, AsOfError> {
        match point {
            AsOf::Revision(revision) if revision > self.revision => {
                Err(AsOfError::RevisionFuture { current: self.revision })
            }
            AsOf::Revision(revision) => Ok(Self { revision, ..self }),
            AsOf::Instant(instant_ms) => Ok(Self { instant_ms: instant_ms.min(self.instant_ms), ..self }),
        }
    }

    /// Finds the person that a key names. An absent key names nobody.
    ///
    /// # Errors
    /// Faults of this node's disk.
    pub fn resolve(&self, key: &PersonKey) -> Result<Resolved, StorageError> {
        match &key.key {
            None => Ok(Resolved::NotFound),
            Some(Key::PersonUid(uid)) => Ok(match self.person(*uid)? {
                Some(row) => Resolved::Found { row: Box::new(row), resolution: KeyResolution::default() },
                None => Resolved::NotFound,
            }),
            Some(Key::PersonalId(number)) => self.resolve_personal_id(number),
            Some(Key::OldIdNumber(number)) => self.resolve_old_id(number),
        }
    }

    fn resolve_personal_id(&self, number: &str) -> Result<Resolved, StorageError> {
        let Some(alias) = Tables(&self.generation).personal_id(number)? else {
            return Ok(Resolved::NotFound);
        };
        let Some(row) = self.person(alias.person_uid)? else { return Ok(Resolved::NotFound) };
        let person = record(&row)?;
        let resolution = if person.personal_id == number {
            KeyResolution::default()
        } else if person.cancelled_personal_ids.iter().any(|cancelled| cancelled == number) {
            KeyResolution { cancelled: true, superseded_by: person.personal_id.clone() }
        } else {
            return Ok(Resolved::NotFound);
        };
        Ok(Resolved::Found { row: Box::new(row), resolution })
    }

    fn resolve_old_id(&self, number: &str) -> Result<Resolved, StorageError> {
        let mut holders = Vec::new();
        for (uid, _) in Tables(&self.generation).all_old_id_holders(number)? {
            if let Some(row) = self.person(uid)?
                && record(&row)?.old_id_numbers.iter().any(|held| held == number)
            {
                holders.push(row);
            }
        }
        Ok(match (holders.len(), holders.pop()) {
            (1, Some(row)) => Resolved::Found { row: Box::new(row), resolution: KeyResolution::default() },
            (count, Some(_)) => Resolved::Ambiguous(count),
            (_, None) => Resolved::NotFound,
        })
    }

    /// A person's version at this view, `None` if there was none.
    ///
    /// # Errors
    /// Faults of this node's disk.
    pub fn person(&self, uid: u64) -> Result<Option<PersonRow>, StorageError> {
        match self.generation.row::<PersonRow>(&id_key(uid))? {
            Some(row) if self.sees(&row)? => Ok(Some(row)),
            Some(_) => Ok(self.earlier(uid, self.revision, 1)?.pop()),
            None => Ok(None),
        }
    }

    /// The versions of a record, newest first, at most `limit`, and whether there are older ones. Only those before
    /// revision `before_revision`, unless it is 0.
    ///
    /// # Errors
    /// Faults of this node's disk.
    pub fn history(
        &self,
        uid: u64,
        before_revision: u64,
        limit: usize,
    ) -> Result<(Vec<PersonRow>, bool), StorageError> {
        let newest =
            if before_revision == 0 { self.revision } else { self.revision.min(before_revision - 1) };
        let Some(current) = self.generation.row::<PersonRow>(&id_key(uid))? else {
            return Ok((Vec::new(), false));
        };
        let current_revision = version_of(&current)?.1;
        let mut versions = Vec::new();
        // The current row may have become history since it was read: look there only for what is older.
        let older = newest.min(current_revision.saturating_sub(1));
        if current_revision <= newest && self.sees(&current)? {
            versions.push(current);
        }
        versions.extend(self.earlier(uid, older, (limit + 1).saturating_sub(versions.len()))?);
        let more = versions.len() > limit;
        versions.truncate(limit);
        Ok((versions, more))
    }

    /// Versions in the history table from `newest` on that this view sees, newest first.
    fn earlier(&self, uid: u64, newest: u64, limit: usize) -> Result<Vec<PersonRow>, StorageError> {
        let mut options = ReadOptions::default();
        options.set_iterate_range(rocksdb::PrefixRange(id_key(uid)));
        let mut versions = Vec::new();
        for row in self.generation.rows_from(Table::History, &history_key(uid, newest), options) {
            if versions.len() == limit {
                break;
            }
            let version = PersonRow::from_value(&row?.1)?;
            if self.sees(&version)? {
                versions.push(version);
            }
        }
        Ok(versions)
    }

    fn sees(&self, row: &PersonRow) -> Result<bool, StorageError> {
        Ok(version_of(row)?.1 <= self.revision && row.written_at_ms <= self.instant_ms)
    }
}

impl fmt::Debug for StateView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateView").field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// The record in a row.
fn record(row: &PersonRow) -> Result<&Person, StorageError> {
    row.person.as_ref().ok_or_else(|| StorageError::corrupt(Table::Person.row(), "it holds no record"))
}

/// Uid and revision of a version.
pub(super) fn version_of(row: &PersonRow) -> Result<(u64, u64), StorageError> {
    record(row).map(|person| (person.uid, person.record_revision))
}

/// The tables as they are now: what `apply` decides on.
pub(super) struct Tables<'a>(pub &'a Generation);

impl Tables<'_> {
    /// All who hold or ever held a CMND number, by uid, and whether they no longer do.
    fn all_old_id_holders(&self, number: &str) -> Result<Vec<(u64, OldIdRow)>, StorageError> {
        let prefix = old_id_prefix(number);
        let mut holders = Vec::new();
        for row in self.0.rows_with_prefix(Table::Alias, &prefix) {
            let (key, value) = row?;
            // Another length belongs to another, longer number.
            if let Ok(uid) = id_of(Table::Alias, &key[prefix.len()..]) {
                holders.push((uid, OldIdRow::from_value(&value)?));
            }
        }
        Ok(holders)
    }
}

impl View for Tables<'_> {
    type Error = StorageError;

    fn person(&self, uid: u64) -> Result<Option<PersonRow>, StorageError> {
        self.0.row(&id_key(uid))
    }

    fn personal_id(&self, number: &str) -> Result<Option<PersonalIdRow>, StorageError> {
        self.0.row(&personal_id_key(number))
    }

    fn old_id_holders(&self, number: &str) -> Result<Vec<u64>, StorageError> {
        let holders = self.all_old_id_holders(number)?;
        Ok(holders.into_iter().filter(|(_, row)| !row.removed).map(|(uid, _)| uid).collect())
    }

    fn node(&self, id: u64) -> Result<Option<NodeRow>, StorageError> {
        self.0.row(&id_key(id))
    }

    fn live_node_named(&self, name: &str) -> Result<Option<u64>, StorageError> {
        for row in self.0.rows_from(Table::Node, &[], ReadOptions::default()) {
            let (key, value) = row?;
            let node = NodeRow::from_value(&value)?;
            if !node.retired && node.name == name {
                return id_of(Table::Node, &key).map(Some);
            }
        }
        Ok(None)
    }
}
