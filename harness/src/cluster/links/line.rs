//! What is on its way over a link that is slow: pure.
//!
//! Bytes leave one after another, at the link's rate, and then take their time. Like a stream they arrive in the order in which they
//! came, so one that would be faster than another before it waits for that. Many may be on their way at once: a delay alone costs no
//! throughput.

use bytes::{Buf as _, Bytes};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// How much may be on its way; whoever sends more waits.
pub(super) const LINE_BYTES_MAX: usize = 4 << 20;
/// The same of a link that is not slow: it adds little to what the system keeps for a far end that takes nothing.
const SWIFT_BYTES_MAX: usize = 64 << 10;
/// For how long a link may be busy with what it has taken in, at its rate; whoever sends more waits.
const BUSY_MAX: Duration = Duration::from_millis(200);
/// At a rate, bytes leave together that take so long. Smaller ones would only take more work.
const TOGETHER: Duration = Duration::from_millis(5);

/// How slowly a link carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// How long everything is on its way at least, in milliseconds.
    pub delay_ms: u32,
    /// By how much longer it may take, in milliseconds: each piece by a random part of this.
    pub jitter_ms: u32,
    /// How many bytes leave in a second; `None` for as many as come.
    pub bytes_per_second: Option<NonZeroU32>,
}

/// What is on its way.
pub(super) struct Line {
    /// Each piece, and when it arrives: never before one that came before it.
    pieces: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    /// When all that was taken in has left.
    leaves: Option<Instant>,
    random: ChaCha8Rng,
}

impl Line {
    /// An empty one, whose jitter this seed decides.
    pub(super) fn new(seed: u64) -> Line {
        Line {
            pieces: VecDeque::new(),
            bytes: 0,
            leaves: None,
            random: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// How many bytes it takes in now.
    pub(super) fn room(&self, pace: Option<Pace>, now: Instant) -> usize {
        let most = if pace.is_some() {
            LINE_BYTES_MAX
        } else {
            SWIFT_BYTES_MAX
        };
        let free = most.saturating_sub(self.bytes);
        let Some(rate) = pace.and_then(|pace| pace.bytes_per_second) else {
            return free;
        };
        let is_busy = self.leaves.is_some_and(|leaves| leaves > now + BUSY_MAX);
        if is_busy && !self.pieces.is_empty() {
            return 0;
        }
        free.min(together(rate))
    }

    /// Takes in what came now.
    pub(super) fn take_in(&mut self, mut piece: Bytes, pace: Option<Pace>, now: Instant) {
        self.bytes += piece.len();
        let Some(pace) = pace else {
            return self.push(now, piece);
        };
        let delay = Duration::from_millis(pace.delay_ms.into());
        let jitter = Duration::from_millis(pace.jitter_ms.into()).mul_f64(self.random.random());
        let Some(rate) = pace.bytes_per_second else {
            return self.push(now + delay + jitter, piece);
        };
        while !piece.is_empty() {
            let part = piece.split_to(together(rate).min(piece.len()));
            let takes = Duration::from_secs_f64(part.len() as f64 / f64::from(rate.get()));
            let leaves = self.leaves.map_or(now, |leaves| leaves.max(now)) + takes;
            self.leaves = Some(leaves);
            self.push(leaves + delay + jitter, part);
        }
    }

    fn push(&mut self, due: Instant, piece: Bytes) {
        let due = self.pieces.back().map_or(due, |(before, _)| due.max(*before));
        self.pieces.push_back((due, piece));
    }

    /// When the first piece arrives; `None` if nothing is on its way.
    pub(super) fn due(&self) -> Option<Instant> {
        self.pieces.front().map(|(due, _)| *due)
    }

    /// The first piece, or what is left of it.
    pub(super) fn first(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |(_, piece)| piece)
    }

    /// So many bytes of the first piece have arrived.
    pub(super) fn arrived(&mut self, bytes: usize) {
        let Some((_, piece)) = self.pieces.front_mut() else {
            return;
        };
        piece.advance(bytes);
        self.bytes -= bytes;
        if piece.is_empty() {
            self.pieces.pop_front();
        }
    }

    /// The link is slow no longer: all that is on its way arrives.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.leaves = None;
        // None is due later than the last one.
        if self.pieces.back().is_some_and(|(due, _)| *due > now) {
            for (due, _) in &mut self.pieces {
                *due = now.min(*due);
            }
        }
    }
}

