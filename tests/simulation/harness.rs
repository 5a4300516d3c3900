//! What the workload needs of the integration tests' harness.

use crate::client::Certificates;

#[path = "../it/harness/api.rs"]
pub mod api;
#[path = "../it/harness/people.rs"]
pub mod people;

/// The agency that asks.
pub const AGENCY: &str = "tests";

/// What is shown to the nodes: nothing, they serve in the clear.
pub fn shown() -> Certificates {
    Certificates::default()
}
