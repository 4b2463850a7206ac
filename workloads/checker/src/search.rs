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

use crate::antichain::{Antichain, Config};
use crate::bits::Bits;
use crate::foresight::Foresight;
use crate::intern::{Call, Interner, Next};
use crate::lost::Lost;
use crate::model::Model;
use crate::slots::{Slot, Slots};

/// How many transitions a search looks at between two looks at its limits.
const WORK_BETWEEN_LOOKS: u64 = 4096;
/// Up to so many configurations, each is held against each other, to drop those that came before one that dominates them.
const PRUNED_MAX: usize = 64;

/// Which reductions are used; all of them, outside of tests that compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reductions {
    /// Operations that change nothing take effect as soon as they are legal.
    pub greedy_reads: bool,
    /// Of equal open operations, the one that returns first goes first.
    pub earliest_deadline_first: bool,
    /// Configurations that spare lost operations displace those that don't.
    pub dominance: bool,
    /// Whether operations took effect unseen is left open.
    pub absorption: bool,
    /// Lost operations take effect only where something follows that depends on them.
    pub need: bool,
}

impl Default for Reductions {
    fn default() -> Self {
        Reductions {
            greedy_reads: true,
            earliest_deadline_first: true,
            dominance: true,
            absorption: true,
            need: true,
        }
    }
}

/// How much a search takes upon itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// All configurations, whatever that takes: what is rejected has no order.
    Full,
    /// All configurations, as long as they are few.
    Patient,
    /// So many configurations at each return, the most sparing ones, and lost operations only where nothing goes on without: what
    /// is not rejected has an order, and what is rejected may have one too.
    Beam(usize),
    /// As [`Effort::Beam`], as long as its steps are few.
    Glance(usize),
}

impl Effort {
    /// How many configurations it keeps at each return, where it does not keep all.
    fn width(self) -> Option<usize> {
        match self {
            Effort::Full | Effort::Patient => None,
            Effort::Beam(width) | Effort::Glance(width) => Some(width),
        }
    }

    /// Whether it ends where steps are many.
    fn gives_up(self) -> bool {
        match self {
            Effort::Full | Effort::Beam(_) => false,
            Effort::Patient | Effort::Glance(_) => true,
        }
    }
}

/// After so many steps towards a return, a search with [`Effort::Beam`] goes no further if it has reached any configuration.
const BEAM_STEPS_MAX: u32 = 1 << 12;
/// A search that [gives up](Effort::gives_up) takes so many steps, and so many more for each return.
const PATIENT_STEPS: u64 = 1 << 14;
const PATIENT_STEPS_PER_RETURN: u64 = 8;

/// Why a search went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// No order explains the operation that returned.
    Rejected,
    /// The caller said so.
    Interrupted,
    /// It would take more memory than allowed.
    Memory,
    /// It would take more steps than its effort allows.
    Effort,
}

/// A read that must still take effect.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    /// Its place among all reads.
    read: usize,
    /// Where it is, if it is open.
    slot: Option<usize>,
}

/// What a search may use.
pub(crate) struct Budget<'a> {
    pub(crate) bytes_max: usize,
    pub(crate) should_stop: &'a dyn Fn() -> bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Search<M: Model, const W: usize> {
    pub(crate) interner: Interner<M>,
    reductions: Reductions,
    slots: Slots<W>,
    lost: Lost,
    configs: Vec<Config<W>>,
    met: Antichain<W>,
    /// Configurations to go on from, by the number of lost operations used.
    levels: Vec<Vec<Config<W>>>,
    /// Those that a closure has found.
    reached: Vec<Config<W>>,
    foresight: Option<Foresight<M>>,
    /// The foreseen read that is in each slot.
    read_in: Vec<Option<usize>>,
    /// Nothing that could be illegal and returns by then is invoked from here on.
    sealed: Option<u64>,
    is_settled: bool,
    effort: Effort,
    steps: u64,
    /// What was done since the limits were looked at.
    work: u64,
    returns: u64,
    /// Where groups of lost operations are put together.
    groups: Vec<u32>,
}

impl<M: Model, const W: usize> Search<M, W> {
    pub(crate) fn new(init: M, reductions: Reductions) -> Self {
        Search {
            interner: Interner::new(init),
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
            returns: 0,
            groups: Vec::new(),
        }
    }

    /// As new, with the memory that it has.
    pub(crate) fn reset(&mut self, init: M, effort: Effort) {
        self.effort = effort;
        (self.steps, self.returns) = (0, 0);
        self.interner.reset(init);
        self.slots.clear();
        self.lost.clear();
        self.configs.clear();
        self.configs.push(Config::INITIAL);
        self.foresight = None;
        (self.sealed, self.is_settled) = (None, false);
    }

