//! Compaction: versions that were superseded long ago go from the history, for good.
//!
//! ```text
//! superseded   (9, uid 7)  (12, uid 3)  (12, uid 4) | (15, uid 7) ..     revision and uid of what took their place
//!                  |            |            |      |
//! history      7 @ 4        3 @ 1        4 @ 2      | stay: superseded_at_ms is not before the instant
//!                                                   first revision = 12
//! ```
//!
//! A command of the leader names the instant and how many versions may go. They go in the order in which they were
//! superseded, so that what is left is the history from some revision on, whole: `first` says which. Everything that
//! could be read as of it or a later one reads as before. Which versions go follows from the command and the tables
//! alone; no version is looked at that stays.
//!
//! A number, household or name that a record lost left its alias row behind for reads as of earlier revisions. Such a
//! row names the revision of the version without it, and goes when the version before that goes: if the record had it
//! again later, the row names a later revision, and goes with that one. What a merge handed on stays.
//!
//! Whoever holds a view from before the first revision must learn that what it looks for may be gone: see
//! `Generation::begin_at`.

use rocksdb::ReadOptions;

use super::StateStore;
use super::commands::Commands;
use super::generation::{Generation, RawRow};
use super::position::FirstRevision;
use super::rows::Rows;
use super::tables::{Row, Table, history_key, holder_key, id_key, split_superseded_key};
use super::view::record;
use crate::domain::command::aliases_of;
use crate::proto::store::{CompactHistory, HolderRow, PersonRow, SupersededRow, command::Op};
use crate::storage::error::StorageError;

/// The compaction that a batch asks for. It stands alone there.
pub(super) fn asked(batch: &Commands) -> Option<&CompactHistory> {
    match &batch.commands[..] {
        [received] => match &received.command.op {
            Some(Op::CompactHistory(compact)) => Some(compact),
            _ => None,
        },
        _ => None,
    }
}

/// Removes versions and moves `first`. Looks at what is on disk only, so nothing may be waiting in `rows` that touches
/// a record. Returns how many versions went.
pub(super) fn compact(
    generation: &Generation,
    rows: &mut Rows<'_>,
    first: &mut FirstRevision,
    ask: &CompactHistory,
) -> Result<u32, StorageError> {
    let mut gone = 0;
    for row in superseded(generation, *first) {
        let (key, value) = row?;
        let at_ms = SupersededRow::from_value(&value)?.superseded_at_ms;
        if at_ms >= ask.superseded_before_ms || gone == ask.max_versions {
            break;
        }
        let (revision, uid) = split_superseded_key(&key)?;
        remove_version(generation, rows, uid, revision)?;
        rows.delete(Table::Superseded, &key);
        *first = FirstRevision { revision, at_ms };
        gone += 1;
    }
    Ok(gone)
}

/// The rows of the superseded table, from the first on that can be there: what is before it is gone, and would cost
/// a search through what RocksDB has not yet forgotten.
fn superseded(generation: &Generation, first: FirstRevision) -> impl Iterator<Item = RawRow> {
    generation.rows_from(Table::Superseded, &first.revision.to_be_bytes(), ReadOptions::default())
}

/// Removes the version of a person that another one took the place of at `revision`, and the aliases that led to it
/// last.
fn remove_version(
    generation: &Generation,
    rows: &mut Rows<'_>,
    uid: u64,
    revision: u64,
) -> Result<(), StorageError> {
    let mut options = ReadOptions::default();
    options.set_iterate_range(rocksdb::PrefixRange(id_key(uid)));
    let newest = history_key(uid, revision.saturating_sub(1));
    let missing = || StorageError::corrupt(Table::History.row(), "it is missing");
    let (key, value) =
        generation.rows_from(Table::History, &newest, options).next().ok_or_else(missing)??;
    rows.delete(Table::History, &key);
    for alias in aliases_of(record(&PersonRow::from_value(&value)?)?) {
        let key = holder_key(&alias, uid);
        let holder: Option<HolderRow> = generation.row(&key)?;
        if holder.is_some_and(|holder| holder.removed_revision == revision && !holder.handed_on) {
            rows.delete(Table::Alias, &key);
        }
    }
    Ok(())
}

impl StateStore {
    /// Whether the history has a version that was superseded before an instant, in milliseconds since
    /// 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// Faults of this node's disk.
    pub fn has_superseded_before(&self, instant_ms: u64) -> Result<bool, StorageError> {
        let generation = self.live().generation;
        let Some(row) = superseded(&generation, generation.first()).next() else { return Ok(false) };
        Ok(SupersededRow::from_value(&row?.1)?.superseded_at_ms < instant_ms)
    }
}
