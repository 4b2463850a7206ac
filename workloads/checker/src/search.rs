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
//! - *Dominance*: of two configurations with the same state and the same returning operations done, the one that has used a subset
//!   of the other's crashed operations can do all that the other can. The closure goes by the number of crashed operations
//!   used, so that the sparing ones are met first.

use crate::antichain::{Antichain, Config};
use crate::bits::Bits;
use crate::intern::{Call, Interner};
use crate::model::Model;

/// An operation that never returns.
pub(crate) const NEVER_RETURNS: u64 = u64::MAX;

/// How many steps a search takes between two looks at its limits.
const STEPS_BETWEEN_CHECKS: u32 = 1024;

/// Which reductions are used; all of them, outside of tests that compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reductions {
    /// Operations that change nothing take effect as soon as they are legal.
    pub greedy_reads: bool,
    /// Of equal open operations, the one that returns first goes first.
    pub earliest_deadline_first: bool,
    /// Configurations that spare crashed operations displace those that don't.
    pub dominance: bool,
}

impl Default for Reductions {
    fn default() -> Self {
        Reductions {
            greedy_reads: true,
            earliest_deadline_first: true,
            dominance: true,
        }
    }
}

/// Why a search went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// No order explains the operation that returned.
    Rejected,
    /// The caller said so.
    Interrupted,
    /// It would take more memory than allowed.
    Memory,
}

/// What a search may use.
pub(crate) struct Budget<'a> {
    pub(crate) bytes_max: usize,
    pub(crate) should_stop: &'a dyn Fn() -> bool,
}

/// An open operation.
#[derive(Clone, Copy, Debug)]
struct Slot<const W: usize> {
    call: u32,
    read_only: bool,
    /// When it must return.
    deadline: u64,
    /// Open operations with the same call and result that must return before it.
    before: Bits<W>,
}

#[derive(Clone, Debug)]
pub(crate) struct Search<M: Model, const W: usize> {
    pub(crate) interner: Interner<M>,
    reductions: Reductions,
    slots: Vec<Slot<W>>,
    free: Vec<usize>,
    open: Bits<W>,
    crashed: Bits<W>,
    read_only: Bits<W>,
    configs: Vec<Config<W>>,
    met: Antichain<W>,
    /// Configurations to go on from, by the number of crashed operations used.
    levels: Vec<Vec<Config<W>>>,
    steps: u32,
}

