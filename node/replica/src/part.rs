//! A part of the map: some pairs, in the order of the hashes of their keys.
//!
//! A search goes by the hashes, which lie in one place, and looks at the bytes of a key only where its hash is the one that is looked for:
//! every key and every value has a place of its own, which the processor has to fetch. Keys with one hash are rare, but whoever chooses
//! keys can find some: among them, the order is that of the keys.
//!
//! # A crowded part
//!
//! Which part a key belongs to is no secret either, so whoever chooses keys can put as many as they like into one. In a list, each would have
//! to make room among all of them, and an image would be parted from by copying them all. So a part is a list only as long as it has
//! fewer than [`PAIRS_MAX`] pairs, and a B-tree of such lists behind that:
//!
//! ```text
//!   Branch   ∙    │ from (7, "b") │ from (9, "a")        bounds are hash and key; before the first there is no other child
//!            ▼            ▼               ▼
//!   Leaf   3z 7a       7b 7c 8k        9a 9d
//! ```
//!
//! All leaves are equally deep. A node has at least a quarter of what it may have, but for the uppermost. So a write looks at a number of keys
//! that grows with the logarithm of how many there are, and moves no more than what a few nodes hold, whatever keys are chosen, even if
//! all of them have one hash. An image shares every node that is not on the way to something that was written since.
//!
//! How the pairs lie in nodes depends on how they came there; their order doesn't, and it is all that can be seen.

mod pair;

pub(crate) use pair::pair_hash;

use alloc::sync::Arc;
use alloc::{vec, vec::Vec};
use bytes::Bytes;
use core::{iter, mem, slice};
use pair::{HashedKey, Pair, find};

/// A leaf that has as many pairs is split. With a million keys that were not chosen for it, a part has some 250.
const PAIRS_MAX: usize = 512;

/// A branch that has as many children is split.
const CHILDREN_MAX: usize = 64;

/// Pairs, in the order of their keys' hashes, and of the keys where those are the same.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Leaf(Vec<Pair>),
    /// At least two, in order.
    Branch(Vec<Child>),
}

/// A part of a part.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    /// Nothing in it comes before this key, and everything in the children before it does. Of the first child, it says nothing.
    from: HashedKey,
    part: Arc<Part>,
}

impl Default for Part {
    fn default() -> Part {
        Part::Leaf(Vec::new())
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Part) -> bool {
        self.pairs_behind(None).eq(other.pairs_behind(None))
    }
}

impl Eq for Part {}

/// Which child a key belongs to.
fn child_of(children: &[Child], hash: u64, key: &[u8]) -> usize {
    children[1..].partition_point(|child| child.from.order(hash, key).is_le())
}

/// Puts `item` into its place, for which those behind it move.
fn insert<T>(items: &mut Vec<T>, place: usize, item: T) {
    #[cfg(test)]
    tests::moved(items.len() - place);
    items.insert(place, item);
}

/// Takes the item at `place` out; those behind it move.
fn take_out<T>(items: &mut Vec<T>, place: usize) -> T {
    #[cfg(test)]
    tests::moved(items.len() - place);
    items.remove(place)
}

/// Takes the second half out.
fn split<T>(items: &mut Vec<T>) -> Vec<T> {
    let half = items.split_off(items.len() / 2);
    #[cfg(test)]
    tests::moved(half.len());
    // Where pairs come in their order, as with a snapshot, nothing is put into the first half any more.
    items.shrink_to_fit();
    half
}

/// Puts `more` behind `items`.
fn append<T>(items: &mut Vec<T>, mut more: Vec<T>) {
    #[cfg(test)]
    tests::moved(more.len());
    items.append(&mut more);
}

impl Part {
    pub(crate) fn is_empty(&self) -> bool {
        self.breadth() == 0
    }

    /// How many pairs there are, or children: what is found without looking at any of them.
    pub(crate) fn breadth(&self) -> usize {
        match self {
            Part::Leaf(pairs) => pairs.len(),
            Part::Branch(children) => children.len(),
        }
    }

    /// The hash that a search begins with.
    pub(crate) fn middle_hash(&self) -> u64 {
        match self {
            Part::Leaf(pairs) => pairs.get(pairs.len() / 2).map_or(0, |pair| pair.key.hash),
            Part::Branch(children) => children[children.len() / 2].from.hash,
        }
    }

    /// Looks at the key with this hash, if there is one, and at its value.
    pub(crate) fn look_at(&self, hash: u64) -> u8 {
        let mut part = self;
        let pairs = loop {
            match part {
                Part::Leaf(pairs) => break pairs,
                Part::Branch(children) => {
                    part = &children[children[1..].partition_point(|child| child.from.hash <= hash)].part;
                }
            }
        };
        let place = pairs.partition_point(|pair| pair.key.hash < hash);
        pairs.get(place).map_or(0, Pair::look_at)
    }

    pub(crate) fn get(&self, hash: u64, key: &[u8]) -> Option<&Bytes> {
        let mut part = self;
        loop {
            match part {
                Part::Leaf(pairs) => {
                    return find(pairs, hash, key).ok().map(|place| &pairs[place].value);
                }
                Part::Branch(children) => part = &children[child_of(children, hash, key)].part,
            }
        }
    }

    /// Lets `key` hold a copy of a value, which is given with the hash of the pair. Returns how long the value before it was, and that
    /// pair's hash.
    #[inline]
    pub(crate) fn put(&mut self, hash: u64, key: &[u8], value: (&[u8], u64)) -> Option<(usize, u64)> {
        let before = self.put_below(hash, key, value);
        if before.is_none() && self.is_too_much() {
            self.grow();
        }
        before
    }

