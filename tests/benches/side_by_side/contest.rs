//! All of them set up, and the rounds in which everybody has a turn at everything.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::ceiling::Ceiling;
use super::dancu::Dancu;
use super::etcd::Etcd;
use super::grpc::Loop;
use super::postgres::Postgres;
use super::sample::{Results, System, Work};

/// Bytes of a value: about those of a record.
pub const VALUE: usize = 600;
/// Clients where a call carries much.
const FEW: u32 = 8;

/// How long each turn takes, and how often.
pub struct Pace {
    quick: bool,
    /// Turns of each.
    pub rounds: usize,
    warm_up: Duration,
    /// Of each turn what counts.
    pub measure: Duration,
}

impl Pace {
    /// The usual ones, or those asked for.
    pub fn new(quick: bool, rounds: Option<usize>, seconds: Option<f64>) -> Self {
        let seconds = seconds.unwrap_or(if quick { 1.0 } else { 4.0 });
        Self {
            quick,
            rounds: rounds.unwrap_or(if quick { 2 } else { 5 }),
            warm_up: Duration::from_secs_f64(seconds / 4.0),
            measure: Duration::from_secs_f64(seconds),
        }
    }

    fn plan(&self, clients: u32) -> Loop {
        Loop { clients, warm_up: self.warm_up, measure: self.measure }
    }
}

/// All who are measured.
pub struct Contest {
    dancu: Dancu,
    etcd: Option<Etcd>,
    postgres: Option<Postgres>,
    ceiling: Option<Ceiling>,
    /// Their versions.
    pub versions: Vec<String>,
}

impl Contest {
    /// Starts everybody and puts the people and keys in.
    pub async fn set_up(folder: &Path, people: u64) -> Result<Self, String> {
        let part = |name: &str| {
            let part = folder.join(name);
            std::fs::create_dir_all(&part).map_err(|e| format!("{}: {e}", part.display())).map(|()| part)
        };
        let mut versions = vec![format!("dancu {}", env!("CARGO_PKG_VERSION"))];
        step("starting dancu: three nodes");
        let dancu = Dancu::start(&part("dancu")?, people).await?;
        let ceiling = Some(Ceiling::start(&part("ceiling")?, people, VALUE)?);
        let mut etcd = None;
        match Etcd::version() {
            None => step("WITHOUT etcd, which is not installed: apt-get install etcd-server"),
            Some(version) => {
                step(&format!("starting {version}: three nodes"));
                let value: Bytes = vec![0x5a; VALUE].into();
                etcd = Some(Etcd::start(&part("etcd")?, people, value).await?);
                versions.push(version);
            }
        }
        let mut postgres = None;
        match Postgres::version() {
            None => step(
                "WITHOUT PostgreSQL, which is not installed: apt-get install postgresql postgresql-contrib",
            ),
            Some(version) => {
                step(&format!("starting {version}: a primary and two standbys"));
                postgres = Some(Postgres::start(&part("postgres")?, people, VALUE)?);
                versions.push(version);
            }
        }
        Ok(Self { dancu, etcd, postgres, ceiling, versions })
    }

    /// Rounds in which everybody has a turn at everything; those who are compared follow each other.
    pub async fn rounds(&mut self, pace: &Pace, results: &mut Results) {
        use System::{Ceiling, Dancu, Etcd, Postgres};
        let counts: &[u32] = if pace.quick { &[256, 64, 1] } else { &[256, 64, 8, 1] };
        for round in 1..=pace.rounds {
            step(&format!("round {round} of {}", pace.rounds));
            for &clients in counts {
                for system in [Dancu, Etcd, Ceiling] {
                    self.turn(system, Work::Read(clients), pace.plan(clients), results).await;
                }
            }
            self.turn(Dancu, Work::BatchRead, pace.plan(FEW), results).await;
            self.turn(Postgres, Work::Read(64), pace.plan(64), results).await;
            self.turn(Dancu, Work::StreamRead, pace.plan(FEW), results).await;
            for &clients in counts.iter().filter(|&&clients| !pace.quick || clients != 64) {
                for system in [Dancu, Etcd] {
                    self.turn(system, Work::Write(clients), pace.plan(clients), results).await;
                }
            }
            self.turn(Postgres, Work::Write(64), pace.plan(64), results).await;
            self.turn(Dancu, Work::ReadBesideWrites, pace.plan(256), results).await;
        }
        // What comes now is dancu's alone.
        (self.etcd, self.postgres, self.ceiling) = (None, None, None);
    }

    async fn turn(&self, system: System, work: Work, plan: Loop, results: &mut Results) {
        let found = match system {
            System::Dancu => Some(self.dancu.measure(work, plan).await),
            System::Etcd => match &self.etcd {
                Some(etcd) => Some(etcd.measure(work, plan).await),
                None => None,
            },
            System::Postgres => self.postgres.as_ref().map(|postgres| postgres.measure(work, plan)),
            System::Ceiling => match &self.ceiling {
                Some(ceiling) => Some(ceiling.measure(work, plan).await),
                None => None,
            },
        };
        let Some(found) = found else { return };
        match &found {
            Ok(sample) => {
                note(&format!("{:<11} {:<36} {:>10.0}/s", system.name(), work.name(), sample.per_s));
            }
            Err(why) => note(&format!("{:<11} {:<36} FAILED: {why}", system.name(), work.name())),
        }
        results.add(system, work, found);
    }

    /// A learner beside the leader; then the cost of many learners.
    pub async fn learners(&mut self, pace: &Pace, results: &mut Results) {
        step("a node that does not vote joins");
        if let Err(why) = self.dancu.add_learner(1).await {
            return results.add(System::Dancu, Work::ReadAtLearner, Err(why));
        }
        for _ in 0..pace.rounds {
            self.turn(System::Dancu, Work::ReadAtLeader, pace.plan(256), results).await;
            self.turn(System::Dancu, Work::ReadAtLearner, pace.plan(256), results).await;
        }
        if pace.quick {
            return;
        }
        for _ in 0..pace.rounds {
            self.turn(System::Dancu, Work::BatchWrite(1), pace.plan(FEW), results).await;
        }
        step("seven more join");
        for number in 2..=8 {
            if let Err(why) = self.dancu.add_learner(number).await {
                return results.add(System::Dancu, Work::BatchWrite(8), Err(why));
            }
        }
        for _ in 0..pace.rounds {
            self.turn(System::Dancu, Work::BatchWrite(8), pace.plan(FEW), results).await;
        }
    }
}

/// Tells that something begins.
pub fn step(text: &str) {
    eprintln!("==> {text}");
}

/// Tells what came of it.
fn note(text: &str) {
    eprintln!("    {text}");
}
