//! What is in flight.

use super::words::{One, Selection};
use super::{Interpreter, Slot};
use bytes::Bytes;
use raft::{Envelope, NodeId};

/// More deliveries than any script needs to come to rest.
const STABILIZE_DELIVERIES_MAX: usize = 10_000;

impl Interpreter {
    /// Takes messages out of the network.
    pub(super) fn select(&mut self, selection: &Selection) -> Vec<Envelope<Bytes>> {
        let wanted = |envelope: &Envelope<Bytes>| {
            selection
                .link
                .is_none_or(|link| link == (envelope.from, envelope.to))
        };
        let places = self.network.iter().enumerate();
        let mut places: Vec<usize> = places
            .filter(|(_, e)| wanted(e))
            .map(|(place, _)| place)
            .collect();
        assert!(!places.is_empty(), "no such message is in flight");
        match selection.one {
            Some(One::First) => places.truncate(1),
            Some(One::Last) => places = places.split_off(places.len() - 1),
            Some(One::At(nth)) => places = vec![places[nth - 1]],
            None => {}
        }
        if selection.keep {
            return places.iter().map(|place| self.network[*place].clone()).collect();
        }
        let mut selected = Vec::new();
        for place in places.into_iter().rev() {
            selected.push(self.network.remove(place));
        }
        selected.reverse();
        selected
    }

    pub(super) fn deliver(&mut self, selection: &Selection) {
        let selected = self.select(selection);
        self.arrive(selected);
    }

    fn arrive(&mut self, envelopes: Vec<Envelope<Bytes>>) {
        for envelope in envelopes {
            self.say(&envelope);
            match &self.slots[&envelope.to] {
                Slot::Up(_) => self.act(envelope.to, |raft| raft.step(envelope)),
                Slot::Down(_) => {}
            }
        }
    }

    /// Until nothing moves among these servers, or among all that are up.
    pub(super) fn stabilize(&mut self, among: &[NodeId]) {
        for _ in 0..STABILIZE_DELIVERIES_MAX {
            let up = self.slots.iter().filter(|(_, slot)| matches!(slot, Slot::Up(_)));
            let up = up.map(|(id, _)| *id);
            let up: Vec<NodeId> = up.filter(|id| is_among(among, *id)).collect();
            let mut moved = false;
            for id in up {
                moved |= self.persist(id);
            }
            let moving =
                |envelope: &Envelope<Bytes>| is_among(among, envelope.from) && is_among(among, envelope.to);
            if self.network.iter().any(moving) {
                moved = true;
                let (moving, staying) = self.network.drain(..).partition(moving);
                self.network = staying;
                self.arrive(moving);
            }
            if !moved {
                return;
            }
        }
        panic!("the cluster does not come to rest");
    }
}

/// Whether a server is one of those that are named; of everybody, if nobody is.
fn is_among(named: &[NodeId], id: NodeId) -> bool {
    named.is_empty() || named.contains(&id)
}
