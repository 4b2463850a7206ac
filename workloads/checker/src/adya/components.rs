//! Strongly connected components (Tarjan, 1972), without recursion.

use super::graph::Graph;
use super::lists::NONE;
use crate::engine::Refused;

/// How many nodes are visited between two questions whether to stop.
const NODES_PER_STOP: u32 = 1 << 16;

/// The strongly connected components of a graph.
pub(super) struct Components {
    /// Of each node the number of its component. Edges between components lead from greater to lesser numbers.
    pub(super) of: Vec<u32>,
    /// The nodes of each component with more than one, in order; the smallest first.
    pub(super) knots: Vec<Vec<u32>>,
}

impl Components {
    /// The components by edges of the kinds in `mask`, and `within` the components of a graph with more edges.
    pub(super) fn of(
        graph: &Graph,
        mask: u8,
        within: Option<&Components>,
        should_stop: &dyn Fn() -> bool,
    ) -> Result<Components, Refused> {
        let nodes = graph.nodes();
        let mut walk = Walk {
            graph,
            mask,
            within,
            met: vec![0; nodes],
            low: vec![0; nodes],
            next: 1,
            path: Vec::new(),
            stack: Vec::new(),
            components: Components {
                of: vec![NONE; nodes],
                knots: Vec::new(),
            },
            count: 0,
        };
        for root in (0..).take(nodes) {
            if root % NODES_PER_STOP == 0 && should_stop() {
                return Err(Refused::Stopped);
            }
            if walk.met[root as usize] == 0 {
                walk.from(root);
            }
        }
        let mut components = walk.components;
        components.knots.sort_by_key(Vec::len);
        Ok(components)
    }
}

struct Walk<'a> {
    graph: &'a Graph,
    mask: u8,
    within: Option<&'a Components>,
    /// When each node was met first, from 1; 0 before that.
    met: Vec<u32>,
    /// The earliest node that each can reach, as far as is known, among those that are on the stack.
    low: Vec<u32>,
    next: u32,
    /// Nodes on the way from the root, with the next edge of each.
    path: Vec<(u32, u32)>,
    /// Nodes whose component is still open.
    stack: Vec<u32>,
    components: Components,
    count: u32,
}

impl Walk<'_> {
    fn from(&mut self, root: u32) {
        self.meet(root);
        while let Some((node, edge)) = self.path.last_mut() {
            let node = *node;
            if *edge == self.graph.range(node).end {
                self.path.pop();
                self.leave(node);
                continue;
            }
            let (to, kind) = self.graph.edge(*edge);
            *edge += 1;
            let is_within = |within: &Components| within.of[node as usize] == within.of[to as usize];
            if kind & self.mask == 0 || !self.within.is_none_or(is_within) {
                continue;
            }
            if self.met[to as usize] == 0 {
                self.meet(to);
            } else if self.components.of[to as usize] == NONE {
                let low = &mut self.low[node as usize];
                *low = self.met[to as usize].min(*low);
            }
        }
    }

    fn meet(&mut self, node: u32) {
        (self.met[node as usize], self.low[node as usize]) = (self.next, self.next);
        self.next += 1;
        self.path.push((node, self.graph.range(node).start));
        self.stack.push(node);
    }

    fn leave(&mut self, node: u32) {
        let low = self.low[node as usize];
        if let Some((parent, _)) = self.path.last() {
            let parent = &mut self.low[*parent as usize];
            *parent = low.min(*parent);
        }
        if low != self.met[node as usize] {
            return;
        }
        let mut start = self.stack.len() - 1;
        while self.stack[start] != node {
            start -= 1;
        }
        let members = self.stack.drain(start..);
        for member in members.as_slice() {
            self.components.of[*member as usize] = self.count;
        }
        if members.len() > 1 {
            let mut knot: Vec<u32> = members.collect();
            knot.sort_unstable();
            self.components.knots.push(knot);
        }
        self.count += 1;
    }
}
