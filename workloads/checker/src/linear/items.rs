//! What the engines for queues, stacks and priority queues share: from operations to items.
//!
//! An *item* is a value with the operations that put and took it. A history qualifies if each value is put at most once; a take then tells
//! which put it belongs to. Items are *tuned* (Lee and Mathur, arXiv 2410.04581): no put takes effect after its take returned, and no
//! take before its put was invoked, so the put may as well return by then, and the take be invoked then. From the return of the put to the
//! invocation of the take the item is there for certain, both ends left out: its *stay*. It is empty where the two overlap.
//!
//! **Cuts.** Let `t` be a time in no stay. Each item can then be put and taken up to `t`, if its take was invoked by then, or else from `t`
//! on, for then its put had not returned before. Whatever the container gives first, it may be empty at `t`; and no order between
//! the operations of one side is added by this: one that is cut short to end at `t` ended after everything else on its side began.
//! So a take that found nothing asks for nothing but a time between its invocation and return that is in no stay. Stays begin
//! and end at events, therefore only the times of events have to be tried.
//!
//! A put that nobody knows the outcome of happened, without end, if its value was taken; otherwise it need not have: what is gained by
//! an item more is only that a take of unknown outcome can take it, and that need not have happened either.

use super::{Halt, NEVER, Part, Span};
use crate::model::Model;
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// What a call of a container is to its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerCall<'a, V> {
    /// It put this, or may have.
    Put(&'a V),
    /// It took this, or found nothing (`None`).
    Took(Option<&'a V>),
    /// It may have taken something: nobody saw.
    MayTake,
    /// It changes nothing, and nobody saw what it found.
    Nothing,
    /// Anything else.
    Other,
}

/// A queue, a stack or a priority queue, as its engine has to know it.
pub trait ContainerCalls: Model {
    /// What it holds.
    type Value: Eq + Hash;

    /// What it holds in this state, in an order in which it can have been put.
    fn held(&self) -> Vec<&Self::Value>;

    /// What `op` is that returned `ret`, or of which nobody learned what it returned (`None`).
    fn container_call<'a>(op: &'a Self::Op, ret: Option<&'a Self::Ret>) -> ContainerCall<'a, Self::Value>;
}

/// From an invocation to the return, by the places of their times among all times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranks {
    pub(super) from: u32,
    pub(super) to: u32,
}

/// A value, with the operations that put and took it.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// None where it was there at first.
    pub(super) put_by: Option<u32>,
    /// None where nobody is known to have taken it.
    pub(super) taken_by: Option<u32>,
    pub(super) put: Ranks,
    /// At the time that never comes where it was not taken.
    pub(super) take: Ranks,
}

impl Item {
    pub(super) fn places(&self) -> [Option<u32>; 2] {
        [self.put_by, self.taken_by]
    }

    pub(super) fn has_stay(&self) -> bool {
        self.put.to < self.take.from
    }
}

/// What was done to a container.
#[derive(Clone, Debug)]
pub(super) struct Items {
    pub(super) items: Vec<Item>,
    /// Takes that found nothing, in the order of their invocations.
    pub(super) empty: Vec<(u32, Ranks)>,
    /// Takes that nobody knows the outcome of, by place and invocation, in the order of those.
    pub(super) pending: Vec<(u32, u32)>,
    /// How many different times there are. The last one is the time that never comes.
    pub(super) times: u32,
}

/// The operations of an item, by place and span.
struct Known {
    put: (Option<u32>, Span),
    take: Option<(u32, Span)>,
}

