//! What one measurement found, and what is made of several.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    /// Three nodes of this project.
    Dancu,
    /// Three nodes of etcd.
    Etcd,
    /// PostgreSQL: a primary and two standbys, a commit waits for one of them.
    Postgres,
    /// A bare tonic service over one RocksDB: what gRPC leaves possible.
    Ceiling,
}

impl System {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dancu => "dancu",
            Self::Etcd => "etcd",
            Self::Postgres => "PostgreSQL",
            Self::Ceiling => "bare tonic",
        }
    }
}

/// What it does meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// One person or key a call, linearizable where the system can: so many clients.
    Read(u32),
    /// The same by one change of one person or key.
    Write(u32),
    /// 64 people a call.
    BatchRead,
    /// Streams with 64 requests on their way.
    StreamRead,
    /// `Read` at the leader alone.
    ReadAtLeader,
    /// `Read` at a node that does not vote.
    ReadAtLearner,
    /// 5,000 reads a second, open loop, beside 200 writes a second.
    ReadBesideWrites,
    /// 64 changes a call, with so many learners.
    BatchWrite(u32),
    /// Many new people.
    Import,
}

impl Work {
    /// As it stands in the summary.
    pub fn name(self) -> String {
        match self {
            Self::Read(clients) => format!("read, {clients} clients"),
            Self::Write(clients) => format!("write, {clients} clients"),
            Self::BatchRead => "read, 64 in a call".to_owned(),
            Self::StreamRead => "read, streams".to_owned(),
            Self::ReadAtLeader => "read at the leader, 256 clients".to_owned(),
            Self::ReadAtLearner => "read at a learner, 256 clients".to_owned(),
            Self::ReadBesideWrites => "5,000 reads/s beside 200 writes/s".to_owned(),
            Self::BatchWrite(learners) => format!("write, 64 in a call, {learners} learners"),
            Self::Import => "import".to_owned(),
        }
    }
}

/// What one measurement found. Absent is what the system does not tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Operations a second.
    pub per_s: f64,
    /// Median latency of a call, in microseconds.
    pub p50_us: Option<f64>,
    /// 99th percentile of the same.
    pub p99_us: Option<f64>,
    /// Processor time of all nodes an operation, in microseconds.
    pub cpu_us: Option<f64>,
    /// The leader's part of it.
    pub leader_cpu_us: Option<f64>,
    /// Memory of the largest node afterwards, in bytes.
    pub resident_bytes: Option<f64>,
    /// Operations done.
    pub operations: f64,
}

impl Sample {
    fn json(&self) -> Value {
        json!({
            "operations": self.operations,
            "per_s": self.per_s,
            "p50_us": self.p50_us,
            "p99_us": self.p99_us,
            "cpu_us_per_operation": self.cpu_us,
            "leader_cpu_us_per_operation": self.leader_cpu_us,
            "largest_resident_bytes": self.resident_bytes,
        })
    }
}

/// All that was found.
#[derive(Default)]
pub struct Results {
    samples: BTreeMap<(Work, System), Vec<Sample>>,
    /// What went wrong on the way: those measurements are missing.
    pub troubles: Vec<String>,
}

impl Results {
    /// Keeps a measurement, or why there is none.
    pub fn add(&mut self, system: System, work: Work, found: Result<Sample, String>) {
        match found {
            Ok(sample) => self.samples.entry((work, system)).or_default().push(sample),
            Err(why) => self.troubles.push(format!("{}, {}: {why}", system.name(), work.name())),
        }
    }

    /// The medians of a system at a work, each figure by itself; `None` when it was not measured.
    pub fn median(&self, system: System, work: Work) -> Option<Sample> {
        let all = self.samples.get(&(work, system))?;
        let of = |figure: fn(&Sample) -> Option<f64>| median(all.iter().filter_map(figure).collect());
        Some(Sample {
            per_s: of(|sample| Some(sample.per_s))?,
            p50_us: of(|sample| sample.p50_us),
            p99_us: of(|sample| sample.p99_us),
            cpu_us: of(|sample| sample.cpu_us),
            leader_cpu_us: of(|sample| sample.leader_cpu_us),
            resident_bytes: of(|sample| sample.resident_bytes),
            operations: of(|sample| Some(sample.operations))?,
        })
    }

    /// What was measured, in order.
    pub fn measured(&self) -> impl Iterator<Item = (System, Work)> {
        self.samples.keys().map(|&(work, system)| (system, work))
    }

    /// Everything, as JSON.
    pub fn json(&self) -> Vec<Value> {
        let one = |(&(work, system), samples): (&(Work, System), &Vec<Sample>)| {
            json!({
                "work": work.name(),
                "system": system.name(),
                "median": self.median(system, work).map(|sample| sample.json()),
                "samples": samples.iter().map(Sample::json).collect::<Vec<_>>(),
            })
        };
        self.samples.iter().map(one).collect()
    }
}

/// The middle one; the mean of the two in the middle of an even number.
fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(figures[middle]),
        _ => Some(f64::midpoint(figures[middle - 1], figures[middle])),
    }
}
