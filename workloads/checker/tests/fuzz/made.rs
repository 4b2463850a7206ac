//! Histories by chance.

use checker::models::{CasRegister, RegisterOp, RegisterRet};
use checker::{Model, Operation};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// The most operations of a history.
const OPERATIONS_MAX: usize = 9;
/// An operation takes up to so long before it takes effect, and after.
const HALF_SPAN: u64 = 4;

/// A model of which histories can be made.
pub(crate) trait Fuzzed: Model {
    /// What it may be at the beginning.
    fn init(random: &mut ChaCha8Rng) -> Self;

    /// What may be done to it. `fresh` is a number that was not used before, and is not after.
    fn call(&self, random: &mut ChaCha8Rng, fresh: u64) -> Self::Op;

    /// What `op` may be said to have returned instead. Numbers up to `fresh` were used.
    fn other(random: &mut ChaCha8Rng, op: &Self::Op, fresh: u64) -> Self::Ret;
}

pub(super) fn history<M: Fuzzed>(random: &mut ChaCha8Rng) -> (M, Vec<Operation<M>>) {
    let init = M::init(random);
    let count = random.random_range(1..=OPERATIONS_MAX);
    let mut instants: Vec<u64> = (0..count)
        .map(|_| random.random_range(0..2 * count as u64))
        .collect();
    instants.sort_unstable();
    let mut state = init.clone();
    let mut operations = Vec::new();
    for (process, instant) in (0..).zip(instants) {
        // Some writes repeat a number, so that the history does not qualify.
        let fresh = if random.random_ratio(1, 40) {
            0
        } else {
            process + 10
        };
        let op = state.call(random, fresh);
        let is_lost = random.random_ratio(1, 6);
        if !is_lost && random.random_ratio(1, 12) {
            // It failed.
            continue;
        }
        let ret = if is_lost && random.random() {
            None
        } else {
            let ret = state.invoke(&op);
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
    if random.random() {
        for _ in 0..random.random_range(1..3) {
            corrupt(random, &mut operations);
        }
    }
    (init, operations)
}

fn corrupt<M: Fuzzed>(random: &mut ChaCha8Rng, operations: &mut Vec<Operation<M>>) {
    let fresh = operations.len() as u64 + 10;
    if operations.is_empty() {
        return;
    }
    let place = random.random_range(0..operations.len());
    let operation = &mut operations[place];
    match random.random_range(0..8) {
        0 | 1 => {
            let length = operation.returned - operation.invoked;
            operation.invoked = random.random_range(0..2 * fresh);
            operation.returned = operation.invoked + length;
        }
        2 => operation.returned = operation.invoked,
        3 => operation.invoked = operation.returned,
        4 => {
            operations.remove(place);
        }
        _ => {
            if operation.ret.is_some() {
                operation.ret = Some(M::other(random, &operation.op, fresh));
            }
        }
    }
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

    fn other(random: &mut ChaCha8Rng, op: &RegisterOp, fresh: u64) -> RegisterRet {
        match op {
            RegisterOp::Read if random.random_ratio(1, 6) => RegisterRet::Value(None),
            RegisterOp::Read => RegisterRet::Value(Some(random.random_range(10..fresh))),
            RegisterOp::Write(_) => RegisterRet::Written,
            RegisterOp::Cas(..) => RegisterRet::Swapped(true),
        }
    }
}
