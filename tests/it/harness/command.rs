//! The binary as a user runs it, who has exported the certificates of the cluster asked.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{LazyLock, Mutex};

use dancu::cli::fleet::Issuer;
use serde_json::Value;

use super::certified;

/// The folders of an agency's, an operator's and an auditor's certificate.
pub type Folders = [PathBuf; 3];

/// The variables that name them.
const VARIABLES: [&str; 3] = ["DANCU_TLS", "DANCU_OPERATOR_TLS", "DANCU_AUDITOR_TLS"];

/// What to show at these endpoints; elsewhere what the clusters of the harness know.
static EXPORTED: LazyLock<Mutex<HashMap<OsString, Folders>>> = LazyLock::new(Mutex::default);

/// Commands that ask this endpoint show these certificates.
pub fn export(endpoint: &str, folders: Folders) {
    EXPORTED.lock().unwrap().insert(endpoint.into(), folders);
}

/// A command of the binary under test, away from the environment's settings.
pub fn dancu<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dancu"));
    command.args(arguments).stdin(Stdio::null()).env_remove("DANCU_ENDPOINTS").env_remove("DANCU_AGENCY");
    let exported = EXPORTED.lock().unwrap();
    let of_dev = command.get_args().find_map(|argument| exported.get(argument)).cloned();
    let of_cluster = || {
        let Issuer { agency_folder, operator_folder, auditor_folder, .. } = &*certified()?.issuer;
        Some([agency_folder.clone(), operator_folder.clone(), auditor_folder.clone()])
    };
    let mut folders = of_dev.or_else(of_cluster).into_iter().flatten();
    for variable in VARIABLES {
        match folders.next() {
            Some(folder) => command.env(variable, folder),
            None => command.env_remove(variable),
        };
    }
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
