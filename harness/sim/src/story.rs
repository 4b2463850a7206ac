//! What happened: always as a hash, and as words where they are asked for.

use std::collections::VecDeque;

/// How many events the story of a failure goes back.
const LINES_MAX: usize = 80;

/// What of a run is told in words; that costs far more than the run itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    Nothing,
    /// The last events.
    Last,
    Everything,
}

/// Follows a run.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    hash: u64,
    telling: Telling,
    lines: VecDeque<String>,
}

impl Story {
    pub(crate) fn new(telling: Telling) -> Story {
        Story {
            hash: 0xcbf2_9ce4_8422_2325,
            telling,
            lines: VecDeque::new(),
        }
    }

    /// Something happened: in numbers, and in words.
    pub(crate) fn note(&mut self, now: u64, numbers: &[u64], words: impl FnOnce() -> String) {
        self.mix(now);
        for number in numbers {
            self.mix(*number);
        }
        self.tell(now, words);
    }

    /// Words only, for what follows from what was noted.
    pub(crate) fn tell(&mut self, now: u64, words: impl FnOnce() -> String) {
        match self.telling {
            Telling::Nothing => return,
            Telling::Last if self.lines.len() == LINES_MAX => {
                self.lines.pop_front();
            }
            Telling::Last | Telling::Everything => {}
        }
        let line = format!("{}.{:06}  {}", now / 1_000_000, now % 1_000_000, words());
        self.lines.push_back(line);
    }

    fn mix(&mut self, number: u64) {
        // A multiplication spreads each bit upwards, the rotation brings it down again.
        self.hash = (self.hash ^ number)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        Vec::from(self.lines)
    }
}
