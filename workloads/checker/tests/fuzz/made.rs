//! Histories by chance.

use checker::models::{
    CasRegister, Container, ContainerOp, ContainerRet, Discipline, FifoQueue, PriorityQueue, RegisterOp,
    RegisterRet, Set, SetOp, SetRet, Stack, UnorderedQueue,
};
use checker::{Model, Operation, SequentialSpec as _};
use rand::RngExt as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand_chacha::ChaCha8Rng;

/// An operation takes up to so long before it takes effect, and after.
const HALF_SPAN: u64 = 4;

/// A model of which histories can be made.
pub(crate) trait Fuzzed: Model {
    /// What it may be at the beginning.
    fn init(random: &mut ChaCha8Rng) -> Self;

    /// What may be done to it. `fresh` is a number that was not used before, and is not after.
    fn call(&self, random: &mut ChaCha8Rng, fresh: u64) -> Self::Op;

    /// What `op` may be said to have returned instead. These numbers were `used`.
    fn other(random: &mut ChaCha8Rng, op: &Self::Op, used: &[u64]) -> Self::Ret;

    /// What `op` returns, where it is free to choose.
    fn choose(&mut self, _: &mut ChaCha8Rng, op: &Self::Op) -> Self::Ret {
        self.invoke(op)
    }

    /// What may become of it by an `op` that nobody knows the outcome of.
    fn unobserved(&self, op: &Self::Op) -> Vec<Self> {
        let mut next = self.clone();
        next.invoke(op);
        vec![next]
    }
}

/// A history that was made.
pub(crate) struct Made<M: Model> {
    /// What it begins with.
    pub(crate) init: M,
    /// Those that may have taken effect.
    pub(crate) operations: Vec<Operation<M>>,
    /// How many others failed.
    pub(crate) failed: usize,
}

/// A history of up to so many operations.
pub(crate) fn history<M: Fuzzed>(random: &mut ChaCha8Rng, operations_max: u64) -> Made<M> {
    let init = M::init(random);
    let count = random.random_range(1..=operations_max);
    // Few times or many, so that few operations overlap or many.
    let spread = random.random_range(1..=4);
    let mut instants: Vec<u64> = (0..count)
        .map(|_| random.random_range(0..spread * count))
        .collect();
    instants.sort_unstable();
    let mut used: Vec<u64> = (10..10 + count).collect();
    used.shuffle(random);
    let mut state = init.clone();
    let (mut operations, mut failed) = (Vec::new(), 0);
    for (process, instant) in (0..).zip(instants) {
        // Some writes repeat a number, so that the history does not qualify.
        let is_repeated = random.random_ratio(1, 10 * u32::try_from(count).expect("histories are short"));
        let fresh = if is_repeated {
            10
        } else {
            used[usize::try_from(process).expect("histories are short")]
        };
        let op = state.call(random, fresh);
        let is_lost = random.random_ratio(1, 8);
        if !is_lost && random.random_ratio(1, 12) {
            failed += 1;
            continue;
        }
        let ret = if is_lost && random.random() {
            None
        } else {
            let ret = state.choose(random, &op);
            (!is_lost).then_some(ret)
        };
        operations.push(Operation {
            process,
            node: None,
            op,
            ret,
            invoked: HALF_SPAN + instant - random.random_range(0..=HALF_SPAN),
            returned: HALF_SPAN + instant + random.random_range(0..=HALF_SPAN),
        });
    }
    if random.random_ratio(4, 5) {
        for _ in 0..random.random_range(1..5) {
            corrupt(random, &mut operations, &used);
        }
    }
    Made {
        init,
        operations,
        failed,
    }
}

fn corrupt<M: Fuzzed>(random: &mut ChaCha8Rng, operations: &mut Vec<Operation<M>>, used: &[u64]) {
    if operations.is_empty() {
        return;
    }
    let place = random.random_range(0..operations.len());
    let until = 2 * operations.len() as u64 + 10;
    let operation = &mut operations[place];
    match random.random_range(0..8) {
        0 | 1 => {
            let length = operation.returned - operation.invoked;
            operation.invoked = random.random_range(0..until);
            operation.returned = operation.invoked + length;
        }
        2 => operation.returned = operation.invoked,
        3 => operation.invoked = operation.returned,
        4 => {
            operations.remove(place);
        }
        5 => {
            // Two operations are in each other's place.
            let other = random.random_range(0..operations.len());
            let times = |operation: &Operation<M>| (operation.invoked, operation.returned);
            let (one, another) = (times(&operations[place]), times(&operations[other]));
            (operations[place].invoked, operations[place].returned) = another;
            (operations[other].invoked, operations[other].returned) = one;
        }
        _ => {
            if operation.ret.is_some() {
                operation.ret = Some(M::other(random, &operation.op, used));
            }
        }
    }
}

fn one_of(random: &mut ChaCha8Rng, used: &[u64]) -> u64 {
    *used.choose(random).expect("histories are of something")
}

impl Fuzzed for CasRegister {
    fn init(random: &mut ChaCha8Rng) -> Self {
        CasRegister(random.random::<bool>().then_some(1))
    }

