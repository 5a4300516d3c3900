//! Load on anything that answers: logical clients that keep asking, and what they saw.
//!
//! ```text
//! closed loop   each client asks again when it was answered                    how much can be done?
//! open loop     so many operations a second, whoever is free asks next         how long does one take at that rate?
//!
//! warm-up            measured: whatever is sent in this time, also if its answer comes later
//! |------------------|------------------------------------------------------|
//! begun              from                                                   ends
//! ```
//!
//! **Latency counts from the instant at which an operation was due.** In a closed loop that is when it is sent. In an
//! open loop it is the place in the timetable: when the other side stalls, all that should have been sent meanwhile
//! counts as late, not only the few that were on their way (coordinated omission). What was due and never sent is told
//! as [`Measured::unsent`]. How long the other side alone took, from the instant of sending, is kept beside it: when more is due
//! than the clients can send, the timetable tells about them and not about the other side.
//!
//! It knows nothing of dancu, so that others are measured by the same code.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The longest latency that is told apart, in microseconds: an hour.
const LONGEST_US: u64 = 3_600_000_000;
/// The shortest sleep of the thread that keeps the timetable.
const FINEST: Duration = Duration::from_micros(50);
/// A client that was refused waits so long: a server that refuses everything is not to be asked in a tight loop.
const AFTER_ERROR: Duration = Duration::from_millis(10);
/// How often a watcher is told how far the load is.
const TICK: Duration = Duration::from_millis(200);

/// How hard, and how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Logical clients: operations on their way at once, at most.
    pub clients: usize,
    /// Open loop: operations a second of all clients together. Closed loop when absent.
    pub rate: Option<f64>,
    /// Time before anything counts.
    pub warm_up: Duration,
    /// Time that counts.
    pub measure: Duration,
}

/// Clients at work.
pub struct Load {
    pace: Arc<Pace>,
    record: Arc<Record>,
    clients: JoinSet<()>,
    timetable: Option<JoinHandle<()>>,
}

impl Load {
    /// Starts the clients; `client` makes the work of each from its number and its seat.
    pub fn start<F>(plan: &Plan, mut client: impl FnMut(usize, Seat) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let begun = Instant::now();
        let from = begun + plan.warm_up;
        let ends = from + plan.measure;
        let timetable = plan.rate.map(|rate| Timetable {
            every: Duration::from_secs_f64(1.0 / rate),
            due: Semaphore::new(0),
            taken: AtomicU64::new(0),
        });
        let pace = Arc::new(Pace { begun, ends, timetable });
        let record = Arc::new(Record::new(from));
        let mut clients = JoinSet::new();
        for number in 0..plan.clients {
            clients.spawn(client(number, Seat { pace: pace.clone(), record: record.clone() }));
        }
        let timetable = pace.timetable.is_some().then(|| {
            let pace = pace.clone();
            std::thread::spawn(move || pace.keep())
        });
        Self { pace, record, clients, timetable }
    }

    /// Waits for the end of the warm-up.
    pub async fn warm_up(&self, watch: &impl Fn(&Glance)) {
        while Instant::now() < self.record.from {
            let left = self.record.from - Instant::now();
            tokio::time::sleep(left.min(TICK)).await;
            watch(&self.glance());
        }
    }

    /// Waits until all clients have ended, and returns what they saw.
    pub async fn finish(mut self, watch: &impl Fn(&Glance)) -> Measured {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                ended = self.clients.join_next() => match ended {
                    Some(ended) => ended.expect("a client does not panic and is not cancelled"),
                    None => break,
                },
                _ = ticks.tick() => watch(&self.glance()),
            }
        }
        if let Some(thread) = self.timetable {
            thread.join().expect("the thread of the timetable does not panic");
        }
        let kinds = std::mem::take(&mut *self.record.kinds());
        let last = kinds.iter().map(|kind| kind.last).max().unwrap_or(self.record.from);
        let seconds = (last - self.record.from).as_secs_f64();
        Measured { seconds, kinds, unsent: self.pace.unsent() }
    }

    fn glance(&self) -> Glance {
        Glance {
            elapsed: self.pace.begun.elapsed(),
            operations: self.record.operations.load(Ordering::Relaxed),
            errors: self.record.errors.load(Ordering::Relaxed),
        }
    }
}

/// How far a load is, the warm-up included.
pub struct Glance {
    /// Since it began.
    pub elapsed: Duration,
    /// Operations done.
    pub operations: u64,
    /// Calls that failed.
    pub errors: u64,
}

