//! Jepsen's and knossos' EDN, and the logs of key-value stores that Porcupine reads, which are EDN too.
//!
//! ```text
//! {:type :invoke, :f :cas, :value [0 1], :process 3, :time 1200300, :index 7}
//! {:type :info, :f :start-partition, :value nil, :process :nemesis, :time 1300000, :index 8}
//! {:process 9, :type :invoke, :f :append, :key "0", :value "x 9 0 y"}
//! ```
//!
//! One map a line, a vector or a list of maps, or maps one after the other; the keys of a map in any order, over several lines;
//! comments, discarded forms, tags (`#jepsen.history.Op{…}`). The order of the maps is the order of events, as in knossos.
//!
//! The values of independent objects are tuples `[key value]`, tagged in some versions of Jepsen; see the module `tuples` for those that
//! are not.

use super::assemble::{Batch, Event, Problem};
use super::edn::{Cursor, Read, Trouble, whole_number};
use crate::history::{Kind, Process, Value};
use std::borrow::Cow;

/// What surrounds the maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Around {
    /// What closes the vector or list that they are in.
    closer: Option<u8>,
}

/// What is said of a form whose end is missing.
const ENDS_INSIDE: &str = "the file ends inside what begins here";

/// What reading a piece comes to.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) batch: Batch<'a>,
    /// How many bytes were read: up to the end of the last whole form, and what means nothing after it.
    pub(crate) read: usize,
    /// What surrounds what comes next.
    pub(crate) around: Around,
}

/// Reads maps up to the last whole one. `last`: nothing comes after these bytes, so that what is not whole is a problem.
pub(crate) fn parse(bytes: &[u8], around: Around, last: bool) -> Piece<'_> {
    let mut cursor = Cursor::new(bytes, last);
    let mut piece = Piece {
        batch: Batch::default(),
        read: 0,
        around,
    };
    loop {
        (piece.read, piece.batch.lines) = (cursor.at(), cursor.line());
        let done = cursor.blank(0).and_then(|()| {
            (piece.read, piece.batch.lines) = (cursor.at(), cursor.line());
            next(&mut cursor, &mut piece)
        });
        let trouble = match done {
            Ok(true) => continue,
            Ok(false) if last && piece.around.closer.is_some() => Trouble::Ends,
            Ok(false) => return piece,
            Err(Trouble::Ends) if !last => return piece,
            Err(trouble) => trouble,
        };
        // What a form lacks, its end too, is told by where it begins.
        let (line, reason) = match trouble {
            Trouble::Ends => (piece.batch.lines, String::from(ENDS_INSIDE)),
            Trouble::Lacks(reason) => (piece.batch.lines, reason),
            Trouble::Wrong(reason) => (cursor.line(), reason),
        };
        piece.batch.problem = Some(Problem { line, reason });
        return piece;
    }
}

/// Goes past the bracket that surrounds all maps, if it comes next: how many bytes and lines that is, and what surrounds what follows.
pub(crate) fn open(bytes: &[u8], around: Around) -> (usize, usize, Around) {
    let mut cursor = Cursor::new(bytes, false);
    let bracket = match cursor.blank(0) {
        Ok(()) if around.closer.is_none() => cursor.peek(),
        Ok(()) | Err(_) => None,
    };
    let closer = match bracket {
        Some(b'[') => b']',
        Some(b'(') => b')',
        Some(_) | None => return (0, 0, around),
    };
    cursor.advance();
    (cursor.at(), cursor.line(), Around { closer: Some(closer) })
}

/// Reads the next map, or what surrounds maps; whether there was anything.
fn next<'a>(cursor: &mut Cursor<'a>, piece: &mut Piece<'a>) -> Read<bool> {
    let Some(byte) = cursor.peek() else {
        return Ok(false);
    };
    let closer = piece.around.closer;
    match byte {
        b'[' | b'(' if closer.is_none() => {
            piece.around.closer = Some(if byte == b'[' { b']' } else { b')' });
            cursor.advance();
            Ok(true)
        }
        byte if closer == Some(byte) => {
            piece.around.closer = None;
            cursor.advance();
            Ok(true)
        }
        b'{' => {
            let line = cursor.line();
            piece.batch.events.push(operation(cursor, line)?);
            Ok(true)
        }
        b'#' => {
            let line = cursor.line();
            cursor.tag()?;
            cursor.blank(0)?;
            match cursor.peek() {
                Some(b'{') => {}
                Some(b'[' | b'(') if closer.is_none() => return next(cursor, piece),
                None => return Err(Trouble::Ends),
                Some(_) => return Err(Trouble::Wrong(expected_a_map())),
            }
            piece.batch.events.push(operation(cursor, line)?);
            Ok(true)
        }
        _ => Err(Trouble::Wrong(expected_a_map())),
    }
}

fn expected_a_map() -> String {
    String::from("expected an operation, such as {:process 0, :type :invoke, :f :read, :value nil}")
}

