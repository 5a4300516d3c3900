//! Both judges on the histories of `fixtures/`. The head of each says what it shows and what the judges must find:
//!
//! ```text
//! # versions: the rules broken, or nothing at all after the colon
//! # search: linearizable, or "stuck at" and the call
//! ```

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::growth;
use super::history::{Answer, Call, NEVER, Operation};
use super::search::{Finding, search};
use super::versions::{Rule, check, shown};
use super::{judge, window};

struct Fixture {
    name: String,
    versions: BTreeSet<String>,
    search: String,
    operations: Vec<Operation>,
}

fn fixtures() -> Vec<Fixture> {
    // At run time: the tree that is checked, as in the tests of style.
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let folder = root.join("tests/check/fixtures");
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<Fixture> = files.map(|file| read(&file)).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn read(file: &std::path::Path) -> Fixture {
    let text = std::fs::read_to_string(file).unwrap();
    let name = file.file_stem().unwrap().to_string_lossy().into_owned();
    let head = |word: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(word));
        line.unwrap_or_else(|| panic!("{name} has no line `# {word}`")).trim().to_owned()
    };
    let versions = head("versions:").split_whitespace().map(str::to_owned).collect();
    let search = head("search:");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let operations = lines.map(|line| line.parse().unwrap_or_else(|e| panic!("{name}: {e}"))).collect();
    Fixture { name, versions, search, operations }
}

#[test]
fn every_good_history_is_accepted_and_every_bad_one_rejected_for_its_reason() {
    let mut rules_shown = BTreeSet::new();
    let (mut good, mut bad) = (0, 0);
    for fixture in fixtures() {
        let broken = check(&fixture.operations);
        let found: BTreeSet<String> = broken.iter().map(|v| v.rule.name().to_owned()).collect();
        let told: Vec<String> = broken.iter().map(ToString::to_string).collect();
        assert_eq!(found, fixture.versions, "{}: {}", fixture.name, told.join("\n"));
        let searched = match search(&fixture.operations) {
            Finding::Linearizable => "linearizable".to_owned(),
            Finding::Stuck(at) => format!("stuck at {at}"),
            Finding::GaveUp => "gave up".to_owned(),
        };
        assert_eq!(searched, fixture.search, "{}", fixture.name);
        let is_good = found.is_empty() && searched == "linearizable";
        assert_eq!(is_good, fixture.name.starts_with("good"), "{} is named otherwise", fixture.name);
        *(if is_good { &mut good } else { &mut bad }) += 1;
        rules_shown.extend(found);
    }
    println!("{good} good histories accepted, {bad} bad ones rejected");
    let all = [
        Rule::Stale,
        Rule::NotNewer,
        Rule::TwoValues,
        Rule::TwoRevisions,
        Rule::NeverWritten,
        Rule::Condition,
        Rule::Verdict,
        Rule::Gap,
        Rule::Bound,
        Rule::AtLeast,
        Rule::Once,
    ];
    let missing: Vec<&str> =
        all.into_iter().map(Rule::name).filter(|rule| !rules_shown.contains(*rule)).collect();
    assert!(missing.is_empty(), "no bad history shows {missing:?}");
    assert!(good >= 4, "{good} good histories only");
}

#[test]
fn a_history_is_read_as_it_is_written() {
    for fixture in fixtures() {
        for operation in fixture.operations {
            assert_eq!(operation.to_string().parse(), Ok(operation));
        }
    }
    for bad in
        ["", "1 2 3 4 read", "1 2 3 4 read -> saw 1", "1 2 3 4 rest -> unknown", "1 2 3 x read -> taken"]
    {
        assert!(bad.parse::<Operation>().is_err(), "accepted {bad:?}");
    }
}

/// Calls of a history without an answer: each doubles the work of a search that ends in no.
const UNKNOWN: u32 = 6;

