//! Lists: values that are made of items.
//!
//! ```text
//!  0          4
//! ┌──────────┬────────┬──────────┬────────┬─ ─
//! │ length   │ item   │ length   │ item   │       lengths are big-endian; an empty list is no value at all
//! └──────────┴────────┴──────────┴────────┴─ ─
//! ```

use crate::payload::DecodeError;
use alloc::vec::Vec;
use bytes::Bytes;

const LENGTH_BYTES: usize = 4;

/// The bytes of a list of one item.
///
/// # Panics
/// The item is longer than any value may be.
pub fn of_one(item: &[u8]) -> Vec<u8> {
    let length = u32::try_from(item.len()).expect("no item is longer than a value");
    let mut bytes = Vec::with_capacity(LENGTH_BYTES + item.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(item);
    bytes
}

/// The items of a list, first to last.
///
/// # Errors
/// The bytes are no list.
pub fn items(list: &Bytes) -> Result<Vec<Bytes>, DecodeError> {
    let mut items = Vec::new();
    let mut rest = list.clone();
    while !rest.is_empty() {
        let (item, behind) = split_first(&rest).ok_or(DecodeError::Malformed)?;
        items.push(item);
        rest = behind;
    }
    Ok(items)
}

/// The first item of a list, and the list of the others; `None` if there is none, or the bytes are no list.
pub fn split_first(list: &Bytes) -> Option<(Bytes, Bytes)> {
    let (length, _) = list.split_first_chunk::<LENGTH_BYTES>()?;
    let end = usize::try_from(u32::from_be_bytes(*length))
        .ok()?
        .checked_add(LENGTH_BYTES)?;
    (end <= list.len()).then(|| (list.slice(LENGTH_BYTES..end), list.slice(end..)))
}

/// The last item of a list, and the list of the others; `None` if there is none, or the bytes are no list.
pub fn split_last(list: &Bytes) -> Option<(Bytes, Bytes)> {
    let mut start = 0;
    loop {
        let (item, rest) = split_first(&list.slice(start..))?;
        if rest.is_empty() {
            return Some((item, list.slice(..start)));
        }
        start = list.len() - rest.len();
    }
}

/// Whether the bytes are a list.
pub fn is_list(bytes: &Bytes) -> bool {
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        match split_first(&rest) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_its_items_one_behind_the_other() {
        let mut bytes = of_one(b"one");
        bytes.extend(of_one(b""));
        bytes.extend(of_one(b"three"));
        let list = Bytes::from(bytes);
        let (one, none, three) = (&b"one"[..], &b""[..], &b"three"[..]);
        assert_eq!(items(&list).unwrap(), [one, none, three]);
        let (first, rest) = split_first(&list).unwrap();
        assert_eq!(
            (&first[..], items(&rest).unwrap()),
            (one, [none, three].map(Bytes::from_static).to_vec())
        );
        let (last, rest) = split_last(&list).unwrap();
        assert_eq!(
            (&last[..], items(&rest).unwrap()),
            (three, [one, none].map(Bytes::from_static).to_vec())
        );
        assert_eq!(
            split_last(&rest.slice(..7)),
            Some((Bytes::from_static(one), Bytes::new()))
        );
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_no_list() {
        let list = Bytes::from(of_one(b"one"));
        for length in 1..list.len() {
            let cut = list.slice(..length);
            assert!(
                !is_list(&cut) && items(&cut).is_err() && split_last(&cut).is_none(),
                "{length}"
            );
        }
        assert!(is_list(&list) && is_list(&Bytes::new()));
        assert_eq!(split_first(&Bytes::new()), None);
        assert!(!is_list(&Bytes::from_static(&[255; 9])));
    }
}
