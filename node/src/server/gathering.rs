//! Whether what clients ask is put off for a moment, for more of it to come.
//!
//! Clients that were answered together ask again one after the other. Were each request sent on at once, a batch that is written to the disks in
//! one go would leave in ten messages to every follower, and each of them costs both sides more than what is in it. So requests wait
//! while earlier ones are on their way anyhow, whose followers are busy writing: until something comes of those, or for [`WAIT_MAX`].
//! A request that is alone never waits, nor does anything that another node says.

use std::time::{Duration, Instant};

/// How long after a message requests wait for more at most. Less than a write to the log and the way to a follower and back take.
const WAIT_MAX: Duration = Duration::from_micros(100);

/// What has come in since the last turn, and when something left.
#[derive(Debug)]
pub(crate) struct Gathering {
    wait_max: Duration,
    /// When the latest messages left for other nodes.
    sent: Option<Instant>,
    /// How many requests came since the last turn.
    requests: usize,
    /// Something else came, too.
    is_urgent: bool,
}

impl Gathering {
    /// `spin` is how long the node was told to stay awake: one that must sleep at once can't wait for so short a time.
    pub(crate) fn new(spin: Option<Duration>) -> Gathering {
        let may_spin = spin.is_none_or(|longest| !longest.is_zero());
        Gathering {
            wait_max: if may_spin { WAIT_MAX } else { Duration::ZERO },
            sent: None,
            requests: 0,
            is_urgent: false,
        }
    }

    /// A client asks.
    pub(crate) fn request_came(&mut self) {
        self.requests += 1;
    }

    /// Something happened that must not wait.
    pub(crate) fn is_urgent(&mut self) {
        self.is_urgent = true;
    }

    /// Messages left for other nodes.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.sent = Some(now);
    }

    /// Whether the turn is put off, where so many requests are not answered; if not, it begins.
    pub(crate) fn waits(&mut self, now: Instant, unanswered: usize) -> bool {
        let others_are_on_their_way = unanswered > self.requests;
        let waits = !self.is_urgent
            && others_are_on_their_way
            && self
                .sent
                .is_some_and(|sent| now.saturating_duration_since(sent) < self.wait_max);
        if !waits {
            self.requests = 0;
            self.is_urgent = false;
        }
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One request is on its way, and was sent just now.
    fn busy(spin: Option<Duration>) -> (Gathering, Instant) {
        let now = Instant::now();
        let mut gathering = Gathering::new(spin);
        gathering.request_came();
        assert!(!gathering.waits(now, 1), "there is nothing to wait for");
        gathering.sent(now);
        (gathering, now)
    }

    #[test]
    fn requests_wait_while_others_are_on_their_way_but_not_for_long() {
        let (mut gathering, sent) = busy(None);
        for requests in 1..=50 {
            gathering.request_came();
            assert!(gathering.waits(sent, 1 + requests));
        }
        assert!(gathering.waits(sent + WAIT_MAX - Duration::from_nanos(1), 51));
        assert!(!gathering.waits(sent + WAIT_MAX, 51));
        gathering.sent(sent + WAIT_MAX);
        gathering.request_came();
        assert!(gathering.waits(sent + WAIT_MAX, 52), "the next ones wait as long");
    }

    #[test]
    fn nobody_waits_who_is_alone() {
        let (mut gathering, sent) = busy(None);
        gathering.request_came();
        assert!(!gathering.waits(sent, 1), "the one before is answered");
    }

    #[test]
    fn what_else_comes_ends_the_wait() {
        let (mut gathering, sent) = busy(None);
        gathering.request_came();
        assert!(gathering.waits(sent, 2));
        gathering.is_urgent();
        assert!(!gathering.waits(sent, 2));
        gathering.request_came();
        assert!(gathering.waits(sent, 3), "that was for once");
    }

    #[test]
    fn a_node_that_must_sleep_at_once_has_nobody_wait() {
        for (spin, waits) in [(Duration::ZERO, false), (Duration::from_micros(1), true)] {
            let (mut gathering, sent) = busy(Some(spin));
            gathering.request_came();
            assert_eq!(gathering.waits(sent, 2), waits);
        }
    }
}
