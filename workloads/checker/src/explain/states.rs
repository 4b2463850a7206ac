//! What an object could have been while the operation was open that no order explains.
//!
//! The configurations that a search has in hand when it finds a violation tell only a part of that: they took up operations no earlier
//! than they had to, so states are missing that open or lost operations lead to, and those before the last return. So the history is
//! walked once more, up to the culprit's return, as if nobody had seen what the culprit returned, and each state remembers in which one
//! it took effect. States and calls go by number there, so that there is one such walk for all models.

use crate::engine::{Engine, Limits};
use crate::intern::Interner;
use crate::memo::{Nature, Transitions};
use crate::model::Model;
use crate::object::Operation;
use crate::part::{Part, order, parts, return_of};
use rustc_hash::FxHashSet;
use stateright::semantics::SequentialSpec;
use std::cell::RefCell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// So often the walk looks at its limits before it is given up, and once more for each so many operations.
const LOOKS_MAX: u64 = 64;
const OPERATIONS_PER_LOOK: u64 = 128;

/// So many states are told at most.
const STATES_MAX: usize = 64;

/// States that an object could have been in.
pub(super) struct Possible<M> {
    /// Each once.
    pub(super) states: Vec<M>,
    /// Whether it could have been in none but these.
    pub(super) are_all: bool,
    /// Whether they are states of the part of the object alone that the operation is about.
    pub(super) of_part: bool,
}

impl<S> Possible<S> {
    /// What `make` makes of the states.
    pub(super) fn map<T>(self, make: impl FnMut(&S) -> T) -> Possible<T> {
        Possible {
            states: self.states.iter().map(make).collect(),
            are_all: self.are_all,
            of_part: self.of_part,
        }
    }
}

/// The states in which `operations[culprit]` may have taken effect, which no order explains. Where there are too many ways to
/// tell, some of them, from `known` states. None in which what it returned is legal: what is wrong with those is said elsewhere.
pub(super) fn possible<M: Model>(
    init: &M,
    operations: &[Operation<M>],
    culprit: usize,
    known: &[M],
    limits: Limits<'_>,
) -> Possible<M> {
    let places = order(operations);
    let parts = parts(operations, places);
    let of_part = parts.len() > 1;
    let is_culprit = |place: &u32| *place as usize == culprit;
    let part = parts.into_iter().find(|part| part.iter().any(is_culprit));
    let found = part.and_then(|part| seen(init, operations, culprit, &part, limits));
    let mut are_all = found.is_some();
    let mut states = found.unwrap_or_else(|| known.to_vec());
    are_all &= states.len() <= STATES_MAX;
    states.truncate(STATES_MAX);
    let Operation { op, ret, .. } = &operations[culprit];
    states.retain(|state| {
        let mut next = Vec::new();
        state.steps(op, ret.as_ref(), &mut next);
        are_all &= next.is_empty();
        next.is_empty()
    });
    Possible {
        states,
        are_all,
        of_part,
    }
}

