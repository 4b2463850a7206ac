//! The state machine: a map from keys to values.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::{vec, vec::Vec};
use bytes::Bytes;
use core::hash::Hasher;
use core::ops::Bound;
use rustc_hash::FxHasher;
use wire::record::Command;

/// What a request that succeeded returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The value that a read found.
    Value(Option<Bytes>),
    /// The value was written.
    Written,
    /// Whether the key held what was expected, and so holds the new value now.
    Swapped(bool),
    /// Whether there was a value to remove.
    Deleted(bool),
}

/// Into how many parts the map is split. An image shares them all; only the part that is written to next is copied.
const SHARDS: usize = 256;

type Shard = BTreeMap<Bytes, Bytes>;

/// A map from keys to values, and a hash of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateMachine {
    shards: Vec<Arc<Shard>>,
    /// The sum of the hashes of all pairs: it depends on what is in the map, not on how it came there, and a write changes it at a
    /// cost that doesn't depend on how much there is.
    hash: u64,
    pairs: u64,
    bytes: u64,
}

impl Default for StateMachine {
    fn default() -> Self {
        StateMachine {
            shards: vec![Arc::default(); SHARDS],
            hash: 0,
            pairs: 0,
            bytes: 0,
        }
    }
}

impl StateMachine {
    /// Carries out a command.
    pub fn apply(&mut self, command: Command) -> Answer {
        match command {
            Command::Put { key, value } => {
                self.insert(key, value);
                Answer::Written
            }
            Command::Cas { key, expected, value } => {
                let matches = self.shard(&key).get(&key) == expected.as_ref();
                if matches {
                    self.insert(key, value);
                }
                Answer::Swapped(matches)
            }
            Command::Delete { key } => Answer::Deleted(self.remove(&key)),
        }
    }

    /// The value at `key`.
    pub fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.shard(key).get(key).cloned()
    }

    /// A hash of the whole state: equal states have equal hashes.
    pub fn state_hash(&self) -> u64 {
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
        let shards = self.shards.iter().enumerate().skip(place.shard);
        let (first, last_key) = (place.shard, place.last_key.clone());
        shards.flat_map(move |(shard, map)| {
            let from = match &last_key {
                Some(key) if shard == first => Bound::Excluded(key.clone()),
                Some(_) | None => Bound::Unbounded,
            };
            map.range((from, Bound::Unbounded)).map(move |(key, value)| {
                let place = Place {
                    shard,
                    last_key: Some(key.clone()),
                };
                (place, key, value)
            })
        })
    }

    /// Puts a pair in, as a snapshot has it.
    pub(crate) fn insert(&mut self, key: Bytes, value: Bytes) {
        self.remove(&key);
        self.hash = self.hash.wrapping_add(pair_hash(&key, &value));
        self.pairs += 1;
        self.bytes += (key.len() + value.len()) as u64;
        Arc::make_mut(&mut self.shards[shard_of(&key)]).insert(key, value);
    }

    fn remove(&mut self, key: &Bytes) -> bool {
        let place = shard_of(key);
        if !self.shards[place].contains_key(key) {
            return false;
        }
        if let Some(old) = Arc::make_mut(&mut self.shards[place]).remove(key) {
            self.hash = self.hash.wrapping_sub(pair_hash(key, &old));
            self.pairs -= 1;
            self.bytes -= (key.len() + old.len()) as u64;
        }
        true
    }

    fn shard(&self, key: &[u8]) -> &Shard {
        &self.shards[shard_of(key)]
    }
}

/// Where one is in going through all pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    shard: usize,
    /// The last key that was gone through in it.
    last_key: Option<Bytes>,
}

fn shard_of(key: &[u8]) -> usize {
    let mut hasher = FxHasher::default();
    hasher.write(key);
    // The lowest bits of this hash are its worst.
    usize::from(hasher.finish().to_be_bytes()[0]) % SHARDS
}

fn pair_hash(key: &[u8], value: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_usize(key.len());
    hasher.write(key);
    hasher.write(value);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn put(key: &'static str, value: &'static str) -> Command {
        Command::Put {
            key: bytes(key),
            value: bytes(value),
        }
    }

    fn cas(expected: Option<&'static str>, value: &'static str) -> Command {
        Command::Cas {
            key: bytes("k"),
            expected: expected.map(bytes),
            value: bytes(value),
        }
    }

    #[test]
    fn a_cas_writes_only_where_the_expected_value_stands() {
        let mut machine = StateMachine::default();
        assert_eq!(machine.apply(cas(Some("a"), "b")), Answer::Swapped(false));
        assert_eq!(machine.get(b"k"), None);
        assert_eq!(machine.apply(cas(None, "a")), Answer::Swapped(true));
        assert_eq!(machine.apply(cas(None, "c")), Answer::Swapped(false));
        assert_eq!(machine.apply(cas(Some("a"), "b")), Answer::Swapped(true));
        assert_eq!(machine.get(b"k"), Some(bytes("b")));
    }

    #[test]
    fn a_delete_says_whether_there_was_anything() {
        let mut machine = StateMachine::default();
        machine.apply(put("k", "a"));
        assert_eq!(
            machine.apply(Command::Delete { key: bytes("k") }),
            Answer::Deleted(true)
        );
        assert_eq!(
            machine.apply(Command::Delete { key: bytes("k") }),
            Answer::Deleted(false)
        );
        assert_eq!(machine, StateMachine::default());
    }

    #[test]
    fn the_hash_tells_states_apart_and_not_the_ways_to_them() {
        let mut one = StateMachine::default();
        one.apply(put("a", "1"));
        one.apply(put("b", "2"));
        let mut other = StateMachine::default();
        other.apply(put("b", "3"));
        other.apply(put("a", "1"));
        assert_ne!(one.state_hash(), other.state_hash());
        other.apply(put("b", "2"));
        assert_eq!(one.state_hash(), other.state_hash());
    }
}
