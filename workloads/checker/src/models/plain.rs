//! A register with read and write alone.

use super::register::{CasRegister, RegisterOp, RegisterRet};
use crate::history::{Call, Value};
use crate::linear::{Kind, RegisterCall, RegisterCalls};
use crate::model::Model;
use crate::vocabulary::{Datum, Dialect, Meaning, Vocabulary, unknown_operation};
use stateright::semantics::SequentialSpec;

/// A [`CasRegister`] whose histories have no compare-and-set: one is an error, where it would be a call of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register<V = u64>(pub CasRegister<V>);

impl<V> Default for Register<V> {
    fn default() -> Self {
        Register(CasRegister::default())
    }
}

impl<V: Datum> SequentialSpec for Register<V> {
    type Op = RegisterOp<V>;
    type Ret = RegisterRet<V>;

    fn invoke(&mut self, op: &RegisterOp<V>) -> RegisterRet<V> {
        self.0.invoke(op)
    }
}

impl<V: Datum> Model for Register<V> {
    const TELLS_REASONS: bool = true;

    fn kind() -> Option<Kind<Self>> {
        Some(Kind::register())
    }

    fn is_read_only(op: &RegisterOp<V>, ret: &RegisterRet<V>) -> bool {
        CasRegister::is_read_only(op, ret)
    }

    fn is_always_legal(op: &RegisterOp<V>, ret: &RegisterRet<V>) -> bool {
        CasRegister::is_always_legal(op, ret)
    }

    fn overwrites(op: &RegisterOp<V>, ret: Option<&RegisterRet<V>>) -> bool {
        CasRegister::overwrites(op, ret)
    }

    fn produces(op: &RegisterOp<V>, ret: Option<&RegisterRet<V>>) -> Option<u64> {
        CasRegister::produces(op, ret)
    }

    fn observes(op: &RegisterOp<V>, ret: Option<&RegisterRet<V>>, seen: &mut Vec<u64>) {
        CasRegister::observes(op, ret, seen);
    }

    fn misses(op: &RegisterOp<V>, ret: Option<&RegisterRet<V>>) -> Option<u64> {
        CasRegister::misses(op, ret)
    }

    fn takes_away(op: &RegisterOp<V>, ret: Option<&RegisterRet<V>>, thing: u64) -> bool {
        CasRegister::takes_away(op, ret, thing)
    }

    fn describe_op(op: &RegisterOp<V>) -> String {
        CasRegister::describe_op(op)
    }

    fn describe_ret(ret: &RegisterRet<V>) -> String {
        CasRegister::<V>::describe_ret(ret)
    }

    fn describe_state(&self) -> String {
        self.0.describe_state()
    }
}

impl<V: Datum> RegisterCalls for Register<V> {
    type Value = V;

    fn held(&self) -> Option<&V> {
        self.0.held()
    }

    fn register_call<'a>(op: &'a RegisterOp<V>, ret: Option<&'a RegisterRet<V>>) -> RegisterCall<'a, V> {
        CasRegister::register_call(op, ret)
    }
}

impl<V: Datum> Vocabulary for Register<V> {
    const NAME: &'static str = "register";

    fn initial(init: Option<&Value>) -> Result<Self, String> {
        CasRegister::initial(init).map(Register)
    }

    fn call(call: &Call, dialect: Dialect) -> Result<Meaning<Self>, String> {
        match &*call.f {
            "read" | "write" => CasRegister::call(call, dialect),
            other => Err(unknown_operation(Self::NAME, other, &["read", "write"])),
        }
    }
}
