//! Keys and their values.

use crate::part::{self, Part};
use alloc::sync::Arc;
use alloc::{vec, vec::Vec};
use bytes::Bytes;
use core::array;
use core::hash::Hasher;
use core::hint::black_box;
use rustc_hash::FxHasher;

/// Into how many shards the map is split, and into how many parts each of them. An image shares them all, and only the part that is written
/// to next is copied, with its shard's list of parts: with a million keys a part has some 250 of them. (Of a crowded one, but a piece is.)
const SHARDS: usize = 64;
const PARTS: usize = 64;

type Shard = [Arc<Part>; PARTS];

/// How many keys are looked at ahead, at most: what is fetched for them must not drive itself out again.
pub(crate) const AHEAD_MAX: usize = 64;

/// A map from keys to values, and a hash of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    shards: Vec<Arc<Shard>>,
    /// The sum of the hashes of all pairs: it depends on what is in the map, not on how it came there, and a write changes it at a
    /// cost that doesn't depend on how much there is.
    hash: u64,
    pairs: u64,
    bytes: u64,
}

impl Default for Map {
    fn default() -> Self {
        let empty = Arc::default();
        let shard = Arc::new(array::from_fn(|_| Arc::clone(&empty)));
        Map {
            shards: vec![shard; SHARDS],
            hash: 0,
            pairs: 0,
            bytes: 0,
        }
    }
}

impl Map {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Bytes> {
        let hash = key_hash(key);
        let (shard, part) = place_of(hash);
        self.shards[shard][part].get(hash, key)
    }

    /// Equal maps have equal hashes.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// How many keys there are.
    pub(crate) fn pairs(&self) -> u64 {
        self.pairs
    }

    /// How many bytes keys and values have together.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The pairs behind `place`, in the order in which a snapshot has them, and the place behind each.
    pub(crate) fn pairs_behind(&self, place: &Place) -> impl Iterator<Item = (Place, &Bytes, &Bytes)> {
        let parts = self.shards.iter().flat_map(|shard| shard.iter());
        let parts = parts.enumerate().skip(place.part);
        let (first, last_key) = (place.part, place.last_key.clone());
        parts.flat_map(move |(number, part)| {
            let last_key = last_key.as_deref().filter(|_| number == first);
            let behind = last_key.map(|key| (key_hash(key), key));
            part.pairs_behind(behind).map(move |(key, value)| {
                let place = Place {
                    part: number,
                    last_key: Some(key.clone()),
                };
                (place, key, value)
            })
        })
    }

    /// In an image that is gone through, lets go of the parts before `place`, or of all: they need not be copied any more before they are
    /// written to, and what was replaced in them goes now and not with all the rest at the end.
    pub(crate) fn let_go(&mut self, place: Option<&Place>) {
        let empty = Arc::default();
        for part in 0..place.map_or(SHARDS * PARTS, |place| place.part) {
            let (shard, part) = (part / PARTS, part % PARTS);
            if !self.shards[shard][part].is_empty() {
                Arc::make_mut(&mut self.shards[shard])[part] = Arc::clone(&empty);
            }
        }
    }

