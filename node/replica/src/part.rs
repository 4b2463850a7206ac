//! A part of the map: a few pairs, in the order of the hashes of their keys.
//!
//! A search goes by the hashes, which lie in one place, and looks at the bytes of a key only where its hash is the one that is looked for:
//! every key and every value has a place of its own, which the processor has to fetch. Keys with one hash are rare, but whoever chooses
//! keys can find some: among them, the order is that of the keys.

use alloc::vec::Vec;
use bytes::Bytes;
use core::hash::Hasher;
use core::mem;
use rustc_hash::FxHasher;

/// How much the processor fetches at once.
const LINE_BYTES: usize = 64;

/// How much of a value is looked at ahead; behind that, the processor has seen where this leads.
const LOOKED_AT_MAX: usize = 512;

/// Pairs, in the order of their keys' hashes, and of the keys where those are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part(Vec<Pair>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    /// The hash of the key.
    hash: u64,
    key: Bytes,
    value: Bytes,
    /// The hash of key and value: to take it out of a sum, the value need not be looked at again.
    pair: u64,
}

impl Pair {
    /// Holds another value.
    fn replace(&mut self, (value, pair): (&[u8], u64)) {
        self.pair = pair;
        if self.value.len() == value.len()
            && let Ok(mut own) = mem::take(&mut self.value).try_into_mut()
        {
            own.copy_from_slice(value);
            self.value = own.freeze();
        } else {
            self.value = Bytes::copy_from_slice(value);
        }
    }
}

impl Part {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a key is, or belongs.
    fn find(&self, hash: u64, key: &[u8]) -> Result<usize, usize> {
        self.0.binary_search_by(|pair| {
            let by_hash = pair.hash.cmp(&hash);
            by_hash.then_with(|| pair.key[..].cmp(key))
        })
    }

    /// How many pairs there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The hash of one of the keys, that which a search begins with.
    pub(crate) fn middle_hash(&self) -> u64 {
        self.0.get(self.0.len() / 2).map_or(0, |pair| pair.hash)
    }

    /// Looks at the key with this hash, if there is one, and at its value.
    pub(crate) fn look_at(&self, hash: u64) -> u8 {
        let place = self.0.partition_point(|pair| pair.hash < hash);
        let Some(Pair { key, value, .. }) = self.0.get(place) else {
            return 0;
        };
        let lines = value[..value.len().min(LOOKED_AT_MAX)].iter().step_by(LINE_BYTES);
        lines.chain(key.first()).fold(0, |seen, byte| seen ^ byte)
    }

    pub(crate) fn get(&self, hash: u64, key: &[u8]) -> Option<&Bytes> {
        self.find(hash, key).ok().map(|place| &self.0[place].value)
    }

    /// Lets `key` hold a copy of a value, which is given with the hash of the pair. Returns how long the value before it was, and that
    /// pair's hash.
    pub(crate) fn put(&mut self, hash: u64, key: &[u8], value: (&[u8], u64)) -> Option<(usize, u64)> {
        match self.find(hash, key) {
            Ok(place) => {
                let pair = &mut self.0[place];
                let before = (pair.value.len(), pair.pair);
                pair.replace(value);
                Some(before)
            }
            Err(place) => {
                let pair = Pair {
                    hash,
                    key: Bytes::copy_from_slice(key),
                    value: Bytes::copy_from_slice(value.0),
                    pair: value.1,
                };
                self.0.insert(place, pair);
                None
            }
        }
    }

    /// Removes a key. Returns how long its value was, and the hash of the pair.
    pub(crate) fn remove(&mut self, hash: u64, key: &[u8]) -> Option<(usize, u64)> {
        let place = self.find(hash, key).ok()?;
        let Pair { value, pair, .. } = self.0.remove(place);
        Some((value.len(), pair))
    }

    /// The place behind a key.
    pub(crate) fn behind(&self, hash: u64, key: &[u8]) -> usize {
        self.find(hash, key).map_or_else(|place| place, |place| place + 1)
    }

    /// The pairs from a place on.
    pub(crate) fn pairs(&self, place: usize) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.0[place..].iter().map(|pair| (&pair.key, &pair.value))
    }
}

/// The hash of a pair. Snapshots have sums of it: it stays as it is.
pub(crate) fn pair_hash(key: &[u8], value: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_usize(key.len());
    hasher.write(key);
    hasher.write(value);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn keys_with_one_hash_hold_what_is_theirs() {
        let mut part = Part::default();
        let values = [
            (7, "b", "1"),
            (9, "a", "3"),
            (7, "a", "2"),
            (7, "c", "4"),
            (3, "z", "0"),
        ];
        for (hash, key, value) in values {
            assert_eq!(part.put(hash, key.as_bytes(), (value.as_bytes(), 1)), None);
        }
        let shown = |part: &Part, place| -> Vec<(Bytes, Bytes)> {
            let pairs = part.pairs(place);
            pairs.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let expected = [("z", "0"), ("a", "2"), ("b", "1"), ("c", "4"), ("a", "3")]
            .map(|(key, value)| (key.into(), value.into()));
        assert_eq!(shown(&part, 0), expected);
        assert_eq!(shown(&part, part.behind(7, b"a")), expected[2..]);
        assert_eq!(
            shown(&part, part.behind(7, b"aa")),
            expected[2..],
            "also of one that is gone"
        );
        assert_eq!(part.put(7, b"a", (b"long", 5)), Some((1, 1)));
        assert_eq!(part.get(7, b"a").unwrap(), "long");
        assert_eq!(part.get(9, b"b"), None);
        assert_eq!(part.remove(7, b"d"), None);
        assert_eq!(part.remove(7, b"a"), Some((4, 5)));
        assert_eq!(shown(&part, 0), [&expected[..1], &expected[2..]].concat());
    }

    #[test]
    fn a_value_that_somebody_reads_stays_what_it_was() {
        let mut part = Part::default();
        part.put(1, b"k", (b"old", 1));
        let (read, copy) = (part.get(1, b"k").unwrap().clone(), part.clone());
        part.put(1, b"k", (b"new", 2));
        assert_eq!(read, "old");
        assert_eq!(copy.get(1, b"k").unwrap(), "old");
        assert_eq!(part.get(1, b"k").unwrap(), "new");
    }
}
