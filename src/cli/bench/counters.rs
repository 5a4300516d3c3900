//! What the nodes' own counters say a load cost them: processor time, bytes written, memory.

use std::collections::BTreeMap;

use futures::future::join_all;

use super::site::Node;
use crate::cli::fetch;

/// What a node's `/metrics` says of its process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// Number of the process on its machine.
    pub process: u64,
    /// Processor time used so far, in seconds.
    pub cpu_seconds: f64,
    /// Bytes it has had written to storage so far.
    pub written_bytes: u64,
    /// Memory in use, in bytes.
    pub resident_bytes: u64,
}

/// Reads the counters of every node; `None` for one that has no HTTP listener or does not answer.
pub async fn read_all(nodes: &[Node]) -> Vec<Option<Counters>> {
    join_all(nodes.iter().map(|node| read(&node.http_address))).await
}

async fn read(address: &str) -> Option<Counters> {
    if address.is_empty() {
        return None;
    }
    parse(&fetch::get(address, "/metrics").await.ok()?)
}

fn parse(text: &str) -> Option<Counters> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("dancu_")?.strip_prefix(name))?;
        line.strip_prefix(' ')?.trim().parse::<f64>().ok()
    };
    Some(Counters {
        process: value("process_id")? as u64,
        cpu_seconds: value("process_cpu_seconds_total")?,
        written_bytes: value("process_written_bytes_total").unwrap_or_default() as u64,
        resident_bytes: value("process_resident_memory_bytes").unwrap_or_default() as u64,
    })
}

/// What one process spent between two readings.
#[derive(Clone, Debug, PartialEq)]
pub struct Spent {
    /// The nodes in it: one, but for `dancu dev`, which runs a cluster in one process.
    pub nodes: Vec<String>,
    /// What the first of them does.
    pub state: String,
    /// Processor time, in seconds.
    pub cpu_seconds: f64,
    /// Bytes written to storage.
    pub written_bytes: u64,
    /// Memory in use afterwards, in bytes.
    pub resident_bytes: u64,
}

/// What each process spent between two readings, in the order of its first node; those that could not be read twice are
/// left out.
pub fn spent(nodes: &[Node], before: &[Option<Counters>], after: &[Option<Counters>]) -> Vec<Spent> {
    let mut places = BTreeMap::new();
    let mut all: Vec<Spent> = Vec::new();
    for (node, (before, after)) in nodes.iter().zip(before.iter().zip(after)) {
        let (Some(before), Some(after)) = (before, after) else { continue };
        let host = node.http_address.rsplit_once(':').map_or("", |(host, _)| host);
        // Nodes started by hand on one machine may have loopback addresses of their own.
        let machine = if host.starts_with("127.") { "localhost" } else { host };
        if let Some(&place) = places.get(&(machine, after.process)) {
            let shared: &mut Spent = &mut all[place];
            shared.nodes.push(node.name.clone());
            continue;
        }
        places.insert((machine, after.process), all.len());
        all.push(Spent {
            nodes: vec![node.name.clone()],
            state: node.state.clone(),
            cpu_seconds: (after.cpu_seconds - before.cpu_seconds).max(0.0),
            written_bytes: after.written_bytes.saturating_sub(before.written_bytes),
            resident_bytes: after.resident_bytes,
        });
    }
    all
}

/// Processor time that this very process has used so far, in seconds: what the load itself costs.
pub fn own_cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn node(name: &str, state: &str, http_address: &str) -> Node {
        let [name, state, http_address] = [name, state, http_address].map(str::to_owned);
        Node { name, state, address: String::new(), http_address }
    }

    #[test]
    fn the_counters_of_a_node_are_understood() {
        let found = parse(&Metrics::new().encode()).unwrap();
        assert_eq!(found.process, u64::from(std::process::id()));
        assert!(found.cpu_seconds > 0.0 && found.resident_bytes > 1 << 20, "{found:?}");
        assert_eq!(parse("HTTP/1.1 404 Not Found\r\n\r\n"), None);
    }

    #[test]
    fn a_process_is_counted_once_however_many_nodes_it_runs() {
        let nodes = [
            node("a", "leader", "127.0.0.1:1"),
            node("b", "follower", "127.0.0.2:1"),
            node("c", "follower", "10.0.0.1:1"),
            node("d", "learner", "10.0.0.2:1"),
        ];
        let at = |process, cpu_seconds, written_bytes| {
            Some(Counters { process, cpu_seconds, written_bytes, resident_bytes: 5 })
        };
        let before = [at(1, 1.0, 10), at(1, 1.0, 10), at(1, 2.0, 20), None];
        let after = [at(1, 4.0, 50), at(1, 4.0, 50), at(1, 2.5, 21), at(9, 1.0, 1)];
        let spent = spent(&nodes, &before, &after);
        let found: Vec<_> =
            spent.iter().map(|s| (s.nodes.join("+"), s.cpu_seconds, s.written_bytes)).collect();
        assert_eq!(found, [("a+b".to_owned(), 3.0, 40), ("c".to_owned(), 0.5, 1)]);
    }
}
