//! Commands of a session's window, a bit for each.

use wire::limits::SESSION_WINDOW;

const WORDS: usize = SESSION_WINDOW.div_ceil(u64::BITS as u64) as usize;

/// A set of sequences that all lie in one window: of each two, the larger is less than [`SESSION_WINDOW`] above the other. So whatever is in
/// it, it takes 128 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    words: [u64; WORDS],
}

impl Marks {
    pub(super) fn contain(&self, sequence: u64) -> bool {
        let (word, bit) = place(sequence);
        self.words[word] & bit != 0
    }

    pub(super) fn insert(&mut self, sequence: u64) {
        let (word, bit) = place(sequence);
        self.words[word] |= bit;
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, sequence: u64) -> bool {
        let was_there = self.contain(sequence);
        let (word, bit) = place(sequence);
        self.words[word] &= !bit;
        was_there
    }

    /// Those from `first` on, in their order; all lie in the window that begins at `below`.
    pub(super) fn from(&self, below: u64, first: u64) -> impl Iterator<Item = u64> + '_ {
        let last = below.saturating_add(SESSION_WINDOW - 1);
        (below.max(first)..=last).filter(|sequence| self.contain(*sequence))
    }
}

/// Which word, and which bit of it. Those of one window have a bit each.
fn place(sequence: u64) -> (usize, u64) {
    let place = sequence % SESSION_WINDOW;
    let word = place / u64::from(u64::BITS);
    (word as usize, 1 << (place % u64::from(u64::BITS)))
}
