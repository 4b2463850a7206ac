//! What an object could have been while the operation was open that no order explains.
//!
//! The configurations that a search has in hand when it finds a violation tell only a part of that: they took up operations no earlier
//! than they had to, so states are missing that open or lost operations lead to, and those before the last return. So the history is
//! walked once more, up to the culprit's return, as if nobody had seen what the culprit returned, and each state remembers in which one
//! it took effect.

use crate::engine::{Engine, Limits};
use crate::model::Model;
use crate::object::Operation;
use crate::part::{Part, order, parts, return_of};
use rustc_hash::FxHashSet;
use stateright::semantics::SequentialSpec;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

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
    let marked: Vec<Operation<Witness<M>>> = part
        .iter()
        .map(|place| marked(&operations[*place], *place == culprit))
        .collect();
    let last = part.iter().position(|place| *place == culprit)?;
    let places = order(&marked);
    // As it is asked where they lead, and not whether there is an order, none may end the walk early.
    let all_must: Vec<bool> = marked.iter().map(|_| false).collect();
    let looks_max = LOOKS_MAX + marked.len() as u64 / OPERATIONS_PER_LOOK;
    let looks = AtomicU64::new(0);
    let should_stop = || looks.fetch_add(1, Relaxed) >= looks_max || (limits.should_stop)();
    let limits = Limits {
        should_stop: &should_stop,
        ..limits
    };
    let init = Witness {
        state: init.clone(),
        seen: None,
    };
    let mut engine = Engine::new(init.clone(), limits);
    let states = Part::new(&init, &marked, &places)
        .with_optional(&all_must)
        .states_after(&mut engine, return_of(&marked, last))?;
    let mut known: FxHashSet<M> = FxHashSet::default();
    let seen = states.into_iter().filter_map(|state| state.seen);
    Some(seen.filter(|state| known.insert(state.clone())).collect())
}

fn marked<M: Model>(operation: &Operation<M>, is_culprit: bool) -> Operation<Witness<M>> {
    let op = operation.op.clone();
    Operation {
        process: operation.process,
        node: operation.node,
        op: if is_culprit {
            Marked::Culprit(op)
        } else {
            Marked::Other(op)
        },
        ret: operation.ret.clone(),
        invoked: operation.invoked,
        returned: operation.returned,
    }
}

/// An object that remembers in which state the culprit took effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Witness<M> {
    state: M,
    seen: Option<M>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Marked<O> {
    Other(O),
    /// What it returned says nothing.
    Culprit(O),
}

impl<O> Marked<O> {
    fn other(&self) -> Option<&O> {
        match self {
            Marked::Other(op) => Some(op),
            Marked::Culprit(_) => None,
        }
    }

    fn op(&self) -> &O {
        match self {
            Marked::Other(op) | Marked::Culprit(op) => op,
        }
    }
}

impl<M: Model> SequentialSpec for Witness<M> {
    type Op = Marked<M::Op>;
    type Ret = M::Ret;

    fn invoke(&mut self, op: &Marked<M::Op>) -> M::Ret {
        if let Marked::Culprit(_) = op {
            self.seen = Some(self.state.clone());
        }
        self.state.invoke(op.op())
    }
}

impl<M: Model> Model for Witness<M> {
    const LOOKS_AHEAD: bool = M::LOOKS_AHEAD;

    fn is_read_only(op: &Self::Op, ret: &M::Ret) -> bool {
        op.other().is_some_and(|op| M::is_read_only(op, ret))
    }

    fn is_always_legal(op: &Self::Op, ret: &M::Ret) -> bool {
        op.other().is_some_and(|op| M::is_always_legal(op, ret))
    }

    fn always_changes(op: &Self::Op, ret: &M::Ret) -> bool {
        op.other().is_none_or(|op| M::always_changes(op, ret))
    }

    fn overwrites(op: &Self::Op, ret: Option<&M::Ret>) -> bool {
        match op {
            Marked::Other(op) => M::overwrites(op, ret),
            Marked::Culprit(op) => M::overwrites(op, None),
        }
    }

    fn is_dead(&self, op: &Self::Op, ret: &M::Ret) -> bool {
        op.other().is_some_and(|op| self.state.is_dead(op, ret))
    }

    fn may_return(&self, op: &Self::Op, ret: &M::Ret) -> bool {
        op.other().is_some_and(|op| self.state.may_return(op, ret))
    }

    fn steps(&self, op: &Self::Op, ret: Option<&M::Ret>, next: &mut Vec<Self>) {
        let mut states = Vec::new();
        let seen = match op {
            Marked::Other(op) => {
                self.state.steps(op, ret, &mut states);
                self.seen.clone()
            }
            Marked::Culprit(op) => {
                self.state.steps(op, None, &mut states);
                if states.is_empty() {
                    // It can have done nothing here but find the state.
                    states.push(self.state.clone());
                }
                Some(self.state.clone())
            }
        };
        next.extend(states.into_iter().map(|state| Witness {
            state,
            seen: seen.clone(),
        }));
    }

    fn heap_bytes(&self) -> usize {
        self.state.heap_bytes() + self.seen.as_ref().map_or(0, M::heap_bytes)
    }
}
