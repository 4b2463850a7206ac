//! A key of a store that texts are put to and appended to.

use crate::history::{Call, End, Value};
use crate::model::Model;
use crate::models::text::{Piece, Text, Whole};
use crate::vocabulary::{Dialect, Meaning, Vocabulary, unknown_operation};
use stateright::semantics::SequentialSpec;

/// How many characters of a text are shown, from its end.
const SHOWN_MAX: usize = 64;

/// The text of a key; empty until something is written.
///
/// Every order of appends is a state of its own. What keeps them few is looking ahead: until the next put a text only grows, so
/// that it must be a beginning of whatever is read by then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KvAppend(pub Text);

/// A call of a [`KvAppend`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KvOp {
    /// Reads the text.
    Get,
    /// Replaces it.
    Put(Piece),
    /// Adds to its end.
    Append(Piece),
}

/// What a call of a [`KvAppend`] returned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KvRet {
    /// To a get.
    Value(Whole),
    /// To a put or an append.
    Done,
}

impl KvOp {
    /// Replaces the text.
    pub fn put(text: &str) -> Self {
        KvOp::Put(Piece::new(text))
    }

    /// Adds to the end of the text.
    pub fn append(text: &str) -> Self {
        KvOp::Append(Piece::new(text))
    }
}

impl KvRet {
    /// What a get returned.
    pub fn value(text: &str) -> Self {
        KvRet::Value(Whole::new(text))
    }
}

impl SequentialSpec for KvAppend {
    type Op = KvOp;
    type Ret = KvRet;

    fn invoke(&mut self, op: &KvOp) -> KvRet {
        match op {
            KvOp::Get => return KvRet::value(&self.0.to_string()),
            KvOp::Put(piece) => self.0 = Text::default().appended(piece),
            KvOp::Append(piece) => self.0 = self.0.appended(piece),
        }
        KvRet::Done
    }

    fn is_valid_step(&mut self, op: &KvOp, ret: &KvRet) -> bool {
        match (op, ret) {
            (KvOp::Get, KvRet::Value(whole)) => self.0.is(whole),
            (KvOp::Put(_) | KvOp::Append(_), KvRet::Done) => self.invoke(op) == KvRet::Done,
            (KvOp::Get, KvRet::Done) | (KvOp::Put(_) | KvOp::Append(_), KvRet::Value(_)) => false,
        }
    }
}

impl Model for KvAppend {
    const LOOKS_AHEAD: bool = true;

    fn is_read_only(op: &KvOp, _: &KvRet) -> bool {
        match op {
            KvOp::Get => true,
            KvOp::Append(piece) => piece.as_str().is_empty(),
            KvOp::Put(_) => false,
        }
    }

    fn is_always_legal(op: &KvOp, ret: &KvRet) -> bool {
        *op != KvOp::Get && *ret == KvRet::Done
    }

    fn always_changes(op: &KvOp, _: &KvRet) -> bool {
        matches!(op, KvOp::Append(piece) if !piece.as_str().is_empty())
    }

    fn step(&self, op: &KvOp, ret: &KvRet) -> Option<Self> {
        match (op, ret) {
            (KvOp::Get, KvRet::Value(whole)) => self.0.is(whole).then(|| self.clone()),
            (KvOp::Put(piece), KvRet::Done) => Some(KvAppend(Text::default().appended(piece))),
            (KvOp::Append(piece), KvRet::Done) => Some(KvAppend(self.0.appended(piece))),
            (KvOp::Get, KvRet::Done) | (KvOp::Put(_) | KvOp::Append(_), KvRet::Value(_)) => None,
        }
    }

    fn step_unobserved(&self, op: &KvOp) -> Self {
        match op {
            KvOp::Get => self.clone(),
            KvOp::Put(piece) => KvAppend(Text::default().appended(piece)),
            KvOp::Append(piece) => KvAppend(self.0.appended(piece)),
        }
    }

    fn may_return(&self, op: &KvOp, ret: &KvRet) -> bool {
        match (op, ret) {
            (KvOp::Get, KvRet::Value(whole)) => self.0.is(whole),
            // An append of nothing.
            (KvOp::Put(_) | KvOp::Append(_), KvRet::Done) => true,
            (KvOp::Get, KvRet::Done) | (KvOp::Put(_) | KvOp::Append(_), KvRet::Value(_)) => false,
        }
    }

    fn overwrites(op: &KvOp, _: Option<&KvRet>) -> bool {
        matches!(op, KvOp::Put(_))
    }

    fn is_dead(&self, _: &KvOp, ret: &KvRet) -> bool {
        match ret {
            KvRet::Value(whole) => !self.0.may_begin(whole),
            KvRet::Done => false,
        }
    }

    fn heap_bytes(&self) -> usize {
        // The last piece; what is before it belongs to the text that this one grew from.
        size_of::<Self>() + size_of::<Piece>() + 2 * size_of::<usize>()
    }

    fn describe_op(op: &KvOp) -> String {
        match op {
            KvOp::Get => String::from("get"),
            KvOp::Put(piece) => format!("put {}", shown(piece.as_str())),
            KvOp::Append(piece) => format!("append {}", shown(piece.as_str())),
        }
    }

    fn describe_ret(ret: &KvRet) -> String {
        match ret {
            KvRet::Value(whole) => shown(whole.as_str()),
            KvRet::Done => String::from("ok"),
        }
    }

    fn describe_state(&self) -> String {
        shown(&self.0.to_string())
    }
}

/// A text in quotes, or its end.
fn shown(text: &str) -> String {
    let characters = text.chars().count();
    let hidden = characters.saturating_sub(SHOWN_MAX);
    if hidden == 0 {
        return format!("{text:?}");
    }
    let end: String = text.chars().skip(hidden).collect();
    format!("…{end:?} ({} bytes)", text.len())
}

impl Vocabulary for KvAppend {
    const NAME: &'static str = "kv-append";

    fn initial(init: Option<&Value>) -> Result<Self, String> {
        let text = init.map_or(Ok(""), |init| text(init, "a key begins with"))?;
        Ok(KvAppend(Text::default().appended(&Piece::new(text))))
    }

    fn call(call: &Call, dialect: Dialect) -> Result<Meaning<Self>, String> {
        let op = match &*call.f {
            "get" => KvOp::Get,
            "put" => KvOp::put(text(&call.argument, "a put has")?),
            "append" => KvOp::append(text(&call.argument, "an append has")?),
            other => return Err(unknown_operation(Self::NAME, other, &["get", "put", "append"])),
        };
        Ok(match (call.end, &op) {
            (End::Fail, _) | (End::Info, KvOp::Get) => None,
            (End::Info, KvOp::Put(_) | KvOp::Append(_)) => Some((op, None)),
            (End::Ok, KvOp::Put(_) | KvOp::Append(_)) => Some((op, Some(KvRet::Done))),
            (End::Ok, KvOp::Get) if call.result.is_null() && dialect.nil_says_nothing() => None,
            (End::Ok, KvOp::Get) if call.result.is_null() => Some((op, Some(KvRet::value("")))),
            (End::Ok, KvOp::Get) => Some((op, Some(KvRet::value(text(&call.result, "a get returns")?)))),
        })
    }
}

fn text<'a>(value: &'a Value, what: &str) -> Result<&'a str, String> {
    value
        .as_text()
        .ok_or_else(|| format!("{what} a string, not {value}"))
}
