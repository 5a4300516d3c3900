//! When which fault begins and ends: at most two at a time, each kind as often as the others.

use std::time::{Duration, Instant};

use dancu::proto::cluster::NodeState;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::fault::Fault;
use super::lab::{Active, Lab, Trouble};
use super::watch::Watch;
use crate::harness::PATIENCE;

/// Faults at one time.
const AT_ONCE: usize = 2;
/// How long beyond its end a run goes on for the faults that it has not made yet.
const GRACE: Duration = Duration::from_secs(90);
/// Milliseconds between two steps: long enough for an election, or not.
const STEP_MS: std::ops::Range<u64> = 200..2500;

/// A fault that was made.
#[derive(Clone, Debug)]
pub struct Past {
    /// Which.
    pub fault: Fault,
    /// Whom it hit.
    pub nodes: Vec<usize>,
    /// From when to when, in seconds since the beginning.
    pub from: f64,
    /// See `from`.
    pub to: f64,
    /// More about what happened.
    pub detail: String,
}

/// The schedule.
pub struct Nemesis {
    faults: Vec<Fault>,
    /// Those still to come before each is made once more.
    bag: Vec<Fault>,
    /// From then on no fault ends a process.
    calm: Option<Instant>,
    /// Only what was not made yet is made.
    ending: bool,
    active: Vec<Active>,
    /// All that is over.
    pub past: Vec<Past>,
    begun: Instant,
    watch: Watch,
    random: ChaCha8Rng,
}

impl Nemesis {
    /// Will make these faults; those that end a process only before the instant `calm`.
    pub fn new(
        faults: Vec<Fault>,
        begun: Instant,
        calm: Option<Instant>,
        watch: Watch,
        random: ChaCha8Rng,
    ) -> Self {
        let (bag, active, past) = (Vec::new(), Vec::new(), Vec::new());
        Self { faults, bag, calm, ending: false, active, past, begun, watch, random }
    }

    /// Makes faults until `end`, and each at least once, telling `show` which are under way; then takes all back.
    ///
    /// # Errors
    /// What the cluster did not survive.
    pub async fn run(
        &mut self,
        lab: &mut Lab,
        end: Instant,
        show: impl Fn(&[Active]),
    ) -> Result<(), Trouble> {
        while Instant::now() < end || self.lacks_some(end) {
            let step = Duration::from_millis(self.random.random_range(STEP_MS));
            tokio::time::sleep(step).await;
            let full = self.active.len() == AT_ONCE;
            if full || (!self.active.is_empty() && self.random.random()) {
                self.heal_one(lab).await?;
            } else {
                self.inject_next(lab).await?;
            }
            show(&self.active);
            self.nobody_ended(lab)?;
        }
        while !self.active.is_empty() {
            self.heal_one(lab).await?;
            show(&self.active);
        }
        let healed = async {
            for node in 0..lab.cluster.fleet.nodes.len() {
                lab.cluster.ready(node).await;
            }
        };
        let late = format!("{} s after the last fault some node still serves nothing", PATIENCE.as_secs());
        tokio::time::timeout(PATIENCE, healed).await.map_err(|_| Trouble::Broken(late))
    }

    /// Whether faults are still to be made after the end; no others are made then.
    fn lacks_some(&mut self, end: Instant) -> bool {
        let made = |fault: &Fault| self.past.iter().any(|one| one.fault == *fault);
        self.bag = self.faults.iter().copied().filter(|fault| !made(fault)).collect();
        self.ending = true;
        !self.bag.is_empty() && Instant::now() < end + GRACE
    }

    async fn inject_next(&mut self, lab: &mut Lab) -> Result<(), Trouble> {
        if self.calm.is_some_and(|calm| calm < Instant::now()) {
            self.calm = None;
            self.faults.retain(|fault| !fault.ends_process());
            self.bag.clear();
        }
        if self.bag.is_empty() && !self.ending {
            self.bag.clone_from(&self.faults);
            self.bag.shuffle(&mut self.random);
        }
        // One that cannot be made now is made later.
        for place in (0..self.bag.len()).rev() {
            let (fault, others) = (self.bag[place], !self.active.is_empty());
            if self.active.iter().any(|one| one.fault == fault) {
                continue;
            }
            if let Some(active) = lab.inject(fault, &self.watch, others, &mut self.random).await? {
                self.bag.remove(place);
                self.active.push(active);
                if fault.is_brief() {
                    let last = self.active.len() - 1;
                    return self.heal_at(lab, last).await;
                }
                return Ok(());
            }
        }
        Ok(())
    }

    async fn heal_one(&mut self, lab: &mut Lab) -> Result<(), Trouble> {
        let place = self.random.random_range(0..self.active.len());
        self.heal_at(lab, place).await
    }

    async fn heal_at(&mut self, lab: &mut Lab, place: usize) -> Result<(), Trouble> {
        let active = self.active.swap_remove(place);
        let (fault, nodes, detail) = (active.fault, active.nodes.clone(), active.detail.clone());
        let from = (active.since - self.begun).as_secs_f64();
        if lab.heal(active, &mut self.random).await? {
            self.past.push(Past { fault, nodes, from, to: self.begun.elapsed().as_secs_f64(), detail });
        }
        Ok(())
    }

    /// A node ends because a fault ended it, or for a reason of its own: that is a finding, unless its disk was hurt.
    fn nobody_ended(&self, lab: &mut Lab) -> Result<(), Trouble> {
        let hurt = |i: usize| self.active.iter().any(|one| one.fault.is_reported() && one.nodes.contains(&i));
        for (i, status) in self.watch.look().nodes.iter().enumerate() {
            if let Some(status) = status
                && status.state() == NodeState::OutOfService
                && !hurt(i)
            {
                let problem = format!("node {i} left service by itself: {}", status.problem);
                return Err(Trouble::Broken(problem));
            }
        }
        for (i, node) in lab.cluster.fleet.nodes.iter_mut().enumerate() {
            if let Some(status) = node.ended()?
                && !hurt(i)
            {
                let tail = node.log_tail(20);
                return Err(Trouble::Broken(format!("{} ended with {status}:\n{tail}", node.name())));
            }
        }
        Ok(())
    }
}
