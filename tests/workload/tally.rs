//! What happened so far, for those who look on and for the report.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::check::history::{Answer, Operation};
use super::lock;

/// Counts of calls.
#[derive(Default)]
pub struct Tally {
    /// Answered calls that wrote nothing.
    pub reads: AtomicU64,
    /// Acknowledged writes.
    pub writes: AtomicU64,
    /// Writes without an answer.
    pub unknown: AtomicU64,
    /// Calls that were not done, and said so.
    pub refused: AtomicU64,
    /// The same over time.
    pub pace: Mutex<Pace>,
}

/// The calls over time.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// Answered calls and writes without an answer that began, in each bucket of [`Pace::BUCKET_MS`].
    pub buckets: Vec<(u32, u32)>,
    /// The longest time without an acknowledged write, in microseconds.
    pub longest_gap: u64,
    last_write: Option<u64>,
}

impl Pace {
    /// Milliseconds of a bucket.
    pub const BUCKET_MS: u64 = 500;

    fn bucket(&mut self, micros: u64) -> &mut (u32, u32) {
        let place = usize::try_from(micros / 1000 / Self::BUCKET_MS).unwrap();
        if self.buckets.len() <= place {
            self.buckets.resize(place + 1, (0, 0));
        }
        &mut self.buckets[place]
    }
}

impl Tally {
    /// Counts a call that has just ended.
    pub(super) fn count(&self, operation: &Operation) {
        let mut pace = lock(&self.pace);
        let (count, bucket) = match operation.answer {
            Answer::Unknown => (&self.unknown, &mut pace.bucket(operation.start).1),
            Answer::Wrote { .. } => (&self.writes, &mut pace.bucket(operation.end).0),
            _ => (&self.reads, &mut pace.bucket(operation.end).0),
        };
        *bucket += 1;
        count.fetch_add(1, Ordering::Relaxed);
        if operation.writes().is_some() && matches!(operation.answer, Answer::Wrote { .. }) {
            let gap = pace.last_write.map_or(0, |last| operation.end.saturating_sub(last));
            pace.longest_gap = pace.longest_gap.max(gap);
            pace.last_write = pace.last_write.max(Some(operation.end));
        }
    }
}
