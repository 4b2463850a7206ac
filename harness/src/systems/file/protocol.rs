//! What a client process is asked, and what it answers: one line of JSON each, as the example beside `file` explains.

use crate::client::{MISANSWERED, UNREADABLE};
use crate::systems::Refusal;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Number, Value};
use workloads::{ACCOUNTS, Op, Ret, Step, piece};

/// What is asked.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub(super) enum Question {
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
        value: u64,
    },
    Add {
        key: u64,
        amount: i64,
    },
    Count {
        key: u64,
    },
    Insert {
        key: u64,
        value: u64,
    },
    Elements {
        key: u64,
    },
    Enqueue {
        key: u64,
        value: u64,
    },
    Dequeue {
        key: u64,
    },
    AppendOnce {
        key: u64,
        value: u64,
    },
    List {
        key: u64,
    },
    Transaction {
        key: u64,
        steps: Vec<AskedStep>,
    },
    Transfer {
        key: u64,
        from: u64,
        to: u64,
        amount: i64,
    },
    Balances {
        key: u64,
    },
    Generate {
        key: u64,
    },
    Acquire {
        key: u64,
        owner: u64,
    },
    Release {
        key: u64,
        owner: u64,
    },
    Leader,
}

/// A step of a transaction.
#[derive(Debug, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub(super) enum AskedStep {
    Read { cell: u64 },
    Write { cell: u64, value: u64 },
    List { cell: u64 },
    Append { cell: u64, value: u64 },
}

impl From<&Op> for Question {
    fn from(op: &Op) -> Question {
        match *op {
            Op::Read { key } => Question::Read { key },
            Op::Write { key, value } => Question::Write { key, value },
            Op::Cas { key, expected, new } => Question::Cas {
                key,
                expected,
                value: new,
            },
            Op::Add { key, amount } => Question::Add { key, amount },
            Op::Count { key } => Question::Count { key },
            Op::Insert { key, element } => Question::Insert { key, value: element },
            Op::Elements { key } => Question::Elements { key },
            Op::Enqueue { key, value } => Question::Enqueue { key, value },
            Op::Dequeue { key } => Question::Dequeue { key },
            Op::AppendOnce { key, piece, .. } => Question::AppendOnce { key, value: piece },
            Op::Text { key } => Question::List { key },
            Op::Transaction { key, ref steps } => Question::Transaction {
                key,
                steps: steps.iter().map(AskedStep::from).collect(),
            },
            Op::Transfer {
                key,
                from,
                to,
                amount,
            } => Question::Transfer {
                key,
                from,
                to,
                amount,
            },
            Op::Balances { key } => Question::Balances { key },
            Op::Generate { key } => Question::Generate { key },
            Op::Acquire { key, owner } => Question::Acquire { key, owner },
            Op::Release { key, owner } => Question::Release { key, owner },
        }
    }
}

impl From<&Step> for AskedStep {
    fn from(step: &Step) -> AskedStep {
        match *step {
            Step::Read { cell, .. } => AskedStep::Read { cell },
            Step::Write { cell, value } => AskedStep::Write { cell, value },
            Step::ReadList { cell, .. } => AskedStep::List { cell },
            Step::Append { cell, value } => AskedStep::Append { cell, value },
        }
    }
}

/// What the process says.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Line {
    Ready,
    Ok(Box<Found>),
    Fail { reason: Option<String> },
    Info { reason: Option<String> },
}

/// What it has done or found.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Found {
    /// What there was; null for nothing.
    #[serde(deserialize_with = "told")]
    value: Option<Option<Number>>,
    values: Option<Vec<Number>>,
    /// For each step of a transaction what it found: a number, null or a list.
    found: Option<Vec<Value>>,
    /// Whether a compare-and-set took effect.
    swapped: Option<bool>,
    /// Of a lock that was taken; null if it could not be.
    #[serde(deserialize_with = "told")]
    token: Option<Option<Number>>,
    /// Whether a lock was given back.
    released: Option<bool>,
    /// Who leads; null if nobody is known to.
    #[serde(deserialize_with = "told")]
    leader: Option<Option<Number>>,
    /// In which term.
    term: Option<u64>,
}

