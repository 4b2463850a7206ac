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
//!
//! Lines that look exactly as the recorder writes them take a short way past serde; every other line takes serde's.

use super::assemble::{Batch, Event};
use crate::history::{FORMAT, Header, Kind, Process, Record, Value};
use std::borrow::Cow;

/// What every header begins with, as it is written.
const HEADER_START: &[u8] = b"{\"rustyraft-history\":";
/// How deep lists may be in each other on the short way.
const SHORT_DEPTH_MAX: usize = 4;
/// Numbers of so many digits always fit.
const DIGITS_MAX: usize = 18;

/// Reads the first line.
pub(crate) fn header(line: &[u8]) -> Result<Header, String> {
    let header: Header = serde_json::from_slice(line).map_err(|_| {
        String::from("this is no history of this project: expected {\"rustyraft-history\":1,\"workload\":…}")
    })?;
    if header.format == FORMAT {
        Ok(header)
    } else {
        Err(format!(
            "format {} is unknown; this build reads format {FORMAT}",
            header.format
        ))
    }
}

/// Whether a first line is meant to be a header.
pub(crate) fn begins_as_header(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(HEADER_START)
}

/// Whether a line that lacks its end may be the beginning of a record, and not all of one.
pub(crate) fn is_torn(line: &[u8]) -> bool {
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        // A character may be torn, too.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&line[..error.valid_up_to()]).expect("it is valid up to there")
        }
        Err(_) => return false,
    };
    serde_json::from_str::<Record<'_>>(text).is_err_and(|error| {
        // To serde, a number that ends with its sign is wrong.
        error.is_eof() || (text.ends_with('-') && error.column() >= text.len())
    })
}

/// Whether a first line that lacks its end is the beginning of a header as [`Header`] is written, and not all of one.
pub(crate) fn is_torn_header(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    let common = line.len().min(HEADER_START.len());
    let is_cut = || serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err_and(|error| error.is_eof());
    common > 0 && line[..common] == HEADER_START[..common] && is_cut()
}

/// Reads whole lines; the last one may lack its end.
pub(crate) fn parse(bytes: &[u8]) -> Batch<'_> {
    Batch::of_lines(bytes, event)
}

/// Reads one line; `None` where it is blank.
fn event(bytes: &[u8], line: usize) -> Result<Option<Event<'_>>, String> {
    if let Some(event) = short_way(bytes, line) {
        return Ok(Some(event));
    }
    long_way(bytes, line)
}

fn long_way(bytes: &[u8], line: usize) -> Result<Option<Event<'_>>, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| String::from("this is not text; a history is JSON, one record a line"))?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    let record: Record<'_> = serde_json::from_str(text).map_err(|error| words(&error))?;
    Ok(Some(Event {
        line,
        time: Some(record.time),
        process: record.process,
        kind: record.kind,
        f: record.f,
        key: record.key,
        is_pair: false,
        value: record.value,
        node: record.node,
        intended: record.intended,
    }))
}

/// What serde has to say, without its own count of lines.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let cut = text.rfind(" at line ").unwrap_or(text.len());
    format!("{} (column {})", &text[..cut], error.column())
}

