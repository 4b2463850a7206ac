//! Which transaction must come before which, as a graph.

use super::lists::{Lists, NONE};
use super::words::count;

/// Kinds of edges, as bits of a set.
pub(super) const WW: u8 = 1;
pub(super) const WR: u8 = 2;
pub(super) const RW: u8 = 4;
pub(super) const PROCESS: u8 = 8;
pub(super) const REALTIME: u8 = 16;
/// From a point on; what leads to the point decides what it means.
pub(super) const ONWARD: u8 = 32;

/// How many bits of an edge are its kind.
const KIND_BITS: u32 = 3;
/// The most nodes that an edge can name.
const NODES_MAX: usize = 1 << (32 - KIND_BITS);

/// The points at the end of a list that stand for edges between all who saw it and all who appended something after it.
#[derive(Clone, Copy, Debug)]
struct Tail {
    key: u32,
    /// Leads to all who appended something there.
    all: u32,
    /// Leads to those of them who did not read the list before that.
    rest: u32,
}

/// A directed graph. Its first nodes are transactions; the others are points that stand for many edges.
pub(super) struct Graph {
    /// How many nodes are transactions.
    pub(super) transactions: u32,
    starts: Vec<u32>,
    /// The node that each edge leads to, and below that the number of its kind.
    edges: Vec<u32>,
}

impl Graph {
    /// The dependencies of transactions that took effect; `None` where they take more memory than that.
    pub(super) fn of(lists: &Lists<'_>, bytes_max: usize) -> Option<Graph> {
        let plan = Plan::of(lists);
        let mut starts: Vec<u32> = vec![0; plan.nodes + 1];
        let mut total = 0;
        plan.each_edge(|from, _, _| {
            starts[from as usize] += 1;
            total += 1;
        });
        // The search for cycles keeps five numbers of a node.
        if plan.nodes > NODES_MAX || 4 * total + 24 * plan.nodes > bytes_max || u32::try_from(total).is_err()
        {
            return None;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut edges = vec![0; total];
        plan.each_edge(|from, to, kind| {
            let start = &mut starts[from as usize];
            *start -= 1;
            edges[*start as usize] = to << KIND_BITS | kind.trailing_zeros();
        });
        Some(Graph {
            transactions: count(lists.transactions.len()),
            starts,
            edges,
        })
    }

    pub(super) fn nodes(&self) -> usize {
        self.starts.len() - 1
    }

    /// Where the edges of a node are.
    pub(super) fn range(&self, node: u32) -> std::ops::Range<u32> {
        self.starts[node as usize]..self.starts[node as usize + 1]
    }

    /// Where an edge leads, and its kind.
    pub(super) fn edge(&self, edge: u32) -> (u32, u8) {
        let edge = self.edges[edge as usize];
        (edge >> KIND_BITS, 1 << (edge & ((1 << KIND_BITS) - 1)))
    }

    pub(super) fn edges(&self, node: u32) -> impl Iterator<Item = (u32, u8)> + '_ {
        self.range(node).map(|edge| self.edge(edge))
    }

    /// Whether a node is a transaction.
    pub(super) fn is_transaction(&self, node: u32) -> bool {
        node < self.transactions
    }
}

/// What edges are made from.
struct Plan<'a> {
    lists: &'a Lists<'a>,
    nodes: usize,
    tails: Vec<Tail>,
    /// Who saw all that is known of the list of each tail, in order.
    saw_all: Vec<Vec<u32>>,
    /// Of each transaction the point in time after its return, or [`NONE`].
    after: Vec<u32>,
    /// Of each transaction the last point in time before its invocation, or [`NONE`].
    before: Vec<u32>,
    /// Points in time are consecutive nodes.
    times: std::ops::Range<u32>,
    /// Consecutive transactions of a process.
    processes: Vec<(u32, u32)>,
}