    pub(crate) fn has_room(&self) -> bool {
        self.slots.has_room()
    }

    /// The same search with room for more operations at once.
    pub(crate) fn widened<const V: usize>(self) -> Search<M, V> {
        let widen = |config: Config<W>| Config {
            state: config.state,
            used: config.used,
            done: config.done.widened(),
            maybe: config.maybe.widened(),
        };
        Search {
            interner: self.interner,
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
            returns: self.returns,
            groups: self.groups,
        }
    }

    /// What is known of the operations to come.
    pub(crate) fn foresee(&mut self, foresight: Foresight<M>) {
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
    pub(crate) fn lose(&mut self, call: Call<M>) {
        let call = self.interner.call(call);
        self.lost.add(call, self.interner.nature(call).overwrites);
    }

    /// Opens an operation that must return at `deadline`. Its slot is given back.
    pub(crate) fn invoke(&mut self, call: Call<M>, deadline: u64) -> usize {
        let call = self.interner.call(call);
        let mut nature = self.interner.nature(call);
        let is_read = nature.read_only;
        nature.read_only &= self.reductions.greedy_reads;
        let twins_in_order = self.reductions.earliest_deadline_first;
        let slot = self.slots.open(call, nature, deadline, twins_in_order);
        if M::LOOKS_AHEAD {
            self.read_in.resize(self.read_in.len().max(slot + 1), None);
            let foresight = self.foresight.as_mut().filter(|_| is_read);
            self.read_in[slot] = foresight.map(Foresight::invoke);
        }
        if nature.read_only || (self.reductions.absorption && !nature.always_changes) {
            for config in &mut self.configs {
                match self.interner.next(call, config.state) {
                    Next::To(_) | Next::ToAny(_) if nature.read_only => config.done.insert(slot),
                    Next::To(state) if state == config.state => config.maybe.insert(slot),
                    Next::To(_) | Next::ToAny(_) | Next::Nowhere => {}
                }
            }
        }
        slot
    }

    /// The operation in `slot` returns: every configuration must have it done.
    pub(crate) fn complete(&mut self, slot: usize, budget: &Budget<'_>) -> Result<(), Stop> {
        self.returns += 1;
        self.look_at_limits(budget)?;
        if !self.is_settled && !self.configs.iter().all(|config| config.done.contains(slot)) {
            match (self.effort.width(), self.lost.is_empty()) {
                (Some(_), false) => match self.closure(slot, false, budget) {
                    Err(Stop::Rejected) => self.closure(slot, true, budget)?,
                    other => other?,
                },
                (Some(_), true) | (None, _) => self.closure(slot, true, budget)?,
            }
        }
        for config in &mut self.configs {
            config.done.remove(slot);
            config.maybe.remove(slot);
        }
        self.slots.close(slot);
        if self.lost.is_full() {
            let configs = self.configs.iter_mut();
            self.lost.retain(configs.map(|config| &mut config.used));
        }
        if self.interner.is_full() {
            let configs = self.configs.iter_mut();
            let calls = self.slots.calls_mut().chain(self.lost.calls_mut());
            self.interner
                .retain(calls, configs.map(|config| &mut config.state));
            self.lost.index_calls();
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

    /// Puts every configuration that can be reached from those there are and has `target` done in their place, without going further
    /// than that. Where there is none, they stay: what the object could have been in belongs to the explanation.
    fn closure(&mut self, target: usize, uses_lost: bool, budget: &Budget<'_>) -> Result<(), Stop> {
        let now = self.slots.get(target).deadline;
        let ahead = self.reads_ahead(now);
        let must = self.must_be_done();
        self.met.clear();
        self.reached.clear();
        for level in &mut self.levels {
            level.clear();
        }
        for place in 0..self.configs.len() {
            self.push(self.configs[place], &ahead);
        }
        let candidates = self.slots.open.without(&self.slots.read_only);
        let uses_lost = uses_lost && !self.lost.is_empty();
        let is_beam = self.effort.width().is_some();
        let mut steps = 0;
        let mut level = 0;
        while level < self.levels.len() {
            let Some(mut config) = self.levels[level].pop() else {
                level += 1;
                continue;
            };
            if !self.met.insert(config, &self.lost, !self.reductions.dominance) {
                continue;
            }
            if must.is_some_and(|must| must.is_subset(&config.done.or(&config.maybe))) {
                self.is_settled = true;
                return Ok(());
            }
            if config.done.contains(target) {
                self.reached.push(config);
                continue;
            }
            if config.maybe.contains(target) {
                // Where it has taken effect, nothing is left to do; where not, it still may, for others to see.
                config.maybe.remove(target);
                let mut done = config;
                done.done.insert(target);
                self.reached.push(done);
            }
            self.expand(&config, &candidates, &ahead);
            if uses_lost {
                self.use_lost(&config, &ahead);
            }
            self.look_at_limits(budget)?;
            steps += 1;
            if is_beam && steps >= BEAM_STEPS_MAX && !self.reached.is_empty() {
                break;
            }
        }
        if self.reached.is_empty() {
            return Err(Stop::Rejected);
        }
        std::mem::swap(&mut self.configs, &mut self.reached);
        if self.reductions.dominance && self.configs.len() <= PRUNED_MAX {
            self.prune();
        }
        if let Some(width) = self.effort.width() {
            self.configs
                .sort_by_key(|config| (self.lost.total(config.used), config.done.len()));
            self.configs.truncate(width);
        }
        Ok(())
    }

    /// In a search that is sealed: what a configuration must have done to explain all that will return.
    fn must_be_done(&self) -> Option<Bits<W>> {
        let end = self.sealed?;
        let slots = &self.slots;
        let mut must = slots.open.without(&slots.always_legal);
        for slot in must.iter() {
            if slots.get(slot).deadline > end {
                must.remove(slot);
            }
        }
        Some(must)
    }

    /// Goes on from `config` by each of `candidates` that may take effect next.
    fn expand(&mut self, config: &Config<W>, candidates: &Bits<W>, ahead: &[Ahead]) {
        let pending = candidates.without(&config.done);
        let firm = pending.without(&config.maybe);
        self.work += pending.len() as u64;
        for slot in pending.iter() {
            let Slot { call, before, .. } = *self.slots.get(slot);
            if !before.and(&firm).is_empty() {
                continue;
            }
            let overwrites = self.slots.overwriting.contains(slot);
            // Twins that must go first and may have gone, have.
            let mut next = *config;
            next.done = next.done.or(&before.and(&config.maybe));
            next.done.insert(slot);
            match self.interner.next(call, config.state) {
                Next::Nowhere => {}
                // That it may have taken effect here without a change is known already.
                Next::To(state) if state == config.state && self.reductions.absorption => {}
                Next::To(state) => self.follow(next, state, overwrites, ahead),
                Next::ToAny(place) => {
                    for choice in 0..self.interner.several(place).len() {
                        let state = self.interner.several(place)[choice];
                        self.follow(next, state, overwrites, ahead);
                    }
                }
            }
        }
    }

    /// Goes on from `config` by each lost operation that may take effect next and is needed.
    fn use_lost(&mut self, config: &Config<W>, ahead: &[Ahead]) {
        let mut groups = std::mem::take(&mut self.groups);
        groups.extend(self.lost.left(config.used));
        self.work += groups.len() as u64;
        for group in groups.drain(..) {
            match self.interner.next(self.lost.call(group), config.state) {
                Next::Nowhere => {}
                Next::To(state) => self.use_one(config, group, state, ahead),
                Next::ToAny(place) => {
                    for choice in 0..self.interner.several(place).len() {
                        let state = self.interner.several(place)[choice];
                        self.use_one(config, group, state, ahead);
                    }
                }
            }
        }
        self.groups = groups;
    }

    /// Goes on from `config` by a lost operation of `group`, which leads to `state`.
    fn use_one(&mut self, config: &Config<W>, group: u32, state: u32, ahead: &[Ahead]) {
        if state == config.state {
            return; // To use one without effect spares nothing.
        }
        if self.reductions.need && !self.is_needed(config, state) {
            return;
        }
        let mut next = *config;
        next.used = self.lost.plus(config.used, group);
        self.follow(next, state, self.lost.overwrites(group), ahead);
    }

    /// Whether anything can take effect in `state`, to which a lost operation leads from `config`, that may not do so without it. What
    /// overwrites it may; and if nothing else follows before the next return, there is time for the lost operation after that.
    fn is_needed(&mut self, config: &Config<W>, state: u32) -> bool {
        let slots = &self.slots;
        let pending = slots.open.without(&config.done).without(&slots.overwriting);
        if !pending.and(&slots.always_legal).is_empty() {
            return true;
        }
        let mut live = pending.iter();
        if live.any(|slot| self.interner.next(self.slots.get(slot).call, state) != Next::Nowhere) {
            return true;
        }
        let mut lost = self.lost.left_to_see(config.used);
        lost.any(|group| match self.interner.next(self.lost.call(group), state) {
            Next::Nowhere => false,
            Next::To(next) => next != state,
            Next::ToAny(_) => true,
        })
    }

    /// Takes up `next`, where an operation has led to `state`.
    fn follow(&mut self, mut next: Config<W>, state: u32, overwrites: bool, ahead: &[Ahead]) {
        let changed = next.state != state;
        next.state = state;
        next.maybe = next.maybe.without(&next.done);
        if self.reductions.absorption && overwrites {
            next.maybe = next.maybe.or(&self.slots.always_legal.without(&next.done));
        }
        if changed {
            self.settle(&mut next);
        }
        self.push(next, ahead);
    }

    /// In a state that was just reached, lets open reads that are legal take effect, and leaves it open whether others did that
    /// change nothing.
    fn settle(&mut self, config: &mut Config<W>) {
        let pending = if self.reductions.absorption {
            self.slots
                .open
                .without(&self.slots.changing)
                .without(&config.maybe)
        } else {
            self.slots.read_only
        };
        for slot in pending.without(&config.done).iter() {
            let next = self.interner.next(self.slots.get(slot).call, config.state);
            if self.slots.read_only.contains(slot) {
                if next != Next::Nowhere {
                    config.done.insert(slot);
                }
            } else if next == Next::To(config.state) {
                config.maybe.insert(slot);
            }
        }
    }

    fn push(&mut self, config: Config<W>, ahead: &[Ahead]) {
        if !ahead.is_empty() && self.is_dead(&config, ahead) {
            return;
        }
        let level = self.lost.total(config.used);
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
        }
        self.levels[level].push(config);
    }

    /// Whether some read that must still take effect never can.
    fn is_dead(&mut self, config: &Config<W>, ahead: &[Ahead]) -> bool {
        ahead.iter().any(|ahead| {
            if ahead
                .slot
                .is_some_and(|slot| config.done.contains(slot) || config.maybe.contains(slot))
            {
                return false;
            }
            let foresight = self.foresight.as_ref().expect("reads are foreseen by it");
            if foresight.may_lead(self.interner.state_of(config.state), ahead.read) {
                return false;
            }
            let pending = self.slots.overwriting.without(&config.done);
            let live = pending.iter().map(|slot| self.slots.get(slot).call);
            let lost = self.lost.left(config.used);
            let lost = lost.filter(|group| self.lost.overwrites(*group));
            let mut calls = live.chain(lost.map(|group| self.lost.call(group)));
            !calls.any(|call| match self.interner.next(call, config.state) {
                Next::To(state) => foresight.may_lead(self.interner.state_of(state), ahead.read),
                Next::ToAny(_) | Next::Nowhere => true,
            })
        })
    }

    /// The reads that must take effect after `now` and that nothing invoked later explains: open ones, and some that are ahead.
    fn reads_ahead(&self, now: u64) -> Vec<Ahead> {
        let Some(foresight) = &self.foresight else {
            return Vec::new();
        };
        let open = self.slots.open.iter().filter_map(|slot| {
            let read = self.read_in[slot].filter(|read| foresight.is_bound(*read, now))?;
            let slot = Some(slot);
            Some(Ahead { read, slot })
        });
        let later = foresight.ahead(now).into_iter().flatten();
        open.chain(later.map(|read| Ahead { read, slot: None })).collect()
    }

    /// Drops configurations that another one dominates.
    fn prune(&mut self) {
        let mut place = 0;
        while place < self.configs.len() {
            let config = self.configs[place];
            let mut others = self.configs.iter().enumerate();
            if others.any(|(other, by)| other != place && by.dominates(&config, &self.lost)) {
                self.configs.swap_remove(place);
            } else {
                place += 1;
            }
        }
    }

    fn look_at_limits(&mut self, budget: &Budget<'_>) -> Result<(), Stop> {
        self.steps += 1;
        self.work += 1;
        if self.work < WORK_BETWEEN_LOOKS {
            return Ok(());
        }
        self.work = 0;
        let patience = PATIENT_STEPS + self.returns * PATIENT_STEPS_PER_RETURN;
        if self.effort.gives_up() && self.steps > patience {
            return Err(Stop::Effort);
        }
        if (budget.should_stop)() {
            return Err(Stop::Interrupted);
        }
        if self.bytes() > budget.bytes_max {
            Err(Stop::Memory)
        } else {
            Ok(())
        }
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        let waiting: usize = self.levels.iter().map(Vec::capacity).sum();
        let configs = waiting + self.configs.capacity() + self.reached.capacity();
        configs * size_of::<Config<W>>() + self.met.bytes() + self.interner.bytes() + self.lost.bytes()
    }
}
