//! What the explanation of a violation asks of a history, whatever the model.

use super::words::Told;
use crate::engine::Limits;
use crate::model::{Model, Takes};
use crate::object::{ObjectVerdict, Operation, check_object, conflict, has_order, is_violation};
use rustc_hash::FxHasher;
use std::hash::Hasher as _;

/// Whose an operation was, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) process: u64,
    pub(super) invoked: u64,
    /// Without meaning where it is lost.
    pub(super) returned: u64,
    /// Whether nobody learned what became of it.
    pub(super) is_lost: bool,
}

/// A history whose operations are named by their places. There is one shrinking, and one search for orders, for all models.
pub(super) trait Case {
    /// Whether no order explains those at `places`, as far as can be told within the limits.
    fn is_violation(&self, places: &[usize]) -> bool;

    /// What a linear-time engine finds to be a violation among them, if there is one for the model and they qualify.
    fn conflict(&self, places: &[usize]) -> Option<Vec<usize>>;

    /// The operation among those at `places` that no order explains, by its place among them, as far as can be told within the limits.
    fn unexplained(&self, places: &[usize]) -> Option<usize>;

    /// Whether some order explains a [`Question`]; `None` where that can't be told within the limits.
    fn has_order(&self, question: &Question<'_>, limits: Limits<'_>) -> Option<bool>;

    /// The object as it begins.
    fn course(&self) -> Box<dyn Course + '_>;

    /// The limits on all of it.
    fn limits(&self) -> Limits<'_>;

    /// Whether the caller wants no more.
    fn is_stopped(&self) -> bool {
        (self.limits().should_stop)()
    }

    /// See [`Model::TELLS_REASONS`].
    fn tells_reasons(&self) -> bool;

    /// See [`Model::is_read_only`]; what nobody learned the outcome of is not.
    fn is_read_only(&self, place: usize) -> bool;

    /// What the object [holds](Model::holds) at first, sorted.
    fn held(&self) -> Vec<u64>;

    /// How many operations there are.
    fn count(&self) -> usize;

    fn span(&self, place: usize) -> Span;

    /// The operation in words.
    fn told(&self, place: usize) -> Told;

    /// See [`Model::produces`].
    fn produces(&self, place: usize) -> Option<u64>;

    /// See [`Model::observes`].
    fn observes(&self, place: usize, seen: &mut Vec<u64>);

    /// See [`Model::takes`].
    fn takes(&self, place: usize) -> Takes;

    /// See [`Model::misses`].
    fn misses(&self, place: usize) -> Option<u64>;

    /// See [`Model::takes_away`].
    fn takes_away(&self, place: usize, thing: u64) -> bool;
}

/// Whether some order explains operations.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Question<'a> {
    /// The places of those that took effect.
    pub(super) required: &'a [usize],
    /// Of those that did within their times, or not.
    pub(super) optional: &'a [usize],
    /// Of the one among the required that may have taken effect before it was invoked.
    pub(super) early: Option<usize>,
}

/// What becomes of an object when operations take effect one after the other.
pub(super) trait Course {
    /// Has the operation at `place` take effect, if it can. Where outcomes are open the first one stands for all.
    fn take(&mut self, place: usize) -> bool;

    /// Takes the last one back.
    fn take_back(&mut self);

    /// A hash of the state.
    fn hash(&self) -> u64;
}

/// The history of an object.
pub(super) struct History<'a, M: Model> {
    pub(super) init: &'a M,
    pub(super) operations: &'a [Operation<M>],
    pub(super) limits: Limits<'a>,
}

impl<M: Model> History<'_, M> {
    fn taken(&self, places: &[usize]) -> Vec<Operation<M>> {
        let taken = places.iter().map(|place| self.operations[*place].clone());
        taken.collect()
    }

    fn call(&self, place: usize) -> (&M::Op, Option<&M::Ret>) {
        let operation = &self.operations[place];
        (&operation.op, operation.ret.as_ref())
    }
}

