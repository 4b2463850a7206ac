//! Texts that grow at the end, in constant time and space for each piece.
//!
//! A [`Text`] is a chain of pieces from the last to the first that shares its beginning with the texts it grew from. It carries its
//! length and a rolling hash (a polynomial modulo 2⁶¹ − 1), so that texts that differ are told apart at once. Equal hashes
//! prove nothing: then the bytes are compared, down to the first piece that both share. A collision costs time, never a verdict.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

const MODULUS: u64 = (1 << 61) - 1;
const BASE: u64 = 0x0a3b_19d5_62c7_f04f;
/// A [`Whole`] remembers the hash of every beginning whose length is a multiple of this.
const MARK_BYTES: usize = 8;
/// The powers of the base, from 1 on.
static POWERS: [u64; MARK_BYTES + 1] = {
    let mut powers = [1; MARK_BYTES + 1];
    let mut place = 0;
    while place < MARK_BYTES {
        powers[place + 1] = times(powers[place], BASE);
        place += 1;
    }
    powers
};

const fn times(one: u64, other: u64) -> u64 {
    folded(one as u128 * other as u128)
}

/// What is left of a number below 2¹²² modulo [`MODULUS`].
const fn folded(number: u128) -> u64 {
    let folded = (number as u64 & MODULUS) + (number >> 61) as u64;
    if folded >= MODULUS {
        folded - MODULUS
    } else {
        folded
    }
}

fn plus(one: u64, other: u64) -> u64 {
    let sum = one + other;
    if sum >= MODULUS { sum - MODULUS } else { sum }
}

/// The hash of a text that has `hash` followed by `bytes`.
fn hash_on(hash: u64, bytes: &[u8]) -> u64 {
    // Several bytes at once: one product waits for the one before, the others for nothing.
    let step = |hash, bytes: &[u8]| {
        let terms = bytes.iter().rev().zip(&POWERS);
        let sum: u128 = terms
            .map(|(byte, power)| (u128::from(*byte) + 1) * u128::from(*power))
            .sum();
        plus(times(hash, POWERS[bytes.len()]), folded(sum))
    };
    bytes.chunks(MARK_BYTES).fold(hash, step)
}

/// What is appended or put.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Piece {
    text: Arc<str>,
    hash: u64,
    /// The base to the power of its length.
    power: u64,
}

