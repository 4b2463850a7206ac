//! Faults with their targets.

use super::Kind;
use crate::cluster::{Cluster, ClusterError};
use crate::node_number::NodeNumber;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

/// For how long the others of a wiped majority miss what it acknowledges, before it loses that.
const MISSED_FOR: Duration = Duration::from_millis(100);

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

/// What becomes of nodes for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// They are removed, killed, and lose their data; later they join anew.
    Remove,
    /// They become learners; later they vote again.
    Demote,
    /// Another one takes a node's place; later it is the other way round. The one that is out loses its data.
    Replace,
}

impl Shape {
    /// All of them.
    pub(super) const ALL: [Shape; 3] = [Shape::Remove, Shape::Demote, Shape::Replace];

    fn name(self) -> &'static str {
        match self {
            Shape::Remove => "removed",
            Shape::Demote => "demoted",
            Shape::Replace => "replaced",
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
    /// Leadership is handed over to this node.
    Transfer(NodeNumber),
    /// That becomes of these members.
    Member(Shape, Vec<NodeNumber>),
    /// These nodes lose their data, which the others have not all of, and come back under their old ids as if nothing had happened. Later
    /// they have their data again: until then they must be refused, and elect nobody.
    Wipe(Vec<NodeNumber>),
}

impl Fault {
    /// A fault of `kind` aimed at `aim`; of this shape, if members are to be changed. `order` lists all nodes, the one that counts as the
    /// leader first and the others shuffled.
    pub(super) fn new(kind: Kind, shape: Shape, aim: Aim, order: &[NodeNumber]) -> Fault {
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
            Kind::Transfer => Fault::Transfer(*order.get(1).unwrap_or(&order[0])),
            Kind::Wipe => Fault::Wipe(order[..count / 2 + 1].to_vec()),
            // Somebody must be left.
            Kind::Member if count == 1 => Fault::Member(Shape::Replace, victims.to_vec()),
            Kind::Member if shape == Shape::Replace => Fault::Member(shape, victims[..1].to_vec()),
            Kind::Member => Fault::Member(shape, victims.to_vec()),
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
            Fault::Transfer(_) => Kind::Transfer,
            Fault::Member(..) => Kind::Member,
            Fault::Wipe(_) => Kind::Wipe,
        }
    }

    /// Its shape, for kinds that have several.
    pub(super) fn shape(&self) -> Shape {
        match self {
            Fault::Member(shape, _) => *shape,
            Fault::Kill(_) | Fault::Pause(_) | Fault::Partition(_) | Fault::Transfer(_) | Fault::Wipe(_) => {
                Shape::Remove
            }
        }
    }

    /// The nodes that it names.
    pub fn nodes(&self) -> Vec<NodeNumber> {
        match self {
            Fault::Kill(nodes) | Fault::Pause(nodes) | Fault::Member(_, nodes) | Fault::Wipe(nodes) => {
                nodes.clone()
            }
            Fault::Transfer(node) => vec![*node],
            Fault::Partition(links) => links.iter().flat_map(|(from, to)| [*from, *to]).collect(),
        }
    }

