//! A list that is walked once and then changes is, after each change, what the definition of a list makes of it item by item.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;
use wire::list::{self, List};
use wire::record::End;

/// The items by the definition: a length, as many bytes, and so on to the end. `None` if the bytes are no list.
fn defined(bytes: &[u8]) -> Option<VecDeque<Vec<u8>>> {
    let (mut items, mut rest) = (VecDeque::new(), bytes);
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let (item, behind) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        items.push_back(item.to_vec());
        rest = behind;
    }
    Some(items)
}

fn encoded<'a>(items: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in items {
        bytes.extend(u32::try_from(item.len()).expect("an item is short").to_be_bytes());
        bytes.extend(item);
    }
    bytes
}

fn item() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..5)
}

/// More items than are remembered, too.
fn valid() -> impl Strategy<Value = Vec<u8>> {
    let items = prop_oneof![vec(item(), 0..6), vec(item(), 120..270)];
    items.prop_map(|items| encoded(&items))
}

/// Lists, lists that are cut off, lists of which a byte is another, and whatever it may be.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let cut = (valid(), any::<prop::sample::Index>()).prop_map(|(mut bytes, place)| {
        bytes.truncate(place.index(bytes.len() + 1));
        bytes
    });
    let bad = (valid(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, place, byte)| {
        if !bytes.is_empty() {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes
    });
    // Such as are read as lengths of what may be there.
    let small = vec(prop_oneof![8 => Just(0), 1 => 0..4_u8, 1 => any::<u8>()], 0..60);
    prop_oneof![valid(), cut, bad, small, vec(any::<u8>(), 0..60)]
}

/// An item is pushed, or, where there is none, popped.
fn changes() -> impl Strategy<Value = Vec<(Option<Vec<u8>>, End)>> {
    let end = || prop_oneof![Just(End::Front), Just(End::Back)];
    let change = move || (prop::option::weighted(0.4, item()), end());
    prop_oneof![vec(change(), 0..20), vec(change(), 200..400)]
}

proptest! {
    #[test]
    fn a_list_that_changes_is_what_its_definition_says(bytes in bytes(), changes in changes()) {
        let bytes = Bytes::from(bytes);
        let expected = defined(&bytes);
        let items = list::items(&bytes).ok();
        prop_assert_eq!(&items, &expected.as_ref().map(|items| items.iter().cloned().map(Bytes::from).collect()));
        prop_assert_eq!(list::is_list(&bytes), expected.is_some() && !bytes.is_empty());
        let list = List::new(bytes);
        prop_assert_eq!(list.is_some(), expected.is_some());
        let (Some(mut list), Some(mut expected)) = (list, expected) else { return Ok(()) };
        for (pushed, end) in changes {
            match pushed {
                Some(item) => {
                    let length = list.bytes_with(&item);
                    list.push(&item, end);
                    prop_assert_eq!(list.bytes().len(), length);
                    match end {
                        End::Front => expected.push_front(item),
                        End::Back => expected.push_back(item),
                    }
                }
                None => {
                    let item = match end {
                        End::Front => expected.pop_front(),
                        End::Back => expected.pop_back(),
                    };
                    prop_assert_eq!(list.pop(end), item.map(Bytes::from));
                }
            }
            prop_assert_eq!(&list.bytes()[..], &encoded(&expected)[..]);
        }
    }
}