impl<'a> Plan<'a> {
    fn of(lists: &'a Lists<'a>) -> Plan<'a> {
        let mut next = count(lists.transactions.len());
        let mut node = || {
            next += 1;
            next - 1
        };
        let mut tails = Vec::new();
        let mut tail_of = vec![NONE; lists.lists.len()];
        for (key, list) in lists.lists.iter().enumerate() {
            if !list.tail.is_empty() {
                tail_of[key] = count(tails.len());
                let (key, all, rest) = (count(key), node(), node());
                tails.push(Tail { key, all, rest });
            }
        }
        let mut saw_all = vec![Vec::new(); tails.len()];
        for read in &lists.reads {
            let tail = tail_of[read.key as usize];
            if tail != NONE && read.seen as usize == lists.lists[read.key as usize].order.len() {
                saw_all[tail as usize].push(read.transaction);
            }
        }
        let mut plan = Plan {
            lists,
            nodes: 0,
            tails,
            saw_all,
            after: vec![NONE; lists.transactions.len()],
            before: vec![NONE; lists.transactions.len()],
            times: next..next,
            processes: Vec::new(),
        };
        plan.place_in_time();
        plan.nodes = plan.times.end as usize;
        plan.find_processes();
        plan
    }

    /// Makes a point in time wherever somebody returned before somebody was invoked.
    fn place_in_time(&mut self) {
        let transactions = self.lists.transactions;
        let took_effect = |it: &u32| self.lists.took_effect[*it as usize];
        let mut invoked: Vec<u32> = (0..count(transactions.len())).filter(took_effect).collect();
        let mut returned: Vec<(u64, u32)> = invoked
            .iter()
            .filter_map(|it| Some((transactions[*it as usize].returned_ok()?, *it)))
            .collect();
        invoked.sort_by_key(|it| transactions[*it as usize].invoked);
        returned.sort_unstable();
        let mut returned = returned.into_iter().peekable();
        let mut point = NONE;
        for transaction in invoked {
            let now = transactions[transaction as usize].invoked;
            let mut is_new = false;
            while let Some((_, earlier)) = returned.next_if(|(time, _)| *time < now) {
                if !is_new {
                    is_new = true;
                    point = self.times.end;
                    self.times.end += 1;
                }
                self.after[earlier as usize] = point;
            }
            self.before[transaction as usize] = point;
        }
    }

    /// Finds which transactions of a process come one after the other.
    fn find_processes(&mut self) {
        let transactions = self.lists.transactions;
        let mut order: Vec<u32> = (0..count(transactions.len()))
            .filter(|it| self.lists.took_effect[*it as usize])
            .collect();
        order.sort_by_key(|it| {
            let transaction = &transactions[*it as usize];
            (transaction.process, transaction.invoked)
        });
        for pair in order.windows(2) {
            let [earlier, later] = [pair[0], pair[1]].map(|it| &transactions[it as usize]);
            let is_before = earlier
                .returned_ok()
                .is_some_and(|returned| returned < later.invoked);
            if earlier.process == later.process && is_before {
                self.processes.push((pair[0], pair[1]));
            }
        }
    }

    /// Calls `emit(from, to, kind)` for each edge; always in the same order.
    fn each_edge(&self, mut emit: impl FnMut(u32, u32, u8)) {
        let mut between = |from: u32, to: u32, kind: u8| {
            if from != to {
                emit(from, to, kind);
            }
        };
        self.each_of_lists(&mut between);
        for &(from, to) in &self.processes {
            between(from, to, PROCESS);
        }
        for (transaction, (after, before)) in (0..).zip(self.after.iter().zip(&self.before)) {
            if *after != NONE {
                between(transaction, *after, REALTIME);
            }
            if *before != NONE {
                between(*before, transaction, ONWARD);
            }
        }
        for point in self.times.clone().skip(1) {
            between(point - 1, point, ONWARD);
        }
    }

    fn each_of_lists(&self, between: &mut impl FnMut(u32, u32, u8)) {
        let writer = |append: u32| self.lists.appends[append as usize].transaction;
        for list in &self.lists.lists {
            let mut writers = list.order.iter().filter(|it| **it != NONE).map(|it| writer(*it));
            if let Some(mut earlier) = writers.next() {
                for later in writers {
                    between(earlier, later, WW);
                    earlier = later;
                }
            }
        }
        for read in &self.lists.reads {
            let order = &self.lists.lists[read.key as usize].order;
            let (seen, missed) = order.split_at(read.seen as usize);
            if let Some(last) = seen.iter().rfind(|it| **it != NONE) {
                between(writer(*last), read.transaction, WR);
            }
            if let Some(next) = missed.iter().find(|it| **it != NONE) {
                between(read.transaction, writer(*next), RW);
            }
        }
        for (tail, saw_all) in self.tails.iter().zip(&self.saw_all) {
            self.each_of_tail(*tail, saw_all, between);
        }
    }

    /// Whoever saw all of a list comes before whoever appended something that nobody saw, and so does whoever appended the last that
    /// was seen. Where one did both, the others who appended come after it.
    fn each_of_tail(&self, tail: Tail, saw_all: &[u32], between: &mut impl FnMut(u32, u32, u8)) {
        let list = &self.lists.lists[tail.key as usize];
        debug_assert!(
            list.tail.is_sorted() && saw_all.is_sorted(),
            "both were found in order"
        );
        let appended = |it: &u32| list.tail.binary_search(it).is_ok();
        let last = list.order.iter().rfind(|it| **it != NONE);
        if let Some(last) = last {
            let last = self.lists.appends[*last as usize].transaction;
            // One that appended more itself has been found to be torn.
            if !appended(&last) {
                between(last, tail.all, WW);
            }
        }
        let mut both = None;
        for &reader in saw_all {
            if !appended(&reader) {
                between(reader, tail.all, RW);
                continue;
            }
            between(reader, tail.rest, RW);
            // Each of two who did both misses what the other one appended.
            if let Some(other) = both.replace(reader) {
                between(other, reader, RW);
                between(reader, other, RW);
            }
        }
        for &writer in &list.tail {
            between(tail.all, writer, ONWARD);
            if saw_all.binary_search(&writer).is_err() {
                between(tail.rest, writer, ONWARD);
            }
        }
    }
}
