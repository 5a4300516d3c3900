//! What the nodes take while they run: memory, descriptors, disk, and how far each is behind the leader.
//!
//! Every node is looked at every few seconds, whatever befalls it. A soak judges the growth: in its second half no fault ends a
//! process, so that what a process does not give back is seen to grow. What counts as a leak is said in `check::growth`, how much of
//! it is too much is said here.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;

use super::watch::Watch;
use crate::check::growth::grown;
use crate::harness::Cluster;

const EVERY: Duration = Duration::from_secs(2);
/// The shortest stretch whose growth is judged, in seconds.
const SHORTEST: f64 = 240.0;

/// What is measured: its name, its unit, and the growth in an hour beyond which it leaks. Lag has no such limit: it must be
/// gone in the end, which the comparison of all nodes sees to.
///
/// Memory: RocksDB's block cache and memtables are full long before the judged stretch begins; what is left is noise of the
/// allocator. Disk: versions and requests expire, see `Lab::build`, so that the registry reaches a steady size, but for a record
/// in 450 calls.
const KINDS: [(&str, &str, f64); 4] = [
    ("memory", "MiB", 96.0),
    ("descriptors", "", 60.0),
    ("disk", "MiB", 600.0),
    ("behind the leader", "entries", f64::INFINITY),
];
/// Growth that is nobody's leak, whatever it comes to in an hour.
const NOISE: [f64; 4] = [24.0, 16.0, 96.0, f64::INFINITY];

/// One look at one node: seconds since the beginning, process, a value of each kind.
type Sample = (f64, u32, [f64; KINDS.len()]);

/// All looks, by node. Cheap to clone.
#[derive(Clone)]
pub struct Resources(Arc<Mutex<Vec<Vec<Sample>>>>);

/// What one node took of one thing.
#[derive(Clone, Debug, Serialize)]
pub struct Resource {
    /// The node's name.
    pub node: String,
    /// What, and its unit.
    pub what: String,
    /// At the beginning, at the end, and at most.
    pub start: f64,
    /// See `start`.
    pub end: f64,
    /// See `start`.
    pub most: f64,
    /// In an hour, over the judged stretch; `None` when that was too short to tell.
    pub growth_per_hour: Option<f64>,
}

/// Where a node's process and files are found.
struct Place {
    config_file: PathBuf,
    data: PathBuf,
    log: PathBuf,
}

impl Resources {
    /// Begins to look, until the set of tasks is dropped.
    pub fn start(cluster: &Cluster, begun: Instant, watch: Watch, tasks: &mut JoinSet<()>) -> Self {
        let place = |node: &dancu::cli::fleet::Process| Place {
            config_file: node.config_file().to_owned(),
            data: node.config().data_dir.clone(),
            log: node.log_file().to_owned(),
        };
        let places: Arc<[Place]> = cluster.fleet.nodes.iter().map(place).collect();
        let resources = Self(Arc::new(Mutex::new(vec![Vec::new(); places.len()])));
        let samples = resources.0.clone();
        tasks.spawn(async move {
            loop {
                let (places, behind, at) =
                    (places.clone(), watch.look().behind(), begun.elapsed().as_secs_f64());
                let look =
                    move || places.iter().zip(behind).map(|(place, behind)| place.look(at, behind)).collect();
                let found: Vec<Option<Sample>> = tokio::task::spawn_blocking(look).await.unwrap();
                for (node, sample) in found.into_iter().enumerate() {
                    samples.lock().unwrap()[node].extend(sample);
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        resources
    }

    /// What each node took, and what leaked after the instant `calm` (seconds since the beginning).
    pub fn judge(&self, names: &[String], calm: Option<f64>) -> (Vec<Resource>, Vec<String>) {
        let (mut table, mut leaks) = (Vec::new(), Vec::new());
        for (name, samples) in names.iter().zip(self.0.lock().unwrap().iter()) {
            for (kind, (what, unit, limit)) in KINDS.into_iter().enumerate() {
                let series: Vec<(f64, f64)> =
                    samples.iter().map(|(at, _, values)| (*at, values[kind])).collect();
                let (Some(first), Some(last)) = (series.first(), series.last()) else { continue };
                let judged = calm.map(|calm| one_life(samples, calm)).unwrap_or_default();
                let judged: Vec<(f64, f64)> =
                    judged.iter().map(|(at, _, values)| (*at, values[kind])).collect();
                let long = judged
                    .last()
                    .zip(judged.first())
                    .is_some_and(|(last, first)| last.0 - first.0 >= SHORTEST);
                let grown = grown(&judged).filter(|_| long);
                if let Some(grown) = grown.filter(|grown| grown.is_leak(limit, NOISE[kind])) {
                    let (by, hour) = (grown.by, grown.per_hour);
                    leaks.push(format!(
                        "{name} leaks: its {what} grew by {by:.0} {unit}, {hour:.0} in an hour; {limit:.0} are allowed"
                    ));
                }
                table.push(Resource {
                    node: name.clone(),
                    what: format!("{what} {unit}").trim().to_owned(),
                    start: first.1,
                    end: last.1,
                    most: series.iter().map(|one| one.1).fold(0.0, f64::max),
                    growth_per_hour: grown.map(|grown| grown.per_hour),
                });
            }
        }
        (table, leaks)
    }
}

/// The samples of the last process alone, from an instant on.
fn one_life(samples: &[Sample], from: f64) -> &[Sample] {
    let last = samples.last().map_or(0, |sample| sample.1);
    let begin =
        samples.iter().rposition(|(at, pid, _)| *at < from || *pid != last).map_or(0, |place| place + 1);
    &samples[begin..]
}

impl Place {
    /// One look; `None` while no process runs.
    fn look(&self, at: f64, behind: f64) -> Option<Sample> {
        let pid = self.pid()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        // What is the process's own: mapped files are the system's to take back.
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        let memory: f64 = line.split_whitespace().next()?.parse().ok()?;
        let descriptors = count(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count());
        let mut seen = HashSet::new();
        let disk = used(&self.data, &mut seen) + used(&self.log, &mut seen);
        Some((at, pid, [memory / 1024.0, descriptors, disk / f64::from(1 << 20), behind]))
    }

    /// The process that runs with the node's configuration.
    fn pid(&self) -> Option<u32> {
        let file = self.config_file.as_os_str().as_encoded_bytes();
        let runs = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.strip_suffix(&[0]).is_some_and(|line| line.ends_with(file)) && !line.starts_with(b"nsenter")
        };
        let all =
            fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        all.into_iter().find(runs)
    }
}

/// Bytes on disk of a file or a folder; a file with several names counts once.
fn used(path: &Path, seen: &mut HashSet<u64>) -> f64 {
    let Ok(found) = fs::symlink_metadata(path) else { return 0.0 };
    let inside = fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    let inside: f64 = inside.map(|entry| used(&entry.path(), seen)).sum();
    let own = if seen.insert(found.ino()) { found.blocks() * 512 } else { 0 };
    #[expect(clippy::cast_precision_loss, reason = "a size")]
    let own = own as f64;
    inside + own
}

#[expect(clippy::cast_precision_loss, reason = "a number of files")]
fn count(number: usize) -> f64 {
    number as f64
}