    /// In words: `leader n3`, `halves, cut 1→2 2→1`.
    pub(super) fn describe(&self, aim: Aim) -> String {
        let mut text = aim.name().to_owned();
        match self {
            Fault::Kill(nodes) | Fault::Pause(nodes) | Fault::Wipe(nodes) => {
                for node in nodes {
                    let _ = write!(text, " n{node}");
                }
            }
            Fault::Transfer(node) => {
                let _ = write!(text, " to n{node}");
            }
            Fault::Member(shape, nodes) => {
                for node in nodes {
                    let _ = write!(text, " n{node}");
                }
                let _ = write!(text, " {}", shape.name());
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
            Fault::Kill(_) | Fault::Pause(_) | Fault::Transfer(_) | Fault::Member(..) | Fault::Wipe(_) => 0,
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
            Fault::Transfer(node) => cluster.transfer(*node).await?,
            Fault::Member(shape, nodes) => change_members(*shape, nodes, cluster).await?,
            Fault::Wipe(nodes) => wipe(nodes, cluster).await?,
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
            Fault::Transfer(_) => {}
            Fault::Member(..) => put_members_right(cluster).await?,
            Fault::Wipe(nodes) => {
                // Where it failed half-way, they are still cut.
                for (from, to) in links_around(nodes, cluster) {
                    cluster.heal(from, to);
                }
                for node in nodes.iter().filter(|node| cluster.is_without_data(**node)) {
                    cluster.kill(*node).await?;
                    cluster.give_data_back(*node)?;
                }
                for node in nodes {
                    cluster.restart(*node).await?;
                }
            }
        }
        Ok(())
    }
}

/// Lets `shape` become of `nodes`.
async fn change_members(shape: Shape, nodes: &[NodeNumber], cluster: &Cluster) -> Result<(), ClusterError> {
    let mut voters: BTreeSet<NodeNumber> = cluster.nodes().into_iter().collect();
    voters.retain(|node| !nodes.contains(node));
    let mut learners = BTreeSet::new();
    match shape {
        Shape::Remove => {}
        Shape::Demote => learners.extend(nodes),
        Shape::Replace => {
            for spare in cluster.spares().into_iter().take(nodes.len()) {
                cluster.restart(spare).await?;
                voters.insert(spare);
            }
        }
    }
    cluster.make_members(&voters, &learners).await?;
    if shape != Shape::Demote {
        for node in nodes {
            cluster.kill(*node).await?;
            cluster.wipe(*node)?;
        }
    }
    Ok(())
}

/// The links between `nodes` and the others, in both directions.
fn links_around(nodes: &[NodeNumber], cluster: &Cluster) -> Vec<(NodeNumber, NodeNumber)> {
    let others = cluster.nodes().into_iter().filter(|node| !nodes.contains(node));
    others
        .flat_map(|other| {
            nodes
                .iter()
                .flat_map(move |node| [(*node, other), (other, *node)])
        })
        .collect()
}

/// Lets `nodes`, a majority, acknowledge what the others don't have, and then lose it.
async fn wipe(nodes: &[NodeNumber], cluster: &Cluster) -> Result<(), ClusterError> {
    let links = links_around(nodes, cluster);
    for (from, to) in &links {
        cluster.cut(*from, *to);
    }
    tokio::time::sleep(MISSED_FOR).await;
    for node in nodes {
        cluster.kill(*node).await?;
        cluster.take_data_away(*node)?;
    }
    for node in nodes {
        cluster.restart(*node).await?;
    }
    for (from, to) in &links {
        cluster.heal(*from, *to);
    }
    Ok(())
}

/// Lets the nodes be members that were at the beginning, and no others.
pub(super) async fn put_members_right(cluster: &Cluster) -> Result<(), ClusterError> {
    for node in cluster.nodes() {
        cluster.restart(node).await?;
    }
    let voters = cluster.nodes().into_iter().collect();
    cluster.make_members(&voters, &BTreeSet::new()).await?;
    for spare in cluster.spares() {
        if cluster.is_up(spare) {
            cluster.kill(spare).await?;
        }
        cluster.wipe(spare)?;
    }
    Ok(())
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
        match Fault::new(
            Kind::Partition,
            Shape::Remove,
            aim,
            &(1..=count).collect::<Vec<_>>(),
        ) {
            Fault::Partition(links) => links,
            Fault::Kill(_) | Fault::Pause(_) | Fault::Transfer(_) | Fault::Member(..) | Fault::Wipe(_) => {
                panic!("a partition was asked for")
            }
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

    #[tokio::test]
    async fn a_wipe_that_fails_half_way_leaves_nobody_cut_off_once_it_has_ended() {
        use crate::cluster::fake;
        let dir = tempfile::tempdir().unwrap();
        // Without data it is told to join, and does not start.
        let serve = r#"case "$*" in *--join*) if [ $starts = 1 ]; then exit 255; fi;; esac; "#;
        let cluster = fake::cluster(dir.path(), 3, &format!("{serve}{}", fake::SERVES))
            .await
            .unwrap();
        let wipe = Fault::Wipe(vec![1, 2]);
        wipe.begin(&cluster).await.unwrap_err();
        assert!(cluster.is_without_data(1) && cluster.is_cut(1, 3) && cluster.is_cut(3, 2));
        wipe.end(&cluster).await.unwrap();
        for node in cluster.nodes() {
            assert!(
                cluster.is_up(node) && !cluster.is_without_data(node),
                "node {node}"
            );
            for other in cluster.nodes() {
                assert!(!cluster.is_cut(node, other), "{node} to {other}");
            }
        }
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
                    for shape in Shape::ALL {
                        let fault = Fault::new(kind, shape, *aim, &order);
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
