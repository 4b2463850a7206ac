//! The native history: one JSON object a line, in time order.
//!
//! ```text
//! {"rustyraft-history":1,"workload":"register"}
//! {"time":1200300,"process":4,"type":"invoke","f":"cas","key":7,"value":[1,2],"node":2,"intended":1200000}
//! {"time":1500700,"process":4,"type":"ok","f":"cas","key":7,"value":true}
//! {"time":1700000,"process":"nemesis","type":"info","f":"kill start","value":"leader n1"}
//! ```
//!
//! Times are nanoseconds since the run began. An invocation and its completion are lines of their own, so that every prefix of a
//! history is a history: what is open at the end of it may or may not have happened. `ok` took effect between invocation and
//! completion; `fail` did not happen; `info` may take effect at any later time or never, and its process invokes nothing more.

use rustc_hash::FxHashMap;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize as Derive, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The version of the format that this build writes and reads.
pub const FORMAT: u32 = 1;

/// The first line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Derive)]
pub struct Header {
    /// The version of the format.
    #[serde(rename = "rustyraft-history")]
    pub format: u32,
    /// The workload that made the history, by name; it knows which model judges it.
    pub workload: String,
}

/// What a line says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Derive)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An operation was invoked.
    Invoke,
    /// It took effect.
    Ok,
    /// It did not happen.
    Fail,
    /// It may take effect at any later time, or never; or a remark.
    Info,
}

/// An argument or a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Int(u64),
    /// Words.
    Text(String),
    /// Several.
    List(Vec<Value>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Text(value) => write!(f, "{value:?}"),
            Value::List(values) => {
                f.write_str("[")?;
                for (place, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if place == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("null, a truth value, a whole number from 0, words, or a list of those")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(Value::Int(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = values.next_element()? {
                    list.push(value);
                }
                Ok(Value::List(list))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Who a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// A client process. One that ended with `info` never comes back.
    Client(u64),
    /// Whoever injects faults.
    Nemesis,
}

impl Serialize for Process {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Process::Client(process) => serializer.serialize_u64(*process),
            Process::Nemesis => serializer.serialize_str("nemesis"),
        }
    }
}

impl<'de> Deserialize<'de> for Process {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Process, D::Error> {
        struct Who;
        impl Visitor<'_> for Who {
            type Value = Process;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a process: a whole number from 0, or \"nemesis\"")
            }

            fn visit_u64<E>(self, process: u64) -> Result<Process, E> {
                Ok(Process::Client(process))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Process, E> {
                if name == "nemesis" {
                    Ok(Process::Nemesis)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(name), &self))
                }
            }
        }
        deserializer.deserialize_any(Who)
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Derive)]
#[serde(deny_unknown_fields)]
pub struct Record<'a> {
    /// Nanoseconds since the run began.
    pub time: u64,
    /// Who.
    pub process: Process,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The operation's name.
    #[serde(borrow)]
    pub f: Cow<'a, str>,
    /// The object that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u64>,
    /// The argument of an invocation, the result of a completion.
    #[serde(default)]
    pub value: Value,
    /// Why it failed, or why nobody knows.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'a, str>>,
    /// The node that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<u64>,
    /// When it was to be invoked, where that is not when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intended: Option<u64>,
}

impl Header {
    /// The first line of a history of `workload`.
    pub fn new(workload: &str) -> Header {
        Header {
            format: FORMAT,
            workload: workload.to_owned(),
        }
    }

    /// Appends the line, its end included, to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_line(self, out);
    }
}

impl Record<'_> {
    /// Appends the line, its end included, to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_line(self, out);
    }
}

fn write_line<T: Serialize>(line: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, line)
        .expect("a line has string keys, and memory takes all that is written");
    out.push(b'\n');
}

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
    pub key: Option<u64>,
    /// The argument.
    pub argument: Value,
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
    /// The first line; `None` if the history is empty.
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

impl Log {
    /// Reads a history.
    ///
    /// A last line without its end that is no record is the mark of an interrupted run: a warning. What is open at the end ended
    /// with [`End::Info`].
    ///
    /// # Errors
    /// A line is no record; times run backwards; a completion has no invocation; a process invokes twice at once, or again after
    /// it ended with `info`.
    pub fn read(bytes: &[u8]) -> Result<Log, ReadError> {
        let mut reader = Reader::default();
        let mut rest = bytes;
        let mut line = 0;
        while !rest.is_empty() {
            line += 1;
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (text, whole) = (&rest[..end.unwrap_or(rest.len())], end.is_some());
            rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
            match reader.take(line, text) {
                Ok(()) => {}
                Err(Problem::NoRecord(_)) if !whole && line > 1 => {
                    let warning = format!("line {line}: the last line is torn; the run was interrupted");
                    reader.log.warnings.push(warning);
                }
                Err(Problem::NoRecord(reason) | Problem::Disorder(reason)) => {
                    return Err(ReadError { line, reason });
                }
            }
        }
        Ok(reader.log)
    }
}

