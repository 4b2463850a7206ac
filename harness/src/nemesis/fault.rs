//! Faults with their targets.

use super::{Kind, Manner};
use crate::cluster::{Cluster, ClusterError, Damage, Pace, Skew};
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
    /// The leader can speak, and hears nothing; or badly.
    LeaderDeaf,
    /// The leader hears, and can't speak; or badly.
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
    /// These links, `[from, to]`, are as slow as that.
    Slow(Pace, Vec<(NodeNumber, NodeNumber)>),
    /// Things befall these links, `[from, to]`, that this seed decides.
    Flaky(u64, Vec<(NodeNumber, NodeNumber)>),
    /// These nodes are killed, and find this on their disks, at places that the seed decides, when they are started again. Where that is nothing
    /// that they can mend, they must refuse it, and are removed, and join anew without data.
    Disk(Damage, u64, Vec<NodeNumber>),
    /// That is wrong with the clocks of these nodes, and put right again; where it is said, they are cut off from the others meanwhile.
    Clock(Skew, bool, Vec<NodeNumber>),
}

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

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.manner().kind()
    }

    /// All of it but its targets.
    pub(super) fn manner(&self) -> Manner {
        match self {
            Fault::Kill(_) => Manner::Kill,
            Fault::Pause(_) => Manner::Pause,
            Fault::Partition(_) => Manner::Partition,
            Fault::Transfer(_) => Manner::Transfer,
            Fault::Member(shape, _) => Manner::Member(*shape),
            Fault::Wipe(_) => Manner::Wipe,
            Fault::Slow(pace, _) => Manner::Slow(*pace),
            Fault::Flaky(seed, _) => Manner::Flaky(*seed),
            Fault::Disk(damage, draw, _) => Manner::Disk(*damage, *draw),
            Fault::Clock(skew, is_cut_off, _) => Manner::Clock(*skew, *is_cut_off),
        }
    }

    /// The nodes that it names.
    pub fn nodes(&self) -> Vec<NodeNumber> {
        match self {
            Fault::Kill(nodes)
            | Fault::Pause(nodes)
            | Fault::Member(_, nodes)
            | Fault::Wipe(nodes)
            | Fault::Disk(_, _, nodes)
            | Fault::Clock(_, _, nodes) => nodes.clone(),
            Fault::Transfer(node) => vec![*node],
            Fault::Partition(links) | Fault::Slow(_, links) | Fault::Flaky(_, links) => {
                links.iter().flat_map(|(from, to)| [*from, *to]).collect()
            }
        }
    }

    /// The links that it harms; none if it is about something else.
    pub(super) fn links(&self) -> &[(NodeNumber, NodeNumber)] {
        match self {
            Fault::Partition(links) | Fault::Slow(_, links) | Fault::Flaky(_, links) => links,
            Fault::Kill(_)
            | Fault::Pause(_)
            | Fault::Transfer(_)
            | Fault::Member(..)
            | Fault::Wipe(_)
            | Fault::Disk(..)
            | Fault::Clock(..) => &[],
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
            Fault::Disk(damage, _, nodes) => {
                for node in nodes {
                    let _ = write!(text, " n{node}");
                }
                text.push_str(match damage {
                    Damage::Torn => ", a torn tail",
                    Damage::Log => ", a bit of the log flipped",
                    Damage::Snapshot => ", a bit of the snapshot flipped",
                });
            }
            Fault::Clock(skew, is_cut_off, nodes) => {
                for node in nodes {
                    let _ = write!(text, " n{node}");
                }
                describe_skew(&mut text, *skew);
                if *is_cut_off {
                    text.push_str(", cut off");
                }
            }
            Fault::Partition(links) => {
                text.push_str(", cut");
                describe_links(&mut text, links);
            }
            Fault::Slow(pace, links) => {
                let delay_ms_max = pace.delay_ms.saturating_add(pace.jitter_ms);
                if delay_ms_max > 0 {
                    let _ = write!(text, ", {} to {delay_ms_max} ms", pace.delay_ms);
                }
                if let Some(rate) = pace.bytes_per_second {
                    let _ = write!(text, ", {rate} bytes/s");
                }
                text.push(',');
                describe_links(&mut text, links);
            }
            Fault::Flaky(_, links) => {
                text.push(',');
                describe_links(&mut text, links);
            }
        }
        text
    }

    /// How much harm its links have done so far.
    pub(super) fn harmed(&self, cluster: &Cluster) -> u64 {
        let links = self.links().iter();
        links.map(|(from, to)| cluster.harmed(*from, *to)).sum()
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
            Fault::Slow(pace, links) => {
                for (from, to) in links {
                    cluster.slow(*from, *to, *pace);
                }
            }
            Fault::Flaky(seed, links) => {
                for (from, to) in links {
                    cluster.make_flaky(*from, *to, *seed);
                }
            }
            Fault::Disk(damage, draw, nodes) => harm_data(*damage, *draw, nodes, cluster).await?,
            Fault::Clock(skew, is_cut_off, nodes) => {
                for node in nodes {
                    cluster.skew_clock(*node, *skew).await?;
                }
                let links = if *is_cut_off {
                    links_around(nodes, cluster)
                } else {
                    Vec::new()
                };
                for (from, to) in links {
                    cluster.cut(from, to);
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
            Fault::Partition(links) | Fault::Slow(_, links) | Fault::Flaky(_, links) => {
                for (from, to) in links {
                    cluster.heal(*from, *to);
                }
            }
            Fault::Transfer(_) => {}
            Fault::Member(..) => put_members_right(cluster).await?,
            Fault::Disk(_, _, nodes) => {
                if nodes.iter().any(|node| cluster.is_damaged(*node)) {
                    put_members_right(cluster).await?;
                }
                for node in nodes {
                    cluster.restart(*node).await?;
                }
            }
            Fault::Clock(_, is_cut_off, nodes) => {
                let links = if *is_cut_off {
                    links_around(nodes, cluster)
                } else {
                    Vec::new()
                };
                for (from, to) in links {
                    cluster.heal(from, to);
                }
                for node in nodes {
                    cluster.put_clock_right(*node)?;
                }
            }
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

/// Lets `nodes` lose something of their data while they are down, and start on what is left.
async fn harm_data(
    damage: Damage,
    draw: u64,
    nodes: &[NodeNumber],
    cluster: &Cluster,
) -> Result<(), ClusterError> {
    for node in nodes {
        if damage == Damage::Snapshot {
            cluster.take_snapshot(*node).await?;
        }
        cluster.kill(*node).await?;
        cluster.damage(*node, damage, draw.wrapping_add(*node)).await?;
    }
    for node in nodes {
        match cluster.restart(*node).await {
            // As it has to.
            Err(ClusterError::Refused { .. }) => {}
            started => started?,
        }
    }
    Ok(())
}

/// Lets the nodes be members that were at the beginning, and no others. Those whose data is damaged are removed first, and lose it.
pub(super) async fn put_members_right(cluster: &Cluster) -> Result<(), ClusterError> {
    let (damaged, sound): (Vec<_>, Vec<_>) = cluster
        .nodes()
        .into_iter()
        .partition(|node| cluster.is_damaged(*node));
    for node in sound {
        cluster.restart(node).await?;
    }
    if !damaged.is_empty() {
        change_members(Shape::Remove, &damaged, cluster).await?;
    }
    for node in damaged {
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

/// Adds what is wrong with clocks: `, at 0.25 of the usual rate`, `, 2s ahead`.
fn describe_skew(text: &mut String, skew: Skew) {
    let shown = |ms| humantime::format_duration(Duration::from_millis(u64::from(ms)));
    let _ = match skew {
        Skew::Rate(thousandths) => write!(
            text,
            ", clocks at {} times the usual rate",
            f64::from(thousandths) / 1000.0
        ),
        Skew::Jump(ms) => write!(text, ", clocks {} ahead", shown(ms)),
        Skew::Wall(ms) => {
            let way = if ms < 0 { "back" } else { "ahead" };
            write!(text, ", the time of day {} {way}", shown(ms.unsigned_abs()))
        }
    };
}

/// Adds ` 1↔2` for a link in both directions, ` 1→2` for one.
fn describe_links(text: &mut String, links: &[(NodeNumber, NodeNumber)]) {
    for (from, to) in links {
        let both = links.contains(&(*to, *from));
        if both && from < to {
            let _ = write!(text, " {from}↔{to}");
        } else if !both {
            let _ = write!(text, " {from}→{to}");
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
    use super::*;
    use crate::nemesis::Rates;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    fn cut(aim: Aim, count: u64) -> Vec<(u64, u64)> {
        let fault = Fault::new(Manner::Partition, aim, &(1..=count).collect::<Vec<_>>());
        fault.links().to_vec()
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
    fn whose_links_are_flaky_has_all_of_them_so_and_who_is_deaf_or_mute_half_of_them() {
        let flaky = |aim| {
            let fault = Fault::new(Manner::Flaky(7), aim, &[1, 2, 3, 4, 5]);
            fault.links().to_vec()
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
    fn what_is_slow_says_how_slow() {
        let slow = |delay_ms, jitter_ms, rate| {
            let bytes_per_second = std::num::NonZeroU32::new(rate);
            let pace = Pace {
                delay_ms,
                jitter_ms,
                bytes_per_second,
            };
            Fault::Slow(pace, vec![(1, 2), (2, 1), (1, 3)]).describe(Aim::One)
        };
        assert_eq!(slow(20, 5, 0), "one, 20 to 25 ms, 1↔2 1→3");
        assert_eq!(slow(0, 0, 10_000), "one, 10000 bytes/s, 1↔2 1→3");
        assert_eq!(slow(20, 5, 10_000), "one, 20 to 25 ms, 10000 bytes/s, 1↔2 1→3");
    }

    #[test]
    fn clocks_that_are_wrong_say_how_and_only_leaders_that_lose_time_are_cut_off() {
        let clock = |skew, aim| Fault::new(Manner::Clock(skew, true), aim, &[3, 1, 2]).describe(aim);
        let slow = Skew::Rate(250);
        assert_eq!(
            clock(slow, Aim::Leader),
            "leader n3, clocks at 0.25 times the usual rate, cut off"
        );
        assert_eq!(
            clock(slow, Aim::Majority),
            "majority n3 n1, clocks at 0.25 times the usual rate"
        );
        assert_eq!(
            clock(Skew::Jump(60_000), Aim::Leader),
            "leader n3, clocks 1m ahead"
        );
        assert_eq!(
            clock(Skew::Wall(-200), Aim::One),
            "one n2, the time of day 200ms back"
        );
        assert_eq!(
            clock(Skew::Wall(7_200_000), Aim::One),
            "one n2, the time of day 2h ahead"
        );
        let alone = Fault::new(Manner::Clock(slow, true), Aim::Leader, &[1]);
        assert_eq!(alone, Fault::Clock(slow, false, vec![1]));
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
                        let mut random = ChaCha8Rng::seed_from_u64(count);
                        let manner =
                            Manner::drawn(kind, &mut random, &mut std::iter::once(shape), Rates::default());
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