impl Items {
    /// And what the items are.
    pub(super) fn of<'a, M: ContainerCalls>(part: &Part<'a, M>) -> Result<(Items, Vec<&'a M::Value>), Halt> {
        let (mut known, mut values) = puts(part)?;
        part.look_at_limits()?;
        let (empty, pending) = takes(part, &mut known, &values)?;
        part.look_at_limits()?;
        let is_needed = |known: &Known| known.take.is_some() || known.put.1.to != NEVER;
        let mut kept = known.iter().map(is_needed);
        values.retain(|_| kept.next().expect("there is a value for each item"));
        known.retain(is_needed);
        Ok((Items::ranked(&known, &empty, &pending)?, values))
    }

    /// Numbers all times, and tunes the items.
    fn ranked(known: &[Known], empty: &[(u32, Span)], pending: &[(u32, Span)]) -> Result<Items, Halt> {
        let mut times: Vec<(u64, u32)> =
            Vec::with_capacity(4 * known.len() + 2 * empty.len() + pending.len() + 1);
        let mut note = |time: u64| {
            let slot =
                u32::try_from(times.len()).map_err(|_| Halt::Unqualified("it has too many operations"))?;
            times.push((time, slot));
            Ok(())
        };
        for Known { put: (_, put), take } in known {
            let take = take.map_or(NOT_TAKEN, |(_, take)| take);
            for time in [put.from, put.to, take.from, take.to] {
                note(time)?;
            }
        }
        for (_, span) in empty {
            note(span.from)?;
            note(span.to)?;
        }
        for (_, span) in pending {
            note(span.from)?;
        }
        note(NEVER)?;
        let mut ranks = vec![0; times.len()];
        times.sort_unstable();
        let mut rank = 0;
        for (place, (time, slot)) in times.iter().enumerate() {
            rank += u32::from(place > 0 && times[place - 1].0 != *time);
            ranks[*slot as usize] = rank;
        }
        let mut ranks = ranks.into_iter();
        let mut next = || ranks.next().expect("each time that was noted has one");
        let mut items = Vec::with_capacity(known.len());
        for Known {
            put: (put_by, _),
            take,
        } in known
        {
            let [mut put, mut span] = [(); 2].map(|()| Ranks {
                from: next(),
                to: next(),
            });
            let taken_by = take.map(|(place, _)| place);
            if span.to < put.from {
                return Err(Halt::conflict([*put_by, taken_by]));
            }
            put.to = put.to.min(span.to);
            span.from = span.from.max(put.from);
            items.push(Item {
                put_by: *put_by,
                taken_by,
                put,
                take: span,
            });
        }
        let empty = empty.iter().map(|(place, _)| {
            (
                *place,
                Ranks {
                    from: next(),
                    to: next(),
                },
            )
        });
        let empty = empty.collect();
        let mut pending: Vec<(u32, u32)> = pending.iter().map(|(place, _)| (*place, next())).collect();
        pending.sort_by_key(|(_, from)| *from);
        Ok(Items {
            items,
            empty,
            pending,
            times: rank + 1,
        })
    }

    /// The rank of the time that never comes.
    pub(super) fn never(&self) -> u32 {
        self.times - 1
    }

    /// Whether nobody is known to have taken it.
    pub(super) fn is_left(&self, item: &Item) -> bool {
        item.take.from == self.never()
    }

    /// For each take that found nothing, whether there was a time at which nothing needs to have been there.
    ///
    /// At a time `t` the items that are left and that were put for certain before `t` need as many takes of unknown outcome that were
    /// invoked by then. That is enough: such takes end never, so which of them takes which item makes no difference later.
    pub(super) fn empties(&self) -> Result<(), Halt> {
        if self.empty.is_empty() {
            return Ok(());
        }
        let (mut stays, mut left) = (
            vec![0_i64; self.times as usize + 1],
            vec![0_i64; self.times as usize + 1],
        );
        for item in &self.items {
            if self.is_left(item) {
                left[item.put.to as usize + 1] += 1;
            } else if item.has_stay() {
                stays[item.put.to as usize + 1] += 1;
                stays[item.take.from as usize] -= 1;
            }
        }
        for (_, from) in &self.pending {
            left[*from as usize] -= 1;
        }
        sum_up(&mut stays);
        sum_up(&mut left);
        // From each time on, the first at which nothing needs to be there.
        let mut vacant = vec![self.times; self.times as usize + 1];
        for time in (0..self.times as usize).rev() {
            let is_vacant = stays[time] == 0 && left[time] <= 0;
            vacant[time] = if is_vacant { rank(time) } else { vacant[time + 1] };
        }
        let late = self
            .empty
            .iter()
            .find(|(_, span)| vacant[span.from as usize] > span.to);
        let Some((place, span)) = late else {
            return Ok(());
        };
        let taken = self.numbered().filter(|(_, item)| !self.is_left(item));
        let chain = covering(taken, *span, |time| left[time as usize] <= 0);
        let chain = chain
            .into_iter()
            .flat_map(|number| self.items[number as usize].places());
        let leftover = self.leftover(span.to).into_iter().map(Some);
        Err(Halt::conflict(chain.chain(leftover).chain([Some(*place)])))
    }

    pub(super) fn numbered(&self) -> impl Iterator<Item = (u32, &Item)> {
        (0..).zip(&self.items)
    }

    /// Which operations show how many items are left at each time up to `to`, and how many takes there are for them.
    fn leftover(&self, to: u32) -> Vec<u32> {
        let left = self
            .items
            .iter()
            .filter(|item| self.is_left(item) && item.put.to < to);
        let mut left: Vec<&Item> = left.collect();
        left.sort_by_key(|item| item.put.to);
        if self.pending.is_empty() {
            // The first one is enough.
            left.truncate(1);
        }
        let pending = self
            .pending
            .iter()
            .take_while(|(_, from)| *from <= to)
            .map(|(place, _)| *place);
        left.into_iter()
            .filter_map(|item| item.put_by)
            .chain(pending)
            .collect()
    }

    /// What `check` says, where it knows nothing of takes without an outcome.
    ///
    /// If there is an order without them, there is one: none of them need have happened. If there is none even if each item that is left
    /// was taken by one of its own, as early as the earliest of them was invoked, then there is none. In between, it depends on which
    /// of them took what: that is [tried](Tries).
    pub(super) fn without_pending(mut self, check: impl Fn(&Items) -> Result<(), Halt>) -> Result<(), Halt> {
        let pending = std::mem::take(&mut self.pending);
        let Some((_, earliest)) = pending.first().copied() else {
            return check(&self);
        };
        let conflict = match check(&self) {
            Err(Halt::Conflict(conflict)) => conflict,
            other @ (Ok(()) | Err(Halt::Unqualified(_) | Halt::Stopped)) => return other,
        };
        let never = self.never();
        let mut all_taken = self.clone();
        for item in all_taken.items.iter_mut().filter(|item| item.take.from == never) {
            item.take.from = earliest.max(item.put.from);
        }
        check(&all_taken)?;
        drop(all_taken);
        let mut tries = Tries {
            check: &check,
            left: TRIES_MAX,
            met: pending.iter().map(|(place, _)| Some(*place)).collect(),
        };
        if tries.resolve(&mut self, &pending, &conflict)? {
            Ok(())
        } else {
            Err(Halt::conflict(tries.met))
        }
    }
}

