//! A failing world made as small as it goes: without the clients, faults, operations and aspects that the failure does not need.
//!
//! Each thing that draws has a stream of its own, so a world without one fault is the same world but for what that fault led to. The
//! failure that must stay is the broken invariant, not its words: a shorter story has other values.

use crate::options::{Failure, Options, Outcome};
use crate::reduction::{Aspect, FaultId, Reduction};
use crate::run::run_silently;
use std::collections::BTreeSet;

/// How often all that can be left out is tried.
const ROUNDS_MAX: usize = 4;

/// A failing world, made smaller.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// What leads to it.
    pub options: Options,
    /// What it came to.
    pub outcome: Outcome,
    /// How many worlds were tried.
    pub tried: u64,
}

struct Shrinker<'a> {
    seed: u64,
    best: Options,
    outcome: Outcome,
    failure: Failure,
    tried: u64,
    should_stop: &'a mut dyn FnMut() -> bool,
}

/// Makes the failing world of `seed` smaller, until nothing can be left out any more or `should_stop` says so.
///
/// `None`: it does not fail.
pub fn shrink(seed: u64, options: &Options, should_stop: &mut dyn FnMut() -> bool) -> Option<Shrunk> {
    let outcome = run_silently(seed, options);
    let failure = outcome.failure.clone()?;
    let mut shrinker = Shrinker {
        seed,
        best: options.clone(),
        outcome,
        failure,
        tried: 1,
        should_stop,
    };
    for _ in 0..ROUNDS_MAX {
        let before = shrinker.best.reduction.clone();
        shrinker.round();
        if shrinker.best.reduction == before {
            break;
        }
    }
    Some(Shrunk {
        options: shrinker.best,
        outcome: shrinker.outcome,
        tried: shrinker.tried,
    })
}

impl Shrinker<'_> {
    /// Keeps `reduction` if the same promise is broken with it.
    fn keeps(&mut self, reduction: Reduction) -> bool {
        if reduction == self.best.reduction || (self.should_stop)() {
            return false;
        }
        let options = Options {
            reduction,
            ..self.best.clone()
        };
        let outcome = run_silently(self.seed, &options);
        self.tried += 1;
        match &outcome.failure {
            Some(failure) if failure.invariant == self.failure.invariant => {
                (self.best, self.outcome) = (options, outcome);
                true
            }
            Some(_) | None => false,
        }
    }

    fn keeps_with(&mut self, change: impl FnOnce(&mut Reduction)) -> bool {
        let mut reduction = self.best.reduction.clone();
        change(&mut reduction);
        self.keeps(reduction)
    }

    fn round(&mut self) {
        // What comes after the failure is of no interest.
        if let Some(failure) = &self.outcome.failure {
            let until = failure.at_us + 1;
            self.keeps_with(|reduction| {
                let present = reduction.duration_us.unwrap_or(u64::MAX);
                reduction.duration_us = Some(until.min(present));
            });
        }
        for aspect in Aspect::ALL {
            self.keeps_with(|reduction| {
                reduction.without.insert(aspect);
            });
        }
        let struck: BTreeSet<FaultId> = self.outcome.struck.iter().map(|struck| struck.fault).collect();
        self.thin(struck.into_iter().collect(), |reduction, faults| {
            reduction.faults = Some(faults);
        });
        let clients: Vec<u64> = match &self.best.reduction.clients {
            Some(clients) => clients.iter().copied().collect(),
            None => (0..self.outcome.clients).collect(),
        };
        self.thin(clients, |reduction, clients| reduction.clients = Some(clients));
        self.shorten();
    }

    /// Fewer operations, and a shorter time.
    fn shorten(&mut self) {
        let mut most = self.best.reduction.operations_max.unwrap_or(64);
        while most > 0 && self.keeps_with(|reduction| reduction.operations_max = Some(most / 2)) {
            most /= 2;
        }
        while most > 0 && self.keeps_with(|reduction| reduction.operations_max = Some(most - 1)) {
            most -= 1;
        }
        while let Some(duration) = self.best.reduction.duration_us
            && duration > 1
            && self.keeps_with(|reduction| reduction.duration_us = Some(duration * 3 / 4))
        {}
    }

    /// Leaves out parts of `all`, all of it first and single ones last.
    fn thin<T: Copy + Ord>(&mut self, mut all: Vec<T>, mut set: impl FnMut(&mut Reduction, BTreeSet<T>)) {
        let mut chunk = all.len();
        while chunk > 0 {
            let mut from = 0;
            while from < all.len() {
                let to = (from + chunk).min(all.len());
                let left: Vec<T> = all[..from].iter().chain(&all[to..]).copied().collect();
                if self.keeps_with(|reduction| set(reduction, left.iter().copied().collect())) {
                    all = left;
                } else {
                    from = to;
                }
            }
            chunk /= 2;
        }
    }
}