/// The states that the culprit may have seen, of those in `part`; `None` where a limit comes first.
fn seen<M: Model>(
    init: &M,
    operations: &[Operation<M>],
    culprit: usize,
    part: &[u32],
    limits: Limits<'_>,
) -> Option<Vec<M>> {
    let end = return_of(operations, culprit);
    let part = part.iter().map(|place| *place as usize);
    let mut part: Vec<usize> = part.filter(|place| operations[*place].invoked <= end.0).collect();
    // Of returns at one time, the order is that of places.
    part.sort_unstable();
    let bytes = AtomicUsize::new(0);
    let table = Numbers {
        interner: RefCell::new(Interner::new(init.clone())),
        bytes: &bytes,
    };
    let marked = part.iter().map(|place| {
        let operation = &operations[*place];
        let mut interner = table.interner.borrow_mut();
        let call = Call {
            returned: interner.call(&operation.op, operation.ret.as_ref()),
            lost: interner.call(&operation.op, None),
            is_culprit: *place == culprit,
            table: &table,
        };
        (call, operation)
    });
    let marked: Vec<(Call<'_>, &Operation<M>)> = marked.collect();
    let last = part.iter().position(|place| *place == culprit)?;
    let should_stop = || bytes.load(Relaxed) > limits.bytes_max || (limits.should_stop)();
    let limits = Limits {
        should_stop: &should_stop,
        ..limits
    };
    let seen = if M::LOOKS_AHEAD {
        walk::<true>(&operations_on(&marked), last, &table, limits)
    } else {
        walk::<false>(&operations_on(&marked), last, &table, limits)
    }?;
    let interner = table.interner.borrow();
    Some(
        seen.into_iter()
            .map(|state| interner.state_of(state).clone())
            .collect(),
    )
}

/// The operations that are walked.
fn operations_on<'t, M: Model, const LOOKS_AHEAD: bool>(
    marked: &[(Call<'t>, &Operation<M>)],
) -> Vec<Operation<Witness<'t, LOOKS_AHEAD>>> {
    let numbered = marked.iter().map(|(call, operation)| Operation {
        process: operation.process,
        node: operation.node,
        op: *call,
        ret: operation.ret.as_ref().map(|_| ()),
        invoked: operation.invoked,
        returned: operation.returned,
    });
    numbered.collect()
}

/// The states that the culprit, the operation at the place `last`, may have seen, each once.
fn walk<'t, const LOOKS_AHEAD: bool>(
    operations: &[Operation<Witness<'t, LOOKS_AHEAD>>],
    last: usize,
    table: &'t dyn Table,
    limits: Limits<'_>,
) -> Option<Vec<u32>> {
    let places = order(operations);
    // As it is asked where they lead, and not whether there is an order, none may end the walk early.
    let all_must: Vec<bool> = operations.iter().map(|_| false).collect();
    let looks_max = LOOKS_MAX + operations.len() as u64 / OPERATIONS_PER_LOOK;
    let looks = AtomicU64::new(0);
    let should_stop = || looks.fetch_add(1, Relaxed) >= looks_max || (limits.should_stop)();
    let limits = Limits {
        should_stop: &should_stop,
        ..limits
    };
    let init = Witness {
        state: 0,
        seen: None,
        table,
    };
    let mut engine = Engine::new(init, limits);
    let states = Part::new(&init, operations, &places)
        .with_optional(&all_must)
        .states_after(&mut engine, return_of(operations, last))?;
    let mut known: FxHashSet<u32> = FxHashSet::default();
    let seen = states.into_iter().filter_map(|state| state.seen);
    Some(seen.filter(|state| known.insert(*state)).collect())
}

/// What a walk asks of a model, whose states and calls go by number. State 0 is the first.
trait Table {
    fn nature(&self, call: u32) -> Nature;

    /// See [`Model::steps`].
    fn steps(&self, state: u32, call: u32, next: &mut Vec<u32>);

    /// See [`Model::may_return`].
    fn may_return(&self, state: u32, call: u32) -> bool;

    /// See [`Model::is_dead`].
    fn is_dead(&self, state: u32, call: u32) -> bool;

    /// How many bytes a state takes, about.
    fn bytes_of(&self, state: u32) -> usize;
}

struct Numbers<'a, M: Model> {
    interner: RefCell<Interner<M>>,
    /// How many bytes it takes: unlike an engine, it drops nothing.
    bytes: &'a AtomicUsize,
}

impl<M: Model> Table for Numbers<'_, M> {
    fn nature(&self, call: u32) -> Nature {
        self.interner.borrow().nature(call)
    }

    fn steps(&self, state: u32, call: u32, next: &mut Vec<u32>) {
        let mut interner = self.interner.borrow_mut();
        let mut stepped = Vec::new();
        let (op, ret) = interner.call_of(call);
        interner.state_of(state).steps(op, ret.as_ref(), &mut stepped);
        next.extend(stepped.into_iter().map(|state| interner.state(state)));
        self.bytes.store(interner.bytes(), Relaxed);
    }

    fn may_return(&self, state: u32, call: u32) -> bool {
        let interner = self.interner.borrow();
        let (op, ret) = interner.call_of(call);
        let state = interner.state_of(state);
        ret.as_ref().is_some_and(|ret| state.may_return(op, ret))
    }

    fn is_dead(&self, state: u32, call: u32) -> bool {
        let interner = self.interner.borrow();
        let (op, ret) = interner.call_of(call);
        let state = interner.state_of(state);
        ret.as_ref().is_some_and(|ret| state.is_dead(op, ret))
    }

    fn bytes_of(&self, state: u32) -> usize {
        size_of::<M>() + self.interner.borrow().state_of(state).heap_bytes()
    }
}

