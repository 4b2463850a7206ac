//! Stacks, by peeling from the bottom (Lee and Mathur, "Efficient decrease-and-conquer linearizability monitoring", arXiv 2410.04581).
//!
//! - An [item](super::items) without a stay can be taken right after it is put, at one time, whatever else is there. It is left out.
//! - At a time in no stay of the others the history is [cut](super::items). There is an order if and only if there is one of each piece:
//!   everything in an earlier piece was invoked before anything in a later one returned. A take that found nothing comes in at such a cut.
//! - In a piece every time between its first stay's beginning `m` and its last one's end `n` is in some stay. So in any order something is
//!   there all that time, and the item that lies at the bottom is the same throughout: its put was invoked by `m`, and its take returned at
//!   `n` or later. On the other hand, an item for which that holds can be put before and taken after all others of the piece, as no
//!   return is earlier than `m` and no invocation is later than `n`. If the others have an order, there is one with it at the bottom. So
//!   any such item is taken away, and what is left falls into pieces. If there is none, there is no order.
//!
//! As pieces get smaller `m` only grows, so an item whose put was invoked early enough once stays so. Each item is taken away once, and each
//! time becomes a cut once; trees find the items, and the cuts, in O(log n).

use super::items::{ContainerCalls, Item, Items, Ranks, covering, rank};
use super::trees::{Candidate, Candidates, Coverage};
use super::{Halt, Part};
use std::ops::Range;

/// How many items are taken away from one look at the limits to the next.
const ITEMS_PER_LOOK: usize = 4096;

pub(super) fn judge<M: ContainerCalls>(part: &Part<'_, M>) -> Result<(), Halt> {
    let (items, _) = Items::of(part)?;
    part.look_at_limits()?;
    items.without_pending(|items| {
        items.empties()?;
        part.look_at_limits()?;
        let mut peeling = Peeling::new(items);
        let mut peeled = 0_usize;
        while peeling.peel()? {
            peeled += 1;
            if peeled.is_multiple_of(ITEMS_PER_LOOK) {
                part.look_at_limits()?;
            }
        }
        Ok(())
    })
}

struct Peeling<'a> {
    /// Those that have a stay, in the order in which those begin.
    items: Vec<&'a Item>,
    /// The stays, counted in the times at which any of them begins or ends.
    stays: Vec<Ranks>,
    candidates: Candidates,
    coverage: Coverage,
    /// How many stays begin before each time.
    begun: Vec<usize>,
    /// Items that may be there together with others of the same range only.
    pieces: Vec<Range<usize>>,
}

impl<'a> Peeling<'a> {
    fn new(all: &'a Items) -> Self {
        let mut items: Vec<&Item> = all.items.iter().filter(|item| item.has_stay()).collect();
        items.sort_by_key(|item| item.put.to);
        let stays = stays(&items, all.times);
        let times = stays.iter().map(|stay| stay.to as usize + 1).max().unwrap_or(0);
        let mut begun = vec![0; times + 1];
        for stay in &stays {
            begun[stay.from as usize + 1] += 1;
        }
        for time in 1..begun.len() {
            begun[time] += begun[time - 1];
        }
        let candidates = items.iter().map(|item| Candidate {
            waits_for: item.put.from,
            lasts_until: item.take.to,
            stays_until: item.take.from,
        });
        let mut peeling = Peeling {
            candidates: Candidates::new(candidates),
            coverage: Coverage::new(times, &stays),
            items,
            stays,
            begun,
            pieces: Vec::new(),
        };
        peeling.cut(0..peeling.items.len(), 0..times);
        peeling
    }

    /// Takes an item away that may lie at the bottom of its piece; `false` where none is left.
    fn peel(&mut self) -> Result<bool, Halt> {
        loop {
            let Some(piece) = self.pieces.pop() else {
                return Ok(false);
            };
            let Some(end) = self.candidates.end(piece.clone()) else {
                continue;
            };
            let first = self
                .candidates
                .first(piece.clone())
                .expect("something is left if it ends");
            self.candidates.admit(piece.clone(), self.items[first].put.to);
            let Some(bottom) = self.candidates.lasting(piece.clone(), end) else {
                return Err(self.conflict(piece));
            };
            self.candidates.remove(bottom);
            let stay = self.stays[bottom];
            let within = stay.from as usize + 1..stay.to as usize;
            self.coverage.remove(within.clone());
            self.cut(piece, within);
            return Ok(true);
        }
    }

    /// Cuts a piece at each of `times` that is in no stay.
    fn cut(&mut self, piece: Range<usize>, times: Range<usize>) {
        let mut from = piece.start;
        let (begun, pieces) = (&self.begun, &mut self.pieces);
        self.coverage.take_vacant(times, |time| {
            let to = begun[time];
            if from < to {
                pieces.push(from..to);
                from = to;
            }
        });
        if from < piece.end {
            self.pieces.push(from..piece.end);
        }
    }

    /// Few items of a piece none of which may lie at the bottom, with stays that follow each other without a gap from the first to the
    /// last: those of them all are no longer, so none of the few may lie at the bottom of these alone.
    fn conflict(&self, piece: Range<usize>) -> Halt {
        let left = piece.filter(|place| self.candidates.is_left(*place));
        let left: Vec<(u32, &Item)> = left.map(|place| (rank(place), self.items[place])).collect();
        let span = Ranks {
            from: left.iter().map(|(_, item)| item.put.to + 1).min().unwrap_or(0),
            to: left.iter().map(|(_, item)| item.take.from - 1).max().unwrap_or(0),
        };
        let chain = covering(left.into_iter(), span, |_| true);
        let chain = chain.into_iter().map(|place| self.items[place as usize]);
        Halt::conflict(chain.flat_map(Item::places))
    }
}

/// The stays of `items`, counted in the times at which any of them begins or ends.
fn stays(items: &[&Item], times: u32) -> Vec<Ranks> {
    let mut counted = vec![0_u32; times as usize];
    for item in items {
        counted[item.put.to as usize] = 1;
        counted[item.take.from as usize] = 1;
    }
    let mut before = 0;
    for time in &mut counted {
        before += std::mem::replace(time, before);
    }
    let counted = |time: u32| counted[time as usize];
    let stay = |item: &&Item| Ranks {
        from: counted(item.put.to),
        to: counted(item.take.from),
    };
    items.iter().map(stay).collect()
}
