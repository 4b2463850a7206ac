//! The configurations that a search has met, without those that another one makes needless.

use crate::bits::Bits;
use crate::lost::{Lost, UNUSED};

/// A configuration: a state that the object may be in, and which of the open operations have taken effect on the way there, and how
/// many of the lost ones.
///
/// It stands for several: those in `maybe` have taken effect or not, in any combination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Config<const W: usize> {
    pub(crate) state: u32,
    /// Which lost operations have, see [`Lost`].
    pub(crate) used: u32,
    /// Those that have.
    pub(crate) done: Bits<W>,
    /// Those that have or have not, as one likes; none that is in `done`.
    pub(crate) maybe: Bits<W>,
}

impl<const W: usize> Config<W> {
    /// In the first state, with nothing open.
    pub(crate) const INITIAL: Self = Config {
        state: 0,
        used: UNUSED,
        done: Bits::EMPTY,
        maybe: Bits::EMPTY,
    };

    /// Whether this one can do all that `other` can: the same state; what this one has done or used that one has too; and what that
    /// one may have done this one may have done.
    #[inline(always)]
    pub(crate) fn dominates(&self, other: &Self, lost: &Lost) -> bool {
        self.state == other.state
            && self.done.is_subset(&other.done)
            && other.done.or(&other.maybe).is_subset(&self.done.or(&self.maybe))
            && lost.spares(self.used, other.used)
    }
}

/// Configurations by state and operations done; open addressing, cleared by advancing an epoch.
#[derive(Clone, Debug)]
pub(crate) struct Antichain<const W: usize> {
    epoch: u32,
    /// `(epoch, first entry of a chain)`; the length is a power of two.
    heads: Vec<(u32, u32)>,
    entries: Vec<Entry<W>>,
    chains: usize,
    /// For a few states, by their last digits, the entries that came last: whoever is dominated is mostly by one of these.
    recent: [[u32; RECENT]; RECENT_STATES],
}

#[derive(Clone, Copy, Debug)]
struct Entry<const W: usize> {
    config: Config<W>,
    next: u32,
}

const END: u32 = u32::MAX;
const HEADS_MIN: usize = 64;
const RECENT: usize = 8;
const RECENT_STATES: usize = 16;

impl<const W: usize> Antichain<W> {
    pub(crate) fn new() -> Self {
        Antichain {
            epoch: 1,
            heads: vec![(0, END); HEADS_MIN],
            entries: Vec::new(),
            chains: 0,
            recent: [[END; RECENT]; RECENT_STATES],
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.chains = 0;
        self.recent = [[END; RECENT]; RECENT_STATES];
        if self.epoch == u32::MAX {
            self.heads.fill((0, END));
            self.epoch = 0;
        }
        self.epoch += 1;
    }

    pub(crate) fn bytes(&self) -> usize {
        self.heads.capacity() * size_of::<(u32, u32)>() + self.entries.capacity() * size_of::<Entry<W>>()
    }

    /// Takes `config` in, unless one that dominates it is known to be there. With `exactly`, unless the very same one is there.
    pub(crate) fn insert(&mut self, config: Config<W>, lost: &Lost, exactly: bool) -> bool {
        let at = u32::try_from(self.entries.len()).expect("the limit on memory comes first");
        if !exactly {
            let recent = &self.recent[config.state as usize % RECENT_STATES];
            for entry in recent.iter().take_while(|entry| **entry != END) {
                if self.entries[*entry as usize].config.dominates(&config, lost) {
                    return false;
                }
            }
        }
        if self.chains * 2 >= self.heads.len() {
            self.grow();
        }
        let place = self.place(&config);
        let (epoch, head) = self.heads[place];
        let head = if epoch == self.epoch { head } else { END };
        let mut next = head;
        while next != END {
            let entry = &self.entries[next as usize];
            let needless = if exactly {
                entry.config == config
            } else {
                entry.config.dominates(&config, lost)
            };
            if needless {
                return false;
            }
            next = entry.next;
        }
        self.chains += usize::from(head == END);
        self.heads[place] = (self.epoch, at);
        self.entries.push(Entry { config, next: head });
        let recent = &mut self.recent[config.state as usize % RECENT_STATES];
        recent.rotate_right(1);
        recent[0] = at;
        true
    }

    /// Where the chain of `config` is, or would be: of the same state, with the same operations done.
    fn place(&self, config: &Config<W>) -> usize {
        let mask = self.heads.len() - 1;
        let hash = (config.done.mix() ^ u64::from(config.state)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let mut place = (hash >> 32) as usize & mask;
        loop {
            let (epoch, head) = self.heads[place];
            if epoch != self.epoch {
                return place;
            }
            let there = &self.entries[head as usize].config;
            if there.state == config.state && there.done == config.done {
                return place;
            }
            place = (place + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let chains: Vec<u32> = self
            .heads
            .iter()
            .filter(|(epoch, _)| *epoch == self.epoch)
            .map(|(_, head)| *head)
            .collect();
        self.heads = vec![(0, END); self.heads.len() * 2];
        self.epoch = 1;
        for head in chains {
            let place = self.place(&self.entries[head as usize].config);
            self.heads[place] = (self.epoch, head);
        }
    }
}
