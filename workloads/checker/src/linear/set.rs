//! Sets, whose elements are added and removed at most once each.
//!
//! What an element is found to be depends on its own add and remove alone, so where nobody reads all elements at once each is looked at
//! apart. All that find it there lie between its add and its remove. So the add takes effect at the latest at `a`, the least return of it, of its
//! remove and of those; and the remove at the earliest at `r`, the greatest invocation of it, of the add and of those. The element is there
//! for certain from `a` to `r`, both left out (its *window*), and who does not find it there must not lie within. That is enough: where
//! `a < r` take these two times. Otherwise let both be at `r`, the add first, and all that find it there in between; each of the others fits
//! before if it was invoked by `r`, else after.
//!
//! A remove that did not say whether the element was there may also have come before the add, as if it had found it absent; one that nobody
//! knows the outcome of need not have happened. So there may be two ways, with a remove and without, and it is enough if one of them is.
//!
//! An add that nobody knows the outcome of happened, without end, if the element was found; otherwise it need not have.
//! Reads of all elements are in [`grown`](super::grown).

use super::{Halt, NEVER, Part, Span, grown};
use crate::model::Model;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::hash::Hash;

/// What a call of a set is to its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetCall<'a, V: Ord> {
    /// It added this, or may have.
    Add(&'a V),
    /// It removed this if it was there, or may have.
    Remove(&'a V),
    /// It removed this, which was there.
    Removed(&'a V),
    /// It found that this was there, or was not, and left it so.
    Found(&'a V, bool),
    /// It found these and no others.
    All(&'a BTreeSet<V>),
    /// It changes nothing, and nobody saw what it found.
    Nothing,
    /// Anything else.
    Other,
}

/// A set, as its engine has to know it.
pub trait SetCalls: Model {
    /// What it holds.
    type Element: Ord + Hash;

    /// What it holds in this state.
    fn held(&self) -> Vec<&Self::Element>;

    /// What `op` is that returned `ret`, or of which nobody learned what it returned (`None`).
    fn set_call<'a>(op: &'a Self::Op, ret: Option<&'a Self::Ret>) -> SetCall<'a, Self::Element>;
}

/// A time, and the operation that was invoked or returned then; none where it is what the set held at first.
pub(super) type Event = (u64, Option<u32>);

#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) place: Option<u32>,
    pub(super) span: Span,
}

impl Change {
    fn invocation(self) -> Event {
        (self.span.from, self.place)
    }

    fn end(self) -> Event {
        (self.span.to, self.place)
    }
}

/// The times between which an element is there.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Event,
    to: Event,
}

#[derive(Clone, Debug)]
pub(super) struct Element {
    pub(super) add: Option<Change>,
    pub(super) remove: Option<Change>,
    /// Whether the remove said that the element was there.
    was_there: bool,
    /// Of those that found it there, the remove included if it did.
    pub(super) first_return: Event,
    last_invocation: Event,
    /// Without a remove, and with it, as long as that may be.
    ways: [Option<Window>; 2],
    /// Who showed that it may not.
    absent: [Option<u32>; 2],
}

impl Element {
    fn new() -> Element {
        Element {
            add: None,
            remove: None,
            was_there: false,
            first_return: (NEVER, None),
            last_invocation: (0, None),
            ways: [None; 2],
            absent: [None; 2],
        }
    }

    /// The add, if it need have happened.
    pub(super) fn added(&self) -> Option<Change> {
        self.add
            .filter(|add| add.span.to != NEVER || self.first_return.1.is_some())
    }

    fn found(&mut self, place: u32, span: Span) {
        self.first_return = self.first_return.min((span.to, Some(place)));
        self.last_invocation = self.last_invocation.max((span.from, Some(place)));
    }

    /// Finds its windows; `false` where there is no way. It was added.
    fn find_ways(&mut self, add: Change) -> bool {
        if self.first_return.0 < add.span.from {
            return false;
        }
        let latest = add.end().min(self.first_return);
        let need_not_remove = |remove: Change| remove.span.to == NEVER || remove.span.from <= latest.0;
        if !self.was_there && self.remove.is_none_or(need_not_remove) {
            let to = (NEVER, None);
            self.ways[0] = Some(Window { from: latest, to });
        }
        if let Some(remove) = self.remove {
            let earliest = remove
                .invocation()
                .max(add.invocation())
                .max(self.last_invocation);
            let is_possible = add.span.from.max(self.last_invocation.0) <= remove.span.to;
            let from = latest.min(remove.end());
            self.ways[1] = is_possible.then_some(Window { from, to: earliest });
        }
        self.has_way()
    }

    fn has_way(&self) -> bool {
        self.ways.iter().any(Option::is_some)
    }

    /// It was not there at some time in `span`; `false` where there is no way left.
    fn lacked(&mut self, place: u32, span: Span) -> bool {
        for (way, absent) in self.ways.iter_mut().zip(&mut self.absent) {
            if way.is_some_and(|window| window.from.0 < span.from && span.to < window.to.0) {
                (*way, *absent) = (None, Some(place));
            }
        }
        self.has_way()
    }

    fn conflict(&self) -> Halt {
        let changes = [self.add, self.remove]
            .into_iter()
            .flatten()
            .map(|change| change.place);
        let seen = [self.first_return.1, self.last_invocation.1];
        Halt::conflict(changes.chain(seen).chain(self.absent))
    }
}

/// The elements of a history, by what they are.
pub(super) struct Elements<'a, V> {
    pub(super) numbers: FxHashMap<&'a V, u32>,
    pub(super) elements: Vec<Element>,
}

impl<'a, V: Eq + Hash> Elements<'a, V> {
    pub(super) fn get(&self, element: &V) -> Option<&Element> {
        self.numbers
            .get(element)
            .map(|number| &self.elements[*number as usize])
    }

    fn entry(&mut self, element: &'a V) -> &mut Element {
        let next = u32::try_from(self.elements.len()).expect("fewer operations are in memory at once");
        let number = *self.numbers.entry(element).or_insert(next);
        if number == next {
            self.elements.push(Element::new());
        }
        &mut self.elements[number as usize]
    }
}

/// A read of all elements.
pub(super) struct Read<'a, V> {
    pub(super) place: u32,
    pub(super) span: Span,
    pub(super) found: &'a BTreeSet<V>,
}

