//! Random histories against a plain vector: appends, truncations, purges, votes, restarts and crashes.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::storage::sealing::tests::sealed;

/// What the log must hold.
#[derive(Default)]
struct Model {
    entries: Vec<LogEntry>,
    purged: Option<LogId>,
    vote: Option<Vote>,
    term: u64,
}

impl Model {
    fn first(&self) -> u64 {
        self.purged.map_or(0, |id| id.index + 1)
    }

    fn next(&self) -> u64 {
        self.first() + self.entries.len() as u64
    }

    fn last(&self) -> Option<LogId> {
        self.entries.last().map(|entry| entry.id).or(self.purged)
    }

    /// The id to keep if the log is to end before `index`.
    fn before(&self, index: u64) -> Option<LogId> {
        match index.checked_sub(self.first() + 1) {
            Some(at) => Some(self.entries[at as usize].id),
            None => self.purged,
        }
    }
}

/// The log comes first, for it must be closed before its folder goes.
struct Run {
    log: Option<LogStore>,
    root: tempfile::TempDir,
    data: PathBuf,
    random: ChaCha8Rng,
    model: Model,
    crashes: usize,
    options: LogOptions,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("0");
        fs::create_dir(&data).unwrap();
        let options = LogOptions {
            cache_bytes: random.random_range(0..8_000),
            queue_bytes: random.random_range(1..20_000),
            batch_bytes: random.random_range(1..10_000),
            batch_ops: random.random_range(1..10),
            keyring: if random.random_ratio(1, 2) { sealed(root.path(), 1) } else { Arc::default() },
        };
        let log = Some(LogStore::open(&data, &options, Arc::new(())).unwrap());
        Self { log, root, data, random, model: Model::default(), crashes: 0, options }
    }

    fn log(&self) -> &LogStore {
        self.log.as_ref().unwrap()
    }

    fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..50 => self.append(),
            50..65 => self.truncate(),
            65..75 => self.purge(),
            75..85 => {
                self.model.term += 1;
                self.model.vote = Some(vote(self.model.term));
                self.log().save_vote(vote(self.model.term), Box::new(|result| result.unwrap()));
            }
            85..94 => self.log().save_committed(self.model.last()),
            94..97 => self.restart(),
            _ => self.crash(),
        }
    }

    fn append(&mut self) {
        let from = self.model.next();
        let new: Vec<_> = (from..from + self.random.random_range(1..10))
            .map(|index| entry(self.model.term, index, self.random.random_range(0..500)))
            .collect();
        self.model.entries.extend(new.iter().cloned());
        self.log().append(new, Box::new(|result| result.unwrap()));
    }

    fn truncate(&mut self) {
        let from = self.random.random_range(self.model.first()..=self.model.next());
        let keep = self.model.before(from);
        self.model.entries.truncate((from - self.model.first()) as usize);
        self.log().truncate_after(keep);
        self.model.term += 1;
    }

    fn purge(&mut self) {
        let jump = if self.random.random_range(0..10) == 0 { 20 } else { 0 };
        let upto = self.random.random_range(self.model.first()..=self.model.next() + jump);
        let (first, term) = (self.model.first(), self.model.term);
        let id = self.model.entries.get((upto - first) as usize).map_or(id(term, upto), |entry| entry.id);
        let gone = ((upto + 1 - first) as usize).min(self.model.entries.len());
        self.model.entries.drain(..gone);
        self.model.purged = Some(id);
        self.log().purge(id);
    }

    fn restart(&mut self) {
        self.log = None;
        self.log = Some(LogStore::open(&self.data, &self.options, Arc::new(())).unwrap());
        assert_eq!(*self.log().durable().borrow(), self.model.last());
    }

    /// Goes on from a copy of the folder. The vote is waited for, and so is all that was called before it.
    fn crash(&mut self) {
        self.model.term += 1;
        self.model.vote = Some(vote(self.model.term));
        save_vote(self.log(), vote(self.model.term));
        self.crashes += 1;
        let copied = copy(&self.data, &self.root.path().join(self.crashes.to_string()));
        self.log = None;
        fs::remove_dir_all(&self.data).unwrap();
        self.data = copied;
        self.restart();
    }

    fn check(&mut self) {
        let log = self.log.clone().unwrap();
        assert_eq!(log.last(), self.model.last());
        assert_eq!(log.purged(), self.model.purged);
        assert_eq!(log.vote(), self.model.vote);
        let from = self.random.random_range(0..=self.model.next() + 2);
        let to = self.random.random_range(from..=self.model.next() + 4);
        let limit = self.random.random_range(0..5_000);
        let mut bytes = 0;
        let expected: Vec<_> = self
            .model
            .entries
            .iter()
            .filter(|entry| (from..to).contains(&entry.id.index))
            .enumerate()
            .take_while(|(at, entry)| {
                bytes += entry.bytes.len();
                *at == 0 || bytes <= limit
            })
            .map(|(_, entry)| entry.clone())
            .collect();
        assert_eq!(log.read(from, to, limit).unwrap(), expected, "read {from}..{to} within {limit} bytes");
        let durable = *log.durable().borrow();
        assert!(durable.map(|id| id.index) <= self.model.last().map(|id| id.index));
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a seed that is printed")]
fn random_histories_match_the_model() {
    let fixed = std::env::var("DANCU_SEED").ok().map(|seed| seed.parse().expect("DANCU_SEED is a number"));
    let seeds = fixed.map_or_else(|| (0..4).map(|_| rand::random()).collect(), |seed| vec![seed]);
    for seed in seeds {
        println!(
            "repeat with: DANCU_SEED={seed} cargo test --release --lib random_histories_match_the_model -- --nocapture"
        );
        let mut run = Run::new(seed);
        for _step in 0..200 {
            run.step();
            run.check();
        }
        assert_eq!(read_all(run.log()), run.model.entries);
    }
}
