//! A set.

use crate::history::{Call, End, Value};
use crate::linear::{Kind, SetCall, SetCalls};
use crate::model::{Model, Takes};
use crate::vocabulary::{Datum, Dialect, Meaning, Vocabulary, datum, items, unknown_operation};
use stateright::semantics::SequentialSpec;
use std::collections::BTreeSet;

/// A set, by its elements.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set<V: Ord = u64>(pub BTreeSet<V>);

impl<V: Ord> Default for Set<V> {
    fn default() -> Self {
        Set(BTreeSet::new())
    }
}

/// A call of a [`Set`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetOp<V = u64> {
    /// Adds an element.
    Add(V),
    /// Removes an element.
    Remove(V),
    /// Asks for an element.
    Contains(V),
    /// Asks for all elements.
    Read,
}

/// What a call of a [`Set`] returned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetRet<V: Ord = u64> {
    /// To an add or a remove, where no more was recorded than that it took effect.
    Done,
    /// Whether the element was there: to an add or a remove, before it.
    Was(bool),
    /// To a read.
    Elements(BTreeSet<V>),
    /// To a read that showed an element more than once, which no set does: all that it showed, in order.
    Doubled(Vec<V>),
}

impl<V: Datum> SequentialSpec for Set<V> {
    type Op = SetOp<V>;
    type Ret = SetRet<V>;

    fn invoke(&mut self, op: &SetOp<V>) -> SetRet<V> {
        match op {
            SetOp::Add(element) => SetRet::Was(!self.0.insert(element.clone())),
            SetOp::Remove(element) => SetRet::Was(self.0.remove(element)),
            SetOp::Contains(element) => SetRet::Was(self.0.contains(element)),
            SetOp::Read => SetRet::Elements(self.0.clone()),
        }
    }

    fn is_valid_step(&mut self, op: &SetOp<V>, ret: &SetRet<V>) -> bool {
        match (op, ret) {
            (SetOp::Read, SetRet::Elements(elements)) => self.0 == *elements,
            (SetOp::Add(_) | SetOp::Remove(_), SetRet::Done) => {
                self.invoke(op);
                true
            }
            (SetOp::Add(_) | SetOp::Remove(_) | SetOp::Contains(_) | SetOp::Read, _) => {
                self.invoke(op) == *ret
            }
        }
    }
}

impl<V: Datum> Model for Set<V> {
    const TELLS_REASONS: bool = true;

    fn kind() -> Option<Kind<Self>> {
        Some(Kind::set())
    }

    /// Elements don't depend on each other.
    fn partition(op: &SetOp<V>) -> Option<u64> {
        match op {
            SetOp::Add(element) | SetOp::Remove(element) | SetOp::Contains(element) => {
                Some(element.fingerprint())
            }
            SetOp::Read => None,
        }
    }

    fn heap_bytes(&self) -> usize {
        self.0.len() * 2 * size_of::<V>()
    }

    fn is_read_only(op: &SetOp<V>, ret: &SetRet<V>) -> bool {
        match op {
            SetOp::Add(_) => *ret == SetRet::Was(true),
            SetOp::Remove(_) => *ret == SetRet::Was(false),
            SetOp::Contains(_) | SetOp::Read => true,
        }
    }

    fn is_always_legal(_: &SetOp<V>, ret: &SetRet<V>) -> bool {
        *ret == SetRet::Done
    }

    fn produces(op: &SetOp<V>, _: Option<&SetRet<V>>) -> Option<u64> {
        match op {
            SetOp::Add(element) => Some(element.fingerprint()),
            SetOp::Remove(_) | SetOp::Contains(_) | SetOp::Read => None,
        }
    }

    fn observes(op: &SetOp<V>, ret: Option<&SetRet<V>>, seen: &mut Vec<u64>) {
        match (op, ret) {
            (
                SetOp::Add(element) | SetOp::Remove(element) | SetOp::Contains(element),
                Some(SetRet::Was(true)),
            ) => {
                seen.push(element.fingerprint());
            }
            (SetOp::Read, Some(SetRet::Elements(elements))) => {
                seen.extend(elements.iter().map(V::fingerprint));
            }
            (SetOp::Read, Some(SetRet::Doubled(elements))) => {
                seen.extend(elements.iter().map(V::fingerprint));
            }
            (SetOp::Add(_) | SetOp::Remove(_) | SetOp::Contains(_) | SetOp::Read, _) => {}
        }
    }

    fn takes(op: &SetOp<V>, ret: Option<&SetRet<V>>) -> Takes {
        match op {
            SetOp::Remove(element) if ret != Some(&SetRet::Was(false)) => Takes::This(element.fingerprint()),
            SetOp::Add(_) | SetOp::Remove(_) | SetOp::Contains(_) | SetOp::Read => Takes::Nothing,
        }
    }

    fn holds(&self, there: &mut Vec<u64>) {
        there.extend(self.0.iter().map(V::fingerprint));
    }

    fn misses(op: &SetOp<V>, ret: Option<&SetRet<V>>) -> Option<u64> {
        match (op, ret) {
            (
                SetOp::Add(element) | SetOp::Remove(element) | SetOp::Contains(element),
                Some(SetRet::Was(false)),
            ) => Some(element.fingerprint()),
            (SetOp::Add(_) | SetOp::Remove(_) | SetOp::Contains(_) | SetOp::Read, _) => None,
        }
    }