/// What is wrong with a line.
enum Problem {
    /// It is no record: at the end of a file it may be a torn one.
    NoRecord(String),
    /// It is a record that can't stand here.
    Disorder(String),
}

#[derive(Default)]
struct Reader {
    log: Log,
    /// The open call of each process, or `None` once it ended with `info`.
    processes: FxHashMap<u64, Option<usize>>,
    /// Names that were met; a history has few.
    names: Vec<Arc<str>>,
    time: u64,
}

impl Reader {
    fn take(&mut self, line: usize, text: &[u8]) -> Result<(), Problem> {
        let text = std::str::from_utf8(text).map_err(|_| {
            Problem::NoRecord(String::from(
                "this is not text; a history is JSON, one record a line",
            ))
        })?;
        if line == 1 {
            return self.take_header(text);
        }
        if text.trim().is_empty() {
            return Ok(());
        }
        let record: Record<'_> =
            serde_json::from_str(text).map_err(|error| Problem::NoRecord(words(&error)))?;
        if record.time < self.time {
            let reason = format!("time runs backwards, from {} to {} ns", self.time, record.time);
            return Err(Problem::Disorder(reason));
        }
        self.time = record.time;
        match (record.process, record.kind) {
            (Process::Nemesis, _) => {
                let value = match record.value {
                    Value::Text(text) => text,
                    other @ (Value::Null | Value::Bool(_) | Value::Int(_) | Value::List(_)) => {
                        other.to_string()
                    }
                };
                self.log.remarks.push(Remark {
                    time: record.time,
                    f: record.f.into_owned(),
                    value,
                });
                Ok(())
            }
            (Process::Client(process), Kind::Invoke) => self.invoke(line, process, record),
            (Process::Client(process), Kind::Ok) => self.complete(process, End::Ok, record),
            (Process::Client(process), Kind::Fail) => self.complete(process, End::Fail, record),
            (Process::Client(process), Kind::Info) => self.complete(process, End::Info, record),
        }
    }

    fn take_header(&mut self, text: &str) -> Result<(), Problem> {
        let header: Header = serde_json::from_str(text).map_err(|_| {
            let expected = "expected {\"rustyraft-history\":1,\"workload\":…}";
            Problem::NoRecord(format!("this is no history of this project: {expected}"))
        })?;
        if header.format != FORMAT {
            let reason = format!(
                "format {} is unknown; this build reads format {FORMAT}",
                header.format
            );
            return Err(Problem::Disorder(reason));
        }
        self.log.header = Some(header);
        Ok(())
    }

    fn invoke(&mut self, line: usize, process: u64, record: Record<'_>) -> Result<(), Problem> {
        match self.processes.get(&process) {
            Some(Some(call)) => {
                let open = self.log.calls[*call].line;
                let reason =
                    format!("process {process} invokes again; its call of line {open} is still open");
                return Err(Problem::Disorder(reason));
            }
            Some(None) => {
                let reason = format!("process {process} invokes again, though it ended with info");
                return Err(Problem::Disorder(reason));
            }
            None => {}
        }
        self.processes.insert(process, Some(self.log.calls.len()));
        let f = self.name(&record.f);
        self.log.calls.push(Call {
            process,
            node: record.node,
            f,
            key: record.key,
            argument: record.value,
            invoked: record.time,
            end: End::Info,
            returned: u64::MAX,
            result: Value::Null,
            line,
        });
        Ok(())
    }

    fn complete(&mut self, process: u64, end: End, record: Record<'_>) -> Result<(), Problem> {
        let Some(Some(call)) = self.processes.get(&process).copied() else {
            return Err(Problem::Disorder(format!(
                "process {process} completes {}, which it did not invoke",
                record.f
            )));
        };
        let open = &mut self.log.calls[call];
        if *open.f != *record.f {
            let reason = format!(
                "process {process} completes {}, but it invoked {}",
                record.f, open.f
            );
            return Err(Problem::Disorder(reason));
        }
        (open.end, open.returned, open.result) = (end, record.time, record.value);
        match end {
            End::Ok | End::Fail => self.processes.remove(&process),
            End::Info => self.processes.insert(process, None),
        };
        Ok(())
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.iter().find(|known| ***known == *name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = Arc::from(name);
        self.names.push(Arc::clone(&name));
        name
    }
}

/// What serde has to say, without its own count of lines.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let cut = text.rfind(" at line ").unwrap_or(text.len());
    format!("{} (column {})", &text[..cut], error.column())
}
