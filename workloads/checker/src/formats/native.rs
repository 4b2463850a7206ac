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

use crate::history::{Call, End, FORMAT, Header, Kind, Log, Process, ReadError, Record, Remark, Value};
use rustc_hash::FxHashMap;
use std::sync::Arc;

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
                    Value::Text(text) => text.into_string(),
                    other @ (Value::Null
                    | Value::Bool(_)
                    | Value::Int(_)
                    | Value::Word(_)
                    | Value::List(_)
                    | Value::Map(_)) => other.to_string(),
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
