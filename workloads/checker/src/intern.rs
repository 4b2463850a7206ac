//! Operations and states as small integers, and transitions as look-ups.

use crate::model::Model;
use rustc_hash::FxHashMap;

/// An operation with what it returned, or `None` where nobody learned that.
pub(crate) type Call<M> = (
    <M as stateright::semantics::SequentialSpec>::Op,
    Option<<M as stateright::semantics::SequentialSpec>::Ret>,
);

/// How many of a kind are interned before those that are no longer in use are dropped.
const INTERNED_MAX: usize = 1 << 15;
/// Transitions that are remembered: a direct-mapped cache of this many.
const MEMO_SLOTS: usize = 1 << 12;
const ILLEGAL: u32 = u32::MAX;
const NEVER: u64 = u64::MAX;

#[derive(Clone, Debug)]
pub(crate) struct Interner<M: Model> {
    calls: Vec<Call<M>>,
    call_ids: FxHashMap<Call<M>, u32>,
    states: Vec<M>,
    state_ids: FxHashMap<M, u32>,
    /// `(call, state)` and the state that follows.
    memo: Vec<(u64, u32)>,
}

impl<M: Model> Interner<M> {
    /// With `init` as state 0.
    pub(crate) fn new(init: M) -> Self {
        let mut interner = Interner {
            calls: Vec::new(),
            call_ids: FxHashMap::default(),
            states: Vec::new(),
            state_ids: FxHashMap::default(),
            memo: Vec::new(),
        };
        interner.state(init);
        interner
    }

    pub(crate) fn call(&mut self, call: Call<M>) -> u32 {
        if let Some(id) = self.call_ids.get(&call) {
            return *id;
        }
        let id = u32::try_from(self.calls.len()).expect("calls are dropped long before");
        self.calls.push(call.clone());
        self.call_ids.insert(call, id);
        id
    }

    fn state(&mut self, state: M) -> u32 {
        if let Some(id) = self.state_ids.get(&state) {
            return *id;
        }
        let id = u32::try_from(self.states.len()).expect("the limit on memory comes first");
        self.states.push(state.clone());
        self.state_ids.insert(state, id);
        id
    }

    pub(crate) fn state_of(&self, id: u32) -> &M {
        &self.states[id as usize]
    }

    /// The state that follows `state` when `call` takes effect; `None` where it can't.
    #[inline]
    pub(crate) fn next(&mut self, call: u32, state: u32) -> Option<u32> {
        if self.memo.is_empty() {
            self.memo = vec![(NEVER, ILLEGAL); MEMO_SLOTS];
        }
        let key = u64::from(call) << 32 | u64::from(state);
        let place = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % MEMO_SLOTS;
        let (known, next) = self.memo[place];
        if known == key {
            return (next != ILLEGAL).then_some(next);
        }
        let next = self.step(call, state);
        self.memo[place] = (key, next.unwrap_or(ILLEGAL));
        next
    }

    fn step(&mut self, call: u32, state: u32) -> Option<u32> {
        let (op, ret) = &self.calls[call as usize];
        let from = &self.states[state as usize];
        let next = match ret {
            Some(ret) => from.step(op, ret)?,
            None => from.step_unobserved(op),
        };
        Some(self.state(next))
    }

    /// Whether so much is interned that what is no longer in use should be dropped.
    pub(crate) fn is_full(&self) -> bool {
        self.calls.len() > INTERNED_MAX || self.states.len() > INTERNED_MAX
    }

    /// Keeps only what is named, and renames it.
    pub(crate) fn retain<'a>(
        &mut self,
        calls: impl Iterator<Item = &'a mut u32>,
        states: impl Iterator<Item = &'a mut u32>,
    ) {
        let (old_calls, old_states) = (std::mem::take(&mut self.calls), std::mem::take(&mut self.states));
        self.call_ids.clear();
        self.state_ids.clear();
        self.memo.fill((NEVER, ILLEGAL));
        for id in calls {
            *id = self.call(old_calls[*id as usize].clone());
        }
        for id in states {
            *id = self.state(old_states[*id as usize].clone());
        }
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        2 * self.calls.capacity() * size_of::<Call<M>>() + 2 * self.states.capacity() * size_of::<M>()
    }
}
