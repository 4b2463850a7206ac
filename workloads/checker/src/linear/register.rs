//! Registers: the zones of Gibbons and Korach ("Testing shared memories", 1997).
//!
//! A write and the reads of its value are a *group*. A compare-and-set that matched begins a group of its own, which comes next after that
//! of the value it found: nothing is written in between. So groups hang together in *chains*, each begun by a write or by what
//! the register held at first, and in any order each chain is a block that no other one interrupts.
//!
//! - Within a chain, nothing of a later group may have returned before something of an earlier one was invoked; nor a read of a group
//!   before its write was.
//! - Let `f` be the least return in a chain and `s` the greatest invocation. Where `f < s` the chain fills at least the time between
//!   (a *forward* zone). Where `s <= f` it may be put at any time between (a *backward* zone). There is an order if and only if no
//!   two forward zones overlap and no backward zone lies within a forward one.
//!
//! What the register held at first was written before everything. A write that nobody knows the outcome of happened, without end, if its
//! value was seen; otherwise it need not have.
//!
//! A history qualifies if each value is written at most once, and not what the register held at first, and if there is no compare-and-set
//! that found another value than it expected: that says of many groups where it is not.

use super::{Halt, NEVER, Part, Span};
use crate::model::Model;
use rustc_hash::FxHashMap;
use std::hash::Hash;

/// What a call of a register is to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterCall<'a, V> {
    /// It found this, `None` for what no write writes, and changed nothing.
    Read(Option<&'a V>),
    /// It wrote this, or may have.
    Write(&'a V),
    /// It found the first and wrote the second, or may have. They differ.
    Swap(Option<&'a V>, &'a V),
    /// It changes nothing, and nobody saw what it found.
    Nothing,
    /// Anything else: a compare-and-set that did not match.
    Other,
}

/// A register, as its engine has to know it.
pub trait RegisterCalls: Model {
    /// What it holds.
    type Value: Eq + Hash;

    /// What it holds in this state.
    fn held(&self) -> Option<&Self::Value>;

    /// What `op` is that returned `ret`, or of which nobody learned what it returned (`None`).
    fn register_call<'a>(op: &'a Self::Op, ret: Option<&'a Self::Ret>) -> RegisterCall<'a, Self::Value>;
}

/// A time, and the operation that was invoked or returned then; none where it is what the register held at first.
type Event = (u64, Option<u32>);

/// Before which group another one can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    Nothing,
    Group(u32),
    /// One that would have to be there, of a value that nobody wrote.
    Missing,
}

#[derive(Clone, Debug)]
struct Group {
    /// The operation that wrote the value.
    head: Option<u32>,
    span: Span,
    follows: Follows,
    next: Option<u32>,
    /// Of its reads.
    first_return: Event,
    last_invocation: Event,
    has_happened: bool,
    is_in_chain: bool,
}

impl Group {
    fn new(head: Option<u32>, span: Span) -> Group {
        Group {
            head,
            span,
            follows: Follows::Nothing,
            next: None,
            first_return: (NEVER, None),
            last_invocation: (0, None),
            has_happened: false,
            is_in_chain: false,
        }
    }

    fn is_read(&self) -> bool {
        self.first_return.1.is_some()
    }

    /// What wrote the value, and if nobody knows whether it happened, a read of it.
    fn evidence(&self) -> [Option<u32>; 2] {
        [self.head, self.first_return.1.filter(|_| self.span.to == NEVER)]
    }
}

struct Zone {
    first_return: Event,
    last_invocation: Event,
    /// The first group of the chain.
    first: u32,
}

/// The group of what the register held at first.
const INITIAL: u32 = 0;

struct Groups(Vec<Group>);

pub(super) fn judge<M: RegisterCalls>(part: &Part<'_, M>) -> Result<(), Halt> {
    let mut groups = Groups::of(part)?;
    part.look_at_limits()?;
    groups.link()?;
    let zones = groups.zones()?;
    part.look_at_limits()?;
    groups.hold(zones)
}

impl Groups {
    fn of<M: RegisterCalls>(part: &Part<'_, M>) -> Result<Groups, Halt> {
        let mut groups = vec![Group::new(None, Span { from: 0, to: 0 })];
        let mut of_value: FxHashMap<&M::Value, u32> = FxHashMap::default();
        let held = part.init.held();
        of_value.extend(held.map(|value| (value, INITIAL)));
        for (place, operation) in part.operations() {
            match M::register_call(&operation.op, operation.ret.as_ref()) {
                RegisterCall::Write(value) | RegisterCall::Swap(_, value) => {
                    let number = u32::try_from(groups.len()).expect("fewer operations are in memory at once");
                    if of_value.insert(value, number).is_some() {
                        return Err(Halt::Unqualified("a value is written more than once"));
                    }
                    groups.push(Group::new(Some(place), Span::of(operation, 1)?));
                }
                RegisterCall::Read(_) | RegisterCall::Nothing => {}
                RegisterCall::Other => {
                    return Err(Halt::Unqualified(
                        "a compare-and-set did not find what it expected",
                    ));
                }
            }
        }
        part.look_at_limits()?;
        let group_of = |value: Option<&M::Value>| match value {
            Some(value) => of_value.get(value).copied(),
            None => held.is_none().then_some(INITIAL),
        };
        for (place, operation) in part.operations() {
            match M::register_call(&operation.op, operation.ret.as_ref()) {
                RegisterCall::Read(value) => {
                    let number = group_of(value).ok_or_else(|| Halt::conflict([Some(place)]))?;
                    let span = Span::of(operation, 1)?;
                    let group = &mut groups[number as usize];
                    group.first_return = group.first_return.min((span.to, Some(place)));
                    group.last_invocation = group.last_invocation.max((span.from, Some(place)));
                }
                RegisterCall::Swap(found, written) => {
                    let number = of_value[written] as usize;
                    groups[number].follows = group_of(found).map_or(Follows::Missing, Follows::Group);
                }
                RegisterCall::Write(_) | RegisterCall::Nothing | RegisterCall::Other => {}
            }
        }
        Ok(Groups(groups))
    }

