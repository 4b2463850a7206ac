//! Faults with their targets.

use super::Kind;
use crate::cluster::{Cluster, ClusterError, NodeNumber};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Whom a fault is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aim {
    /// Whoever leads when it begins.
    Leader,
    /// Any one node.
    One,
    /// Fewer nodes than a majority, but at least one.
    Minority,
    /// A majority of the nodes.
    Majority,
    /// All nodes.
    All,
    /// The nodes fall into two groups, as equal as can be.
    Halves,
    /// Two groups, and one node that both can reach.
    Bridge,
    /// Each node reaches a majority, and no two the same one.
    Ring,
    /// The leader can speak, and hears nothing.
    LeaderDeaf,
    /// The leader hears, and can't speak.
    LeaderMute,
}

impl Aim {
    /// Its name in a report.
    pub fn name(self) -> &'static str {
        match self {
            Aim::Leader => "leader",
            Aim::One => "one",
            Aim::Minority => "minority",
            Aim::Majority => "majority",
            Aim::All => "all",
            Aim::Halves => "halves",
            Aim::Bridge => "bridge",
            Aim::Ring => "ring",
            Aim::LeaderDeaf => "deaf leader",
            Aim::LeaderMute => "mute leader",
        }
    }

    /// Whether it depends on who leads.
    pub fn follows_leader(self) -> bool {
        match self {
            Aim::Leader | Aim::LeaderDeaf | Aim::LeaderMute => true,
            Aim::One | Aim::Minority | Aim::Majority | Aim::All | Aim::Halves | Aim::Bridge | Aim::Ring => {
                false
            }
        }
    }
}

/// A fault with its targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// These nodes are killed, and started again.
    Kill(Vec<NodeNumber>),
    /// These nodes are stopped, and let go on.
    Pause(Vec<NodeNumber>),
    /// These links, `[from, to]`, are cut, and healed.
    Partition(Vec<(NodeNumber, NodeNumber)>),
}

impl Fault {
    /// A fault of `kind` aimed at `aim`. `order` lists all nodes, the one that counts as the leader first and the others
    /// shuffled.
    pub(super) fn new(kind: Kind, aim: Aim, order: &[NodeNumber]) -> Fault {
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
        match kind {
            Kind::Kill => Fault::Kill(victims.to_vec()),
            Kind::Pause => Fault::Pause(victims.to_vec()),
            Kind::Partition => {
                let place = |node: NodeNumber| {
                    order
                        .iter()
                        .position(|other| *other == node)
                        .expect("it is listed")
                };
                let pairs = order.iter().flat_map(|from| order.iter().map(|to| (*from, *to)));
                let cut = pairs.filter(|(from, to)| {
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

    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Fault::Kill(_) => Kind::Kill,
            Fault::Pause(_) => Kind::Pause,
            Fault::Partition(_) => Kind::Partition,
        }
    }

    /// The nodes that it names.
    pub fn nodes(&self) -> Vec<NodeNumber> {
        match self {
            Fault::Kill(nodes) | Fault::Pause(nodes) => nodes.clone(),
            Fault::Partition(links) => links.iter().flat_map(|(from, to)| [*from, *to]).collect(),
        }
    }

    /// In words: `leader n3`, `halves, cut 1→2 2→1`.
    pub(super) fn describe(&self, aim: Aim) -> String {
        let mut text = aim.name().to_owned();
        match self {
            Fault::Kill(nodes) | Fault::Pause(nodes) => {
                for node in nodes {
                    let _ = write!(text, " n{node}");
                }
            }
            Fault::Partition(links) => {
                text.push_str(", cut");
                for (from, to) in links {
                    let both = links.contains(&(*to, *from));
                    if both && from < to {
                        let _ = write!(text, " {from}↔{to}");
                    } else if !both {
                        let _ = write!(text, " {from}→{to}");
                    }
                }
            }
        }
        text
    }

    /// What its links have swallowed so far.
    pub(super) fn swallowed(&self, cluster: &Cluster) -> u64 {
        match self {
            Fault::Kill(_) | Fault::Pause(_) => 0,
            Fault::Partition(links) => links.iter().map(|(from, to)| cluster.swallowed(*from, *to)).sum(),
        }
    }

    /// Begins; what it hits is hit when this returns.
    pub(super) async fn begin(&self, cluster: &Cluster) -> Result<(), ClusterError> {
        match self {
            Fault::Kill(nodes) => {
                let down = nodes.iter().copied().find(|node| !cluster.is_up(*node));
                for node in nodes {
                    cluster.kill(*node).await?;
                }
                if let Some(node) = down {
                    return Err(ClusterError::Signal { node, what: "killed" });
                }
            }
            Fault::Pause(nodes) => {
                for node in nodes {
                    cluster.pause(*node).await?;
                }
            }
            Fault::Partition(links) => {
                for (from, to) in links {
                    cluster.cut(*from, *to);
                }
            }
        }
        Ok(())
    }

    /// Ends.
    pub(super) async fn end(&self, cluster: &Cluster) -> Result<(), ClusterError> {
        match self {
            Fault::Kill(nodes) => {
                for node in nodes {
                    cluster.restart(*node).await?;
                }
            }
            Fault::Pause(nodes) => {
                for node in nodes.iter().filter(|node| cluster.is_paused(**node)) {
                    cluster.resume(*node).await?;
                }
            }
            Fault::Partition(links) => {
                for (from, to) in links {
                    cluster.heal(*from, *to);
                }
            }
        }
        Ok(())
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
    use super::*;

    fn cut(aim: Aim, count: u64) -> Vec<(u64, u64)> {
        match Fault::new(Kind::Partition, aim, &(1..=count).collect::<Vec<_>>()) {
            Fault::Partition(links) => links,
            Fault::Kill(_) | Fault::Pause(_) => panic!("a partition was asked for"),
        }
    }

    #[tokio::test]
    async fn who_is_down_already_is_not_killed() {
        use crate::cluster::fake;
        let dir = tempfile::tempdir().unwrap();
        let cluster = fake::cluster(dir.path(), 2, fake::SERVES).await.unwrap();
        Fault::Kill(vec![1]).begin(&cluster).await.unwrap();
        Fault::Kill(vec![1, 2]).begin(&cluster).await.unwrap_err();
        assert!(!cluster.is_up(2), "the others are killed nevertheless");
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
                for aim in super::super::draft::aims(kind, order.len()) {
                    let hit = match Fault::new(kind, *aim, &order) {
                        Fault::Kill(nodes) | Fault::Pause(nodes) => nodes.len(),
                        Fault::Partition(links) => links.len(),
                    };
                    assert!(hit > 0, "{kind} {aim:?} among {count} nodes");
                }
            }
        }
    }
}
