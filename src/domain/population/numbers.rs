//! Integers that choose: a small generator, a permutation of the indexes, and a spread of offsets over a range.

use super::PEOPLE;

/// Mixes 64 bits: the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014).
pub(super) fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The generator SplitMix64. It chooses examples; it keeps no secrets.
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        let number = mix(self.0);
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        number
    }

    /// A number below `bound`, which is at least 1. The high half of the product: no division, and a bias too small
    /// to matter here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(bound);
        u64::try_from(product >> 64).expect("the high half of a product of two u64 fits in one")
    }

    /// A number from 1 to `last`.
    pub(super) fn one_to(&mut self, last: u32) -> u32 {
        1 + u32::try_from(self.below(last.into())).expect("below a u32")
    }

    /// A position in a list of `length` items.
    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a usize")
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }
}

/// Permutes 0..PEOPLE by the seed. Each step can be undone (a multiplication by an odd number modulo a power of two,
/// an exclusive or with the higher bits), so no two indexes meet.
pub(super) fn permute(seed: u64, index: u64) -> u64 {
    const MASK: u64 = PEOPLE - 1;
    let mut x = index & MASK;
    for round in 0..3 {
        let key = mix(seed.wrapping_add(round));
        x = (x ^ (key >> 32)) & MASK;
        x = x.wrapping_mul(key | 1) & MASK;
        x ^= x >> 14;
    }
    x
}

/// Spreads the numbers below `size` over themselves, from a shift on. None of the sizes in use shares a factor with
/// the multiplier, which is a prime: the 500,000th.
pub(super) fn spread(offset: u64, shift: u64, size: u64) -> u64 {
    (offset % size * 7_368_787 + shift % size) % size
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        let mut random = SplitMix64::new(1_234_567);
        let numbers = [random.next(), random.next(), random.next()];
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn a_permutation_never_meets_itself() {
        let mut seen = vec![0u64; (PEOPLE / 64) as usize];
        for index in 0..4_000_000 {
            let slot = permute(42, index);
            let (word, bit) = ((slot / 64) as usize, 1 << (slot % 64));
            assert_eq!(seen[word] & bit, 0, "index {index}");
            seen[word] |= bit;
        }
    }

    #[test]
    fn a_spread_meets_nobody() {
        for size in [1_000_000, 3_333_333, 50_000] {
            let spread: HashSet<_> = (0..size).map(|offset| spread(offset, 7, size)).collect();
            assert_eq!(spread.len() as u64, size);
            assert!(spread.iter().all(|&n| n < size));
        }
    }

    #[test]
    fn numbers_keep_their_bounds() {
        let mut random = SplitMix64::new(1);
        assert!((0..10_000).all(|_| random.below(3) < 3));
        assert!((0..10_000).all(|_| (1..=12).contains(&random.one_to(12))));
    }
}
