//! What comes to a process, and how it takes that in.

use super::process::{Passing, Running};
use crate::disk::SimDisk;
use crate::script::Script;
use bytes::Bytes;
use raft::{Index, LogPosition, NodeId, RoleKind};
use replica::{Replica, Ticket};
use wire::client::MemberChange;
use wire::peer::Packet;
use wire::record::{Command, Once};

#[derive(Debug)]
pub(crate) enum Input {
    Tick,
    Campaign,
    Change {
        ticket: Ticket,
        changes: Vec<MemberChange>,
    },
    Transfer {
        ticket: Ticket,
        to: NodeId,
    },
    Snapshot {
        ticket: Ticket,
    },
    /// Messages to this node may have been lost.
    Unreachable(NodeId),
    /// With its number on its link, and the place of its sender.
    Packet {
        packet: Packet,
        from: usize,
        message: u64,
    },
    Command {
        ticket: Ticket,
        client: usize,
        /// Its name in a session, if it is of one.
        once: Option<Once>,
        command: Command,
    },
    OpenSession {
        ticket: Ticket,
        client: usize,
    },
    Read {
        ticket: Ticket,
        client: usize,
        key: Bytes,
    },
}

/// A request that was handed to a node and not answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) client: usize,
    pub(crate) kind: AskedKind,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum AskedKind {
    /// Where the command was appended, if it was.
    Command(Option<LogPosition>),
    /// What had been acknowledged when the read came.
    Read {
        acknowledged: Index,
        /// Whether the node had a lease then.
        by_lease: bool,
    },
}

/// What a tick leads to, as the commands of a golden script.
fn tick_in_script(replica: &Replica<SimDisk, Passing>, place: usize, script: &mut Script) {
    let due = replica.core().due();
    let inputs = [
        (due.heartbeat, "heartbeat"),
        (due.quorum_check, "quorum-check"),
        (due.leader_silent, "silent"),
        (due.election, "timeout"),
        (due.read, "read-timeout"),
        (due.reads_given_up, "give-reads-up"),
    ];
    for (_, words) in inputs.into_iter().filter(|(is_due, _)| *is_due) {
        script.command(|| format!("{words} {}", place + 1));
    }
}

/// Changes as the words of a golden script.
fn in_script(changes: &[MemberChange]) -> String {
    let signed = changes.iter().map(|change| match change {
        MemberChange::Promote { node } => format!(" +{node}"),
        MemberChange::AddLearner { node, .. } | MemberChange::Demote { node } => format!(" ~{node}"),
        MemberChange::Remove { node } => format!(" -{node}"),
    });
    signed.collect()
}

/// Hands one input to a process.
pub(super) fn take(
    running: &mut Running,
    input: Input,
    acknowledged: Index,
    by_turns: bool,
    (place, script): (usize, &mut Script),
) {
    let Running {
        replica,
        asked,
        ordered,
        heard,
        ..
    } = running;
    let node = place + 1;
    match input {
        Input::Tick => {
            if script.is_on() {
                tick_in_script(replica, place, script);
            }
            replica.tick();
        }
        Input::Campaign => {
            if replica.core().raft().role() != RoleKind::Leader {
                script.command(|| format!("campaign {node}"));
            }
            replica.campaign();
        }
        Input::Change { ticket, changes } => {
            script.command(|| format!("change {node}{}", in_script(&changes)));
            ordered.insert(ticket);
            replica.reconfigure(ticket, &changes);
        }
        Input::Transfer { ticket, to } => {
            script.command(|| format!("transfer {node} {}", to.0));
            ordered.insert(ticket);
            replica.transfer(ticket, to);
        }
        Input::Snapshot { ticket } => {
            ordered.insert(ticket);
            replica.snapshot(ticket);
        }
        Input::Unreachable(peer) => {
            script.command(|| format!("unreachable {node} {}", peer.0));
            replica.unreachable(peer);
        }
        Input::Packet {
            packet,
            from,
            message,
        } => {
            if script.is_on() {
                script.taken("deliver", from, place, message);
                script.consequence(&packet.to_string());
            }
            // Nodes say hello before anything else, and name their data folders: here those have the nodes' ids. A golden script's
            // configurations have nothing of them.
            let sender = NodeId(from as u64 + 1);
            if !by_turns && heard.insert(sender) {
                replica.heard_of(sender, u128::from(sender.0));
            }
            replica.step(packet);
        }
        Input::Command {
            ticket,
            client,
            once,
            command,
        } => {
            let before = replica.core().raft().last();
            script.command(|| format!("propose {node} c{}", ticket.0));
            match once {
                Some(once) => replica.command_once(ticket, once, command),
                None => replica.command(ticket, &command),
            }
            let after = replica.core().raft().last();
            let kind = AskedKind::Command((before != after).then_some(after));
            asked.insert(ticket, Asked { client, kind });
        }
        Input::OpenSession { ticket, client } => {
            let before = replica.core().raft().last();
            script.command(|| format!("propose {node} s{}", ticket.0));
            replica.open_session(ticket);
            let after = replica.core().raft().last();
            let kind = AskedKind::Command((before != after).then_some(after));
            asked.insert(ticket, Asked { client, kind });
        }
        Input::Read { ticket, client, key } => {
            let by_lease = replica.core().has_lease();
            let verb = if by_lease { "lease-read" } else { "read" };
            script.command(|| format!("{verb} {node} {}", ticket.0));
            replica.read(ticket, key);
            let kind = AskedKind::Read {
                acknowledged,
                by_lease,
            };
            asked.insert(ticket, Asked { client, kind });
        }
    }
}
