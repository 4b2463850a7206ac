//! The state machine: a map from keys to values.

use alloc::collections::BTreeMap;
use bytes::Bytes;
use core::hash::Hasher;
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

/// A map from keys to values, and a hash of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateMachine {
    map: BTreeMap<Bytes, Bytes>,
    /// The sum of the hashes of all pairs: it depends on what is in the map, not on how it came there, and a write changes it at a
    /// cost that doesn't depend on how much there is.
    hash: u64,
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
                let matches = self.map.get(&key) == expected.as_ref();
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
        self.map.get(key).cloned()
    }

    /// A hash of the whole state: equal states have equal hashes.
    pub fn state_hash(&self) -> u64 {
        self.hash
    }

    fn insert(&mut self, key: Bytes, value: Bytes) {
        self.remove(&key);
        self.hash = self.hash.wrapping_add(pair_hash(&key, &value));
        self.map.insert(key, value);
    }

    fn remove(&mut self, key: &Bytes) -> bool {
        let old = self.map.remove(key);
        if let Some(old) = &old {
            self.hash = self.hash.wrapping_sub(pair_hash(key, old));
        }
        old.is_some()
    }
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
