//! Transactions, as histories record them.

use crate::history::{Call, End, Log, ReadError, Value};

/// A step of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Appends a value to the list at a key: `[:append x 1]`.
    Append(&'a Value, &'a Value),
    /// Reads the list at a key: `[:r x [1 2]]`; `None` where nobody learned what it returned.
    Read(&'a Value, Option<&'a [Value]>),
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction<'a> {
    /// Who.
    pub process: u64,
    /// The node that was asked, if that was recorded.
    pub node: Option<u64>,
    /// Which of several independent stores it was on, if there are several.
    pub store: Option<&'a Value>,
    /// When it was invoked. Two events at the same time are concurrent.
    pub invoked: u64,
    /// How it ended.
    pub end: End,
    /// When it returned; without meaning where nobody learned its outcome.
    pub returned: u64,
    /// What it did, in order.
    pub steps: Vec<Step<'a>>,
    /// The line of its invocation, from 1; 0 where there is none.
    pub line: usize,
}

impl Transaction<'_> {
    /// When it returned, if it took effect and somebody learned that.
    pub(crate) fn returned_ok(&self) -> Option<u64> {
        (self.end == End::Ok).then_some(self.returned.max(self.invoked))
    }
}

/// The transactions of a history: `txn` with steps `[append key value]` and `[r key nil]`, and as the result the same steps with what
/// was read. A list of which nothing was ever appended reads as nil, or as empty.
///
/// # Errors
/// The first call that is no such transaction.
pub fn transactions(log: &Log) -> Result<Vec<Transaction<'_>>, ReadError> {
    let of = |call| {
        transaction(call).map_err(|reason| {
            let line = call.line;
            ReadError { line, reason }
        })
    };
    log.calls.iter().map(of).collect()
}

fn transaction(call: &Call) -> Result<Transaction<'_>, String> {
    if &*call.f != "txn" {
        return Err(crate::vocabulary::unknown_operation(
            "list-append",
            &call.f,
            &["txn"],
        ));
    }
    let asked = steps(&call.argument)?;
    let mut made = Vec::with_capacity(asked.len());
    match call.end {
        End::Ok => {
            let answered = steps(&call.result)?;
            if answered.len() != asked.len() {
                return Err(other_than_asked(call));
            }
            for (asked, answered) in asked.iter().zip(answered) {
                let (asked, answered) = (step(asked, false)?, step(answered, true)?);
                let same = match (asked, answered) {
                    (Step::Read(key, _), Step::Read(other, _)) => key == other,
                    (Step::Append(..), Step::Append(..)) => asked == answered,
                    (Step::Read(..), Step::Append(..)) | (Step::Append(..), Step::Read(..)) => false,
                };
                if !same {
                    return Err(other_than_asked(call));
                }
                made.push(answered);
            }
        }
        // What an unfinished transaction is recorded to have read is nothing that somebody learned.
        End::Fail | End::Info => {
            for asked in asked {
                made.push(step(asked, false)?);
            }
        }
    }
    Ok(Transaction {
        process: call.process,
        node: call.node,
        store: call.key.as_ref(),
        invoked: call.invoked,
        end: call.end,
        returned: call.returned,
        steps: made,
        line: call.line,
    })
}

fn other_than_asked(call: &Call) -> String {
    format!(
        "the transaction {} returned as another one, {}",
        call.argument, call.result
    )
}

fn steps(value: &Value) -> Result<&[Value], String> {
    value.as_list().ok_or_else(|| {
        format!("a transaction is a list of steps such as [append x 1] and [r x null], not {value}")
    })
}

fn step(value: &Value, is_answered: bool) -> Result<Step<'_>, String> {
    let wrong = || format!("a step is [append key value] or [r key list], not {value}");
    let Some([f, key, argument]) = value.as_list() else {
        return Err(wrong());
    };
    match f.as_name() {
        Some("append") if !argument.is_null() => Ok(Step::Append(key, argument)),
        Some("append") => Err(format!("an append needs a value, and {value} has none")),
        Some("r" | "read") if !is_answered => Ok(Step::Read(key, None)),
        Some("r" | "read") => match argument {
            Value::Null => Ok(Step::Read(key, Some(&[]))),
            Value::List(list) => Ok(Step::Read(key, Some(list))),
            Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Word(_) | Value::Map(_) => Err(format!(
                "a read returns a list of what was appended, not {argument}"
            )),
        },
        Some(_) | None => Err(wrong()),
    }
}