    fn get(&self, number: u32) -> &Group {
        &self.0[number as usize]
    }

    /// Finds out what has happened, and what comes next after each group.
    fn link(&mut self) -> Result<(), Halt> {
        let mut happened: Vec<u32> = Vec::new();
        for (group, number) in self.0.iter_mut().zip(0..) {
            if group.span.to != NEVER || group.is_read() {
                group.has_happened = true;
                happened.push(number);
            }
        }
        while let Some(number) = happened.pop() {
            match self.get(number).follows {
                Follows::Nothing => {}
                Follows::Missing => return Err(Halt::conflict(self.grounds(number))),
                Follows::Group(before) => {
                    let group = &mut self.0[before as usize];
                    if let Some(rival) = group.next.replace(number) {
                        let grounds = [self.grounds(rival), self.grounds(number)];
                        return Err(Halt::conflict(grounds.concat()));
                    }
                    if !std::mem::replace(&mut group.has_happened, true) {
                        happened.push(before);
                    }
                }
            }
        }
        Ok(())
    }

    /// The zone of each chain, if its groups may come one after the other.
    fn zones(&mut self) -> Result<Vec<Zone>, Halt> {
        let mut zones = Vec::new();
        for first in (0..).take(self.0.len()) {
            let group = self.get(first);
            if group.has_happened && group.follows == Follows::Nothing {
                zones.push(self.zone(first)?);
            }
        }
        let is_loose = |group: &Group| group.has_happened && !group.is_in_chain;
        match (0..).zip(&self.0).find(|(_, group)| is_loose(group)) {
            // Compare-and-sets in a circle.
            Some((number, _)) => Err(Halt::conflict(self.grounds(number))),
            None => Ok(zones),
        }
    }

    fn zone(&mut self, first: u32) -> Result<Zone, Halt> {
        let mut zone = Zone {
            first_return: (NEVER, None),
            last_invocation: (0, None),
            first,
        };
        let mut next = Some(first);
        while let Some(number) = next {
            let group = &mut self.0[number as usize];
            group.is_in_chain = true;
            next = group.next;
            let head = [(group.span.from, group.head), (group.span.to, group.head)];
            for [last_invocation, first_return] in [head, [group.last_invocation, group.first_return]] {
                if first_return.0 < zone.last_invocation.0 {
                    let late = [first_return.1, zone.last_invocation.1];
                    return Err(Halt::conflict(self.heads(first).chain(late)));
                }
                zone.last_invocation = zone.last_invocation.max(last_invocation);
                zone.first_return = zone.first_return.min(first_return);
            }
        }
        Ok(zone)
    }

    /// Holds the zones against each other.
    fn hold(&self, zones: Vec<Zone>) -> Result<(), Halt> {
        let (mut forward, backward): (Vec<Zone>, Vec<Zone>) = zones
            .into_iter()
            .partition(|zone| zone.first_return.0 < zone.last_invocation.0);
        forward.sort_unstable_by_key(|zone| zone.first_return);
        for pair in forward.windows(2) {
            if pair[1].first_return.0 < pair[0].last_invocation.0 {
                return Err(self.overlap(&pair[0], &pair[1]));
            }
        }
        for zone in &backward {
            let begun = forward.partition_point(|other| other.first_return.0 < zone.last_invocation.0);
            // Those before it have ended when it begins.
            if let Some(last) = begun.checked_sub(1).map(|last| &forward[last])
                && zone.first_return.0 < last.last_invocation.0
            {
                return Err(self.overlap(last, zone));
            }
        }
        Ok(())
    }

    fn overlap(&self, one: &Zone, other: &Zone) -> Halt {
        let of = |zone: &Zone| {
            let ends = [zone.first_return.1, zone.last_invocation.1];
            self.heads(zone.first).chain(ends)
        };
        Halt::conflict(of(one).chain(of(other)).collect::<Vec<_>>())
    }

    /// Who wrote the values of a chain, and what shows that they did.
    fn heads(&self, first: u32) -> impl Iterator<Item = Option<u32>> {
        std::iter::successors(Some(first), |number| self.get(*number).next)
            .flat_map(|number| self.get(number).evidence())
    }

    /// Why a group is there: what it follows, back to the beginning; and if nobody knows whether it happened, what shows that it did.
    fn grounds(&self, number: u32) -> Vec<Option<u32>> {
        let mut grounds = Vec::new();
        let mut before = number;
        // No further than once around, if they go in a circle.
        for _ in 0..self.0.len() {
            let group = self.get(before);
            grounds.extend(group.evidence());
            match group.follows {
                Follows::Group(earlier) => before = earlier,
                Follows::Nothing | Follows::Missing => break,
            }
        }
        let mut after = number;
        for _ in 0..self.0.len() {
            let group = self.get(after);
            grounds.extend(group.evidence());
            match group.next {
                Some(next) if group.span.to == NEVER && !group.is_read() => after = next,
                Some(_) | None => break,
            }
        }
        grounds
    }
}
