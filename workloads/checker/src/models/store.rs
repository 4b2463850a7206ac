//! Stores on which transactions run: registers or lists, each at its key, all of them one object.

use crate::history::{Call, End, Value};
use crate::model::Model;
use crate::vocabulary::{Datum as _, Dialect, Meaning, Vocabulary, unknown_operation};
use stateright::semantics::SequentialSpec;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

/// What is at the keys of a [`Store`].
pub trait Cells: Clone + Eq + Hash + Debug + Send + Sync + 'static {
    /// The name of the model.
    const NAME: &'static str;
    /// The steps that a transaction may have.
    const STEPS: &'static str;

    /// What is at a key where nothing was written.
    fn blank() -> Value;

    /// The change that a step makes, by its name.
    fn change(f: &str, key: Value, value: Value) -> Option<StoreStep>;

    /// What a read that returned `value` saw; `None` where it says nothing.
    ///
    /// # Errors
    /// No read returns that.
    fn seen(value: &Value, dialect: Dialect) -> Result<Option<Value>, String>;
}

/// Registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Registers;

/// Lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lists;

/// A store of which a transaction may read and change several keys at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store<C> {
    /// What is at the keys that hold something.
    pub cells: BTreeMap<Value, Value>,
    of: PhantomData<C>,
}

/// Transactions over registers, each of which is nil until something is written to it.
pub type MultiRegister = Store<Registers>;

/// Transactions over lists, for the general engine; [`adya`](crate::adya) is faster, but wants appends to be unique.
pub type ListAppend = Store<Lists>;

/// A step of a transaction on a [`Store`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreStep {
    /// Reads what is at a key.
    Read(Value),
    /// Replaces what is at a key.
    Write(Value, Value),
    /// Appends to the list at a key.
    Append(Value, Value),
}

impl StoreStep {
    /// The key that it is about.
    pub fn key(&self) -> &Value {
        match self {
            StoreStep::Read(key) | StoreStep::Write(key, _) | StoreStep::Append(key, _) => key,
        }
    }
}

impl<C> Default for Store<C> {
    fn default() -> Self {
        Store {
            cells: BTreeMap::new(),
            of: PhantomData,
        }
    }
}

impl<C: Cells> Store<C> {
    fn take(&mut self, step: &StoreStep) {
        match step {
            StoreStep::Read(_) => {}
            StoreStep::Write(key, value) => {
                self.cells.insert(key.clone(), value.clone());
            }
            StoreStep::Append(key, value) => {
                let list = self.cells.get(key).and_then(Value::as_list).unwrap_or_default();
                let list = list.iter().chain([value]).cloned();
                self.cells.insert(key.clone(), Value::list(list));
            }
        }
    }
}

impl<C: Cells> SequentialSpec for Store<C> {
    type Op = Vec<StoreStep>;
    /// What each read returned, in order; `None` says nothing.
    type Ret = Vec<Option<Value>>;

    fn invoke(&mut self, op: &Vec<StoreStep>) -> Vec<Option<Value>> {
        let mut read = Vec::new();
        for step in op {
            if let StoreStep::Read(key) = step {
                read.push(Some(self.cells.get(key).cloned().unwrap_or_else(C::blank)));
            }
            self.take(step);
        }
        read
    }

    fn is_valid_step(&mut self, op: &Vec<StoreStep>, ret: &Vec<Option<Value>>) -> bool {
        let mut seen = ret.iter();
        for step in op {
            if let StoreStep::Read(key) = step
                && let Some(Some(seen)) = seen.next()
                && self
                    .cells
                    .get(key)
                    .map_or_else(|| *seen != C::blank(), |cell| cell != seen)
            {
                return false;
            }
            self.take(step);
        }
        true
    }
}

impl<C: Cells> Model for Store<C> {
    fn is_read_only(op: &Vec<StoreStep>, _: &Vec<Option<Value>>) -> bool {
        op.iter().all(|step| matches!(step, StoreStep::Read(_)))
    }

    fn is_always_legal(_: &Vec<StoreStep>, ret: &Vec<Option<Value>>) -> bool {
        ret.iter().all(Option::is_none)
    }

    fn partition(op: &Vec<StoreStep>) -> Option<u64> {
        let (first, others) = op.split_first()?;
        let is_one = others.iter().all(|step| step.key() == first.key());
        is_one.then(|| first.key().fingerprint())
    }

    fn heap_bytes(&self) -> usize {
        let values = self.cells.values();
        let items: usize = values
            .map(|value| value.as_list().map_or(0, <[Value]>::len))
            .sum();
        (items + 2 * self.cells.len()) * size_of::<Value>()
    }

