//! What a fault does to a cluster, and how it is undone.

use super::{Fault, Shape};
use crate::cluster::{Cluster, ClusterError, Damage};
use crate::node_number::NodeNumber;
use std::collections::BTreeSet;
use std::time::Duration;

/// For how long the others of a wiped majority miss what it acknowledges, before it loses that.
const MISSED_FOR: Duration = Duration::from_millis(100);

impl Fault {
    /// How much harm its links or disks have done so far; `None` where it shows otherwise whether it takes effect.
    pub(super) fn harmed(&self, cluster: &Cluster) -> Option<u64> {
        match self {
            Fault::Partition(links) | Fault::Slow(_, links) | Fault::Flaky(_, links) => {
                let links = links.iter();
                Some(links.map(|(from, to)| cluster.harmed(*from, *to)).sum())
            }
            Fault::CrashPoint(_, nodes)
            | Fault::Full(nodes)
            | Fault::IoError(_, _, nodes)
            | Fault::Stall(nodes) => Some(nodes.iter().map(|node| cluster.disk_hits(*node)).sum()),
            Fault::Power(_, nodes) => Some(nodes.iter().map(|node| cluster.was_at_stake(*node)).sum()),
            Fault::Kill(_)
            | Fault::Pause(_)
            | Fault::Transfer(_)
            | Fault::Member(..)
            | Fault::Wipe(_)
            | Fault::Disk(..)
            | Fault::Clock(..) => None,
        }
    }

    /// Whether what it is to do is still to come: nodes that die at an operation have not come to that.
    pub(super) fn is_pending(&self, cluster: &Cluster) -> bool {
        if let Fault::CrashPoint(_, nodes) = self {
            nodes.iter().any(|node| cluster.is_to_die(*node))
        } else {
            false
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
                for (from, to) in links_cut(*is_cut_off, nodes, cluster) {
                    cluster.cut(from, to);
                }
            }
            Fault::Power(draw, nodes) => cluster.lose_power(nodes, *draw).await?,
            Fault::CrashPoint(point, nodes) => {
                for node in nodes {
                    cluster.arm(*node, *point).await?;
                }
            }
            Fault::Full(nodes) => nodes.iter().for_each(|node| cluster.set_full(*node, true)),
            Fault::IoError(errors, _, nodes) => {
                nodes
                    .iter()
                    .for_each(|node| cluster.set_errors(*node, Some(*errors)));
            }
            Fault::Stall(nodes) => nodes.iter().for_each(|node| cluster.set_stalled(*node, true)),
        }
        Ok(())
    }

    /// Ends.
    pub(super) async fn end(&self, cluster: &Cluster) -> Result<(), ClusterError> {
        match self {
            Fault::Kill(nodes) | Fault::Power(_, nodes) => start_again(nodes, cluster).await?,
            Fault::CrashPoint(_, nodes) => {
                for node in nodes {
                    cluster.disarm(*node).await?;
                }
                start_again(nodes, cluster).await?;
            }
            Fault::Full(nodes) => {
                nodes.iter().for_each(|node| cluster.set_full(*node, false));
                start_again(nodes, cluster).await?;
            }
            Fault::IoError(_, draw, nodes) => {
                nodes.iter().for_each(|node| cluster.set_errors(*node, None));
                cluster.lose_power(nodes, *draw).await?;
                start_again(nodes, cluster).await?;
            }
            Fault::Stall(nodes) => {
                nodes.iter().for_each(|node| cluster.set_stalled(*node, false));
                start_again(nodes, cluster).await?;
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
                start_again(nodes, cluster).await?;
            }
            Fault::Clock(_, is_cut_off, nodes) => {
                for (from, to) in links_cut(*is_cut_off, nodes, cluster) {
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
                    cluster.give_data_back(*node).await?;
                }
                start_again(nodes, cluster).await?;
            }
        }
        Ok(())
    }
}

/// Starts those of `nodes` that are down.
async fn start_again(nodes: &[NodeNumber], cluster: &Cluster) -> Result<(), ClusterError> {
    for node in nodes {
        cluster.restart(*node).await?;
    }
    Ok(())
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
            cluster.wipe(*node).await?;
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

/// The links that are cut around nodes whose clocks are wrong.
fn links_cut(is_cut_off: bool, nodes: &[NodeNumber], cluster: &Cluster) -> Vec<(NodeNumber, NodeNumber)> {
    if is_cut_off {
        links_around(nodes, cluster)
    } else {
        Vec::new()
    }
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
        cluster.take_data_away(*node).await?;
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
        cluster.wipe(spare).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fake;

    #[tokio::test]
    async fn who_is_down_already_is_not_killed() {
        let dir = tempfile::tempdir().unwrap();
        let cluster = fake::cluster(dir.path(), 2, fake::SERVES).await.unwrap();
        Fault::Kill(vec![1]).begin(&cluster).await.unwrap();
        Fault::Kill(vec![1, 2]).begin(&cluster).await.unwrap_err();
        assert!(!cluster.is_up(2), "the others are killed nevertheless");
    }

    #[tokio::test]
    async fn a_wipe_that_fails_half_way_leaves_nobody_cut_off_once_it_has_ended() {
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
}
