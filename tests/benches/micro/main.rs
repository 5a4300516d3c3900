//! Functions alone, measured by criterion: what a write, a verification, the log and a snapshot cost without a network.
//!
//! `cargo bench --locked --bench micro` runs all; a word behind `--` chooses: `cargo bench --locked --bench micro -- apply`.
//! Figures are kept in target/criterion and compared with those of the run before.

#![allow(clippy::unwrap_used)]

mod decide;
mod log;
mod matching;
mod register;
mod snapshot;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

/// Short runs: what differs by less than some percent is not to be told from the machine's moods anyway.
fn config() -> Criterion {
    Criterion::default()
        .without_plots()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = micro;
    config = config();
    targets = decide::decide, decide::apply, matching::strength, matching::verify, log::append, log::read, snapshot::build
}
criterion_main!(micro);
