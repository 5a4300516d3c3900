//! What can be wrong with the files of a certificate. The text says which file, why, and what to do.

use std::path::PathBuf;

use super::Holder;

/// Why the files of a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}. `dancu certs issue` makes such a folder")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} cannot be used: {why}. `dancu certs issue` makes such a folder")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The certificate is somebody else's.
    #[error(
        "{path} is the certificate of {found}, this is {wanted}: give it its own, made by `dancu certs issue`"
    )]
    OtherHolder {
        /// The file.
        path: PathBuf,
        /// Whom it names.
        found: Holder,
        /// Whom it should name.
        wanted: Holder,
    },
    /// The certificate has ended.
    #[error("{path}, of {holder}, ended on {ended}: make a new one with `dancu certs renew`")]
    Expired {
        /// The file.
        path: PathBuf,
        /// When.
        ended: String,
        /// Whom it names.
        holder: Holder,
    },
}
