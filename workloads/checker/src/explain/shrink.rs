//! The smallest core: delta debugging, with a check as the test.

use crate::engine::Limits;
use crate::model::{Model, Takes};
use crate::object::{Operation, conflict, is_violation};

/// How many checks the shrinking of one violation may take.
const CHECKS_MAX: usize = 4000;
/// How many operations all those checks together may walk.
const OPERATIONS_MAX: usize = 20_000_000;
/// How many operations before the end of one that missed something are looked at for the reason.
const LOOK_BACK_MAX: usize = 1024;
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
    let mut by_invocation = places.to_vec();
    by_invocation.sort_by_key(|place| operations[*place].invoked);
    let mut held = Vec::new();
    init.holds(&mut held);
    held.sort_unstable();
    let mut shrinking = Shrinking {
        init,
        held,
        operations,
        by_invocation,
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
    /// What it holds at first, sorted.
    held: Vec<u64>,
    operations: &'a [Operation<M>],
    /// All places that the core is sought among.
    by_invocation: Vec<usize>,
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
        let mut candidate: Vec<usize> = found.into_iter().map(|place| places[place]).collect();
        // What was there at first is gone all the same.
        let takes_held = |place: &&usize| match self.takes(**place) {
            Takes::This(value) => self.held.binary_search(&value).is_ok(),
            Takes::Nothing | Takes::Something => false,
        };
        candidate.extend(places.iter().filter(takes_held));
        candidate.sort_unstable();
        candidate.dedup();
        self.fails(&candidate).then_some(candidate)
    }

    /// The fewest last operations that are a violation on their own, give or take a factor of two: of a long history that takes no more
    /// than two walks over it, where halving it would take one for each half.
    fn last(&mut self, places: Vec<usize>) -> Vec<usize> {
        let within = Members::of(&places);
        let mut order = self.by_invocation.clone();
        order.retain(|place| within.has(*place));
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
                // What is needed for the others to mean the same comes back.
                if candidate.len() < core.len() && self.fails(&candidate) {
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

    /// What is left of `kept`, in the order of `all`, where each operation means what it did among `all`.
    ///
    /// Without: those that observe what somebody among `all` produced, and nobody among `kept` does; those that miss what was taken away by
    /// others alone; and those that produced what somebody among `all` took away, and nobody among `kept` does. With: those that took
    /// away what nobody produced, since it was there at first, or that took nobody knows what.
    fn closed(&self, all: &[usize], kept: &[usize]) -> Vec<usize> {
        let [ever_produced, ever_taken] = self.values(all);
        let kept = Members::of(kept);
        let is_needed = |place: &usize| match self.takes(*place) {
            Takes::Nothing => false,
            Takes::This(value) => self.held.binary_search(&value).is_ok(),
            Takes::Something => true,
        };
        let is_kept = |place: &usize| kept.has(*place) || is_needed(place);
        let mut kept: Vec<usize> = all.iter().copied().filter(is_kept).collect();
        let mut seen = Vec::new();
        loop {
            let ([produced, taken], before) = (self.values(&kept), kept.len());
            let members = Members::of(&kept);
            let is_missing = |value: &u64, now: &[u64], ever: &[u64]| {
                now.binary_search(value).is_err() && ever.binary_search(value).is_ok()
            };
            kept.retain(|place| {
                if !self.has_reason(*place, &members) {
                    return false;
                }
                let operation = &self.operations[*place];
                let (op, ret) = (&operation.op, operation.ret.as_ref());
                seen.clear();
                M::observes(op, ret, &mut seen);
                !seen
                    .iter()
                    .any(|value| is_missing(value, &produced, &ever_produced))
                    && !M::produces(op, ret).is_some_and(|value| is_missing(&value, &taken, &ever_taken))
            });
            if kept.len() == before {
                return kept;
            }
        }
    }

    /// Whether somebody among `kept` may have taken away what the operation at `place` missed, or nobody at all has: for then that it
    /// was missed is what can't be explained. Who did so before somebody in `kept` brought it back is no reason.
    fn has_reason(&self, place: usize, kept: &Members) -> bool {
        let one = &self.operations[place];
        let Some(thing) = M::misses(&one.op, one.ret.as_ref()) else {
            return true;
        };
        let end = self
            .by_invocation
            .partition_point(|other| self.operations[*other].invoked <= one.returned);
        let (mut brought_back, mut others) = (None, false);
        for &place in self.by_invocation[..end].iter().rev().take(LOOK_BACK_MAX) {
            let other = &self.operations[place];
            let (op, ret) = (&other.op, other.ret.as_ref());
            let in_time = ret.is_none() || brought_back.is_none_or(|since| other.returned >= since);
            if in_time && M::takes_away(op, ret, thing) {
                if kept.has(place) {
                    return true;
                }
                others = true;
            }
            let is_over = ret.is_some() && other.returned < one.invoked;
            if is_over && M::produces(op, ret) == Some(thing) && kept.has(place) {
                // The latest one is met first.
                brought_back = brought_back.or(Some(other.invoked));
            }
        }
        !others
    }

    fn takes(&self, place: usize) -> Takes {
        let operation = &self.operations[place];
        M::takes(&operation.op, operation.ret.as_ref())
    }

    /// What operations produce, and what they take away.
    fn values(&self, places: &[usize]) -> [Vec<u64>; 2] {
        let mut values = [Vec::new(), Vec::new()];
        for place in places {
            let operation = &self.operations[*place];
            values[0].extend(M::produces(&operation.op, operation.ret.as_ref()));
            if let Takes::This(value) = self.takes(*place) {
                values[1].push(value);
            }
        }
        values.iter_mut().for_each(|values| values.sort_unstable());
        values
    }
}

/// A set of places.
struct Members(Vec<usize>);

impl Members {
    fn of(places: &[usize]) -> Members {
        let mut sorted = places.to_vec();
        sorted.sort_unstable();
        Members(sorted)
    }

    fn has(&self, place: usize) -> bool {
        self.0.binary_search(&place).is_ok()
    }
}
