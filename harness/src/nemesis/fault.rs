//! Faults with their targets: what they are, and how they are written down.
//!
//! Whom one hits is decided in `target`, what it does in `act`, and what is said of it in `words`.

use super::{Kind, Manner};
use crate::cluster::{CrashPoint, Damage, Pace, Skew};
use crate::node_number::NodeNumber;
use disk::Errors;
use serde::{Deserialize, Serialize};

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

    /// What has become of them, in a report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Shape::Remove => "removed",
            Shape::Demote => "demoted",
            Shape::Replace => "replaced",
        }
    }
}

/// A fault with its targets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// The power of these nodes goes at once, and with it what was not synced, or some of that, as the seed decides. They are started again.
    Power(u64, Vec<NodeNumber>),
    /// These nodes die at that point, and are started again.
    CrashPoint(CrashPoint, Vec<NodeNumber>),
    /// The disks of these nodes are full. Who ends because of that, and says so, is started again when they are not any more.
    Full(Vec<NodeNumber>),
    /// The disks of these nodes fail so. Who ends because of that, and says so, is started again; who goes on has its power taken first, as
    /// the seed decides: what it could not make durable, it must not have promised.
    IoError(Errors, u64, Vec<NodeNumber>),
    /// Syncs of the disks of these nodes do not end.
    Stall(Vec<NodeNumber>),
}

impl Fault {
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
            Fault::Power(draw, _) => Manner::Power(*draw),
            Fault::CrashPoint(point, _) => Manner::CrashPoint(*point),
            Fault::Full(_) => Manner::Full,
            Fault::IoError(errors, draw, _) => Manner::IoError(*errors, *draw),
            Fault::Stall(_) => Manner::Stall,
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
            | Fault::Clock(_, _, nodes)
            | Fault::Power(_, nodes)
            | Fault::CrashPoint(_, nodes)
            | Fault::Full(nodes)
            | Fault::IoError(_, _, nodes)
            | Fault::Stall(nodes) => nodes.clone(),
            Fault::Transfer(node) => vec![*node],
            Fault::Partition(links) | Fault::Slow(_, links) | Fault::Flaky(_, links) => {
                links.iter().flat_map(|(from, to)| [*from, *to]).collect()
            }
        }
    }
}
