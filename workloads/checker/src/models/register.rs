//! A register with read, write and compare-and-set.

use crate::history::{Call, End, Value};
use crate::linear::{Kind, RegisterCall, RegisterCalls};
use crate::model::Model;
use crate::vocabulary::{Datum, Dialect, Meaning, Vocabulary, datum, optional, unknown_operation};
use stateright::semantics::SequentialSpec;

/// A register; `None` until something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CasRegister<V = u64>(pub Option<V>);

impl<V> Default for CasRegister<V> {
    fn default() -> Self {
        CasRegister(None)
    }
}

/// A call of a [`CasRegister`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegisterOp<V = u64> {
    /// Reads.
    Read,
    /// Writes the value.
    Write(V),
    /// Writes the second value if the register holds the first.
    Cas(Option<V>, V),
}

/// What a call of a [`CasRegister`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegisterRet<V = u64> {
    /// To a read: the value.
    Value(Option<V>),
    /// To a write.
    Written,
    /// To a compare-and-set: whether the register held what was expected.
    Swapped(bool),
}

impl<V: Datum> SequentialSpec for CasRegister<V> {
    type Op = RegisterOp<V>;
    type Ret = RegisterRet<V>;

    fn invoke(&mut self, op: &RegisterOp<V>) -> RegisterRet<V> {
        match op {
            RegisterOp::Read => RegisterRet::Value(self.0.clone()),
            RegisterOp::Write(value) => {
                self.0 = Some(value.clone());
                RegisterRet::Written
            }
            RegisterOp::Cas(expected, new) => {
                let matches = self.0 == *expected;
                if matches {
                    self.0 = Some(new.clone());
                }
                RegisterRet::Swapped(matches)
            }
        }
    }
}

impl<V: Datum> Model for CasRegister<V> {
    const TELLS_REASONS: bool = true;

    fn kind() -> Option<Kind<Self>> {
        Some(Kind::register())
    }

    fn is_read_only(op: &RegisterOp<V>, ret: &RegisterRet<V>) -> bool {
        match (op, ret) {
            (RegisterOp::Read, _) | (RegisterOp::Cas(..), RegisterRet::Swapped(false)) => true,
            (RegisterOp::Cas(expected, new), _) => expected.as_ref() == Some(new),
            (RegisterOp::Write(_), _) => false,
        }
    }

    fn is_always_legal(op: &RegisterOp<V>, _: &RegisterRet<V>) -> bool {
        matches!(op, RegisterOp::Write(_))
    }

    fn overwrites(op: &RegisterOp<V>, _: Option<&RegisterRet<V>>) -> bool {
        matches!(op, RegisterOp::Write(_))
    }

    fn produces(op: &RegisterOp<V>, ret: Option<&RegisterRet<V>>) -> Option<u64> {
        match (op, ret) {
            (RegisterOp::Write(value), _) => Some(value.fingerprint()),
            (RegisterOp::Cas(..), Some(RegisterRet::Swapped(false))) | (RegisterOp::Read, _) => None,
            (RegisterOp::Cas(_, new), _) => Some(new.fingerprint()),
        }
    }

    fn observes(op: &RegisterOp<V>, ret: Option<&RegisterRet<V>>, seen: &mut Vec<u64>) {
        let value = match (op, ret) {
            (RegisterOp::Read, Some(RegisterRet::Value(value))) => value.as_ref(),
            (RegisterOp::Cas(expected, _), Some(RegisterRet::Swapped(true))) => expected.as_ref(),
            (RegisterOp::Read | RegisterOp::Write(_) | RegisterOp::Cas(..), _) => None,
        };
        seen.extend(value.map(V::fingerprint));
    }

    fn misses(op: &RegisterOp<V>, ret: Option<&RegisterRet<V>>) -> Option<u64> {
        match (op, ret) {
            (RegisterOp::Cas(expected, _), Some(RegisterRet::Swapped(false))) => {
                expected.as_ref().map(V::fingerprint)
            }
            (RegisterOp::Read | RegisterOp::Write(_) | RegisterOp::Cas(..), _) => None,
        }
    }

    /// Whatever writes something else.
    fn takes_away(op: &RegisterOp<V>, ret: Option<&RegisterRet<V>>, thing: u64) -> bool {
        Self::produces(op, ret).is_some_and(|value| value != thing)
    }

    fn describe_op(op: &RegisterOp<V>) -> String {
        match op {
            RegisterOp::Read => String::from("read"),
            RegisterOp::Write(value) => format!("write {value}"),
            RegisterOp::Cas(expected, new) => format!("cas {} → {new}", value(expected.as_ref())),
        }
    }

