//! The value at one key of a key-value store that can append.

use crate::history::{Call, End, Value};
use crate::model::Model;
use crate::vocabulary::{Dialect, Meaning, Vocabulary, unknown_operation};
use stateright::semantics::SequentialSpec;

/// What is at one key; at the beginning nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KvAppend(pub String);

/// A call of a [`KvAppend`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KvOp {
    /// Reads the value.
    Get,
    /// Replaces the value.
    Put(String),
    /// Appends to the value.
    Append(String),
}

/// What a call of a [`KvAppend`] returned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KvRet {
    /// To a get: the value.
    Value(String),
    /// To a put or an append.
    Done,
}

impl SequentialSpec for KvAppend {
    type Op = KvOp;
    type Ret = KvRet;

    fn invoke(&mut self, op: &KvOp) -> KvRet {
        match op {
            KvOp::Get => KvRet::Value(self.0.clone()),
            KvOp::Put(value) => {
                self.0.clone_from(value);
                KvRet::Done
            }
            KvOp::Append(value) => {
                self.0.push_str(value);
                KvRet::Done
            }
        }
    }

    fn is_valid_step(&mut self, op: &KvOp, ret: &KvRet) -> bool {
        match (op, ret) {
            (KvOp::Get, KvRet::Value(value)) => self.0 == *value,
            (KvOp::Get | KvOp::Put(_) | KvOp::Append(_), _) => self.invoke(op) == *ret,
        }
    }
}

impl Model for KvAppend {
    fn is_read_only(op: &KvOp, _: &KvRet) -> bool {
        match op {
            KvOp::Get => true,
            KvOp::Append(value) => value.is_empty(),
            KvOp::Put(_) => false,
        }
    }

    fn describe_op(op: &KvOp) -> String {
        match op {
            KvOp::Get => String::from("get"),
            KvOp::Put(value) => format!("put {value:?}"),
            KvOp::Append(value) => format!("append {value:?}"),
        }
    }

    fn describe_ret(ret: &KvRet) -> String {
        match ret {
            KvRet::Value(value) => format!("{value:?}"),
            KvRet::Done => String::from("ok"),
        }
    }

    fn describe_state(&self) -> String {
        format!("{:?}", self.0)
    }
}

impl Vocabulary for KvAppend {
    const NAME: &'static str = "kv-append";

    fn initial(init: Option<&Value>) -> Result<Self, String> {
        init.map_or(Ok(String::new()), |init| text(init, "a key begins with"))
            .map(KvAppend)
    }

    fn call(call: &Call, dialect: Dialect) -> Result<Meaning<Self>, String> {
        let op = match &*call.f {
            "get" => KvOp::Get,
            "put" => KvOp::Put(text(&call.argument, "a put has")?),
            "append" => KvOp::Append(text(&call.argument, "an append has")?),
            other => return Err(unknown_operation(Self::NAME, other, &["get", "put", "append"])),
        };
        Ok(match (call.end, &op) {
            (End::Fail, _) | (End::Info, KvOp::Get) => None,
            (End::Info, KvOp::Put(_) | KvOp::Append(_)) => Some((op, None)),
            (End::Ok, KvOp::Put(_) | KvOp::Append(_)) => Some((op, Some(KvRet::Done))),
            (End::Ok, KvOp::Get) if call.result.is_null() && dialect.nil_says_nothing() => None,
            (End::Ok, KvOp::Get) if call.result.is_null() => Some((op, Some(KvRet::Value(String::new())))),
            (End::Ok, KvOp::Get) => {
                let value = text(&call.result, "a get returns")?;
                Some((op, Some(KvRet::Value(value))))
            }
        })
    }
}

fn text(value: &Value, what: &str) -> Result<String, String> {
    let text = value.as_text().map(str::to_owned);
    text.ok_or_else(|| format!("{what} a string, not {value}"))
}
