//! The general engine, for every model: a [`Search`] that grows wider as more operations are open at once.

use crate::check::EngineChoice;
use crate::foresight::Foresight;
use crate::intern::{Call, Interner};
use crate::lost::Count;
use crate::model::Model;
use crate::search::{Budget, Effort, Reductions, Search, Stop};

/// The most operations that may be open at once; those whose outcome nobody learned don't count.
pub const OPEN_OPERATIONS_MAX: usize = 1024;

/// Limits on one check.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Memory for the configurations of one partition, in bytes, about.
    pub bytes_max: usize,
    /// Asked every millisecond or so: whether to give up.
    pub should_stop: &'a (dyn Fn() -> bool + Sync),
    /// Which engine judges a history that is there as a whole.
    pub engine: EngineChoice,
    /// Which reductions the general engine uses.
    pub reductions: Reductions,
}

impl Default for Limits<'_> {
    fn default() -> Self {
        Limits {
            bytes_max: 1 << 30,
            should_stop: &|| false,
            engine: EngineChoice::Auto,
            reductions: Reductions::default(),
        }
    }
}

/// Names an operation that was pushed and has not returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenOperation(usize);

/// Why an engine takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No order explains the operation that returned.
    #[error("no order explains the operation that returned")]
    Violation,
    /// The caller's `should_stop` said so.
    #[error("the check was stopped by its time limit")]
    Stopped,
    /// The configurations would take more memory than allowed.
    #[error("the check reached its limit on memory, {bytes_max} bytes")]
    Memory {
        /// The limit.
        bytes_max: usize,
    },
    /// More operations are open at once than [`OPEN_OPERATIONS_MAX`].
    #[error("more than {OPEN_OPERATIONS_MAX} operations are open at once")]
    Width,
    /// A linear-time engine was asked for, and the history is none that such an engine judges.
    #[error("no linear-time engine judges this history: {reason}")]
    Unqualified {
        /// What stands in the way.
        reason: &'static str,
    },
}

/// All that decides what may follow where nothing is open that will return: what is left of a history once it was judged.
#[derive(Clone, Debug)]
pub(crate) struct Rest<M: Model> {
    /// The operations of which nobody learned what became of them, each once, and how many there are of it. They may still take effect.
    lost: Box<[(M::Op, u32)]>,
    /// The states that the object may be in, and how many of which lost operations have taken effect on the way there.
    configs: Box<[(M, Box<[Count]>)]>,
}

impl<M: Model> Rest<M> {
    /// How many bytes it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        let config = |(state, used): &(M, Box<[Count]>)| state.heap_bytes() + size_of_val(&**used);
        size_of::<Self>()
            + size_of_val(&*self.lost)
            + size_of_val(&*self.configs)
            + self.configs.iter().map(config).sum::<usize>()
    }

    /// A state that the object may be in.
    pub(crate) fn state(&self) -> &M {
        &self.configs[0].0
    }

    #[cfg(test)]
    pub(crate) fn configs(&self) -> usize {
        self.configs.len()
    }

    #[cfg(test)]
    pub(crate) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }
}

enum Width {
    One(Search<1>),
    Two(Search<2>),
    Four(Search<4>),
    Sixteen(Box<Search<16>>),
}

/// Calls the same method of whichever width an engine has.
macro_rules! each_width {
    ($engine:expr, $search:ident => $call:expr) => {
        match $engine.width.as_mut().expect("it is put back at once") {
            Width::One($search) => $call,
            Width::Two($search) => $call,
            Width::Four($search) => $call,
            Width::Sixteen($search) => $call,
        }
    };
}

/// Holds one object's history against its model, event by event in time order.
///
/// The outcome of an operation must be known when it is pushed, so an online caller lags behind by the longest operation.
/// After an error the engine stands still: every further call repeats it.
pub struct Engine<'a, M: Model> {
    interner: Interner<M>,
    /// `None` only while one is being replaced by a wider one.
    width: Option<Width>,
    limits: Limits<'a>,
    refused: Option<Refused>,
    /// Whether it was not the caller who stopped it, but its effort that was used up.
    lost_patience: bool,
    /// How often it looked at its limits before it was reset.
    looks_before: u64,
    /// How many operations were invoked.
    invoked: u64,
}

impl<'a, M: Model> Engine<'a, M> {
    /// An engine for an object that begins as `init`.
    pub fn new(init: M, limits: Limits<'a>) -> Self {
        Engine {
            interner: Interner::new(init),
            width: Some(Width::One(Search::new(limits.reductions))),
            limits,
            refused: None,
            lost_patience: false,
            looks_before: 0,
            invoked: 0,
        }
    }

    /// An operation is invoked that will return `ret` at `deadline`, in whatever unit that increases with time; or nobody learned
    /// what became of it (`None`): then it may take effect at any later time, or never.
    ///
    /// Only what will return gets a name to return by. Of those with the same deadline, the one that was invoked first returns first.
    ///
    /// # Errors
    /// Too much is open at once, or an earlier error.
    pub fn invoke(
        &mut self,
        op: &M::Op,
        ret: Option<(&M::Ret, u64)>,
    ) -> Result<Option<OpenOperation>, Refused> {
        let turn = self.invoked;
        self.invoke_in_turn(op, ret.map(|(ret, deadline)| (ret, (deadline, turn))))
    }

