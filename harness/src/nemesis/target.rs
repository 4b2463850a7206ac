//! Whom a fault hits.

use super::{Aim, Fault, Manner, Shape};
use crate::cluster::Skew;
use crate::node_number::NodeNumber;

impl Fault {
    /// A fault aimed at `aim`. `order` lists all nodes, the one that counts as the leader first and the others shuffled.
    pub(super) fn new(manner: Manner, aim: Aim, order: &[NodeNumber]) -> Fault {
        let count = order.len();
        let victims = match aim {
            Aim::Leader | Aim::LeaderDeaf | Aim::LeaderMute => &order[..1],
            Aim::One => &order[count - 1..],
            Aim::Minority => &order[..(count.saturating_sub(1) / 2).max(1)],
            Aim::Majority => &order[..count / 2 + 1],
            Aim::All => order,
            Aim::Halves => &order[..count / 2],
            Aim::Bridge | Aim::Ring => &[],
        };
        let pairs = || order.iter().flat_map(|from| order.iter().map(|to| (*from, *to)));
        // All links that have to do with them; where they are deaf or mute, in that direction only.
        let links_of_victims = || {
            let is_theirs = |(from, to): &(NodeNumber, NodeNumber)| {
                let speaks = aim != Aim::LeaderDeaf && victims.contains(from);
                let hears = aim != Aim::LeaderMute && victims.contains(to);
                from != to && (speaks || hears)
            };
            pairs().filter(is_theirs).collect()
        };
        match manner {
            Manner::Kill => Fault::Kill(victims.to_vec()),
            Manner::Pause => Fault::Pause(victims.to_vec()),
            Manner::Transfer => Fault::Transfer(*order.get(1).unwrap_or(&order[0])),
            Manner::Wipe => Fault::Wipe(order[..count / 2 + 1].to_vec()),
            // Somebody must be left.
            Manner::Member(_) if count == 1 => Fault::Member(Shape::Replace, victims.to_vec()),
            Manner::Member(shape @ Shape::Replace) => Fault::Member(shape, victims[..1].to_vec()),
            Manner::Member(shape @ (Shape::Remove | Shape::Demote)) => Fault::Member(shape, victims.to_vec()),
            Manner::Slow(pace) => Fault::Slow(pace, links_of_victims()),
            Manner::Flaky(seed) => Fault::Flaky(seed, links_of_victims()),
            Manner::Disk(damage, draw) => Fault::Disk(damage, draw, victims.to_vec()),
            Manner::Clock(skew, is_cut_off) => {
                // A leader whose time does not pass believes for too long that nobody else can lead; that shows when somebody does.
                let may_be_cut_off = aim == Aim::Leader && count > 1 && matches!(skew, Skew::Rate(_));
                Fault::Clock(skew, is_cut_off && may_be_cut_off, victims.to_vec())
            }
            Manner::Power(draw) => Fault::Power(draw, victims.to_vec()),
            Manner::CrashPoint(point) => Fault::CrashPoint(point, victims.to_vec()),
            Manner::Full => Fault::Full(victims.to_vec()),
            Manner::IoError(errors, draw) => Fault::IoError(errors, draw, victims.to_vec()),
            Manner::Stall => Fault::Stall(victims.to_vec()),
            Manner::Partition => {
                let place = |node: NodeNumber| {
                    order
                        .iter()
                        .position(|other| *other == node)
                        .expect("it is listed")
                };
                let cut = pairs().filter(|(from, to)| {
                    let (from_in, to_in) = (victims.contains(from), victims.contains(to));
                    from != to
                        && match aim {
                            Aim::Leader | Aim::One | Aim::Minority | Aim::Majority | Aim::Halves => {
                                from_in != to_in
                            }
                            Aim::All => true,
                            Aim::LeaderMute => from_in,
                            Aim::LeaderDeaf => to_in,
                            Aim::Bridge => bridge_cuts(place(*from), place(*to), count),
                            Aim::Ring => ring_cuts(place(*from), place(*to), count),
                        }
                });
                Fault::Partition(cut.collect())
            }
        }
    }
}

