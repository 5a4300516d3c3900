//! The stored corpora, and random changes of them, through every target: without a fuzzer, in every run of the tests.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::domain::fixtures::{context, full_person};
use crate::proto::store::LogId;

/// Changes of each input, in each run.
const CHANGES: usize = 200;

/// The most address space that all inputs of a target may take beyond what was taken before: a length that somebody made
/// up is 4 GiB or more, and inputs have a few KiB.
const ADDRESS_SPACE: u64 = 1 << 30;

fn folder(target: &str) -> PathBuf {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(root).join("tests/fuzz/corpus").join(target)
}

/// What the project's own encoders write: kind and bytes.
fn seeds(target: &str) -> Vec<(u8, Vec<u8>)> {
    let of = |kind: u8, many: Vec<Vec<u8>>| many.into_iter().map(move |bytes| (kind, bytes));
    match target {
        "log" => (0..).zip(storage::log::fuzz::seeds()).collect(),
        "state" => (0..).zip(storage::state::fuzz::seeds()).flat_map(|(kind, many)| of(kind, many)).collect(),
        "peer" => peer_seeds(),
        "request" => request_seeds(),
        "receipt" => receipt::fuzz::seeds(),
        "text" => {
            let names = ["Nguyễn Thị Thúy", "H’Hen Niê", "Đỗ Lý"].map(|name| name.as_bytes().to_vec());
            let date = registry::PartialDate { year: 1990, month: 2, day: 0 };
            let config = NodeConfig::loopback("node-1", crate::config::Role::Central, Path::new("data"));
            of(0, names.into())
                .chain(of(1, vec![b"001190987654".to_vec(), date.encode_to_vec()]))
                .chain([(2, render(&config, false).into_bytes())])
                .collect()
        }
        _ => {
            let person = crate::cli::json::Person::from(full_person());
            let mapping = include_bytes!("../cli/import/mapping.toml").to_vec();
            let csv = "STT;Họ và tên\n1;\"Trần Văn An\"\n2;Lê;\n".as_bytes().to_vec();
            let comma = String::from_utf8(csv.clone()).unwrap().replace(';', ",").into_bytes();
            vec![(0, csv), (0, comma), (1, serde_json::to_vec(&person).unwrap()), (2, mapping)]
        }
    }
}

fn peer_seeds() -> Vec<(u8, Vec<u8>)> {
    let id = Some(LogId { term: 3, leader_id: 2, index: 7 });
    let vote = Some(store::Vote { term: 3, node_id: 2, committed: true });
    let command = store::Command { context: Some(context()), ..store::Command::default() };
    let batch =
        store::Batch { proposed_at_ms: 5, request_window_ms: 9, commands: vec![command] }.encode_to_vec();
    let payload = Some(store::entry::Payload::Batch(batch.clone().into()));
    let entry = store::Entry { log_id: id, payload }.encode_to_vec();
    let member = cluster::Member { node_id: 2, name: "node-2".to_owned(), ..cluster::Member::default() };
    let membership = store::Membership {
        voter_sets: vec![store::VoterSet { node_ids: vec![2] }],
        members: vec![store::NumberedMember { node_id: 2, member: Some(member) }],
    };
    let stored = store::StoredMembership { log_id: id, membership: Some(membership.clone()) };
    let applied = store::Applied { log_id: id, membership: Some(stored), ..store::Applied::default() };
    let manifest = store::SnapshotManifest { applied: Some(applied), ..store::SnapshotManifest::default() };
    let append = peer::AppendRequest { vote, prev: id, entries: vec![entry.clone().into()], commit: id };
    let offer = peer::OfferSnapshotRequest { vote, manifest: Some(manifest) };
    vec![
        (0, entry),
        (1, append.encode_to_vec()),
        (2, offer.encode_to_vec()),
        (3, membership.encode_to_vec()),
        (4, batch),
    ]
}

fn request_seeds() -> Vec<(u8, Vec<u8>)> {
    let create = registry::CreatePerson { person: Some(full_person()), accept_existing: false };
    let write = registry::Write { write: Some(registry::write::Write::Create(create)) };
    let key = registry::PersonKey { key: Some(registry::person_key::Key::PersonUid(7)) };
    let read = registry::ReadPersonRequest { key: Some(key), ..registry::ReadPersonRequest::default() };
    let import =
        registry::ImportRequest { persons: vec![full_person()], ..registry::ImportRequest::default() };
    vec![
        (0, write.encode_to_vec()),
        (1, service::registry::fuzz::seed().encode_to_vec()),
        (3, import.encode_to_vec()),
        (4, read.encode_to_vec()),
        (5, context().encode_to_vec()),
    ]
}

/// `DANCU_WRITE_CORPUS=1` writes the inputs that are missing.
#[test]
fn what_the_encoders_write_is_in_the_corpora() {
    for (target, _) in TARGETS {
        for (number, (kind, bytes)) in seeds(target).into_iter().enumerate() {
            let (path, input) =
                (folder(target).join(format!("seed-{number}")), [&[kind], &bytes[..]].concat());
            if std::env::var_os("DANCU_WRITE_CORPUS").is_some() {
                fs::create_dir_all(folder(target)).unwrap();
                fs::write(&path, &input).unwrap();
            }
            let stored = fs::read(&path).unwrap_or_default();
            assert!(
                stored == input,
                "{} is not what the encoder writes: a format has changed",
                path.display()
            );
        }
    }
}

/// One to four bytes changed, a piece doubled or left out, or a length made enormous.
fn changed(rng: &mut ChaCha8Rng, input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..rng.random_range(1..5) {
        let (a, b) = (rng.random_range(0..=bytes.len()), rng.random_range(0..=bytes.len()));
        let (from, to) = (a.min(b), a.max(b).min(a.min(b) + 64));
        match rng.random_range(0..6) {
            0..3 if from < bytes.len() => bytes[from] = rng.random(),
            3 => drop(bytes.drain(from..to)),
            4 => bytes.extend_from_within(from..to),
            // As protobuf and bincode write a length of many GiB.
            _ => drop(bytes.splice(from..from, [0xff, 0xff, 0xff, 0xff, 0x7f])),
        }
    }
    bytes
}

/// Bytes of address space that the process took at most, as Linux counts them.
fn address_space() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    peak.map_or(0, |peak| peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a seed that is printed")]
fn stored_inputs_and_changes_of_them_break_no_property() {
    let seed: u64 = std::env::var("DANCU_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("repeat: DANCU_SEED={seed} cargo test --release --lib stored_inputs_and_changes -- --nocapture");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for (target, check) in TARGETS {
        let (began, before) = (Instant::now(), address_space());
        let mut inputs: Vec<_> =
            fs::read_dir(folder(target)).unwrap().map(|file| file.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "the corpus of {target} is empty");
        for path in &inputs {
            let input = fs::read(path).unwrap();
            assert!(input.len() <= 64 << 10, "{} is too large to be stored", path.display());
            println!("{}", path.display());
            check(&input);
            for _ in 0..CHANGES {
                check(&changed(&mut rng, &input));
            }
        }
        let taken = address_space() - before;
        assert!(taken < ADDRESS_SPACE, "inputs of {target} made it take {taken} bytes of address space");
        assert!(began.elapsed() < Duration::from_secs(60), "{target} took {:?}", began.elapsed());
        println!("{target}: {} inputs and {CHANGES} changes of each", inputs.len());
    }
}
