//! What a run found, as a row of a table and as JSON.

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::counters::Spent;
use super::load::Measured;
use crate::cli::output::{grouped, table};

/// A run that is over.
pub struct Run {
    /// How it was set up, as JSON: what tells it from other runs.
    pub setting: Map<String, Value>,
    /// The operation's name.
    pub operation: String,
    /// Logical clients.
    pub clients: u32,
    /// What the clients saw.
    pub measured: Measured,
    /// What each node process spent.
    pub spent: Vec<Spent>,
    /// Processor time of the load itself, in seconds.
    pub own_cpu_seconds: f64,
}

impl Run {
    /// Failed calls.
    pub fn errors(&self) -> u64 {
        self.measured.errors().values().sum()
    }

    /// Microseconds of processor time an operation, of the processes that `which` chooses; `None` when none was read.
    pub fn cpu_us(&self, which: impl Fn(&Spent) -> bool) -> Option<f64> {
        self.each(which, |spent| spent.cpu_seconds * 1e6)
    }

    /// Bytes written an operation, by all processes.
    pub fn written_bytes(&self) -> Option<f64> {
        self.each(|_| true, |spent| spent.written_bytes as f64)
    }

    fn each(&self, which: impl Fn(&Spent) -> bool, amount: impl Fn(&Spent) -> f64) -> Option<f64> {
        let operations = self.measured.operations();
        let chosen: Vec<&Spent> = self.spent.iter().filter(|spent| which(spent)).collect();
        (operations > 0 && !chosen.is_empty())
            .then(|| chosen.into_iter().map(amount).sum::<f64>() / operations as f64)
    }

    /// Everything, as JSON. Latencies are in microseconds.
    pub fn json(&self) -> Value {
        let measured = &self.measured;
        let operations = measured.operations();
        let latency = measured.latency();
        let mut run = self.setting.clone();
        run.insert("seconds".to_owned(), json!(measured.seconds));
        run.insert("operations".to_owned(), json!(operations));
        run.insert("operations_per_s".to_owned(), json!(measured.per_second(operations)));
        run.insert("calls".to_owned(), json!(latency.len()));
        run.insert("latency_us".to_owned(), latency_json(&latency));
        run.insert("latency_from_send_us".to_owned(), latency_json(&measured.from_send()));
        run.insert("unsent".to_owned(), json!(measured.unsent));
        run.insert("errors".to_owned(), json!(measured.errors()));
        let kinds = measured.kinds.iter().map(|kind| {
            json!({
                "kind": kind.name,
                "operations": kind.operations,
                "operations_per_s": measured.per_second(kind.operations),
                "calls": kind.latency.len(),
                "latency_us": latency_json(&kind.latency),
                "errors": kind.errors,
            })
        });
        run.insert("kinds".to_owned(), kinds.collect());
        let each = |amount: f64| if operations > 0 { Some(amount / operations as f64) } else { None };
        let nodes = self.spent.iter().map(|spent| {
            json!({
                "nodes": spent.nodes,
                "state": spent.state,
                "cpu_us_per_operation": each(spent.cpu_seconds * 1e6),
                "written_bytes_per_operation": each(spent.written_bytes as f64),
                "resident_bytes": spent.resident_bytes,
            })
        });
        let server = json!({
            "cpu_us_per_operation": self.cpu_us(|_| true),
            "written_bytes_per_operation": self.written_bytes(),
            "processes": nodes.collect::<Vec<_>>(),
        });
        run.insert("server".to_owned(), server);
        run.insert("load_cpu_us_per_operation".to_owned(), json!(each(self.own_cpu_seconds * 1e6)));
        Value::Object(run)
    }

    /// The row of the whole run, and one for each kind when there are several.
    fn rows(&self) -> Vec<Vec<String>> {
        let measured = &self.measured;
        let name = |kind: &str| format!("{} ({kind}s)", self.operation);
        let row = |name: String, operations: u64, latency: &Histogram<u64>, errors: u64| {
            let rate = grouped(measured.per_second(operations).round() as u64);
            let mut row = vec![name, self.clients.to_string(), rate];
            row.extend([0.5, 0.99, 0.999].map(|q| milliseconds(latency.value_at_quantile(q))));
            row.push(milliseconds(latency.max()));
            row.push(grouped(errors));
            row
        };
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.1}"));
        let mut all = row(self.operation.clone(), measured.operations(), &measured.latency(), self.errors());
        all.extend([
            shown(self.cpu_us(|_| true)),
            shown(self.cpu_us(|spent| spent.state == "leader")),
            self.written_bytes().map_or_else(|| "-".to_owned(), |v| grouped(v.round() as u64)),
            shown(
                (measured.operations() > 0)
                    .then(|| self.own_cpu_seconds * 1e6 / measured.operations() as f64),
            ),
        ]);
        let mut rows = vec![all];
        if measured.kinds.len() > 1 {
            rows.extend(measured.kinds.iter().map(|kind| {
                row(name(kind.name), kind.operations, &kind.latency, kind.errors.values().sum())
            }));
        }
        rows
    }
}

/// All runs as a table, with what went wrong below it.
pub fn text(runs: &[Run]) -> String {
    let header = [
        "operation",
        "clients",
        "ops/s",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "max ms",
        "errors",
        "CPU us/op",
        "leader's",
        "written B/op",
        "load's CPU",
    ];
    let mut text = table(&header, runs.iter().flat_map(Run::rows).collect());
    for run in runs {
        let (operation, unsent) = (&run.operation, run.measured.unsent);
        for (reason, count) in run.measured.errors() {
            text +=
                &format!("\n{operation}, {} clients: {} calls failed: {reason}", run.clients, grouped(count));
        }
        if unsent > 0 {
            let unsent = grouped(unsent);
            text += &format!(
                "\n{operation}, {} clients: {unsent} operations were due and never sent: the rate was not kept",
                run.clients
            );
        }
    }
    text
}

fn latency_json(latency: &Histogram<u64>) -> Value {
    json!({
        "min": latency.min(),
        "mean": latency.mean(),
        "p50": latency.value_at_quantile(0.5),
        "p90": latency.value_at_quantile(0.9),
        "p99": latency.value_at_quantile(0.99),
        "p999": latency.value_at_quantile(0.999),
        "max": latency.max(),
    })
}

fn milliseconds(us: u64) -> String {
    format!("{:.2}", us as f64 / 1000.0)
}
