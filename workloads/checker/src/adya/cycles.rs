//! The cycle that says most.
//!
//! Fewer kinds of edges make a cycle worse: one of *ww* alone breaks more promises than one that needs real time. So graphs with more
//! and more kinds of edges are looked at, and in the first one that has a cycle the shortest is looked for, breadth first from each
//! transaction of a component, as far as a bound on the work goes; one with a single *rw* comes before those with more.

use super::anomaly::{Anomaly, AnomalyKind, Beyond, Phenomenon};
use super::components::Components;
use super::graph::{Graph, ONWARD, PROCESS, REALTIME, RW, WR, WW};
use super::lists::Lists;
use super::words::because;
use crate::engine::Refused;
use std::collections::VecDeque;

/// How many edges are looked at, in the search for the shortest cycle of one kind, before the next transaction is not begun with.
const VISITS_MAX: usize = 50_000_000;

/// Transactions each of which must come before the next, and the last before the first.
pub(super) struct Cycle {
    /// Each with the kind of edge that leads to the next.
    links: Vec<(u32, u8)>,
    is_shortest: bool,
}

/// The worst cycle; `None` if there is none.
pub(super) fn worst(graph: &Graph, should_stop: &dyn Fn() -> bool) -> Result<Option<Cycle>, Refused> {
    const DATA: u8 = WW | WR | RW;
    let all = Components::of(graph, DATA | REALTIME | ONWARD, None, should_stop)?;
    if all.knots.is_empty() {
        return Ok(None);
    }
    // That there is a violation is known from here on, and to say which takes a bounded time.
    let go_on = || false;
    for order in [0, PROCESS, REALTIME] {
        let mut fewer = None;
        for data in [WW, WW | WR, DATA] {
            let mask = data | order | ONWARD;
            let components = Components::of(graph, mask, Some(&all), &go_on)?;
            if components.knots.is_empty() {
                fewer = Some(components);
                continue;
            }
            let mut search = Search::new(graph, &components);
            let mut exhausted = false;
            if let Some(fewer) = fewer.as_ref().filter(|_| data == DATA) {
                exhausted |= !search.each(RW, mask & !RW, Some(fewer), should_stop);
            }
            if search.best.is_none() {
                exhausted |= !search.each(mask, mask, None, should_stop);
            }
            if let Some(links) = search.best {
                let is_shortest = !exhausted;
                return Ok(Some(Cycle { links, is_shortest }));
            }
        }
    }
    unreachable!("the last graph has all edges of the one with a cycle")
}

/// A search for short cycles, breadth first.
struct Search<'a> {
    graph: &'a Graph,
    components: &'a Components,
    /// Of each node the search that reached it, how many transactions that took, and from where by which kind of edge.
    reached: Vec<Reached>,
    round: u32,
    visits: usize,
    queue: VecDeque<(u32, u32)>,
    best: Option<Vec<(u32, u8)>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    round: u32,
    distance: u32,
    from: u32,
    kind: u8,
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph, components: &'a Components) -> Search<'a> {
        Search {
            graph,
            components,
            reached: vec![Reached::default(); graph.nodes()],
            round: 0,
            visits: 0,
            queue: VecDeque::new(),
            best: None,
        }
    }

    /// Looks for the shortest cycle that leaves a transaction by an edge of `first` and goes on by those of `then`; whether it looked
    /// from each transaction. `fewer`: the components by `then`, none of which has two nodes.
    fn each(
        &mut self,
        first: u8,
        then: u8,
        fewer: Option<&Components>,
        should_stop: &dyn Fn() -> bool,
    ) -> bool {
        self.visits = 0;
        for knot in &self.components.knots {
            for &start in knot.iter().filter(|node| self.graph.is_transaction(**node)) {
                let is_first = self.visits == 0;
                if !is_first && (self.visits > VISITS_MAX || should_stop()) {
                    return false;
                }
                self.from(start, first, then, fewer);
            }
        }
        true
    }

    fn from(&mut self, start: u32, first: u8, then: u8, fewer: Option<&Components>) {
        self.round += 1;
        self.queue.clear();
        self.relax(start, 0, first, start, fewer);
        while let Some((node, distance)) = self.queue.pop_front() {
            if distance > self.reached[node as usize].distance {
                continue;
            }
            if self
                .best
                .as_ref()
                .is_some_and(|best| distance as usize >= best.len())
            {
                return;
            }
            if node == start {
                self.best = Some(self.way_back(start));
                return;
            }
            self.relax(node, distance, then, start, fewer);
        }
    }

    /// Goes on from a node. To leave a transaction counts, to leave a point does not.
    fn relax(&mut self, node: u32, distance: u32, mask: u8, start: u32, fewer: Option<&Components>) {
        let component = self.components.of[node as usize];
        let counts = self.graph.is_transaction(node);
        let distance = distance + u32::from(counts);
        self.visits += self.graph.range(node).len();
        for (to, kind) in self.graph.edges(node) {
            if kind & mask == 0 || self.components.of[to as usize] != component {
                continue;
            }
            // Without a cycle among them, components have an order, and behind the start's there is no way back to it.
            if fewer.is_some_and(|fewer| fewer.of[to as usize] < fewer.of[start as usize]) {
                continue;
            }
            let reached = &mut self.reached[to as usize];
            if reached.round == self.round && reached.distance <= distance {
                continue;
            }
            *reached = Reached {
                round: self.round,
                distance,
                from: node,
                kind,
            };
            if counts {
                self.queue.push_back((to, distance));
            } else {
                self.queue.push_front((to, distance));
            }
        }
    }

    /// The cycle that was found, without the points on it.
    fn way_back(&self, start: u32) -> Vec<(u32, u8)> {
        let mut links = Vec::new();
        let mut node = start;
        loop {
            let Reached { from, kind, .. } = self.reached[node as usize];
            if self.graph.is_transaction(from) {
                links.push((from, kind));
            }
            node = from;
            if node == start {
                break;
            }
        }
        links.reverse();
        let least = (0..links.len()).min_by_key(|place| links[*place].0);
        links.rotate_left(least.unwrap_or(0));
        links
    }
}

impl Cycle {
    fn kind(&self) -> AnomalyKind {
        let has = |kind| self.links.iter().filter(|link| link.1 == kind).count();
        let phenomenon = match (has(RW), has(WR)) {
            (0, 0) => Phenomenon::G0,
            (0, _) => Phenomenon::G1c,
            (1, _) => Phenomenon::GSingle,
            (_, _) => Phenomenon::G2Item,
        };
        let beyond = match (has(REALTIME), has(PROCESS)) {
            (0, 0) => Beyond::Nothing,
            (0, _) => Beyond::Process,
            (_, _) => Beyond::Realtime,
        };
        AnomalyKind::Cycle(phenomenon, beyond)
    }

    /// The cycle with its reasons.
    pub(super) fn anomaly(&self, lists: &Lists<'_>) -> Anomaly {
        let next = self.links.iter().cycle().skip(1);
        let dependencies: Vec<_> = self
            .links
            .iter()
            .zip(next)
            .map(|((from, kind), (to, _))| lists.dependency(*from, *to, *kind))
            .collect();
        let reasons = (1..)
            .zip(&dependencies)
            .map(|(from, dependency)| because(from, from % dependencies.len() + 1, dependency))
            .collect();
        Anomaly {
            kind: self.kind(),
            transactions: self.links.iter().map(|(node, _)| *node as usize).collect(),
            dependencies,
            reasons,
            count: 1,
            is_smallest: self.is_shortest,
        }
    }
}