    /// Looks at everything that writing to `keys`, some [`AHEAD_MAX`] of them, will need. One key after the other, the processor would wait for
    /// the memory again and again: for the part, the pairs in it, and the pair's key and value, each of which is found by the one before.
    /// Of several keys, it fetches as many of each as it can at once.
    pub(crate) fn look_ahead<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        let mut parts: Vec<(u64, &Part)> = Vec::with_capacity(AHEAD_MAX);
        parts.extend(keys.map(|key| {
            let hash = key_hash(key);
            let (shard, part) = place_of(hash);
            (hash, &*self.shards[shard][part])
        }));
        let breadths = parts.iter().map(|(_, part)| part.breadth());
        black_box(breadths.fold(0, |seen, breadth| seen ^ breadth));
        let hashes = parts.iter().map(|(_, part)| part.middle_hash());
        black_box(hashes.fold(0, |seen, hash| seen ^ hash));
        let pairs = parts.iter().map(|(hash, part)| part.look_at(*hash));
        black_box(pairs.fold(0, |seen, byte| seen ^ byte));
    }

    /// Lets `key` hold `value`, of which a copy is kept: in the place of the value before it, where that is as long and nobody else has it.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        let (hash, pair) = (key_hash(key), part::pair_hash(key, value));
        self.hash = self.hash.wrapping_add(pair);
        self.bytes += value.len() as u64;
        match part_mut(&mut self.shards, hash).put(hash, key, (value, pair)) {
            Some((old_bytes, old_pair)) => {
                self.hash = self.hash.wrapping_sub(old_pair);
                self.bytes -= old_bytes as u64;
            }
            None => {
                self.pairs += 1;
                self.bytes += key.len() as u64;
            }
        }
    }

    /// Whether there was anything.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        if self.get(key).is_none() {
            return false;
        }
        let hash = key_hash(key);
        if let Some((old_bytes, old_pair)) = part_mut(&mut self.shards, hash).remove(hash, key) {
            self.hash = self.hash.wrapping_sub(old_pair);
            self.pairs -= 1;
            self.bytes -= (key.len() + old_bytes) as u64;
        }
        true
    }

    pub(crate) fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => self.put(key, value),
            None => {
                self.remove(key);
            }
        }
    }
}

/// Where one is in going through all pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Counted through all shards.
    part: usize,
    /// The last key that was gone through in it.
    last_key: Option<Bytes>,
}

fn key_hash(key: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(key);
    hasher.finish()
}

/// The shard that a key with this hash belongs to, and the part in it.
fn place_of(hash: u64) -> (usize, usize) {
    // The lowest bits of this hash are its worst.
    let [first, second, ..] = hash.to_be_bytes();
    (usize::from(first) % SHARDS, usize::from(second) % PARTS)
}

/// The part that a key with this hash belongs to, to be written to: what an image shares is copied.
fn part_mut(shards: &mut [Arc<Shard>], hash: u64) -> &mut Part {
    let (shard, part) = place_of(hash);
    Arc::make_mut(&mut Arc::make_mut(&mut shards[shard])[part])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys that belong to one part. Whoever likes can choose such.
    fn chosen(count: usize) -> Vec<[u8; 8]> {
        let keys = (0_u64..).map(u64::to_be_bytes);
        keys.filter(|key| place_of(key_hash(key)) == (3, 5))
            .take(count)
            .collect()
    }

    fn gone_through(map: &Map, at_once: usize) -> Vec<(Bytes, Bytes)> {
        let (mut place, mut all) = (Place::default(), Vec::new());
        loop {
            let some: Vec<_> = map.pairs_behind(&place).take(at_once).collect();
            let Some((last, ..)) = some.last() else { return all };
            place = last.clone();
            all.extend(
                some.iter()
                    .map(|(_, key, value)| ((*key).clone(), (*value).clone())),
            );
        }
    }

    #[test]
    fn chosen_keys_are_gone_through_in_pieces_and_in_one_order() {
        let keys = chosen(2_000);
        let (mut one, mut other) = (Map::default(), Map::default());
        for key in &keys {
            one.put(key, &key[4..]);
            one.put(&key[1..], b"another");
        }
        for key in keys.iter().rev() {
            other.put(&key[1..], b"another");
            other.put(key, &key[4..]);
            other.put(&key[2..], b"goes");
        }
        assert_ne!(one, other);
        for key in &keys {
            assert!(other.remove(&key[2..]));
        }
        let all = gone_through(&one, usize::MAX);
        assert_eq!(all.len(), 4_000);
        for at_once in [1, 7, 511, 512, 513] {
            assert_eq!(gone_through(&other, at_once), all, "{at_once} at once");
        }
        assert_eq!(one, other);
        assert_eq!((one.hash(), one.bytes()), (other.hash(), other.bytes()));
    }
}
