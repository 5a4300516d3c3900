//! What counts as a leak: growth that goes on.
//!
//! ```text
//! a quarter       three parts of the rest
//! [ warming up ][ first ][       ][ last ]     grown by: median of the last part - median of the first
//! ```
//!
//! Medians, so that neither a compaction nor one bad sample decides; parts, so that waves shorter than a part cancel out.

/// Samples below which nothing is said.
const LEAST: usize = 40;

/// How much a series has grown.
#[derive(Clone, Copy, Debug)]
pub struct Grown {
    /// From the first part to the last, in the series' unit.
    pub by: f64,
    /// The same for each hour.
    pub per_hour: f64,
}

impl Grown {
    /// Whether it is a leak: more in an hour than is allowed, and more than noise.
    pub fn is_leak(&self, allowed_per_hour: f64, noise: f64) -> bool {
        self.per_hour > allowed_per_hour && self.by > noise
    }
}

/// How much a series of (seconds, value) has grown after its first quarter; `None` when there are too few samples.
pub fn grown(series: &[(f64, f64)]) -> Option<Grown> {
    let rest = &series[series.len() / 4..];
    let part = rest.len() / 3;
    if series.len() < LEAST {
        return None;
    }
    let (first, last) = (&rest[..part], &rest[rest.len() - part..]);
    let by = median(last.iter().map(|one| one.1)) - median(first.iter().map(|one| one.1));
    let hours = (median(last.iter().map(|one| one.0)) - median(first.iter().map(|one| one.0))) / 3600.0;
    Some(Grown { by, per_hour: by / hours })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
