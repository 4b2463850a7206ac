//! A table that only grows, shared by the threads of a search and read without locks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Places in a chunk.
const CHUNK: usize = 1 << 12;
/// Chunks in a table.
const CHUNKS: usize = 1 << 11;

type Chunk<T> = OnceLock<Box<[OnceLock<T>]>>;

/// Values by number, in the order in which they were added.
pub(super) struct Table<T> {
    chunks: Box<[Chunk<T>]>,
    next: AtomicU32,
}

impl<T> Table<T> {
    /// How many values a table takes.
    pub(super) const LEN_MAX: u32 = (CHUNK * CHUNKS) as u32;

    pub(super) fn new() -> Table<T> {
        Table {
            chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
            next: AtomicU32::new(0),
        }
    }

    /// Adds a value; returns its number.
    ///
    /// # Panics
    /// The table is full.
    pub(super) fn push(&self, value: T) -> u32 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        assert!(
            number < Self::LEN_MAX,
            "a world has more than {} different parts of a kind",
            Self::LEN_MAX
        );
        let (chunk, place) = split(number);
        let chunk = self.chunks[chunk].get_or_init(|| (0..CHUNK).map(|_| OnceLock::new()).collect());
        let fresh = chunk[place].set(value);
        assert!(fresh.is_ok(), "number {number} was given away twice");
        number
    }

    /// The value with this number.
    ///
    /// # Panics
    /// There is none.
    pub(super) fn get(&self, number: u32) -> &T {
        let (chunk, place) = split(number);
        let value = self.chunks[chunk].get().and_then(|chunk| chunk[place].get());
        value.expect("a number that was given away has a value")
    }
}

fn split(number: u32) -> (usize, usize) {
    let number = number as usize;
    (number / CHUNK, number % CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_numbers_across_chunks() {
        let table = Table::new();
        for value in 0..2 * CHUNK + 1 {
            assert_eq!(table.push(value) as usize, value);
        }
        for value in [0, CHUNK - 1, CHUNK, 2 * CHUNK] {
            assert_eq!(*table.get(u32::try_from(value).expect("it is small")), value);
        }
    }
}
