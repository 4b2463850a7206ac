//! The longest prefixes of a history that have an order.
//!
//! A depth-first search in the manner of Wing and Gong (1993), with Lowe's memory of what was tried (2017): from the first event on, an
//! operation that is open may take effect next; at the return of one that has not there is no way on. What was tried is remembered
//! by a sum of random numbers, one an operation, and the state's hash: a collision would only leave an order untried.

use super::case::{Case, Course};
use crate::order::sort_places;
use rustc_hash::FxHashSet;

/// How many orders are kept.
const ORDERS_MAX: usize = 4;
/// How many steps the search may take, and so many more for each operation.
const STEPS_MAX: usize = 200_000;
const STEPS_PER_OPERATION: usize = 8;
/// How many steps there are from one look at the clock to the next.
const STEPS_PER_LOOK: usize = 1024;

/// Orders of the operations at `places`, each as long as any that was found, the longest first. They end in different states, or
/// before different returns.
pub(super) fn longest(case: &dyn Case, places: &[usize]) -> Vec<Vec<usize>> {
    let mut search = Search::new(case, places);
    let steps_max = STEPS_MAX + STEPS_PER_OPERATION * places.len();
    for step in 0..steps_max {
        if step % STEPS_PER_LOOK == 0 && case.is_stopped() {
            break;
        }
        if !search.advance() {
            break;
        }
    }
    search.keep();
    search.best.into_iter().map(|best| best.order).collect()
}

struct Taken {
    /// The place among the places.
    operation: usize,
    /// Whether something else may take effect in its stead.
    has_alternative: bool,
    /// The event after which alternatives are.
    event: usize,
}

struct Best {
    /// Where there was no way on, and in which state.
    end: (usize, u64),
    order: Vec<usize>,
}

struct Search<'a> {
    case: &'a dyn Case,
    places: &'a [usize],
    /// Invocations (`2i`) and returns (`2i + 1`), in time order.
    events: Vec<usize>,
    /// Doubly linked: the events of operations that have not taken effect. The last place is the head.
    next: Vec<usize>,
    previous: Vec<usize>,
    /// Where the invocation and the return of each operation are among the events.
    at: Vec<[Option<usize>; 2]>,
    taken: Vec<Taken>,
    course: Box<dyn Course + 'a>,
    sum: u64,
    tried: FxHashSet<u64>,
    /// Where the walk is.
    cursor: usize,
    best: Vec<Best>,
}

impl<'a> Search<'a> {
    fn new(case: &'a dyn Case, places: &'a [usize]) -> Self {
        let mut events: Vec<usize> = Vec::with_capacity(2 * places.len());
        for (number, place) in places.iter().enumerate() {
            events.push(2 * number);
            if !case.span(*place).is_lost {
                events.push(2 * number + 1);
            }
        }
        // Of events at one time invocations come first: intervals are closed.
        sort_places(&mut events, &|event| {
            let span = case.span(places[event / 2]);
            match event % 2 {
                0 => (span.invoked, 0),
                _ => (span.returned, 1),
            }
        });
        let head = events.len();
        let mut at = vec![[None; 2]; places.len()];
        for (place, event) in events.iter().enumerate() {
            at[event / 2][event % 2] = Some(place);
        }
        Search {
            case,
            places,
            next: (0..=head)
                .map(|event| if event == head { 0 } else { event + 1 })
                .collect(),
            previous: (0..=head)
                .map(|event| if event == 0 { head } else { event - 1 })
                .collect(),
            at,
            cursor: 0,
            events,
            taken: Vec::new(),
            course: case.course(),
            sum: 0,
            tried: FxHashSet::default(),
            best: Vec::new(),
        }
    }

    /// One step of the walk; `false` when everything was tried, or everything has taken effect.
    fn advance(&mut self) -> bool {
        let head = self.events.len();
        if self.cursor == head {
            // Only what need not take effect is left.
            return false;
        }
        let (number, is_return) = (self.events[self.cursor] / 2, self.events[self.cursor] % 2 == 1);
        if is_return {
            self.keep();
            return self.back();
        }
        if !self.course.take(self.places[number]) {
            self.cursor = self.next[self.cursor];
            return true;
        }
        let sum = self.sum.wrapping_add(random(number));
        if !self.tried.insert(sum ^ mix(self.course.hash())) {
            self.course.take_back();
            self.cursor = self.next[self.cursor];
            return true;
        }
        self.taken.push(Taken {
            operation: number,
            has_alternative: !self.case.is_read_only(self.places[number]),
            event: self.cursor,
        });
        self.sum = sum;
        self.unlink(number);
        self.cursor = self.next[head];
        true
    }

    /// Takes back the last operation that something else could have come before.
    fn back(&mut self) -> bool {
        while let Some(taken) = self.taken.pop() {
            self.link(taken.operation);
            self.sum = self.sum.wrapping_sub(random(taken.operation));
            self.course.take_back();
            if taken.has_alternative {
                self.cursor = self.next[taken.event];
                return true;
            }
        }
        false
    }

    /// Keeps the present order if it is as long as those known, or longer.
    fn keep(&mut self) {
        let length = self.taken.len();
        if length == 0 {
            return;
        }
        let longest = self.best.first().map_or(0, |best| best.order.len());
        let end = (self.cursor, mix(self.course.hash()));
        if length > longest {
            self.best.clear();
        } else if length < longest
            || self.best.len() == ORDERS_MAX
            || self.best.iter().any(|best| best.end == end)
        {
            return;
        }
        let order = self.taken.iter().map(|taken| self.places[taken.operation]);
        self.best.push(Best {
            end,
            order: order.collect(),
        });
    }

    fn unlink(&mut self, number: usize) {
        for event in self.at[number].into_iter().flatten() {
            let (previous, next) = (self.previous[event], self.next[event]);
            self.next[previous] = next;
            self.previous[next] = previous;
        }
    }

    fn link(&mut self, number: usize) {
        for event in self.at[number].into_iter().rev().flatten() {
            let (previous, next) = (self.previous[event], self.next[event]);
            self.next[previous] = event;
            self.previous[next] = event;
        }
    }
}

/// A number for an operation, always the same, that looks like no other's.
fn random(number: usize) -> u64 {
    mix(number as u64 + 1)
}

/// The finalizer of SplitMix64: each bit of the result depends on each bit of `value`.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
