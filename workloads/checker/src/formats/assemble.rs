//! From the events of a history to its calls, whatever the format.

use super::tuples::{Tuples, join_event};
use crate::history::{Call, End, Kind, Log, Process, ReadError, Remark, Value};
use memchr::memchr;
use rustc_hash::{FxHashMap, FxHashSet};
use std::borrow::Cow;
use std::sync::Arc;

/// What a line, or a map of EDN, says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    /// The line, from 0 at the beginning of the piece that it was found in.
    pub(crate) line: usize,
    /// When, if that was recorded.
    pub(crate) time: Option<u64>,
    pub(crate) process: Process,
    pub(crate) kind: Kind,
    pub(crate) f: Cow<'a, str>,
    pub(crate) key: Option<Value>,
    /// Whether key and value were a pair that may have been a value.
    pub(crate) is_pair: bool,
    pub(crate) value: Value,
    pub(crate) node: Option<u64>,
    /// When it was to be invoked, if that was recorded.
    pub(crate) intended: Option<u64>,
}

/// What is wrong with the text of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The line, from 0 at the beginning of the piece.
    pub(crate) line: usize,
    /// What is wrong, and what was expected.
    pub(crate) reason: String,
}

/// What a piece of a history holds.
#[derive(Debug, Default)]
pub(crate) struct Batch<'a> {
    /// Its events up to the problem, if there is one.
    pub(crate) events: Vec<Event<'a>>,
    /// How many ends of lines it has.
    pub(crate) lines: usize,
    /// Why it was read no further.
    pub(crate) problem: Option<Problem>,
}

impl<'a> Batch<'a> {
    /// What whole lines hold, the last of which may lack its end, by what each holds by itself.
    pub(crate) fn of_lines(
        mut bytes: &'a [u8],
        event: impl Fn(&'a [u8], usize) -> Result<Option<Event<'a>>, String>,
    ) -> Batch<'a> {
        let mut batch = Batch::default();
        while !bytes.is_empty() {
            let end = memchr(b'\n', bytes);
            match event(&bytes[..end.unwrap_or(bytes.len())], batch.lines) {
                Ok(event) => batch.events.extend(event),
                Err(reason) => {
                    let line = batch.lines;
                    batch.problem = Some(Problem { line, reason });
                    return batch;
                }
            }
            batch.lines += usize::from(end.is_some());
            bytes = &bytes[end.map_or(bytes.len(), |end| end + 1)..];
        }
        batch
    }
}

/// What decides the order of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The times that are recorded; they never run backwards.
    Times,
    /// The order of the lines, as in knossos: times were taken before lines were appended, by many threads at once. Only those of
    /// one call can't run backwards.
    Lines {
        /// Whether events have times; the first of a client decides, or of the nemesis if it has one.
        timed: Option<bool>,
    },
}

/// Joins invocations and completions.
#[derive(Debug)]
pub(crate) struct Assembler {
    pub(crate) log: Log,
    /// How many lines came before the next batch.
    pub(crate) lines: usize,
    order: Order,
    /// The open call of each process, and when that was invoked as recorded; or `None` once it ended with `info`.
    processes: FxHashMap<u64, Option<(usize, Option<u64>)>>,
    /// Names that were met.
    names: FxHashSet<Arc<str>>,
    tuples: Tuples,
    time: u64,
    warned_of_time: bool,
}

impl Assembler {
    pub(crate) fn new(log: Log, order: Order) -> Assembler {
        Assembler {
            log,
            lines: 0,
            order,
            processes: FxHashMap::default(),
            names: FxHashSet::default(),
            tuples: Tuples::new(),
            time: 0,
            warned_of_time: false,
        }
    }

    /// Takes what comes next.
    pub(crate) fn take(&mut self, batch: Batch<'_>) -> Result<(), ReadError> {
        for event in batch.events {
            let line = self.lines + event.line + 1;
            self.event(line, event)
                .map_err(|reason| ReadError::new(line, reason))?;
        }
        if let Some(Problem { line, reason }) = batch.problem {
            let line = self.lines + line + 1;
            return Err(ReadError::new(line, reason));
        }
        self.lines += batch.lines;
        Ok(())
    }

    /// Nothing more comes.
    pub(crate) fn finish(mut self) -> Log {
        self.tuples.finish(&mut self.log.calls);
        self.log
    }

