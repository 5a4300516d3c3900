//! Crashes: a node's log and state, killed at every [`Failpoint`], opened again and held against what they should be.
//!
//! ```text
//! parent   a history and a script from the seed; snapshots of another node; what the state is after each entry
//!   child  runs the script on real stores, and notes in a ledger which act began, which the log
//!          acknowledged and which is done; ends by SIGKILL at the N-th pass of the failpoint
//! parent   opens what is left, once as it is and once as a power cut would leave it, and compares:
//!          log      that after some of the acts: all acknowledged ones, and none that had not begun
//!          state    that after some entry, never ahead of the log and never behind what was purged
//!          snapshot the newest one that was made or installed
//!          then goes on to the history's end, and once more after a restart
//! ```
//!
//! A kill leaves what the system holds in memory. The power cut takes some of it away: of the write-ahead log any part
//! that was written since the last sync, and of files being received any part. Not taken away are renames before their
//! folder is synced, and what was written to `raft.mark` without a sync (`log::mark` tests that slot by slot); chaos
//! on disks that lose power has these.

mod child;
mod recovery;
mod script;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::recovery::Expected;
use self::script::Script;
use crate::failpoint::Failpoint;
use crate::storage::log::{LogObserver, LogOptions, LogStore};
use crate::storage::state::tests::copy_folder;

/// The folder of a run: the node's data in `data`, the other node's snapshots, and the files below.
struct Run(PathBuf);

/// How far a script came, in acts.
#[derive(Clone, Copy, Debug)]
struct Progress {
    /// That began.
    begun: u64,
    /// That the log acknowledged, all before it included.
    acknowledged: u64,
    /// That are done.
    done: u64,
}

impl Run {
    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// The other node's snapshot at an index.
    fn snapshot(&self, index: u64) -> PathBuf {
        self.0.join(format!("snapshot-{index}"))
    }

    /// Holds [`Progress`] as three numbers.
    fn ledger(&self) -> PathBuf {
        self.0.join("ledger")
    }

    /// Holds the write-ahead log's name and its length at the last sync.
    fn synced(&self) -> PathBuf {
        self.0.join("synced")
    }

    /// Holds how often each failpoint was passed; there once the script is done.
    fn passes(&self) -> PathBuf {
        self.0.join("passes")
    }

    fn progress(&self) -> Progress {
        let ledger = fs::read(self.ledger()).unwrap_or_default();
        let number = |at: usize| {
            ledger.get(at * 8..at * 8 + 8).map_or(0, |n| u64::from_le_bytes(n.try_into().unwrap()))
        };
        Progress { begun: number(0), acknowledged: number(1), done: number(2) }
    }
}

/// The write-ahead log in use, and its length.
fn newest_wal(data: &Path) -> Option<(PathBuf, u64)> {
    let files = fs::read_dir(data.join("raft")).ok()?.map(|file| file.unwrap().path());
    let newest = files.filter(|path| path.extension().is_some_and(|ending| ending == "log")).max()?;
    let length = fs::metadata(&newest).ok()?.len();
    Some((newest, length))
}

/// One act a write, so that a script passes each failpoint about as often in every run.
fn open_log(data: &Path, observer: Arc<dyn LogObserver>) -> LogStore {
    let options = LogOptions { batch_ops: 1, ..LogOptions::default() };
    LogStore::open(data, &options, observer).expect("the log opens")
}

/// Where a run is killed: at the N-th pass of a failpoint, or when it is through.
#[derive(Clone, Copy)]
struct Kill(Option<(Failpoint, u64)>);

impl std::fmt::Display for Kill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some((point, pass)) => write!(f, "pass {pass} of {}", point.name()),
            None => write!(f, "the end of the script"),
        }
    }
}

/// Everything that the runs of one seed share.
struct Walk {
    seed: u64,
    script: Script,
    expected: Expected,
    prepared: Run,
    root: tempfile::TempDir,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let root = tempfile::tempdir_in(folder()).unwrap();
        let prepared = Run(root.path().join("prepared"));
        let script = Script::new(seed);
        let expected = Expected::new(&script, &prepared);
        Self { seed, script, expected, prepared, root }
    }

    /// Lets a process run the script in a new folder until it is killed.
    fn run(&self, kill: Kill, number: usize) -> Run {
        let run = Run(self.root.path().join(number.to_string()));
        copy_folder(&self.prepared.0, &run.0);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "storage::tests::child::runs_a_script", "--nocapture"]);
        command.env(child::FOLDER, &run.0).env("DANCU_SEED", self.seed.to_string()).stdin(Stdio::null());
        if let Some((point, pass)) = kill.0 {
            command.env("DANCU_FAILPOINT", format!("{}:{pass}", point.name()));
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(9), "until {kill}: {} {text}", output.status);
        run
    }

    /// Kills a process, and holds against the model what it left, as it is and as after a power cut.
    fn crash(&self, kill: Kill, number: usize) {
        let run = self.run(kill, number);
        if let Some((point, 1)) = kill.0 {
            assert!(!run.passes().exists(), "{} is never reached", point.name());
        }
        let cut = Run(self.root.path().join(format!("{number}-cut")));
        copy_folder(&run.0, &cut.0);
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ number as u64);
        recovery::lose_power(&cut, &mut rng);
        if let Some((point, _)) = kill.0 {
            recovery::check_swap(&run, point);
        }
        // The power cut may take nothing: at later passes it alone is enough.
        let killed = (&run, "killed");
        let first = matches!(kill.0, None | Some((_, 1))).then_some(killed);
        for (run, how) in first.into_iter().chain([(&cut, "without power")]) {
            self.expected.check(&self.script, run, &format!("{how} at {kill}, {:?}", run.progress()));
            fs::remove_dir_all(&run.0).unwrap();
        }
    }
}

/// Where runs have their folders: in memory if the system has such a place. No real power is cut, so that a sync need
/// not reach a disk.
fn folder() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// The seed of `DANCU_SEED`, or a new one.
#[expect(clippy::disallowed_methods, reason = "a seed that is printed")]
fn seed() -> u64 {
    std::env::var("DANCU_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().expect("DANCU_SEED is a number"))
}

#[test]
fn a_node_killed_at_any_failpoint_keeps_what_it_promised() {
    let seed = seed();
    println!(
        "repeat: DANCU_SEED={seed} cargo test --release --lib a_node_killed_at_any_failpoint -- --nocapture"
    );
    let walk = Walk::new(seed);
    let whole = walk.run(Kill(None), 0);
    let passes: Vec<u64> = serde_json::from_slice(&fs::read(whole.passes()).unwrap()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut kills = vec![Kill(None)];
    for (point, passes) in Failpoint::ALL.iter().zip(passes) {
        assert!(passes > 0, "{} is never reached", point.name());
        kills.push(Kill(Some((*point, 1))));
        if passes > 1 {
            kills.push(Kill(Some((*point, rng.random_range(2..=passes)))));
        }
    }
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from).min(4) {
            scope.spawn(|| {
                while let Some(kill) = kills.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let number = next.fetch_add(0, Ordering::SeqCst);
                    walk.crash(*kill, number);
                }
            });
        }
    });
    println!("{} processes killed, at {} failpoints", kills.len(), Failpoint::ALL.len());
}