impl Piece {
    /// A piece of text.
    pub fn new(text: &str) -> Self {
        Piece {
            text: Arc::from(text),
            hash: hash_on(0, text.as_bytes()),
            power: text.bytes().fold(1, |power, _| times(power, BASE)),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A text that grew.
#[derive(Clone, Default)]
pub struct Text {
    len: usize,
    hash: u64,
    last: Option<Arc<Link>>,
}

/// A piece, and what is before it.
struct Link {
    before: Text,
    piece: Piece,
}

impl Drop for Link {
    /// One after the other: a chain may be longer than the stack is deep.
    fn drop(&mut self) {
        let mut next = self.before.last.take();
        while let Some(mut link) = next.and_then(Arc::into_inner) {
            next = link.before.last.take();
        }
    }
}

impl Text {
    /// The text with a piece more at its end.
    #[must_use]
    pub fn appended(&self, piece: &Piece) -> Text {
        if piece.text.is_empty() {
            return self.clone();
        }
        Text {
            len: self.len + piece.text.len(),
            hash: plus(times(self.hash, piece.power), piece.hash),
            last: Some(Arc::new(Link {
                before: self.clone(),
                piece: piece.clone(),
            })),
        }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it is a beginning of `whole`, by its hash: `false` is certain.
    pub(crate) fn may_begin(&self, whole: &Whole) -> bool {
        self.len <= whole.0.text.len() && whole.hash_up_to(self.len) == self.hash
    }

    /// Whether it is `whole`.
    pub fn is(&self, whole: &Whole) -> bool {
        if self.len != whole.0.text.len() || whole.hash_up_to(self.len) != self.hash {
            return false;
        }
        let mut rest = whole.0.text.as_bytes();
        self.pieces().all(|piece| {
            let ends = rest.strip_suffix(piece.as_bytes());
            rest = ends.unwrap_or_default();
            ends.is_some()
        })
    }

    /// The pieces, the last first.
    fn pieces(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(self.last.as_deref(), |link| link.before.last.as_deref())
            .map(|link| link.piece.as_str())
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        if (self.len, self.hash) != (other.len, other.hash) {
            return false;
        }
        let (mut one, mut two) = (self.last.as_ref(), other.last.as_ref());
        // What is not compared yet of the piece that each is at; pieces are never empty.
        let (mut left, mut right): (&[u8], &[u8]) = (&[], &[]);
        loop {
            if left.is_empty() && right.is_empty() {
                match (one, two) {
                    (Some(one), Some(two)) if !Arc::ptr_eq(one, two) => {}
                    (Some(_), Some(_)) | (None, None) => return true,
                    (Some(_), None) | (None, Some(_)) => return false,
                }
            }
            for (rest, link) in [(&mut left, &mut one), (&mut right, &mut two)] {
                if rest.is_empty() {
                    let Some(there) = *link else { return false };
                    (*rest, *link) = (there.piece.text.as_bytes(), there.before.last.as_ref());
                }
            }
            let common = left.len().min(right.len());
            let (left_rest, left_end) = left.split_at(left.len() - common);
            let (right_rest, right_end) = right.split_at(right.len() - common);
            if left_end != right_end {
                return false;
            }
            (left, right) = (left_rest, right_rest);
        }
    }
}

impl Eq for Text {}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.len, self.hash).hash(state);
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pieces: Vec<&str> = self.pieces().collect();
        pieces.reverse();
        pieces.iter().try_for_each(|piece| f.write_str(piece))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// A whole text, as it was read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whole(Arc<Marked>);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Marked {
    text: Box<str>,
    marks: Box<[u64]>,
}

impl Whole {
    /// A text as it was read.
    pub fn new(text: &str) -> Self {
        let mut hash = 0;
        let mut marks = Vec::with_capacity(text.len() / MARK_BYTES + 1);
        marks.push(hash);
        for bytes in text.as_bytes().chunks_exact(MARK_BYTES) {
            hash = hash_on(hash, bytes);
            marks.push(hash);
        }
        Whole(Arc::new(Marked {
            text: Box::from(text),
            marks: marks.into_boxed_slice(),
        }))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The hash of its first `len` bytes.
    fn hash_up_to(&self, len: usize) -> u64 {
        let mark = len / MARK_BYTES;
        hash_on(
            self.0.marks[mark],
            &self.0.text.as_bytes()[mark * MARK_BYTES..len],
        )
    }
}

impl Hash for Whole {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let len = self.0.text.len();
        (len, self.hash_up_to(len)).hash(state);
    }
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pieces: &[&str]) -> Text {
        let add = |text: Text, piece: &&str| text.appended(&Piece::new(piece));
        pieces.iter().fold(Text::default(), add)
    }

    #[test]
    fn what_a_text_was_made_of_does_not_matter() {
        assert_eq!(text(&["abc", "", "de"]), text(&["a", "bcd", "e"]));
        assert_eq!(text(&["abc", "de"]).to_string(), "abcde");
        assert_ne!(text(&["abc", "de"]), text(&["abc", "ed"]));
        assert_ne!(text(&["a"]), text(&["a", "a"]));
        assert_eq!(text(&[]), text(&[""]));
    }

    #[test]
    fn equal_hashes_prove_nothing() {
        let honest = text(&["abc", "de"]);
        for pieces in [&["abc", "dX"][..], &["X", "bcde"], &["Xbc", "de"]] {
            let forged = Text {
                hash: honest.hash,
                ..text(pieces)
            };
            assert_ne!(forged, honest);
            assert!(!forged.is(&Whole::new("abcde")), "{pieces:?}");
        }
        assert!(honest.is(&Whole::new("abcde")));
    }

    #[test]
    fn a_beginning_is_told_from_what_is_none() {
        let whole = Whole::new("x 1 0 yx 2 0 yx 1 1 yx 2 1 yx 3 0 y");
        let grown = text(&["x 1 0 y", "x 2 0 y", "x 1 1 y", "x 2 1 y"]);
        assert!(grown.may_begin(&whole) && text(&[]).may_begin(&whole));
        assert!(text(&[whole.as_str()]).may_begin(&whole) && text(&[whole.as_str()]).is(&whole));
        assert!(!text(&["x 1 0 y", "x 1 1 y"]).may_begin(&whole));
        assert!(!text(&[whole.as_str(), "z"]).may_begin(&whole));
        assert!(!grown.is(&whole));
    }

    #[test]
    fn a_long_chain_is_dropped_without_a_deep_stack() {
        let piece = Piece::new("x");
        let long = (0..1_000_000).fold(Text::default(), |text, _| text.appended(&piece));
        let shared = long.clone();
        drop(long);
        assert_eq!(shared.len(), 1_000_000);
    }
}
