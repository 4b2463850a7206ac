//! A model's operations and states as small integers.

use crate::memo::{Nature, Transitions};
use crate::model::Model;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::hash::{BuildHasher as _, Hash};

/// An operation with what it returned, or `None` where nobody learned that.
pub(crate) type Call<M> = (
    <M as stateright::semantics::SequentialSpec>::Op,
    Option<<M as stateright::semantics::SequentialSpec>::Ret>,
);

/// So many of a kind are interned before those are dropped that are no longer in use, and twice as many again as were left then.
const INTERNED_MAX: usize = 1 << 15;
/// States are fewer: what is left of an integer tells more of a transition.
const STATES_MAX: u32 = 1 << 31;
/// What an entry of an index takes, about.
const INDEX_BYTES: usize = 8;

#[derive(Clone, Debug)]
pub(crate) struct Interner<M: Model> {
    calls: Vec<(Call<M>, Nature)>,
    call_ids: HashTable<u32>,
    states: Vec<M>,
    state_ids: HashTable<u32>,
    /// Bytes of the states beyond their own size.
    heap_bytes: usize,
    /// How many calls and states were left when some were dropped.
    retained: [usize; 2],
    /// The reads that are foreseen.
    reads: Vec<Call<M>>,
    /// Where a step's results are put.
    stepped: Vec<M>,
}

impl<M: Model> Interner<M> {
    /// With `init` as state 0.
    pub(crate) fn new(init: M) -> Self {
        let mut interner = Interner {
            calls: Vec::new(),
            call_ids: HashTable::new(),
            states: Vec::new(),
            state_ids: HashTable::new(),
            heap_bytes: 0,
            retained: [0; 2],
            reads: Vec::new(),
            stepped: Vec::new(),
        };
        interner.state(init);
        interner
    }

    /// As new, with the memory that it has.
    pub(crate) fn reset(&mut self, init: M) {
        self.calls.clear();
        self.call_ids.clear();
        self.forget_states();
        self.retained = [0; 2];
        self.reads.clear();
        self.state(init);
    }

    fn forget_states(&mut self) {
        self.states.clear();
        self.state_ids.clear();
        self.heap_bytes = 0;
    }

    /// The reads that are asked about by their places.
    pub(crate) fn foresee(&mut self, reads: Vec<Call<M>>) {
        self.reads = reads;
    }

    pub(crate) fn call(&mut self, op: &M::Op, ret: Option<&M::Ret>) -> u32 {
        let hash = hash_of(&(op, ret));
        let is_it = |id: &u32| {
            let (known, returned) = &self.calls[*id as usize].0;
            known == op && returned.as_ref() == ret
        };
        if let Some(id) = self.call_ids.find(hash, is_it) {
            return *id;
        }
        let id = u32::try_from(self.calls.len()).expect("calls are dropped long before");
        let nature = Nature {
            read_only: ret.is_some_and(|ret| M::is_read_only(op, ret)),
            always_changes: ret.is_some_and(|ret| M::always_changes(op, ret)),
            always_legal: ret.is_some_and(|ret| M::is_always_legal(op, ret)),
            overwrites: M::overwrites(op, ret),
        };
        self.calls.push(((op.clone(), ret.cloned()), nature));
        let calls = &self.calls;
        let hash_of_it = |id: &u32| {
            let (op, ret) = &calls[*id as usize].0;
            hash_of(&(op, ret.as_ref()))
        };
        self.call_ids.insert_unique(hash, id, hash_of_it);
        id
    }

    pub(crate) fn state(&mut self, state: M) -> u32 {
        let hash = hash_of(&state);
        if let Some(id) = self.state_ids.find(hash, |id| self.states[*id as usize] == state) {
            return *id;
        }
        let id = u32::try_from(self.states.len()).expect("the limit on memory comes first");
        assert!(
            id < STATES_MAX,
            "the limit on memory comes long before {id} states"
        );
        self.heap_bytes += state.heap_bytes();
        self.states.push(state);
        let states = &self.states;
        self.state_ids
            .insert_unique(hash, id, |id| hash_of(&states[*id as usize]));
        id
    }

    pub(crate) fn call_of(&self, call: u32) -> &Call<M> {
        &self.calls[call as usize].0
    }

    pub(crate) fn state_of(&self, id: u32) -> &M {
        &self.states[id as usize]
    }
}

impl<M: Model> Transitions for Interner<M> {
    fn nature(&self, call: u32) -> Nature {
        self.calls[call as usize].1
    }

    fn step(&mut self, call: u32, state: u32, next: &mut Vec<u32>) {
        let ((op, ret), nature) = &self.calls[call as usize];
        let before = &self.states[state as usize];
        if nature.read_only {
            let is_legal = ret.as_ref().is_some_and(|ret| before.may_return(op, ret));
            next.extend(is_legal.then_some(state));
            return;
        }
        let mut stepped = std::mem::take(&mut self.stepped);
        before.steps(op, ret.as_ref(), &mut stepped);
        next.extend(stepped.drain(..).map(|state| self.state(state)));
        next.sort_unstable();
        next.dedup();
        self.stepped = stepped;
    }

    fn may_lead(&self, state: u32, read: usize) -> bool {
        let (op, ret) = &self.reads[read];
        let state = self.state_of(state);
        ret.as_ref().is_none_or(|ret| !state.is_dead(op, ret))
    }

    fn is_full(&self) -> bool {
        let lengths = [self.calls.len(), self.states.len()];
        let mut each = lengths.iter().zip(&self.retained);
        each.any(|(length, retained)| *length > INTERNED_MAX + 2 * retained)
    }

    fn retain(
        &mut self,
        calls: &mut dyn Iterator<Item = &mut u32>,
        states: &mut dyn Iterator<Item = &mut u32>,
    ) {
        let (old_calls, old_states) = (std::mem::take(&mut self.calls), std::mem::take(&mut self.states));
        self.call_ids.clear();
        self.forget_states();
        for id in calls {
            let (op, ret) = &old_calls[*id as usize].0;
            *id = self.call(op, ret.as_ref());
        }
        for id in states {
            *id = self.state(old_states[*id as usize].clone());
        }
        self.retained = [self.calls.len(), self.states.len()];
    }

    fn bytes(&self) -> usize {
        self.calls.capacity() * (size_of::<(Call<M>, Nature)>() + INDEX_BYTES)
            + self.states.capacity() * (size_of::<M>() + INDEX_BYTES)
            + self.heap_bytes
    }
}

fn hash_of<T: Hash>(it: &T) -> u64 {
    FxBuildHasher.hash_one(it)
}