/// Reads a line that is exactly as [`Record::write`] writes it and holds only plain things; `None` for any other.
fn short_way(line_bytes: &[u8], line: usize) -> Option<Event<'_>> {
    let mut at = Short { rest: line_bytes };
    at.expect(b"{\"time\":")?;
    let time = Some(at.digits()?);
    at.expect(b",\"process\":")?;
    let process = if at.expect(b"\"nemesis\"").is_some() {
        Process::Nemesis
    } else {
        Process::Client(at.digits()?)
    };
    at.expect(b",\"type\":\"")?;
    let kind = match *at.rest.first()? {
        b'i' if at.expect(b"invoke\"").is_some() => Kind::Invoke,
        b'o' if at.expect(b"ok\"").is_some() => Kind::Ok,
        b'f' if at.expect(b"fail\"").is_some() => Kind::Fail,
        b'i' if at.expect(b"info\"").is_some() => Kind::Info,
        _ => return None,
    };
    at.expect(b",\"f\":\"")?;
    let f = Cow::Borrowed(at.text()?);
    let key = match at.expect(b",\"key\":") {
        // A key that is null is none, as serde has it.
        Some(()) => Some(at.value(SHORT_DEPTH_MAX)?).filter(|key| !key.is_null()),
        None => None,
    };
    at.expect(b",\"value\":")?;
    let value = at.value(SHORT_DEPTH_MAX)?;
    if at.expect(b",\"error\":\"").is_some() {
        at.text()?;
    }
    let node = match at.expect(b",\"node\":") {
        Some(()) => Some(at.digits()?),
        None => None,
    };
    let intended = match at.expect(b",\"intended\":") {
        Some(()) => Some(at.digits()?),
        None => None,
    };
    at.expect(b"}")?;
    at.rest.is_empty().then_some(Event {
        line,
        time,
        process,
        kind,
        f,
        key,
        is_pair: false,
        value,
        node,
        intended,
    })
}

struct Short<'a> {
    rest: &'a [u8],
}

