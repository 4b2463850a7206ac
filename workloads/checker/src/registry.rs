//! The models by their names, and which of them a history is about.

use crate::adya::check_lists;
use crate::check::{CheckError, CheckOptions, check_with};
use crate::history::{Call, End, Log, Value};
use crate::models::{
    Bank, CasRegister, Counter, FencedLock, FifoQueue, KvAppend, ListAppend, MultiRegister, Mutex,
    PriorityQueue, Set, Stack, UnorderedQueue,
};
use crate::verdict::{Report, Verdict};
use crate::vocabulary::Vocabulary;

/// A model that histories can be held against by its name.
#[derive(Clone, Copy, Debug)]
pub struct ModelEntry {
    /// The name.
    pub name: &'static str,
    /// One line for those who choose.
    pub about: &'static str,
    check: Check,
}

type Check = fn(&Log, &CheckOptions<'_>) -> Result<Report, CheckError>;

/// An entry for a model that holds values: numbers, which is faster, or where some are not, any values.
macro_rules! of_values {
    ($model:ident, $about:expr) => {
        ModelEntry {
            name: <$model as Vocabulary>::NAME,
            about: $about,
            check: |log, options| {
                check_with::<$model<u64>>(log, options).or_else(|_| check_with::<$model<Value>>(log, options))
            },
        }
    };
}

/// An entry for a model that holds no values.
macro_rules! plain {
    ($model:ident, $about:expr) => {
        ModelEntry {
            name: <$model as Vocabulary>::NAME,
            about: $about,
            check: check_with::<$model>,
        }
    };
}

const REGISTRY: &[ModelEntry] = &[
    of_values!(
        CasRegister,
        "registers: read, write v, cas [old new]; nil until something is written"
    ),
    plain!(
        Mutex,
        "locks: acquire, release; whoever releases need not be who acquired"
    ),
    plain!(
        FencedLock,
        "locks that only their owner releases, with tokens that grow: acquire → token, release"
    ),
    of_values!(
        Set,
        "sets: add v, remove v, contains v → true or false, read → all elements"
    ),
    of_values!(
        UnorderedQueue,
        "queues that give anything that is there: enqueue v, dequeue → v, or nil if empty"
    ),
    of_values!(
        FifoQueue,
        "queues, first in first out: enqueue v, dequeue → v, or nil if empty"
    ),
    of_values!(
        Stack,
        "stacks, last in first out: push v, pop → v, or nil if empty"
    ),
    of_values!(
        PriorityQueue,
        "queues that give the least first: insert v, delete-min → v, or nil if empty"
    ),
    plain!(Counter, "counters: add n, read → n"),
    plain!(
        KvAppend,
        "keys of a store, each a string: get → s, put s, append s; empty at the beginning"
    ),
    plain!(
        MultiRegister,
        "transactions over registers: txn [[r k nil] [w k v] …] → the steps with what was read"
    ),
    plain!(
        Bank,
        "accounts: transfer {from a, to b, amount n}, read → {a balance, …}; the total never changes"
    ),
    ModelEntry {
        name: <ListAppend as Vocabulary>::NAME,
        about: "transactions over lists: txn [[append k v] [r k nil] …] → the steps with the lists read; strict serializability",
        check: check_lists,
    },
];

/// All models, by name.
pub fn registry() -> &'static [ModelEntry] {
    REGISTRY
}

fn names() -> String {
    let names: Vec<&str> = registry().iter().map(|model| model.name).collect();
    names.join(", ")
}

/// Holds a history against a model. One without operations is unknown.
///
/// # Errors
/// The history has a call that the model does not understand; or the options name no model, or one that can't begin as asked; or
/// they name none, and the operations don't tell.
pub fn check_log(log: &Log, options: &CheckOptions<'_>) -> Result<Report, CheckError> {
    let name = match options.model {
        Some(name) => name,
        None if log.calls.is_empty() => {
            return Ok(Report {
                verdict: Verdict::Unknown(String::from("the history is empty")),
                further: Vec::new(),
                unexplained: 0,
                model: "none",
                engine: "none",
                operations: 0,
                partitions: 0,
            });
        }
        None => guess(log)?,
    };
    let entry = registry()
        .iter()
        .find(|model| model.name == name)
        .ok_or_else(|| {
            CheckError::Options(format!("the model {name:?} is unknown; known are {}", names()))
        })?;
    (entry.check)(log, options)
}

/// No model has so many operations.
const NAMES_MET_MAX: usize = 16;

/// The model that the operations' names tell.
fn guess(log: &Log) -> Result<&'static str, CheckError> {
    let mut met: Vec<&str> = Vec::new();
    for call in &log.calls {
        if !met.contains(&&*call.f) {
            met.push(&call.f);
        }
        if met.len() > NAMES_MET_MAX {
            break;
        }
    }
    let only = |known: &[&str]| met.iter().all(|name| known.contains(name));
    let has = |name: &str| met.contains(&name);
    let certain = [
        (&["read", "write", "cas"][..], "cas-register"),
        (&["get", "put", "append"], "kv-append"),
        (&["acquire", "release"], "mutex"),
        (&["push", "pop"], "stack"),
        (&["insert", "delete-min"], "priority-queue"),
        (&["transfer", "read"], "bank"),
    ];
    if let Some((_, model)) = certain.iter().find(|(names, _)| only(names)) {
        return Ok(model);
    }
    if only(&["txn"]) && log.calls.iter().any(appends) {
        return Ok("list-append");
    }
    if only(&["txn"]) {
        return Ok("multi-register");
    }
    if only(&["add", "remove", "contains", "read"]) {
        let read = log.calls.iter().find_map(result_of_read);
        if has("remove") || has("contains") || read.and_then(Value::as_list).is_some() {
            return Ok("set");
        }
        if read.and_then(Value::as_int).is_some() {
            return Ok("counter");
        }
    }
    met.sort_unstable();
    Err(CheckError::Options(format!(
        "the operations ({}) don't tell which model is meant; name one of {}",
        met.join(", "),
        names()
    )))
}

fn result_of_read(call: &Call) -> Option<&Value> {
    let is_read = &*call.f == "read" && call.end == End::Ok && !call.result.is_null();
    is_read.then_some(&call.result)
}

/// Whether a transaction has an append among its steps.
fn appends(call: &Call) -> bool {
    let steps = call.argument.as_list().unwrap_or_default();
    steps.iter().any(|step| {
        let name = step.as_list().and_then(|step| step.first());
        name.and_then(Value::as_name) == Some("append")
    })
}
