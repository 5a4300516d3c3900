//! The live picture: nodes, faults and rates, on a terminal alone.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dancu::proto::cluster::{NodeState, NodeStatus};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::task::JoinSet;

use super::lab::Active;
use super::watch::Watch;
use crate::workload::Tally;

const EVERY: Duration = Duration::from_millis(200);

/// A fault under way, and whom it hits.
type Shown = (String, Vec<usize>);

/// What the picture shows of the faults under way; written by the nemesis.
#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<Vec<Shown>>>);

impl Board {
    /// Shows these faults.
    pub fn show(&self, active: &[Active]) {
        let lines = active.iter().map(|one| (one.fault.to_string(), one.nodes.clone())).collect();
        *self.0.lock().unwrap() = lines;
    }

    fn on(&self, node: usize) -> String {
        let faults = self.0.lock().unwrap();
        let mine: Vec<&str> =
            faults.iter().filter(|(_, nodes)| nodes.contains(&node)).map(|(name, _)| name.as_str()).collect();
        mine.join(" ")
    }
}

/// Draws until the set of tasks is dropped.
pub fn draw(
    names: &[String],
    (begun, end): (Instant, Instant),
    watch: Watch,
    board: Board,
    tally: Arc<Tally>,
    tasks: &mut JoinSet<()>,
) {
    let picture = MultiProgress::new();
    let line = |template: &str, length| {
        let style = ProgressStyle::with_template(template).expect("a template of our own");
        picture.add(ProgressBar::new(length).with_style(style))
    };
    let time = line("{bar:40.cyan/dim} {pos} of {len} s  {msg}", (end - begun).as_secs());
    let width = names.iter().map(String::len).max().unwrap_or_default();
    let nodes: Vec<(String, ProgressBar)> =
        names.iter().map(|name| (format!("{name:width$}"), line("  {msg}", 0))).collect();
    tasks.spawn(async move {
        let mut before = (Instant::now(), counts(&tally));
        loop {
            tokio::time::sleep(EVERY).await;
            time.set_position(begun.elapsed().as_secs());
            let (now, counted) = (Instant::now(), counts(&tally));
            let rate = |new: u64, old: u64| {
                #[expect(clippy::cast_precision_loss, reason = "a rate")]
                let more = (new - old) as f64;
                more / (now - before.0).as_secs_f64()
            };
            time.set_message(format!(
                "{:6.0} reads/s {:5.0} writes/s  unknown {}  not done {}",
                rate(counted[0], before.1[0]),
                rate(counted[1], before.1[1]),
                counted[2],
                counted[3]
            ));
            before = (now, counted);
            let seen = watch.look();
            for (i, (name, line)) in nodes.iter().enumerate() {
                line.set_message(format!("{name}  {}  {}", describe(seen.nodes[i].as_ref()), board.on(i)));
            }
        }
    });
}

fn counts(tally: &Tally) -> [u64; 4] {
    [&tally.reads, &tally.writes, &tally.unknown, &tally.refused].map(|count| count.load(Relaxed))
}

fn describe(status: Option<&NodeStatus>) -> String {
    let Some(status) = status else { return format!("{:10} {:22}", "○ silent", "") };
    let state = match status.state() {
        NodeState::Leader => "● leader",
        NodeState::Candidate => "? stands",
        NodeState::Follower => "· follows",
        NodeState::Learner => "· learns",
        _ => "· waits",
    };
    format!("{state:10} term {:4}  applied {:8}", status.term, status.applied_index)
}