    fn describe_ret(ret: &RegisterRet<V>) -> String {
        match ret {
            RegisterRet::Value(read) => value(read.as_ref()),
            RegisterRet::Written => String::from("ok"),
            RegisterRet::Swapped(true) => String::from("swapped"),
            RegisterRet::Swapped(false) => String::from("did not match"),
        }
    }

    fn describe_state(&self) -> String {
        value(self.0.as_ref())
    }
}

impl<V: Datum> RegisterCalls for CasRegister<V> {
    type Value = V;

    fn held(&self) -> Option<&V> {
        self.0.as_ref()
    }

    fn register_call<'a>(op: &'a RegisterOp<V>, ret: Option<&'a RegisterRet<V>>) -> RegisterCall<'a, V> {
        match (op, ret) {
            (RegisterOp::Read, Some(RegisterRet::Value(value))) => RegisterCall::Read(value.as_ref()),
            (RegisterOp::Write(value), Some(RegisterRet::Written) | None) => RegisterCall::Write(value),
            (RegisterOp::Cas(Some(expected), new), None) if expected == new => RegisterCall::Nothing,
            (RegisterOp::Cas(Some(expected), new), Some(RegisterRet::Swapped(true))) if expected == new => {
                RegisterCall::Read(Some(expected))
            }
            (RegisterOp::Cas(expected, new), Some(RegisterRet::Swapped(true)) | None) => {
                RegisterCall::Swap(expected.as_ref(), new)
            }
            (RegisterOp::Read, None) => RegisterCall::Nothing,
            (RegisterOp::Read | RegisterOp::Write(_) | RegisterOp::Cas(..), _) => RegisterCall::Other,
        }
    }
}

fn value<V: Datum>(value: Option<&V>) -> String {
    value.map_or_else(|| String::from("nil"), V::to_string)
}

impl<V: Datum> Vocabulary for CasRegister<V> {
    const NAME: &'static str = "cas-register";

    fn initial(init: Option<&Value>) -> Result<Self, String> {
        Ok(CasRegister(optional(init.unwrap_or(&Value::Null), "a register")?))
    }

    fn call(call: &Call, dialect: Dialect) -> Result<Meaning<Self>, String> {
        let op = match &*call.f {
            "read" if dialect == Dialect::Native && !call.argument.is_null() => {
                return Err(format!(
                    "a read has no argument, and this one has {}",
                    call.argument
                ));
            }
            "read" => RegisterOp::Read,
            "write" => RegisterOp::Write(datum(&call.argument, "a write")?),
            "cas" => cas(&call.argument)?,
            other => return Err(unknown_operation(Self::NAME, other, &["read", "write", "cas"])),
        };
        let is_cas = matches!(op, RegisterOp::Cas(..));
        let ret = match (call.end, &op) {
            (End::Ok, RegisterOp::Read) => {
                if call.result.is_null() && dialect.nil_says_nothing() {
                    return Ok(None);
                }
                Some(RegisterRet::Value(optional(&call.result, "a read")?))
            }
            (End::Ok, RegisterOp::Write(_)) => Some(RegisterRet::Written),
            (End::Ok, RegisterOp::Cas(..)) => Some(RegisterRet::Swapped(swapped(call, dialect)?)),
            (End::Fail, _) if is_cas && dialect.failed_cas_observes() => Some(RegisterRet::Swapped(false)),
            (End::Fail, _) | (End::Info, RegisterOp::Read) => return Ok(None),
            (End::Info, RegisterOp::Write(_) | RegisterOp::Cas(..)) => None,
        };
        Ok(Some((op, ret)))
    }
}

fn cas<V: Datum>(argument: &Value) -> Result<RegisterOp<V>, String> {
    let pair = || match argument.as_list()? {
        [old, new] => Some(RegisterOp::Cas(optional(old, "").ok()?, datum(new, "").ok()?)),
        _ => None,
    };
    pair().ok_or_else(|| format!("a cas has [expected, new] as its argument, not {argument}"))
}

/// Whether a compare-and-set that is ok took effect. Others than this project repeat its argument, or say nothing.
fn swapped(call: &Call, dialect: Dialect) -> Result<bool, String> {
    match (call.result.as_bool(), dialect) {
        (Some(swapped), _) => Ok(swapped),
        (None, Dialect::Knossos | Dialect::Porcupine) => Ok(true),
        (None, Dialect::Native) if call.result == call.argument => Ok(true),
        (None, Dialect::Native) => Err(format!("a cas returns true or false, not {}", call.result)),
    }
}
