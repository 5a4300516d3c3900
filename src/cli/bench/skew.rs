//! Which of the people is asked about: each as often as the others, or some much more often.

use rand::{Rng, RngExt as _};

/// How often each is asked about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Skew {
    /// All alike.
    Uniform,
    /// The n-th most often asked about, 1 / n^s times as often as the first; s is above 0 and below 1.
    Zipf(f64),
}

/// The exponent that load generators use when none is given.
const USUAL: f64 = 0.99;

impl Skew {
    /// Reads `uniform`, `zipf` or `zipf=S`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let exponent = match text {
            "uniform" => return Ok(Self::Uniform),
            "zipf" => USUAL,
            other => other.strip_prefix("zipf=").and_then(|s| s.parse().ok()).unwrap_or(f64::NAN),
        };
        if exponent > 0.0 && exponent < 1.0 {
            Ok(Self::Zipf(exponent))
        } else {
            Err("expected uniform, zipf, or zipf=S with S above 0 and below 1".to_owned())
        }
    }

    /// As it is written on the command line.
    pub fn text(self) -> String {
        match self {
            Self::Uniform => "uniform".to_owned(),
            Self::Zipf(exponent) => format!("zipf={exponent}"),
        }
    }
}

/// Chooses among so many.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    count: u64,
    zipf: Option<Zipf>,
}

/// The method of Gray et al., "Quickly generating billion-record synthetic databases" (1994), whose names these are.
#[derive(Clone, Copy, Debug)]
struct Zipf {
    theta: f64,
    zeta: f64,
    alpha: f64,
    eta: f64,
}

/// A prime above all counts: multiplied by it, the most often asked about do not stand beside each other.
const SPREAD: u64 = 2_147_483_647;

impl Keys {
    /// Chooses among `count`, at least one and fewer than 2^31.
    pub fn new(skew: Skew, count: usize) -> Self {
        let count = count as u64;
        assert!((1..SPREAD).contains(&count), "{count} to choose among");
        let zipf = match skew {
            Skew::Uniform => None,
            Skew::Zipf(theta) => {
                let sum = |n: u64| (1..=n).map(|i| (i as f64).powf(-theta)).sum::<f64>();
                let (n, zeta) = (count as f64, sum(count));
                let eta = (1.0 - (2.0 / n).powf(1.0 - theta)) / (1.0 - sum(2) / zeta);
                Some(Zipf { theta, zeta, alpha: 1.0 / (1.0 - theta), eta })
            }
        };
        Self { count, zipf }
    }

    /// One of them, from 0.
    pub fn pick(&self, random: &mut impl Rng) -> usize {
        let place = match &self.zipf {
            None => random.random_range(0..self.count),
            Some(zipf) => zipf.rank(random.random(), self.count) * SPREAD % self.count,
        };
        usize::try_from(place).expect("it came from a usize")
    }
}

impl Zipf {
    /// From 0, the most frequent one. `uniform` is in 0..1.
    fn rank(&self, uniform: f64, count: u64) -> u64 {
        let share = uniform * self.zeta;
        if share < 1.0 {
            return 0;
        }
        if share < 1.0 + 0.5_f64.powf(self.theta) {
            return 1;
        }
        let rank = count as f64 * (self.eta * uniform - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(count - 1)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn counts(skew: Skew, count: usize) -> Vec<u32> {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let keys = Keys::new(skew, count);
        let mut counts = vec![0; count];
        (0..100_000).for_each(|_| counts[keys.pick(&mut random)] += 1);
        counts
    }

    #[test]
    fn uniform_means_all_alike() {
        let counts = counts(Skew::Uniform, 100);
        assert!(counts.iter().all(|&n| (800..1_200).contains(&n)), "{counts:?}");
    }

    #[test]
    fn zipf_prefers_few_and_leaves_out_none() {
        let mut counts = counts(Skew::Zipf(0.99), 100);
        counts.sort_unstable_by(|a, b| b.cmp(a));
        // 1 / (1 + 1/2 + .. + 1/100), with s a little below 1: 19 %; the tenth a tenth of it.
        assert!((18_000..21_000).contains(&counts[0]), "{counts:?}");
        assert!((1_500..2_500).contains(&counts[9]), "{counts:?}");
        assert!(counts[99] > 0, "{counts:?}");
    }

    #[test]
    fn few_can_be_chosen_among() {
        for count in 1..5 {
            assert_eq!(counts(Skew::Zipf(0.5), count).iter().sum::<u32>(), 100_000);
        }
    }

    #[test]
    fn skews_are_read_as_they_are_written() {
        for text in ["uniform", "zipf=0.99", "zipf=0.5"] {
            assert_eq!(Skew::parse(text).unwrap().text(), text);
        }
        assert_eq!(Skew::parse("zipf"), Ok(Skew::Zipf(0.99)));
        for bad in ["", "zipf=", "zipf=1", "zipf=-1", "zipf=NaN", "pareto"] {
            assert!(Skew::parse(bad).is_err(), "accepted {bad:?}");
        }
    }
}
