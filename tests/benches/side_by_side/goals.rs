//! The goals, and whether they are met: each row is computed from the medians, and says so when it was not measured.

use serde_json::{Value, json};

use super::sample::{Results, Sample, System, Work};

/// A goal and what was found.
pub struct Row {
    /// What is to be reached.
    pub goal: String,
    /// dancu's figure.
    pub figure: String,
    /// The figure beside it.
    pub yardstick: String,
    /// One by the other, and what it is to be.
    pub ratio: String,
    /// Whether it is reached; `None` when that was not measured.
    pub met: Option<bool>,
}

impl Row {
    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "goal": self.goal,
            "figure": self.figure,
            "yardstick": self.yardstick,
            "ratio": self.ratio,
            "met": self.met,
        })
    }

    /// As cells of a table.
    pub fn cells(&self) -> Vec<String> {
        let met = match self.met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "-",
        };
        let [goal, figure] = [&self.goal, &self.figure].map(String::clone);
        vec![goal, figure, self.yardstick.clone(), self.ratio.clone(), met.to_owned()]
    }
}

/// A figure of a sample.
type Figure = fn(&Sample) -> Option<f64>;

/// One over the other must be at least, or at most, so much.
#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {least}"),
            Self::AtMost(most) => format!("<= {most}"),
        }
    }
}

/// In which unit a figure is shown.
#[derive(Clone, Copy)]
enum Unit {
    PerSecond,
    Milliseconds,
    Microseconds,
    Megabytes,
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::PerSecond if value >= 10_000.0 => format!("{:.1}k/s", value / 1e3),
            Self::PerSecond => format!("{value:.0}/s"),
            Self::Milliseconds => format!("{:.2} ms", value / 1e3),
            Self::Microseconds => format!("{value:.1} us"),
            Self::Megabytes => format!("{:.0} MB", value / 1e6),
        }
    }
}

const RATE: Figure = |sample| Some(sample.per_s);
const P50: Figure = |sample| sample.p50_us;
const P99: Figure = |sample| sample.p99_us;
const CPU: Figure = |sample| sample.cpu_us;
const LEADER_CPU: Figure = |sample| sample.leader_cpu_us;

/// All goals, with what was found of each.
pub fn rows(results: &Results) -> Vec<Row> {
    let goals = Goals(results);
    let mut rows = goals.reads();
    rows.extend(goals.writes());
    rows.extend(goals.costs());
    rows.extend(NOT_MEASURED.map(|goal| Row { goal: goal.to_owned(), ..nothing("takes longer than this") }));
    rows
}

/// Goals that need 10,000,000 people on record.
const NOT_MEASURED: [&str; 4] = [
    "memory with 10,000,000 people <= 800 MB",
    "restart with 10,000,000 people <= 5 s",
    "learner joining with 10,000,000 people >= 200 MB/s",
    "verify latency at 10,000,000 people <= 1.3 x that at 100,000",
];

/// People of an import that counts as sustained.
const SUSTAINED: f64 = 1_000_000.0;

fn nothing(why: &str) -> Row {
    Row {
        goal: String::new(),
        figure: "not measured".to_owned(),
        yardstick: why.to_owned(),
        ratio: String::new(),
        met: None,
    }
}

struct Goals<'a>(&'a Results);

