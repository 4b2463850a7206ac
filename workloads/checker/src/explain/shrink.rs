//! The smallest core: delta debugging, with a check as the test.

use super::case::{Case, History};
use super::grounds::Grounds;
use crate::engine::Limits;
use crate::model::{Model, Takes};
use crate::object::Operation;
use crate::order::sort_places;
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

/// The smallest part of `operations` that is still a violation on its own: taking any one of them away makes it legal, or
/// meaningless. A part that is larger, where a limit comes first.
///
/// What is meaningless a model may [tell](Model::TELLS_REASONS): what another one observed is gone, or the reason why something was
/// missing. For any other model it is that the operations left out may be the reason, or that it can't be seen from what stays how the
/// result that is wrong may have come about.
pub fn shrink<M: Model>(init: &M, operations: &[Operation<M>], limits: Limits<'_>) -> Vec<Operation<M>> {
    let all: Vec<usize> = (0..operations.len()).collect();
    let case = History {
        init,
        operations,
        limits,
    };
    let (core, _) = within(&case, &all, None);
    core.into_iter().map(|place| operations[place].clone()).collect()
}

/// As [`shrink`], of the operations at `places`; and whether no limit came first.
///
/// Parts of a violation may be violations of another kind: of two writes of a value the one is left out that a read saw. With
/// `culprit`, the operation that no order explains, those parts come first that have an order without it, so that the core shows what
/// is said.
pub(super) fn within(case: &dyn Case, places: &[usize], culprit: Option<usize>) -> (Vec<usize>, bool) {
    let mut by_invocation = places.to_vec();
    sort_places(&mut by_invocation, &|place| (case.span(place).invoked, 0));
    if case.tells_reasons() {
        return Shrinking::new(case, by_invocation, culprit).by_reasons(places);
    }
    let culprit = culprit.or_else(|| case.unexplained(places).map(|nth| places[nth]));
    let Some(culprit) = culprit else {
        return (places.to_vec(), false);
    };
    let returned = case.span(culprit).returned;
    by_invocation.retain(|place| case.span(*place).invoked <= returned);
    let (grounds, kept) = Grounds::new(case, &by_invocation, culprit);
    let hold = |kept: &[usize]| grounds.hold(kept);
    let mut shrinking = Shrinking::new(case, by_invocation, Some(culprit));
    shrinking.grounds = Some(&hold);
    let (core, smallest) = shrinking.on_grounds(kept);
    (core, smallest && grounds.is_certain.get())
}

/// Whether operations at places count for a core.
type Hold<'a> = &'a dyn Fn(&[usize]) -> bool;

struct Shrinking<'a> {
    case: &'a dyn Case,
    /// What the object holds at first, sorted.
    held: Vec<u64>,
    /// All places that the core is sought among.
    by_invocation: Vec<usize>,
    /// What has to stay, and to be what makes it a violation.
    culprit: Option<usize>,
    /// For a model that does not tell reasons.
    grounds: Option<Hold<'a>>,
    /// How many checks are left.
    checks: usize,
    /// How many operations they may walk.
    walked: usize,
}

impl<'a> Shrinking<'a> {
    fn new(case: &'a dyn Case, by_invocation: Vec<usize>, culprit: Option<usize>) -> Self {
        Shrinking {
            case,
            held: case.held(),
            by_invocation,
            culprit,
            grounds: None,
            checks: CHECKS_MAX / 2,
            walked: OPERATIONS_MAX / 2,
        }
    }

    fn by_reasons(mut self, places: &[usize]) -> (Vec<usize>, bool) {
        let conflict = self.conflict(places);
        let conflict = conflict.filter(|conflict| {
            let shows = self.shows(conflict);
            if !shows && places.len() > AROUND_CULPRIT_MAX {
                self.culprit = None;
            }
            shows || self.culprit.is_none()
        });
        let core = self.last(conflict.unwrap_or_else(|| places.to_vec()));
        let (core, smallest) = self.shrink(core);
        if self.culprit.is_some() && self.shows(&core) {
            // A part of it may be a violation only because operations were left out that it owes its meaning to.
            return (core, smallest);
        }
        self.checks += CHECKS_MAX / 2;
        self.walked += OPERATIONS_MAX / 2;
        match self.culprit.take() {
            Some(_) => self.shrink(core),
            None => (core, smallest),
        }
    }

    fn on_grounds(mut self, kept: Vec<usize>) -> (Vec<usize>, bool) {
        let core = self.last(kept);
        self.shrink(core)
    }

    fn is_over(&self) -> bool {
        self.checks == 0 || self.walked == 0 || self.case.is_stopped()
    }

    /// Whether `candidate` is a violation, and has an order without the culprit.
    fn shows(&mut self, candidate: &[usize]) -> bool {
        if let Some(hold) = self.grounds {
            self.spend(candidate);
            return hold(candidate);
        }
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
        self.spend(candidate);
        self.case.is_violation(candidate)
    }

    fn spend(&mut self, candidate: &[usize]) {
        self.checks = self.checks.saturating_sub(1);
        self.walked = self.walked.saturating_sub(candidate.len());
    }

    /// What a linear-time engine finds to be a violation on its own, if there is one for the model and the history qualifies.
    fn conflict(&mut self, places: &[usize]) -> Option<Vec<usize>> {
        let mut candidate = self.case.conflict(places)?;
        // What was there at first is gone all the same.
        let takes_held = |place: &&usize| match self.case.takes(**place) {
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
                return (core, !self.case.is_stopped());
            }
        }
    }

    /// What is left of `kept`, in the order of `all`, where each operation means what it did among `all`.
    ///
    /// Without: those that observe what somebody among `all` produced, and nobody among `kept` does; those that miss what was taken away by
    /// others alone; and those that produced what somebody among `all` took away, and nobody among `kept` does. With: those that took
    /// away what nobody produced, since it was there at first, or that took nobody knows what.
    fn closed(&self, all: &[usize], kept: &[usize]) -> Vec<usize> {
        if self.grounds.is_some() {
            let kept = Members::of(kept);
            return all.iter().copied().filter(|place| kept.has(*place)).collect();
        }
        let ((_, ever), ever_taken) = (self.founded(all, None), self.taken_away(all));
        let kept = Members::of(kept);
        let is_needed = |place: &usize| match self.case.takes(*place) {
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
                let produced = self.case.produces(*place);
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
            seen.clear();
            self.case.observes(*place, &mut seen);
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
            let Some(value) = self.case.produces(places[nth]) else {
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
        let one = self.case.span(place);
        let Some(thing) = self.case.misses(place) else {
            return true;
        };
        let is_in_time = |other: &usize| self.case.span(*other).invoked <= one.returned;
        let end = self.by_invocation.partition_point(is_in_time);
        let (mut brought_back, mut others) = (None, false);
        for &place in self.by_invocation[..end].iter().rev().take(LOOK_BACK_MAX) {
            let other = self.case.span(place);
            let in_time = other.is_lost || brought_back.is_none_or(|since| other.returned >= since);
            if in_time && self.case.takes_away(place, thing) {
                if kept.has(place) {
                    return true;
                }
                others = true;
            }
            let is_over = !other.is_lost && other.returned < one.invoked;
            if is_over && self.case.produces(place) == Some(thing) && kept.has(place) {
                // The latest one is met first.
                brought_back = brought_back.or(Some(other.invoked));
            }
        }
        !others
    }

    /// What operations take away, sorted.
    fn taken_away(&self, places: &[usize]) -> Vec<u64> {
        let mut taken: Vec<u64> = places
            .iter()
            .filter_map(|place| match self.case.takes(*place) {
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