/// Reads the map that begins here.
fn operation<'a>(cursor: &mut Cursor<'a>, line: usize) -> Read<Event<'a>> {
    cursor.advance();
    let (mut kind, mut f, mut process) = (None, None, None);
    let (mut time, mut key) = (None, None);
    let (mut half, mut value, mut is_pair) = (None, Value::Null, false);
    loop {
        cursor.blank(1)?;
        if cursor.peek() == Some(b'}') {
            cursor.advance();
            break;
        }
        let name = cursor.token()?;
        cursor.blank(1)?;
        match name {
            b":type" => kind = Some(self::kind(cursor.token()?)?),
            b":f" => f = self::name(cursor)?,
            b":process" => process = Some(self::process(cursor)?),
            b":time" => time = self::time(cursor)?,
            b":value" => (half, value, is_pair) = tuple(cursor)?,
            b":key" => key = Some(cursor.value(1)?).filter(|key| !key.is_null()),
            [b':', _, ..] => cursor.skip(1)?,
            _ if cursor.peek().is_none() => return Err(Trouble::Ends),
            other => {
                let other = String::from_utf8_lossy(other);
                return Err(Trouble::Wrong(format!(
                    "an operation's keys are keywords such as :type, not {other:?}"
                )));
            }
        }
    }
    let missing = |what: &str| Trouble::Lacks(format!("this operation has no {what}"));
    let process = process.ok_or_else(|| missing(":process"))?;
    let f = match (f, process) {
        (Some(f), _) => f,
        (None, Process::Nemesis) => Cow::Borrowed("nil"),
        (None, Process::Client(_)) => return Err(missing(":f")),
    };
    // An operation with a key of its own has no tuples, but may have values that are pairs.
    if key.is_some()
        && let Some(first) = half.take()
    {
        value = Value::list([first, value]);
        is_pair = false;
    }
    Ok(Event {
        line,
        time,
        process,
        kind: kind.ok_or_else(|| missing(":type"))?,
        f,
        key: key.or(half),
        is_pair,
        value,
        node: None,
        intended: None,
    })
}

pub(crate) fn kind(token: &[u8]) -> Read<Kind> {
    match token {
        b":invoke" => Ok(Kind::Invoke),
        b":ok" => Ok(Kind::Ok),
        b":fail" => Ok(Kind::Fail),
        b":info" => Ok(Kind::Info),
        other => {
            let other = String::from_utf8_lossy(other);
            Err(Trouble::Wrong(format!(
                ":type is :invoke, :ok, :fail or :info, not {other:?}"
            )))
        }
    }
}

fn name<'a>(cursor: &mut Cursor<'a>) -> Read<Option<Cow<'a, str>>> {
    if cursor.peek() == Some(b':') {
        let token = cursor.token()?;
        return match std::str::from_utf8(&token[1..]) {
            Ok(name) => Ok(Some(Cow::Borrowed(name))),
            Err(_) => Err(Trouble::Wrong(String::from(":f is not text in UTF-8"))),
        };
    }
    match cursor.value(1)? {
        Value::Null => Ok(None),
        Value::Text(name) | Value::Word(name) => Ok(Some(Cow::Owned(name.into_string()))),
        other @ (Value::Bool(_) | Value::Int(_) | Value::List(_) | Value::Map(_)) => Err(Trouble::Wrong(
            format!(":f is an operation's name, such as :read, not {other}"),
        )),
    }
}

fn process(cursor: &mut Cursor<'_>) -> Read<Process> {
    let token = cursor.token()?;
    if token.first() == Some(&b':') {
        return Ok(Process::Nemesis);
    }
    match whole_number(token).map(u64::try_from) {
        Some(Ok(process)) => Ok(Process::Client(process)),
        Some(Err(_)) | None => {
            let token = String::from_utf8_lossy(token);
            Err(Trouble::Wrong(format!(
                ":process is a whole number from 0, or a keyword such as :nemesis, not {token:?}"
            )))
        }
    }
}

fn time(cursor: &mut Cursor<'_>) -> Read<Option<u64>> {
    let time = cursor.value(1)?;
    if time.is_null() {
        return Ok(None);
    }
    match time.as_number() {
        Some(time) => Ok(Some(time)),
        None => Err(Trouble::Wrong(format!(
            ":time is a whole number of nanoseconds from 0, not {time}"
        ))),
    }
}

/// A value, with its key where it is a tuple of both; and whether that is not certain, as it is not tagged.
fn tuple(cursor: &mut Cursor<'_>) -> Read<(Option<Value>, Value, bool)> {
    let Some(tag) = cursor.tag()? else {
        let (key, value) = cursor.pair_or_value(1)?;
        let is_pair = key.is_some();
        return Ok((key, value, is_pair));
    };
    let value = cursor.value(1)?;
    if !(tag.ends_with(b"independent.Tuple") || tag.ends_with(b"independent/tuple")) {
        return Ok((None, value, false));
    }
    let field = |pairs: &[(Value, Value)], name: &str| {
        let pair = pairs.iter().find(|(key, _)| *key == Value::word(name));
        pair.map(|(_, value)| value.clone())
    };
    let parts = match &value {
        Value::List(parts) => match &**parts {
            [key, value] => Some((key.clone(), value.clone())),
            _ => None,
        },
        Value::Map(pairs) => field(pairs, ":key").zip(field(pairs, ":value")),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Word(_) => None,
    };
    match parts {
        Some((key, value)) => Ok((Some(key), value, false)),
        None => Err(Trouble::Wrong(format!(
            "an independent tuple is [key value], not {value}"
        ))),
    }
}