/// Tells what is null from what is missing.
fn told<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<Number>>, D::Error> {
    Option::<Number>::deserialize(from).map(Some)
}

/// What an operation returned that was answered so.
pub(super) fn returned(op: &Op, line: Line) -> Result<Ret, Refusal> {
    let misanswered = || Refusal::Indefinite(MISANSWERED.to_owned());
    match line {
        Line::Ok(found) => found.returned(op).ok_or_else(misanswered),
        Line::Fail { reason } => Err(Refusal::Definite(reason_of(reason))),
        Line::Info { reason } => Err(Refusal::Indefinite(reason_of(reason))),
        Line::Ready => Err(misanswered()),
    }
}

impl Found {
    /// It as an answer to `op`; `None` if it is none.
    fn returned(self, op: &Op) -> Option<Ret> {
        match op {
            Op::Read { .. } | Op::Dequeue { .. } => {
                self.value.map(|value| Ret::Value(value.as_ref().map(readable)))
            }
            Op::Write { .. }
            | Op::Add { .. }
            | Op::Enqueue { .. }
            | Op::Insert { .. }
            | Op::AppendOnce { .. }
            | Op::Transfer { .. } => Some(Ret::Written),
            Op::Cas { .. } => self.swapped.map(Ret::Swapped),
            Op::Count { .. } => Some(Ret::Count(whole(&self.value??))),
            Op::Elements { .. } => self.numbers().map(Ret::Elements),
            Op::Text { .. } => {
                let pieces = self.numbers()?.into_iter().map(piece);
                Some(Ret::Text(pieces.collect()))
            }
            Op::Transaction { steps, .. } => {
                let found = self.found?;
                let all = steps.len() == found.len();
                let taken: Option<Vec<Step>> = all.then(|| steps.iter().zip(&found).map(taken).collect())?;
                taken.map(Ret::Steps)
            }
            Op::Balances { .. } => self
                .values
                .filter(|balances| balances.len() as u64 == ACCOUNTS)
                .map(|balances| Ret::Balances(balances.iter().map(whole).collect())),
            Op::Generate { .. } => Some(Ret::Id(readable(&self.value??))),
            Op::Acquire { .. } => self.token.map(|token| Ret::Token(token.as_ref().map(readable))),
            Op::Release { .. } => self.released.map(Ret::Released),
        }
    }

    fn numbers(&self) -> Option<Vec<u64>> {
        self.values
            .as_ref()
            .map(|values| values.iter().map(readable).collect())
    }

    /// Who leads, if anybody does, and in which term; `None` if it does not say.
    pub(super) fn leader(&self) -> Option<(Option<u64>, u64)> {
        let leader = self.leader.as_ref()?.as_ref().map(readable);
        Some((leader, self.term?))
    }
}

/// A step with what it found; `None` if it found nothing of the kind.
fn taken((step, found): (&Step, &Value)) -> Option<Step> {
    let number = |value: &Value| {
        if let Value::Number(number) = value {
            Some(readable(number))
        } else {
            None
        }
    };
    match step {
        Step::Read { cell, .. } if found.is_null() => Some(Step::Read {
            cell: *cell,
            found: None,
        }),
        Step::Read { cell, .. } => Some(Step::Read {
            cell: *cell,
            found: Some(number(found)?),
        }),
        Step::ReadList { cell, .. } => {
            let list: Option<Vec<u64>> = found.as_array()?.iter().map(number).collect();
            Some(Step::ReadList {
                cell: *cell,
                found: Some(list?),
            })
        }
        Step::Write { .. } | Step::Append { .. } => found.is_null().then(|| step.clone()),
    }
}

/// A value as it can be recorded.
fn readable(value: &Number) -> u64 {
    value.as_u64().map_or(UNREADABLE, |value| value.min(UNREADABLE))
}

/// A sum, or the least number where it is none that could be one.
fn whole(value: &Number) -> i64 {
    value.as_i64().unwrap_or(i64::MIN)
}

pub(super) fn reason_of(reason: Option<String>) -> String {
    reason.unwrap_or_else(|| String::from("the client gives no reason"))
}

#[cfg(test)]
mod tests;
