//! Why a configuration was not taken. Stands beside `config`, whose only error it is.

use std::path::{Path, PathBuf};

/// A configuration that cannot be used. The node does not start and touches nothing.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}; give an existing file with --config", .file.display())]
    Read {
        /// The file asked for.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no TOML, or a key is unknown, missing or of the wrong type.
    #[error("{}, line {line}: {problem}; correct it after a sample in cluster/", .file.display())]
    Parse {
        /// The file read.
        file: PathBuf,
        /// Counted from 1. For a missing key: the line of the table it should be in.
        line: usize,
        /// What is wrong, with the key.
        problem: String,
    },
    /// All keys are there, but their values do not fit each other.
    #[error("{}: {problem}", .file.display())]
    Invalid {
        /// The file read.
        file: PathBuf,
        /// What is wrong, with the key and what to do.
        problem: Problem,
    },
}

/// A value that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {what}")]
pub struct Problem {
    /// The key with its table: `raft.heartbeat_interval_ms`.
    pub key: String,
    /// What is wrong and what to do.
    pub what: String,
}

impl Problem {
    pub(super) fn new(key: &str, what: impl Into<String>) -> Self {
        Self { key: key.to_string(), what: what.into() }
    }
}

impl ConfigError {
    pub(super) fn parse(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = 1 + text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count();
        let here = text.lines().nth(line - 1).unwrap_or_default().trim();
        // toml names an unknown key but not one whose value is of the wrong type: the line shows it.
        let problem = match error.message().lines().next().unwrap_or_default() {
            message if here.is_empty() || message.contains("missing field") => message.to_string(),
            message => format!("{message}, in `{here}`"),
        };
        Self::Parse { file: file.to_path_buf(), line, problem }
    }
}
