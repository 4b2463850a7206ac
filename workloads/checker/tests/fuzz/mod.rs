//! Small random histories, and what the linear-time engines make of them, against three oracles: a search over all orders, the general
//! engine, and stateright's `LinearizabilityTester`.
//!
//! A history is made by an object that works: each operation takes effect between its invocation and its return. Some lose their
//! answer, and then may have taken effect or not; some fail, and leave no trace. Half of the histories are then corrupted: an
//! operation is moved in time, or sees what it can't have seen. Times are few, so that many events fall together.

mod made;

pub(crate) use made::Fuzzed;

use checker::{EngineChoice, Limits, Model, ObjectVerdict, Operation, Refused, check_object};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use stateright::semantics::{ConsistencyTester as _, LinearizabilityTester};
use std::fmt;

/// How many histories there were, and what of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// All.
    pub(crate) histories: u64,
    /// Those that an engine that takes linear time judged.
    pub(crate) qualified: u64,
    /// Those of them that are violations.
    pub(crate) violations: u64,
}

/// A history on which not all agree.
pub(crate) struct Disagreement {
    seed: u64,
    history: String,
    says: [(&'static str, bool); 4],
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for (who, valid) in self.says {
            writeln!(f, "  {who}: {}", if valid { "valid" } else { "violation" })?;
        }
        write!(f, "{}", self.history)
    }
}

/// Makes as many histories of `M`, and judges each; history `n` comes from the seed `seed + n` alone.
///
/// # Errors
/// The first history on which not all agree.
pub(crate) fn fuzz<M: Fuzzed>(histories: u64, seed: u64) -> Result<Tally, Box<Disagreement>> {
    let mut tally = Tally::default();
    for seed in (seed..).take(usize::try_from(histories).expect("a count that a machine gets to")) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (init, operations) = made::history::<M>(&mut random);
        tally.histories += 1;
        let Some(linear) = says(&init, &operations, EngineChoice::Linear) else {
            continue;
        };
        tally.qualified += 1;
        tally.violations += u64::from(!linear);
        let general = says(&init, &operations, EngineChoice::General).expect("the general engine judges all");
        let all_orders = has_order(&init, &operations, 0);
        let stateright = tester(&init, &operations);
        if [general, all_orders, stateright] != [linear; 3] {
            let lines = operations.iter().map(|operation| format!("  {operation:?}\n"));
            return Err(Box::new(Disagreement {
                seed,
                history: format!("from {init:?}\n{}", lines.collect::<String>()),
                says: [
                    ("linear", linear),
                    ("general", general),
                    ("all orders", all_orders),
                    ("stateright", stateright),
                ],
            }));
        }
    }
    Ok(tally)
}

/// Whether an engine says that there is an order; `None` where the history is not for it.
fn says<M: Model>(init: &M, operations: &[Operation<M>], engine: EngineChoice) -> Option<bool> {
    let limits = Limits {
        engine,
        ..Limits::default()
    };
    match check_object(init, operations, limits) {
        ObjectVerdict::Valid => Some(true),
        ObjectVerdict::Violation { .. } => Some(false),
        ObjectVerdict::Unknown(Refused::Unqualified { .. }) => None,
        other @ (ObjectVerdict::Unknown(_) | ObjectVerdict::Superseded) => panic!("{other:?}"),
    }
}

/// Whether some order of the operations that are not `done` (a bit for each place) fits, by trying all of them.
fn has_order<M: Model>(state: &M, operations: &[Operation<M>], done: u32) -> bool {
    let left = || {
        let all = operations.iter().enumerate();
        all.filter(|(place, _)| done & (1 << place) == 0)
    };
    let returning = left().filter(|(_, operation)| operation.ret.is_some());
    let Some(first_return) = returning.map(|(_, operation)| operation.returned).min() else {
        return true;
    };
    left()
        .filter(|(_, operation)| operation.invoked <= first_return)
        .any(|(place, operation)| {
            let mut next = state.clone();
            let is_legal = match &operation.ret {
                Some(ret) => next.is_valid_step(&operation.op, ret),
                None => {
                    next.invoke(&operation.op);
                    true
                }
            };
            is_legal && has_order(&next, operations, done | 1 << place)
        })
}

fn tester<M: Model>(init: &M, operations: &[Operation<M>]) -> bool {
    let mut events: Vec<(u64, bool, usize)> = Vec::new();
    for (place, operation) in operations.iter().enumerate() {
        events.push((operation.invoked, false, place));
        if operation.ret.is_some() {
            events.push((operation.returned, true, place));
        }
    }
    events.sort_unstable();
    let mut tester = LinearizabilityTester::new(init.clone());
    for (_, is_return, place) in events {
        let operation = &operations[place];
        let event = match &operation.ret {
            Some(ret) if is_return => tester.on_return(place, ret.clone()),
            Some(_) | None => tester.on_invoke(place, operation.op.clone()),
        };
        event.expect("an operation is invoked once, and then returns once");
    }
    tester.is_consistent()
}
