//! Objects that are used for a while and then left, by groups of threads.
//!
//! A group of two threads per node shares one object, so that operations on it overlap. It is left after a number of operations: that
//! bounds what the checker has to untangle, and what crashed operations can burden. What failed does not count: while nobody is served an
//! object stays in use, so that whatever a failover loses is looked for afterwards.

use crate::op::{Completion, Op};
use crate::workload::{Generator, Setting};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::marker::PhantomData;

/// By how many percent of its share of operations an object's life may be shorter.
const SHORTER_PERCENT_MAX: u64 = 10;
/// How many objects that were left are looked at again at the end, evenly spread over the run.
pub(crate) const LEFT_REREAD_MAX: u64 = 100;

/// How often a thread looks at an object that may also change it.
const CHANGER_LOOKS: f64 = 0.2;

/// An object in use.
#[derive(Clone, Copy, Debug)]
struct InUse {
    key: u64,
    /// Operations that are still to be made on it.
    left: u64,
    /// How many numbers were given out for it.
    numbers: u64,
}

/// Which object a thread's next operation is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) key: u64,
    pub(crate) group: usize,
    /// Whether the thread only looks: every other one does, so that each node is read from and written to where threads are spread
    /// over nodes.
    pub(crate) is_reader: bool,
    /// Whether the group has just left another object for this one.
    pub(crate) is_fresh: bool,
}

/// The objects in use.
pub(crate) struct Rotation {
    pub(crate) random: ChaCha8Rng,
    group_threads: usize,
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
            numbers: 0,
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
            is_reader: place >= self.group_threads.div_ceil(2),
            is_fresh,
        }
    }

    /// Whether this turn is for a look at the object, where some threads look only and the others now and then.
    pub(crate) fn is_look(&mut self, turn: Turn) -> bool {
        turn.is_reader || self.random.random_bool(CHANGER_LOOKS)
    }

    /// A number that was not given out for the object of `group` before: 1, 2, and so on.
    pub(crate) fn number(&mut self, group: usize) -> u64 {
        let object = &mut self.groups[group];
        object.numbers += 1;
        object.numbers
    }

    /// The group of `thread`, if it still uses the object at `key`.
    pub(crate) fn group_on(&self, thread: usize, key: u64) -> Option<usize> {
        let group = thread / self.group_threads;
        (self.groups[group].key == key).then_some(group)
    }

    /// An operation of `thread` on the object at `key` failed: it does not count, if that is still in use.
    pub(crate) fn failed(&mut self, thread: usize, key: u64) {
        if let Some(group) = self.group_on(thread, key) {
            self.groups[group].left += 1;
        }
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

/// What is done to objects that are used for a while and then left, where nothing has to be known of what became of it.
pub(crate) trait Turns: Send + 'static {
    /// The most operations on one object.
    const OPERATIONS_PER_KEY_MAX: u64;

    /// The operation of a turn.
    fn op(turn: Turn, rotation: &mut Rotation) -> Op;

    /// What looks at all of an object.
    fn look(key: u64) -> Op;
}

/// The generator of operations that are made in [`Turns`].
pub(crate) struct TakingTurns<T> {
    rotation: Rotation,
    of: PhantomData<T>,
}

impl<T: Turns> TakingTurns<T> {
    pub(crate) fn new(setting: Setting) -> Self {
        TakingTurns {
            rotation: Rotation::new(setting, T::OPERATIONS_PER_KEY_MAX),
            of: PhantomData,
        }
    }
}

impl<T: Turns> Generator for TakingTurns<T> {
    fn next(&mut self, thread: usize) -> Option<Op> {
        let turn = self.rotation.turn(thread);
        Some(T::op(turn, &mut self.rotation))
    }

    fn completed(&mut self, thread: usize, op: &Op, completion: &Completion) {
        if let Completion::Fail(_) = completion {
            self.rotation.failed(thread, op.key());
        }
    }

    fn final_reads(&self) -> Vec<Op> {
        self.rotation.last_keys().into_iter().map(T::look).collect()
    }
}
