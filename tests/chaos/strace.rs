//! Tampers with the fsync of a running process: `strace` injects into the system call.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::command::run;

/// An injection under way.
pub struct Injector {
    strace: Child,
    trace: PathBuf,
}

impl Injector {
    /// Each fsync fails.
    pub const FAIL: &str = "error=EIO";
    /// Each fsync takes so many microseconds more.
    pub const DELAY: &str = "delay_exit=150000";

    /// Begins with a process; what its calls were answered goes to the file `trace`.
    ///
    /// # Errors
    /// When strace cannot be started.
    pub fn start(pid: u32, how: &str, trace: &Path) -> io::Result<Self> {
        // What an earlier one left must not count for this one.
        let _ = fs::remove_file(trace);
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o"]).arg(trace);
        strace.args(["-e", "trace=fsync,fdatasync,sync_file_range"]);
        strace.args(["-e", &format!("inject=fsync,fdatasync,sync_file_range:{how}"), "-p", &pid.to_string()]);
        let strace = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { strace, trace: trace.to_owned() })
    }

    /// Whether a call was tampered with so far.
    pub fn has_injected(&self) -> bool {
        fs::read_to_string(&self.trace)
            .is_ok_and(|text| text.contains("INJECTED") || text.contains("DELAYED"))
    }

    /// Lets go of the process; says whether a call was tampered with.
    ///
    /// # Errors
    /// When strace does not end.
    pub fn end(mut self) -> io::Result<bool> {
        // Asked, so that it detaches; it may have ended with its process.
        let _ = run(&format!("kill -TERM {}", self.strace.id()));
        self.strace.wait()?;
        Ok(self.has_injected())
    }
}

impl Drop for Injector {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}
