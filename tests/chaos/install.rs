//! How far the installation of a snapshot has come on a node's disk, seen from outside, and a kill at a chosen step of it.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use dancu::cli::fleet::Process;

/// How often the disk is looked at.
const POLL: Duration = Duration::from_micros(200);
/// How long a node may take to need a snapshot; it needs none while the leader has the whole log.
const LIMIT: Duration = Duration::from_secs(10);
/// The generation that a new folder begins with.
const FIRST: &[u8] = b"g000001";

/// The steps, in order: see `src/storage/state/install.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Its files arrive.
    Receiving,
    /// They are all there.
    Received,
    /// The next generation is made of them.
    Linked,
    /// It is the live one.
    Swapped,
}

impl Step {
    /// All of them.
    const ALL: [Self; 4] = [Self::Receiving, Self::Received, Self::Linked, Self::Swapped];

    /// For the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Received => "received",
            Self::Linked => "installing",
            Self::Swapped => "installed",
        }
    }

    /// How far a node has come that began with an empty folder.
    fn reached(data: &Path) -> Option<Self> {
        let state = data.join("state");
        // A seal around the name of the live generation; the first one is empty.
        let current = fs::read(state.join("CURRENT")).unwrap_or_default();
        if !current.is_empty() && !current.windows(FIRST.len()).any(|part| part == FIRST) {
            return Some(Self::Swapped);
        }
        let generations = names(&state).iter().filter(|name| name.contains("g0")).count();
        if generations > 1 {
            Some(Self::Linked)
        } else if names(&data.join("snapshots")).iter().any(|name| !name.starts_with('.')) {
            Some(Self::Received)
        } else {
            (!names(&data.join("incoming")).is_empty()).then_some(Self::Receiving)
        }
    }
}

/// Kills a node that is about to receive a snapshot as soon as it has come to a step, or beyond it, and starts it again: at each step
/// in turn. Returns where it was each time; nothing when it received none.
///
/// # Errors
/// When the process can be neither killed nor started.
pub async fn cut(process: &mut Process) -> io::Result<Vec<Step>> {
    let data = process.config().data_dir.clone();
    let mut cuts = Vec::new();
    for step in Step::ALL {
        let deadline = Instant::now() + LIMIT;
        while Step::reached(&data) < Some(step) {
            if Instant::now() > deadline {
                return Ok(cuts);
            }
            tokio::time::sleep(POLL).await;
        }
        process.kill()?;
        cuts.extend(Step::reached(&data));
        process.start()?;
    }
    cuts.dedup();
    Ok(cuts)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
