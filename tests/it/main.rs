//! The tests that look at the project from outside: one binary, so that the library is linked once.

#![allow(clippy::unwrap_used)]

mod bench;
#[path = "../check/mod.rs"]
mod check;
mod cluster_audit;
mod cluster_bad_input;
mod cluster_damage;
mod cluster_events;
mod cluster_failover;
mod cluster_history;
mod cluster_judged;
mod cluster_licences;
mod cluster_linearizable;
mod cluster_load;
mod cluster_membership;
mod cluster_modes;
mod cluster_overload;
mod cluster_policy;
mod cluster_read_rounds;
mod cluster_reasons;
mod cluster_receipt;
mod cluster_restart;
mod cluster_roles;
mod cluster_sealed;
mod cluster_snapshot;
mod cluster_tls;
mod data_format;
mod harness;
mod import;
mod node_flood;
mod node_trouble;
mod register_tools;
mod tidy;
mod tools;
#[path = "../workload/mod.rs"]
#[allow(dead_code, unused_imports, reason = "scripts/chaos uses the rest")]
mod workload;
