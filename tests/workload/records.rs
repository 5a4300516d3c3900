//! The records and their histories. A record that has served its time is closed: once no call on it is under way it is read, its
//! history is judged, and what no later answer can contradict is dropped (`check::window`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dancu::proto::registry::PersonKey;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::sync::mpsc::UnboundedReceiver;

use super::super::check::history::{Call, Operation};
use super::super::check::{judge, window};
use super::{Asker, PAUSE, Record, Shared, lock};

/// Judged wrong.
pub struct Wrong {
    /// The record.
    pub key: u32,
    /// What is wrong.
    pub what: String,
    /// All calls that were judged.
    pub operations: Vec<Operation>,
}

/// Judged so far.
#[derive(Default)]
pub struct Judged {
    /// What was found; the histories of the first few.
    pub wrong: Vec<Wrong>,
    /// Records whose search was given up.
    pub given_up: usize,
    /// Records whose histories were cut.
    pub cut: usize,
}

/// Histories of records judged wrong that are kept.
const SHOWN: usize = 20;

/// What is known of one record.
#[derive(Default)]
pub(super) struct History {
    pub(super) operations: Vec<Operation>,
    /// Calls under way.
    asking: u32,
}

impl Shared {
    pub(super) fn new_key(&self) -> u32 {
        lock(&self.people).push(PersonKey::default());
        let mut history = lock(&self.history);
        history.push(History::default());
        u32::try_from(history.len() - 1).unwrap()
    }

    /// A call on a record begins, or has ended.
    pub(super) fn asking(&self, key: u32, begins: bool) {
        let asking = &mut lock(&self.history)[key as usize].asking;
        *asking = if begins { *asking + 1 } else { *asking - 1 };
    }

    fn is_quiet(&self, key: u32) -> bool {
        lock(&self.history)[key as usize].asking == 0
    }

    /// Judges a record that nobody asks about any more, and keeps what a later read can contradict.
    fn cut(&self, key: u32) {
        let mut operations = std::mem::take(&mut lock(&self.history)[key as usize].operations);
        let found = judge(&operations);
        let mut judged = lock(&self.judged);
        judged.given_up += usize::from(found.gave_up);
        // A broken record stays as it is: it is judged once more in the end, with all that came later.
        if found.broken.is_none()
            && let Some(kept) = window::keep(&operations)
        {
            judged.cut += 1;
            operations = kept;
        }
        if let Some(what) = found.broken {
            judged.note(Wrong { key, what, operations: operations.clone() });
        }
        // An acknowledged write may have been asked for again in the meantime.
        let history = &mut lock(&self.history)[key as usize].operations;
        operations.append(history);
        *history = operations;
    }
}

impl Judged {
    /// Adds a finding.
    pub fn note(&mut self, wrong: Wrong) {
        if self.wrong.len() < SHOWN && self.wrong.iter().all(|known| known.key != wrong.key) {
            self.wrong.push(wrong);
        }
    }
}

/// Closes records as they come, until the end of the run: what is open then is judged as a whole.
pub(super) async fn close(shared: Arc<Shared>, mut closed: UnboundedReceiver<Option<Record>>) {
    let mut asker = Asker::new(shared.clone(), 0, ChaCha8Rng::seed_from_u64(0));
    while let Some(Some(record)) = closed.recv().await {
        loop {
            if shared.over.load(Ordering::Relaxed) {
                return;
            }
            let node = asker.random.random_range(0..shared.nodes.len());
            if shared.is_quiet(record.key) && asker.ask(node, &record, Call::Read).await {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let (shared, key) = (shared.clone(), record.key);
        tokio::task::spawn_blocking(move || shared.cut(key)).await.unwrap();
    }
}