impl<'a> Short<'a> {
    /// Goes past `text`; of a length that the compiler knows, so that it compares words and not bytes.
    fn expect<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        let (start, rest) = self.rest.split_first_chunk::<N>()?;
        if start != text {
            return None;
        }
        self.rest = rest;
        Some(())
    }

    /// A number from 0, as JSON writes it.
    fn digits(&mut self) -> Option<u64> {
        let mut number = 0;
        let mut count = 0;
        while let Some(byte) = self.rest.get(count)
            && byte.is_ascii_digit()
            && count <= DIGITS_MAX
        {
            number = number * 10 + u64::from(byte - b'0');
            count += 1;
        }
        if count == 0 || count > DIGITS_MAX || (count > 1 && self.rest[0] == b'0') {
            return None;
        }
        self.rest = &self.rest[count..];
        Some(number)
    }

    /// A string whose first quotation mark is behind us, of characters that mean themselves.
    fn text(&mut self) -> Option<&'a str> {
        let end = self
            .rest
            .iter()
            .position(|byte| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\'))?;
        if self.rest[end] != b'"' {
            return None;
        }
        let text = std::str::from_utf8(&self.rest[..end]).ok()?;
        self.rest = &self.rest[end + 1..];
        Some(text)
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        match self.rest.first()? {
            b'n' => self.expect(b"null").map(|()| Value::Null),
            b't' => self.expect(b"true").map(|()| Value::Bool(true)),
            b'f' => self.expect(b"false").map(|()| Value::Bool(false)),
            b'0'..=b'9' => Some(Value::Int(i64::try_from(self.digits()?).ok()?)),
            b'-' => {
                self.rest = &self.rest[1..];
                // JSON's -0 is no whole number.
                let number = self.digits().filter(|number| *number > 0)?;
                Some(Value::Int(-i64::try_from(number).ok()?))
            }
            b'"' => {
                self.rest = &self.rest[1..];
                self.text().map(Value::text)
            }
            b'[' if depth > 0 => {
                self.rest = &self.rest[1..];
                let mut values = Vec::with_capacity(2);
                if self.expect(b"]").is_some() {
                    return Some(Value::list(values));
                }
                loop {
                    values.push(self.value(depth - 1)?);
                    if self.expect(b"]").is_some() {
                        return Some(Value::list(values));
                    }
                    self.expect(b",")?;
                }
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-3..30i64).prop_map(Value::Int),
            "[ -~é\n\\\\\"]{0,6}".prop_map(|text| Value::text(&text)),
        ];
        leaf.prop_recursive(5, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::list),
                prop::collection::vec(("[a-c]", inner), 0..3).prop_map(|pairs| Value::map(
                    pairs.into_iter().map(|(key, value)| (Value::text(&key), value))
                )),
            ]
        })
    }

    fn record() -> impl Strategy<Value = Record<'static>> {
        let process = prop_oneof![
            Just(Process::Nemesis),
            any::<u64>().prop_map(Process::Client),
            (0..20u64).prop_map(Process::Client),
        ];
        let kind = prop_oneof![
            Just(Kind::Invoke),
            Just(Kind::Ok),
            Just(Kind::Fail),
            Just(Kind::Info)
        ];
        let name = prop_oneof![Just(String::from("read")), "[ -~é\n]{0,6}"];
        let option = || prop::option::of(any::<u64>());
        (
            (prop_oneof![any::<u64>(), 0..100_000u64], process, kind, name),
            (
                prop::option::of(value()),
                value(),
                prop::option::of("[ -~]{0,6}"),
                option(),
                option(),
            ),
        )
            .prop_map(
                |((time, process, kind, f), (key, value, error, node, intended))| Record {
                    time,
                    process,
                    kind,
                    f: Cow::Owned(f),
                    key,
                    value,
                    error: error.map(Cow::Owned),
                    node,
                    intended,
                },
            )
    }

    fn line(record: &Record<'_>) -> Vec<u8> {
        let mut line = Vec::new();
        record.write(&mut line);
        line.pop();
        line
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

        /// What is written is read; and by the short way as by serde's.
        #[test]
        fn both_ways_read_what_was_written(record in record()) {
            let line = line(&record);
            let long = long_way(&line, 3).unwrap().unwrap();
            prop_assert_eq!(long.time, Some(record.time));
            prop_assert_eq!(&*long.f, &*record.f);
            prop_assert_eq!(&long.value, &record.value);
            prop_assert_eq!(long.intended, record.intended);
            prop_assert_eq!(&long.key, &record.key.filter(|key| *key != Value::Null));
            if let Some(short) = short_way(&line, 3) {
                prop_assert_eq!(short, long);
            }
        }

        /// Bytes that are changed, taken out, doubled or cut never make the short way say something else than serde's.
        #[test]
        fn both_ways_agree_on_what_is_damaged(
            record in record(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, prop::sample::select(&b"0-1e.\"\\[],{}: nt\x01\xc3"[..])), 1..3),
        ) {
            let mut line = line(&record);
            for (place, how, byte) in damage {
                if line.is_empty() {
                    break;
                }
                let at = place.index(line.len());
                match how {
                    0 => line[at] = byte,
                    1 => { line.remove(at); }
                    2 => line.insert(at, byte),
                    _ => line.truncate(at),
                }
            }
            if let Some(short) = short_way(&line, 0) {
                prop_assert_eq!(Ok(Some(short)), long_way(&line, 0));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn a_record_is_torn_wherever_it_ends_too_early(record in record()) {
            let line = line(&record);
            for end in 1..line.len() {
                let line = &line[..end];
                prop_assert!(is_torn(line), "{}", String::from_utf8_lossy(line));
            }
            prop_assert!(!is_torn(&line));
        }
    }

    #[test]
    fn lines_of_the_recorder_take_the_short_way() {
        for line in [
            r#"{"time":12,"process":4,"type":"invoke","f":"cas","key":7,"value":[1,2],"node":2,"intended":11}"#,
            r#"{"time":12,"process":4,"type":"ok","f":"cas","key":7,"value":true}"#,
            r#"{"time":12,"process":4,"type":"info","f":"read","key":"x","value":null,"error":"timed out"}"#,
            r#"{"time":12,"process":"nemesis","type":"info","f":"kill start","value":"leader n1"}"#,
            r#"{"time":0,"process":0,"type":"fail","f":"txn","value":[["append",3,-4],["r",3,[]]]}"#,
        ] {
            let short = short_way(line.as_bytes(), 0);
            assert!(short.is_some(), "{line}");
            assert_eq!(Ok(short), long_way(line.as_bytes(), 0));
        }
    }
}
