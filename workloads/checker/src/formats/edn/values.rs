//! What tokens and forms become.

use super::{Read, wrong};
use crate::history::Value;
use std::borrow::Cow;

pub(super) fn unescape(text: &str) -> Read<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            out.push(char);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some(char @ ('"' | '\\' | '\'')) => out.push(char),
            Some('u') => {
                let digits = chars.as_str().get(..4);
                let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                let Some(code) = code else {
                    return wrong("\\u needs four hexadecimal digits");
                };
                // Half of a surrogate pair stands for nothing on its own.
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                chars.nth(3);
            }
            Some(other) => return wrong(format!("a string knows no \\{other}")),
            None => return wrong("a string ends in a \\"),
        }
    }
    Ok(out)
}

/// What a token is.
fn atom(token: &[u8]) -> Read<Value> {
    match token {
        b"nil" => return Ok(Value::Null),
        b"true" => return Ok(Value::Bool(true)),
        b"false" => return Ok(Value::Bool(false)),
        _ => {}
    }
    if let Some(number) = whole_number(token) {
        return Ok(Value::Int(number));
    }
    let Ok(text) = std::str::from_utf8(token) else {
        return wrong("this is not text in UTF-8");
    };
    if text.is_empty() || text.chars().any(char::is_control) {
        return wrong(format!("{text:?} is nothing that EDN knows"));
    }
    Ok(Value::word(text))
}

/// A whole number of 64 bits. Clojure marks large ones with an N.
pub(crate) fn whole_number(token: &[u8]) -> Option<i64> {
    let digits = token.strip_suffix(b"N").unwrap_or(token);
    let unsigned = match digits {
        [b'+' | b'-', rest @ ..] => rest,
        _ => digits,
    };
    if unsigned.is_empty() || !unsigned.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if digits.len() <= 18 {
        let number = unsigned
            .iter()
            .fold(0, |number: i64, digit| number * 10 + i64::from(digit - b'0'));
        return Some(if digits[0] == b'-' { -number } else { number });
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// What becomes of forms: values, or nothing.
pub(super) trait Maker: Default {
    /// Whether anything does.
    const BUILDS: bool;
    /// The parts of a form of several.
    type Several;
    fn several(&self) -> Self::Several;
    fn add(items: &mut Self::Several, item: Self);
    fn atom(&mut self, token: &[u8]) -> Read<()>;
    fn string(&mut self, text: Cow<'_, str>);
    fn list(&mut self, items: Self::Several);
    fn map(&mut self, items: Self::Several);
}

#[derive(Default)]
pub(super) struct Nothing;

impl Maker for Nothing {
    const BUILDS: bool = false;
    type Several = ();

    fn several(&self) {}

    fn add((): &mut (), _: Nothing) {}

    fn atom(&mut self, token: &[u8]) -> Read<()> {
        if token.is_empty() || token.iter().any(|byte| byte.is_ascii_control()) {
            return wrong("this is nothing that EDN knows");
        }
        Ok(())
    }

    fn string(&mut self, _: Cow<'_, str>) {}

    fn list(&mut self, (): ()) {}

    fn map(&mut self, (): ()) {}
}

#[derive(Default)]
pub(super) struct Made(pub(super) Value);

impl Maker for Made {
    const BUILDS: bool = true;
    type Several = Vec<Value>;

    fn several(&self) -> Vec<Value> {
        Vec::new()
    }

    fn add(items: &mut Vec<Value>, item: Made) {
        items.push(item.0);
    }

    fn atom(&mut self, token: &[u8]) -> Read<()> {
        self.0 = atom(token)?;
        Ok(())
    }

    fn string(&mut self, text: Cow<'_, str>) {
        self.0 = Value::text(&text);
    }

    fn list(&mut self, items: Vec<Value>) {
        self.0 = Value::list(items);
    }

    fn map(&mut self, items: Vec<Value>) {
        let mut items = items.into_iter();
        let pairs = std::iter::from_fn(|| Some((items.next()?, items.next()?)));
        self.0 = Value::map(pairs);
    }
}