/// Where a logical client learns when to ask, and says what came of it.
pub struct Seat {
    pace: Arc<Pace>,
    record: Arc<Record>,
}

impl Seat {
    /// Waits until the next operation is due; `None` when the time is up.
    pub async fn next(&self) -> Option<Turn> {
        let due = match &self.pace.timetable {
            None => Instant::now(),
            Some(timetable) => {
                // Refused when the timetable has ended.
                timetable.due.acquire().await.ok()?.forget();
                let place = timetable.taken.fetch_add(1, Ordering::Relaxed);
                self.pace.begun + timetable.every.mul_f64(place as f64)
            }
        };
        let sent = Instant::now();
        (due < self.pace.ends).then_some(Turn { due, sent, counts: sent >= self.record.from })
    }

    /// Notes what came of a turn: so many operations of a kind, or the reason why not.
    pub fn note(&self, kind: &'static str, turn: Turn, outcome: Result<u64, String>) {
        match &outcome {
            Ok(operations) => self.record.operations.fetch_add(*operations, Ordering::Relaxed),
            Err(_) => self.record.errors.fetch_add(1, Ordering::Relaxed),
        };
        if turn.counts {
            self.record.add(kind, &turn, outcome);
        }
    }

    /// The same, and a pause after a failure.
    pub async fn settle(&self, kind: &'static str, turn: Turn, outcome: Result<u64, String>) {
        let failed = outcome.is_err();
        self.note(kind, turn, outcome);
        if failed {
            tokio::time::sleep(AFTER_ERROR).await;
        }
    }
}

/// A call that is due: to be made now, and then noted.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Since when.
    due: Instant,
    /// When its client turned to it.
    sent: Instant,
    /// False in the warm-up.
    counts: bool,
}

/// When operations are due.
struct Pace {
    begun: Instant,
    ends: Instant,
    timetable: Option<Timetable>,
}

/// Of an open loop: operation n is due at n times `every`.
struct Timetable {
    every: Duration,
    /// A permit for each operation that is due and not taken.
    due: Semaphore,
    taken: AtomicU64,
}

impl Pace {
    /// Makes operations due until the end. Runs on a thread of its own: the runtime's timers are good to a millisecond,
    /// which is as long as an answer takes.
    fn keep(&self) {
        let Some(timetable) = &self.timetable else { return };
        let places = |time: Duration| time.as_secs_f64() / timetable.every.as_secs_f64();
        let all = places(self.ends - self.begun).ceil() as usize;
        let mut made = 0;
        while made < all {
            let due = all.min(places(self.begun.elapsed()) as usize + 1);
            timetable.due.add_permits(due - made);
            made = due;
            let next = self.begun + timetable.every.mul_f64(made as f64);
            let wait = next.saturating_duration_since(Instant::now());
            std::thread::sleep(wait.max(FINEST));
        }
        timetable.due.close();
    }

    /// What was due and nobody took.
    fn unsent(&self) -> u64 {
        self.timetable.as_ref().map_or(0, |timetable| timetable.due.available_permits() as u64)
    }
}

/// What all clients saw.
struct Record {
    from: Instant,
    operations: AtomicU64,
    errors: AtomicU64,
    /// One lock for all: it is held for some 50 ns a call.
    kinds: Mutex<Vec<Kind>>,
}

impl Record {
    fn new(from: Instant) -> Self {
        let (operations, errors) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { from, operations, errors, kinds: Mutex::new(Vec::new()) }
    }

    fn kinds(&self) -> MutexGuard<'_, Vec<Kind>> {
        self.kinds.lock().expect("nothing panics while it holds this lock")
    }

    fn add(&self, name: &'static str, turn: &Turn, outcome: Result<u64, String>) {
        let now = Instant::now();
        let mut kinds = self.kinds();
        let place = kinds.iter().position(|kind| kind.name == name).unwrap_or_else(|| {
            kinds.push(Kind::new(name, now));
            kinds.len() - 1
        });
        let kind = &mut kinds[place];
        kind.last = now;
        match outcome {
            Ok(operations) => {
                kind.operations += operations;
                let us = |since: Instant| u64::try_from((now - since).as_micros()).unwrap_or(u64::MAX);
                kind.latency.saturating_record(us(turn.due));
                kind.from_send.saturating_record(us(turn.sent));
            }
            Err(reason) => *kind.errors.entry(reason).or_default() += 1,
        }
    }
}

