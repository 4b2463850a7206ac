//! What can take effect before a return.

use super::{Ahead, Budget, Search, Stop};
use crate::antichain::Config;
use crate::bits::Bits;
use crate::memo::{Next, Transitions};
use crate::slots::Slot;

/// Up to so many configurations, each is held against each other, to drop those that came before one that dominates them.
const PRUNED_MAX: usize = 64;
/// What a closure goes by: the model, and the reads that must still take effect.
struct Scene<'a> {
    model: &'a mut dyn Transitions,
    ahead: &'a [Ahead],
}

impl<const W: usize> Search<W> {
    /// Puts every configuration that can be reached from those there are and has `target` done in their place, without going further
    /// than that. Where there is none, they stay: what the object could have been in belongs to the explanation.
    pub(super) fn closure(
        &mut self,
        model: &mut dyn Transitions,
        target: usize,
        uses_lost: bool,
        budget: &Budget<'_>,
    ) -> Result<(), Stop> {
        let mut ahead = std::mem::take(&mut self.ahead);
        self.look_ahead(self.slots.get(target).deadline, &mut ahead);
        let mut scene = Scene { model, ahead: &ahead };
        let found = self.reach(&mut scene, target, uses_lost, budget);
        ahead.clear();
        self.ahead = ahead;
        found?;
        if self.is_settled {
            return Ok(());
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

    /// Finds the configurations that have `target` done, or that the search is settled.
    fn reach(
        &mut self,
        scene: &mut Scene<'_>,
        target: usize,
        uses_lost: bool,
        budget: &Budget<'_>,
    ) -> Result<(), Stop> {
        let must = self.must_be_done();
        self.met.clear();
        self.reached.clear();
        for level in &mut self.levels {
            level.clear();
        }
        // What is pushed last is looked at first.
        for place in (0..self.configs.len()).rev() {
            self.push(self.configs[place], scene);
        }
        let candidates = self.slots.open.without(&self.slots.read_only);
        let uses_lost = uses_lost && !self.lost.is_empty();
        let (steps_max, enough) = (self.effort.steps_max(), self.effort.enough());
        let mut steps: u32 = 0;
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
            self.expand(&config, &candidates, scene);
            if uses_lost {
                self.use_lost(&config, scene);
            }
            self.look_at_limits(scene.model, budget)?;
            steps = steps.saturating_add(1);
            let is_far = steps >= steps_max && !self.reached.is_empty();
            if is_far || self.reached.len() >= enough {
                break;
            }
        }
        if self.reached.is_empty() {
            return Err(Stop::Rejected);
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
    fn expand(&mut self, config: &Config<W>, candidates: &Bits<W>, scene: &mut Scene<'_>) {
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
            match self.memo.next(scene.model, call, config.state) {
                Next::Nowhere => {}
                // That it may have taken effect here without a change is known already.
                Next::To(state) if state == config.state && self.reductions.absorption => {}
                Next::To(state) => self.follow(next, state, overwrites, scene),
                Next::ToAny(place) => {
                    for choice in 0..self.memo.several(place).len() {
                        let state = self.memo.several(place)[choice];
                        self.follow(next, state, overwrites, scene);
                    }
                }
            }
        }
    }

    /// Goes on from `config` by each lost operation that may take effect next and is needed.
    fn use_lost(&mut self, config: &Config<W>, scene: &mut Scene<'_>) {
        let mut groups = std::mem::take(&mut self.groups);
        groups.extend(self.lost.left(config.used));
        self.work += groups.len() as u64;
        for group in groups.drain(..) {
            match self.memo.next(scene.model, self.lost.call(group), config.state) {
                Next::Nowhere => {}
                Next::To(state) => self.use_one(config, group, state, scene),
                Next::ToAny(place) => {
                    for choice in 0..self.memo.several(place).len() {
                        let state = self.memo.several(place)[choice];
                        self.use_one(config, group, state, scene);
                    }
                }
            }
        }
        self.groups = groups;
    }

    /// Goes on from `config` by a lost operation of `group`, which leads to `state`.
    fn use_one(&mut self, config: &Config<W>, group: u32, state: u32, scene: &mut Scene<'_>) {
        if state == config.state {
            return; // To use one without effect spares nothing.
        }
        if self.reductions.need && !self.is_needed(scene, config, state) {
            return;
        }
        let mut next = *config;
        next.used = self.lost.plus(config.used, group);
        self.follow(next, state, self.lost.overwrites(group), scene);
    }

    /// Whether anything can take effect in `state`, to which a lost operation leads from `config`, that may not do so without it. What
    /// overwrites it may; and if nothing else follows before the next return, there is time for the lost operation after that.
    fn is_needed(&mut self, scene: &mut Scene<'_>, config: &Config<W>, state: u32) -> bool {
        let slots = &self.slots;
        let pending = slots.open.without(&config.done).without(&slots.overwriting);
        if !pending.and(&slots.always_legal).is_empty() {
            return true;
        }
        let mut live = pending.iter();
        if live.any(|slot| self.memo.next(scene.model, self.slots.get(slot).call, state) != Next::Nowhere) {
            return true;
        }
        let mut lost = self.lost.left_to_see(config.used);
        lost.any(
            |group| match self.memo.next(scene.model, self.lost.call(group), state) {
                Next::Nowhere => false,
                Next::To(next) => next != state,
                Next::ToAny(_) => true,
            },
        )
    }

    /// Takes up `next`, where an operation has led to `state`.
    fn follow(&mut self, mut next: Config<W>, state: u32, overwrites: bool, scene: &mut Scene<'_>) {
        let changed = next.state != state;
        next.state = state;
        next.maybe = next.maybe.without(&next.done);
        if self.reductions.absorption && overwrites {
            next.maybe = next.maybe.or(&self.slots.always_legal.without(&next.done));
        }
        if changed {
            self.settle(scene, &mut next);
        }
        self.push(next, scene);
    }

    /// In a state that was just reached, lets open reads that are legal take effect, and leaves it open whether others did that
    /// change nothing.
    fn settle(&mut self, scene: &mut Scene<'_>, config: &mut Config<W>) {
        let pending = if self.reductions.absorption {
            self.slots
                .open
                .without(&self.slots.changing)
                .without(&config.maybe)
        } else {
            self.slots.read_only
        };
        for slot in pending.without(&config.done).iter() {
            let next = self
                .memo
                .next(scene.model, self.slots.get(slot).call, config.state);
            if self.slots.read_only.contains(slot) {
                if next != Next::Nowhere {
                    config.done.insert(slot);
                }
            } else if next == Next::To(config.state) {
                config.maybe.insert(slot);
            }
        }
    }

    fn push(&mut self, config: Config<W>, scene: &mut Scene<'_>) {
        if !scene.ahead.is_empty() && self.is_dead(scene, &config) {
            return;
        }
        let level = self.lost.total(config.used);
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
        }
        self.levels[level].push(config);
    }

    /// Whether some read that must still take effect never can.
    fn is_dead(&mut self, scene: &mut Scene<'_>, config: &Config<W>) -> bool {
        let Scene { model, ahead } = scene;
        ahead.iter().any(|ahead| {
            if ahead
                .slot
                .is_some_and(|slot| config.done.contains(slot) || config.maybe.contains(slot))
            {
                return false;
            }
            if model.may_lead(config.state, ahead.read) {
                return false;
            }
            let pending = self.slots.overwriting.without(&config.done);
            let live = pending.iter().map(|slot| self.slots.get(slot).call);
            let lost = self.lost.left(config.used);
            let lost = lost.filter(|group| self.lost.overwrites(*group));
            let mut calls = live.chain(lost.map(|group| self.lost.call(group)));
            !calls.any(|call| match self.memo.next(*model, call, config.state) {
                Next::To(state) => model.may_lead(state, ahead.read),
                Next::ToAny(_) | Next::Nowhere => true,
            })
        })
    }

    /// Puts into `ahead` the reads that must take effect after `now` and that nothing invoked later explains: open ones, and some that
    /// are to come.
    fn look_ahead(&self, now: u64, ahead: &mut Vec<Ahead>) {
        let Some(foresight) = &self.foresight else {
            return;
        };
        let open = self.slots.open.iter().filter_map(|slot| {
            let read = self.read_in[slot].filter(|read| foresight.is_bound(*read, now))?;
            let slot = Some(slot);
            Some(Ahead { read, slot })
        });
        let later = foresight.ahead(now).into_iter().flatten();
        ahead.extend(open.chain(later.map(|read| Ahead { read, slot: None })));
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
}
