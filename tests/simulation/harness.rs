//! What the workload needs of the integration tests' harness.

#[path = "../it/harness/api.rs"]
pub mod api;
#[path = "../it/harness/people.rs"]
pub mod people;
