//! Processes of this machine: started, charged for their processor time, ended.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::process::{Child, Command};

/// Ticks of a second in /proc: the same on every Linux.
const TICKS: f64 = 100.0;

/// Processes that end with this value.
#[derive(Default)]
pub struct Processes(Vec<Child>);

impl Processes {
    /// Starts one more.
    pub fn start(&mut self, command: &mut Command) -> Result<&mut Child, String> {
        let child = command.spawn().map_err(|e| format!("cannot start {command:?}: {e}"))?;
        self.0.push(child);
        Ok(self.0.last_mut().expect("it was pushed"))
    }

    /// Processor time that all of them have used so far, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        self.0.iter().map(|child| cpu_seconds(child.id())).sum()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Gone already is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Processor time that a process and those of its children that have ended have used so far, in seconds; 0 when it has
/// ended.
pub fn cpu_seconds(process: u32) -> f64 {
    fields(process).map_or(0.0, |fields| {
        // utime, stime, cutime, cstime
        let ticks = fields[11..15].iter().filter_map(|field| field.parse::<f64>().ok());
        ticks.sum::<f64>() / TICKS
    })
}

/// The processes whose parent is `process`.
pub fn children(process: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parent = process.to_string();
    numbers.filter(|&number| fields(number).is_some_and(|fields| fields[1] == parent)).collect()
}

/// The fields of /proc/N/stat behind the name, which may hold spaces: state, parent ...
fn fields(process: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, behind) = text.rsplit_once(')')?;
    let fields: Vec<String> = behind.split_whitespace().map(str::to_owned).collect();
    (fields.len() > 15).then_some(fields)
}

/// Ports that are free on 127.0.0.1: chosen by the system, all at once, so that they differ.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let listeners: Vec<TcpListener> =
        (0..N).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<_, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

/// Runs a command to its end and returns what it printed.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("cannot start {command:?}: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(format!("{command:?} ended with {}: {out}{err}", output.status))
}

/// What the figures were measured on, in a line.
pub fn description() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = memory.split_whitespace().nth(1).and_then(|word| word.parse::<f64>().ok());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cpus} cores ({}), {:.0} GB of memory, Linux {}",
        model.unwrap_or("unknown"),
        kilobytes.unwrap_or_default() / 1e6,
        kernel.trim()
    )
}