/// So often takes of unknown outcome are handed out in another way.
const TRIES_MAX: usize = 128;

/// The search for what takes of unknown outcome took.
///
/// Operations that have no order without those takes have one only if one of them took one of the items that are left there. So each of
/// these few is tried with each of the takes; what then has no order has another conflict, which the next one must resolve. If none
/// does, all the operations that were met in any conflict have no order on their own.
struct Tries<'c> {
    check: &'c dyn Fn(&Items) -> Result<(), Halt>,
    /// How many there may be still.
    left: usize,
    /// The operations that were met.
    met: Vec<Option<u32>>,
}

impl Tries<'_> {
    /// Whether there is an order if takes that are `pending` take something; what is in `conflict` has none without.
    fn resolve(&mut self, items: &mut Items, pending: &[(u32, u32)], conflict: &[u32]) -> Result<bool, Halt> {
        self.met.extend(conflict.iter().map(|place| Some(*place)));
        let never = items.never();
        for number in 0..items.items.len() {
            let item = &items.items[number];
            // What was there at first is in no list of operations, and may be in any conflict.
            let is_in_it = item.put_by.is_none_or(|place| conflict.contains(&place));
            if !items.is_left(item) || !is_in_it {
                continue;
            }
            let untaken = item.clone();
            for (nth, (place, invoked)) in pending.iter().enumerate() {
                // Those that were invoked at the same time are alike.
                if nth > 0 && pending[nth - 1].1 == *invoked {
                    continue;
                }
                self.left = self.left.checked_sub(1).ok_or(Halt::Unqualified(
                    "it depends on what was taken by takes that nobody knows the outcome of, in too many ways",
                ))?;
                let item = &mut items.items[number];
                item.taken_by = Some(*place);
                item.take = Ranks {
                    from: untaken.put.from.max(*invoked),
                    to: never,
                };
                let resolved = match (self.check)(items) {
                    Ok(()) => true,
                    Err(Halt::Conflict(conflict)) => {
                        let mut others = pending.to_vec();
                        others.remove(nth);
                        self.resolve(items, &others, &conflict)?
                    }
                    Err(halt) => return Err(halt),
                };
                if resolved {
                    return Ok(true);
                }
                items.items[number] = untaken.clone();
            }
        }
        Ok(false)
    }
}