    /// As [`invoke`](Engine::invoke), where those with the same deadline return in their turns.
    pub(crate) fn invoke_in_turn(
        &mut self,
        op: &M::Op,
        ret: Option<(&M::Ret, (u64, u64))>,
    ) -> Result<Option<OpenOperation>, Refused> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        self.invoked += 1;
        let call = self.interner.call(op, ret.map(|(ret, _)| ret));
        let Some((_, returns)) = ret else {
            each_width!(self, search => search.lose(&self.interner, call));
            return Ok(None);
        };
        if !each_width!(self, search => search.has_room()) && !self.widen() {
            self.refused = Some(Refused::Width);
            return Err(Refused::Width);
        }
        let slot = each_width!(self, search => search.invoke(&mut self.interner, call, returns));
        Ok(Some(OpenOperation(slot)))
    }

    /// The operation returns.
    ///
    /// # Errors
    /// No order explains what it returned, a limit was reached, or an earlier error.
    pub fn complete(&mut self, operation: OpenOperation) -> Result<(), Refused> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let budget = self.budget();
        let result = each_width!(self, search => search.complete(&mut self.interner, operation.0, &budget));
        self.ended(result)
    }

    /// The time of the operation is over; it need not have taken effect.
    pub(crate) fn expire(&mut self, operation: OpenOperation) -> Result<(), Refused> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let budget = self.budget();
        let result = each_width!(self, search => search.expire(&mut self.interner, operation.0, &budget));
        self.ended(result)
    }

    fn budget(&self) -> Budget<'a> {
        Budget {
            bytes_max: self.limits.bytes_max,
            should_stop: self.limits.should_stop,
        }
    }

    fn ended(&mut self, result: Result<(), Stop>) -> Result<(), Refused> {
        let refused = match result {
            Ok(()) => return Ok(()),
            Err(Stop::Rejected) => Refused::Violation,
            Err(Stop::Interrupted) => Refused::Stopped,
            Err(Stop::Effort) => {
                self.lost_patience = true;
                Refused::Stopped
            }
            Err(Stop::Memory) => Refused::Memory {
                bytes_max: self.limits.bytes_max,
            },
        };
        self.refused = Some(refused);
        Err(refused)
    }

    /// The states that the object may be in; after a violation, those before it.
    pub fn states(&mut self) -> Vec<M> {
        let states = each_width!(self, search => search.states());
        let states = states.into_iter().map(|state| self.interner.state_of(state));
        states.cloned().collect()
    }

    /// All that decides what may follow, unless something is open that will return, or the engine stands still.
    pub(crate) fn rest(&mut self) -> Option<Rest<M>> {
        if self.refused.is_some() {
            return None;
        }
        let interner = &self.interner;
        each_width!(self, search => {
            let configs = search.at_rest()?;
            let lost = search.lost();
            Some(Rest {
                lost: lost.groups().map(|(call, count)| (interner.call_of(call).0.clone(), count)).collect(),
                configs: configs
                    .into_iter()
                    .map(|(state, used)| (interner.state_of(state).clone(), lost.counts_of(used).into()))
                    .collect(),
            })
        })
    }

    /// Goes on from where another engine rested; this one is as new.
    pub(crate) fn resume(&mut self, rest: &Rest<M>) {
        for (op, count) in &rest.lost {
            let call = self.interner.call(op, None);
            for _ in 0..*count {
                each_width!(self, search => search.lose(&self.interner, call));
            }
        }
        let interner = &mut self.interner;
        let configs = rest.configs.iter();
        let configs = configs.map(|(state, used)| (interner.state(state.clone()), &**used));
        each_width!(self, search => search.begin_at(configs));
    }

    /// As new for an object that begins as `init`, with the memory that it has.
    pub(crate) fn reset(&mut self, init: M, effort: Effort) {
        (self.refused, self.lost_patience) = (None, false);
        self.looks_before = self.looks();
        if !matches!(self.width, Some(Width::One(_))) {
            // Most histories need no more.
            self.width = Some(Width::One(Search::new(self.limits.reductions)));
        }
        self.interner.reset(init);
        each_width!(self, search => search.reset(effort));
    }

    /// Whether it stopped because its effort was used up.
    pub(crate) fn lost_patience(&self) -> bool {
        self.lost_patience
    }

    /// How often it has looked at its limits: a measure of what it did.
    pub(crate) fn looks(&mut self) -> u64 {
        self.looks_before + each_width!(self, search => search.looks())
    }

    pub(crate) fn limits(&self) -> Limits<'a> {
        self.limits
    }

    /// Tells what is known of the operations to come.
    pub(crate) fn foresee(&mut self, (foresight, reads): (Foresight, Vec<Call<M>>)) {
        self.interner.foresee(reads);
        each_width!(self, search => search.foresee(foresight));
    }

    /// Tells that whatever is invoked from here on is legal in every state, or returns after `end` and is not asked about.
    pub(crate) fn seal(&mut self, end: u64) {
        each_width!(self, search => search.seal(end));
    }

    /// Whether some order is known to explain all that will return.
    pub(crate) fn is_settled(&mut self) -> bool {
        each_width!(self, search => search.is_settled())
    }

    /// Makes room for more operations at once; `false` where there is none to be had.
    fn widen(&mut self) -> bool {
        let width = self.width.take().expect("it is put back at once");
        let (width, widened) = match width {
            Width::One(search) => (Width::Two(search.widened()), true),
            Width::Two(search) => (Width::Four(search.widened()), true),
            Width::Four(search) => (Width::Sixteen(Box::new(search.widened())), true),
            Width::Sixteen(search) => (Width::Sixteen(search), false),
        };
        self.width = Some(width);
        widened
    }
}
