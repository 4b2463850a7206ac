//! The untagged tuples `[key value]` of independent objects, told from values that are pairs.
//!
//! The reader takes every pair that could be a tuple apart, which most often is right and takes less memory. A history is taken to
//! have tuples if each of its invocations looks like one, and at least one of them, or the answer to it, looks like nothing else; at the first invocation that
//! does not look like one, all pairs are put together again.

use super::assemble::Event;
use crate::history::{Call, Value};

/// Of a call: its argument was taken apart.
const ARGUMENT: u8 = 1;
/// Of a call: its result was taken apart.
const RESULT: u8 = 2;

/// What is known of the pairs of a history.
#[derive(Debug)]
pub(crate) enum Tuples {
    /// All invocations so far look like tuples.
    Possible {
        /// What was taken apart of each call.
        apart: Vec<u8>,
        /// Whether one of them looks like nothing else.
        certain: bool,
    },
    /// Pairs are values.
    None,
}

impl Tuples {
    pub(crate) fn new() -> Tuples {
        Tuples::Possible {
            apart: Vec::new(),
            certain: false,
        }
    }

    /// A call is about to be invoked, after `calls`.
    pub(crate) fn invoked(&mut self, calls: &mut [Call], event: &mut Event<'_>) {
        let looks = if event.is_pair {
            looks(&event.f, &event.value)
        } else {
            Looks::Different
        };
        match (&mut *self, looks) {
            (Tuples::Possible { apart, certain }, Looks::Alike | Looks::Certain) => {
                *certain |= matches!(looks, Looks::Certain);
                apart.push(ARGUMENT);
            }
            (Tuples::Possible { .. }, Looks::Different) => {
                self.give_up(calls);
                join_event(event);
            }
            (Tuples::None, _) => join_event(event),
        }
    }

    /// A call is about to be completed.
    pub(crate) fn completed(&mut self, place: usize, call: &Call, event: &mut Event<'_>) {
        match self {
            // What was not answered may have kept anything as its value.
            Tuples::Possible { apart, certain } if event.is_pair && event.key == call.key => {
                apart[place] |= RESULT;
                // A pair that is the value of an operation comes back as it is, or not at all: this is an answer, about the key.
                *certain |= event.value.as_bool().is_some() && event.value != call.argument;
            }
            Tuples::Possible { .. } | Tuples::None => join_event(event),
        }
    }

    /// The history has ended.
    pub(crate) fn finish(&mut self, calls: &mut [Call]) {
        match self {
            Tuples::Possible { certain: false, .. } => self.give_up(calls),
            Tuples::Possible { certain: true, .. } | Tuples::None => {}
        }
    }

    fn give_up(&mut self, calls: &mut [Call]) {
        let Tuples::Possible { apart, .. } = std::mem::replace(self, Tuples::None) else {
            return;
        };
        for (call, apart) in calls.iter_mut().zip(apart) {
            let Some(key) = call.key.take() else { continue };
            if apart & RESULT != 0 {
                join(key.clone(), &mut call.result);
            }
            join(key, &mut call.argument);
        }
    }
}

/// Makes of a pair the value that it is.
pub(crate) fn join_event(event: &mut Event<'_>) {
    if event.is_pair
        && let Some(key) = event.key.take()
    {
        join(key, &mut event.value);
    }
}

fn join(key: Value, value: &mut Value) {
    *value = Value::list([key, std::mem::take(value)]);
}

/// What an invocation with a pair looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    /// It can't be a tuple.
    Different,
    /// It could be a tuple, or a value that is a pair.
    Alike,
    /// It is a tuple.
    Certain,
}

/// `value` is the second half of the pair.
fn looks(f: &str, value: &Value) -> Looks {
    let fits = match f {
        "read" | "get" | "dequeue" | "pop" | "acquire" | "release" => value.is_null(),
        "cas" => value.as_list().is_some_and(|pair| pair.len() == 2),
        // Its steps are lists, and a transaction of two steps is no tuple: the second one begins with a name.
        "txn" => value
            .as_list()
            .is_some_and(|steps| steps.iter().all(|step| step.as_list().is_some())),
        _ => return Looks::Alike,
    };
    if fits { Looks::Certain } else { Looks::Different }
}
