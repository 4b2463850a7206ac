//! A counter.

use crate::history::{Call, End, Value};
use crate::model::Model;
use crate::vocabulary::{Dialect, Meaning, Vocabulary, unknown_operation};
use stateright::semantics::SequentialSpec;

/// A counter, by its value; it wraps around at 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counter(pub i64);

/// A call of a [`Counter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CounterOp {
    /// Adds, what may be negative too.
    Add(i64),
    /// Reads.
    Read,
}

/// What a call of a [`Counter`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CounterRet {
    /// To an add.
    Added,
    /// To a read: the value.
    Value(i64),
}

impl SequentialSpec for Counter {
    type Op = CounterOp;
    type Ret = CounterRet;

    fn invoke(&mut self, op: &CounterOp) -> CounterRet {
        match op {
            CounterOp::Add(amount) => {
                self.0 = self.0.wrapping_add(*amount);
                CounterRet::Added
            }
            CounterOp::Read => CounterRet::Value(self.0),
        }
    }
}

impl Model for Counter {
    fn is_always_legal(op: &CounterOp, _: &CounterRet) -> bool {
        matches!(op, CounterOp::Add(_))
    }

    fn is_read_only(op: &CounterOp, _: &CounterRet) -> bool {
        matches!(op, CounterOp::Read | CounterOp::Add(0))
    }

    fn always_changes(op: &CounterOp, _: &CounterRet) -> bool {
        matches!(op, CounterOp::Add(amount) if *amount != 0)
    }

    fn describe_op(op: &CounterOp) -> String {
        match op {
            CounterOp::Add(amount) => format!("add {amount}"),
            CounterOp::Read => String::from("read"),
        }
    }

    fn describe_ret(ret: &CounterRet) -> String {
        match ret {
            CounterRet::Added => String::from("ok"),
            CounterRet::Value(value) => value.to_string(),
        }
    }

    fn describe_state(&self) -> String {
        self.0.to_string()
    }
}

impl Vocabulary for Counter {
    const NAME: &'static str = "counter";

    fn initial(init: Option<&Value>) -> Result<Self, String> {
        init.map_or(Ok(0), |init| number(init, "a counter begins with"))
            .map(Counter)
    }

    fn call(call: &Call, dialect: Dialect) -> Result<Meaning<Self>, String> {
        let op = match &*call.f {
            "add" => CounterOp::Add(number(&call.argument, "an add has")?),
            "read" => CounterOp::Read,
            other => return Err(unknown_operation(Self::NAME, other, &["add", "read"])),
        };
        Ok(match (call.end, op) {
            (End::Fail, _) | (End::Info, CounterOp::Read) => None,
            (End::Info, CounterOp::Add(_)) => Some((op, None)),
            (End::Ok, CounterOp::Add(_)) => Some((op, Some(CounterRet::Added))),
            (End::Ok, CounterOp::Read) if call.result.is_null() && dialect.nil_says_nothing() => None,
            (End::Ok, CounterOp::Read) => {
                let value = number(&call.result, "a read returns")?;
                Some((op, Some(CounterRet::Value(value))))
            }
        })
    }
}

fn number(value: &Value, what: &str) -> Result<i64, String> {
    let number = value.as_int();
    number.ok_or_else(|| format!("{what} a whole number, not {value}"))
}
