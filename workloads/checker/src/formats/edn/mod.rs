//! EDN, as far as histories need it: values with their lines, in one pass, without recursion beyond a bound.
//!
//! What is not used is skipped without being built. A tag is dropped and its form kept, except where a reader asks for it. Numbers
//! that are no 64-bit whole numbers, keywords, symbols and characters become [`Value::Word`], as they were written; a set becomes a
//! list in the order in which it was written.

mod values;

pub(crate) use values::whole_number;

use crate::history::Value;
use memchr::memchr;
use std::borrow::Cow;
use values::{Made, Maker, Nothing, unescape};

/// How deep forms may be in each other.
pub(crate) const DEPTH_MAX: usize = 64;

/// Why there is no form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The bytes end inside it.
    Ends,
    /// It can't be what it seems to be; what was expected.
    Wrong(String),
    /// It lacks something; what.
    Lacks(String),
}

/// What reading something comes to.
pub(crate) type Read<T> = Result<T, Trouble>;

fn wrong<T>(reason: impl Into<String>) -> Read<T> {
    Err(Trouble::Wrong(reason.into()))
}

/// A place in a text, and how many ends of lines were before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
    /// Whether nothing comes after the bytes.
    last: bool,
    /// Whether a token may end where the bytes do.
    bare: bool,
}

