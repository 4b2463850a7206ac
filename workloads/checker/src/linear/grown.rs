//! Sets that only grow, and are read as a whole.
//!
//! Of two different reads the smaller one came first, and must be part of the larger one. So the reads are in order, those that found the
//! same in a *group*. An element that is first found by a group was added just before it, after the group before; one that no read
//! found, after all of them. What else found an element to be there came after its add, what found it absent before.
//!
//! That is all that is asked for, so it is a matter of walking once through these: each operation takes effect no earlier than those
//! that have to come before it were invoked, and there is an order if and only if none has returned by then.

use super::set::{Change, Element, Elements, Read, SetCall, SetCalls};
use super::{Halt, Part, Span};
use crate::model::Model;
use std::hash::Hash;

/// No read found it.
const UNREAD: u32 = u32::MAX;

/// What is to come before something else: when it was invoked, by its place, and the element that it is about if it is no read.
type Earlier = (u64, Option<u32>, Option<u32>);

pub(super) fn judge<M: SetCalls>(
    part: &Part<'_, M>,
    elements: &Elements<'_, M::Element>,
    mut reads: Vec<Read<'_, M::Element>>,
) -> Result<(), Halt> {
    if elements.elements.iter().any(|element| element.remove.is_some()) {
        return Err(Halt::Unqualified("all elements are read, and some are removed"));
    }
    reads.sort_by_key(|read| read.found.len());
    let mut last_absent = vec![(0, None); elements.elements.len()];
    for (place, operation) in part.operations() {
        if let SetCall::Found(element, false) = M::set_call(&operation.op, operation.ret.as_ref())
            && let Some(number) = elements.numbers.get(element)
        {
            let last = &mut last_absent[*number as usize];
            *last = (*last).max((Span::of(operation, 1)?.from, Some(place)));
        }
    }
    let grown = Grown::new(elements, reads, part)?;
    part.look_at_limits()?;
    grown.walk(&last_absent)
}

struct Grown<'a, V: Ord> {
    elements: &'a Elements<'a, V>,
    reads: Vec<Read<'a, V>>,
    /// The places among the reads at which groups begin, and their number.
    groups: Vec<usize>,
    /// The first group that found each element.
    first: Vec<u32>,
}

impl<'a, V: Ord + Hash> Grown<'a, V> {
    /// Puts elements and reads in their order.
    fn new<M: Model>(
        elements: &'a Elements<'a, V>,
        reads: Vec<Read<'a, V>>,
        part: &Part<'_, M>,
    ) -> Result<Self, Halt> {
        let first = vec![UNREAD; elements.elements.len()];
        let mut grown = Grown {
            elements,
            reads,
            groups: Vec::new(),
            first,
        };
        let mut found = 0;
        for place in 0..grown.reads.len() {
            part.look_at_limits()?;
            let read = &grown.reads[place];
            if place == 0 || grown.reads[place - 1].found.len() < read.found.len() {
                grown.groups.push(place);
            }
            let group = number(grown.groups.len() - 1);
            for element in read.found {
                let number = elements
                    .numbers
                    .get(element)
                    .ok_or_else(|| Halt::conflict([Some(read.place)]))?;
                let number = *number as usize;
                if elements.elements[number].add.is_none() {
                    return Err(Halt::conflict([Some(read.place)]));
                }
                if grown.first[number] == UNREAD {
                    grown.first[number] = group;
                    found += 1;
                }
            }
            if found != read.found.len() {
                return Err(grown.lacking(place));
            }
        }
        Ok(grown)
    }

    /// The read at `place` lacks what one before it found, which is no larger.
    fn lacking(&self, place: usize) -> Halt {
        let read = &self.reads[place];
        let smaller = self.reads[..place]
            .iter()
            .find(|smaller| !smaller.found.is_subset(read.found));
        self.conflict(
            [Some(read.place), smaller.map(|smaller| smaller.place)]
                .into_iter()
                .collect(),
        )
    }

    fn walk(&self, last_absent: &[(u64, Option<u32>)]) -> Result<(), Halt> {
        let mut stages: Vec<(u32, u32)> = (0..)
            .zip(&self.first)
            .map(|(number, first)| (*first, number))
            .collect();
        stages.sort_unstable();
        let mut stages = stages.into_iter().peekable();
        let mut earliest: Earlier = (0, None, None);
        for (group, from) in self.groups.iter().enumerate() {
            let mut latest = earliest;
            while let Some((_, element)) = stages.next_if(|(first, _)| *first == number(group)) {
                latest = latest.max(self.add(element, earliest, last_absent)?);
            }
            let to = self.groups.get(group + 1).copied().unwrap_or(self.reads.len());
            earliest = latest;
            for read in &self.reads[*from..to] {
                if read.span.to < latest.0 {
                    return Err(self.too_late(latest, Some(read.place), None));
                }
                earliest = earliest.max((read.span.from, Some(read.place), None));
            }
        }
        for (_, element) in stages {
            self.add(element, earliest, last_absent)?;
        }
        Ok(())
    }

    /// When an element was added at the earliest, after what is `earlier`.
    fn add(
        &self,
        number: u32,
        earlier: Earlier,
        last_absent: &[(u64, Option<u32>)],
    ) -> Result<Earlier, Halt> {
        let element = &self.elements.elements[number as usize];
        let is_read = self.first[number as usize] != UNREAD;
        let Some(add) = element.add.filter(|_| is_read || element.added().is_some()) else {
            return Ok(earlier);
        };
        let (absent, by) = last_absent[number as usize];
        let about = Some(number);
        let earliest = earlier
            .max((add.span.from, add.place, about))
            .max((absent, by, about));
        for (time, place) in [(add.span.to, add.place), element.first_return] {
            if time < earliest.0 {
                return Err(self.too_late(earliest, place, about));
            }
        }
        Ok(earliest)
    }

    /// What is at `place`, and `about` an element if it is no read, returned before what has to be `earlier` was invoked.
    fn too_late(&self, (_, earlier, of): Earlier, place: Option<u32>, about: Option<u32>) -> Halt {
        let mut places = vec![earlier, place];
        for number in [of, about].into_iter().flatten() {
            places.push(self.element(number).add.and_then(|add| add.place));
        }
        // Of two elements a read shows which was added first.
        if let (Some(of), Some(about)) = (of, about)
            && of != about
            && let Some(group) = self.groups.get(self.first[of as usize] as usize)
        {
            places.push(Some(self.reads[*group].place));
        }
        self.conflict(places)
    }

    fn element(&self, number: u32) -> &Element {
        &self.elements.elements[number as usize]
    }

    /// Of these, together with the adds of all that reads among them found.
    fn conflict(&self, mut places: Vec<Option<u32>>) -> Halt {
        let reads = self
            .reads
            .iter()
            .filter(|read| places.contains(&Some(read.place)));
        let found: Vec<&V> = reads.flat_map(|read| read.found).collect();
        for element in found {
            let add: Option<Change> = self.elements.get(element).and_then(|element| element.add);
            places.push(add.and_then(|add| add.place));
        }
        Halt::conflict(places)
    }
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("fewer operations are in memory at once")
}
