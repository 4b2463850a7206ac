//! What happened: always as a hash, and as words where they are asked for.

use std::collections::VecDeque;

/// How many events a story goes back.
const LINES_MAX: usize = 80;

/// Follows a run.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    hash: u64,
    lines: Option<VecDeque<String>>,
}

impl Story {
    /// A story that is told in words only if it is to be `told`: that costs far more than the run itself.
    pub(crate) fn new(told: bool) -> Story {
        Story {
            hash: 0xcbf2_9ce4_8422_2325,
            lines: told.then(VecDeque::new),
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
        if let Some(lines) = &mut self.lines {
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(format!("{}.{:06}  {}", now / 1_000_000, now % 1_000_000, words()));
        }
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
        self.lines.map(Vec::from).unwrap_or_default()
    }
}
