//! Sets of slots.

/// A set of up to `64 * W` slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Bits<const W: usize>([u64; W]);

impl<const W: usize> Default for Bits<W> {
    fn default() -> Self {
        Bits::EMPTY
    }
}

impl<const W: usize> Bits<W> {
    pub(crate) const EMPTY: Self = Bits([0; W]);
    pub(crate) const CAPACITY: usize = 64 * W;

    #[inline]
    pub(crate) fn contains(&self, slot: usize) -> bool {
        self.0[slot / 64] >> (slot % 64) & 1 == 1
    }

    #[inline]
    pub(crate) fn insert(&mut self, slot: usize) {
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    #[inline]
    pub(crate) fn remove(&mut self, slot: usize) {
        self.0[slot / 64] &= !(1 << (slot % 64));
    }

    #[inline]
    pub(crate) fn and(&self, other: &Self) -> Self {
        Bits(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    #[inline]
    pub(crate) fn or(&self, other: &Self) -> Self {
        Bits(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    #[inline]
    pub(crate) fn without(&self, other: &Self) -> Self {
        Bits(std::array::from_fn(|word| self.0[word] & !other.0[word]))
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    #[inline]
    pub(crate) fn is_subset(&self, other: &Self) -> bool {
        self.without(other).is_empty()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The slots, ascending.
    #[inline]
    pub(crate) fn iter(&self) -> Iter<W> {
        Iter {
            words: self.0,
            word: 0,
        }
    }

    /// A value to hash by.
    #[inline]
    pub(crate) fn mix(&self) -> u64 {
        self.0.iter().fold(0, |mixed: u64, word| {
            (mixed.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }

    /// The same set with room for more.
    pub(crate) fn widened<const V: usize>(&self) -> Bits<V> {
        Bits(std::array::from_fn(|word| self.0.get(word).copied().unwrap_or(0)))
    }
}

/// The slots of a set.
pub(crate) struct Iter<const W: usize> {
    words: [u64; W],
    word: usize,
}

impl<const W: usize> Iterator for Iter<W> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.word < W {
            let rest = self.words[self.word];
            if rest != 0 {
                self.words[self.word] = rest & (rest - 1);
                return Some(self.word * 64 + rest.trailing_zeros() as usize);
            }
            self.word += 1;
        }
        None
    }
}
