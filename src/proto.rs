//! The generated protobuf types and services, and the hand-written `Debug` of those that carry a citizen's data.
//!
//! The modules nest as the packages do (`dancu.store.v1` is `store::v1`), because generated code refers to its
//! neighbours by that path.

use std::time::Duration;

/// Public API: persons, writes, reads, verification.
pub mod registry {
    /// Version 1; its names are also those of the module above.
    pub mod v1 {
        #![allow(missing_docs, clippy::all, clippy::pedantic)]
        tonic::include_proto!("dancu.registry.v1");
    }
    pub use v1::*;
}

/// Public API for operators.
pub mod cluster {
    /// Version 1; its names are also those of the module above.
    pub mod v1 {
        #![allow(missing_docs, clippy::all, clippy::pedantic)]
        tonic::include_proto!("dancu.cluster.v1");
    }
    pub use v1::*;
}

/// Between nodes.
pub mod peer {
    /// Version 1; its names are also those of the module above.
    pub mod v1 {
        #![allow(missing_docs, clippy::all, clippy::pedantic)]
        tonic::include_proto!("dancu.peer.v1");
    }
    pub use v1::*;
}

/// On disk and in the log.
pub mod store {
    /// Version 1; its names are also those of the module above.
    pub mod v1 {
        #![allow(missing_docs, clippy::all, clippy::pedantic)]
        tonic::include_proto!("dancu.store.v1");
    }
    pub use v1::*;
}

/// All descriptors, for reflection and for the tests that walk the API.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/dancu.descriptors.bin"));

/// Prints the type's name and nothing of its content: citizens' data stays out of logs and errors.
macro_rules! redacted_debug {
    ($($type:ty),+ $(,)?) => {$(
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($type), "(redacted)"))
            }
        }
    )+};
}

redacted_debug!(
    registry::PersonName,
    registry::PartialDate,
    registry::Address,
    registry::PersonKey,
    registry::Claim,
    registry::KeyResolution,
    registry::RelatedPerson,
    registry::Extension,
    registry::EidAccountState,
    registry::Provenance,
    registry::Credential,
    registry::CredentialKey,
    registry::Move,
    registry::Correction,
    registry::CancelPersonalId,
    registry::ChangeEid,
    registry::LockEidRequest,
    registry::FindPersonsRequest,
    registry::FindPersonsResponse,
    registry::CheckUinStructureRequest,
    registry::CheckUinStructureResponse,
    registry::VerifyIdentifierLinkRequest,
    registry::ResolveIdentifierRequest,
    registry::ResolveIdentifierResponse,
    registry::VerifyCredentialResponse,
    registry::Receipt,
    registry::VerifyReceiptRequest,
    store::ReceiptKeyFile,
    registry::HouseholdMember,
    registry::ReadHouseholdResponse,
    store::DataKey,
    store::KeptKey,
);

impl std::fmt::Debug for registry::Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Written")
            .field("person_uid", &self.person_uid)
            .field("record_revision", &self.record_revision)
            .field("changed", &self.changed)
            .field("others", &self.others)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for registry::Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person")
            .field("uid", &self.uid)
            .field("record_revision", &self.record_revision)
            .finish()
    }
}

/// Reads the value of gRPC's `grpc-timeout` header: 1 to 8 digits and a unit. `None` for anything else.
pub fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_and_nothing_else() {
        assert_eq!(grpc_timeout("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(grpc_timeout("3M"), Some(Duration::from_secs(180)));
        assert_eq!(grpc_timeout("4S"), Some(Duration::from_secs(4)));
        assert_eq!(grpc_timeout("500m"), Some(Duration::from_millis(500)));
        assert_eq!(grpc_timeout("99999999u"), Some(Duration::from_micros(99_999_999)));
        assert_eq!(grpc_timeout("0n"), Some(Duration::ZERO));
        for bad in ["", "S", "5", "5s", "-5S", "+5S", "5.0S", "123456789S", " 5S", "5é", "é"] {
            assert_eq!(grpc_timeout(bad), None, "{bad:?}");
        }
    }
}
