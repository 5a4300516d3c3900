//! dancu: a replicated population registry.
//!
//! Central and provincial nodes keep citizen records in a Raft-replicated key-value store on RocksDB. Services read,
//! write and verify over gRPC; a verification is linearizable at every node.
//!
//! ```text
//! main -> cli -> everything below
//!         service   gRPC for services and operators: requests in, statuses out
//!         http      metrics, health
//!         client    the typed client: goes on at another node, retries safely
//!         raft      consensus: the only folder that names openraft
//!         receipt   signed answers to verifications, and checking them
//!         audit     the record of every access: logs, Merkle trees, proofs
//!         storage   disk: the only folder that names rocksdb
//!         domain    the rules of the register: pure, no clock, no random, no disk
//!         config, telemetry, metrics, proto, machine, pace, tls, defect: leaves that all may use
//! ```
//!
//! Each folder's `mod.rs` explains itself; `tests/it/tidy` holds the direction of imports.

pub mod audit;
pub mod cli;
pub mod client;
pub mod config;
mod defect;
pub mod domain;
mod failpoint;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod http;
mod machine;
pub mod metrics;
mod pace;
pub mod proto;
pub mod raft;
pub mod receipt;
pub mod service;
#[cfg(test)]
mod simulated;
#[cfg(test)]
#[path = "../tests/simulation/mod.rs"]
mod simulation;
pub mod storage;
pub mod telemetry;
pub mod tls;

/// The workload that the integration tests and the simulation share names the crate from outside.
#[cfg(test)]
extern crate self as dancu;

/// Of everything in the process, RocksDB included.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