/// Whether a bridge cuts the link between two places: the middle one reaches all, the others their own side only.
fn bridge_cuts(from: usize, to: usize, count: usize) -> bool {
    let side = |place: usize| place.cmp(&(count / 2));
    side(from) != side(to) && from != count / 2 && to != count / 2
}

/// Whether a ring of majorities cuts the link between two places: each reaches the nearest ones to both sides, just enough for a
/// majority with itself.
fn ring_cuts(from: usize, to: usize, count: usize) -> bool {
    let distance = from.abs_diff(to).min(count - from.abs_diff(to));
    distance > (count / 2).div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::super::draft::aims;
    use super::super::manner::Turns;
    use super::super::{Kind, Rates};
    use super::*;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    fn links(fault: &Fault) -> Vec<(u64, u64)> {
        let (Fault::Partition(links) | Fault::Slow(_, links) | Fault::Flaky(_, links)) = fault else {
            panic!("{fault:?} is not about links")
        };
        links.clone()
    }

    fn cut(aim: Aim, count: u64) -> Vec<(u64, u64)> {
        links(&Fault::new(
            Manner::Partition,
            aim,
            &(1..=count).collect::<Vec<_>>(),
        ))
    }

    #[test]
    fn isolating_the_leader_cuts_its_links_both_ways_and_no_others() {
        assert_eq!(cut(Aim::Leader, 3), [(1, 2), (1, 3), (2, 1), (3, 1)]);
    }

    #[test]
    fn one_way_cuts_are_one_way() {
        assert_eq!(cut(Aim::LeaderMute, 3), [(1, 2), (1, 3)]);
        assert_eq!(cut(Aim::LeaderDeaf, 3), [(2, 1), (3, 1)]);
    }

    #[test]
    fn whose_links_are_flaky_has_all_of_them_so_and_who_is_deaf_or_mute_half_of_them() {
        let flaky = |aim| {
            let fault = Fault::new(Manner::Flaky(7), aim, &[1, 2, 3, 4, 5]);
            links(&fault)
        };
        let of_one = [(1, 2), (1, 3), (1, 4), (1, 5), (2, 1), (3, 1), (4, 1), (5, 1)];
        assert_eq!(flaky(Aim::Leader), of_one);
        assert_eq!(flaky(Aim::LeaderMute), of_one[..4]);
        assert_eq!(flaky(Aim::LeaderDeaf), of_one[4..]);
        // Between two of them, too.
        assert!(flaky(Aim::Minority).contains(&(1, 2)) && !flaky(Aim::Minority).contains(&(3, 4)));
        assert_eq!(flaky(Aim::All).len(), 20);
    }

    #[test]
    fn a_bridge_leaves_one_node_that_reaches_both_sides() {
        assert_eq!(
            cut(Aim::Bridge, 5),
            [(1, 4), (1, 5), (2, 4), (2, 5), (4, 1), (4, 2), (5, 1), (5, 2)]
        );
    }

    #[test]
    fn in_a_ring_each_reaches_a_majority_but_not_all() {
        for count in [5, 7, 9] {
            let cut = cut(Aim::Ring, count);
            for node in 1..=count {
                let reached = (1..=count).filter(|other| !cut.contains(&(node, *other))).count() as u64;
                assert!(
                    reached > count / 2 && reached < count,
                    "node {node} of {count} reaches {reached}"
                );
            }
        }
    }

    #[test]
    fn every_aim_hits_somebody_in_every_cluster_size() {
        for count in 2..=7_u64 {
            let order: Vec<u64> = (1..=count).collect();
            for kind in Kind::ALL {
                for aim in aims(kind, order.len()) {
                    // Each begins with another shape.
                    for seed in 0..3 {
                        let mut random = ChaCha8Rng::seed_from_u64(count);
                        let manner = Manner::drawn(kind, &mut random, &mut Turns::of(seed), Rates::default());
                        let fault = Fault::new(manner, *aim, &order);
                        let hit = fault.nodes().len();
                        assert!(hit > 0, "{kind} {aim:?} among {count} nodes");
                        let all = matches!(fault, Fault::Member(..)) && hit == order.len();
                        assert!(!all, "nobody is left of {count} nodes by {fault:?}");
                    }
                }
            }
        }
    }
}
