//! How models are spoken to in recorded histories.

use crate::history::{Call, Value};
use crate::model::Model;
use std::fmt::{Debug, Display};
use std::hash::{Hash, Hasher as _};

/// What a recorded outcome means, where those who record differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// This project: what failed did not happen; a compare-and-set that did not match is ok and returned `false`.
    #[default]
    Native,
    /// Jepsen and knossos: what failed did not happen, a compare-and-set that did not match included; a read of nil says nothing.
    Knossos,
    /// Porcupine: a compare-and-set that failed found another value than it expected.
    Porcupine,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Dialect; 3] = [Dialect::Native, Dialect::Knossos, Dialect::Porcupine];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::Native => "native",
            Dialect::Knossos => "knossos",
            Dialect::Porcupine => "porcupine",
        }
    }

    /// Whether a compare-and-set that is recorded as failed found another value than it expected, rather than never having happened.
    pub const fn failed_cas_observes(self) -> bool {
        match self {
            Dialect::Native | Dialect::Knossos => false,
            Dialect::Porcupine => true,
        }
    }

    /// Whether a read that is recorded with nil says nothing, rather than that nothing was there.
    pub const fn nil_says_nothing(self) -> bool {
        match self {
            Dialect::Native | Dialect::Porcupine => false,
            Dialect::Knossos => true,
        }
    }
}

/// What a call is to a model `M`: the operation, and what it returned if anybody learned that. `None` where the call says nothing:
/// it did not happen, or is a read that nobody saw the result of.
pub type Meaning<M> = Option<(
    <M as stateright::semantics::SequentialSpec>::Op,
    Option<<M as stateright::semantics::SequentialSpec>::Ret>,
)>;

/// How a model is spoken to in recorded histories.
///
/// Objects of one history are told apart by [`Call::key`], so a model that speaks of one object needs not look at it.
pub trait Vocabulary: Model<Op: Send + Sync, Ret: Send + Sync> + Send + Sync {
    /// The name on the command line: `cas-register`.
    const NAME: &'static str;

    /// The object at the beginning of a history; `init` is what was asked for, if anything.
    ///
    /// # Errors
    /// An object can't begin like that; what was expected.
    fn initial(init: Option<&Value>) -> Result<Self, String>;

    /// What a call is to the model.
    ///
    /// # Errors
    /// The model has no such operation, or not with such an argument or result; what was expected.
    fn call(call: &Call, dialect: Dialect) -> Result<Meaning<Self>, String>;
}

/// What objects hold: numbers from 0, which is fast, or any [`Value`].
pub trait Datum: Clone + Ord + Hash + Debug + Display + Send + Sync + 'static {
    /// It, if it is such a thing. [`Value::Null`] is none.
    fn from_value(value: &Value) -> Option<Self>;

    /// A number that no other has, if it has one.
    fn number(&self) -> Option<u64>;

    /// A number that equal ones share, and that others hardly ever have.
    fn fingerprint(&self) -> u64 {
        let mut hasher = rustc_hash::FxHasher::default();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

impl Datum for u64 {
    fn from_value(value: &Value) -> Option<u64> {
        value.as_number()
    }

    fn number(&self) -> Option<u64> {
        Some(*self)
    }

    fn fingerprint(&self) -> u64 {
        *self
    }
}

impl Datum for Value {
    fn from_value(value: &Value) -> Option<Value> {
        (!value.is_null()).then(|| value.clone())
    }

    fn number(&self) -> Option<u64> {
        self.as_number()
    }
}

/// `value` as a `V`.
///
/// # Errors
/// It is none; says so of `what`: `a write`.
pub(crate) fn datum<V: Datum>(value: &Value, what: &str) -> Result<V, String> {
    V::from_value(value).ok_or_else(|| format!("{what} needs a value, and this one has {value}"))
}

/// `value` as a `V`, or `None` where it is null.
pub(crate) fn optional<V: Datum>(value: &Value, what: &str) -> Result<Option<V>, String> {
    if value.is_null() {
        Ok(None)
    } else {
        datum(value, what).map(Some)
    }
}

/// The message for an operation that a model does not know.
pub(crate) fn unknown_operation(model: &str, f: &str, known: &[&str]) -> String {
    format!(
        "the operation {f:?} is unknown to the model {model}; known are {}",
        known.join(", ")
    )
}

/// The items of a list; none where there is no value.
///
/// # Errors
/// It is no list of such things; says what it should have been.
pub(crate) fn items<V: Datum>(value: Option<&Value>, what: &str) -> Result<Vec<V>, String> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::List(values)) => values.iter().map(|value| datum(value, what)).collect(),
        Some(other) => Err(format!("{what} is a list of values, not {other}")),
    }
}
