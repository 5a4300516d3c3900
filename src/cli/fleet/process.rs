//! One node process: started, killed, paused, asked to stop, started again on the same data and ports.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::config::NodeConfig;

/// How often a condition of a process is looked at while it is waited for.
const POLL: Duration = Duration::from_millis(10);

/// How long one look at its health may take.
const ANSWER: Duration = Duration::from_millis(500);

/// A node and the process that runs it, if one does.
pub struct Process {
    binary: PathBuf,
    config: NodeConfig,
    config_file: PathBuf,
    log_file: PathBuf,
    /// The command that runs the node's command where it belongs; empty for here.
    enter: Vec<String>,
    child: Option<Child>,
}

impl Process {
    /// Writes the node's configuration into `folder`. Starts nothing.
    pub(super) fn new(
        binary: &Path,
        folder: &Path,
        config: NodeConfig,
        enter: Vec<String>,
    ) -> io::Result<Self> {
        let config_file = folder.join(format!("{}.toml", config.name));
        let log_file = folder.join(format!("{}.log", config.name));
        let text = toml::to_string(&config).map_err(io::Error::other)?;
        std::fs::write(&config_file, text)?;
        Ok(Self { binary: binary.to_path_buf(), config, config_file, log_file, enter, child: None })
    }

    /// Its configuration.
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Where clients reach it, as `host:port`.
    pub fn client_address(&self) -> String {
        self.config.client_listen.to_string()
    }

    /// Where other nodes reach it, as `host:port`.
    pub fn peer_address(&self) -> String {
        self.config.peer_listen.to_string()
    }

    /// Where its configuration is.
    pub fn config_file(&self) -> &Path {
        &self.config_file
    }

    /// Where the output of all its runs is.
    pub fn log_file(&self) -> &Path {
        &self.log_file
    }

    /// Starts the process on the data that is there. Does not wait until it serves.
    ///
    /// # Errors
    /// When the log cannot be opened or the program cannot be started.
    pub fn start(&mut self) -> io::Result<()> {
        assert!(self.child.is_none(), "{} runs already", self.name());
        let log = OpenOptions::new().create(true).append(true).open(&self.log_file)?;
        let binary = self.binary.as_os_str();
        let mut words = self.enter.iter().map(OsStr::new).chain([binary]);
        let child = Command::new(words.next().unwrap_or(binary))
            .args(words)
            .arg("node")
            .arg("--config")
            .arg(&self.config_file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until the process serves: its ports are taken and its stores are open.
    ///
    /// # Errors
    /// When it ends before, or `limit` passes; with the end of its log.
    pub fn wait_serving(&mut self, limit: Duration) -> io::Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            if self.is_healthy() {
                return Ok(());
            }
            if let Some(status) = self.ended()? {
                return Err(self.trouble(&format!("ended with {status} before it served")));
            }
            if Instant::now() > deadline {
                return Err(self.trouble("does not serve"));
            }
            thread::sleep(POLL);
        }
    }

    /// Whether it answers over HTTP, which it does last. Its ports accept connections a little earlier.
    fn is_healthy(&self) -> bool {
        let ask = |address: SocketAddr| {
            let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
            stream.set_read_timeout(Some(ANSWER))?;
            write!(stream, "GET /healthz HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok::<_, io::Error>(answer.starts_with("HTTP/1.1 200"))
        };
        self.config.http_listen.is_some_and(|address| ask(address).unwrap_or(false))
    }

    /// Ends the process as a power cut of its machine's CPU would: SIGKILL, nothing finished.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Asks the process to stop (SIGTERM) and waits for it.
    ///
    /// # Errors
    /// When it has not ended after `limit`; it is killed then.
    pub fn stop(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                self.child = None;
                return Ok(status);
            }
            if Instant::now() > deadline {
                self.kill()?;
                return Err(self.trouble("did not stop when asked, and was killed"));
            }
            thread::sleep(POLL);
        }
    }

    /// Stops the process in its tracks (SIGSTOP): to the others it looks cut off.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a paused process go on (SIGCONT).
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// The process id, while a process runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether a process was started and neither killed nor stopped since.
    pub fn started(&self) -> bool {
        self.child.is_some()
    }

    /// How the process ended, if it ended by itself.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.as_mut().map_or(Ok(None), Child::try_wait)
    }

    /// The last `lines` lines that the process wrote.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = std::fs::read(&self.log_file).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Empties the data folder, as if the node's disk had been replaced. The process must not run.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn wipe(&self) -> io::Result<()> {
        assert!(self.child.is_none(), "{} still runs", self.name());
        std::fs::remove_dir_all(&self.config.data_dir)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let id = self.pid().ok_or_else(|| self.trouble("does not run"))?;
        let id = i32::try_from(id).map_err(io::Error::other)?;
        let pid = Pid::from_raw(id).ok_or_else(|| self.trouble("has no process id"))?;
        kill_process(pid, signal).map_err(Into::into)
    }

    fn trouble(&self, what: &str) -> io::Error {
        io::Error::other(format!("node {} {what}; its log ends:\n{}", self.name(), self.log_tail(20)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is left to tell if it fails: the process is gone then.
        let _ = self.kill();
    }
}
