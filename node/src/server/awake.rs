//! How long the node looks whether something comes before its thread sleeps.
//!
//! To wake a thread that sleeps costs whoever wakes it, and the thread is late. Nodes wake each other for every batch, between two of which
//! there is hardly more time than a write to the log takes: whoever has just done something is likely to be given more to do at once. But
//! a leader that owes its clients answers waits for disks, which take longer.

use std::convert::Infallible;
use std::time::{Duration, Instant};

/// How long a node stays awake after it did something, unless it was told otherwise. One without work sleeps.
const AFTER_WORK: Duration = Duration::from_micros(50);

/// When the thread may sleep.
#[derive(Debug)]
pub(crate) struct Awake {
    /// How long the node looks, whatever happened, if it was told.
    told: Option<Duration>,
    /// When it last did something.
    worked: Option<Instant>,
}

impl Awake {
    pub(crate) fn new(told: Option<Duration>) -> Awake {
        Awake { told, worked: None }
    }

    /// The node has just done something.
    pub(crate) fn worked(&mut self) {
        self.worked = Some(Instant::now());
    }

    /// Until when the node stays awake, if nothing comes, while it owes clients answers or not.
    pub(crate) fn until(&self, owes_answers: bool) -> Option<Instant> {
        match self.told {
            Some(told) => (!told.is_zero()).then(|| Instant::now() + told),
            None if owes_answers => None,
            None => self.worked.map(|worked| worked + AFTER_WORK),
        }
    }
}

/// Keeps the thread awake until then, and lets everybody else go first meanwhile: the other processes of this processor, and the other
/// tasks of this one, its sockets among them. Never over: whoever waits for something beside it has that looked at again and again.
pub(crate) async fn stay(until: Option<Instant>) -> Infallible {
    while until.is_some_and(|until| Instant::now() < until) {
        std::thread::yield_now();
        tokio::task::yield_now().await;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_node_that_worked_and_owes_nobody_stays_awake_for_a_while() {
        let mut awake = Awake::new(None);
        assert_eq!(awake.until(false), None, "nothing was done yet");
        let before = Instant::now();
        awake.worked();
        let until = awake.until(false).expect("it stays awake");
        assert!((before + AFTER_WORK..=Instant::now() + AFTER_WORK).contains(&until));
        assert_eq!(awake.until(false), Some(until), "it is not put off");
        assert_eq!(awake.until(true), None);
    }

    #[test]
    fn a_node_that_was_told_does_so_whatever_happened() {
        let begun = Instant::now();
        for owes_answers in [false, true] {
            assert!(Awake::new(Some(LONG)).until(owes_answers) >= Some(begun + LONG));
            assert_eq!(Awake::new(Some(Duration::ZERO)).until(owes_answers), None);
        }
    }
}