/// One kind of operations of a load.
pub struct Kind {
    /// What it is called.
    pub name: &'static str,
    /// Operations done: a call may hold several.
    pub operations: u64,
    /// Latencies of the calls that were answered, in microseconds.
    pub latency: Histogram<u64>,
    /// The same, from the instant of sending.
    pub from_send: Histogram<u64>,
    /// Calls that failed, by reason.
    pub errors: BTreeMap<String, u64>,
    /// When the last call ended.
    last: Instant,
}

impl Kind {
    fn new(name: &'static str, last: Instant) -> Self {
        Self {
            name,
            operations: 0,
            latency: latencies(),
            from_send: latencies(),
            errors: BTreeMap::new(),
            last,
        }
    }
}

fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are in order and 3 digits are allowed")
}

fn sum<'a>(each: impl Iterator<Item = &'a Histogram<u64>>) -> Histogram<u64> {
    let mut all = latencies();
    for histogram in each {
        all.add(histogram).expect("all have the same bounds");
    }
    all
}

/// What a load saw in the time that counts.
pub struct Measured {
    /// From the end of the warm-up to the last answer.
    pub seconds: f64,
    /// By kind, in the order in which they were first seen.
    pub kinds: Vec<Kind>,
    /// Open loop: operations that were due and that no client was free to send.
    pub unsent: u64,
}

impl Measured {
    /// Operations of all kinds.
    pub fn operations(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.operations).sum()
    }

    /// Operations a second.
    pub fn per_second(&self, operations: u64) -> f64 {
        if self.seconds > 0.0 { operations as f64 / self.seconds } else { 0.0 }
    }

    /// Latencies of all kinds, in microseconds.
    pub fn latency(&self) -> Histogram<u64> {
        sum(self.kinds.iter().map(|kind| &kind.latency))
    }

    /// The same, from the instant of sending.
    pub fn from_send(&self) -> Histogram<u64> {
        sum(self.kinds.iter().map(|kind| &kind.from_send))
    }

    /// Failed calls of all kinds, by reason.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (reason, count) in self.kinds.iter().flat_map(|kind| &kind.errors) {
            *all.entry(reason.clone()).or_default() += count;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(clients: usize, rate: Option<f64>) -> Plan {
        let (warm_up, measure) = (Duration::from_millis(50), Duration::from_millis(300));
        Plan { clients, rate, warm_up, measure }
    }

    async fn measure(plan: &Plan, takes: Duration) -> Measured {
        let load = Load::start(plan, |number, seat| async move {
            while let Some(turn) = seat.next().await {
                tokio::time::sleep(takes).await;
                let outcome = if number == 0 { Err("NO".to_owned()) } else { Ok(2) };
                seat.settle("kind", turn, outcome).await;
            }
        });
        load.warm_up(&|_| {}).await;
        load.finish(&|_| {}).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_closed_loop_counts_operations_latencies_and_errors() {
        let seen = measure(&plan(3, None), Duration::from_millis(5)).await;
        let [kind] = &seen.kinds[..] else { panic!("one kind, not {}", seen.kinds.len()) };
        assert_eq!(kind.operations, 2 * kind.latency.len());
        assert!(kind.latency.len() > 2, "two clients, some 60 calls each");
        assert!(kind.latency.min() >= 5_000, "a call took {} us", kind.latency.min());
        assert!(seen.errors()["NO"] > 0);
        assert_eq!((seen.operations(), seen.unsent), (kind.operations, 0));
        assert!(seen.seconds >= 0.2, "{}", seen.seconds);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_open_loop_does_not_hide_that_it_falls_behind() {
        // Three clients can do 150 a second and 1,000 are due: after 300 ms the next in turn is some 250 ms late.
        let seen = measure(&plan(3, Some(1_000.0)), Duration::from_millis(20)).await;
        let latency = seen.latency();
        assert!(latency.max() > 100_000, "the latest was only {} us late", latency.max());
        assert!(seen.unsent > 100, "{} unsent", seen.unsent);
        // Each took its 20 ms once it was sent.
        assert!(seen.from_send().min() >= 20_000 && seen.from_send().max() < latency.max());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_open_loop_keeps_its_rate() {
        let plan = plan(64, Some(500.0));
        let load = Load::start(&plan, |_, seat| async move {
            while let Some(turn) = seat.next().await {
                seat.settle("kind", turn, Ok(1)).await;
            }
        });
        load.warm_up(&|_| {}).await;
        let seen = load.finish(&|_| {}).await;
        // 175 are due, 150 of them after the warm-up. A busy machine delays them and loses none.
        let all = seen.operations() + seen.unsent;
        assert!((150..=175).contains(&all), "{all}, {} of them unsent", seen.unsent);
    }
}
