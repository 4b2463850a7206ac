//! What gives out ids, each once.

use crate::history::{Call, End, Value};
use crate::model::Model;
use crate::vocabulary::{Datum, Dialect, Meaning, Vocabulary, datum, items, unknown_operation};
use stateright::semantics::SequentialSpec;
use std::collections::BTreeSet;

/// A source of ids, by those that it has given out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UniqueIds<V: Ord = u64>(pub BTreeSet<V>);

/// A call of [`UniqueIds`] that gave out this id. One that nobody saw the id of says nothing, since no other call can have got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generate<V = u64>(pub V);

impl<V: Ord> Default for UniqueIds<V> {
    fn default() -> Self {
        UniqueIds(BTreeSet::new())
    }
}

impl<V: Datum> SequentialSpec for UniqueIds<V> {
    type Op = Generate<V>;
    /// Whether the id was new.
    type Ret = bool;

    fn invoke(&mut self, Generate(id): &Generate<V>) -> bool {
        self.0.insert(id.clone())
    }
}

impl<V: Datum> Model for UniqueIds<V> {
    fn is_read_only(_: &Generate<V>, is_new: &bool) -> bool {
        !is_new
    }

    fn always_changes(_: &Generate<V>, is_new: &bool) -> bool {
        *is_new
    }

    /// Ids don't depend on each other.
    fn partition(Generate(id): &Generate<V>) -> Option<u64> {
        Some(id.fingerprint())
    }

    fn heap_bytes(&self) -> usize {
        self.0.len() * 2 * size_of::<V>()
    }

    fn describe_op(Generate(id): &Generate<V>) -> String {
        format!("generate {id}")
    }

    fn describe_ret(is_new: &bool) -> String {
        String::from(if *is_new { "ok" } else { "refused" })
    }

    fn describe_state(&self) -> String {
        let ids: Vec<String> = self.0.iter().map(V::to_string).collect();
        format!("given out: {}", ids.join(", "))
    }
}

impl<V: Datum> Vocabulary for UniqueIds<V> {
    const NAME: &'static str = "unique-ids";

    fn initial(init: Option<&Value>) -> Result<Self, String> {
        let ids = items(init, "what was given out before")?;
        Ok(UniqueIds(ids.into_iter().collect()))
    }

    fn call(call: &Call, _: Dialect) -> Result<Meaning<Self>, String> {
        match (&*call.f, call.end) {
            ("generate", End::Fail | End::Info) => Ok(None),
            ("generate", End::Ok) => {
                let id = datum(&call.result, "a generate that is ok")?;
                Ok(Some((Generate(id), Some(true))))
            }
            (other, _) => Err(unknown_operation(Self::NAME, other, &["generate"])),
        }
    }
}
