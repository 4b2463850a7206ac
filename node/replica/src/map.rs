//! Keys and their values.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::sync::Arc;
use alloc::{vec, vec::Vec};
use bytes::Bytes;
use core::array;
use core::hash::Hasher;
use core::ops::Bound;
use rustc_hash::FxHasher;

/// Into how many shards the map is split, and into how many parts each of them. An image shares them all, and only the part that is written
/// to next is copied, with its shard's list of parts: with a million keys a part has some 250 of them.
const SHARDS: usize = 64;
const PARTS: usize = 64;

type Part = BTreeMap<Bytes, Bytes>;
type Shard = [Arc<Part>; PARTS];

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
        let (shard, part) = place_of(key);
        self.shards[shard][part].get(key)
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
        parts.flat_map(move |(part, map)| {
            let from = match &last_key {
                Some(key) if part == first => Bound::Excluded(key.clone()),
                Some(_) | None => Bound::Unbounded,
            };
            map.range((from, Bound::Unbounded)).map(move |(key, value)| {
                let place = Place {
                    part,
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

    pub(crate) fn insert(&mut self, key: Bytes, value: Bytes) {
        let part = part_mut(&mut self.shards, &key);
        self.hash = self.hash.wrapping_add(pair_hash(&key, &value));
        self.bytes += value.len() as u64;
        match part.entry(key) {
            Entry::Occupied(mut place) => {
                let old = place.insert(value);
                self.hash = self.hash.wrapping_sub(pair_hash(place.key(), &old));
                self.bytes -= old.len() as u64;
            }
            Entry::Vacant(place) => {
                self.pairs += 1;
                self.bytes += place.key().len() as u64;
                place.insert(value);
            }
        }
    }

    /// Whether there was anything.
    pub(crate) fn remove(&mut self, key: &Bytes) -> bool {
        if self.get(key).is_none() {
            return false;
        }
        if let Some(old) = part_mut(&mut self.shards, key).remove(key) {
            self.hash = self.hash.wrapping_sub(pair_hash(key, &old));
            self.pairs -= 1;
            self.bytes -= (key.len() + old.len()) as u64;
        }
        true
    }

    pub(crate) fn set(&mut self, key: Bytes, value: Option<Bytes>) {
        match value {
            Some(value) => self.insert(key, value),
            None => {
                self.remove(&key);
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

/// The shard that `key` belongs to, and the part in it.
fn place_of(key: &[u8]) -> (usize, usize) {
    let mut hasher = FxHasher::default();
    hasher.write(key);
    // The lowest bits of this hash are its worst.
    let [first, second, ..] = hasher.finish().to_be_bytes();
    (usize::from(first) % SHARDS, usize::from(second) % PARTS)
}

/// The part that `key` belongs to, to be written to: what an image shares is copied.
fn part_mut<'a>(shards: &'a mut [Arc<Shard>], key: &[u8]) -> &'a mut Part {
    let (shard, part) = place_of(key);
    Arc::make_mut(&mut Arc::make_mut(&mut shards[shard])[part])
}

fn pair_hash(key: &[u8], value: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_usize(key.len());
    hasher.write(key);
    hasher.write(value);
    hasher.finish()
}
