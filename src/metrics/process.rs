//! The process as the system sees it, read at each scrape. Stands beside `metrics`, which registers it.
//!
//! Names follow Prometheus' convention for processes, behind the prefix of all metrics of dancu. What cannot be read
//! is left out of the answer: a scrape never fails.

use std::fmt::Error;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::telemetry;

/// Collects from `/proc/self`.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        if let Some(bytes) = resident_bytes() {
            let gauge = ConstGauge::new(bytes);
            let help = "Resident memory of the process";
            let name = "process_resident_memory_bytes";
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        if let Ok(folder) = fs::read_dir("/proc/self/fd") {
            let gauge = ConstGauge::new(folder.count() as u64);
            let help = "Open file descriptors of the process";
            gauge.encode(encoder.encode_descriptor(
                "process_open_fds",
                help,
                None,
                gauge.metric_type(),
            )?)?;
        }
        let gauge = ConstGauge::new(u64::from(std::process::id()));
        let help = "Number of the process: nodes that have the same one share the figures of the process";
        gauge.encode(encoder.encode_descriptor("process_id", help, None, gauge.metric_type())?)?;
        if let Some(bytes) = written_bytes() {
            let counter = ConstCounter::new(bytes);
            let help = "Bytes the process has had written to storage";
            let name = "process_written_bytes";
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let counter = ConstCounter::new(telemetry::dropped_lines());
        let help = "Lines of the log that were dropped because nobody read those before";
        counter.encode(encoder.encode_descriptor(
            "log_lines_dropped",
            help,
            None,
            counter.metric_type(),
        )?)?;
        let counter = ConstCounter::new(cpu_seconds());
        let help = "Processor time the process has used";
        counter.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, counter.metric_type())?)
    }
}

/// From "VmRSS:     1234 kB".
fn resident_bytes() -> Option<u64> {
    Some(number_behind("/proc/self/status", "VmRSS:")? * 1024)
}

/// From "write_bytes: 1234". What went to the page cache of a file counts, what stays in memory (tmpfs) does not.
fn written_bytes() -> Option<u64> {
    number_behind("/proc/self/io", "write_bytes:")
}

/// The number that follows a name at the start of a line.
fn number_behind(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time of all threads.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;

    #[test]
    fn metrics_of_the_process_are_present_and_not_zero() {
        let text = Metrics::new().encode();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("dancu_{name} ")));
            line.expect("the metric is there").parse().expect("it is a number")
        };
        for name in
            ["process_resident_memory_bytes", "process_open_fds", "process_id", "process_cpu_seconds_total"]
        {
            assert!(value(name) > 0.0, "{name} is {}", value(name));
        }
        // Nothing need have been written yet.
        assert!(value("process_written_bytes_total") >= 0.0);
    }
}
