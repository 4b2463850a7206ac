//! Clocks that run apart, for the worlds that have leases.
//!
//! Each server counts ticks of its own clock, and no clock is ever more than one tick ahead of another. A follower that has heard from its
//! leader hears no candidate for three ticks of its clock, by which any other clock has gone on by one at least, counted from when what
//! it heard was sent. So a lease may last one tick, and no longer: a bound that is off by one shows.

use super::worlds::{LEASE, World};
use core::time::Duration;
use raft::{LeaseTimes, MemoryStorage, Message, Raft, RoleKind};

/// For how many ticks a follower that has heard from its leader hears nobody else.
const PROMISE: u8 = 3;

/// How far clocks run apart at most, in ticks.
pub(super) const APART_MAX: u8 = 1;

/// A server's clock, and what it times by it; at its beginning for ever in worlds without leases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Clock {
    /// In ticks.
    now: u8,
    /// How many ticks the least election time-out is still away.
    silent_in: u8,
    lease: LeaseTimes,
}

impl Clock {
    pub(super) fn now(&self) -> u8 {
        self.now
    }

    /// Whether the least election time-out may have passed.
    pub(super) fn may_be_silent(&self) -> bool {
        self.silent_in == 0
    }

    /// Whether a lease of the term that this server leads runs.
    pub(super) fn lease_runs(&self, raft: &Raft<MemoryStorage<u8>>) -> bool {
        self.lease.runs(raft.term())
    }

    /// The least election time-out has passed.
    pub(super) fn is_silent(&mut self) {
        self.silent_in = 0;
    }

    /// A tick passes.
    pub(super) fn tick(&mut self) {
        self.now += 1;
        self.silent_in = self.silent_in.saturating_sub(1);
        self.lease.time_is(Duration::from_secs(self.now.into()));
    }

    /// The clock of a process that starts at `now`: what was timed before is forgotten.
    pub(super) fn of_process(world: &World, now: u8) -> Clock {
        let mut clock = Clock {
            now,
            ..Clock::default()
        };
        if world.has_leases() {
            clock.silent_in = PROMISE;
            clock.lease.time_is(Duration::from_secs(now.into()));
        }
        clock
    }

    /// As [`raft::RawNode`] does after each step of its core.
    pub(super) fn observe(&mut self, world: &World, raft: &Raft<MemoryStorage<u8>>) {
        if world.has_leases() {
            self.lease.observe(raft.latest_round(), LEASE);
            if raft.role() == RoleKind::Leader {
                // It waits for nobody. States that differ in nothing else are equal.
                self.silent_in = 0;
            }
        }
    }

    /// The time-out begins anew when the leader was heard from. ([`raft::RawNode`] does so elsewhere, too, which leaves less to happen.)
    pub(super) fn heard(&mut self, world: &World, message: &Message<u8>, from_leader: bool) {
        if world.has_leases() && message.is_order() && from_leader {
            self.silent_in = PROMISE;
        }
    }
}
