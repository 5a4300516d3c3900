//! `dancu dev` as a user runs it.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::PATIENCE;
use super::command::{dancu, export};

/// A running `dancu dev`, ended with the test.
pub struct Dev {
    child: Child,
    output: Option<BufReader<ChildStdout>>,
    ready: Value,
    /// When it was started.
    pub started: Instant,
}

impl Dev {
    /// Starts it on free ports and waits until it says that it is ready.
    pub fn start(data: &Path) -> Self {
        Self::start_at(data, base_port())
    }

    /// The same on these ports.
    pub fn start_at(data: &Path, port: u16) -> Self {
        let port = port.to_string();
        let mut command = dancu(["--json", "dev", "--base-port", &port, "--data"]);
        let started = Instant::now();
        let child = command.arg(data).stdout(Stdio::piped()).spawn().unwrap();
        let mut dev = Self { child, output: None, ready: Value::Null, started };
        let mut output = BufReader::new(dev.child.stdout.take().unwrap());
        let mut text = String::new();
        while dev.ready.is_null() {
            assert_ne!(output.read_line(&mut text).unwrap(), 0, "dancu dev ended before it was ready");
            dev.ready = serde_json::from_str(&text).unwrap_or_default();
        }
        dev.output = Some(output);
        let folders =
            ["tls", "operator_tls", "auditor_tls"].map(|key| dev.ready[key].as_str().unwrap().into());
        (0..4).for_each(|node| export(&dev.address(node), folders.clone()));
        dev
    }

    /// Client address of a node.
    pub fn address(&self, node: usize) -> String {
        self.ready["nodes"][node]["client"].as_str().unwrap().to_owned()
    }

    /// Ctrl-C: it must end by itself, with success.
    pub fn interrupt(mut self) {
        signal(&self.child, Signal::INT);
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "dancu dev did not end when interrupted");
            std::thread::sleep(Duration::from_millis(10));
        };
        println!("dancu dev ended {:.1?} after Ctrl-C", begun.elapsed());
        assert!(status.success(), "it ended with {status}");
        let mut rest = String::new();
        self.output.take().unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "with --json nothing follows the first value");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), signal).unwrap();
}

/// A base port whose followers are free too. Another process may take one before it is used; then the test says so.
pub fn base_port() -> u16 {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let system = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    // Ports that the system hands out lie high; the step below keeps the three ranges out of each other's way.
    let candidates = std::iter::repeat_with(|| 10_000 + system() % 20_000);
    let all_free = |base: &u16| (0..4).flat_map(|n| [n, n + 100, n + 200]).all(|step| free(base + step));
    candidates.take(1000).find(all_free).expect("some ports are free")
}
