//! The configurations that a search has met, without those that another one makes needless.

use crate::bits::Bits;

/// A configuration: a state that the object may be in, and which of the open operations have taken effect on the way there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Config<const W: usize> {
    pub(crate) state: u32,
    /// Of the operations that will return.
    pub(crate) live: Bits<W>,
    /// Of the operations whose outcome nobody learned.
    pub(crate) crashed: Bits<W>,
}

/// Configurations by state and live operations; open addressing, cleared by advancing an epoch.
#[derive(Clone, Debug)]
pub(crate) struct Antichain<const W: usize> {
    epoch: u32,
    /// `(epoch, first entry of a chain)`; the length is a power of two.
    heads: Vec<(u32, u32)>,
    entries: Vec<Entry<W>>,
    chains: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry<const W: usize> {
    config: Config<W>,
    next: u32,
}

const END: u32 = u32::MAX;
const HEADS_MIN: usize = 64;

impl<const W: usize> Antichain<W> {
    pub(crate) fn new() -> Self {
        Antichain {
            epoch: 1,
            heads: vec![(0, END); HEADS_MIN],
            entries: Vec::new(),
            chains: 0,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.chains = 0;
        if self.epoch == u32::MAX {
            self.heads.fill((0, END));
            self.epoch = 0;
        }
        self.epoch += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes `config` in, unless one that is at least as good is there: the same state and live operations, and no crashed operation
    /// used that `config` spares. With `exactly`, unless the very same one is there.
    pub(crate) fn insert(&mut self, config: Config<W>, exactly: bool) -> bool {
        if self.chains * 2 >= self.heads.len() {
            self.grow();
        }
        let place = self.place(&config);
        let (epoch, head) = self.heads[place];
        let head = if epoch == self.epoch { head } else { END };
        let mut at = head;
        while at != END {
            let entry = &self.entries[at as usize];
            let needless = if exactly {
                entry.config.crashed == config.crashed
            } else {
                entry.config.crashed.is_subset(&config.crashed)
            };
            if needless {
                return false;
            }
            at = entry.next;
        }
        self.chains += usize::from(head == END);
        self.heads[place] = (
            self.epoch,
            u32::try_from(self.entries.len()).expect("the limit on memory comes first"),
        );
        self.entries.push(Entry { config, next: head });
        true
    }

    /// Where the chain of `config` is, or would be.
    fn place(&self, config: &Config<W>) -> usize {
        let mask = self.heads.len() - 1;
        let hash = (config.live.mix() ^ u64::from(config.state)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let mut place = (hash >> 32) as usize & mask;
        loop {
            let (epoch, head) = self.heads[place];
            if epoch != self.epoch {
                return place;
            }
            let there = &self.entries[head as usize].config;
            if (there.state, there.live) == (config.state, config.live) {
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
