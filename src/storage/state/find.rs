//! Finding people by name, in the order of the index: birth date, then uid.

use std::fmt;

use rocksdb::ReadOptions;

use super::tables::{Table, name_prefix};
use super::view::{ReadError, StateView, record};
use crate::domain::command::{Alias, leads_to};
use crate::proto::registry::PartialDate;
use crate::proto::store::PersonRow;
use crate::storage::error::StorageError;

/// Index rows that one call looks at, whatever it finds: what a search for a common name may cost at once.
const ROWS: usize = 2_000;

/// A place in the index of a name: the last key that was looked at.
/// It tells a birth date, so it prints without.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NameCursor {
    /// Birth date: year, month and day, 0 where unknown.
    pub born: (u32, u32, u32),
    /// The person.
    pub uid: u64,
}

impl fmt::Debug for NameCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NameCursor({})", self.uid)
    }
}

impl StateView {
    /// The people of a folded name (see `domain::text::folded`), born on or within `born` when it is there, after a
    /// place in the index: at most `limit` of them, and where to go on. They may be fewer although there are more,
    /// because a call looks at a bounded number of index rows.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn named(
        &self,
        folded: &str,
        born: Option<PartialDate>,
        after: Option<NameCursor>,
        limit: usize,
    ) -> Result<(Vec<PersonRow>, Option<NameCursor>), ReadError> {
        let name = name_prefix(folded);
        let prefix = [&name[..], &known(born)].concat();
        let mut start = prefix.clone();
        if let Some(NameCursor { born: (year, month, day), uid }) = after {
            // The zero byte: the first key behind the one that was looked at.
            let date = [&year.to_be_bytes()[..], &month.to_be_bytes()[3..], &day.to_be_bytes()[3..]].concat();
            start = [&name[..], &date, &uid.to_be_bytes(), b"\0"].concat();
        }
        let mut options = ReadOptions::default();
        options.set_iterate_range(rocksdb::PrefixRange(prefix));
        let mut found = Vec::new();
        for (looked_at, row) in self.generation.rows_from(Table::Alias, &start, options).enumerate() {
            let cursor = place(&row?.0[name.len()..])?;
            if let Some(row) = self.person(cursor.uid)?
                && leads_to(&alias(folded, cursor), record(&row)?)
            {
                found.push(row);
            }
            if found.len() >= limit || looked_at + 1 >= ROWS {
                return self.kept((found, Some(cursor)));
            }
        }
        self.kept((found, None))
    }
}

/// The bytes of the index that a date settles: those of its year, month and day as far as they are known.
fn known(born: Option<PartialDate>) -> Vec<u8> {
    let Some(PartialDate { year, month, day }) = born else { return Vec::new() };
    let parts = [month, day].into_iter().take_while(|part| *part != 0);
    year.to_be_bytes().into_iter().chain(parts.map(|part| part.to_be_bytes()[3])).collect()
}

fn alias(folded: &str, cursor: NameCursor) -> Alias {
    Alias::Name { folded: folded.to_owned(), born: cursor.born }
}

/// What stands behind the name in a key.
fn place(key: &[u8]) -> Result<NameCursor, StorageError> {
    let short = || StorageError::corrupt(Table::Alias.row(), "the key of a name is cut");
    let (year, rest) = key.split_first_chunk::<4>().ok_or_else(short)?;
    let ([month, day], rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let uid = u64::from_be_bytes(rest.try_into().map_err(|_| short())?);
    Ok(NameCursor { born: (u32::from_be_bytes(*year), u32::from(*month), u32::from(*day)), uid })
}
