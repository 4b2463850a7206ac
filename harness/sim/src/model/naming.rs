//! Servers' names: where each stands, and what they may be called instead.

use raft::NodeId;

/// Each id, and the one that takes its place; sorted.
pub(super) type Permutation = Vec<(NodeId, NodeId)>;

/// Where a server stands among the others.
pub(super) fn place(id: NodeId) -> usize {
    usize::try_from(id.0 - 1).expect("ids are small")
}

/// All permutations of the ids `1..=servers` for which `class` stays the same; the first one exchanges nothing.
pub(super) fn permutations(servers: u8, class: impl Fn(u8) -> u8) -> Vec<Permutation> {
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
