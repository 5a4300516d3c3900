//! Random life events in a small world, for tests and load: what is written, and what must come of it.
//!
//! ```text
//! Events   draws an event that is mostly possible     mod.rs, choose.rs
//!   |
//! World    a map of people, to which every rule of the register is known a second time, in few words and without the
//!          code of `domain::command`: says whether the event stands, and what it leaves      world.rs, rules.rs, drafts.rs
//! ```
//!
//! The world is fed by the events alone, so whoever applies them in order to an empty register must get the outcomes
//! that it foresees, and in the end hold the people that it holds ([`World::compare`]).
//!
//! People are named by uid, most of them fit for what happens to them; some are chosen blindly, so that refusals are
//! foreseen as well. The days lie between 1930 and 2025, and a few in a future that no leader's clock has reached.

mod choose;
mod drafts;
mod rules;
mod world;

pub use world::{Known, World};

use super::numbers::SplitMix64;
use crate::proto::registry::Write;

/// An event, and what must come of it.
#[derive(Clone, Debug)]
pub struct Foreseen {
    /// What to write.
    pub write: Write,
    /// What it leads to; `None` when it must be refused.
    pub outcome: Option<Outcome>,
}

/// What an event leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The person that the answer names.
    pub person_uid: u64,
    /// Everybody else whose record changes, ascending.
    pub others: Vec<u64>,
    /// False when everything is as the event wants it.
    pub changed: bool,
}

/// Events without end. The same seed gives the same ones on every machine.
pub struct Events {
    random: SplitMix64,
    world: World,
    /// Numbers given so far: the next one is new.
    given: u32,
    /// Residence files founded so far.
    files: u32,
}

impl Events {
    /// The events of this seed.
    pub fn new(seed: u64) -> Self {
        Self { random: SplitMix64::new(seed), world: World::default(), given: 0, files: 0 }
    }

    /// The world after all events drawn so far.
    pub fn world(&self) -> &World {
        &self.world
    }
}

impl Iterator for Events {
    type Item = Foreseen;

    fn next(&mut self) -> Option<Foreseen> {
        let write = self.choose();
        let outcome = self.world.apply(&write);
        Some(Foreseen { write, outcome })
    }
}