/// An object that remembers in which state the culprit took effect.
#[derive(Clone, Copy)]
struct Witness<'t, const LOOKS_AHEAD: bool> {
    state: u32,
    seen: Option<u32>,
    table: &'t dyn Table,
}

/// What was called, with what it returned and without.
#[derive(Clone, Copy)]
struct Call<'t> {
    returned: u32,
    lost: u32,
    /// What it returned says nothing then.
    is_culprit: bool,
    table: &'t dyn Table,
}

impl<const LOOKS_AHEAD: bool> Witness<'_, LOOKS_AHEAD> {
    fn identity(&self) -> (u32, Option<u32>) {
        (self.state, self.seen)
    }
}

impl Call<'_> {
    fn identity(&self) -> (u32, bool) {
        (self.returned, self.is_culprit)
    }

    fn number(&self, ret: Option<&()>) -> u32 {
        match ret {
            Some(()) => self.returned,
            None => self.lost,
        }
    }

    /// What there is to know of it where it returned as it did; of the culprit nothing.
    fn nature(&self) -> Option<Nature> {
        (!self.is_culprit).then(|| self.table.nature(self.returned))
    }
}

/// Those of one walk have one table.
macro_rules! by_identity {
    ($([$($generics:tt)*] $type:ty),+) => {$(
        impl<$($generics)*> PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.identity() == other.identity()
            }
        }

        impl<$($generics)*> Eq for $type {}

        impl<$($generics)*> Hash for $type {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.identity().hash(state);
            }
        }

        impl<$($generics)*> fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.identity().fmt(f)
            }
        }
    )+};
}

by_identity!([const LOOKS_AHEAD: bool] Witness<'_, LOOKS_AHEAD>, [] Call<'_>);

impl<'t, const LOOKS_AHEAD: bool> SequentialSpec for Witness<'t, LOOKS_AHEAD> {
    type Op = Call<'t>;
    type Ret = ();

    fn invoke(&mut self, op: &Call<'t>) {
        let mut next = Vec::new();
        self.steps(op, None, &mut next);
        *self = next.into_iter().next().unwrap_or(*self);
    }
}

impl<'t, const LOOKS_AHEAD: bool> Model for Witness<'t, LOOKS_AHEAD> {
    const LOOKS_AHEAD: bool = LOOKS_AHEAD;

    fn is_read_only(op: &Call<'t>, _: &()) -> bool {
        op.nature().is_some_and(|nature| nature.read_only)
    }

    fn is_always_legal(op: &Call<'t>, _: &()) -> bool {
        op.nature().is_some_and(|nature| nature.always_legal)
    }

    fn always_changes(op: &Call<'t>, _: &()) -> bool {
        op.nature().is_none_or(|nature| nature.always_changes)
    }

    fn overwrites(op: &Call<'t>, ret: Option<&()>) -> bool {
        let ret = ret.filter(|()| !op.is_culprit);
        op.table.nature(op.number(ret)).overwrites
    }

    fn is_dead(&self, op: &Call<'t>, _: &()) -> bool {
        !op.is_culprit && self.table.is_dead(self.state, op.returned)
    }

    fn may_return(&self, op: &Call<'t>, _: &()) -> bool {
        !op.is_culprit && self.table.may_return(self.state, op.returned)
    }

    fn steps(&self, op: &Call<'t>, ret: Option<&()>, next: &mut Vec<Self>) {
        let mut states = Vec::new();
        let seen = if op.is_culprit {
            self.table.steps(self.state, op.lost, &mut states);
            if states.is_empty() {
                // It can have done nothing here but find the state.
                states.push(self.state);
            }
            Some(self.state)
        } else {
            self.table.steps(self.state, op.number(ret), &mut states);
            self.seen
        };
        next.extend(states.into_iter().map(|state| Witness { state, seen, ..*self }));
    }

    fn heap_bytes(&self) -> usize {
        let seen = self.seen.map_or(0, |seen| self.table.bytes_of(seen));
        self.table.bytes_of(self.state) + seen
    }
}
