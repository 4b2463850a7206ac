//! Segment trees: over items, and over times.

use super::items::Ranks;
use std::ops::Range;

/// What may lie at the bottom of a stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// It may when its piece begins at this time or later.
    pub(super) waits_for: u32,
    /// And ends at this time or earlier.
    pub(super) lasts_until: u32,
    /// When its own stay ends.
    pub(super) stays_until: u32,
}

/// Of the candidates below.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// The least that those wait for that still do.
    waits_for: Option<u32>,
    /// The greatest until which those last that don't wait.
    lasts_until: Option<u32>,
    /// The greatest until which any of them stays.
    stays_until: Option<u32>,
}

const NOBODY: Node = Node {
    waits_for: None,
    lasts_until: None,
    stays_until: None,
};

impl Node {
    fn of(one: Node, other: Node) -> Node {
        Node {
            waits_for: match (one.waits_for, other.waits_for) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
            lasts_until: one.lasts_until.max(other.lasts_until),
            stays_until: one.stays_until.max(other.stays_until),
        }
    }
}

/// Candidates in the order in which their stays begin. They wait at first.
#[derive(Debug)]
pub(super) struct Candidates {
    /// The children of the node `n` are `2n` and `2n + 1`; the leaves are the last half.
    nodes: Vec<Node>,
    candidates: Vec<Candidate>,
}

impl Candidates {
    pub(super) fn new(candidates: impl Iterator<Item = Candidate>) -> Self {
        let candidates: Vec<Candidate> = candidates.collect();
        let leaves = candidates.len().next_power_of_two();
        let mut nodes = vec![NOBODY; 2 * leaves];
        for (leaf, candidate) in nodes[leaves..].iter_mut().zip(&candidates) {
            leaf.waits_for = Some(candidate.waits_for);
            leaf.stays_until = Some(candidate.stays_until);
        }
        for node in (1..leaves).rev() {
            nodes[node] = Node::of(nodes[2 * node], nodes[2 * node + 1]);
        }
        Candidates { nodes, candidates }
    }

    fn leaves(&self) -> usize {
        self.nodes.len() / 2
    }

    pub(super) fn is_left(&self, place: usize) -> bool {
        self.nodes[self.leaves() + place].stays_until.is_some()
    }

    /// When the last stay among those in `range` ends.
    pub(super) fn end(&self, range: Range<usize>) -> Option<u32> {
        let (mut from, mut to) = (range.start + self.leaves(), range.end + self.leaves());
        let mut end = None;
        while from < to {
            if from % 2 == 1 {
                end = end.max(self.nodes[from].stays_until);
                from += 1;
            }
            if to % 2 == 1 {
                to -= 1;
                end = end.max(self.nodes[to].stays_until);
            }
            from /= 2;
            to /= 2;
        }
        end
    }

    /// The first in `range` that is left.
    pub(super) fn first(&self, range: Range<usize>) -> Option<usize> {
        self.find(range, |node| node.stays_until.is_some())
    }

    /// Those in `range` that wait for a time up to `begin` wait no longer.
    pub(super) fn admit(&mut self, range: Range<usize>, begin: u32) {
        let is_due = |node: &Node| node.waits_for.is_some_and(|time| time <= begin);
        while let Some(place) = self.find(range.clone(), is_due) {
            let lasts_until = Some(self.candidates[place].lasts_until);
            self.change(place, |node| {
                (node.waits_for, node.lasts_until) = (None, lasts_until);
            });
        }
    }

    /// One in `range` that does not wait, and lasts until `end`.
    pub(super) fn lasting(&self, range: Range<usize>, end: u32) -> Option<usize> {
        self.find(range, |node| node.lasts_until.is_some_and(|time| time >= end))
    }

    pub(super) fn remove(&mut self, place: usize) {
        self.change(place, |node| *node = NOBODY);
    }