impl<'a> Cursor<'a> {
    /// The beginning of `bytes`; `last`: nothing will ever come after them.
    pub(crate) fn new(bytes: &'a [u8], last: bool) -> Cursor<'a> {
        Cursor {
            bytes,
            at: 0,
            line: 0,
            last,
            bare: false,
        }
    }

    /// The beginning of `bytes`, which are forms without anything around them.
    pub(crate) fn bare(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor {
            bare: true,
            ..Cursor::new(bytes, true)
        }
    }

    /// How many bytes are behind.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// How many ends of lines are behind.
    pub(crate) fn line(&self) -> usize {
        self.line
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&self) -> Read<u8> {
        self.peek().ok_or(Trouble::Ends)
    }

    /// Goes past one byte that is no end of a line.
    pub(crate) fn advance(&mut self) {
        self.at += 1;
    }

    /// Goes past what means nothing: spaces, commas, comments, discarded forms.
    pub(crate) fn blank(&mut self, depth: usize) -> Read<()> {
        loop {
            match self.peek() {
                Some(b'\n') => {
                    self.line += 1;
                    self.at += 1;
                }
                Some(b' ' | b',' | b'\t' | b'\r' | 0x0b | 0x0c) => self.at += 1,
                Some(b';') => match memchr(b'\n', &self.bytes[self.at..]) {
                    Some(end) => self.at += end,
                    None if self.last => self.at = self.bytes.len(),
                    None => return Err(Trouble::Ends),
                },
                Some(b'#') => match self.bytes.get(self.at + 1) {
                    Some(b'_') => {
                        let mut form = *self;
                        form.at += 2;
                        form.skip(depth)?;
                        *self = form;
                    }
                    None if !self.last => return Err(Trouble::Ends),
                    Some(_) | None => return Ok(()),
                },
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// A token: up to what can't be part of one.
    pub(crate) fn token(&mut self) -> Read<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return Err(Trouble::Ends);
        }
        let length = rest.iter().position(|byte| ends_token(*byte));
        let length = match length {
            Some(length) => length,
            None if self.bare => rest.len(),
            None => return Err(Trouble::Ends),
        };
        self.at += length;
        Ok(&rest[..length])
    }

    /// Goes past the next form.
    pub(crate) fn skip(&mut self, depth: usize) -> Read<()> {
        self.form(depth, &mut Nothing)
    }

    /// The next form as a value.
    pub(crate) fn value(&mut self, depth: usize) -> Read<Value> {
        let mut made = Made(Value::Null);
        self.form(depth, &mut made)?;
        Ok(made.0)
    }

    /// The next form as a value; a vector of two, of which the first is no collection and not nil, as the two.
    pub(crate) fn pair_or_value(&mut self, depth: usize) -> Read<(Option<Value>, Value)> {
        self.blank(depth + 1)?;
        if self.next()? != b'[' {
            return Ok((None, self.value(depth)?));
        }
        self.advance();
        // No place on the heap is needed for two.
        let (mut first, mut second, mut more) = (None, None, Vec::new());
        loop {
            self.blank(depth + 1)?;
            if self.next()? == b']' {
                self.advance();
                break;
            }
            let item = self.value(depth + 1)?;
            match (&first, &second) {
                (None, _) => first = Some(item),
                (Some(_), None) => second = Some(item),
                (Some(_), Some(_)) => more.push(item),
            }
        }
        match (first, second) {
            (
                Some(first @ (Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Word(_))),
                Some(second),
            ) if more.is_empty() => Ok((Some(first), second)),
            (first, second) => Ok((None, Value::list(first.into_iter().chain(second).chain(more)))),
        }
    }

    fn form<M: Maker>(&mut self, depth: usize, maker: &mut M) -> Read<()> {
        if depth >= DEPTH_MAX {
            return wrong(format!("forms are more than {DEPTH_MAX} deep in each other"));
        }
        self.blank(depth + 1)?;
        match self.next()? {
            b'[' => self.sequence(b']', depth, maker),
            b'(' => self.sequence(b')', depth, maker),
            b'{' => self.map(depth, maker),
            b'"' => {
                let text = self.string(M::BUILDS)?;
                maker.string(text);
                Ok(())
            }
            b'\\' => self.character(maker),
            b'#' => self.dispatch(depth, maker),
            byte @ (b']' | b')' | b'}') => wrong(format!("{:?} closes nothing here", char::from(byte))),
            _ => {
                let token = self.token()?;
                maker.atom(token)
            }
        }
    }

    fn sequence<M: Maker>(&mut self, closer: u8, depth: usize, maker: &mut M) -> Read<()> {
        self.advance();
        let mut items = maker.several();
        loop {
            self.blank(depth + 1)?;
            if self.next()? == closer {
                self.advance();
                maker.list(items);
                return Ok(());
            }
            let mut item = M::default();
            self.form(depth + 1, &mut item)?;
            M::add(&mut items, item);
        }
    }

    fn map<M: Maker>(&mut self, depth: usize, maker: &mut M) -> Read<()> {
        self.advance();
        let mut items = maker.several();
        let mut is_key = true;
        loop {
            self.blank(depth + 1)?;
            if self.next()? == b'}' {
                self.advance();
                if !is_key {
                    return wrong("a map has a key without a value");
                }
                maker.map(items);
                return Ok(());
            }
            let mut item = M::default();
            self.form(depth + 1, &mut item)?;
            M::add(&mut items, item);
            is_key = !is_key;
        }
    }

    /// A string, and where its text is wanted and differs from what is written, as text of its own.
    fn string(&mut self, wanted: bool) -> Read<Cow<'a, str>> {
        self.advance();
        let rest = &self.bytes[self.at..];
        let mut end = 0;
        let mut escapes = false;
        loop {
            match rest.get(end) {
                None => return Err(Trouble::Ends),
                Some(b'"') => break,
                Some(b'\\') => {
                    escapes = true;
                    end += 1;
                }
                Some(b'\n') => self.line += 1,
                Some(_) => {}
            }
            end += 1;
        }
        self.at += end + 1;
        if !wanted {
            return Ok("".into());
        }
        let Ok(text) = std::str::from_utf8(&rest[..end]) else {
            return wrong("a string is not text in UTF-8");
        };
        if escapes {
            unescape(text).map(Into::into)
        } else {
            Ok(text.into())
        }
    }

    fn character<M: Maker>(&mut self, maker: &mut M) -> Read<()> {
        let start = self.at;
        self.advance();
        if self.next()?.is_ascii_control() {
            return wrong("after \\ comes a character");
        }
        // It may be anything, a bracket too.
        self.advance();
        self.token()?;
        maker.atom(&self.bytes[start..self.at])
    }

    /// What begins with `#`.
    fn dispatch<M: Maker>(&mut self, depth: usize, maker: &mut M) -> Read<()> {
        self.advance();
        match self.next()? {
            b'{' => self.sequence(b'}', depth, maker),
            // How old versions of Clojure print what can't be read back.
            b'<' => match memchr(b'>', &self.bytes[self.at..]) {
                Some(end) => {
                    let text = &self.bytes[self.at - 1..=self.at + end];
                    self.line += text.iter().filter(|byte| **byte == b'\n').count();
                    self.at += end + 1;
                    maker.atom(text)
                }
                None => Err(Trouble::Ends),
            },
            // ##Inf, ##NaN
            b'#' => {
                self.advance();
                let token = self.token()?;
                maker.atom(token)
            }
            byte if byte.is_ascii_alphabetic() => {
                self.token()?;
                self.form(depth + 1, maker)
            }
            _ => wrong("after # comes a set, a tag or _"),
        }
    }

    /// The tag before the next form, without its `#`, if there is one.
    pub(crate) fn tag(&mut self) -> Read<Option<&'a [u8]>> {
        if self.peek() != Some(b'#') {
            return Ok(None);
        }
        match self.bytes.get(self.at + 1) {
            None => Err(Trouble::Ends),
            Some(byte) if byte.is_ascii_alphabetic() => {
                self.advance();
                self.token().map(Some)
            }
            Some(_) => Ok(None),
        }
    }
}

fn ends_token(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b','
            | b'\n'
            | b'\t'
            | b'\r'
            | 0x0b
            | 0x0c
            | b'{'
            | b'}'
            | b'['
            | b']'
            | b'('
            | b')'
            | b'"'
            | b';'
    )
}
