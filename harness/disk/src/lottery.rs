//! What a loss of power keeps: drawn from a seed.

use crate::{PAGE_BYTES, SECTOR_BYTES};
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// How many sectors a page has.
const SECTORS: usize = PAGE_BYTES / SECTOR_BYTES;

/// How likely it is that something is kept, in percent: nothing was written back yet, or nearly everything, or something between.
const KEPT_PERCENT: [u32; 5] = [0, 0, 30, 70, 100];
/// How many of the pages that are kept are torn, in percent.
const TORN_PERCENT: u32 = 25;

/// Decides, one after the other, what is kept.
#[derive(Clone, Debug)]
pub struct Lottery {
    random: ChaCha8Rng,
    percent: u32,
}

/// Which sectors of a page are kept.
pub(crate) type Kept = [bool; SECTORS];

impl Lottery {
    /// One that draws by `seed`.
    pub fn new(seed: u64) -> Lottery {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let percent = *KEPT_PERCENT.choose(&mut random).expect("there are some");
        Lottery { random, percent }
    }

    /// One that keeps nothing.
    pub fn of_nothing() -> Lottery {
        Lottery {
            percent: 0,
            ..Lottery::new(0)
        }
    }

    fn is_kept(&mut self) -> bool {
        self.random.random_range(0..100) < self.percent
    }

    /// Whether something that has no parts is kept.
    pub(crate) fn whole(&mut self) -> bool {
        self.is_kept()
    }

    /// How many of so many changes, which come in order, are kept.
    pub(crate) fn first_of(&mut self, changes: usize) -> usize {
        (0..changes).take_while(|_| self.is_kept()).count()
    }

    /// What is kept of a page.
    pub(crate) fn page(&mut self) -> Kept {
        if !self.is_kept() {
            return [false; SECTORS];
        }
        if self.random.random_range(0..100) >= TORN_PERCENT {
            return [true; SECTORS];
        }
        std::array::from_fn(|_| self.random.random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_and_everything_can_happen() {
        let drawn = |seed| {
            let mut lottery = Lottery::new(seed);
            (lottery.first_of(3), lottery.page(), lottery.whole())
        };
        let all: Vec<_> = (0..200).map(drawn).collect();
        assert_eq!(all, (0..200).map(drawn).collect::<Vec<_>>());
        for changes in 0..=3 {
            assert!(all.iter().any(|(first, _, _)| *first == changes), "{changes}");
        }
        let pages = |of: fn(&Kept) -> bool| all.iter().filter(|(_, kept, _)| of(kept)).count();
        let torn = |kept: &Kept| kept.contains(&true) && kept.contains(&false);
        assert!(pages(torn) > 0 && pages(|kept| *kept == [true; SECTORS]) > 0);
        assert!(pages(|kept| *kept == [false; SECTORS]) > 0);
    }
}