pub(super) fn judge<M: SetCalls>(part: &Part<'_, M>) -> Result<(), Halt> {
    let (mut elements, reads) = collect(part)?;
    part.look_at_limits()?;
    for element in &elements.elements {
        if let (None, Some(place)) = (element.add, element.first_return.1) {
            return Err(Halt::conflict([Some(place)]));
        }
    }
    if !reads.is_empty() {
        return grown::judge(part, &elements, reads);
    }
    for element in &mut elements.elements {
        if let Some(add) = element.added()
            && !element.find_ways(add)
        {
            return Err(element.conflict());
        }
    }
    part.look_at_limits()?;
    for (place, operation) in part.operations() {
        if let SetCall::Found(element, false) = M::set_call(&operation.op, operation.ret.as_ref()) {
            let element = elements.entry(element);
            if element.added().is_some() && !element.lacked(place, Span::of(operation, 1)?) {
                return Err(element.conflict());
            }
        }
    }
    Ok(())
}

/// What was done to each element, and the reads of all.
type Collected<'a, V> = (Elements<'a, V>, Vec<Read<'a, V>>);

fn collect<'a, M: SetCalls>(part: &Part<'a, M>) -> Result<Collected<'a, M::Element>, Halt> {
    let (numbers, mut reads) = (FxHashMap::default(), Vec::new());
    let mut elements = Elements {
        numbers,
        elements: Vec::new(),
    };
    for element in part.init.held() {
        let span = Span { from: 0, to: 0 };
        elements.entry(element).add = Some(Change { place: None, span });
    }
    for (place, operation) in part.operations() {
        let span = Span::of(operation, 1)?;
        let change = Change {
            place: Some(place),
            span,
        };
        match M::set_call(&operation.op, operation.ret.as_ref()) {
            SetCall::Add(element) => {
                if elements.entry(element).add.replace(change).is_some() {
                    return Err(Halt::Unqualified("an element is added more than once"));
                }
            }
            call @ (SetCall::Remove(element) | SetCall::Removed(element)) => {
                let element = elements.entry(element);
                if element.remove.replace(change).is_some() {
                    return Err(Halt::Unqualified("an element is removed more than once"));
                }
                if matches!(call, SetCall::Removed(_)) {
                    element.was_there = true;
                    element.found(place, span);
                }
            }
            SetCall::Found(element, true) => elements.entry(element).found(place, span),
            SetCall::All(found) => reads.push(Read { place, span, found }),
            SetCall::Found(_, false) | SetCall::Nothing => {}
            SetCall::Other => return Err(Halt::Unqualified("an operation is not about elements")),
        }
    }
    Ok((elements, reads))
}
