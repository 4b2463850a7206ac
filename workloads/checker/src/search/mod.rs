//! The search: all configurations that an object can be in, carried forward through a history.
//!
//! A history is walked in time order. An invocation only opens an operation. At a return there is work: in every configuration
//! the returning operation must have taken effect, if need be after other open ones; a configuration from which that can't be
//! reached is dropped, and when none is left, no order explains the history. An operation takes effect no earlier than it must
//! (just in time), so the number of configurations follows the number of operations that are open at once, not the length of
//! the history. (Lowe, "Testing for linearizability", 2017, describes such a search.)
//!
//! What keeps the number small:
//!
//! - *Greedy reads*: an operation that changes no state takes effect as soon as it is legal. Whatever follows is possible with
//!   it as it was without.
//! - *Earliest deadline first*: of open operations with the same call and result, the one that must return first goes first.
//! - *Dominance*: of two configurations with the same state and the same operations done, the one that has used a part of the lost
//!   operations that the other has can do all that the other can. The closure goes by the number of lost operations used, so that
//!   the sparing ones are met first.
//! - *Groups*: lost operations with the same call are alike, and only counted ([`Lost`]).
//! - *Need*: a lost operation takes effect only where something can follow that depends on it. Nothing is lost by waiting.
//! - *Absorption*: when an operation overwrites the state, open ones that are legal in every state may have taken effect just before
//!   it, unseen; so may one that leaves the present state as it is. Whether they did is left open: one configuration
//!   stands for all combinations, where there were two to the power of the open writes.
//! - *A narrow search first*, where configurations are many or states grow: a few of them mostly find an order where there is one
//!   ([`Effort`]).
//! - *Looking ahead*, where a model says how: a state from which the reads to come can't return what they did is dropped.
//!
//! Of the model it knows only numbers ([`Transitions`]), so that one search serves all models.

mod closure;
mod effort;

pub use effort::Reductions;
pub(crate) use effort::{Budget, Effort, Stop};

use crate::antichain::{Antichain, Config};
use crate::foresight::Foresight;
use crate::lost::{Count, Lost};
use crate::memo::{Memo, Next, Transitions};
use crate::slots::Slots;

/// How many transitions a search looks at between two looks at its limits.
const WORK_BETWEEN_LOOKS: u64 = 4096;
/// A search that [gives up](Effort::gives_up) takes so many steps, and so many more for each return.
const PATIENT_STEPS: u64 = 1 << 14;
const PATIENT_STEPS_PER_RETURN: u64 = 8;

/// A read that must still take effect.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    /// Its place among all reads.
    read: usize,
    /// Where it is, if it is open.
    slot: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Search<const W: usize> {
    memo: Memo,
    reductions: Reductions,
    slots: Slots<W>,
    lost: Lost,
    configs: Vec<Config<W>>,
    met: Antichain<W>,
    /// Configurations to go on from, by the number of lost operations used.
    levels: Vec<Vec<Config<W>>>,
    /// Those that a closure has found.
    reached: Vec<Config<W>>,
    foresight: Option<Foresight>,
    /// The foreseen read that is in each slot.
    read_in: Vec<Option<usize>>,
    /// Nothing that could be illegal and returns by then is invoked from here on.
    sealed: Option<u64>,
    is_settled: bool,
    effort: Effort,
    steps: u64,
    /// What was done since the limits were looked at.
    work: u64,
    /// How often they were.
    looks: u64,
    returns: u64,
    /// Where groups of lost operations are put together.
    groups: Vec<u32>,
    /// Where the reads that must still take effect are.
    ahead: Vec<Ahead>,
}

impl<const W: usize> Search<W> {
    pub(crate) fn new(reductions: Reductions) -> Self {
        Search {
            memo: Memo::new(),
            reductions,
            slots: Slots::default(),
            lost: Lost::new(),
            configs: vec![Config::INITIAL],
            met: Antichain::new(),
            levels: Vec::new(),
            reached: Vec::new(),
            foresight: None,
            read_in: Vec::new(),
            sealed: None,
            is_settled: false,
            effort: Effort::Full,
            steps: 0,
            work: 0,
            looks: 0,
            returns: 0,
            groups: Vec::new(),
            ahead: Vec::new(),
        }
    }

