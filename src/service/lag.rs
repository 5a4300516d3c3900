//! How late this node's tasks run: what tells that it has more to do than it can.
//!
//! When requests come faster than they can be answered, they wait for a processor before a line of their handler runs. No
//! count of requests tells how long: that depends on the machine and on what is asked. A task that wants to run at a
//! certain instant and notes how late it did sees the queue as a request sees it, whatever is in it. What counts is the
//! least of its last looks: a queue that lasts is an overload, one that comes and goes is a busy machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(20);

/// How many looks must agree.
const LOOKS: usize = 4;

/// How late tasks run at present. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Lag(Arc<AtomicU64>);

impl Lag {
    /// Looks at it until `stopping`.
    pub fn watch(stopping: CancellationToken) -> Self {
        let lag = Self::default();
        let noted = lag.clone();
        tokio::spawn(stopping.run_until_cancelled_owned(async move {
            let mut looks = [Duration::ZERO; LOOKS];
            for look in (0..LOOKS).cycle() {
                let due = Instant::now() + EVERY;
                sleep_until(due).await;
                looks[look] = due.elapsed();
                noted.note(looks.into_iter().min().unwrap_or_default());
            }
        }));
        lag
    }

    /// Takes this for the present lag.
    pub fn note(&self, late: Duration) {
        self.0.store(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// By how much tasks run late.
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}
