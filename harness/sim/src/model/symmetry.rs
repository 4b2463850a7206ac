//! Of all states that differ only in who is called what, one.

use super::state::{SERVERS_MAX, State};
use super::universe::{ServerKey, Universe};
use raft::NodeId;

/// All permutations of the ids `1..=servers` for which `class` stays the same; the first one exchanges nothing.
pub(super) fn permutations(servers: u8, class: impl Fn(u8) -> u8) -> Vec<Vec<(NodeId, NodeId)>> {
    let mut images: Vec<Vec<u8>> = vec![Vec::new()];
    for id in 1..=servers {
        let fits = |image: &u8, taken: &[u8]| class(*image) == class(id) && !taken.contains(image);
        images = images
            .iter()
            .flat_map(|taken| {
                let next = (1..=servers).filter(|image| fits(image, taken));
                next.map(|image| [taken.as_slice(), &[image]].concat())
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    let node = |id: u8| NodeId(u64::from(id));
    let pairs = |images: Vec<u8>| {
        (1..)
            .zip(images)
            .map(|(id, image)| (node(id), node(image)))
            .collect()
    };
    images.into_iter().map(pairs).collect()
}

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

fn place(id: NodeId) -> usize {
    usize::try_from(id.0 - 1).expect("ids are small")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutations_keep_classes_and_begin_with_none() {
        assert_eq!(permutations(3, |_| 0).len(), 6);
        assert_eq!(permutations(4, |_| 0).len(), 24);
        // Of four servers the first two are alike, and the others.
        let some = permutations(4, |id| u8::from(id > 2));
        assert_eq!(some.len(), 4);
        for permutation in [permutations(3, |_| 0), some] {
            assert!(permutation[0].iter().all(|(from, to)| from == to));
        }
    }
}
