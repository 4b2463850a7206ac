//! One node on a simulated disk.

use bytes::Bytes;
use raft::{NodeId, Silent};
use replica::{Fatal, OpenError, Options, Outbox, Replica, Ticket};
use sim::SimDisk;
use wire::record::Command;

pub(crate) type Node = Replica<SimDisk, Silent>;

/// The settings of node 1 among `voters`.
pub(crate) fn options(voters: u64) -> Options {
    let mut options = Options::new(
        NodeId(1),
        String::from("test"),
        (1..=voters).map(NodeId).collect(),
    );
    options.segment_bytes = 4 * 4096;
    options.incarnation = 7;
    options
}

pub(crate) fn open(disk: &SimDisk, options: &Options) -> Result<Node, OpenError> {
    Replica::open(disk.clone(), options, Silent)
}

/// Turns the wheel until it stands still.
pub(crate) fn turn(node: &mut Node, out: &mut Outbox) -> Result<(), Fatal> {
    while node.has_work() {
        node.send(out);
        node.carry_out(out)?;
    }
    Ok(())
}

pub(crate) fn put(key: u64, value: &[u8]) -> Command {
    Command::Put {
        key: Bytes::from(key.to_string()),
        value: Bytes::copy_from_slice(value),
    }
}

pub(crate) fn ticket(number: u64) -> Ticket {
    Ticket(number)
}
