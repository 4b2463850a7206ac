//! Histories as they are judged: calls, whatever the format that they were recorded in.

mod record;
mod value;

pub use record::{FORMAT, Header, Kind, Process, Record};
pub use value::Value;

use crate::formats::{Format, LogReader};
use std::sync::Arc;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It took effect.
    Ok,
    /// It did not happen.
    Fail,
    /// Nobody knows; what is open at the end of the history is such a call too.
    Info,
}

/// An invocation with its completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who.
    pub process: u64,
    /// The node that was asked.
    pub node: Option<u64>,
    /// The operation's name.
    pub f: Arc<str>,
    /// The object that it is about.
    pub key: Option<Value>,
    /// The argument.
    pub argument: Value,
    /// When it was to be invoked, in nanoseconds since the run began; when it was, where nothing else was recorded.
    pub intended: u64,
    /// When it was invoked, in nanoseconds since the run began.
    pub invoked: u64,
    /// How it ended.
    pub end: End,
    /// When it ended; `u64::MAX` if it is open at the end of the history.
    pub returned: u64,
    /// What it returned.
    pub result: Value,
    /// The line of its invocation, from 1.
    pub line: usize,
}

/// A remark of the nemesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Nanoseconds since the run began.
    pub time: u64,
    /// What it did: `kill start`.
    pub f: String,
    /// To whom.
    pub value: String,
}

/// A history as read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// What it was recorded in.
    pub format: Format,
    /// Whether times are nanoseconds since the run began; otherwise they are the numbers of lines.
    pub timed: bool,
    /// The first line of a native history; `None` in other formats, and if the history is empty.
    pub header: Option<Header>,
    /// The calls, in the order of their invocations.
    pub calls: Vec<Call>,
    /// What the nemesis did, in time order.
    pub remarks: Vec<Remark>,
    /// What is odd, but no error.
    pub warnings: Vec<String>,
}

/// A history that can't be read: where, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ReadError {
    /// From 1.
    pub line: usize,
    /// What is wrong, and what was expected.
    pub reason: String,
}

/// How many characters of a value are shown, and of what is said of one, from the beginning and from the end.
const VALUE_SHOWN_MAX: (usize, usize) = (160, 40);
const REASON_SHOWN_MAX: (usize, usize) = (400, 100);

/// Words for a value of any length, cut to what can be read.
pub(crate) fn short(text: String) -> String {
    cut(text, VALUE_SHOWN_MAX)
}

fn cut(text: String, (beginning, end): (usize, usize)) -> String {
    let characters = text.chars().count();
    if characters <= beginning + end + 1 {
        return text;
    }
    let beginning: String = text.chars().take(beginning).collect();
    let end: String = text.chars().skip(characters - end).collect();
    format!("{beginning}…{end}")
}

impl ReadError {
    /// What is wrong with a line, which may show a value of any length, or a part of the file with any characters: it stays one line.
    pub(crate) fn new(line: usize, reason: String) -> ReadError {
        let mut reason = cut(reason, REASON_SHOWN_MAX);
        if reason.contains(char::is_control) {
            let escaped = reason.chars().map(|character| match character {
                control if control.is_control() => control.escape_default().to_string(),
                other => other.to_string(),
            });
            reason = escaped.collect();
        }
        ReadError { line, reason }
    }
}

impl Log {
    /// Reads a history, whose format it tells itself.
    ///
    /// A last line of a native history that is the beginning of a record, and not all of one, is the mark of an interrupted run: a
    /// warning. What is open at the end ended with [`End::Info`]. Nothing is an empty history.
    ///
    /// # Errors
    /// Something is not what the format has; times of a native history, or of one call, run backwards; a completion has no invocation; a process
    /// invokes twice at once, or again after it ended with `info`.
    pub fn read(bytes: &[u8]) -> Result<Log, ReadError> {
        Log::read_as(bytes, None)
    }

    /// Reads a history in `format`; `None`: the history tells.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub fn read_as(bytes: &[u8], format: Option<Format>) -> Result<Log, ReadError> {
        let mut reader = LogReader::new(format);
        reader.push(bytes)?;
        reader.finish()
    }
}