/// A register that works, asked by several at once; each answer is given at an instant within its call.
fn honest(seed: u64, clients: u32, count: u64) -> Vec<Operation> {
    use rand::{RngExt as _, SeedableRng as _};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut free = vec![0; clients as usize];
    // When each call takes effect decides the order; the values follow from it.
    let mut calls: Vec<(u64, u64, u64, u32)> = (0..count)
        .map(|_| {
            let process = random.random_range(0..clients);
            let start = free[process as usize] + random.random_range(0..5);
            let (effect, end) = (start + random.random_range(1..50), start + random.random_range(50..100));
            free[process as usize] = end + 1;
            (effect, start, end, process)
        })
        .collect();
    calls.sort_unstable();
    let (mut revision, mut held, mut unknown) = (0, 0, 0);
    let answer = |(place, (_, start, end, process)): (usize, (u64, u64, u64, u32))| {
        let value = place as u64 + 1;
        let (call, answer, end) = match (revision, random.random_range(0..10)) {
            (0, _) => (Call::Create { value }, None, end),
            (_, 0..4) => {
                (Call::Read, Some(Answer::Saw { revision, value: held, at: revision, within_ms: 0 }), end)
            }
            (_, 4) => {
                let asked = if random.random() { held } else { held.saturating_sub(1) };
                let matches = asked == held;
                (
                    Call::Verify { value: asked },
                    Some(Answer::Verdict { revision, matches, at: revision }),
                    end,
                )
            }
            (_, 5) if unknown < UNKNOWN => {
                unknown += 1;
                (Call::Patch { value }, Some(Answer::Unknown), NEVER)
            }
            (_, 6) => (Call::PatchIf { value, revision, found: held }, None, end),
            (_, 7) => {
                let call = Call::PatchIf { value, revision: revision + 1, found: u64::MAX };
                (call, Some(Answer::Conflict { revision }), end)
            }
            _ => (Call::Patch { value }, None, end),
        };
        if answer.is_none() || (answer == Some(Answer::Unknown) && random.random()) {
            revision += 1;
            held = value;
        }
        let process = if answer == Some(Answer::Unknown) { 1000 + place as u32 } else { process };
        let answer = answer.unwrap_or(Answer::Wrote { revision });
        Operation { key: 1, process, start, end, call, answer }
    };
    calls.into_iter().enumerate().map(answer).collect()
}

#[test]
fn an_honest_register_is_believed_and_one_wrong_answer_is_not() {
    const CLIENTS: u32 = 8;
    for seed in 0..40 {
        let mut history = honest(seed, CLIENTS, 60);
        let told = check(&history);
        assert!(told.is_empty(), "seed {seed}: {}", told[0]);
        assert_eq!(search(&history), Finding::Linearizable, "seed {seed}");

        // The last read sees what the first write wrote, long ago.
        let first = history.iter().find_map(Operation::writes).unwrap();
        let end = history.iter().map(|operation| operation.end).filter(|end| *end != NEVER).max().unwrap();
        let answer = Answer::Saw { revision: 1, value: first, at: 1, within_ms: 0 };
        let (start, key, process) = (end + 1, 1, CLIENTS);
        let operation = Operation { key, process, start, end: end + 2, call: Call::Read, answer };
        history.push(operation.clone());
        assert!(check(&history).iter().any(|violation| violation.rule == Rule::Stale), "seed {seed}");
        assert_eq!(search(&history), Finding::Stuck(operation), "seed {seed}");
    }
}

#[test]
fn five_hundred_calls_of_eight_clients_are_judged_soon() {
    let begun = std::time::Instant::now();
    let history = honest(7, 8, 500);
    let finding = search(&history);
    println!("{} calls searched in {:.0?}", history.len(), begun.elapsed());
    assert_eq!(finding, Finding::Linearizable);
    assert!(check(&history).is_empty());
}

/// A linearizable read of the record, after everything in the history.
fn read_after(history: &[Operation], revision: u64, value: u64) -> Operation {
    let end = history.iter().map(|one| one.end).filter(|end| *end != NEVER).max().unwrap();
    let answer = Answer::Saw { revision, value, at: revision, within_ms: 0 };
    Operation { key: 1, process: 999, start: end + 1, end: end + 2, call: Call::Read, answer }
}

