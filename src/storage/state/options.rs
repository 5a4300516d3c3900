//! What the owner of the store chooses, and what the store tells it.
//!
//! # What a record takes
//! Records say much the same in the same words, so zstd with a dictionary, trained for each file, pays. Measured on
//! 50,000 synthetic people (611 bytes of protobuf each; `tests::size` prints the present figures), after compaction
//! into the last level, with the CPU time of a random read whose block is not in the cache, and of one whose block is:
//!
//! ```text
//! blocks   compression            bytes a record   not cached   cached
//! 4 KiB    lz4                        314.9          11.9 us    10.1 us
//! 4 KiB    zstd                       256.5          16.7 us    10.9 us
//! 8 KiB    zstd                       211.5          19.5 us    11.7 us
//! 16 KiB   zstd                       182.7          24.1 us    11.7 us
//! 4 KiB    zstd, 16 KiB dictionary    165.5          18.6 us    10.8 us     <- person and history
//! 4 KiB    zstd, 64 KiB dictionary    152.9          17.9 us    10.7 us     four times the memory for dictionaries
//! ```
//!
//! All of zstd's rows are at its own level, which is no longer the one in use: see `ZSTD_LEVEL`. Larger blocks save less
//! and cost each read more. The rows of the other tables are too short and too random for a dictionary: aliases took 59.9
//! bytes a person without one and 61.1 with it.

use std::sync::Arc;
use std::time::Duration;

use rocksdb::{BlockBasedIndexType, BlockBasedOptions, Cache, DBCompressionType, Options, SliceTransform};

use super::tables::{Table, shared_part};
use crate::storage::sealing::Keyring;

/// Settings of the state store. All sizes are in bytes.
#[derive(Clone, Debug)]
pub struct StateOptions {
    /// Memory for blocks of the tables that were read, indexes and filters included. Default 256 MiB.
    pub block_cache_bytes: usize,
    /// Size at which a table's part in memory is written to disk, together with that of all others. Default 32 MiB: with
    /// a smaller one the numbers, which come in no order, are merged with all that are on disk more often, and that takes
    /// longer than the search in a larger list in memory.
    pub memtable_bytes: usize,
    /// Files RocksDB keeps open. Default 512.
    pub max_open_files: i32,
    /// Threads RocksDB flushes and compacts with. Default 2.
    pub background_jobs: i32,
    /// The largest snapshot this node accepts from another, all files together. Default 4 TiB.
    pub max_snapshot_bytes: u64,
    /// The keys of its values. Default: none.
    pub keyring: Arc<Keyring>,
}

impl Default for StateOptions {
    fn default() -> Self {
        Self {
            block_cache_bytes: 256 << 20,
            memtable_bytes: 32 << 20,
            max_open_files: 512,
            background_jobs: 2,
            max_snapshot_bytes: 4 << 40,
            keyring: Arc::default(),
        }
    }
}

/// Is told what the store does; `()` ignores it.
pub trait StateObserver: Send + Sync {
    /// One call of `apply` wrote `entries` log entries holding `commands` commands, and took this long.
    fn applied(&self, entries: usize, commands: usize, took: Duration);

    /// Compaction removed so many versions from the history.
    fn compacted(&self, versions: u32);
}

impl StateObserver for () {
    fn applied(&self, _entries: usize, _commands: usize, _took: Duration) {}
    fn compacted(&self, _versions: u32) {}
}

/// The fastest level, because each record is compressed several times on its way down. It takes 178.7 bytes a record
/// where zstd's own level takes 171.8 (`tests::size`); what it saves in time was not measured by itself.
const ZSTD_LEVEL: i32 = 1;

/// Size of the dictionary of a file of records, in bytes.
const DICTIONARY: i32 = 16 << 10;

/// What a dictionary is trained on, in bytes: as much as zstd's authors advise.
const TRAINING: i32 = 100 * DICTIONARY;

/// The set-up of one table: RocksDB's own, and dictionaries where they pay.
pub(super) fn of_table(table: Table, rocks: &Options) -> Options {
    let mut rocks = rocks.clone();
    if matches!(table, Table::Person | Table::History) {
        // Window and strategy are RocksDB's defaults.
        rocks.set_bottommost_compression_options(-14, ZSTD_LEVEL, 0, DICTIONARY, true);
        rocks.set_bottommost_zstd_max_train_bytes(TRAINING, true);
    }
    if table == Table::Alias {
        // Each new number is looked for, and is nearly always nobody's.
        rocks.set_prefix_extractor(SliceTransform::create("dancu.shared_part", shared_part, None));
        rocks.set_memtable_prefix_bloom_ratio(0.1);
    }
    if table == Table::Request {
        // Each write looks for a request that is nearly always new.
        rocks.set_memtable_whole_key_filtering(true);
        rocks.set_memtable_prefix_bloom_ratio(0.1);
    }
    rocks
}

/// How RocksDB is set up for every generation of the state; they share one block cache.
pub(super) fn rocks(options: &StateOptions) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(options.block_cache_bytes));
    blocks.set_bloom_filter(10.0, false);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // In parts of some KiB. In one piece the filter of a file of numbers has megabytes, more than one of the cache's shards
    // holds: it is then read from the file, and its checksum reckoned, for each look-up. An import of a million people came
    // down to 150 a second by that.
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_partition_filters(true);
    blocks.set_pin_top_level_index_and_filter(true);
    blocks.set_format_version(6);

    let mut rocks = Options::default();
    rocks.set_block_based_table_factory(&blocks);
    // All tables reach the disk together: the state after a crash is the state after some entry.
    rocks.set_atomic_flush(true);
    rocks.set_write_buffer_size(options.memtable_bytes);
    // One that is written to, and two on their way to disk.
    rocks.set_max_write_buffer_number(3);
    rocks.set_compression_type(DBCompressionType::Lz4);
    rocks.set_bottommost_compression_type(DBCompressionType::Zstd);
    rocks.set_level_compaction_dynamic_level_bytes(true);
    rocks.set_bytes_per_sync(1 << 20);
    rocks.set_max_open_files(options.max_open_files);
    rocks.set_max_background_jobs(options.background_jobs);
    // RocksDB's own log is for its authors; without a bound it fills the disk.
    rocks.set_keep_log_file_num(2);
    rocks.set_max_log_file_size(4 << 20);
    rocks.set_stats_dump_period_sec(0);
    // Compactions run on threads of the machine: which files a snapshot has would depend on how far they are.
    #[cfg(test)]
    rocks.set_disable_auto_compactions(crate::simulated::active());
    rocks
}
