//! Operations and states as small integers, and transitions as look-ups.

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
/// Transitions that are remembered at first, and at most: a direct-mapped cache, whose size is a power of two.
const MEMO_MIN: usize = 1 << 8;
const MEMO_MAX: usize = 1 << 16;

/// In the memo: no transition.
const ILLEGAL: u32 = u32::MAX;
/// In the memo: the rest is a place in `several`.
const SEVERAL: u32 = 1 << 31;
const NEVER: u64 = u64::MAX;
/// What an entry of an index takes, about.
const INDEX_BYTES: usize = 8;

/// What a model says of a call once and for all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nature {
    /// It changes nothing, whatever the state.
    pub(crate) read_only: bool,
    /// It leaves no state as it is.
    pub(crate) always_changes: bool,
    /// It may return so in every state.
    pub(crate) always_legal: bool,
    /// It leads from every state to the same.
    pub(crate) overwrites: bool,
}

/// Where a call leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It can't take effect.
    Nowhere,
    /// To one state.
    To(u32),
    /// To any of several, see [`Interner::several`].
    ToAny(u32),
}

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
    /// `(call, state)` and the state that follows.
    memo: Vec<(u64, u32)>,
    /// How often the memo did not know, since it last grew.
    misses: usize,
    several: Vec<Vec<u32>>,
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
            memo: vec![(NEVER, ILLEGAL); MEMO_MIN],
            misses: 0,
            several: Vec::new(),
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
        self.state(init);
    }

    fn forget_states(&mut self) {
        self.states.clear();
        self.state_ids.clear();
        self.heap_bytes = 0;
        // To forget must not take long where little was known: very many objects may follow one that had many states.
        self.memo.truncate(MEMO_MIN);
        self.memo.fill((NEVER, ILLEGAL));
        self.misses = 0;
        self.several.clear();
    }

    pub(crate) fn call(&mut self, call: Call<M>) -> u32 {
        let hash = hash_of(&call);
        if let Some(id) = self.call_ids.find(hash, |id| self.calls[*id as usize].0 == call) {
            return *id;
        }
        let id = u32::try_from(self.calls.len()).expect("calls are dropped long before");
        let (op, ret) = (&call.0, call.1.as_ref());
        let nature = Nature {
            read_only: ret.is_some_and(|ret| M::is_read_only(op, ret)),
            always_changes: ret.is_some_and(|ret| M::always_changes(op, ret)),
            always_legal: ret.is_some_and(|ret| M::is_always_legal(op, ret)),
            overwrites: M::overwrites(op, ret),
        };
        self.calls.push((call, nature));
        let calls = &self.calls;
        self.call_ids
            .insert_unique(hash, id, |id| hash_of(&calls[*id as usize].0));
        id
    }

    pub(crate) fn nature(&self, call: u32) -> Nature {
        self.calls[call as usize].1
    }

    fn state(&mut self, state: M) -> u32 {
        let hash = hash_of(&state);
        if let Some(id) = self.state_ids.find(hash, |id| self.states[*id as usize] == state) {
            return *id;
        }
        let id = u32::try_from(self.states.len()).expect("the limit on memory comes first");
        assert!(id < SEVERAL, "the limit on memory comes long before {id} states");
        self.heap_bytes += state.heap_bytes();
        self.states.push(state);
        let states = &self.states;
        self.state_ids
            .insert_unique(hash, id, |id| hash_of(&states[*id as usize]));
        id
    }

    pub(crate) fn state_of(&self, id: u32) -> &M {
        &self.states[id as usize]
    }

    /// What follows `state` when `call` takes effect.
    #[inline]
    pub(crate) fn next(&mut self, call: u32, state: u32) -> Next {
        let key = u64::from(call) << 32 | u64::from(state);
        let (known, next) = self.memo[self.place(key)];
        if known == key {
            return decode(next);
        }
        self.learn(key, call, state)
    }

    #[inline]
    fn place(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize & (self.memo.len() - 1)
    }

    #[cold]
    fn learn(&mut self, key: u64, call: u32, state: u32) -> Next {
        let next = self.step(call, state);
        self.misses += 1;
        if self.misses > self.memo.len() && self.memo.len() < MEMO_MAX {
            self.misses = 0;
            let len = self.memo.len() * 4;
            let known = std::mem::replace(&mut self.memo, vec![(NEVER, ILLEGAL); len]);
            for (key, next) in known.into_iter().filter(|(key, _)| *key != NEVER) {
                let place = self.place(key);
                self.memo[place] = (key, next);
            }
        }
        let place = self.place(key);
        self.memo[place] = (key, next);
        decode(next)
    }

    fn step(&mut self, call: u32, state: u32) -> u32 {
        let ((op, ret), nature) = &self.calls[call as usize];
        let before = &self.states[state as usize];
        if nature.read_only {
            let is_legal = ret.as_ref().is_some_and(|ret| before.may_return(op, ret));
            return if is_legal { state } else { ILLEGAL };
        }
        let mut stepped = std::mem::take(&mut self.stepped);
        before.steps(op, ret.as_ref(), &mut stepped);
        let next = match stepped.len() {
            0 => ILLEGAL,
            1 => self.state(stepped.pop().expect("there is one")),
            _ => {
                let mut ids: Vec<u32> = stepped.drain(..).map(|next| self.state(next)).collect();
                ids.sort_unstable();
                ids.dedup();
                if ids.len() == 1 {
                    ids[0]
                } else {
                    self.several.push(ids);
                    let place = u32::try_from(self.several.len() - 1).ok();
                    SEVERAL | place.expect("the limit on memory comes first")
                }
            }
        };
        self.stepped = stepped;
        next
    }

    /// The states that [`Next::ToAny`] means.
    pub(crate) fn several(&self, place: u32) -> &[u32] {
        &self.several[place as usize]
    }

    /// Whether so much is interned that what is no longer in use should be dropped.
    pub(crate) fn is_full(&self) -> bool {
        let lengths = [self.calls.len(), self.states.len()];
        let mut each = lengths.iter().zip(&self.retained);
        each.any(|(length, retained)| *length > INTERNED_MAX + 2 * retained)
    }

    /// Keeps only what is named, and renames it.
    pub(crate) fn retain<'a>(
        &mut self,
        calls: impl Iterator<Item = &'a mut u32>,
        states: impl Iterator<Item = &'a mut u32>,
    ) {
        let (old_calls, old_states) = (std::mem::take(&mut self.calls), std::mem::take(&mut self.states));
        self.call_ids.clear();
        self.forget_states();
        for id in calls {
            *id = self.call(old_calls[*id as usize].0.clone());
        }
        for id in states {
            *id = self.state(old_states[*id as usize].clone());
        }
        self.retained = [self.calls.len(), self.states.len()];
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.calls.capacity() * (size_of::<(Call<M>, Nature)>() + INDEX_BYTES)
            + self.states.capacity() * (size_of::<M>() + INDEX_BYTES)
            + self.heap_bytes
            + self.memo.len() * size_of::<(u64, u32)>()
            + self.several.len() * size_of::<Vec<u32>>()
    }
}

fn hash_of<T: Hash>(it: &T) -> u64 {
    FxBuildHasher.hash_one(it)
}

#[inline]
fn decode(next: u32) -> Next {
    if next == ILLEGAL {
        Next::Nowhere
    } else if next & SEVERAL == 0 {
        Next::To(next)
    } else {
        Next::ToAny(next & !SEVERAL)
    }
}
