//! The binary as a user runs it.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A command of the binary under test, away from the environment's settings.
pub fn dancu<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dancu"));
    command.args(arguments).stdin(Stdio::null()).env_remove("DANCU_ENDPOINTS").env_remove("DANCU_AGENCY");
    command
}

/// How a command ended: exit code, standard output, standard error.
pub fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> (i32, String, String) {
    ended(dancu(arguments).output().unwrap())
}

/// The same of a command that has ended.
pub fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// What a command printed with `--json`; fails unless it ended with this exit code.
pub fn json(command: &mut Command, code: i32) -> Value {
    let (got, out, err) = ended(command.output().unwrap());
    assert_eq!(got, code, "{out}{err}");
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"))
}
