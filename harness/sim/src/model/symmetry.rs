//! Of all states that differ only in who is called what, one.

use super::naming::place;
use super::state::{SERVERS_MAX, State};
use super::universe::{ServerKey, Universe};
use raft::NodeId;

/// The canonical one of the states that a state becomes by exchanging ids, and by which exchange.
///
/// Servers are sorted by what exchanging does not change; where that leaves a choice, the least of the candidates is taken. So the
/// result is the same from whichever of them it is computed.
pub(super) fn canonical(universe: &Universe, state: State) -> (State, usize) {
    if universe.group.len() == 1 {
        return (state, 0);
    }
    let mut shapes = [0; SERVERS_MAX];
    for (shape, key) in shapes.iter_mut().zip(state.servers()) {
        *shape = universe.server(*key).shape;
    }
    let least = universe
        .group
        .iter()
        .map(|exchange| sorted_shapes(&shapes, exchange))
        .min()
        .expect("a group has an element");
    let mut fitting =
        (0..universe.group.len()).filter(|number| sorted_shapes(&shapes, &universe.group[*number]) == least);
    let first = fitting.next().expect("the least is that of some exchange");
    let Some(second) = fitting.next() else {
        return match first {
            0 => (state, 0),
            _ => (exchanged(universe, &state, first), first),
        };
    };
    // Some servers can't be told apart by their shapes.
    let candidates = [first, second].into_iter().chain(fitting);
    candidates
        .map(|number| (exchanged(universe, &state, number), number))
        .min_by(|(one, _), (other, _)| one.sort_key().cmp(&other.sort_key()))
        .expect("there are two candidates at least")
}

/// The shapes by place, after an exchange.
fn sorted_shapes(shapes: &[u64; SERVERS_MAX], exchange: &[(NodeId, NodeId)]) -> [u64; SERVERS_MAX] {
    let mut after = [0; SERVERS_MAX];
    for (shape, (_, image)) in shapes.iter().zip(exchange) {
        after[place(*image)] = *shape;
    }
    after
}

/// A state after the exchange of this number.
pub(super) fn exchanged(universe: &Universe, state: &State, number: usize) -> State {
    if number == 0 {
        return state.clone();
    }
    let mut servers: [ServerKey; SERVERS_MAX] = state.places();
    for (key, (_, image)) in state.servers().iter().zip(&universe.group[number]) {
        servers[place(*image)] = universe.server_image(*key, number);
    }
    let network = state.network.iter();
    let mut network: Vec<_> = network.map(|key| universe.message_image(*key, number)).collect();
    network.sort_unstable();
    state.with(servers, network, universe.ghost_image(state.ghost, number))
}
