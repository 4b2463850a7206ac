//! Queues, first in first out, and those that give anything.
//!
//! Of a queue that gives anything an [item](super::items) asks for nothing but that it is not taken before it is put, so only takes
//! that found nothing are left to be looked at; and the proof there covers it.
//!
//! A queue that is first in first out has an order if and only if besides there are no items `a` and `b` such that the put of `a` returned
//! before that of `b` was invoked, and the take of `b` returned before that of `a` was invoked (Henzinger, Sezgin and Vafeiadis,
//! "Aspect-oriented linearizability proofs", 2013). Of an item that nobody took the take is invoked at the end of time. Takes
//! that found nothing, and such pairs, don't depend on each other: on either side of a cut no order is added, so no pair is.
//!
//! **Takes of unknown outcome.** An item `u` that is left must be gone, for the sake of `b`, by the time `d(u)`: the least return of the take
//! of a `b` whose put was invoked after that of `u` had returned. So it needs a take of unknown outcome that was invoked by then.
//! Which one takes which makes no other difference, since they never return. Thus it is a matching of deadlines and invocations, and
//! handing out the earliest takes to the earliest deadlines finds one if there is any: the `i`th deadline needs the `i`th take.
//!
//! A take that found nothing at `t` adds the deadline `t` for all `u` that were put for certain before `t`. The later the put of `u` returned,
//! the later is `d(u)`. Those with a deadline by any time are therefore those whose puts returned first, whatever `t` there are: it
//! is enough to look at each deadline, and each `t`, alone.

use super::items::{ContainerCalls, Item, Items};
use super::{Halt, Part};

pub(super) fn judge_unordered<M: ContainerCalls>(part: &Part<'_, M>) -> Result<(), Halt> {
    let (items, _) = Items::of(part)?;
    part.look_at_limits()?;
    items.empties()
}

pub(super) fn judge_fifo<M: ContainerCalls>(part: &Part<'_, M>) -> Result<(), Halt> {
    let (items, _) = Items::of(part)?;
    part.look_at_limits()?;
    overtaken(&items)?;
    part.look_at_limits()?;
    overdue(&items)?;
    part.look_at_limits()?;
    items.empties()
}

/// Looks for an item that was put after another one, and taken before it.
fn overtaken(items: &Items) -> Result<(), Halt> {
    let mut taken: Vec<&Item> = items.items.iter().filter(|item| !items.is_left(item)).collect();
    taken.sort_unstable_by_key(|item| item.put.from);
    let mut earlier = taken.clone();
    earlier.sort_unstable_by_key(|item| item.put.to);
    let mut earlier = earlier.into_iter().peekable();
    // Of those put before, the one that was taken last.
    let mut last: Option<&Item> = None;
    for item in taken {
        while let Some(other) = earlier.next_if(|other| other.put.to < item.put.from) {
            if last.is_none_or(|last| last.take.from < other.take.from) {
                last = Some(other);
            }
        }
        if let Some(last) = last.filter(|last| item.take.to < last.take.from) {
            return Err(Halt::conflict([last.places(), item.places()].concat()));
        }
    }
    Ok(())
}

/// Looks for items that are left, though one that was put after them was taken, more than takes of unknown outcome account for.
fn overdue(items: &Items) -> Result<(), Halt> {
    let (mut left, mut taken): (Vec<&Item>, Vec<&Item>) =
        items.items.iter().partition(|item| items.is_left(item));
    left.sort_unstable_by_key(|item| item.put.to);
    taken.sort_unstable_by_key(|item| item.put.from);
    // From each place on, the item that was taken first.
    let mut first: Vec<&Item> = Vec::with_capacity(taken.len());
    for item in taken.iter().rev() {
        let first_after = first.last().filter(|other| other.take.to <= item.take.to);
        first.push(first_after.copied().unwrap_or(item));
    }
    first.reverse();
    for (count, item) in left.iter().enumerate() {
        let place = taken.partition_point(|other| other.put.from <= item.put.to);
        let Some(other) = first.get(place) else {
            return Ok(()); // Nothing was put after it that was taken, nor after those that follow.
        };
        let deadline = other.take.to;
        if items.pending.get(count).is_none_or(|(_, from)| *from > deadline) {
            let left = left[..=count].iter().map(|item| item.put_by);
            let pending = items.pending[..count].iter().map(|(place, _)| Some(*place));
            return Err(Halt::conflict(left.chain(pending).chain(other.places())));
        }
    }
    Ok(())
}