    fn takes_away(op: &SetOp<V>, ret: Option<&SetRet<V>>, thing: u64) -> bool {
        match op {
            SetOp::Remove(element) => ret != Some(&SetRet::Was(false)) && element.fingerprint() == thing,
            SetOp::Add(_) | SetOp::Contains(_) | SetOp::Read => false,
        }
    }

    fn describe_op(op: &SetOp<V>) -> String {
        match op {
            SetOp::Add(element) => format!("add {element}"),
            SetOp::Remove(element) => format!("remove {element}"),
            SetOp::Contains(element) => format!("contains {element}"),
            SetOp::Read => String::from("read"),
        }
    }

    fn describe_ret(ret: &SetRet<V>) -> String {
        match ret {
            SetRet::Done => String::from("ok"),
            SetRet::Was(true) => String::from("it was there"),
            SetRet::Was(false) => String::from("it was not there"),
            SetRet::Elements(elements) => words(elements),
            SetRet::Doubled(elements) => words(elements),
        }
    }

    fn describe_state(&self) -> String {
        words(&self.0)
    }
}

impl<V: Datum> SetCalls for Set<V> {
    type Element = V;

    fn held(&self) -> Vec<&V> {
        self.0.iter().collect()
    }

    fn set_call<'a>(op: &'a SetOp<V>, ret: Option<&'a SetRet<V>>) -> SetCall<'a, V> {
        match (op, ret) {
            (SetOp::Add(element), Some(SetRet::Done | SetRet::Was(false)) | None) => SetCall::Add(element),
            (SetOp::Remove(element), Some(SetRet::Done) | None) => SetCall::Remove(element),
            (SetOp::Remove(element), Some(SetRet::Was(true))) => SetCall::Removed(element),
            (SetOp::Add(element), Some(SetRet::Was(true))) => SetCall::Found(element, true),
            (SetOp::Remove(element), Some(SetRet::Was(false))) => SetCall::Found(element, false),
            (SetOp::Contains(element), Some(SetRet::Was(was))) => SetCall::Found(element, *was),
            (SetOp::Read, Some(SetRet::Elements(elements))) => SetCall::All(elements),
            (SetOp::Contains(_) | SetOp::Read, None) => SetCall::Nothing,
            (SetOp::Add(_) | SetOp::Remove(_) | SetOp::Contains(_) | SetOp::Read, Some(_)) => SetCall::Other,
        }
    }
}

fn words<'a, V: Datum>(elements: impl IntoIterator<Item = &'a V>) -> String {
    let elements: Vec<String> = elements.into_iter().map(V::to_string).collect();
    format!("{{{}}}", elements.join(", "))
}

impl<V: Datum> Vocabulary for Set<V> {
    const NAME: &'static str = "set";

    fn initial(init: Option<&Value>) -> Result<Self, String> {
        Ok(Set(items(init, "a set")?.into_iter().collect()))
    }

    fn call(call: &Call, dialect: Dialect) -> Result<Meaning<Self>, String> {
        let name = &*call.f;
        let element = || datum(&call.argument, name);
        let op = match name {
            "add" | "insert" => SetOp::Add(element()?),
            "remove" | "delete" => SetOp::Remove(element()?),
            "contains" => SetOp::Contains(element()?),
            "read" => SetOp::Read,
            other => {
                let known = ["add", "insert", "remove", "delete", "contains", "read"];
                return Err(unknown_operation(Self::NAME, other, &known));
            }
        };
        let asks = matches!(op, SetOp::Contains(_) | SetOp::Read);
        Ok(match (call.end, &op) {
            (End::Fail, _) => None,
            (End::Info, _) if asks => None,
            (End::Info, _) => Some((op, None)),
            (End::Ok, SetOp::Read) if call.result.is_null() && dialect.nil_says_nothing() => None,
            (End::Ok, SetOp::Read) => {
                let elements: Vec<V> = items(Some(&call.result), "a read of a set")?;
                let set: BTreeSet<V> = elements.iter().cloned().collect();
                // Others write down as a list what they have as a set, or count twice what two nodes say.
                let is_doubled = dialect == Dialect::Native && set.len() < elements.len();
                let ret = if is_doubled {
                    SetRet::Doubled(elements)
                } else {
                    SetRet::Elements(set)
                };
                Some((op, Some(ret)))
            }
            (End::Ok, SetOp::Contains(_)) => match call.result.as_bool() {
                Some(was) => Some((op, Some(SetRet::Was(was)))),
                None => return Err(format!("contains returns true or false, not {}", call.result)),
            },
            // An add that says `true` has added, so the element was not there; a remove that says `true` has removed.
            (End::Ok, SetOp::Add(_) | SetOp::Remove(_)) => {
                let ret = match call.result.as_bool() {
                    Some(did) => SetRet::Was(did == matches!(op, SetOp::Remove(_))),
                    None if call.result.is_null() || call.result == call.argument => SetRet::Done,
                    None => {
                        return Err(format!(
                            "{name} returns whether it did, or nothing, or its element again, not {}",
                            call.result
                        ));
                    }
                };
                Some((op, Some(ret)))
            }
        })
    }
}
