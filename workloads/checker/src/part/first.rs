//! Which return is the first that no order explains, where the walk that found a violation looked ahead.

use super::{Cut, Part, return_of};
use crate::engine::{Engine, Limits};
use crate::model::Model;
use crate::object::ObjectVerdict;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// A trial may look at its limits so often, and more if the walk that found the violation did: it knows less of what is to come.
const TRIAL_LOOKS_MIN: u64 = 16;
const TRIAL_LOOKS_FACTOR: u64 = 2;
/// And all trials together.
const ALL_LOOKS_MIN: u64 = 256;
const ALL_LOOKS_FACTOR: u64 = 16;

/// What comes of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Order,
    NoOrder,
    /// It took too long.
    Unknown,
}

impl<M: Model> Part<'_, M> {
    /// A walk that looks ahead meets a violation at `found`, maybe before the return that makes it one. That return is looked for:
    /// by doubling, since it is mostly near and short histories are easy, then by halving. What is legal in every state can't be it,
    /// and is passed over.
    ///
    /// Each trial takes a bounded number of steps, no fewer than it took to find the violation. Where that is not enough, nothing is
    /// concluded from it: the return that is named ends a history that has no order for certain.
    ///
    /// In which states the object could have been is not told: what a walk that looks ahead has in hand is what the reads to come left.
    pub(super) fn first_violation(
        &self,
        engine: &mut Engine<'_, M>,
        found: Cut,
        before: u64,
    ) -> ObjectVerdict<M> {
        let mut returns: Vec<Cut> = Vec::new();
        for place in self.places.iter().map(|place| *place as usize) {
            if self.is_at_risk(place) {
                returns.push(return_of(self.operations, place));
            }
        }
        returns.sort_unstable();
        let spent = engine.looks() - before;
        let left = Cell::new(ALL_LOOKS_MIN + ALL_LOOKS_FACTOR * spent);
        let limits = engine.limits();
        let try_first = |count: usize| {
            let looks_max = left.get().min(TRIAL_LOOKS_MIN + TRIAL_LOOKS_FACTOR * spent);
            let (trial, looks) = self.try_until(limits, returns[count - 1], looks_max);
            left.set(left.get().saturating_sub(looks));
            trial
        };
        // So many returns have an order, or it can't be told.
        let mut passed = returns.partition_point(|other| *other < found);
        let mut violation = returns.len();
        let mut step = 1;
        while passed + step < violation {
            match try_first(passed + step) {
                Trial::NoOrder => violation = passed + step,
                Trial::Order | Trial::Unknown => {
                    passed += step;
                    step *= 2;
                }
            }
        }
        while violation - passed > 1 {
            let middle = passed + (violation - passed) / 2;
            match try_first(middle) {
                Trial::NoOrder => violation = middle,
                Trial::Order | Trial::Unknown => passed = middle,
            }
        }
        ObjectVerdict::Violation {
            operation: returns[violation - 1].1,
            states: Vec::new(),
        }
    }

    /// Whether there is an order up to and with the return `cut`; and how often that looked at the limits.
    fn try_until(&self, limits: Limits<'_>, cut: Cut, looks_max: u64) -> (Trial, u64) {
        let looks = AtomicU64::new(0);
        let should_stop = || looks.fetch_add(1, Ordering::Relaxed) >= looks_max || (limits.should_stop)();
        let limits = Limits {
            should_stop: &should_stop,
            ..limits
        };
        let mut engine = Engine::new(self.init.clone(), limits);
        let trial = match self.seek(&mut engine, cut, &AtomicU64::new(u64::MAX)) {
            Ok(ObjectVerdict::Valid) => Trial::Order,
            Ok(_) => Trial::Unknown,
            Err(_) => Trial::NoOrder,
        };
        (trial, looks.load(Ordering::Relaxed))
    }
}