    /// As new, with the memory that it has.
    pub(crate) fn reset(&mut self, effort: Effort) {
        self.effort = effort;
        (self.steps, self.returns, self.looks) = (0, 0, 0);
        self.memo.forget();
        self.slots.clear();
        self.lost.clear();
        self.configs.clear();
        self.configs.push(Config::INITIAL);
        self.foresight = None;
        (self.sealed, self.is_settled) = (None, false);
    }

    /// The states that the object may be in, with the lost operations that are used on the way there, each once; `None` while something
    /// is open that will return. With the [lost](Search::lost) operations, that decides all that may follow.
    pub(crate) fn at_rest(&self) -> Option<Vec<(u32, u32)>> {
        if !self.slots.open.is_empty() {
            return None;
        }
        let configs = self.configs.iter().map(|config| {
            let Config { done, maybe, .. } = config;
            assert!(
                done.is_empty() && maybe.is_empty(),
                "it knows of operations that are not open: {config:?}"
            );
            (config.state, config.used)
        });
        let mut configs: Vec<(u32, u32)> = configs.collect();
        configs.sort_unstable();
        configs.dedup();
        Some(configs)
    }

    /// Begins with an object of which nothing is open, and that may be in any of these states, with so many of the lost operations used.
    pub(crate) fn begin_at<'a>(&mut self, configs: impl Iterator<Item = (u32, &'a [Count])>) {
        self.configs.clear();
        for (state, used) in configs {
            let used = self.lost.of_counts(used);
            self.configs.push(Config {
                state,
                used,
                ..Config::INITIAL
            });
        }
    }

    /// The operations of which nobody learned what became of them.
    pub(crate) fn lost(&self) -> &Lost {
        &self.lost
    }

    pub(crate) fn has_room(&self) -> bool {
        self.slots.has_room()
    }

    /// The same search with room for more operations at once.
    pub(crate) fn widened<const V: usize>(self) -> Search<V> {
        let widen = |config: Config<W>| Config {
            state: config.state,
            used: config.used,
            done: config.done.widened(),
            maybe: config.maybe.widened(),
        };
        Search {
            memo: self.memo,
            reductions: self.reductions,
            slots: self.slots.widened(),
            lost: self.lost,
            configs: self.configs.into_iter().map(widen).collect(),
            met: Antichain::new(),
            levels: Vec::new(),
            reached: Vec::new(),
            foresight: self.foresight,
            read_in: self.read_in,
            sealed: self.sealed,
            is_settled: self.is_settled,
            effort: self.effort,
            steps: self.steps,
            work: self.work,
            looks: self.looks,
            returns: self.returns,
            groups: self.groups,
            ahead: self.ahead,
        }
    }

    /// What is known of the operations to come.
    pub(crate) fn foresee(&mut self, foresight: Foresight) {
        self.foresight = Some(foresight);
    }

    /// Whatever is invoked from here on is legal in every state, or is not asked about since it returns after `end`.
    pub(crate) fn seal(&mut self, end: u64) {
        self.sealed = Some(end);
    }

    /// Whether some order is known to explain all that will return.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// An operation may take effect from now on, or never.
    pub(crate) fn lose(&mut self, model: &dyn Transitions, call: u32) {
        self.lost.add(call, model.nature(call).overwrites);
    }

    /// Opens an operation that must return at a time, and in its turn among those that must at that time. Its slot is given back.
    pub(crate) fn invoke(&mut self, model: &mut dyn Transitions, call: u32, returns: (u64, u64)) -> usize {
        let mut nature = model.nature(call);
        let is_read = nature.read_only;
        nature.read_only &= self.reductions.greedy_reads;
        let twins_in_order = self.reductions.earliest_deadline_first;
        let slot = self.slots.open(call, nature, returns, twins_in_order);
        if let Some(foresight) = &mut self.foresight {
            self.read_in.resize(self.read_in.len().max(slot + 1), None);
            self.read_in[slot] = is_read.then(|| foresight.invoke());
        }
        if nature.read_only || (self.reductions.absorption && !nature.always_changes) {
            for config in &mut self.configs {
                match self.memo.next(model, call, config.state) {
                    Next::To(_) | Next::ToAny(_) if nature.read_only => config.done.insert(slot),
                    Next::To(state) if state == config.state => config.maybe.insert(slot),
                    Next::To(_) | Next::ToAny(_) | Next::Nowhere => {}
                }
            }
        }
        slot
    }

    /// The operation in `slot` returns: every configuration must have it done.
    pub(crate) fn complete(
        &mut self,
        model: &mut dyn Transitions,
        slot: usize,
        budget: &Budget<'_>,
    ) -> Result<(), Stop> {
        self.returns += 1;
        self.look_at_limits(model, budget)?;
        if !self.is_settled && !self.configs.iter().all(|config| config.done.contains(slot)) {
            match (self.effort.width(), self.lost.is_empty()) {
                (Some(_), false) => match self.closure(model, slot, false, budget) {
                    Err(Stop::Rejected) => self.closure(model, slot, true, budget)?,
                    other => other?,
                },
                (Some(_), true) | (None, _) => self.closure(model, slot, true, budget)?,
            }
        }
        self.close(model, slot);
        Ok(())
    }

    /// What is in `slot` is over.
    fn close(&mut self, model: &mut dyn Transitions, slot: usize) {
        for config in &mut self.configs {
            config.done.remove(slot);
            config.maybe.remove(slot);
        }
        self.slots.close(slot);
        if self.lost.is_full() {
            let configs = self.configs.iter_mut();
            self.lost.retain(configs.map(|config| &mut config.used));
        }
        if model.is_full() {
            let calls = self.slots.calls_mut().chain(self.lost.calls_mut());
            let states = self.configs.iter_mut().map(|config| &mut config.state);
            model.retain(&mut { calls }, &mut { states });
            self.memo.forget();
            self.lost.index_calls();
        }
    }

    /// The time of the operation in `slot` is over, which need not have taken effect: in some configurations it has, in others not.
    pub(crate) fn expire(
        &mut self,
        model: &mut dyn Transitions,
        slot: usize,
        budget: &Budget<'_>,
    ) -> Result<(), Stop> {
        let before = self.configs.clone();
        match self.closure(model, slot, true, budget) {
            Ok(()) => self.configs.extend(before),
            Err(Stop::Rejected) => {}
            Err(stop) => return Err(stop),
        }
        self.close(model, slot);
        self.configs.sort_unstable();
        self.configs.dedup();
        Ok(())
    }

    /// How often it has looked at its limits since it was as new.
    pub(crate) fn looks(&self) -> u64 {
        self.looks
    }

    /// The states that the object may be in, each once, ascending.
    pub(crate) fn states(&self) -> Vec<u32> {
        let mut states: Vec<u32> = self.configs.iter().map(|config| config.state).collect();
        states.sort_unstable();
        states.dedup();
        states
    }

    fn look_at_limits(&mut self, model: &dyn Transitions, budget: &Budget<'_>) -> Result<(), Stop> {
        self.steps += 1;
        self.work += 1;
        if self.work < WORK_BETWEEN_LOOKS {
            return Ok(());
        }
        self.work = 0;
        self.looks += 1;
        let patience = PATIENT_STEPS + self.returns * PATIENT_STEPS_PER_RETURN;
        if self.effort.gives_up() && self.steps > patience {
            return Err(Stop::Effort);
        }
        if (budget.should_stop)() {
            return Err(Stop::Interrupted);
        }
        if self.bytes() + model.bytes() > budget.bytes_max {
            Err(Stop::Memory)
        } else {
            Ok(())
        }
    }

    /// About how many bytes it takes.
    fn bytes(&self) -> usize {
        let waiting: usize = self.levels.iter().map(Vec::capacity).sum();
        let configs = waiting + self.configs.capacity() + self.reached.capacity();
        configs * size_of::<Config<W>>() + self.met.bytes() + self.memo.bytes() + self.lost.bytes()
    }
}
