//! What the register takes on disk, measured on the synthetic population: printed, and held to a bound.

use std::collections::BTreeMap;

use rocksdb::{BottommostLevelCompaction, CompactOptions};

use super::*;
use crate::domain::population::Population;
use crate::proto::registry::Atomicity;
use crate::proto::store::WriteSet;

/// People that are measured.
const PEOPLE: u64 = 50_000;
/// People of one command, as an import sends them.
const CHUNK: u64 = 500;
/// What a record may take in the person table, in bytes: the mean after compression.
const RECORD_BYTES: u64 = 700;

/// A chunk of an import, under a context as agencies fill it in.
fn chunk(population: &Population, number: u64) -> Command {
    let people = number * CHUNK..(number + 1) * CHUNK;
    let created = people.map(|index| match create(population.person(index)) {
        Op::Write(write) => write,
        other => panic!("not a write: {other:?}"),
    });
    let set = WriteSet { writes: created.collect(), atomicity: Atomicity::Each.into() };
    let context = RequestContext {
        request_id: format!("first-load-2026:{number}"),
        agency_id: "000.00.20.G01".to_owned(),
        officer_id: "import-07".to_owned(),
        procedure_code: "1.004222".to_owned(),
        purpose: "first load of the register".to_owned(),
        ..RequestContext::default()
    };
    Command { context: Some(context), op: Some(Op::WriteSet(set)), ..Command::default() }
}

/// Writes everything to disk in its final form and returns the bytes of each table's files.
fn settled(store: &StateStore) -> BTreeMap<String, u64> {
    let live = store.live();
    live.generation.flush().unwrap();
    let mut options = CompactOptions::default();
    options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
    for table in Table::ALL {
        let all = None::<&[u8]>;
        live.generation.db().compact_range_cf_opt(live.generation.table(table), all, all, &options);
    }
    let mut bytes = BTreeMap::new();
    for file in live.generation.db().live_files().unwrap() {
        *bytes.entry(file.column_family_name).or_default() += file.size as u64;
    }
    bytes
}

/// One in ten moves.
fn moves(population: &Population) -> Vec<(u64, Op)> {
    let mut moves = Vec::new();
    for index in (0..PEOPLE).step_by(10) {
        let mut person = population.person(index);
        person.current_residence = population.person((index + PEOPLE / 2) % PEOPLE).permanent_residence;
        moves.push((index + 1, update(index + 1, person)));
    }
    moves
}

#[test]
fn a_typical_record_takes_less_than_700_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path(), &StateOptions::default(), Arc::new(())).unwrap();
    let (mut log, population) = (Log::default(), Population::new(1));
    for number in 0..PEOPLE / CHUNK {
        apply_one(&store, log.batch(vec![chunk(&population, number)]));
    }
    assert_eq!(store.applied().persons, PEOPLE, "some were rejected");
    let view = store.view();
    let rows = || (1..=PEOPLE).map(|uid| view.person(uid).unwrap().unwrap());
    let plain: usize = rows().map(|row| row.encoded_len()).sum();
    let contexts: usize = rows().map(|row| row.written_by.unwrap().encoded_len()).sum();
    let tables = settled(&store);
    let each = |bytes: u64| bytes as f64 / PEOPLE as f64;
    println!("bytes a person, {PEOPLE} people:");
    println!(
        "  protobuf of the record  {:7.1}, of which {:.1} say who wrote it",
        each(plain as u64),
        each(contexts as u64)
    );
    for (table, bytes) in &tables {
        println!("  table {table:17} {:7.1}", each(*bytes));
    }
    println!("  all tables              {:7.1}", each(tables.values().sum()));
    assert!(tables["person"] > 0);
    assert!(tables["person"] <= PEOPLE * RECORD_BYTES, "{:.1} bytes a record", each(tables["person"]));

    let mut moved = 0;
    for (uid, op) in moves(&population) {
        let command = log.command(op);
        let written = written(&apply_one(&store, log.batch(vec![command])));
        assert_eq!(written.person_uid, uid);
        moved += u64::from(written.changed);
    }
    let tables = settled(&store);
    let version = |table: &str| tables[table] as f64 / moved as f64;
    println!("bytes of each of {moved} earlier versions:");
    println!("  table history           {:7.1}", version("history"));
    println!("  table superseded        {:7.1}", version("superseded"));
}
