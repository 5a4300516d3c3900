//! Building a snapshot: what holds up apply (the checkpoint), and all of it.

use criterion::{BatchSize, Criterion};

use super::register::{Commands, folder, stored};

const PEOPLE: u64 = 50_000;
/// Writes between two snapshots.
const CHANGES: u64 = 2_000;

/// A snapshot of 50,000 people, 2,000 of whom changed since the last one.
pub fn build(criterion: &mut Criterion) {
    let folder = folder();
    let mut commands = Commands::default();
    let store = stored(&folder, PEOPLE, &mut commands);
    store.freeze().unwrap().finish().unwrap();
    let mut uid = 0;
    let mut change = || {
        let patches = (0..CHANGES).map(|_| {
            uid = uid % PEOPLE + 1;
            commands.patch(uid)
        });
        let patches = patches.collect();
        store.apply(&[commands.entry(patches)]).unwrap();
    };
    let mut group = criterion.benchmark_group("snapshot");
    group.sample_size(10);
    group.bench_function("checkpoint alone", |bencher| {
        bencher.iter_batched(&mut change, |()| store.freeze().unwrap(), BatchSize::PerIteration);
    });
    group.bench_function("whole", |bencher| {
        let whole = |()| store.freeze().unwrap().finish().unwrap();
        bencher.iter_batched(&mut change, whole, BatchSize::PerIteration);
    });
    group.finish();
    let listed = store.snapshot().expect("one was built");
    assert_eq!(listed.index(), store.applied().log_id.map(|id| id.index));
}
