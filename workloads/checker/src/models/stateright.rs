//! stateright's own specifications, adopted: [`Register`](stateright::semantics::register::Register) and [`Vec`].
//!
//! Their calls are compared by `PartialEq` alone, and a [`Model`]'s by `Eq` and `Hash`; [`Exact`] says that the one is the other.

use crate::linear::{Kind, RegisterCall, RegisterCalls};
use crate::model::Model;
use stateright::semantics::SequentialSpec;
use stateright::semantics::register;
use stateright::semantics::vec::{VecOp, VecRet};
use std::fmt::Debug;
use std::hash::Hash;

/// A call or a result whose `PartialEq` is an equivalence.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Exact<T>(pub T);

impl<T: Eq> Eq for Exact<register::RegisterOp<T>> {}
impl<T: Eq> Eq for Exact<register::RegisterRet<T>> {}
impl<T: Eq> Eq for Exact<VecOp<T>> {}
impl<T: Eq> Eq for Exact<VecRet<T>> {}

/// stateright's register.
#[derive(Clone, Debug, Default, PartialEq, Hash)]
pub struct Register<T>(pub register::Register<T>);

impl<T: Eq> Eq for Register<T> {}

impl<T: Clone + Debug + PartialEq> SequentialSpec for Register<T> {
    type Op = Exact<register::RegisterOp<T>>;
    type Ret = Exact<register::RegisterRet<T>>;

    fn invoke(&mut self, op: &Self::Op) -> Self::Ret {
        Exact(self.0.invoke(&op.0))
    }

    fn is_valid_step(&mut self, op: &Self::Op, ret: &Self::Ret) -> bool {
        self.0.is_valid_step(&op.0, &ret.0)
    }
}

impl<T: Clone + Debug + Eq + Hash> Model for Register<T> {
    fn kind() -> Option<Kind<Self>> {
        Some(Kind::register())
    }

    fn is_read_only(op: &Self::Op, _: &Self::Ret) -> bool {
        op.0 == register::RegisterOp::Read
    }

    fn is_always_legal(op: &Self::Op, ret: &Self::Ret) -> bool {
        Self::overwrites(op, Some(ret))
    }

    fn overwrites(op: &Self::Op, ret: Option<&Self::Ret>) -> bool {
        matches!(op.0, register::RegisterOp::Write(_))
            && ret.is_none_or(|ret| ret.0 == register::RegisterRet::WriteOk)
    }
}

impl<T: Clone + Debug + Eq + Hash> RegisterCalls for Register<T> {
    type Value = T;

    fn held(&self) -> Option<&T> {
        Some(&self.0.0)
    }

    fn register_call<'a>(op: &'a Self::Op, ret: Option<&'a Self::Ret>) -> RegisterCall<'a, T> {
        use register::{RegisterOp, RegisterRet};
        match (&op.0, ret.map(|ret| &ret.0)) {
            (RegisterOp::Read, Some(RegisterRet::ReadOk(value))) => RegisterCall::Read(Some(value)),
            (RegisterOp::Read, None) => RegisterCall::Nothing,
            (RegisterOp::Write(value), Some(RegisterRet::WriteOk) | None) => RegisterCall::Write(value),
            (RegisterOp::Read | RegisterOp::Write(_), Some(_)) => RegisterCall::Other,
        }
    }
}

/// stateright's vector: push, pop, len.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vector<T>(pub Vec<T>);

impl<T: Clone + PartialEq> SequentialSpec for Vector<T> {
    type Op = Exact<VecOp<T>>;
    type Ret = Exact<VecRet<T>>;

    fn invoke(&mut self, op: &Self::Op) -> Self::Ret {
        Exact(self.0.invoke(&op.0))
    }

    fn is_valid_step(&mut self, op: &Self::Op, ret: &Self::Ret) -> bool {
        self.0.is_valid_step(&op.0, &ret.0)
    }
}

impl<T: Clone + Debug + Eq + Hash> Model for Vector<T> {}
