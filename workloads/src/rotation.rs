//! Objects that are used for a while and then left, by groups of threads.
//!
//! A group of two threads per node shares one object, so that operations on it overlap. It is left after a number of operations: that
//! bounds what the checker has to untangle, and what crashed operations can burden. What failed does not count: while nobody is served an
//! object stays in use, so that whatever a failover loses is looked for afterwards.

use crate::workload::Setting;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// By how many percent of its share of operations an object's life may be shorter.
const SHORTER_PERCENT_MAX: u64 = 10;
/// How many objects that were left are looked at again at the end, evenly spread over the run.
pub(crate) const LEFT_REREAD_MAX: u64 = 100;

/// An object in use.
#[derive(Clone, Copy, Debug)]
struct InUse {
    key: u64,
    /// Operations that are still to be made on it.
    left: u64,
}

/// Which object a thread's next operation is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) key: u64,
    pub(crate) group: usize,
    /// The thread's place in its group.
    pub(crate) place: usize,
    /// Whether the group has just left another object for this one.
    pub(crate) is_fresh: bool,
}

/// The objects in use.
pub(crate) struct Rotation {
    pub(crate) random: ChaCha8Rng,
    pub(crate) group_threads: usize,
    operations_max: u64,
    next_key: u64,
    groups: Vec<InUse>,
}

impl Rotation {
    /// Objects of which each gets `operations_max` operations at most.
    pub(crate) fn new(setting: Setting, operations_max: u64) -> Rotation {
        let group_threads = (2 * setting.nodes).clamp(2, setting.concurrency.max(2));
        let mut rotation = Rotation {
            random: ChaCha8Rng::seed_from_u64(setting.seed),
            group_threads,
            operations_max,
            next_key: 0,
            groups: Vec::new(),
        };
        for _ in 0..setting.concurrency.div_ceil(group_threads) {
            let fresh = rotation.fresh();
            rotation.groups.push(fresh);
        }
        rotation
    }

    fn fresh(&mut self) -> InUse {
        let key = self.next_key;
        self.next_key += 1;
        let shorter = self
            .random
            .random_range(0..=self.operations_max * SHORTER_PERCENT_MAX / 100);
        InUse {
            key,
            left: self.operations_max - shorter,
        }
    }

    /// How many groups there are.
    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The next operation of `thread` is about to be made.
    pub(crate) fn turn(&mut self, thread: usize) -> Turn {
        let (group, place) = (thread / self.group_threads, thread % self.group_threads);
        let is_fresh = self.groups[group].left == 0;
        if is_fresh {
            self.groups[group] = self.fresh();
        }
        self.groups[group].left -= 1;
        Turn {
            key: self.groups[group].key,
            group,
            place,
            is_fresh,
        }
    }

    /// The group of `thread`, if it still uses the object at `key`.
    pub(crate) fn group_on(&self, thread: usize, key: u64) -> Option<usize> {
        let group = thread / self.group_threads;
        (self.groups[group].key == key).then_some(group)
    }

    /// An operation of `group` failed: it does not count.
    pub(crate) fn failed(&mut self, group: usize) {
        self.groups[group].left += 1;
    }

    /// What is to be looked at in the end: every object in use, and a bounded sample of those that were left.
    pub(crate) fn last_keys(&self) -> Vec<u64> {
        let every = usize::try_from(self.next_key.div_ceil(LEFT_REREAD_MAX)).unwrap_or(usize::MAX);
        let mut keys: Vec<u64> = (0..self.next_key).step_by(every.max(1)).collect();
        keys.extend(self.groups.iter().map(|object| object.key));
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}
