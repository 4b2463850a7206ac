//! The smallest core: delta debugging, with a check as the test.

use crate::engine::Limits;
use crate::model::Model;
use crate::object::{Operation, conflict, is_violation};

/// How many checks the shrinking of one violation may take.
const CHECKS_MAX: usize = 4000;
/// How many operations all those checks together may walk.
const OPERATIONS_MAX: usize = 20_000_000;
/// How many of the last operations are tried first as a violation on their own, then twice as many, and so on.
const LAST_MIN: usize = 16;

/// The smallest part of `operations` that is still a violation on its own: taking any one of them away makes it legal, or takes
/// away what another one observed. A part that is larger, where a limit comes first.
pub fn shrink<M: Model>(init: &M, operations: &[Operation<M>], limits: Limits<'_>) -> Vec<Operation<M>> {
    let all: Vec<usize> = (0..operations.len()).collect();
    let (core, _) = within(init, operations, &all, limits);
    core.into_iter().map(|place| operations[place].clone()).collect()
}

/// As [`shrink`], of the operations at `places`; and whether no limit came first.
pub(super) fn within<M: Model>(
    init: &M,
    operations: &[Operation<M>],
    places: &[usize],
    limits: Limits<'_>,
) -> (Vec<usize>, bool) {
    let mut shrinking = Shrinking {
        init,
        operations,
        limits,
        checks: 0,
        walked: 0,
    };
    let conflict = shrinking.conflict(places);
    let core = shrinking.last(conflict.unwrap_or_else(|| places.to_vec()));
    shrinking.shrink(core)
}

struct Shrinking<'a, M: Model> {
    init: &'a M,
    operations: &'a [Operation<M>],
    limits: Limits<'a>,
    checks: usize,
    walked: usize,
}

impl<M: Model> Shrinking<'_, M> {
    fn is_over(&self) -> bool {
        self.checks >= CHECKS_MAX || self.walked >= OPERATIONS_MAX || (self.limits.should_stop)()
    }

    fn fails(&mut self, candidate: &[usize]) -> bool {
        self.checks += 1;
        self.walked += candidate.len();
        is_violation(self.init, &self.taken(candidate), self.limits)
    }

    fn taken(&self, places: &[usize]) -> Vec<Operation<M>> {
        places
            .iter()
            .map(|place| self.operations[*place].clone())
            .collect()
    }

    /// What a linear-time engine finds to be a violation on its own, if there is one for the model and the history qualifies.
    fn conflict(&mut self, places: &[usize]) -> Option<Vec<usize>> {
        let found = conflict(self.init, &self.taken(places), self.limits)?;
        let candidate: Vec<usize> = found.into_iter().map(|place| places[place]).collect();
        self.fails(&candidate).then_some(candidate)
    }

    /// The fewest last operations that are a violation on their own, give or take a factor of two: of a long history that takes no more
    /// than two walks over it, where halving it would take one for each half.
    fn last(&mut self, places: Vec<usize>) -> Vec<usize> {
        let mut order = places.clone();
        order.sort_by_key(|place| self.operations[*place].invoked);
        let mut count = LAST_MIN;
        while count < order.len() && !self.is_over() {
            let first = order.len() - count;
            let candidate = self.closed(&places, &order[first..]);
            if self.fails(&candidate) {
                return candidate;
            }
            count *= 2;
        }
        places
    }

    fn shrink(&mut self, mut core: Vec<usize>) -> (Vec<usize>, bool) {
        let mut size = core.len().div_ceil(2).max(1);
        loop {
            let mut shrunk = false;
            let mut at = 0;
            while at < core.len() {
                if self.is_over() {
                    return (core, false);
                }
                let end = (at + size).min(core.len());
                let kept = [&core[..at], &core[end..]].concat();
                let candidate = self.closed(&core, &kept);
                if self.fails(&candidate) {
                    core = candidate;
                    shrunk = true;
                } else {
                    at += size;
                }
            }
            if size > 1 {
                size = size.div_ceil(2);
            } else if !shrunk {
                // A check that was stopped has found nothing out, and leaves what may be needless.
                return (core, !(self.limits.should_stop)());
            }
        }
    }

    /// Those of `kept` that don't observe what somebody among `all` produced, and nobody among `kept` does.
    fn closed(&self, all: &[usize], kept: &[usize]) -> Vec<usize> {
        let ever = self.produced(all);
        let mut kept = kept.to_vec();
        loop {
            let (now, before) = (self.produced(&kept), kept.len());
            kept.retain(|place| {
                let operation = &self.operations[*place];
                M::observes(&operation.op, operation.ret.as_ref()).is_none_or(|value| {
                    now.binary_search(&value).is_ok() || ever.binary_search(&value).is_err()
                })
            });
            if kept.len() == before {
                return kept;
            }
        }
    }

    fn produced(&self, places: &[usize]) -> Vec<u64> {
        let mut values: Vec<u64> = places
            .iter()
            .filter_map(|place| {
                let operation = &self.operations[*place];
                M::produces(&operation.op, operation.ret.as_ref())
            })
            .collect();
        values.sort_unstable();
        values
    }
}
