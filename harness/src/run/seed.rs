//! Seeds.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A seed nobody has chosen. It has 32 bits, so that people can pass it on.
pub fn draw_seed() -> u64 {
    // The standard library keys each map with entropy of the operating system; that is all that is needed here.
    RandomState::new().build_hasher().finish() >> 32
}

/// The seed of test `number` (from 0) of a series. The first is that of the series, so that a test can be repeated alone by its own seed.
pub(super) fn of_test(series: u64, number: u32) -> u64 {
    if number == 0 {
        return series;
    }
    // SplitMix64's finalizer: neighbours get unrelated seeds.
    let mut mixed = series.wrapping_add(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn tests_of_a_series_have_seeds_of_their_own_which_the_series_decides() {
        let seeds: BTreeSet<u64> = (0..1000).map(|number| of_test(7, number)).collect();
        assert_eq!(seeds.len(), 1000);
        assert_eq!(of_test(7, 0), 7);
        assert_eq!(of_test(7, 5), of_test(7, 5));
        assert_ne!(of_test(7, 5), of_test(8, 5));
    }
}
