//! The smallest core: delta debugging, with a check as the test.

use crate::engine::Limits;
use crate::model::{Model, Takes};
use crate::object::{Operation, conflict, is_violation};
use rustc_hash::{FxHashMap, FxHashSet};

/// How many checks the shrinking of one violation may take.
const CHECKS_MAX: usize = 4000;
/// How many operations all those checks together may walk.
const OPERATIONS_MAX: usize = 20_000_000;
/// Of more operations, what a linear-time engine finds to be a violation is the core, also where the operation that is named is not in it.
const AROUND_CULPRIT_MAX: usize = 20_000;
/// How many operations before the end of one that missed something are looked at for the reason.
const LOOK_BACK_MAX: usize = 1024;
/// How many of the last operations are tried first as a violation on their own, then twice as many, and so on.
const LAST_MIN: usize = 16;

/// The smallest part of `operations` that is still a violation on its own: taking any one of them away makes it legal, or takes
/// away what another one observed. A part that is larger, where a limit comes first.
pub fn shrink<M: Model>(init: &M, operations: &[Operation<M>], limits: Limits<'_>) -> Vec<Operation<M>> {
    let all: Vec<usize> = (0..operations.len()).collect();
    let (core, _) = within(init, operations, &all, None, limits);
    core.into_iter().map(|place| operations[place].clone()).collect()
}

/// As [`shrink`], of the operations at `places`; and whether no limit came first.
///
/// Parts of a violation may be violations of another kind: of two writes of a value the one is left out that a read saw. With
/// `culprit`, the operation that no order explains, those parts come first that have an order without it, so that the core shows what
/// is said.
pub(super) fn within<M: Model>(
    init: &M,
    operations: &[Operation<M>],
    places: &[usize],
    culprit: Option<usize>,
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
        culprit,
        checks: CHECKS_MAX / 2,
        walked: OPERATIONS_MAX / 2,
    };
    let conflict = shrinking.conflict(places);
    let conflict = conflict.filter(|conflict| {
        let shows = shrinking.shows(conflict);
        if !shows && places.len() > AROUND_CULPRIT_MAX {
            shrinking.culprit = None;
        }
        shows || shrinking.culprit.is_none()
    });
    let core = shrinking.last(conflict.unwrap_or_else(|| places.to_vec()));
    let (core, smallest) = shrinking.shrink(core);
    shrinking.checks += CHECKS_MAX / 2;
    shrinking.walked += OPERATIONS_MAX / 2;
    match shrinking.culprit.take() {
        Some(_) => shrinking.shrink(core),
        None => (core, smallest),
    }
}

struct Shrinking<'a, M: Model> {
    init: &'a M,
    /// What it holds at first, sorted.
    held: Vec<u64>,
    operations: &'a [Operation<M>],
    /// All places that the core is sought among.
    by_invocation: Vec<usize>,
    limits: Limits<'a>,
    /// What has to stay, and to be what makes it a violation.
    culprit: Option<usize>,
    /// How many checks are left.
    checks: usize,
    /// How many operations they may walk.
    walked: usize,
}

impl<M: Model> Shrinking<'_, M> {
    fn is_over(&self) -> bool {
        self.checks == 0 || self.walked == 0 || (self.limits.should_stop)()
    }

    /// Whether `candidate` is a violation, and has an order without the culprit.
    fn shows(&mut self, candidate: &[usize]) -> bool {
        let Some(culprit) = self.culprit else {
            return self.fails(candidate);
        };
        if !candidate.contains(&culprit) || !self.fails(candidate) {
            return false;
        }
        let mut others = candidate.to_vec();
        others.retain(|place| *place != culprit);
        !self.fails(&others)
    }

    fn fails(&mut self, candidate: &[usize]) -> bool {
        self.checks = self.checks.saturating_sub(1);
        self.walked = self.walked.saturating_sub(candidate.len());
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
            let culprit = self.culprit.filter(|culprit| !order[first..].contains(culprit));
            let last: Vec<usize> = culprit
                .into_iter()
                .chain(order[first..].iter().copied())
                .collect();
            let candidate = self.closed(&places, &last);
            if self.shows(&candidate) {
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
                if candidate.len() < core.len() && self.shows(&candidate) {
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
        let ((_, ever), ever_taken) = (self.founded(all, None), self.taken_away(all));
        let kept = Members::of(kept);
        let is_needed = |place: &usize| match self.takes(*place) {
            Takes::Nothing => false,
            Takes::This(value) => self.held.binary_search(&value).is_ok(),
            Takes::Something => true,
        };
        let is_kept = |place: &usize| kept.has(*place) || is_needed(place);
        let mut kept: Vec<usize> = all.iter().copied().filter(is_kept).collect();
        loop {
            let (taken, before) = (self.taken_away(&kept), kept.len());
            let members = Members::of(&kept);
            kept.retain(|place| {
                let operation = &self.operations[*place];
                let produced = M::produces(&operation.op, operation.ret.as_ref());
                let stays = |value: &u64| {
                    taken.binary_search(value).is_err() && ever_taken.binary_search(value).is_ok()
                };
                self.has_reason(*place, &members) && !produced.as_ref().is_some_and(stays)
            });
            (kept, _) = self.founded(&kept, Some(&ever));
            if kept.len() == before {
                return kept;
            }
        }
    }

    /// Those of `places` whose observations go back to something that observed nothing, and what they produced: an operation that
    /// produces what it observed itself, such as a swap of a value for the same one, does not account for it, nor do several for each
    /// other. With `ever`, what observed something else is founded too: nobody accounts for that.
    fn founded(&self, places: &[usize], ever: Option<&FxHashSet<u64>>) -> (Vec<usize>, FxHashSet<u64>) {
        let (mut ready, mut seen) = (Vec::new(), Vec::new());
        let mut waiting: FxHashMap<u64, Vec<usize>> = FxHashMap::default();
        let mut missing: Vec<usize> = Vec::with_capacity(places.len());
        for (nth, place) in places.iter().enumerate() {
            let operation = &self.operations[*place];
            seen.clear();
            M::observes(&operation.op, operation.ret.as_ref(), &mut seen);
            seen.retain(|value| match ever {
                Some(ever) => ever.contains(value),
                None => self.held.binary_search(value).is_err(),
            });
            seen.sort_unstable();
            seen.dedup();
            for value in &seen {
                waiting.entry(*value).or_default().push(nth);
            }
            missing.push(seen.len());
            if seen.is_empty() {
                ready.push(nth);
            }
        }
        let mut produced = FxHashSet::default();
        while let Some(nth) = ready.pop() {
            let operation = &self.operations[places[nth]];
            let Some(value) = M::produces(&operation.op, operation.ret.as_ref()) else {
                continue;
            };
            if produced.insert(value) {
                for nth in waiting.remove(&value).unwrap_or_default() {
                    missing[nth] -= 1;
                    if missing[nth] == 0 {
                        ready.push(nth);
                    }
                }
            }
        }
        let founded = places.iter().zip(missing).filter(|(_, missing)| *missing == 0);
        (founded.map(|(place, _)| *place).collect(), produced)
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

    /// What operations take away, sorted.
    fn taken_away(&self, places: &[usize]) -> Vec<u64> {
        let mut taken: Vec<u64> = places
            .iter()
            .filter_map(|place| match self.takes(*place) {
                Takes::This(value) => Some(value),
                Takes::Nothing | Takes::Something => None,
            })
            .collect();
        taken.sort_unstable();
        taken
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
