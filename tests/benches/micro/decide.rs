//! Deciding writes, and applying log entries to the tables.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use dancu::domain::command;
use dancu::domain::population::Population;

use super::register::{Commands, InMemory, folder, stored};

const PEOPLE: u64 = 10_000;

/// A decision alone, on rows in memory.
pub fn decide(criterion: &mut Criterion) {
    let mut commands = Commands::default();
    let register = InMemory::with(PEOPLE, &mut commands);
    let create = commands.create(Population::new(1).person(PEOPLE));
    let patch = commands.patch(PEOPLE / 2);
    let mut group = criterion.benchmark_group("decide");
    for (name, command) in [("create", create), ("patch", patch)] {
        let decided = command::decide(&register, register.counters, &command);
        let Ok(decision) = decided;
        assert!(!decision.effects.is_empty(), "{name} was rejected: {:?}", decision.reply);
        group.bench_function(name, |bencher| {
            bencher.iter(|| command::decide(&register, register.counters, black_box(&command)));
        });
    }
    group.finish();
}

/// Log entries of patches, and of new people, to rows: decisions, encoding, hashing and the write, without an fsync. The
/// time is that of one entry.
pub fn apply(criterion: &mut Criterion) {
    let folder = folder();
    let mut commands = Commands::default();
    let store = stored(&folder, PEOPLE, &mut commands);
    let mut group = criterion.benchmark_group("apply");
    let mut uid = 0;
    for patches in [1, 256] {
        group.throughput(Throughput::Elements(patches));
        group.bench_function(format!("an entry of {patches}"), |bencher| {
            let entry = || {
                let patches = (0..patches).map(|_| {
                    uid = uid % PEOPLE + 1;
                    commands.patch(uid)
                });
                let patches = patches.collect();
                [commands.entry(patches)]
            };
            bencher.iter_batched(entry, |entry| store.apply(&entry).unwrap(), BatchSize::PerIteration);
        });
    }
    let population = Population::new(1);
    let mut next = PEOPLE;
    group.throughput(Throughput::Elements(500));
    group.bench_function("an entry of 500 new people", |bencher| {
        let entry = || {
            let people = (next..next + 500).map(|n| commands.create(population.person(n))).collect();
            next += 500;
            [commands.entry(people)]
        };
        bencher.iter_batched(entry, |entry| store.apply(&entry).unwrap(), BatchSize::PerIteration);
    });
    group.finish();
    assert_eq!(store.applied().persons, next, "some were rejected");
}
