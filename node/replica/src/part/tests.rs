extern crate std;

use super::*;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::{format, vec::Vec};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cell::Cell;

std::thread_local! {
    static COMPARED: Cell<usize> = const { Cell::new(0) };
    static MOVED: Cell<usize> = const { Cell::new(0) };
}

/// Two keys were compared.
pub(super) fn compared() {
    COMPARED.set(COMPARED.get() + 1);
}

/// As many pairs or children were moved.
pub(super) fn moved(items: usize) {
    MOVED.set(MOVED.get() + items);
}

/// How many keys were compared, and how much was moved, while `action` was done.
fn work(action: impl FnOnce()) -> (usize, usize) {
    let before = (COMPARED.get(), MOVED.get());
    action();
    (COMPARED.get() - before.0, MOVED.get() - before.1)
}

/// All pairs of a part, after a look at whether it is built as it says.
fn pairs_of(part: &Part) -> Vec<(u64, Bytes)> {
    let mut pairs = Vec::new();
    let mut depths = Vec::new();
    check(part, true, 0, &mut depths, &mut pairs);
    assert!(depths.iter().all(|depth| *depth == depths[0]), "{depths:?}");
    assert!(pairs.is_sorted(), "they are in order");
    let listed = part.pairs_behind(None).map(|(key, _)| key);
    assert!(pairs.iter().map(|(_, key)| key).eq(listed), "all are listed");
    pairs
}

fn check(part: &Part, uppermost: bool, depth: usize, depths: &mut Vec<usize>, pairs: &mut Vec<(u64, Bytes)>) {
    assert!(uppermost || !part.is_too_little());
    assert!(!part.is_too_much());
    match part {
        Part::Leaf(leaf) => {
            assert!(leaf.capacity() <= 2 * PAIRS_MAX, "{}", leaf.capacity());
            pairs.extend(leaf.iter().map(|pair| (pair.key.hash, pair.key.key.clone())));
            depths.push(depth);
        }
        Part::Branch(children) => {
            assert!(children.len() >= 2);
            for (place, child) in children.iter().enumerate() {
                let bound = (child.from.hash, child.from.key.clone());
                assert!(place == 0 || pairs.last().is_some_and(|last| *last < bound));
                let begins = pairs.len();
                check(&child.part, false, depth + 1, depths, pairs);
                assert!(place == 0 || pairs[begins] >= bound);
            }
        }
    }
}

fn key(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

fn put(part: &mut Part, hash: u64, number: u32) {
    assert_eq!(part.put(hash, &key(number), (b"value", u64::from(number))), None);
}

/// What a write may cost in a part with 100,000 pairs, whatever their keys are: keys that are compared, in nodes of three levels, and what
/// is moved in three nodes, if each of them is split or joined.
const COMPARED_MAX: usize = 24;
const MOVED_MAX: usize = 2 * PAIRS_MAX + 4 * CHILDREN_MAX;

/// In a list of as many pairs, each new one would move half of those that are there.
#[test]
fn a_hundred_thousand_chosen_keys_in_one_part_cost_no_more_than_a_few_nodes_each() {
    const KEYS: u32 = 100_000;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut shuffled: Vec<u32> = (0..KEYS).collect();
    shuffled.shuffle(&mut random);
    let orders = [
        ("ascending", (0..KEYS).collect::<Vec<u32>>()),
        ("descending", (0..KEYS).rev().collect()),
        ("shuffled", shuffled),
    ];
    // With one hash, as if the hash were no secret at all; and with many.
    for one_hash in [true, false] {
        for (name, numbers) in &orders {
            let hash = |number: u32| if one_hash { 7 } else { u64::from(number / 3) };
            let mut part = Part::default();
            let (mut most, mut all) = ((0, 0), 0);
            let mut count = |(compared, moved): (usize, usize)| {
                most = (most.0.max(compared), most.1.max(moved));
                all += moved;
            };
            for number in numbers {
                count(work(|| put(&mut part, hash(*number), *number)));
            }
            assert_eq!(pairs_of(&part).len(), numbers.len());
            for number in numbers.iter().step_by(7) {
                count(work(|| {
                    let found = part.put(hash(*number), &key(*number), (b"other", 1));
                    assert_eq!(found, Some((5, u64::from(*number))));
                }));
                count(work(|| {
                    assert_eq!(part.get(hash(*number), &key(*number)).unwrap(), "other");
                }));
            }
            for number in numbers {
                count(work(|| {
                    assert!(part.remove(hash(*number), &key(*number)).is_some());
                }));
            }
            assert!(part.is_empty());
            assert!(
                most.0 <= COMPARED_MAX && most.1 <= MOVED_MAX,
                "{name}: {} keys were compared for one write, and {} pairs moved",
                most.0,
                most.1
            );
            assert!(all / numbers.len() <= PAIRS_MAX, "{name}: {all} pairs were moved");
        }
    }
}

#[test]
fn an_image_of_a_crowded_part_shares_all_but_the_way_to_what_is_written() {
    let mut part = Part::default();
    for number in 0..100_000 {
        put(&mut part, 7, 2 * number);
    }
    let image = part.clone();
    let shared_before = nodes(&image);
    assert_eq!(shared_before, nodes(&part));
    put(&mut part, 7, 50_001);
    let before: Vec<_> = shared_before
        .iter()
        .filter(|node| !nodes(&part).contains(node))
        .collect();
    assert!(
        (1..=3).contains(&before.len()),
        "{} nodes were copied",
        before.len()
    );
    assert!(image.get(7, &key(50_001)).is_none());
    assert_eq!(pairs_of(&image).len(), 100_000);
}

/// Where the nodes below the uppermost lie in memory.
fn nodes(part: &Part) -> Vec<usize> {
    match part {
        Part::Leaf(_) => Vec::new(),
        Part::Branch(children) => {
            let below = children.iter().flat_map(|child| nodes(&child.part));
            let own = children.iter().map(|child| Arc::as_ptr(&child.part) as usize);
            own.chain(below).collect()
        }
    }
}

/// For how many pairs there is room.
fn room(part: &Part) -> usize {
    match part {
        Part::Leaf(leaf) => leaf.capacity(),
        Part::Branch(children) => children.iter().map(|child| room(&child.part)).sum(),
    }
}

#[test]
fn pairs_that_come_in_their_order_take_no_more_room_than_they_need() {
    let mut part = Part::default();
    for number in 0..10_000 {
        put(&mut part, 7, number);
    }
    assert!(room(&part) <= 10_000 + PAIRS_MAX, "{}", room(&part));
}

/// Against a map of the standard library, in every mixture of growing and shrinking, with few hashes and with many.
#[test]
fn a_part_is_a_sorted_map() {
    for seed in 0..12 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let hashes = [1, 5, 1_000_000][random.random_range(0..3_usize)];
        let (mut part, mut map) = (Part::default(), BTreeMap::<(u64, String), String>::new());
        for round in 0..6 {
            let grows = [0.9, 0.3, 0.6][round % 3];
            for _ in 0..4_000 {
                let number = random.random_range(0..20_000_u64);
                let (hash, key) = (number % hashes, number.to_string());
                if random.random_bool(grows) {
                    let value = format!("{round}");
                    let before = part.put(hash, key.as_bytes(), (value.as_bytes(), 9));
                    let expected = map.insert((hash, key), value);
                    assert_eq!(before, expected.map(|value| (value.len(), 9)));
                } else {
                    let before = part.remove(hash, key.as_bytes());
                    let expected = map.remove(&(hash, key));
                    assert_eq!(before, expected.map(|value| (value.len(), 9)));
                }
            }
            let (hash, behind) = (
                random.random_range(0..hashes),
                random.random_range(0..20_000_u64).to_string(),
            );
            let listed = part.pairs_behind(Some((hash, behind.as_bytes())));
            let expected = map.range((
                core::ops::Bound::Excluded((hash, behind.clone())),
                core::ops::Bound::Unbounded,
            ));
            assert!(
                listed.eq(expected
                    .map(|((_, key), value)| (Bytes::from(key.clone()), Bytes::from(value.clone())))
                    .collect::<Vec<_>>()
                    .iter()
                    .map(|(key, value)| (key, value))),
                "seed {seed}"
            );
            let all: Vec<(u64, Bytes)> = map
                .keys()
                .map(|(hash, key)| (*hash, Bytes::from(key.clone())))
                .collect();
            assert_eq!(pairs_of(&part), all, "seed {seed}");
            for ((hash, key), value) in map.iter().step_by(5) {
                assert_eq!(part.get(*hash, key.as_bytes()).unwrap(), value);
            }
        }
    }
}