impl Goals<'_> {
    fn reads(&self) -> Vec<Row> {
        use System::{Ceiling, Dancu, Etcd, Postgres};
        use Unit::{Milliseconds, PerSecond};
        use Work::{BatchRead, Read, ReadAtLeader, ReadAtLearner, ReadBesideWrites, StreamRead};
        let mut rows = Vec::new();
        for (clients, least) in [(256, Bound::AtLeast(2.5)), (64, Bound::AtLeast(2.0))] {
            let (name, work) = (format!("Verify, {clients} clients"), Read(clients));
            let slowest = format!("{name}, p99");
            rows.push(self.ratio(&name, (work, RATE, PerSecond), (Etcd, work), least));
            rows.push(self.ratio(&slowest, (work, P99, Milliseconds), (Etcd, work), Bound::AtMost(0.4)));
            rows.push(self.ratio(&name, (work, RATE, PerSecond), (Ceiling, work), Bound::AtLeast(0.8)));
        }
        let one = (Read(1), P50, Milliseconds);
        rows.push(self.ratio("Verify, 1 client, p50", one, (Etcd, Read(1)), Bound::AtMost(0.7)));
        for (name, work) in [("BatchVerify, 64 in a call", BatchRead), ("VerifyStream", StreamRead)] {
            let rate = (work, RATE, PerSecond);
            rows.push(self.ratio(name, rate, (Etcd, Read(256)), Bound::AtLeast(20.0)));
            rows.push(self.ratio(name, rate, (Postgres, Read(64)), Bound::AtLeast(5.0)));
        }
        let (name, rate) = ("Verify at a learner against at the leader", (ReadAtLearner, RATE, PerSecond));
        rows.push(self.ratio(name, rate, (Dancu, ReadAtLeader), Bound::AtLeast(0.9)));
        for (quantile, figure, most) in [("p50", P50, 2_000.0), ("p99", P99, 10_000.0)] {
            let name = format!("5,000 verify/s beside 200 writes/s, {quantile}");
            rows.push(self.value(&name, (ReadBesideWrites, figure, Milliseconds), Bound::AtMost(most)));
        }
        rows
    }

    fn writes(&self) -> Vec<Row> {
        use System::{Etcd, Postgres};
        use Work::Write;
        let (many, rate) = ("PatchPerson, 256 clients", (Write(256), RATE, Unit::PerSecond));
        let (one, p50) = ("PatchPerson, 1 client, p50", (Write(1), P50, Unit::Milliseconds));
        vec![
            self.ratio(many, rate, (Etcd, Write(256)), Bound::AtLeast(2.0)),
            self.ratio(many, rate, (Postgres, Write(64)), Bound::AtLeast(2.0)),
            self.ratio(one, p50, (Etcd, Write(1)), Bound::AtMost(1.0)),
            self.import(),
        ]
    }

    fn costs(&self) -> Vec<Row> {
        use Unit::Microseconds;
        use Work::{Read, ReadAtLearner, Write};
        let (read, write) = ("server CPU a verify, 256 clients", "server CPU a write, 256 clients");
        let learner = "leader CPU a verify at a learner";
        vec![
            self.value(read, (Read(256), CPU, Microseconds), Bound::AtMost(20.0)),
            self.value(write, (Write(256), CPU, Microseconds), Bound::AtMost(45.0)),
            self.value(learner, (ReadAtLearner, LEADER_CPU, Microseconds), Bound::AtMost(2.0)),
            self.learners(),
            self.memory(),
        ]
    }

    /// dancu's figure by another's.
    fn ratio(
        &self,
        name: &str,
        (work, figure, unit): (Work, Figure, Unit),
        (other, other_work): (System, Work),
        bound: Bound,
    ) -> Row {
        let by = if other == System::Dancu { String::new() } else { format!(" of {}'s", other.name()) };
        let goal = format!("{name}: {} x{by}", bound.text());
        let own = self.0.median(System::Dancu, work).as_ref().and_then(figure);
        let beside = self.0.median(other, other_work).as_ref().and_then(figure);
        let shown = |value: Option<f64>| value.map_or_else(|| "not measured".to_owned(), |v| unit.text(v));
        let ratio = own.zip(beside).filter(|(_, beside)| *beside > 0.0).map(|(own, beside)| own / beside);
        Row {
            goal,
            figure: shown(own),
            yardstick: shown(beside),
            ratio: ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            met: ratio.map(|ratio| bound.holds(ratio)),
        }
    }

    /// A figure of dancu's alone.
    fn value(&self, name: &str, (work, figure, unit): (Work, Figure, Unit), bound: Bound) -> Row {
        let found = self.0.median(System::Dancu, work).as_ref().and_then(figure);
        let (sign, limit) = match bound {
            Bound::AtLeast(least) => (">=", least),
            Bound::AtMost(most) => ("<=", most),
        };
        let goal = format!("{name}: {sign} {}", unit.text(limit));
        // What etcd spends on the same, to be seen beside it.
        let etcd = self.0.median(System::Etcd, work).as_ref().and_then(figure);
        let beside = etcd.map_or_else(String::new, |value| format!("{} (etcd)", unit.text(value)));
        match found {
            None => Row { goal, ..nothing("") },
            Some(value) => Row {
                goal,
                figure: unit.text(value),
                ratio: etcd.map_or_else(String::new, |etcd| format!("{:.2}", value / etcd)),
                yardstick: beside,
                met: Some(bound.holds(value)),
            },
        }
    }

    fn import(&self) -> Row {
        let goal = "import into three nodes: >= 50k people/s over 1,000,000".to_owned();
        let Some(found) = self.0.median(System::Dancu, Work::Import) else {
            return Row { goal, ..nothing("") };
        };
        let enough = found.operations >= SUSTAINED;
        let met = enough.then_some(found.per_s >= 50_000.0);
        let over = format!("over {} people", found.operations);
        Row { goal, figure: Unit::PerSecond.text(found.per_s), yardstick: over, ratio: String::new(), met }
    }

    fn memory(&self) -> Row {
        let goal = "memory of a node with 1,000,000 people: <= 400 MB".to_owned();
        let found = self.0.median(System::Dancu, Work::Import);
        let found = found.filter(|sample| sample.operations >= SUSTAINED).and_then(|s| s.resident_bytes);
        let Some(bytes) = found else { return Row { goal, ..nothing("only without --quick") } };
        let met = Some(bytes <= 400e6);
        let (yardstick, ratio) = ("after the import".to_owned(), String::new());
        Row { goal, figure: Unit::Megabytes.text(bytes), yardstick, ratio, met }
    }

    /// What each further learner adds to the leader's cost of a write.
    fn learners(&self) -> Row {
        let goal = "leader CPU a write (batched) added by each of 8 learners: <= 2.0 us".to_owned();
        let cpu = |learners| {
            self.0.median(System::Dancu, Work::BatchWrite(learners)).and_then(|sample| sample.leader_cpu_us)
        };
        let Some((few, many)) = cpu(1).zip(cpu(8)) else {
            return Row { goal, ..nothing("only without --quick") };
        };
        let each = (many - few) / 7.0;
        let yardstick = format!("{few:.1} us with 1, {many:.1} us with 8");
        let (figure, met) = (Unit::Microseconds.text(each), Some(each <= 2.0));
        Row { goal, figure, yardstick, ratio: String::new(), met }
    }
}
