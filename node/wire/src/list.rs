//! Lists: values that are made of items.
//!
//! ```text
//!  0          4
//! ┌──────────┬────────┬──────────┬────────┬─ ─
//! │ length   │ item   │ length   │ item   │       lengths are big-endian; an empty list is no value at all
//! └──────────┴────────┴──────────┴────────┴─ ─
//! ```
//!
//! A value is a list if its bytes are one, as it is a number if they are digits; nothing else tells. No text is: the length of an item begins
//! with a zero byte, since no value has 16 MiB. Other bytes that begin with zeros may happen to be one.

use crate::payload::DecodeError;
use crate::record::End;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;

const LENGTH_BYTES: usize = 4;

/// Of how many of its last items a [`List`] knows where they begin.
const KNOWN_MAX: usize = crate::limits::OPERATIONS_MAX;

/// How many bytes the first item of a list takes, its length among them; `None` if there is none, or the bytes are no list.
fn first_bytes(list: &[u8]) -> Option<usize> {
    let (length, _) = list.split_first_chunk::<LENGTH_BYTES>()?;
    let bytes = usize::try_from(u32::from_be_bytes(*length))
        .ok()?
        .checked_add(LENGTH_BYTES)?;
    (bytes <= list.len()).then_some(bytes)
}

/// Whether a value of these bytes is a list; an empty value is none.
pub fn is_list(value: &[u8]) -> bool {
    let mut rest = value;
    while let Some(bytes) = first_bytes(rest) {
        rest = &rest[bytes..];
    }
    rest.is_empty() && !value.is_empty()
}

/// The items of a list, first to last.
///
/// # Errors
/// The bytes are no list.
pub fn items(list: &Bytes) -> Result<Vec<Bytes>, DecodeError> {
    let (mut items, mut start) = (Vec::new(), 0);
    while start < list.len() {
        let bytes = first_bytes(&list[start..]).ok_or(DecodeError::Malformed)?;
        items.push(list.slice(start + LENGTH_BYTES..start + bytes));
        start += bytes;
    }
    Ok(items)
}

/// A list that changes. Its bytes are walked once, and not again for each item that comes or goes: the last items can't be found from the
/// end of the bytes, so it is remembered how many bytes they take.
#[derive(Clone, Debug)]
pub struct List {
    bytes: Bytes,
    /// How many items there are.
    items: usize,
    /// How many bytes each of the last items takes, its length among them: of all items, or of some. At most [`KNOWN_MAX`].
    last: VecDeque<usize>,
}

impl List {
    /// The list that these bytes are; `None` if they are none.
    pub fn new(bytes: Bytes) -> Option<List> {
        let mut ring = [0; KNOWN_MAX];
        let (mut items, mut start) = (0, 0);
        while start < bytes.len() {
            let item = first_bytes(&bytes[start..])?;
            ring[items % KNOWN_MAX] = item;
            items += 1;
            start += item;
        }
        let known = items.saturating_sub(KNOWN_MAX)..items;
        let last = known.map(|place| ring[place % KNOWN_MAX]).collect();
        Some(List { bytes, items, last })
    }

    /// Its bytes. Where items were taken, they are a part of those that it was made of, and keep the memory of all.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many bytes it will have with one more item.
    pub fn bytes_with(&self, item: &[u8]) -> usize {
        self.bytes.len() + LENGTH_BYTES + item.len()
    }

    /// Adds an item, for which all bytes are copied.
    ///
    /// # Panics
    /// The item is longer than any value may be.
    pub fn push(&mut self, item: &[u8], end: End) {
        let length = u32::try_from(item.len()).expect("no item is longer than a value");
        let mut bytes = Vec::with_capacity(self.bytes_with(item));
        if end == End::Back {
            bytes.extend_from_slice(&self.bytes);
        }
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(item);
        if end == End::Front {
            bytes.extend_from_slice(&self.bytes);
        }
        self.bytes = Bytes::from(bytes);
        let item_bytes = LENGTH_BYTES + item.len();
        match end {
            End::Front if self.last.len() == self.items => self.last.push_front(item_bytes),
            End::Front => {}
            End::Back => self.last.push_back(item_bytes),
        }
        self.items += 1;
        if self.last.len() > KNOWN_MAX {
            self.last.pop_front();
        }
    }

    /// Takes an item; `None` if there is none. The item keeps the memory of the bytes that it was a part of.
    pub fn pop(&mut self, end: End) -> Option<Bytes> {
        let item = match end {
            End::Front => {
                let item_bytes = first_bytes(&self.bytes)?;
                if self.last.len() == self.items {
                    self.last.pop_front();
                }
                self.bytes.split_to(item_bytes)
            }
            End::Back => {
                if self.last.is_empty() {
                    // More were taken than were known of.
                    *self = List::new(self.bytes.clone())?;
                }
                let item_bytes = self.last.pop_back()?;
                self.bytes.split_off(self.bytes.len() - item_bytes)
            }
        };
        self.items -= 1;
        Some(item.slice(LENGTH_BYTES..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(items: &[&[u8]]) -> List {
        let mut list = List::new(Bytes::new()).unwrap();
        for item in items {
            list.push(item, End::Back);
        }
        list
    }

    #[test]
    fn a_list_is_its_items_one_behind_the_other() {
        let (one, none, three) = (&b"one"[..], &b""[..], &b"three"[..]);
        let mut list = of(&[none, three]);
        list.push(one, End::Front);
        assert_eq!(&list.bytes()[..], b"\0\0\0\x03one\0\0\0\0\0\0\0\x05three");
        assert_eq!(items(list.bytes()).unwrap(), [one, none, three]);
        let mut list = List::new(list.bytes().clone()).unwrap();
        assert_eq!(list.pop(End::Front).unwrap(), one);
        assert_eq!(items(list.bytes()).unwrap(), [none, three]);
        assert_eq!(list.pop(End::Back).unwrap(), three);
        assert_eq!(items(list.bytes()).unwrap(), [none]);
        assert_eq!(list.pop(End::Back).unwrap(), none);
        assert_eq!((list.pop(End::Back), list.pop(End::Front)), (None, None));
        assert!(list.bytes().is_empty());
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_no_list() {
        let bytes = of(&[b"one"]).bytes().clone();
        for length in 1..bytes.len() {
            let cut = bytes.slice(..length);
            assert!(items(&cut).is_err() && List::new(cut).is_none(), "{length}");
        }
        assert!(List::new(bytes).is_some() && List::new(Bytes::new()).is_some());
        assert!(List::new(Bytes::from_static(&[255; 9])).is_none());
    }

    #[test]
    fn texts_and_empty_values_are_no_lists() {
        for value in ["", "0", "text", "\n\n\n\n", "12345678"] {
            assert!(!is_list(value.as_bytes()), "{value:?}");
        }
        assert!(is_list(of(&[b"one", b""]).bytes()));
    }

    #[test]
    fn more_items_are_taken_from_the_back_than_were_known_of() {
        let numbers: Vec<[u8; 4]> = (0..3 * KNOWN_MAX as u32).map(u32::to_be_bytes).collect();
        let all: Vec<&[u8]> = numbers.iter().map(|number| &number[..]).collect();
        let mut list = List::new(of(&all).bytes().clone()).unwrap();
        for item in all.iter().rev() {
            assert!(list.last.len() <= KNOWN_MAX);
            assert_eq!(list.pop(End::Back).unwrap(), item);
        }
        assert_eq!(list.pop(End::Back), None);
    }
}
