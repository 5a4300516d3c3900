//! What the owner of the store chooses, and what the store tells it.

use std::time::Duration;

use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, Options};

/// Settings of the state store. All sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateOptions {
    /// Memory for blocks of the tables that were read, indexes and filters included. Default 256 MiB.
    pub block_cache_bytes: usize,
    /// Size at which a table's part in memory is written to disk, together with that of all others. Default 8 MiB:
    /// a larger one makes each write slower, because its skip list leaves the processor's caches.
    pub memtable_bytes: usize,
    /// Files RocksDB keeps open. Default 512.
    pub max_open_files: i32,
    /// Threads RocksDB flushes and compacts with. Default 2.
    pub background_jobs: i32,
    /// The largest snapshot this node accepts from another, all files together. Default 4 TiB.
    pub max_snapshot_bytes: u64,
}

impl Default for StateOptions {
    fn default() -> Self {
        Self {
            block_cache_bytes: 256 << 20,
            memtable_bytes: 8 << 20,
            max_open_files: 512,
            background_jobs: 2,
            max_snapshot_bytes: 4 << 40,
        }
    }
}

/// Is told what the store does; `()` ignores it.
pub trait StateObserver: Send + Sync {
    /// One call of `apply` wrote `entries` log entries holding `commands` commands, and took this long.
    fn applied(&self, entries: usize, commands: usize, took: Duration);
}

impl StateObserver for () {
    fn applied(&self, _entries: usize, _commands: usize, _took: Duration) {}
}

/// How RocksDB is set up for every generation of the state; they share one block cache.
pub(super) fn rocks(options: &StateOptions) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(options.block_cache_bytes));
    blocks.set_bloom_filter(10.0, false);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_format_version(6);

    let mut rocks = Options::default();
    rocks.set_block_based_table_factory(&blocks);
    // All tables reach the disk together: the state after a crash is the state after some entry.
    rocks.set_atomic_flush(true);
    rocks.set_write_buffer_size(options.memtable_bytes);
    rocks.set_max_write_buffer_number(4);
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
    rocks
}
