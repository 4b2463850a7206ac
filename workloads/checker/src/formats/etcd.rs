//! The log of Jepsen's etcd test, as Porcupine reads it.
//!
//! ```text
//! INFO  jepsen.util - 3<TAB>:invoke<TAB>:cas<TAB>[0 1]
//! INFO  jepsen.util - 3<TAB>:info<TAB>:cas<TAB>:timed-out
//! ```
//!
//! Tabs or spaces; what others than `jepsen.util` have logged is passed over. The order of the lines is the order of events.

use super::assemble::{Batch, Event};
use super::edn::{Cursor, Trouble, whole_number};
use super::jepsen::kind;
use crate::history::{Process, Value};
use memchr::memmem;
use std::borrow::Cow;

/// What the lines of a history begin with, after the level.
const LOGGER: &[u8] = b"jepsen.util - ";
/// What the lines of others begin with.
const LEVELS: [&[u8]; 6] = [b"TRACE", b"DEBUG", b"INFO", b"WARN", b"ERROR", b"FATAL"];

/// Whether a line is one of such a log.
pub(crate) fn is_line(line: &[u8]) -> bool {
    LEVELS.iter().any(|level| line.starts_with(level)) && memmem::find(line, b" - ").is_some()
}

/// Reads whole lines; the last one may lack its end.
pub(crate) fn parse(bytes: &[u8]) -> Batch<'_> {
    Batch::of_lines(bytes, event)
}

fn event(text: &[u8], line: usize) -> Result<Option<Event<'_>>, String> {
    let expected = || {
        String::from(
            "expected a line such as INFO  jepsen.util - 3 :invoke :write 4, with :invoke, :ok, :fail or :info",
        )
    };
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    if !is_line(text) {
        return Err(expected());
    }
    let Some(start) = memmem::find(text, LOGGER) else {
        return Ok(None);
    };
    let mut cursor = Cursor::bare(&text[start + LOGGER.len()..]);
    read(&mut cursor, line)
        .map(Some)
        .map_err(|trouble| match trouble {
            Trouble::Ends => expected(),
            Trouble::Wrong(reason) | Trouble::Lacks(reason) => format!("{reason}; {}", expected()),
        })
}

fn read<'a>(cursor: &mut Cursor<'a>, line: usize) -> Result<Event<'a>, Trouble> {
    let mut token = || {
        cursor.blank(0)?;
        cursor.token()
    };
    let process = match token()? {
        [b':', ..] => Process::Nemesis,
        number => match whole_number(number).map(u64::try_from) {
            Some(Ok(process)) => Process::Client(process),
            Some(Err(_)) | None => {
                return Err(Trouble::Wrong(String::from("the process is no number from 0")));
            }
        },
    };
    let kind = kind(token()?)?;
    let f = match token()? {
        [b':', name @ ..] if !name.is_empty() => std::str::from_utf8(name)
            .map_err(|_| Trouble::Wrong(String::from("this is not text in UTF-8")))?,
        _ => return Err(Trouble::Ends),
    };
    let value = match cursor.value(0) {
        Ok(value) => value,
        Err(_) if process == Process::Nemesis => Value::Null,
        Err(trouble) => return Err(trouble),
    };
    Ok(Event {
        line,
        time: None,
        process,
        kind,
        f: Cow::Borrowed(f),
        key: None,
        is_pair: false,
        value,
        node: None,
        intended: None,
    })
}