#[test]
fn parts_with_the_same_pairs_are_equal_however_they_came_to_them() {
    let (mut one, mut other) = (Part::default(), Part::default());
    for number in 0..2_000 {
        put(&mut one, 7, number);
        put(&mut other, 7, 1_999 - number);
    }
    for number in 2_000..9_000 {
        put(&mut one, 7, number);
    }
    assert_ne!(one, other);
    for number in 2_000..9_000 {
        one.remove(7, &key(number));
    }
    assert_eq!(one, other);
}

#[test]
fn keys_with_one_hash_hold_what_is_theirs() {
    let mut part = Part::default();
    let values = [
        (7, "b", "1"),
        (9, "a", "3"),
        (7, "a", "2"),
        (7, "c", "4"),
        (3, "z", "0"),
    ];
    for (hash, key, value) in values {
        assert_eq!(part.put(hash, key.as_bytes(), (value.as_bytes(), 1)), None);
    }
    let shown = |part: &Part, behind| -> Vec<(Bytes, Bytes)> {
        let pairs = part.pairs_behind(behind);
        pairs.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let expected = [("z", "0"), ("a", "2"), ("b", "1"), ("c", "4"), ("a", "3")]
        .map(|(key, value)| (key.into(), value.into()));
    assert_eq!(shown(&part, None), expected);
    assert_eq!(shown(&part, Some((7, b"a"))), expected[2..]);
    assert_eq!(
        shown(&part, Some((7, b"aa"))),
        expected[2..],
        "also of one that is gone"
    );
    assert_eq!(part.put(7, b"a", (b"long", 5)), Some((1, 1)));
    assert_eq!(part.get(7, b"a").unwrap(), "long");
    assert_eq!(part.get(9, b"b"), None);
    assert_eq!(part.remove(7, b"d"), None);
    assert_eq!(part.remove(7, b"a"), Some((4, 5)));
    assert_eq!(shown(&part, None), [&expected[..1], &expected[2..]].concat());
}

#[test]
fn a_value_that_somebody_reads_stays_what_it_was() {
    let mut part = Part::default();
    part.put(1, b"k", (b"old", 1));
    let (read, copy) = (part.get(1, b"k").unwrap().clone(), part.clone());
    part.put(1, b"k", (b"new", 2));
    assert_eq!(read, "old");
    assert_eq!(copy.get(1, b"k").unwrap(), "old");
    assert_eq!(part.get(1, b"k").unwrap(), "new");
}