impl<M: Model, const W: usize> Search<M, W> {
    pub(crate) fn new(init: M, reductions: Reductions) -> Self {
        Search {
            interner: Interner::new(init),
            reductions,
            slots: Vec::new(),
            free: Vec::new(),
            open: Bits::EMPTY,
            crashed: Bits::EMPTY,
            read_only: Bits::EMPTY,
            configs: vec![Config {
                state: 0,
                live: Bits::EMPTY,
                crashed: Bits::EMPTY,
            }],
            met: Antichain::new(),
            levels: Vec::new(),
            steps: 0,
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty() || self.slots.len() < Bits::<W>::CAPACITY
    }

    /// The same search with room for more operations at once.
    pub(crate) fn widened<const V: usize>(self) -> Search<M, V> {
        let widen = |config: Config<W>| Config {
            state: config.state,
            live: config.live.widened(),
            crashed: config.crashed.widened(),
        };
        let widen_slot = |slot: Slot<W>| Slot {
            call: slot.call,
            read_only: slot.read_only,
            deadline: slot.deadline,
            before: slot.before.widened(),
        };
        Search {
            interner: self.interner,
            reductions: self.reductions,
            slots: self.slots.into_iter().map(widen_slot).collect(),
            free: self.free,
            open: self.open.widened(),
            crashed: self.crashed.widened(),
            read_only: self.read_only.widened(),
            configs: self.configs.into_iter().map(widen).collect(),
            met: Antichain::new(),
            levels: Vec::new(),
            steps: self.steps,
        }
    }

    /// Opens an operation that must return at `deadline`, or never ([`NEVER_RETURNS`]). Its slot is given back.
    pub(crate) fn invoke(&mut self, call: Call<M>, deadline: u64) -> usize {
        let read_only =
            self.reductions.greedy_reads && call.1.as_ref().is_some_and(|ret| M::is_read_only(&call.0, ret));
        let call = self.interner.call(call);
        let slot = self.free.pop().unwrap_or(self.slots.len());
        let before = self.order_among_twins(call, deadline, slot);
        let opened = Slot {
            call,
            read_only,
            deadline,
            before,
        };
        if slot == self.slots.len() {
            self.slots.push(opened);
        } else {
            self.slots[slot] = opened;
        }
        self.open.insert(slot);
        if deadline == NEVER_RETURNS {
            self.crashed.insert(slot);
        }
        if read_only {
            self.read_only.insert(slot);
            for config in &mut self.configs {
                if self.interner.next(call, config.state).is_some() {
                    config.live.insert(slot);
                }
            }
        }
        slot
    }

    /// Among the open operations with the same call and result, those that must return before `slot`; the others learn that it
    /// must return before them.
    fn order_among_twins(&mut self, call: u32, deadline: u64, slot: usize) -> Bits<W> {
        let mut before = Bits::EMPTY;
        if !self.reductions.earliest_deadline_first {
            return before;
        }
        for other in self.open.iter() {
            let twin = &mut self.slots[other];
            if twin.call != call {
                continue;
            }
            if (twin.deadline, other) < (deadline, slot) {
                before.insert(other);
            } else {
                twin.before.insert(slot);
            }
        }
        before
    }

    /// The operation in `slot` returns: every configuration must have it done.
    pub(crate) fn complete(&mut self, slot: usize, budget: &Budget<'_>) -> Result<(), Stop> {
        if !self.configs.iter().all(|config| config.live.contains(slot)) {
            let reached = self.closure(slot, budget)?;
            if reached.is_empty() {
                return Err(Stop::Rejected);
            }
            self.configs = reached;
        }
        for config in &mut self.configs {
            config.live.remove(slot);
        }
        self.open.remove(slot);
        self.read_only.remove(slot);
        for other in self.open.iter() {
            self.slots[other].before.remove(slot);
        }
        self.free.push(slot);
        if self.interner.is_full() {
            self.forget_unused();
        }
        Ok(())
    }

    /// The states that the object may be in, each once.
    pub(crate) fn states(&self) -> Vec<M> {
        let mut ids: Vec<u32> = self.configs.iter().map(|config| config.state).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter()
            .map(|id| self.interner.state_of(id).clone())
            .collect()
    }

    /// Every configuration that can be reached from those there are and has `target` done, without going further than that.
    fn closure(&mut self, target: usize, budget: &Budget<'_>) -> Result<Vec<Config<W>>, Stop> {
        self.met.clear();
        let mut reached = Vec::new();
        for config in std::mem::take(&mut self.configs) {
            push(&mut self.levels, config);
        }
        let starts: Vec<Config<W>> = self.levels.iter().flatten().copied().collect();
        let mut level = 0;
        while level < self.levels.len() {
            let Some(config) = self.levels[level].pop() else {
                level += 1;
                continue;
            };
            if !self.met.insert(config, !self.reductions.dominance) {
                continue;
            }
            if config.live.contains(target) {
                reached.push(config);
            } else {
                self.expand(&config);
            }
            if let Err(stop) = self.check(budget) {
                self.levels.clear();
                self.configs = starts;
                return Err(stop);
            }
        }
        if reached.is_empty() {
            // What the object could have been in belongs to the explanation.
            self.configs = starts;
        }
        Ok(reached)
    }

    /// Goes on from `config` by each open operation that may take effect next.
    fn expand(&mut self, config: &Config<W>) {
        let pending = self
            .open
            .without(&config.live)
            .without(&config.crashed)
            .without(&self.read_only);
        for slot in pending.iter() {
            let Slot { call, before, .. } = self.slots[slot];
            if !before.and(&pending).is_empty() {
                continue;
            }
            let Some(state) = self.interner.next(call, config.state) else {
                continue;
            };
            let mut next = Config { state, ..*config };
            if !self.crashed.contains(slot) {
                next.live.insert(slot);
            } else if state == config.state {
                continue; // To use a crashed operation without effect spares nothing.
            } else {
                next.crashed.insert(slot);
            }
            if state != config.state {
                self.do_reads(&mut next);
            }
            push(&mut self.levels, next);
        }
    }

    /// Lets the open reads that have become legal take effect.
    fn do_reads(&mut self, config: &mut Config<W>) {
        for slot in self.read_only.without(&config.live).iter() {
            if self.interner.next(self.slots[slot].call, config.state).is_some() {
                config.live.insert(slot);
            }
        }
    }

    fn check(&mut self, budget: &Budget<'_>) -> Result<(), Stop> {
        self.steps = self.steps.wrapping_add(1);
        if !self.steps.is_multiple_of(STEPS_BETWEEN_CHECKS) {
            return Ok(());
        }
        if (budget.should_stop)() {
            return Err(Stop::Interrupted);
        }
        // Each configuration that was met is held once here and at most a few times on its way; the hash table comes on top.
        let waiting: usize = self.levels.iter().map(Vec::capacity).sum();
        let bytes = (3 * self.met.len() + waiting) * size_of::<Config<W>>() + self.interner.bytes();
        if bytes > budget.bytes_max {
            Err(Stop::Memory)
        } else {
            Ok(())
        }
    }

    /// Drops interned calls and states that no open operation and no configuration uses.
    fn forget_unused(&mut self) {
        let open = self.open;
        let slots = self
            .slots
            .iter_mut()
            .enumerate()
            .filter(|(slot, _)| open.contains(*slot));
        let calls = slots.map(|(_, slot)| &mut slot.call);
        self.interner
            .retain(calls, self.configs.iter_mut().map(|config| &mut config.state));
    }
}

fn push<const W: usize>(levels: &mut Vec<Vec<Config<W>>>, config: Config<W>) {
    let level = config.crashed.len();
    if levels.len() <= level {
        levels.resize_with(level + 1, Vec::new);
    }
    levels[level].push(config);
}
