//! A key and its value, with their hashes, and the order of keys.

use bytes::Bytes;
use core::cmp::Ordering;
use core::hash::Hasher;
use core::mem;
use rustc_hash::FxHasher;

/// How much the processor fetches at once.
const LINE_BYTES: usize = 64;

/// How much of a value is looked at ahead; behind that, the processor has seen where this leads.
const LOOKED_AT_MAX: usize = 512;

/// A key and its hash: what pairs go by.
#[derive(Clone, Debug, Default)]
pub(super) struct HashedKey {
    pub(super) hash: u64,
    pub(super) key: Bytes,
}

impl HashedKey {
    /// How it stands to another.
    #[inline]
    pub(super) fn order(&self, hash: u64, key: &[u8]) -> Ordering {
        #[cfg(test)]
        super::tests::compared();
        let by_hash = self.hash.cmp(&hash);
        by_hash.then_with(|| self.key[..].cmp(key))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(super) key: HashedKey,
    pub(super) value: Bytes,
    /// The hash of key and value: to take it out of a sum, the value need not be looked at again.
    pub(super) pair: u64,
}

impl Pair {
    /// A pair of copies; the value is given with the hash of the pair.
    pub(super) fn new(hash: u64, key: &[u8], (value, pair): (&[u8], u64)) -> Pair {
        Pair {
            key: HashedKey {
                hash,
                key: Bytes::copy_from_slice(key),
            },
            value: Bytes::copy_from_slice(value),
            pair,
        }
    }

    /// Looks at the key and at the value, so that the processor has them.
    pub(super) fn look_at(&self) -> u8 {
        let looked_at = &self.value[..self.value.len().min(LOOKED_AT_MAX)];
        let lines = looked_at.iter().step_by(LINE_BYTES);
        lines
            .chain(self.key.key.first())
            .fold(0, |seen, byte| seen ^ byte)
    }

    /// Holds another value. Returns how long the one before it was, and the hash of that pair.
    pub(super) fn replace(&mut self, (value, pair): (&[u8], u64)) -> (usize, u64) {
        let before = (self.value.len(), mem::replace(&mut self.pair, pair));
        if self.value.len() == value.len()
            && let Ok(mut own) = mem::take(&mut self.value).try_into_mut()
        {
            own.copy_from_slice(value);
            self.value = own.freeze();
        } else {
            self.value = Bytes::copy_from_slice(value);
        }
        before
    }
}

/// Where a key is in a leaf, or belongs.
pub(super) fn find(pairs: &[Pair], hash: u64, key: &[u8]) -> Result<usize, usize> {
    pairs.binary_search_by(|pair| pair.key.order(hash, key))
}

/// The hash of a pair. Snapshots have sums of it: it stays as it is.
pub(crate) fn pair_hash(key: &[u8], value: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_usize(key.len());
    hasher.write(key);
    hasher.write(value);
    hasher.finish()
}
