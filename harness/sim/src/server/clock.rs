//! A node's clock.

/// A node's clock. It never goes back, and goes on while processes are stopped or gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// How long a tick of it is, in true time.
    pub(crate) tick: u64,
    /// How long one is for the node itself.
    nominal: u64,
    /// Since when it goes at this rate, and what it showed then.
    since: u64,
    shown: u64,
}

impl Clock {
    pub(crate) fn new(nominal: u64, tick: u64) -> Clock {
        Clock {
            tick,
            nominal,
            since: 0,
            shown: 0,
        }
    }

    /// It goes at another rate from `now` on.
    pub(crate) fn go_on(&mut self, now: u64, tick: u64) {
        *self = Clock {
            tick,
            since: now,
            shown: self.at(now),
            ..*self
        };
    }

    /// What it shows when it is truly `now`.
    pub(crate) fn at(&self, now: u64) -> u64 {
        self.shown + (now - self.since) * self.nominal / self.tick
    }
}
