//! What is asked.

use crate::bench::protocol::Question;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Op {
    /// They write.
    Put,
    /// They read; linearizable.
    Get,
    /// Each request is a write or a read, as likely.
    Mixed,
}

impl Op {
    /// All of them.
    pub(crate) const ALL: [Op; 3] = [Op::Put, Op::Get, Op::Mixed];

    /// Whether anything is read.
    pub(in crate::bench) fn reads(self) -> bool {
        match self {
            Op::Put => false,
            Op::Get | Op::Mixed => true,
        }
    }
}

impl Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Op::Put => "put",
            Op::Get => "get",
            Op::Mixed => "mixed",
        })
    }
}

/// A sequence of questions; the same for every system and in every round.
#[derive(Clone, Debug)]
pub(in crate::bench) struct Questions {
    kind: Kind,
    keys: u32,
    asked: u64,
    random: ChaCha8Rng,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Each key is written once.
    Fill,
    /// Each key is read once.
    Look,
    /// Keys are drawn, without an end.
    Draw(Op),
}

impl Questions {
    /// Writes each of `keys` keys once.
    pub(in crate::bench) fn fill(keys: u32) -> Questions {
        Questions::new(Kind::Fill, keys)
    }

    /// Reads each of `keys` keys once.
    pub(in crate::bench) fn look(keys: u32) -> Questions {
        Questions::new(Kind::Look, keys)
    }

    /// Draws from `keys` keys, all as likely. No stamp is one of [`Questions::fill`].
    pub(in crate::bench) fn draw(op: Op, keys: u32) -> Questions {
        Questions {
            asked: u64::from(keys),
            ..Questions::new(Kind::Draw(op), keys)
        }
    }

    fn new(kind: Kind, keys: u32) -> Questions {
        Questions {
            kind,
            keys,
            asked: 0,
            random: ChaCha8Rng::seed_from_u64(u64::from(keys)),
        }
    }

    /// How many questions there are in all, and what they have done to each key.
    ///
    /// # Panics
    /// They have no end.
    pub(super) fn whole(&self) -> (u64, &'static str) {
        match self.kind {
            Kind::Fill => (u64::from(self.keys), "written"),
            Kind::Look => (u64::from(self.keys), "read"),
            Kind::Draw(_) => panic!("what is drawn has no end"),
        }
    }

    /// The next question, if there is one.
    pub(super) fn next(&mut self) -> Option<Question> {
        let stamp = self.asked;
        self.asked += 1;
        match self.kind {
            Kind::Fill => {
                let key = u32::try_from(stamp).ok().filter(|key| *key < self.keys)?;
                Some(Question::Put { key, stamp })
            }
            Kind::Look => {
                let key = u32::try_from(stamp).ok().filter(|key| *key < self.keys)?;
                Some(Question::Get { key })
            }
            Kind::Draw(op) => {
                let key = self.random.random_range(0..self.keys);
                let writes = match op {
                    Op::Put => true,
                    Op::Get => false,
                    Op::Mixed => self.random.random(),
                };
                Some(if writes {
                    Question::Put { key, stamp }
                } else {
                    Question::Get { key }
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_filled_and_looked_at_once() {
        let mut questions = Questions::fill(3);
        let filled: Vec<Question> = std::iter::from_fn(|| questions.next()).collect();
        let expected = [0, 1, 2].map(|key| Question::Put {
            key,
            stamp: u64::from(key),
        });
        assert_eq!(filled, expected);
        let mut questions = Questions::look(3);
        let looked: Vec<Question> = std::iter::from_fn(|| questions.next()).collect();
        assert_eq!(looked, [0, 1, 2].map(|key| Question::Get { key }));
    }

    #[test]
    fn what_is_drawn_is_what_was_asked_for_from_all_keys() {
        for op in Op::ALL {
            let mut questions = Questions::draw(op, 10);
            let (mut written, mut read) = (vec![0; 10], vec![0; 10]);
            for _ in 0..1000 {
                match questions.next().unwrap() {
                    Question::Put { key, .. } => written[key as usize] += 1,
                    Question::Get { key } => read[key as usize] += 1,
                }
            }
            assert_eq!(written.iter().all(|count| *count > 0), op != Op::Get, "{op}");
            assert_eq!(read.iter().all(|count| *count > 0), op != Op::Put, "{op}");
            assert_eq!(written.iter().chain(&read).sum::<u32>(), 1000);
        }
    }
}
