//! A register with read, write and compare-and-set.

use crate::model::Model;
use stateright::semantics::SequentialSpec;

/// A register; `None` until something is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CasRegister(pub Option<u64>);

/// A call of a [`CasRegister`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegisterOp {
    /// Reads.
    Read,
    /// Writes the value.
    Write(u64),
    /// Writes the second value if the register holds the first.
    Cas(Option<u64>, u64),
}

/// What a call of a [`CasRegister`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegisterRet {
    /// To a read: the value.
    Value(Option<u64>),
    /// To a write.
    Written,
    /// To a compare-and-set: whether the register held what was expected.
    Swapped(bool),
}

impl SequentialSpec for CasRegister {
    type Op = RegisterOp;
    type Ret = RegisterRet;

    fn invoke(&mut self, op: &RegisterOp) -> RegisterRet {
        match *op {
            RegisterOp::Read => RegisterRet::Value(self.0),
            RegisterOp::Write(value) => {
                self.0 = Some(value);
                RegisterRet::Written
            }
            RegisterOp::Cas(expected, new) => {
                let matches = self.0 == expected;
                if matches {
                    self.0 = Some(new);
                }
                RegisterRet::Swapped(matches)
            }
        }
    }
}

impl Model for CasRegister {
    fn is_read_only(op: &RegisterOp, ret: &RegisterRet) -> bool {
        match (op, ret) {
            (RegisterOp::Read, _) | (RegisterOp::Cas(..), RegisterRet::Swapped(false)) => true,
            (RegisterOp::Cas(expected, new), _) => *expected == Some(*new),
            (RegisterOp::Write(_), _) => false,
        }
    }

    fn produces(op: &RegisterOp, ret: Option<&RegisterRet>) -> Option<u64> {
        match (op, ret) {
            (RegisterOp::Write(value), _) => Some(*value),
            (RegisterOp::Cas(..), Some(RegisterRet::Swapped(false))) | (RegisterOp::Read, _) => None,
            (RegisterOp::Cas(_, new), _) => Some(*new),
        }
    }

    fn observes(op: &RegisterOp, ret: Option<&RegisterRet>) -> Option<u64> {
        match (op, ret) {
            (RegisterOp::Read, Some(RegisterRet::Value(value))) => *value,
            (RegisterOp::Cas(expected, _), Some(RegisterRet::Swapped(true))) => *expected,
            (RegisterOp::Read | RegisterOp::Write(_) | RegisterOp::Cas(..), _) => None,
        }
    }

    fn describe_op(op: &RegisterOp) -> String {
        match op {
            RegisterOp::Read => String::from("read"),
            RegisterOp::Write(value) => format!("write {value}"),
            RegisterOp::Cas(expected, new) => format!("cas {} → {new}", value(*expected)),
        }
    }

    fn describe_ret(ret: &RegisterRet) -> String {
        match ret {
            RegisterRet::Value(read) => value(*read),
            RegisterRet::Written => String::from("ok"),
            RegisterRet::Swapped(true) => String::from("swapped"),
            RegisterRet::Swapped(false) => String::from("did not match"),
        }
    }

    fn describe_state(&self) -> String {
        value(self.0)
    }
}

fn value(value: Option<u64>) -> String {
    value.map_or_else(|| String::from("nil"), |value| value.to_string())
}
