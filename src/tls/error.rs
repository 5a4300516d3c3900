//! What can be wrong with the files of a certificate. The text says which file, why, and what to do.

use std::path::PathBuf;

/// Why the files of a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}. `dancu certs issue` makes the files of a node")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} cannot be used: {why}. `dancu certs issue` makes the files of a node")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The certificate is another node's.
    #[error(
        "{path} is the certificate of {holder}, this is the node {name}: give it its own, made by `dancu certs issue {name}`"
    )]
    OtherNode {
        /// The file.
        path: PathBuf,
        /// Whom it names.
        holder: String,
        /// The node's name.
        name: String,
    },
    /// The certificate has ended.
    #[error("{path} ended on {ended}: make a new one with `dancu certs issue {name}`")]
    Expired {
        /// The file.
        path: PathBuf,
        /// When.
        ended: String,
        /// The node's name.
        name: String,
    },
}
