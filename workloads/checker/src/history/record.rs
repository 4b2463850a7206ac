//! The lines of a native history, as they are written and read.

use super::Value;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Deserialize as Derive, Serialize};
use std::borrow::Cow;
use std::fmt;

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
    pub key: Option<Value>,
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