/// How many bytes leave together.
fn together(rate: NonZeroU32) -> usize {
    let bytes = f64::from(rate.get()) * TOGETHER.as_secs_f64();
    (bytes as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(delay_ms: u32, jitter_ms: u32, rate: u32) -> Option<Pace> {
        Some(Pace {
            delay_ms,
            jitter_ms,
            bytes_per_second: NonZeroU32::new(rate),
        })
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// When each piece of a line arrives, since `begun`.
    fn arrivals(line: &Line, begun: Instant) -> Vec<Duration> {
        line.pieces.iter().map(|(due, _)| *due - begun).collect()
    }

    #[test]
    fn a_delay_holds_nothing_back_that_comes_meanwhile() {
        let (mut line, begun) = (Line::new(1), Instant::now());
        let pace = pace(100, 0, 0);
        for millis in [0, 10, 20] {
            line.take_in(Bytes::from_static(b"abc"), pace, begun + ms(millis));
        }
        assert_eq!(arrivals(&line, begun), [ms(100), ms(110), ms(120)]);
        assert_eq!(line.room(pace, begun), LINE_BYTES_MAX - 9);
    }

    #[test]
    fn nothing_overtakes_however_jitter_falls() {
        let (mut line, begun) = (Line::new(1), Instant::now());
        for millis in 0..1000 {
            line.take_in(Bytes::from_static(b"a"), pace(5, 50, 0), begun + ms(millis));
        }
        let arrivals = arrivals(&line, begun);
        assert!(arrivals.is_sorted());
        let late = |(millis, arrives): (u64, &Duration)| *arrives - ms(millis);
        let late: Vec<Duration> = (0..).zip(&arrivals).map(late).collect();
        assert!(
            late.iter().all(|late| (ms(5)..=ms(55)).contains(late)),
            "{late:?}"
        );
        assert!(late.iter().max() > Some(&ms(45)), "{late:?}");
    }

    #[test]
    fn bytes_leave_one_after_another_at_the_rate() {
        let (mut line, begun) = (Line::new(1), Instant::now());
        let pace = pace(10, 0, 1000);
        line.take_in(Bytes::from_static(&[0; 15]), pace, begun);
        line.take_in(Bytes::from_static(&[0; 4]), pace, begun);
        // Many that come at once don't arrive at once.
        assert_eq!(arrivals(&line, begun), [ms(15), ms(20), ms(25), ms(29)]);
        // An idle link saves nothing up.
        line.take_in(Bytes::from_static(&[0; 5]), pace, begun + ms(1000));
        assert_eq!(arrivals(&line, begun)[4], ms(1015));
    }

    #[test]
    fn a_link_that_is_busy_for_long_takes_nothing_in_until_it_is_less_so() {
        let (mut line, begun) = (Line::new(1), Instant::now());
        let pace = pace(0, 0, 1000);
        let mut taken = 0;
        while let room @ 1.. = line.room(pace, begun) {
            assert!(room <= 5, "{room} bytes leave together");
            line.take_in(Bytes::from(vec![0; room]), pace, begun);
            taken += room;
        }
        assert!((200..=210).contains(&taken), "{taken} bytes are taken in at once");
        assert!(line.room(pace, begun + ms(50)) > 0);
    }

    #[test]
    fn no_more_is_on_its_way_than_there_is_room_for() {
        let (mut line, begun) = (Line::new(1), Instant::now());
        let slow = pace(100, 0, 0);
        assert_eq!(line.room(None, begun), SWIFT_BYTES_MAX);
        line.take_in(Bytes::from(vec![0; LINE_BYTES_MAX]), slow, begun);
        assert_eq!((line.room(slow, begun), line.room(None, begun)), (0, 0));
        line.arrived(7);
        assert_eq!((line.room(slow, begun), line.room(None, begun)), (7, 0));
    }

    #[test]
    fn what_is_on_its_way_arrives_when_the_link_is_slow_no_longer() {
        let (mut line, begun) = (Line::new(1), Instant::now());
        line.take_in(Bytes::from_static(b"abc"), pace(1000, 0, 0), begun);
        line.take_in(Bytes::from_static(b"de"), pace(1000, 0, 0), begun);
        line.hurry(begun + ms(1));
        assert_eq!(arrivals(&line, begun), [ms(1), ms(1)]);
        line.arrived(1);
        assert_eq!(line.first(), b"bc");
        line.arrived(2);
        assert_eq!(line.first(), b"de");
        line.arrived(2);
        assert_eq!((line.first(), line.due()), (&b""[..], None));
    }
}
