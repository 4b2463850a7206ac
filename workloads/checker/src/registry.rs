//! The models by their names, and which of them a history is about.

use crate::adya::check_lists;
use crate::check::{CheckError, CheckOptions, check_with};
use crate::engine::Limits;
use crate::history::{Call, End, Log, ReadError, Value};
use crate::models::{
    Bank, CasRegister, Counter, FencedLock, FifoQueue, KvAppend, ListAppend, MultiRegister, Mutex,
    PriorityQueue, Register, Set, Stack, UniqueIds, UnorderedQueue, compare_alike,
};
use crate::verdict::{Report, Verdict};
use crate::vocabulary::Vocabulary;
use crate::watch::{Watch, watch};

/// A model that histories can be held against by its name.
#[derive(Clone, Copy, Debug)]
pub struct ModelEntry {
    /// The name.
    pub name: &'static str,
    /// One line for those who choose.
    pub about: &'static str,
    check: Check,
    /// `None` where histories are of one object whose states grow with them, which is nothing for the general engine.
    watch: Option<MakeWatch>,
}

impl ModelEntry {
    /// Holds a history of numbers against this model while it is recorded, within the limits for each object, which begins as `init` where that
    /// is not what the model says; `None` where that is only worth trying once all of it is there.
    ///
    /// # Panics
    /// No object of the model can begin so.
    pub fn watch<'a>(&self, init: Option<&Value>, limits: Limits<'a>) -> Option<Box<dyn Watch + 'a>> {
        self.watch.map(|watch| watch(init, limits))
    }
}

type MakeWatch = for<'a> fn(Option<&Value>, Limits<'a>) -> Box<dyn Watch + 'a>;
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
            watch: Some(watch::<$model<u64>>),
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
            watch: Some(watch::<$model>),
        }
    };
}

/// A static, which is compiled here: a constant would be compiled once more wherever it is used, with all that checks every model.
static REGISTRY: [ModelEntry; 15] = [
    of_values!(
        Register,
        "registers: read, write v; nil until something is written"
    ),
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
        "locks that only their owner, a process or owner n, releases, with tokens that grow: acquire → token, release"
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
    ModelEntry {
        name: <PriorityQueue as Vocabulary>::NAME,
        about: "queues that give the least first: insert v, delete-min → v, or nil if empty; of whole numbers, or of strings",
        check: check_priority_queue,
        watch: Some(watch::<PriorityQueue<u64>>),
    },
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
        watch: None,
        ..of_values!(UniqueIds, "sources of ids that give each out once: generate → id")
    },
    ModelEntry {
        name: <ListAppend as Vocabulary>::NAME,
        about: "transactions over lists: txn [[append k v] [r k nil] …] → the steps with the lists read; strict serializability",
        check: check_lists,
        watch: None,
    },
];

fn check_priority_queue(log: &Log, options: &CheckOptions<'_>) -> Result<Report, CheckError> {
    compare_alike(log, options.init.as_ref())?;
    check_with::<PriorityQueue<u64>>(log, options)
        .or_else(|_| check_with::<PriorityQueue<Value>>(log, options))
}

/// All models, by name.
pub fn registry() -> &'static [ModelEntry] {
    &REGISTRY
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

/// What operations are called, and the model that is meant where all are among these.
const CERTAIN: [(&[&str], &str); 7] = [
    (&["read", "write", "cas"], "cas-register"),
    (&["get", "put", "append"], "kv-append"),
    (&["acquire", "release"], "mutex"),
    (&["push", "pop"], "stack"),
    (&["insert", "delete-min"], "priority-queue"),
    (&["transfer", "read"], "bank"),
    (&["generate"], "unique-ids"),
];
/// What operations are called where more than names tells the model.
const TRANSACTIONS: &[&str] = &["txn"];
const ADDS: &[&str] = &["add", "remove", "contains", "read"];
const QUEUES: &[&str] = &["enqueue", "dequeue"];

/// The model that the operations' names tell.
fn guess(log: &Log) -> Result<&'static str, CheckError> {
    let mut met: Vec<(&str, usize)> = Vec::new();
    for call in &log.calls {
        if met.iter().all(|(name, _)| *name != &*call.f) {
            met.push((&call.f, call.line));
        }
        if met.len() > NAMES_MET_MAX {
            break;
        }
    }
    let only = |known: &[&str]| met.iter().all(|(name, _)| known.contains(name));
    let has = |name: &str| met.iter().any(|(other, _)| *other == name);
    if let Some((_, model)) = CERTAIN.iter().find(|(names, _)| only(names)) {
        return Ok(model);
    }
    if only(TRANSACTIONS) {
        let is_list = log.calls.iter().any(appends);
        return Ok(if is_list { "list-append" } else { "multi-register" });
    }
    if only(ADDS) {
        let read = log.calls.iter().find_map(result_of_read);
        if has("remove") || has("contains") || read.and_then(Value::as_list).is_some() {
            return Ok("set");
        }
        if read.and_then(Value::as_int).is_some() {
            return Ok("counter");
        }
    }
    Err(ambiguous(&met))
}

/// Why operations with these names, that are first met at these lines, don't tell their model: the first name that none knows together
/// with those before it, if there is one.
fn ambiguous(met: &[(&str, usize)]) -> CheckError {
    let certain = CERTAIN.iter().map(|(names, _)| *names);
    let all: Vec<&[&str]> = certain.chain([TRANSACTIONS, ADDS, QUEUES]).collect();
    let fits = |met: &[(&str, usize)]| {
        all.iter()
            .any(|known| met.iter().all(|(name, _)| known.contains(name)))
    };
    for (place, (name, line)) in met.iter().enumerate() {
        if fits(&met[..=place]) {
            continue;
        }
        let (before, line) = (sorted(&met[..place]), *line);
        let beside = if before.is_empty() {
            String::new()
        } else {
            format!(" beside {before}")
        };
        let reason = format!(
            "the operation {name:?}{beside} is none of a known model; the models are {}",
            names()
        );
        return CheckError::History(ReadError { line, reason });
    }
    CheckError::Options(format!(
        "the operations ({}) don't tell which model is meant; name one of {}",
        sorted(met),
        names()
    ))
}

fn sorted(met: &[(&str, usize)]) -> String {
    let mut names: Vec<&str> = met.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.join(", ")
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
