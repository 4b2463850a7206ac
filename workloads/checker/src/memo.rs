//! Transitions between states as look-ups.

/// Transitions that are remembered at first, and at most: a direct-mapped cache, whose size is a power of two.
const TRANSITIONS_MIN: usize = 1 << 8;
const TRANSITIONS_MAX: usize = 1 << 16;

/// No transition.
const ILLEGAL: u32 = u32::MAX;
/// The rest is a place in `several`.
const SEVERAL: u32 = 1 << 31;
const NEVER: u64 = u64::MAX;

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

/// Calls and states by their numbers: all that a search has to know of a model, so that there is one search for all models. State 0 is
/// the first.
pub(crate) trait Transitions {
    /// What `call` is like.
    fn nature(&self, call: u32) -> Nature;

    /// The states that may follow `state` when `call` takes effect, each once: put into `next`, which is empty.
    fn step(&mut self, call: u32, state: u32, next: &mut Vec<u32>);

    /// Whether `state` leads to what the foreseen `read` returned, as far as the model knows, if nothing overwrites it.
    fn may_lead(&self, state: u32, read: usize) -> bool;

    /// Whether so much is known that what is no longer in use should be dropped.
    fn is_full(&self) -> bool;

    /// Keeps only what is named, and renames it.
    fn retain(
        &mut self,
        calls: &mut dyn Iterator<Item = &mut u32>,
        states: &mut dyn Iterator<Item = &mut u32>,
    );

    /// About how many bytes that takes.
    fn bytes(&self) -> usize;
}

/// Where a call leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It can't take effect.
    Nowhere,
    /// To one state.
    To(u32),
    /// To any of several, see [`Memo::several`].
    ToAny(u32),
}

/// Transitions that are known already.
#[derive(Clone, Debug)]
pub(crate) struct Memo {
    /// `(call, state)` and the state that follows.
    known: Vec<(u64, u32)>,
    /// How often it did not know, since it last grew.
    misses: usize,
    several: Vec<Vec<u32>>,
    /// Where a step's results are put.
    stepped: Vec<u32>,
}

impl Memo {
    pub(crate) fn new() -> Self {
        Memo {
            known: vec![(NEVER, ILLEGAL); TRANSITIONS_MIN],
            misses: 0,
            several: Vec::new(),
            stepped: Vec::new(),
        }
    }

    /// Forgets all: it must not take long where little was known, since very many objects may follow one that had many states.
    pub(crate) fn forget(&mut self) {
        self.known.truncate(TRANSITIONS_MIN);
        self.known.fill((NEVER, ILLEGAL));
        self.misses = 0;
        self.several.clear();
    }

    /// What follows `state` when `call` takes effect.
    #[inline]
    pub(crate) fn next(&mut self, model: &mut dyn Transitions, call: u32, state: u32) -> Next {
        let key = u64::from(call) << 32 | u64::from(state);
        let (known, next) = self.known[self.place(key)];
        if known == key {
            return decode(next);
        }
        self.learn(model, key, call, state)
    }

    #[inline]
    fn place(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize & (self.known.len() - 1)
    }

    #[cold]
    fn learn(&mut self, model: &mut dyn Transitions, key: u64, call: u32, state: u32) -> Next {
        self.stepped.clear();
        model.step(call, state, &mut self.stepped);
        let next = match self.stepped[..] {
            [] => ILLEGAL,
            [next] => next,
            [_, _, ..] => {
                let place = u32::try_from(self.several.len()).ok();
                let place = place.filter(|place| *place < SEVERAL - 1);
                self.several.push(std::mem::take(&mut self.stepped));
                SEVERAL | place.expect("the limit on memory comes first")
            }
        };
        self.misses += 1;
        if self.misses > self.known.len() && self.known.len() < TRANSITIONS_MAX {
            self.misses = 0;
            let len = self.known.len() * 4;
            let known = std::mem::replace(&mut self.known, vec![(NEVER, ILLEGAL); len]);
            for (key, next) in known.into_iter().filter(|(key, _)| *key != NEVER) {
                let place = self.place(key);
                self.known[place] = (key, next);
            }
        }
        let place = self.place(key);
        self.known[place] = (key, next);
        decode(next)
    }

    /// The states that [`Next::ToAny`] means.
    pub(crate) fn several(&self, place: u32) -> &[u32] {
        &self.several[place as usize]
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.known.len() * size_of::<(u64, u32)>() + self.several.len() * size_of::<Vec<u32>>()
    }
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