    fn call(&self, random: &mut ChaCha8Rng, fresh: u64) -> RegisterOp {
        match random.random_range(0..10) {
            0..4 => RegisterOp::Read,
            4..7 => RegisterOp::Write(fresh),
            // Nobody wrote 5.
            7 if random.random_ratio(1, 6) => RegisterOp::Cas(Some(5), fresh),
            8 if random.random_ratio(1, 6) => RegisterOp::Cas(self.0, self.0.unwrap_or(fresh)),
            _ => RegisterOp::Cas(self.0, fresh),
        }
    }

    fn other(random: &mut ChaCha8Rng, op: &RegisterOp, used: &[u64]) -> RegisterRet {
        match op {
            RegisterOp::Read if random.random_ratio(1, 6) => RegisterRet::Value(None),
            RegisterOp::Read => RegisterRet::Value(Some(one_of(random, used))),
            RegisterOp::Write(_) => RegisterRet::Written,
            RegisterOp::Cas(..) => RegisterRet::Swapped(true),
        }
    }
}

/// A container that begins with nothing or with two things.
fn container<D: Discipline>(random: &mut ChaCha8Rng) -> Container<D> {
    Container::new(
        [2, 1]
            .into_iter()
            .take(if random.random_ratio(1, 4) { 2 } else { 0 }),
    )
}

/// Puts somewhat more often than it takes.
fn container_call(random: &mut ChaCha8Rng, fresh: u64) -> ContainerOp {
    if random.random_ratio(5, 9) {
        ContainerOp::Put(fresh)
    } else {
        ContainerOp::Take
    }
}

fn container_other(random: &mut ChaCha8Rng, op: &ContainerOp, used: &[u64]) -> ContainerRet {
    match op {
        ContainerOp::Put(_) => ContainerRet::Done,
        ContainerOp::Take if random.random_ratio(1, 3) => ContainerRet::Taken(None),
        ContainerOp::Take => ContainerRet::Taken(Some(one_of(random, used))),
    }
}

macro_rules! fuzzed_container {
    ($($container:ident)*) => { $(
        impl Fuzzed for $container {
            fn init(random: &mut ChaCha8Rng) -> Self {
                container(random)
            }

            fn call(&self, random: &mut ChaCha8Rng, fresh: u64) -> ContainerOp {
                container_call(random, fresh)
            }

            fn other(random: &mut ChaCha8Rng, op: &ContainerOp, used: &[u64]) -> ContainerRet {
                container_other(random, op, used)
            }
        }
    )* };
}

fuzzed_container!(FifoQueue Stack PriorityQueue);

impl Fuzzed for UnorderedQueue {
    fn init(random: &mut ChaCha8Rng) -> Self {
        container(random)
    }

    fn call(&self, random: &mut ChaCha8Rng, fresh: u64) -> ContainerOp {
        container_call(random, fresh)
    }

    fn other(random: &mut ChaCha8Rng, op: &ContainerOp, used: &[u64]) -> ContainerRet {
        container_other(random, op, used)
    }

    fn choose(&mut self, random: &mut ChaCha8Rng, op: &ContainerOp) -> ContainerRet {
        let items: Vec<u64> = self.items().copied().collect();
        match items.choose(random) {
            Some(item) if *op == ContainerOp::Take => {
                let ret = ContainerRet::Taken(Some(*item));
                assert!(
                    self.is_valid_step(op, &ret),
                    "anything that is there may be taken"
                );
                ret
            }
            Some(_) | None => self.invoke(op),
        }
    }

    fn unobserved(&self, op: &ContainerOp) -> Vec<Self> {
        let mut next = self.clone();
        let ret = next.invoke(op);
        let others = self
            .items()
            .filter(|_| matches!(ret, ContainerRet::Taken(Some(_))));
        let taken = others.map(|item| {
            let mut next = self.clone();
            assert!(
                next.is_valid_step(op, &ContainerRet::Taken(Some(*item))),
                "anything that is there may be taken"
            );
            next
        });
        taken.chain([next]).collect()
    }
}

/// Elements are few, so that each has something done to it, and some are not unique.
impl Fuzzed for Set {
    fn init(random: &mut ChaCha8Rng) -> Self {
        Set((1..3).filter(|_| random.random_ratio(1, 4)).collect())
    }

    fn call(&self, random: &mut ChaCha8Rng, fresh: u64) -> SetOp {
        let known: Vec<u64> = self.0.iter().copied().collect();
        let some = known.choose(random).copied().unwrap_or(fresh);
        match random.random_range(0..12) {
            0..5 => SetOp::Add(fresh),
            5 | 6 => SetOp::Remove(some),
            7 => SetOp::Contains(random.random_range(10..14)),
            8 | 9 => SetOp::Contains(some),
            _ => SetOp::Read,
        }
    }

    fn choose(&mut self, random: &mut ChaCha8Rng, op: &SetOp) -> SetRet {
        let ret = self.invoke(op);
        match op {
            // Not everybody says whether it was there.
            SetOp::Add(_) | SetOp::Remove(_) if random.random() => SetRet::Done,
            SetOp::Add(_) | SetOp::Remove(_) | SetOp::Contains(_) | SetOp::Read => ret,
        }
    }

    fn other(random: &mut ChaCha8Rng, op: &SetOp, used: &[u64]) -> SetRet {
        match op {
            SetOp::Read => SetRet::Elements(used.iter().copied().filter(|_| random.random()).collect()),
            SetOp::Add(_) | SetOp::Remove(_) | SetOp::Contains(_) => SetRet::Was(random.random()),
        }
    }
}