impl<M: Model> Case for History<'_, M> {
    fn is_violation(&self, places: &[usize]) -> bool {
        is_violation(self.init, &self.taken(places), self.limits)
    }

    fn conflict(&self, places: &[usize]) -> Option<Vec<usize>> {
        let found = conflict(self.init, &self.taken(places), self.limits)?;
        Some(found.into_iter().map(|place| places[place]).collect())
    }

    fn unexplained(&self, places: &[usize]) -> Option<usize> {
        match check_object(self.init, &self.taken(places), self.limits) {
            ObjectVerdict::Violation { operation, .. } => Some(operation),
            ObjectVerdict::Valid | ObjectVerdict::Unknown(_) | ObjectVerdict::Superseded => None,
        }
    }

    fn has_order(&self, question: &Question<'_>, limits: Limits<'_>) -> Option<bool> {
        let required = question.required.iter().map(|place| {
            let mut operation = self.operations[*place].clone();
            if question.early == Some(*place) {
                operation.invoked = 0;
            }
            operation
        });
        let mut operations: Vec<Operation<M>> = required.collect();
        operations.extend(self.taken(question.optional));
        let is_optional: Vec<bool> = (0..operations.len())
            .map(|place| place >= question.required.len())
            .collect();
        has_order(self.init, &operations, &is_optional, limits)
    }

    fn course(&self) -> Box<dyn Course + '_> {
        Box::new(States {
            operations: self.operations,
            states: vec![self.init.clone()],
        })
    }

    fn limits(&self) -> Limits<'_> {
        self.limits
    }

    fn tells_reasons(&self) -> bool {
        M::TELLS_REASONS
    }

    fn is_read_only(&self, place: usize) -> bool {
        let (op, ret) = self.call(place);
        ret.is_some_and(|ret| M::is_read_only(op, ret))
    }

    fn held(&self) -> Vec<u64> {
        let mut held = Vec::new();
        self.init.holds(&mut held);
        held.sort_unstable();
        held
    }

    fn count(&self) -> usize {
        self.operations.len()
    }

    fn told(&self, place: usize) -> Told {
        Told::of(&self.operations[place])
    }

    fn span(&self, place: usize) -> Span {
        let operation = &self.operations[place];
        Span {
            process: operation.process,
            invoked: operation.invoked,
            returned: operation.returned,
            is_lost: operation.ret.is_none(),
        }
    }

    fn produces(&self, place: usize) -> Option<u64> {
        let (op, ret) = self.call(place);
        M::produces(op, ret)
    }

    fn observes(&self, place: usize, seen: &mut Vec<u64>) {
        let (op, ret) = self.call(place);
        M::observes(op, ret, seen);
    }

    fn takes(&self, place: usize) -> Takes {
        let (op, ret) = self.call(place);
        M::takes(op, ret)
    }

    fn misses(&self, place: usize) -> Option<u64> {
        let (op, ret) = self.call(place);
        M::misses(op, ret)
    }

    fn takes_away(&self, place: usize, thing: u64) -> bool {
        let (op, ret) = self.call(place);
        M::takes_away(op, ret, thing)
    }
}

/// The states that an object was in, the first one too.
struct States<'a, M: Model> {
    operations: &'a [Operation<M>],
    states: Vec<M>,
}

impl<M: Model> States<'_, M> {
    fn last(&self) -> &M {
        self.states.last().expect("the first one is never taken back")
    }
}

impl<M: Model> Course for States<'_, M> {
    fn take(&mut self, place: usize) -> bool {
        let Operation { op, ret, .. } = &self.operations[place];
        let mut next = Vec::new();
        self.last().steps(op, ret.as_ref(), &mut next);
        let next = next.into_iter().next();
        let can = next.is_some();
        self.states.extend(next);
        can
    }

    fn take_back(&mut self) {
        self.states.pop();
    }

    fn hash(&self) -> u64 {
        let mut hasher = FxHasher::default();
        self.last().hash(&mut hasher);
        hasher.finish()
    }
}
