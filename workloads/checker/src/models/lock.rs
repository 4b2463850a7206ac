//! Locks: one that anybody may release, and one that knows its owner and hands out fencing tokens.

use crate::history::{Call, End, Value};
use crate::model::Model;
use crate::vocabulary::{Dialect, Meaning, Vocabulary, unknown_operation};
use stateright::semantics::SequentialSpec;

/// The names of both operations, for messages.
const KNOWN: [&str; 2] = ["acquire", "release"];

/// A lock that is held (`true`) or free; whoever releases it need not be who acquired it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mutex(pub bool);

/// A call of a [`Mutex`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MutexOp {
    /// Takes the lock if it is free.
    Acquire,
    /// Gives it back if it is held.
    Release,
}

impl SequentialSpec for Mutex {
    type Op = MutexOp;
    /// Whether the call had its way.
    type Ret = bool;

    fn invoke(&mut self, op: &MutexOp) -> bool {
        let wanted = matches!(op, MutexOp::Acquire);
        std::mem::replace(&mut self.0, wanted) != wanted
    }
}

impl Model for Mutex {
    fn is_read_only(_: &MutexOp, done: &bool) -> bool {
        !done
    }

    fn describe_op(op: &MutexOp) -> String {
        let name = match op {
            MutexOp::Acquire => "acquire",
            MutexOp::Release => "release",
        };
        name.to_owned()
    }

    fn describe_ret(done: &bool) -> String {
        String::from(if *done { "ok" } else { "refused" })
    }

    fn describe_state(&self) -> String {
        String::from(if self.0 { "held" } else { "free" })
    }
}

impl Vocabulary for Mutex {
    const NAME: &'static str = "mutex";

    fn initial(init: Option<&Value>) -> Result<Self, String> {
        match init {
            None => Ok(Mutex(false)),
            Some(Value::Bool(held)) => Ok(Mutex(*held)),
            Some(other) => Err(format!("a mutex begins as true (held) or false, not as {other}")),
        }
    }

    fn call(call: &Call, _: Dialect) -> Result<Meaning<Self>, String> {
        let op = match &*call.f {
            "acquire" => MutexOp::Acquire,
            "release" => MutexOp::Release,
            other => return Err(unknown_operation(Self::NAME, other, &KNOWN)),
        };
        Ok(match (call.end, &call.result) {
            (End::Fail, _) => None,
            (End::Info, _) => Some((op, None)),
            (End::Ok, Value::Bool(done)) => Some((op, Some(*done))),
            (End::Ok, _) => Some((op, Some(true))),
        })
    }
}

/// A lock that only its owner releases. Each time it is acquired it hands out a token larger than all before, so that whatever it
/// guards can refuse an owner of old (*fencing*).
///
/// An owner is the number that is the argument of a call, where there is one, and otherwise the process that makes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencedLock {
    /// Who holds it.
    pub owner: Option<u64>,
    /// A token that no token handed out so far is larger than.
    pub token: u64,
}

/// A call of a [`FencedLock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockOp {
    /// The process takes the lock if it is free.
    Acquire(u64),
    /// The process gives it back if it holds it.
    Release(u64),
}

/// What a call of a [`FencedLock`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockRet {
    /// It was acquired or released; no token was recorded.
    Done,
    /// It was acquired with this token.
    Token(u64),
    /// It could not be acquired, or was not the caller's to release.
    Refused,
}

impl SequentialSpec for FencedLock {
    type Op = LockOp;
    type Ret = LockRet;

    /// Hands out the least token that may be; [`SequentialSpec::is_valid_step`] knows of the others.
    fn invoke(&mut self, op: &LockOp) -> LockRet {
        match *op {
            LockOp::Acquire(owner) if self.owner.is_none() => {
                self.owner = Some(owner);
                self.token = self.token.saturating_add(1);
                LockRet::Token(self.token)
            }
            LockOp::Release(owner) if self.owner == Some(owner) => {
                self.owner = None;
                LockRet::Done
            }
            LockOp::Acquire(_) | LockOp::Release(_) => LockRet::Refused,
        }
    }

    fn is_valid_step(&mut self, op: &LockOp, ret: &LockRet) -> bool {
        let before = self.token;
        match (self.invoke(op), ret) {
            (LockRet::Token(_), LockRet::Token(token)) => {
                self.token = *token;
                *token > before
            }
            // Some token was handed out: the least that may be forbids no more than any larger one.
            (LockRet::Token(_), LockRet::Done) => true,
            (found, ret) => found == *ret,
        }
    }
}

impl Model for FencedLock {
    fn is_read_only(_: &LockOp, ret: &LockRet) -> bool {
        *ret == LockRet::Refused
    }

    fn describe_op(op: &LockOp) -> String {
        match op {
            LockOp::Acquire(owner) => format!("acquire by {owner}"),
            LockOp::Release(owner) => format!("release by {owner}"),
        }
    }

    fn describe_ret(ret: &LockRet) -> String {
        match ret {
            LockRet::Done => String::from("ok"),
            LockRet::Token(token) => format!("token {token}"),
            LockRet::Refused => String::from("refused"),
        }
    }

    fn describe_state(&self) -> String {
        let owner = self
            .owner
            .map_or_else(|| String::from("free"), |owner| format!("held by {owner}"));
        format!("{owner}, tokens up to {}", self.token)
    }
}

impl Vocabulary for FencedLock {
    const NAME: &'static str = "fenced-lock";

    fn initial(init: Option<&Value>) -> Result<Self, String> {
        let token = match init {
            None => 0,
            Some(init) => init.as_number().ok_or_else(|| {
                format!("a lock begins with its last token, a number from 0, not with {init}")
            })?,
        };
        Ok(FencedLock { owner: None, token })
    }

    fn call(call: &Call, _: Dialect) -> Result<Meaning<Self>, String> {
        let owner = call.argument.as_number().unwrap_or(call.process);
        let op = match &*call.f {
            "acquire" => LockOp::Acquire(owner),
            "release" => LockOp::Release(owner),
            other => return Err(unknown_operation(Self::NAME, other, &KNOWN)),
        };
        let ret = match (call.end, &call.result) {
            (End::Fail, _) => return Ok(None),
            (End::Info, _) => None,
            (End::Ok, Value::Bool(false)) => Some(LockRet::Refused),
            (End::Ok, result) => match (op, result.as_number()) {
                (LockOp::Acquire(_), Some(token)) => Some(LockRet::Token(token)),
                (LockOp::Acquire(_) | LockOp::Release(_), _) => Some(LockRet::Done),
            },
        };
        Ok(Some((op, ret)))
    }
}
