//! A digest of all that a node holds, to compare with another's.

use rocksdb::{IteratorMode, ReadOptions};
use sha2::{Digest as _, Sha256};

use super::generation::Generation;
use super::position::Position;
use super::tables::{APPLIED_KEY, MEMBERSHIP_KEY, Row, Table};
use crate::domain::policy::Policies;
use crate::storage::error::StorageError;

/// A digest of the replicated tables at one revision: equal on every node that is at the same one with nothing under
/// way. (Request rows go with the time of later entries that need not change the revision: compare at equal `index`.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The last entry in it.
    pub index: Option<u64>,
    /// The revision it was read at.
    pub revision: u64,
    /// People held: rows of the person table, counted.
    pub persons: u64,
    /// SHA-256 over every row, in the clear, of every replicated table, in the order of tables and keys; each key and value stands
    /// behind its length (u32, big endian), each table behind its number.
    pub sha256: [u8; 32],
}

/// Reads a whole generation, at one point, while writes go on. Keeps what it reads out of the block cache.
pub(super) fn digest(generation: &Generation) -> Result<Digest, StorageError> {
    let failed = || StorageError::rocks("read", generation.path());
    let snapshot = generation.db().snapshot();
    let meta = |key| snapshot.get_cf(generation.table(Table::Meta), key).map_err(failed());
    let applied = meta(APPLIED_KEY)?.map(|value| Row::from_value(&value)).transpose()?;
    let membership = meta(MEMBERSHIP_KEY)?.map(|value| Row::from_value(&value)).transpose()?;
    let position = Position::from_rows(applied, membership, Policies::default())?;

    let (mut hash, mut persons) = (Sha256::new(), 0);
    for table in Table::REPLICATED {
        hash.update([table as u8]);
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_readahead_size(2 << 20);
        options.set_total_order_seek(true);
        for row in snapshot.iterator_cf_opt(generation.table(table), options, IteratorMode::Start) {
            let (key, value) = row.map_err(failed())?;
            let value = generation.opened(table, &key, &value)?;
            for part in [&key[..], &value] {
                hash.update(u32::try_from(part.len()).expect("a row is smaller than 4 GiB").to_be_bytes());
                hash.update(part);
            }
            persons += u64::from(table == Table::Person);
        }
    }
    let sha256 = hash.finalize().into();
    Ok(Digest { index: position.index(), revision: position.counters.revision, persons, sha256 })
}
