//! The Merkle tree of RFC 9162, section 2: what one hash says about a whole log, and short proofs of it. Pure.
//!
//! ```text
//! leaf   = SHA-256(0x00 | record)                      root of no leaves = SHA-256()
//! node   = SHA-256(0x01 | left | right)                left holds the largest power of two below the number of leaves
//!
//!            root(7)
//!           /       \
//!        (0..4)    (4..7)        A *subtree* (level, index) holds the 2^level leaves from index * 2^level on. Once whole
//!        /   \     /    \        it never changes, so it is kept; everything else follows from those that are whole.
//!      0-1  2-3  4-5     6
//! ```
//!
//! | proof | says |
//! |---|---|
//! | inclusion | the leaf at this position is in the tree with this root |
//! | consistency | the tree with the later root begins with all leaves of the earlier one, in the same order |

use sha2::{Digest, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// The hash of a record.
pub fn leaf(record: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(record).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The subtrees of a tree that are whole and part of no larger one, the largest first: all it takes to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree of `size` leaves; `None` when it has another number of subtrees.
    pub fn new(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// Leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The subtrees.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Adds a leaf. `whole` is told of each subtree that it completes, from the leaf upwards: in the order in which
    /// [`stored_at`] numbers them.
    pub fn push(&mut self, leaf: Hash, mut whole: impl FnMut(&Hash)) {
        let mut hash = leaf;
        whole(&hash);
        let mut leaves = self.size;
        while leaves & 1 == 1 {
            let left = self.peaks.pop().expect("as many peaks as the size has bits");
            hash = node(&left, &hash);
            whole(&hash);
            leaves >>= 1;
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The hash of the whole tree.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Sha256::digest([]).into() };
        peaks.fold(*last, |right, left| node(left, &right))
    }
}

/// How many subtrees are whole in a tree of `size` leaves.
pub fn stored(size: u64) -> u64 {
    2 * size - u64::from(size.count_ones())
}

/// The number of a subtree in the order in which they become whole, from 0.
pub fn stored_at(level: u32, index: u64) -> u64 {
    let last = ((index + 1) << level) - 1;
    stored(last) + u64::from(level)
}

/// The frontier of a tree of `size` leaves whose subtrees are looked up.
///
/// # Errors
/// What the look-up fails with, here and below.
pub fn frontier<E>(size: u64, subtree: impl Fn(u32, u64) -> Result<Hash, E>) -> Result<Frontier, E> {
    let levels = (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1);
    let peaks = levels.map(|level| subtree(level, (size >> level) - 1)).collect::<Result<_, _>>()?;
    Ok(Frontier { size, peaks })
}

/// The hash of the leaves from `begin` on, `end` not included: a part of the tree as proofs cut it.
fn part<E>(begin: u64, end: u64, subtree: &impl Fn(u32, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    let count = end - begin;
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return subtree(level, begin >> level);
    }
    let middle = begin + split(count);
    Ok(node(&part(begin, middle, subtree)?, &part(middle, end, subtree)?))
}

/// The largest power of two below `count`, which is 2 at least.
fn split(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

/// The proof that the leaf at `position` is in the tree of `size` leaves. `position` is below `size`.
///
/// # Errors
/// See [`frontier`].
pub fn inclusion<E>(
    position: u64,
    size: u64,
    subtree: impl Fn(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let (mut begin, mut end) = (0, size);
    let mut path = Vec::new();
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if position < middle {
            path.push(part(middle, end, &subtree)?);
            end = middle;
        } else {
            path.push(part(begin, middle, &subtree)?);
            begin = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `later` leaves begins with that of `earlier`, which is no larger.
///
/// # Errors
/// See [`frontier`].
pub fn consistency<E>(
    earlier: u64,
    later: u64,
    subtree: impl Fn(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let (mut begin, mut end) = (0, later);
    let mut path = Vec::new();
    if earlier == 0 || earlier == later {
        return Ok(path);
    }
    // Until what is left is a part of the earlier tree.
    while end != earlier {
        let middle = begin + split(end - begin);
        if earlier <= middle {
            path.push(part(middle, end, &subtree)?);
            end = middle;
        } else {
            path.push(part(begin, middle, &subtree)?);
            begin = middle;
        }
    }
    // The verifier knows the earlier root: that needs no saying when it is this part.
    if begin > 0 {
        path.push(part(begin, end, &subtree)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether `path` proves that `leaf` is at `position` in the tree of `size` leaves with this root (RFC 9162, 2.1.3.2).
pub fn includes(leaf: &Hash, position: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if position >= size {
        return false;
    }
    let (mut at, mut last) = (position, size - 1);
    let mut hash = *leaf;
    for step in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(step, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `path` proves that the tree of `later` leaves with the root `after` begins with the tree of `earlier` leaves
/// whose root is `before` (RFC 9162, 2.1.4.2).
pub fn is_consistent(earlier: u64, before: &Hash, later: u64, after: &Hash, path: &[Hash]) -> bool {
    if earlier > later {
        return false;
    }
    if earlier == later {
        return path.is_empty() && before == after;
    }
    if earlier == 0 {
        return path.is_empty() && *before == Frontier::default().root();
    }
    let mut steps = path.iter();
    let seed = if earlier.is_power_of_two() { Some(before) } else { steps.next() };
    let Some(seed) = seed else { return false };
    let (mut at, mut last) = (earlier - 1, later - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (*seed, *seed);
    for step in steps {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old = node(step, &old);
            new = node(step, &new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new = node(&new, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old == *before && new == *after
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// A tree kept as a list of its whole subtrees.
    #[derive(Default)]
    struct Kept {
        frontier: Frontier,
        hashes: Vec<Hash>,
    }

    impl Kept {
        fn of(leaves: u64) -> Self {
            let mut kept = Self::default();
            for number in 0..leaves {
                kept.push(leaf(&number.to_be_bytes()));
            }
            kept
        }

        fn push(&mut self, leaf: Hash) {
            let Self { frontier, hashes } = self;
            frontier.push(leaf, |hash| hashes.push(*hash));
        }

        fn get(&self, level: u32, index: u64) -> Result<Hash, Infallible> {
            Ok(self.hashes[usize::try_from(stored_at(level, index)).unwrap()])
        }

        fn inclusion(&self, position: u64, size: u64) -> Vec<Hash> {
            let Ok(path) = inclusion(position, size, |level, index| self.get(level, index));
            path
        }

        fn consistency(&self, earlier: u64, later: u64) -> Vec<Hash> {
            let Ok(path) = consistency(earlier, later, |level, index| self.get(level, index));
            path
        }

        fn root(&self, size: u64) -> Hash {
            let Ok(frontier) = frontier(size, |level, index| self.get(level, index));
            frontier.root()
        }
    }

    /// The root straight from the definition.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [only] => *only,
            _ => {
                let mut half = 1;
                while half * 2 < leaves.len() {
                    half *= 2;
                }
                node(&defined(&leaves[..half]), &defined(&leaves[half..]))
            }
        }
    }

    fn hex(hash: &Hash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The vectors that implementations of Certificate Transparency share.
    #[test]
    fn known_roots() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut kept = Kept::default();
        assert_eq!(hex(&kept.frontier.root()), roots[0]);
        for (record, root) in leaves.into_iter().zip(&roots[1..]) {
            kept.push(leaf(record));
            assert_eq!(hex(&kept.frontier.root()), *root, "{} leaves", kept.frontier.size());
        }
        // Of the same vectors: leaf 1 (from 1) in 8, and 6 to 8.
        let path: Vec<_> = kept.inclusion(0, 8).iter().map(hex).collect();
        assert_eq!(path[0], "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7");
        assert_eq!(path[1], "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e");
        assert_eq!(path[2], "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4");
        assert_eq!(kept.consistency(6, 8).len(), 3);
    }

    #[test]
    fn every_proof_of_small_trees_holds_and_no_other() {
        let kept = Kept::of(33);
        let leaves: Vec<_> = (0..33_u64).map(|number| leaf(&number.to_be_bytes())).collect();
        for size in 0..=33 {
            let root = kept.root(size);
            let count = usize::try_from(size).unwrap();
            assert_eq!(root, defined(&leaves[..count]));
            for (position, hash) in (0..size).zip(&leaves) {
                let path = kept.inclusion(position, size);
                assert!(includes(hash, position, size, &path, &root), "{position} in {size}");
                assert!(!includes(hash, (position + 1) % size.max(2), size, &path, &root));
                assert!(!includes(&leaf(b"another"), position, size, &path, &root));
            }
            for earlier in 0..=size {
                let (before, path) = (kept.root(earlier), kept.consistency(earlier, size));
                assert!(is_consistent(earlier, &before, size, &root, &path), "{earlier} to {size}");
                if earlier > 0 && earlier < size {
                    assert!(!is_consistent(earlier, &leaf(b"another"), size, &root, &path));
                    assert!(!is_consistent(earlier, &before, size, &leaf(b"another"), &path));
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn proofs_hold_and_break_with_any_bit(
            size in 1_u64..2_000, at in any::<u64>(), earlier in any::<u64>(), bit in any::<usize>(),
        ) {
            let kept = Kept::of(size);
            let (position, earlier) = (at % size, 1 + earlier % size);
            let (root, hash) = (kept.root(size), leaf(&position.to_be_bytes()));
            let mut path = kept.inclusion(position, size);
            prop_assert!(includes(&hash, position, size, &path, &root));
            if !path.is_empty() {
                let (step, bit) = (bit / 256 % path.len(), bit % 256);
                path[step][bit / 8] ^= 1 << (bit % 8);
                prop_assert!(!includes(&hash, position, size, &path, &root));
            }
            let mut path = kept.consistency(earlier, size);
            let before = kept.root(earlier);
            prop_assert!(is_consistent(earlier, &before, size, &root, &path));
            if !path.is_empty() {
                let (step, bit) = (bit / 256 % path.len(), bit % 256);
                path[step][bit / 8] ^= 1 << (bit % 8);
                prop_assert!(!is_consistent(earlier, &before, size, &root, &path));
            }
        }

        #[test]
        fn subtrees_are_numbered_in_the_order_in_which_they_become_whole(size in 0_u64..500) {
            let kept = Kept::of(size);
            prop_assert_eq!(kept.hashes.len() as u64, stored(size));
            for number in 0..size {
                prop_assert_eq!(kept.get(0, number), Ok(leaf(&number.to_be_bytes())));
            }
            prop_assert_eq!(kept.root(size), kept.frontier.root());
        }
    }
}
