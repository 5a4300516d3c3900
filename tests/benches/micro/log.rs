//! The log on disk: entries until they are durable, and entries read back.

use std::sync::{Arc, mpsc};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use dancu::proto::store::entry::Payload;
use dancu::proto::store::{Entry, LogId};
use dancu::storage::log::{LogEntry, LogOptions, LogStore};
use prost::Message;

use super::register::folder;

/// Bytes of an entry: one write of a person.
const ENTRY: usize = 600;

fn entries(from: u64, count: u64) -> Vec<LogEntry> {
    let entry = |index| {
        let id = LogId { term: 1, leader_id: 1, index };
        let payload = Some(Payload::Batch(Bytes::from(vec![0x5a; ENTRY])));
        let bytes = Entry { log_id: Some(id), payload }.encode_to_vec().into();
        LogEntry { id, bytes }
    };
    (from..from + count).map(entry).collect()
}

fn append_durably(log: &LogStore, entries: Vec<LogEntry>) {
    let (sender, receiver) = mpsc::channel();
    log.append(entries, Box::new(move |done| sender.send(done).unwrap()));
    receiver.recv().unwrap().unwrap();
}

/// Entries, until an fsync has made them durable: what a disk does in that time is most of it.
pub fn append(criterion: &mut Criterion) {
    let folder = folder();
    let log = LogStore::open(folder.path(), &LogOptions::default(), Arc::new(())).unwrap();
    let mut group = criterion.benchmark_group("log append");
    let mut next = 1;
    for count in [1, 64, 1024] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{count} entries, one fsync"), |bencher| {
            let batch = || {
                next += count;
                entries(next - count, count)
            };
            bencher.iter_batched(batch, |batch| append_durably(&log, batch), BatchSize::PerIteration);
        });
    }
    group.finish();
    log.close();
}

/// Entries, as replication and apply read them.
pub fn read(criterion: &mut Criterion) {
    const HELD: u64 = 20_000;
    let mut group = criterion.benchmark_group("log read");
    for (name, cache_bytes) in [("64 entries from the cache", 64 << 20), ("64 entries from RocksDB", 0)] {
        let folder = folder();
        let options = LogOptions { cache_bytes, ..LogOptions::default() };
        let log = LogStore::open(folder.path(), &options, Arc::new(())).unwrap();
        append_durably(&log, entries(1, HELD));
        group.throughput(Throughput::Elements(64));
        let mut from = 1;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                from = from % (HELD - 64) + 1;
                let read = log.read(from, from + 64, usize::MAX).unwrap();
                assert_eq!(read.len(), 64);
                read
            });
        });
        log.close();
    }
    group.finish();
}