    fn describe_op(op: &Vec<StoreStep>) -> String {
        let steps: Vec<String> = op
            .iter()
            .map(|step| match step {
                StoreStep::Read(key) => format!("read {key}"),
                StoreStep::Write(key, value) => format!("write {key} {value}"),
                StoreStep::Append(key, value) => format!("append {key} {value}"),
            })
            .collect();
        steps.join(", ")
    }

    fn describe_ret(ret: &Vec<Option<Value>>) -> String {
        if ret.is_empty() {
            return String::from("ok");
        }
        let read: Vec<String> = ret
            .iter()
            .map(|value| value.as_ref().map_or_else(|| String::from("?"), Value::to_string))
            .collect();
        read.join(", ")
    }

    fn describe_state(&self) -> String {
        let cells: Vec<String> = self
            .cells
            .iter()
            .map(|(key, value)| format!("{key}: {value}"))
            .collect();
        format!("{{{}}}", cells.join(", "))
    }
}

impl Cells for Registers {
    const NAME: &'static str = "multi-register";
    const STEPS: &'static str = "[w key value] or [r key value]";

    fn blank() -> Value {
        Value::Null
    }

    fn change(f: &str, key: Value, value: Value) -> Option<StoreStep> {
        matches!(f, "w" | "write").then_some(StoreStep::Write(key, value))
    }

    fn seen(value: &Value, dialect: Dialect) -> Result<Option<Value>, String> {
        let says_nothing = value.is_null() && dialect.nil_says_nothing();
        Ok((!says_nothing).then(|| value.clone()))
    }
}

impl Cells for Lists {
    const NAME: &'static str = "list-append";
    const STEPS: &'static str = "[append key value] or [r key list]";

    fn blank() -> Value {
        Value::list([])
    }

    fn change(f: &str, key: Value, value: Value) -> Option<StoreStep> {
        (f == "append" && !value.is_null()).then_some(StoreStep::Append(key, value))
    }

    /// Also in Jepsen nil is an empty list here.
    fn seen(value: &Value, _: Dialect) -> Result<Option<Value>, String> {
        match value {
            Value::Null => Ok(Some(Lists::blank())),
            Value::List(_) => Ok(Some(value.clone())),
            Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Word(_) | Value::Map(_) => Err(format!(
                "a read of a list returns what was appended to it, not {value}"
            )),
        }
    }
}

impl<C: Cells> Vocabulary for Store<C> {
    const NAME: &'static str = C::NAME;

    fn initial(init: Option<&Value>) -> Result<Self, String> {
        let mut store = Store::default();
        match init {
            None => {}
            Some(Value::Map(cells)) => {
                for (key, value) in cells {
                    if let Some(value) = C::seen(value, Dialect::Native)?.filter(|it| *it != C::blank()) {
                        store.cells.insert(key.clone(), value);
                    }
                }
            }
            Some(other) => {
                return Err(format!(
                    "a store begins as a map of keys and values, not as {other}"
                ));
            }
        }
        Ok(store)
    }

    fn call(call: &Call, dialect: Dialect) -> Result<Meaning<Self>, String> {
        if &*call.f != "txn" {
            return Err(unknown_operation(C::NAME, &call.f, &["txn"]));
        }
        let (op, _) = steps::<C>(&call.argument)?;
        match call.end {
            End::Fail => Ok(None),
            End::Info if Self::is_read_only(&op, &Vec::new()) => Ok(None),
            End::Info => Ok(Some((op, None))),
            End::Ok => {
                let (answered, values) = steps::<C>(&call.result)?;
                if answered != op {
                    let (asked, answered) = (&call.argument, &call.result);
                    return Err(format!(
                        "the transaction {asked} returned as another one, {answered}"
                    ));
                }
                let mut ret = Vec::new();
                for value in values {
                    ret.push(C::seen(value, dialect)?);
                }
                Ok(Some((op, Some(ret))))
            }
        }
    }
}

/// The steps of a transaction, and what is recorded of its reads.
fn steps<C: Cells>(value: &Value) -> Result<(Vec<StoreStep>, Vec<&Value>), String> {
    let wrong = || format!("a transaction is a list of steps {}, not {value}", C::STEPS);
    let (mut steps, mut read) = (Vec::new(), Vec::new());
    for step in value.as_list().ok_or_else(wrong)? {
        let Some([f, key, value]) = step.as_list() else {
            return Err(wrong());
        };
        let f = f.as_name().ok_or_else(wrong)?;
        if matches!(f, "r" | "read") {
            steps.push(StoreStep::Read(key.clone()));
            read.push(value);
        } else {
            steps.push(C::change(f, key.clone(), value.clone()).ok_or_else(wrong)?);
        }
    }
    Ok((steps, read))
}
