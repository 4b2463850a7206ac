//! What the clients saw, held against a register for each key.

use crate::options::{Broken, Invariant};
use checker::models::{CasRegister, RegisterOp, RegisterRet};
use checker::{Limits, ObjectsVerdict, Operation, check_objects, explain};
use replica::Answer;

/// Memory for the check of one key, in bytes: beyond it the history is not judged.
const CHECK_BYTES_MAX: usize = 64 << 20;

/// A client's operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Read {
        key: u64,
    },
    Write {
        key: u64,
        value: u64,
    },
    Cas {
        key: u64,
        expected: Option<u64>,
        new: u64,
    },
    /// A session is opened, which no history tells of.
    OpenSession,
}

impl Op {
    fn key(self) -> u64 {
        match self {
            Op::Read { key } | Op::Write { key, .. } | Op::Cas { key, .. } => key,
            Op::OpenSession => panic!("a session has no key"),
        }
    }

    fn register_op(self) -> RegisterOp {
        match self {
            Op::Read { .. } => RegisterOp::Read,
            Op::Write { value, .. } => RegisterOp::Write(value),
            Op::Cas { expected, new, .. } => RegisterOp::Cas(expected, new),
            Op::OpenSession => panic!("a session is no operation of a register"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct History {
    by_key: Vec<Vec<Operation<CasRegister>>>,
}

impl History {
    pub(crate) fn new(keys: u64) -> History {
        let keys = usize::try_from(keys).expect("keys are few");
        History {
            by_key: vec![Vec::new(); keys],
        }
    }

    fn push(&mut self, process: u64, op: Op, ret: Option<RegisterRet>, invoked: u64, returned: u64) {
        let key = usize::try_from(op.key()).expect("keys are few");
        self.by_key[key].push(Operation {
            process,
            node: None,
            op: op.register_op(),
            ret,
            // The checker's times are nanoseconds.
            invoked: invoked * 1000,
            returned: returned * 1000,
        });
    }

    /// An operation succeeded; `read` is the number in the value that it read.
    pub(crate) fn returned(
        &mut self,
        process: u64,
        op: Op,
        invoked: u64,
        returned: u64,
        answer: &Answer,
        read: Option<u64>,
    ) {
        let ret = match answer {
            Answer::Value(_) => RegisterRet::Value(read),
            Answer::Written => RegisterRet::Written,
            Answer::Swapped(swapped) => RegisterRet::Swapped(*swapped),
            Answer::Deleted(_)
            | Answer::Length(_)
            | Answer::Sum(_)
            | Answer::Transaction { .. }
            | Answer::SessionOpened { .. }
            | Answer::SessionClosed => {
                panic!("clients of the simulation read, write and compare: {answer:?}")
            }
        };
        self.push(process, op, Some(ret), invoked, returned);
    }

    /// Nobody learned what became of an operation. A read is of no interest then.
    pub(crate) fn unknown(&mut self, process: u64, op: Op, invoked: u64) {
        match op {
            Op::Read { .. } | Op::OpenSession => {}
            Op::Write { .. } | Op::Cas { .. } => self.push(process, op, None, invoked, invoked),
        }
    }

    /// Whether the history is linearizable. `Ok(false)`: that could not be told.
    pub(crate) fn check(&self) -> Result<bool, Broken> {
        let limits = Limits {
            bytes_max: CHECK_BYTES_MAX,
            ..Limits::default()
        };
        let objects: Vec<&[Operation<CasRegister>]> = self.by_key.iter().map(Vec::as_slice).collect();
        let init = CasRegister::default();
        match check_objects(&init, &objects, limits) {
            ObjectsVerdict::Valid => Ok(true),
            ObjectsVerdict::Unknown { .. } => Ok(false),
            ObjectsVerdict::Violation {
                object,
                operation,
                states,
            } => {
                let name = format!("key {object}");
                let explanation = explain(&init, &name, objects[object], operation, &states, &[], limits);
                Err(Broken {
                    invariant: Invariant::Linearizability,
                    what: explanation.text,
                })
            }
        }
    }
}
