//! Priority queues, which give the least.
//!
//! There is an order if and only if each take of an [item](super::items) can take effect at a time that is in no stay of a smaller one, and
//! each take that found nothing at a time that is in no stay at all.
//!
//! That it must be so is plain: while something smaller is there, it is taken. That it is enough follows by taking the operations
//! away one by one. If a take found nothing at `t`, cut there. The conditions hold on both sides: who was to be taken after `t`, and is put
//! and taken before it now, was taken by an operation that goes on until `t` at least, and `t` is in no stay. Otherwise let `v` be the
//! greatest item. Nobody but takes that found nothing minds that it is there, and those are gone. If it is left, put it whenever. If it is
//! taken at `t`, cut the others at `t`: all before, then its take, then all after; and put it before `t`, when its put was invoked.
//!
//! So the items are looked at from the least to the greatest, while the times in their stays are struck out: each time once, and
//! the next one that is not struck out is found by the paths of a union-find. O(n log n), for sorting.

use super::items::{ContainerCalls, Items, Ranks, covering};
use super::{Halt, Part};

pub(super) fn judge<M: ContainerCalls<Value: Ord>>(part: &Part<'_, M>) -> Result<(), Halt> {
    let (items, values) = Items::of(part)?;
    part.look_at_limits()?;
    let mut order: Vec<u32> = items.numbered().map(|(number, _)| number).collect();
    order.sort_unstable_by_key(|number| values[*number as usize]);
    part.look_at_limits()?;
    items.without_pending(|items| {
        least_first(items, &order)?;
        part.look_at_limits()?;
        items.empties()
    })
}

/// Looks for an item that was taken while a smaller one was there, in the `order` from the least on.
fn least_first(items: &Items, order: &[u32]) -> Result<(), Halt> {
    let mut free = Free::new(items.times);
    for (count, number) in order.iter().enumerate() {
        let item = &items.items[*number as usize];
        // One that is left is taken at the end of time, when there is nothing.
        if free.first(item.take.from) > item.take.to {
            let smaller = order[..count]
                .iter()
                .map(|number| (*number, &items.items[*number as usize]));
            let chain = covering(smaller, item.take, |_| true);
            let chain = chain
                .iter()
                .flat_map(|number| items.items[*number as usize].places());
            return Err(Halt::conflict(chain.chain(item.places())));
        }
        if item.has_stay() {
            free.strike_out(Ranks {
                from: item.put.to + 1,
                to: item.take.from,
            });
        }
    }
    Ok(())
}

/// Times that are not struck out.
struct Free {
    /// For each time itself, if it is free, else a later one such that none before it is.
    next: Vec<u32>,
}

impl Free {
    fn new(times: u32) -> Free {
        Free {
            next: (0..=times).collect(),
        }
    }

    /// The first free one from `time` on.
    fn first(&mut self, mut time: u32) -> u32 {
        loop {
            let next = self.next[time as usize];
            if next == time {
                return time;
            }
            // Each path is halved as it is walked.
            let after = self.next[next as usize];
            self.next[time as usize] = after;
            time = after;
        }
    }

    /// The last one of `times` is left as it is.
    fn strike_out(&mut self, times: Ranks) {
        let mut time = self.first(times.from);
        while time < times.to {
            self.next[time as usize] = time + 1;
            time = self.first(time + 1);
        }
    }
}
