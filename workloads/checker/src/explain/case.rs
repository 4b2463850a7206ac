//! What the shrinking of a violation asks of a history, whatever the model.

use crate::engine::Limits;
use crate::model::{Model, Takes};
use crate::object::{Operation, conflict, is_violation};

/// When an operation was there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) invoked: u64,
    /// Without meaning where it is lost.
    pub(super) returned: u64,
    /// Whether nobody learned what became of it.
    pub(super) is_lost: bool,
}

/// A history whose operations are named by their places. There is one shrinking for all models.
pub(super) trait Case {
    /// Whether no order explains those at `places`, as far as can be told within the limits.
    fn is_violation(&self, places: &[usize]) -> bool;

    /// What a linear-time engine finds to be a violation among them, if there is one for the model and they qualify.
    fn conflict(&self, places: &[usize]) -> Option<Vec<usize>>;

    /// Whether the caller wants no more.
    fn is_stopped(&self) -> bool;

    /// What the object [holds](Model::holds) at first, sorted.
    fn held(&self) -> Vec<u64>;

    fn span(&self, place: usize) -> Span;

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

    fn is_stopped(&self) -> bool {
        (self.limits.should_stop)()
    }

    fn held(&self) -> Vec<u64> {
        let mut held = Vec::new();
        self.init.holds(&mut held);
        held.sort_unstable();
        held
    }

    fn span(&self, place: usize) -> Span {
        let operation = &self.operations[place];
        Span {
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
