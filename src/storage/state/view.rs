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
//!
//! Compaction may remove versions while a view is held that needs them. So every read ends with a look at where the
//! history begins (`StateView::kept`): what it found, or did not find, counts only if the view is not from before.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use rocksdb::{DBRawIterator, ReadOptions};

use super::generation::Generation;
use super::part;
use super::position::{FirstRevision, Position};
use super::tables::{
    Row, Table, audit_log_key, consents_of, history_key, holder_key, holder_prefix, id_key, id_of,
    personal_id_key, policy_key, receipt_keys_key, shared_part,
};
use crate::domain::command::{Alias, Counters, View, leads_to};
use crate::domain::fields::Fields;
use crate::domain::policy::{Policies, PolicyKey};
use crate::proto::registry::{ConsentRecord, Person};
use crate::proto::store::{
    AuditLogRow, GuessRow, HolderRow, NodeRow, PersonRow, PersonalIdRow, PolicyRow, ReceiptKeysRow,
    policy_row,
};
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
    /// The history no longer goes back there.
    #[error(
        "the history before revision {} was compacted: what is older can no longer be read as of", first.revision
    )]
    RevisionCompacted {
        /// Where it begins.
        first: FirstRevision,
    },
}

/// Why a view was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The versions that the view looks for were compacted while it was held.
    #[error(transparent)]
    AsOf(#[from] AsOfError),
    /// A fault of this node's disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The state at one revision. Owned, cheap to make and to clone; writes go on beside it, compaction too. It keeps the
/// files of its generation, so hold it for a request, not for ever.
#[derive(Clone)]
pub struct StateView {
    pub(super) generation: Arc<Generation>,
    revision: u64,
    time_ms: u64,
    /// Versions written later than this are out of sight.
    instant_ms: u64,
    /// What is read of a current record.
    fields: Fields,
    policies: Arc<Policies>,
}

impl StateView {
    pub(super) fn new(generation: Arc<Generation>, position: &Position) -> Self {
        let Counters { revision, time_ms, .. } = position.counters;
        let policies = position.policies.clone();
        Self { generation, revision, time_ms, instant_ms: u64::MAX, fields: Fields::ALL, policies }
    }

    /// All agencies, procedures and policies when the view was made. Those of today: also for a view of the past.
    pub fn policies(&self) -> &Arc<Policies> {
        &self.policies
    }

    /// A consent, by its id. Not older than the view, and never of the past: what was withdrawn is withdrawn.
    ///
    /// # Errors
    /// Faults of this node's disk.
    pub fn consent(&self, id: &str) -> Result<Option<ConsentRecord>, StorageError> {
        let row: Option<PolicyRow> = self.generation.row(&policy_key(&PolicyKey::Consent(id.to_owned())))?;
        Ok(row.and_then(consent_in))
    }

    /// All consents of a person, by id; like [`StateView::consent`].
    ///
    /// # Errors
    /// Faults of this node's disk.
    pub fn consents_of(&self, uid: u64) -> Result<Vec<ConsentRecord>, StorageError> {
        let prefix = consents_of(uid);
        let mut consents = Vec::new();
        for row in self.generation.rows_from(Table::Policy, &prefix, ReadOptions::default()) {
            let (key, value) = row?;
            if !key.starts_with(&prefix) {
                break;
            }
            consents.extend(consent_in(PolicyRow::from_value(&value)?));
        }
        Ok(consents)
    }

    /// What an agency has guessed wrong about a person.
    ///
    /// # Errors
    /// Faults of this node's disk.
    pub fn guesses(&self, agency: &str, uid: u64) -> Result<Option<GuessRow>, StorageError> {
        let key = policy_key(&PolicyKey::Guesses(agency.to_owned(), uid));
        let row: Option<PolicyRow> = self.generation.row(&key)?;
        Ok(row.and_then(|row| match row.row {
            Some(policy_row::Row::Guesses(guesses)) => Some(guesses),
            _ => None,
        }))
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
    /// `RevisionFuture` for a revision above its own, `RevisionCompacted` for one that the history no longer holds.
    pub fn at(self, point: AsOf) -> Result<Self, AsOfError> {
        let moved = match point {
            AsOf::Revision(revision) if revision > self.revision => {
                return Err(AsOfError::RevisionFuture { current: self.revision });
            }
            AsOf::Revision(revision) => Self { revision, ..self },
            AsOf::Instant(instant_ms) => Self { instant_ms: instant_ms.min(self.instant_ms), ..self },
        };
        moved.history_holds()?;
        Ok(moved)
    }

    /// The same view, of these fields alone and of what identifies a record: the others may be missing in what it shows.
    pub fn of_fields(self, fields: Fields) -> Self {
        Self { fields, ..self }
    }

    /// What was read, if nothing that this view sees can have been compacted meanwhile.
    pub(super) fn kept<T>(&self, found: T) -> Result<T, ReadError> {
        self.history_holds()?;
        Ok(found)
    }

    fn history_holds(&self) -> Result<(), AsOfError> {
        let first = self.generation.first();
        if self.revision < first.revision || self.instant_ms < first.at_ms {
            return Err(AsOfError::RevisionCompacted { first });
        }
        Ok(())
    }

    /// Those whom an alias leads to at this view, by uid: the first `limit` of them.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn holders(&self, alias: &Alias, limit: usize) -> Result<Vec<PersonRow>, ReadError> {
        let mut holders = Vec::new();
        let view = self.clone().of_fields(alias.fields().iter().fold(self.fields, |all, it| all.with(*it)));
        for holder in Tables::new(&self.generation).all_holders(alias) {
            if holders.len() == limit {
                break;
            }
            if let Some(row) = view.person(holder?.0)?
                && leads_to(alias, record(&row)?)
            {
                holders.push(row);
            }
        }
        self.kept(holders)
    }

    /// A person's version at this view, `None` if there was none. A record that was merged is not followed.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn person(&self, uid: u64) -> Result<Option<PersonRow>, ReadError> {
        let value = self.generation.value(Table::Person, &id_key(uid))?;
        let version = match value.map(|value| part::decode(&value, self.fields)).transpose()? {
            Some(row) if self.sees(&row)? => Some(row),
            Some(_) => self.earlier(uid, self.revision, 1, usize::MAX)?.0.pop(),
            None => None,
        };
        self.kept(version)
    }

    /// The versions of a record, newest first, and whether there are older ones: at most `limit`, and no more once they
    /// have `max_bytes` together. Only those before revision `before_revision`, unless it is 0. Those that were
    /// compacted are not among them.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn history(
        &self,
        uid: u64,
        before_revision: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<(Vec<PersonRow>, bool), ReadError> {
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
        let rest = (limit + 1).saturating_sub(versions.len());
        let (earlier, cut) = self.earlier(uid, older, rest, max_bytes)?;
        versions.extend(earlier);
        let more = cut || versions.len() > limit;
        versions.truncate(limit);
        self.kept((versions, more))
    }

    /// Versions in the history table from `newest` on that this view sees, newest first, and whether some were left out
    /// because those before them have `max_bytes`.
    fn earlier(
        &self,
        uid: u64,
        newest: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<(Vec<PersonRow>, bool), StorageError> {
        let mut options = ReadOptions::default();
        options.set_iterate_range(rocksdb::PrefixRange(id_key(uid)));
        let (mut versions, mut bytes) = (Vec::new(), 0);
        for row in self.generation.rows_from(Table::History, &history_key(uid, newest), options) {
            if versions.len() == limit {
                break;
            }
            let value = row?.1;
            let version = PersonRow::from_value(&value)?;
            if !self.sees(&version)? {
                continue;
            }
            if bytes >= max_bytes {
                return Ok((versions, true));
            }
            bytes += value.len();
            versions.push(version);
        }
        Ok((versions, false))
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
pub(super) fn record(row: &PersonRow) -> Result<&Person, StorageError> {
    row.person.as_ref().ok_or_else(|| StorageError::corrupt(Table::Person.row(), "it holds no record"))
}

/// Uid and revision of a version.
pub(super) fn version_of(row: &PersonRow) -> Result<(u64, u64), StorageError> {
    record(row).map(|person| (person.uid, person.record_revision))
}

fn consent_in(row: PolicyRow) -> Option<ConsentRecord> {
    match row.row {
        Some(policy_row::Row::Consent(consent)) => Some(consent),
        _ => None,
    }
}

/// The tables as they were when they were first looked at: what one call of `apply` decides on.
pub(super) struct Tables<'a> {
    generation: &'a Generation,
    /// What stands in memory of the policy table; nothing for those who only look up rows.
    policies: Option<&'a Arc<Policies>>,
    /// The one iterator of all searches for holders: to make one takes as long as a search.
    holders: RefCell<Option<DBRawIterator<'a>>>,
    /// The personal id that was looked up last: a write asks twice, who has it and whether it is free.
    last_id: RefCell<Option<(String, Option<PersonalIdRow>)>>,
}

impl<'a> Tables<'a> {
    /// Those of a generation. Nothing may be written to it while they are looked at.
    pub fn new(generation: &'a Generation) -> Self {
        Self { generation, policies: None, holders: RefCell::default(), last_id: RefCell::default() }
    }

    /// The same, for decisions on what agencies may do.
    pub fn with_policies(generation: &'a Generation, policies: &'a Arc<Policies>) -> Self {
        Self { policies: Some(policies), ..Self::new(generation) }
    }

    /// All who have or had an alias, by uid, and whether they no longer do.
    pub fn all_holders(
        &self,
        alias: &Alias,
    ) -> impl Iterator<Item = Result<(u64, HolderRow), StorageError>> + use<'a> {
        let prefix = holder_prefix(alias);
        let rows = self.generation.holders(alias);
        rows.filter_map(move |row| {
            let (key, value) = match row {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            // Another length belongs to another, longer number.
            let uid = id_of(Table::Alias, &key[prefix.len()..]).ok()?;
            Some(HolderRow::from_value(&value).map(|row| (uid, row)))
        })
    }
}

impl View for Tables<'_> {
    type Error = StorageError;

    fn person(&self, uid: u64) -> Result<Option<Arc<PersonRow>>, StorageError> {
        Ok(self.generation.row(&id_key(uid))?.map(Arc::new))
    }

    fn personal_id(&self, number: &str) -> Result<Option<PersonalIdRow>, StorageError> {
        let mut last = self.last_id.borrow_mut();
        if let Some((_, row)) = last.as_ref().filter(|(known, _)| known == number) {
            return Ok(row.clone());
        }
        let row: Option<PersonalIdRow> = self.generation.row(&personal_id_key(number))?;
        *last = Some((number.to_owned(), row.clone()));
        Ok(row)
    }

    fn holders(&self, alias: &Alias, limit: usize) -> Result<Vec<u64>, StorageError> {
        let mut kept = self.holders.borrow_mut();
        let rows = kept.get_or_insert_with(|| self.generation.all_holders());
        let first = holder_key(alias, 0);
        let prefix = shared_part(&first);
        let mut holders = Vec::new();
        rows.seek(&first);
        while holders.len() < limit
            && let Some((key, value)) = rows.item()
            && key.starts_with(prefix)
        {
            // Another length belongs to another, longer number.
            if let Ok(uid) = id_of(Table::Alias, &key[prefix.len()..])
                && HolderRow::from_value(value)?.removed_revision == 0
            {
                holders.push(uid);
            }
            rows.next();
        }
        rows.status().map_err(StorageError::rocks("read", self.generation.path()))?;
        Ok(holders)
    }

    fn node(&self, id: u64) -> Result<Option<NodeRow>, StorageError> {
        self.generation.row(&id_key(id))
    }

    fn audit_log(&self, node_id: u64) -> Result<Option<AuditLogRow>, StorageError> {
        self.generation.row(&audit_log_key(node_id))
    }

    fn policy_row(&self, key: &PolicyKey) -> Result<Option<PolicyRow>, StorageError> {
        self.generation.row(&policy_key(key))
    }

    fn policies(&self) -> Arc<Policies> {
        self.policies.cloned().unwrap_or_default()
    }

    fn receipt_keys(&self, node_id: u64) -> Result<Option<ReceiptKeysRow>, StorageError> {
        self.generation.row(&receipt_keys_key(node_id))
    }

    fn live_node_named(&self, name: &str) -> Result<Option<u64>, StorageError> {
        for row in self.generation.rows_from(Table::Node, &[], ReadOptions::default()) {
            let (key, value) = row?;
            let node = NodeRow::from_value(&value)?;
            if !node.retired && node.name == name {
                return id_of(Table::Node, &key).map(Some);
            }
        }
        Ok(None)
    }
}