    fn change(&mut self, place: usize, change: impl Fn(&mut Node)) {
        let mut node = place + self.leaves();
        change(&mut self.nodes[node]);
        while node > 1 {
            node /= 2;
            self.nodes[node] = Node::of(self.nodes[2 * node], self.nodes[2 * node + 1]);
        }
    }

    /// The first place in `range` for which `holds`; which holds for a node if it does for any below.
    fn find(&self, range: Range<usize>, holds: impl Fn(&Node) -> bool) -> Option<usize> {
        let leaves = self.leaves();
        let mut node = range.start + leaves;
        if range.is_empty() {
            return None;
        }
        // Up and to the right until some node has it, then down to the first one.
        loop {
            while node.is_multiple_of(2) {
                node /= 2;
            }
            if holds(&self.nodes[node]) {
                break;
            }
            node += 1;
            if node.is_power_of_two() {
                return None;
            }
        }
        while node < leaves {
            node *= 2;
            if !holds(&self.nodes[node]) {
                node += 1;
            }
        }
        Some(node - leaves).filter(|place| *place < range.end)
    }
}

/// Greater than any number of stays, and what is left of it when so many are taken off.
const TAKEN: i64 = 1 << 40;

/// In how many stays each time is.
#[derive(Debug)]
pub(super) struct Coverage {
    /// Of each node the least below it, less what is added to those above.
    least: Vec<i64>,
    added: Vec<i64>,
    leaves: usize,
}

impl Coverage {
    /// Of `times`; a stay covers those between its ends.
    pub(super) fn new(times: usize, stays: &[Ranks]) -> Self {
        let leaves = times.next_power_of_two();
        let mut least = vec![0; 2 * leaves];
        for stay in stays {
            least[leaves + stay.from as usize + 1] += 1;
            least[leaves + stay.to as usize] -= 1;
        }
        let mut sum = 0;
        for count in &mut least[leaves..] {
            sum += *count;
            *count = sum;
        }
        for node in (1..leaves).rev() {
            least[node] = least[2 * node].min(least[2 * node + 1]);
        }
        Coverage {
            least,
            added: vec![0; leaves],
            leaves,
        }
    }

    /// A stay that covers `times` is gone.
    pub(super) fn remove(&mut self, times: Range<usize>) {
        if !times.is_empty() {
            self.remove_below(1, 0..self.leaves, &times);
        }
    }

    fn remove_below(&mut self, node: usize, of: Range<usize>, times: &Range<usize>) {
        if times.start <= of.start && of.end <= times.end {
            self.least[node] -= 1;
            if node < self.leaves {
                self.added[node] -= 1;
            }
            return;
        }
        let middle = of.start.midpoint(of.end);
        if times.start < middle {
            self.remove_below(2 * node, of.start..middle, times);
        }
        if middle < times.end {
            self.remove_below(2 * node + 1, middle..of.end, times);
        }
        self.pull(node);
    }

    fn pull(&mut self, node: usize) {
        self.least[node] = self.added[node] + self.least[2 * node].min(self.least[2 * node + 1]);
    }

    /// Names those of `times` that are in no stay, from the first to the last: each one once and never again.
    pub(super) fn take_vacant(&mut self, times: Range<usize>, mut named: impl FnMut(usize)) {
        if !times.is_empty() {
            self.take_below(1, 0..self.leaves, &times, 0, &mut named);
        }
    }

    fn take_below(
        &mut self,
        node: usize,
        of: Range<usize>,
        times: &Range<usize>,
        above: i64,
        named: &mut impl FnMut(usize),
    ) {
        if above + self.least[node] > 0 || of.end <= times.start || times.end <= of.start {
            return;
        }
        if node >= self.leaves {
            self.least[node] = TAKEN;
            named(of.start);
            return;
        }
        let above = above + self.added[node];
        let middle = of.start.midpoint(of.end);
        self.take_below(2 * node, of.start..middle, times, above, named);
        self.take_below(2 * node + 1, middle..of.end, times, above, named);
        self.pull(node);
    }
}