#[test]
fn a_history_in_windows_is_judged_as_the_whole() {
    let sound = |history: &[Operation]| judge(history).broken.is_none();
    let with = |history: &[Operation], read: Operation| [history, &[read]].concat();
    let (mut accepted, mut rejected, mut cut, mut stay) = (0, 0, 0, 0);
    for seed in 0..12 {
        let calls = 24;
        let history = honest(seed, 6, calls);
        let newest = history.iter().filter_map(Operation::revision).max().unwrap();
        // The last read before the cut may find a write whose answer was lost.
        let any =
            || (1..=newest + 2).flat_map(|revision| (1..=calls + 1).map(move |value| (revision, value)));
        for (revision, value) in any() {
            let whole = with(&history, read_after(&history, revision, value));
            if !sound(&whole) {
                continue;
            }
            let Some(kept) = window::keep(&whole) else {
                stay += 1;
                continue;
            };
            assert!(kept.len() <= 1 + UNKNOWN as usize, "seed {seed}: {} calls are kept", kept.len());
            cut += 1;
            // A revision that comes after, and all that a read at its edge could show.
            for (revision, value) in any() {
                let later = read_after(&whole, revision, value);
                let (at_once, in_windows) =
                    (sound(&with(&whole, later.clone())), sound(&with(&kept, later.clone())));
                assert_eq!(at_once, in_windows, "seed {seed}: {later} after {kept:?}");
                *(if at_once { &mut accepted } else { &mut rejected }) += 1;
            }
        }
    }
    println!(
        "{cut} histories cut, {stay} stay whole; {accepted} later reads accepted by both, {rejected} rejected"
    );
    assert!(cut > 10 && accepted > 20 && rejected > 1000);
}

#[test]
fn a_write_lost_after_its_window_was_judged_is_found() {
    let history = honest(3, 4, 40);
    let (revision, value) = history.iter().filter_map(shown).max().unwrap();
    let whole = [&history[..], &[read_after(&history, revision, value)]].concat();
    let kept = window::keep(&whole).unwrap();
    assert!(judge(&kept).broken.is_none());
    let older = history.iter().filter_map(shown).filter(|(seen, _)| *seen < revision).max().unwrap();
    let lost = [&kept[..], &[read_after(&whole, older.0, older.1)]].concat();
    assert!(check(&lost).iter().any(|violation| violation.rule == Rule::Stale));
    assert!(matches!(search(&lost), Finding::Stuck(_)));
    // Where the newest value was never shown, nothing may go.
    let conflict =
        Operation { answer: Answer::Conflict { revision: revision + 1 }, ..whole[whole.len() - 1].clone() };
    assert!(window::keep(&[&history[..], &[conflict]].concat()).is_none());
}

#[test]
fn growth_is_told_from_noise_from_waves_and_from_warming_up() {
    let series = |value: fn(f64) -> f64| {
        (0..360).map(|i| (f64::from(i) * 5.0, value(f64::from(i)))).collect::<Vec<_>>()
    };
    let flat: fn(f64) -> f64 = |i| 300.0 + (i * 12.9898).sin() * 8.0;
    let wave: fn(f64) -> f64 = |i| 300.0 + i % 30.0;
    let plateau: fn(f64) -> f64 = |i| 300.0 + i.min(80.0);
    let leak: fn(f64) -> f64 = |i| 300.0 + i * 0.4 + (i * 12.9898).sin() * 8.0;
    let stairs: fn(f64) -> f64 = |i| 300.0 + (i / 60.0).floor() * 25.0;
    for sound in [flat, wave, plateau] {
        let grown = growth::grown(&series(sound)).unwrap();
        assert!(!grown.is_leak(96.0, 24.0), "{grown:?}");
    }
    for bad in [leak, stairs] {
        let grown = growth::grown(&series(bad)).unwrap();
        assert!(grown.is_leak(96.0, 24.0) && grown.by > 50.0, "{grown:?}");
    }
    assert!(growth::grown(&series(leak)[..5]).is_none(), "too little to tell");
}
