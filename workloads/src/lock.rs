//! The workload `lock`: locks with fencing tokens, made of compare-and-sets, that are used for a while and then left.
//!
//! Whoever acquires a lock gets a token that is greater than all before it, and is under a name that nobody had before. An
//! acquisition whose fate nobody knows is released under its name, in case; a lock that stays taken all the same is left with time.

use crate::op::{Completion, Op, Ret};
use crate::rotation::{Rotation, Turn};
use crate::workload::{Generator, Setting, Workload};

/// The most operations on one lock.
const OPERATIONS_PER_KEY_MAX: u64 = 150;

/// See the module's documentation.
pub(crate) struct Lock;

impl Workload for Lock {
    fn name(&self) -> &'static str {
        "lock"
    }

    fn about(&self) -> &'static str {
        "locks made of compare-and-sets; one owner at a time, and fencing tokens that grow"
    }

    fn generator(&self, setting: Setting) -> Box<dyn Generator> {
        Box::new(LockGenerator {
            rotation: Rotation::new(setting, OPERATIONS_PER_KEY_MAX),
            held: vec![Vec::new(); setting.concurrency],
            next_owner: 1,
        })
    }

    fn needed_kinds(&self) -> &'static [&'static str] {
        &["acquire", "release"]
    }

    fn model(&self) -> &'static str {
        "fenced-lock"
    }
}

struct LockGenerator {
    rotation: Rotation,
    /// By thread: what it has, or may have, acquired and has to release. Each entry is a lock and its owner.
    held: Vec<Vec<(u64, u64)>>,
    next_owner: u64,
}

impl Generator for LockGenerator {
    fn next(&mut self, thread: usize) -> Option<Op> {
        if let Some((key, owner)) = self.held[thread].pop() {
            return Some(Op::Release { key, owner });
        }
        let Turn { key, .. } = self.rotation.turn(thread);
        let owner = self.next_owner;
        self.next_owner += 1;
        Some(Op::Acquire { key, owner })
    }

    fn completed(&mut self, thread: usize, op: &Op, completion: &Completion) {
        match (op, completion) {
            (Op::Acquire { key, owner }, Completion::Ok(Ret::Token(Some(_))) | Completion::Info(_))
            | (Op::Release { key, owner }, Completion::Fail(_)) => self.held[thread].push((*key, *owner)),
            (Op::Acquire { key, .. }, Completion::Fail(_)) => {
                self.rotation.failed(thread, *key);
            }
            (_, Completion::Ok(_) | Completion::Fail(_) | Completion::Info(_)) => {}
        }
    }

    /// Whether anybody gets the lock, and with which token, is what can be seen of it. All ask under one name that is new.
    fn final_reads(&self) -> Vec<Op> {
        let keys = self.rotation.last_keys().into_iter();
        let owner = self.next_owner;
        keys.map(|key| Op::Acquire { key, owner }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Perfect locks answer `count` operations of a generator.
    fn run(seed: u64, count: usize) -> Vec<(Op, Ret)> {
        let mut generator = Lock.generator(Setting {
            seed,
            nodes: 3,
            concurrency: 12,
        });
        let mut locks = BTreeMap::<u64, (Option<u64>, u64)>::new();
        let mut made = Vec::new();
        for turn in 0..count {
            let op = generator.next(turn % 12).unwrap();
            let (holder, token) = locks.entry(op.key()).or_default();
            let ret = match (&op, *holder) {
                (Op::Acquire { owner, .. }, None) => {
                    (*holder, *token) = (Some(*owner), *token + 1);
                    Ret::Token(Some(*token))
                }
                (Op::Acquire { .. }, Some(_)) => Ret::Token(None),
                (Op::Release { owner, .. }, holds) => {
                    assert_eq!(holds, Some(*owner), "{op:?} releases what it hasn't got");
                    *holder = None;
                    Ret::Released(true)
                }
                _ => panic!("no lock has {op:?}"),
            };
            generator.completed(turn % 12, &op, &Completion::Ok(ret.clone()));
            made.push((op, ret));
        }
        made
    }

    #[test]
    fn what_is_acquired_is_released_by_its_owner_and_owners_are_new() {
        let made = run(7, 5000);
        assert_eq!(made, run(7, 5000));
        assert_ne!(made, run(8, 5000));
        let released = made.iter().filter(|(_, ret)| *ret == Ret::Released(true)).count();
        assert!(released > 400, "{released} of 5000 release");
        let mut owners: Vec<(u64, u64)> = made
            .iter()
            .filter_map(|(op, _)| {
                if let Op::Acquire { key, owner } = op {
                    Some((*key, *owner))
                } else {
                    None
                }
            })
            .collect();
        let acquired = owners.len();
        owners.sort_unstable();
        owners.dedup();
        assert_eq!(owners.len(), acquired);
    }

    #[test]
    fn an_acquisition_in_doubt_is_released() {
        let mut generator = Lock.generator(Setting {
            seed: 7,
            nodes: 1,
            concurrency: 1,
        });
        let Some(Op::Acquire { key, owner }) = generator.next(0) else {
            panic!("nothing is held at first");
        };
        let acquire = Op::Acquire { key, owner };
        generator.completed(0, &acquire, &Completion::Info(String::from("timed out")));
        assert_eq!(generator.next(0), Some(Op::Release { key, owner }));
    }
}
