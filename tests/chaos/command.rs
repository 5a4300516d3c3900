//! Commands of the system: every one must succeed.

use std::io;
use std::process::Command;

/// Runs a command, given as words between spaces.
///
/// # Errors
/// When it cannot be started or fails; with what it said.
pub fn run(line: &str) -> io::Result<()> {
    let mut words = line.split_whitespace();
    let program = words.next().unwrap_or_default();
    let output = Command::new(program).args(words).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("`{line}` ended with {}: {}", output.status, said.trim())))
}
