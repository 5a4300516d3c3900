//! How long a further piece of work would wait, judged by those that were done last: by that, a queue is bounded in time.
//!
//! It is what waits already, times the time a unit of it took of late. The wait of those whose turn has come would tell too
//! late: when it is long, a queue as long stands behind them already.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

/// How much of what was measured before still counts after more was done.
const KEPT: f64 = 0.75;

/// The pace at which work gets done. It is told of every piece: by [`Pace::place`] before and by [`Pace::done`] after.
pub struct Pace {
    /// So much may always wait, however long.
    always: usize,
    /// What waits or is under way. Pieces may differ in size: this counts units.
    outstanding: AtomicUsize,
    measured: Mutex<Measured>,
}

#[derive(Default)]
struct Measured {
    /// Since when there has been something to do, or the last was done.
    since: Option<Instant>,
    /// Of late: seconds, and units that were done in them.
    seconds: f64,
    units: f64,
}

/// The place of a piece of work among the outstanding ones.
pub struct Place {
    pace: Arc<Pace>,
    units: usize,
}

impl Pace {
    /// Nothing is known yet, and `always` units may wait whatever it takes.
    pub fn new(always: usize) -> Arc<Self> {
        Arc::new(Self { always, outstanding: AtomicUsize::new(0), measured: Mutex::default() })
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().expect("nothing panics while it holds this lock")
    }

    /// Whether a further piece would take longer than `max`, or nobody knows how long.
    pub fn is_too_slow(&self, max: Duration) -> bool {
        let before = self.outstanding.load(Ordering::Relaxed);
        if before < self.always {
            return false;
        }
        let measured = self.measured();
        measured.units == 0.0 || measured.seconds * before as f64 > max.as_secs_f64() * measured.units
    }

    /// A place for a piece of work of so many units, unless [`Pace::is_too_slow`].
    pub fn place(self: &Arc<Self>, units: usize, max: Duration) -> Option<Place> {
        if self.is_too_slow(max) {
            return None;
        }
        if self.outstanding.fetch_add(units, Ordering::Relaxed) == 0 {
            self.measured().since = Some(Instant::now());
        }
        Some(Place { pace: self.clone(), units })
    }

    /// So many units were done. How long it takes to fail would say nothing about the next.
    pub fn done(&self, units: usize) {
        let mut measured = self.measured();
        let now = Instant::now();
        if let Some(since) = measured.since.replace(now) {
            measured.seconds = measured.seconds * KEPT + (now - since).as_secs_f64();
            measured.units = measured.units * KEPT + units as f64;
        }
    }
}

impl Place {
    /// How many units it stands for.
    pub fn units(&self) -> usize {
        self.units
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pace.outstanding.fetch_sub(self.units, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALWAYS: usize = 256;

    #[tokio::test(start_paused = true)]
    async fn what_would_take_too_long_gets_no_place() {
        let max = Duration::from_millis(200);
        let pace = Pace::new(ALWAYS);
        let mut places: Vec<_> = (0..ALWAYS).map(|_| pace.place(1, max).unwrap()).collect();
        assert!(pace.place(1, max).is_none(), "nothing is known yet");
        // A unit a millisecond.
        tokio::time::advance(max).await;
        pace.done(200);
        places.truncate(ALWAYS - 200);
        places.extend((0..200).map(|_| pace.place(1, max).expect("so many may always wait")));
        assert!(pace.place(1, max).is_none(), "256 units take 256 ms");
        places.push(pace.place(1, max * 2).unwrap());
        places.clear();

        // Time in which there was nothing to do does not count.
        tokio::time::advance(Duration::from_secs(60)).await;
        places.push(pace.place(1, max).unwrap());
        tokio::time::advance(Duration::from_millis(1)).await;
        pace.done(1);
        places.extend((1..ALWAYS).map(|_| pace.place(1, max).unwrap()));
        assert!(pace.place(1, max).is_none() && pace.place(1, 2 * max).is_some(), "256 units take 256 ms");
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_piece_takes_the_room_of_many() {
        let max = Duration::from_millis(200);
        let pace = Pace::new(ALWAYS);
        let large = pace.place(1000, max).expect("the first is always taken");
        assert!(pace.place(1, max).is_none(), "nothing is known yet");
        tokio::time::advance(Duration::from_millis(100)).await;
        pace.done(large.units());
        // A thousand in 100 ms.
        let second = pace.place(1000, max).expect("one waits, of 100 ms");
        drop(large);
        let third = pace.place(1000, max).expect("one waits, of 100 ms");
        assert!(pace.place(1, max).is_some(), "two wait, of 200 ms");
        let fourth = pace.place(1, max);
        let fifth = pace.place(1, max);
        assert!(fourth.is_some() && fifth.is_none(), "more than 200 ms");
        drop((second, third, fourth));
        assert!(pace.place(1, Duration::ZERO).is_some(), "nothing waits any more");
    }
}
