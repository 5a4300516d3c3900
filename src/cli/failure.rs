//! Why a command did not succeed. Every subcommand ends in `Ok` or in one `Failure`, which `main` prints as one line
//! and turns into the exit code.

/// A command that did not succeed. The text says what happened, what it means for data, and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The cluster answered, and the answer is no: a mismatch, a conflict, no such person. Exit code 1.
    #[error("{0}")]
    Negative(String),
    /// The command line, the configuration or the input is not what it must be. Exit code 2.
    #[error("{0}")]
    Input(String),
    /// No node could be reached, or there is no majority. Exit code 3.
    #[error("{0}")]
    Unavailable(String),
    /// A fault of a node: its disk, its data folder, its port. Exit code 4.
    #[error("{0}")]
    Fault(String),
}

impl Failure {
    /// 1 to 4; see the variants.
    pub fn code(&self) -> u8 {
        match self {
            Self::Negative(_) => 1,
            Self::Input(_) => 2,
            Self::Unavailable(_) => 3,
            Self::Fault(_) => 4,
        }
    }

    /// The same for a question that is answered by yes or no: exit code 1 says no, and never that there is no answer.
    pub fn unanswered(self) -> Self {
        match self {
            Self::Negative(text) => Self::Input(text),
            other => other,
        }
    }
}

/// Turns a failed read or write of a file into an input failure that names the file.
pub fn file_failure(action: &str, path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::Input(format!("cannot {action} {}: {error}", path.display()))
}
