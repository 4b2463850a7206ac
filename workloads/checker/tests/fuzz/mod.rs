//! Small random histories, and what the linear-time engines make of them, against three oracles: a search over all orders, the general
//! engine, and stateright's `LinearizabilityTester`.
//!
//! A history is made by an object that works: each operation takes effect between its invocation and its return. Some lose their
//! answer, and then may have taken effect or not; some fail, and leave no trace. Most of the histories are then corrupted: an
//! operation is moved in time, or sees what it can't have seen. Times are few, so that many events fall together.

mod made;

pub(crate) use made::{Fuzzed, Made, history};

use crate::tester;
use checker::{EngineChoice, Limits, Model, ObjectVerdict, Operation, Refused, check_object, shrink};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use std::fmt;

/// Of each history as long as brute force can take.
const OPERATIONS_MAX: u64 = 9;
/// Every so many there is one that is longer, for the two engines only.
const SHORT_PER_LONG: u64 = 16;
/// So long.
const LONG_OPERATIONS_MAX: u64 = 40;
/// What the general engine may take for one, in bytes; a long history for which that is not enough says nothing.
const LONG_BYTES_MAX: usize = 4 << 20;

/// How many histories there were, and what of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// All.
    pub(crate) histories: u64,
    /// Those that are violations.
    pub(crate) violations: u64,
    /// Those that an engine that takes linear time judged.
    pub(crate) qualified: u64,
    /// Those of them that are violations.
    pub(crate) qualified_violations: u64,
    /// Those with operations whose outcome nobody learned, that were pending to the end or crashed.
    pub(crate) lost: u64,
    /// Those with operations that failed.
    pub(crate) failed: u64,
}

impl Tally {
    /// Whether there were enough histories of each sort for it to say something that all agree.
    ///
    /// # Errors
    /// Of which there were too few.
    pub(crate) fn balance(&self) -> Result<(), String> {
        let legal = self.qualified - self.qualified_violations;
        let wanted = [
            ("qualified", self.qualified, self.histories / 2),
            ("qualified and legal", legal, self.qualified / 5),
            (
                "qualified violations",
                self.qualified_violations,
                self.qualified / 8,
            ),
            ("with lost operations", self.lost, self.histories / 8),
            ("with failed operations", self.failed, self.histories / 8),
        ];
        match wanted.into_iter().find(|(_, count, least)| count < least) {
            Some((what, count, least)) => Err(format!("only {count} are {what}, and {least} should be")),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} histories, {} of them violations, {} with lost operations, {} with failed ones; {} qualified, {} of them violations",
            self.histories,
            self.violations,
            self.lost,
            self.failed,
            self.qualified,
            self.qualified_violations
        )
    }
}

/// A history on which not all agree.
pub(crate) struct Disagreement {
    seed: u64,
    history: String,
    says: Vec<(&'static str, bool)>,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for (who, valid) in &self.says {
            writeln!(f, "  {who}: {}", if *valid { "valid" } else { "violation" })?;
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
        let made = history::<M>(&mut random, OPERATIONS_MAX);
        judge(seed, &made, &mut tally, true)?;
        if seed.is_multiple_of(SHORT_PER_LONG) {
            let made = history::<M>(&mut random, LONG_OPERATIONS_MAX);
            judge(seed, &made, &mut tally, false)?;
        }
    }
    Ok(tally)
}

fn judge<M: Fuzzed>(
    seed: u64,
    made: &Made<M>,
    tally: &mut Tally,
    is_short: bool,
) -> Result<(), Box<Disagreement>> {
    let Made {
        init,
        operations,
        failed,
    } = made;
    let limits = limits(is_short);
    let by = |operations: &[Operation<M>], engine| says(init, operations, Limits { engine, ..limits });
    let Some(general) = by(operations, EngineChoice::General) else {
        assert!(!is_short, "the general engine judges all that are short");
        return Ok(());
    };
    let mut all = vec![("general", general)];
    let linear = by(operations, EngineChoice::Linear);
    all.extend(linear.map(|linear| ("linear", linear)));
    if is_short {
        all.push(("all orders", has_order(init, operations, 0)));
        all.push(("stateright", tester::has_order(init, operations)));
    }
    tally.histories += 1;
    tally.lost += u64::from(operations.iter().any(|operation| operation.ret.is_none()));
    tally.failed += u64::from(*failed > 0);
    tally.violations += u64::from(!general);
    tally.qualified += u64::from(linear.is_some());
    tally.qualified_violations += u64::from(linear == Some(false));
    if !general {
        // What is left of it when it is shrunk has no order either.
        let core = shrink(init, operations, limits);
        let core_is_legal = if is_short {
            has_order(init, &core, 0)
        } else {
            by(&core, EngineChoice::General) != Some(false)
        };
        all.push(("its core", core_is_legal));
    }
    if all.iter().all(|(_, valid)| *valid == general) {
        return Ok(());
    }
    let lines = operations.iter().map(|operation| format!("  {operation:?}\n"));
    Err(Box::new(Disagreement {
        seed,
        history: format!("from {init:?}\n{}", lines.collect::<String>()),
        says: all,
    }))
}

fn limits(is_short: bool) -> Limits<'static> {
    let all = Limits::default();
    Limits {
        bytes_max: if is_short { all.bytes_max } else { LONG_BYTES_MAX },
        ..all
    }
}

/// Whether an engine says that there is an order; `None` where the history is not for it, or too much.
fn says<M: Model>(init: &M, operations: &[Operation<M>], limits: Limits<'_>) -> Option<bool> {
    match check_object(init, operations, limits) {
        ObjectVerdict::Valid => Some(true),
        ObjectVerdict::Violation { .. } => Some(false),
        ObjectVerdict::Unknown(Refused::Unqualified { .. } | Refused::Memory { .. }) => None,
        other @ (ObjectVerdict::Unknown(_) | ObjectVerdict::Superseded) => panic!("{other:?}"),
    }
}

/// Whether some order of the operations that are not `done` (a bit for each place) fits, by trying all of them.
pub(crate) fn has_order<M: Fuzzed>(state: &M, operations: &[Operation<M>], done: u32) -> bool {
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
            let next = match &operation.ret {
                Some(ret) => {
                    let mut next = state.clone();
                    if next.is_valid_step(&operation.op, ret) {
                        vec![next]
                    } else {
                        Vec::new()
                    }
                }
                None => state.unobserved(&operation.op),
            };
            next.iter()
                .any(|next| has_order(next, operations, done | 1 << place))
        })
}