    fn event(&mut self, line: usize, mut event: Event<'_>) -> Result<(), String> {
        self.time = self.moment(line, &event)?;
        match (event.process, event.kind) {
            (Process::Nemesis, _) => {
                join_event(&mut event);
                let value = match event.value {
                    Value::Text(text) => text.into_string(),
                    Value::Null => String::new(),
                    other @ (Value::Bool(_)
                    | Value::Int(_)
                    | Value::Word(_)
                    | Value::List(_)
                    | Value::Map(_)) => other.to_string(),
                };
                let f = event.f.into_owned();
                let time = self.time;
                self.log.remarks.push(Remark { time, f, value });
                Ok(())
            }
            (Process::Client(process), Kind::Invoke) => self.invoke(line, process, event),
            (Process::Client(process), Kind::Ok) => self.complete(process, End::Ok, event),
            (Process::Client(process), Kind::Fail) => self.complete(process, End::Fail, event),
            (Process::Client(process), Kind::Info) => self.complete(process, End::Info, event),
        }
    }

    /// When an event happened, as far as the order of events goes.
    fn moment(&mut self, line: usize, event: &Event<'_>) -> Result<u64, String> {
        let before = self.time;
        let Order::Lines { timed } = &mut self.order else {
            let time = event.time.ok_or("the time is missing")?;
            if time < before {
                return Err(format!("time runs backwards, from {before} to {time} ns"));
            }
            return Ok(time);
        };
        let is_nemesis = matches!(event.process, Process::Nemesis);
        if is_nemesis && (event.time.is_none() || *timed == Some(false)) {
            return Ok(before);
        }
        let timed = *timed.get_or_insert(event.time.is_some());
        self.log.timed = timed;
        let after = before.saturating_add(1);
        match event.time {
            Some(time) if timed => {
                if time < before && !self.warned_of_time {
                    self.warned_of_time = true;
                    self.log.warnings.push(format!(
                        "line {line}: time runs backwards; the order of the lines counts, as in knossos"
                    ));
                }
                Ok(time.max(after))
            }
            None if !timed => Ok(after.max(line as u64)),
            None => Err(String::from("this has no time, though what came before has")),
            Some(_) => Err(String::from("this has a time, though what came before has none")),
        }
    }

    fn invoke(&mut self, line: usize, process: u64, mut event: Event<'_>) -> Result<(), String> {
        let place = self.log.calls.len();
        match self.processes.insert(process, Some((place, event.time))) {
            Some(Some((call, _))) => {
                let open = self.log.calls[call].line;
                return Err(format!(
                    "process {process} invokes again; its call of line {open} is still open"
                ));
            }
            Some(None) => {
                return Err(format!(
                    "process {process} invokes again, though it ended with info"
                ));
            }
            None => {}
        }
        self.tuples.invoked(&mut self.log.calls, &mut event);
        let f = self.name(&event.f);
        self.log.calls.push(Call {
            process,
            node: event.node,
            f,
            key: event.key,
            argument: event.value,
            intended: event.intended.unwrap_or(self.time),
            invoked: self.time,
            end: End::Info,
            returned: u64::MAX,
            result: Value::Null,
            line,
        });
        Ok(())
    }

    fn complete(&mut self, process: u64, end: End, mut event: Event<'_>) -> Result<(), String> {
        let call = match end {
            End::Ok | End::Fail => self.processes.remove(&process),
            End::Info => self.processes.insert(process, None),
        };
        let Some(Some((place, invoked))) = call else {
            return Err(format!(
                "process {process} completes {}, which it did not invoke",
                event.f
            ));
        };
        let open = &mut self.log.calls[place];
        if *open.f != *event.f {
            return Err(format!(
                "process {process} completes {}, but it invoked {}",
                event.f, open.f
            ));
        }
        if let (Some(from), Some(to)) = (invoked, event.time)
            && to < from
        {
            return Err(format!(
                "time runs backwards: process {process} completes at {to} what it invoked at {from} ns, in line {}",
                open.line
            ));
        }
        self.tuples.completed(place, open, &mut event);
        (open.end, open.returned, open.result) = (end, self.time, event.value);
        Ok(())
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = Arc::from(name);
        self.names.insert(Arc::clone(&name));
        name
    }
}