/// Where nobody took it.
const NOT_TAKEN: Span = Span {
    from: NEVER,
    to: NEVER,
};

pub(super) fn rank(place: usize) -> u32 {
    u32::try_from(place).expect("fewer operations are in memory at once")
}

fn sum_up(changes: &mut [i64]) {
    let mut sum = 0;
    for change in changes {
        sum += *change;
        *change = sum;
    }
}

/// What was put, at first and by operations.
fn puts<'a, M: ContainerCalls>(part: &Part<'a, M>) -> Result<(Vec<Known>, Vec<&'a M::Value>), Halt> {
    let mut values = part.init.held();
    let before = values.len() as u64;
    let at_first = (0..before).map(|time| Known {
        put: (None, Span { from: time, to: time }),
        take: None,
    });
    let mut known: Vec<Known> = at_first.collect();
    for (place, operation) in part.operations() {
        match M::container_call(&operation.op, operation.ret.as_ref()) {
            ContainerCall::Put(value) => {
                let put = (Some(place), Span::of(operation, before)?);
                known.push(Known { put, take: None });
                values.push(value);
            }
            ContainerCall::Took(_) | ContainerCall::MayTake | ContainerCall::Nothing => {}
            ContainerCall::Other => {
                return Err(Halt::Unqualified("an operation does not put or take"));
            }
        }
    }
    Ok((known, values))
}

/// Takes by place.
type Takes = Vec<(u32, Span)>;

/// Finds the takes of items, and those that found nothing, and those that nobody knows the outcome of.
fn takes<M: ContainerCalls>(
    part: &Part<'_, M>,
    known: &mut [Known],
    values: &[&M::Value],
) -> Result<(Takes, Takes), Halt> {
    let mut of_value: FxHashMap<&M::Value, u32> = FxHashMap::default();
    of_value.reserve(values.len());
    for (number, value) in (0..).zip(values) {
        match of_value.entry(value) {
            Entry::Vacant(entry) => entry.insert(number),
            Entry::Occupied(_) => return Err(Halt::Unqualified("a value is put more than once")),
        };
    }
    let before = part.init.held().len() as u64;
    let (mut empty, mut pending) = (Vec::new(), Vec::new());
    for (place, operation) in part.operations() {
        match M::container_call(&operation.op, operation.ret.as_ref()) {
            ContainerCall::Took(Some(value)) => {
                let number = of_value.get(value).ok_or_else(|| Halt::conflict([Some(place)]))?;
                let item = &mut known[*number as usize];
                if let Some((other, _)) = item.take.replace((place, Span::of(operation, before)?)) {
                    return Err(Halt::conflict([item.put.0, Some(other), Some(place)]));
                }
            }
            ContainerCall::Took(None) => empty.push((place, Span::of(operation, before)?)),
            ContainerCall::MayTake => pending.push((place, Span::of(operation, before)?)),
            ContainerCall::Put(_) | ContainerCall::Nothing | ContainerCall::Other => {}
        }
    }
    Ok((empty, pending))
}

/// Few of `items` whose stays cover the times in `span` that are needed; all of them together do.
pub(super) fn covering<'i>(
    items: impl Iterator<Item = (u32, &'i Item)>,
    span: Ranks,
    is_needed: impl Fn(u32) -> bool,
) -> Vec<u32> {
    let mut items: Vec<(u32, &Item)> = items.filter(|(_, item)| item.has_stay()).collect();
    items.sort_by_key(|(number, item)| (item.put.to, *number));
    let mut items = items.into_iter().peekable();
    let (mut chain, mut time) = (Vec::new(), span.from);
    // Of those that begin before `time`, the one that ends last.
    let mut last: Option<(u32, u32)> = None;
    while time <= span.to {
        if !is_needed(time) {
            time += 1;
            continue;
        }
        while let Some((number, item)) = items.next_if(|(_, item)| item.put.to < time) {
            if last.is_none_or(|(end, _)| end < item.take.from) {
                last = Some((item.take.from, number));
            }
        }
        let (end, number) = last
            .filter(|(end, _)| *end > time)
            .expect("all of them cover the span");
        chain.push(number);
        time = end;
    }
    chain
}