    /// Becomes a branch of its two halves.
    #[cold]
    fn grow(&mut self) {
        let right = self.split();
        let left = Child {
            from: HashedKey::default(),
            part: Arc::new(mem::take(self)),
        };
        *self = Part::Branch(vec![left, right]);
    }

    /// As [`Part::put`], but that this may be too much afterwards.
    #[inline]
    fn put_below(&mut self, hash: u64, key: &[u8], value: (&[u8], u64)) -> Option<(usize, u64)> {
        match self {
            Part::Leaf(pairs) => match find(pairs, hash, key) {
                Ok(place) => Some(pairs[place].replace(value)),
                Err(place) => {
                    insert(pairs, place, Pair::new(hash, key, value));
                    None
                }
            },
            Part::Branch(children) => put_among(children, hash, key, value),
        }
    }

    /// Removes a key. Returns how long its value was, and the hash of the pair.
    pub(crate) fn remove(&mut self, hash: u64, key: &[u8]) -> Option<(usize, u64)> {
        let removed = self.remove_below(hash, key);
        if let Part::Branch(children) = self
            && children.len() == 1
            && let Some(only) = children.pop()
        {
            *self = Arc::unwrap_or_clone(only.part);
        }
        removed
    }

    /// As [`Part::remove`], but that this may be too little afterwards.
    fn remove_below(&mut self, hash: u64, key: &[u8]) -> Option<(usize, u64)> {
        match self {
            Part::Leaf(pairs) => {
                let place = find(pairs, hash, key).ok()?;
                let Pair { value, pair, .. } = take_out(pairs, place);
                Some((value.len(), pair))
            }
            Part::Branch(children) => {
                let place = child_of(children, hash, key);
                let child = Arc::make_mut(&mut children[place].part);
                let removed = child.remove_below(hash, key);
                if child.is_too_little() {
                    join(children, place.saturating_sub(1));
                }
                removed
            }
        }
    }

    fn is_too_much(&self) -> bool {
        match self {
            Part::Leaf(pairs) => pairs.len() >= PAIRS_MAX,
            Part::Branch(children) => children.len() >= CHILDREN_MAX,
        }
    }

    fn is_too_little(&self) -> bool {
        match self {
            Part::Leaf(pairs) => pairs.len() < PAIRS_MAX / 4,
            Part::Branch(children) => children.len() < CHILDREN_MAX / 4,
        }
    }

    /// Takes the second half out.
    fn split(&mut self) -> Child {
        match self {
            Part::Leaf(pairs) => {
                let right = split(pairs);
                Child {
                    from: right[0].key.clone(),
                    part: Arc::new(Part::Leaf(right)),
                }
            }
            Part::Branch(children) => {
                let right = split(children);
                Child {
                    from: right[0].from.clone(),
                    part: Arc::new(Part::Branch(right)),
                }
            }
        }
    }

    /// Takes in the part behind this one, which is as deep.
    fn append(&mut self, right: Child) {
        match (self, Arc::unwrap_or_clone(right.part)) {
            (Part::Leaf(pairs), Part::Leaf(more)) => append(pairs, more),
            (Part::Branch(children), Part::Branch(mut more)) => {
                // It is no first child any more.
                more[0].from = right.from;
                append(children, more);
            }
            (Part::Leaf(_), Part::Branch(_)) | (Part::Branch(_), Part::Leaf(_)) => {
                unreachable!("all leaves are equally deep")
            }
        }
    }

    /// The pairs, or those behind a key and its hash.
    pub(crate) fn pairs_behind<'a>(
        &'a self,
        behind: Option<(u64, &[u8])>,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> + use<'a> {
        let (mut part, mut later) = (self, Vec::new());
        let first = loop {
            match part {
                Part::Leaf(pairs) => {
                    let place = behind.map_or(0, |(hash, key)| {
                        find(pairs, hash, key).map_or_else(|place| place, |place| place + 1)
                    });
                    break &pairs[place..];
                }
                Part::Branch(children) => {
                    let place = behind.map_or(0, |(hash, key)| child_of(children, hash, key));
                    later.push(children[place + 1..].iter());
                    part = &children[place].part;
                }
            }
        };
        let leaves = iter::once(first).chain(iter::from_fn(move || next_leaf(&mut later)));
        leaves.flatten().map(|pair| (&pair.key.key, &pair.value))
    }
}

/// As [`Part::put`], in the child that the key belongs to.
fn put_among(children: &mut Vec<Child>, hash: u64, key: &[u8], value: (&[u8], u64)) -> Option<(usize, u64)> {
    let place = child_of(children, hash, key);
    let child = Arc::make_mut(&mut children[place].part);
    let before = child.put_below(hash, key, value);
    if before.is_none() && child.is_too_much() {
        let right = child.split();
        insert(children, place + 1, right);
    }
    before
}

/// Where a child has become too little: joins the one at `place` and the one behind it, in two halves if that is too much for one.
fn join(children: &mut Vec<Child>, place: usize) {
    let right = take_out(children, place + 1);
    let left = Arc::make_mut(&mut children[place].part);
    left.append(right);
    if left.is_too_much() {
        let right = left.split();
        insert(children, place + 1, right);
    }
}

/// The next leaf among the children that are left, the deepest of them last.
fn next_leaf<'a>(later: &mut Vec<slice::Iter<'a, Child>>) -> Option<&'a [Pair]> {
    loop {
        let Some(child) = later.last_mut()?.next() else {
            later.pop();
            continue;
        };
        match &*child.part {
            Part::Leaf(pairs) => return Some(pairs),
            Part::Branch(children) => later.push(children.iter()),
        }
    }
}

#[cfg(test)]
mod tests;
