//! One node on a simulated disk, and the log that it should have.

use bytes::Bytes;
use raft::{Entry, EntryData, Envelope, Index, LogPosition, Logger, Message, NodeId, RoleKind, Silent, Term};
use replica::{Disk, DiskError, Fatal, Found, Inspector, OpenError, Options, Outbox, Replica};
use sim::SimDisk;
use wire::peer::Packet;
use wire::record::Command;

pub(crate) type Node = Replica<SimDisk, Silent>;
pub(crate) type Log = Vec<Entry<Bytes>>;

/// The settings of node 1 among `voters`, with segments of four blocks.
pub(crate) fn options(voters: u64) -> Options {
    let mut options = Options::new(
        NodeId(1),
        String::from("test"),
        (1..=voters).map(NodeId).collect(),
    );
    options.segment_bytes = 4 * 4096;
    options.incarnation = 7;
    options.secret = 0x5ec0_e75e_c0e7;
    options
}

pub(crate) fn open(disk: &SimDisk, options: &Options) -> Result<Node, OpenError> {
    Replica::open(disk.clone(), options, Silent)
}

/// Turns the wheel until it stands still.
pub(crate) fn turn<D: Disk, L: Logger>(node: &mut Replica<D, L>, out: &mut Outbox) -> Result<(), Fatal> {
    while node.has_work() {
        node.send(out);
        node.begin_write()?;
        node.carry_out(out)?;
    }
    Ok(())
}

/// Node 1 of three is elected in term 1 by node 2's vote.
pub(crate) fn elect<D: Disk>(node: &mut Replica<D, Silent>, out: &mut Outbox) {
    node.campaign();
    turn(node, out).unwrap();
    node.step(from(2, 1, Message::VoteResponse { granted: true }));
    assert_eq!(node.core().raft().role(), RoleKind::Leader);
    turn(node, out).unwrap();
}

pub(crate) fn put(key: u64, value: &[u8]) -> Command {
    Command::Put {
        key: Bytes::from(key.to_string()),
        value: Bytes::copy_from_slice(value),
    }
}

/// What `from` says to node 1.
pub(crate) fn from(from: u64, term: u64, message: Message<Bytes>) -> Envelope<Bytes> {
    Envelope {
        from: NodeId(from),
        to: NodeId(1),
        term: Term(term),
        message,
    }
}

/// An append by `leader` of `count` entries of its term, with values of `bytes`, behind the first `keep` of `log`; which then
/// is what it makes of it.
pub(crate) fn append(
    leader: u64,
    term: u64,
    log: &mut Log,
    keep: usize,
    count: usize,
    bytes: usize,
) -> Envelope<Bytes> {
    log.truncate(keep);
    let prev = log.last().map(Entry::position).unwrap_or_default();
    let entries: Log = (0..count)
        .map(|place| {
            let index = Index(1).plus(keep + place);
            // Distinct bytes without zeros at the end, so that a torn one differs.
            let value = vec![b'a' + u8::try_from((index.0 + term) % 23).unwrap(); bytes];
            Entry {
                term: Term(term),
                index,
                data: EntryData::Command(put(index.0, &value).to_bytes()),
            }
        })
        .collect();
    log.extend_from_slice(&entries);
    let commit = Index(0);
    from(
        leader,
        term,
        Message::Append {
            prev,
            entries,
            commit,
        },
    )
}

/// The whole log of a node, read one by one.
pub(crate) fn log_of(node: &Node) -> Log {
    let raft = node.core().raft();
    let entry = |index| {
        raft.entry(Index(index))
            .expect("an entry up to the last can be read")
    };
    (1..=raft.last().index.0).map(entry).collect()
}

/// What the core says to other nodes.
pub(crate) fn messages(out: &Outbox) -> impl Iterator<Item = &Envelope<Bytes>> {
    out.messages.iter().filter_map(|packet| match packet {
        Packet::Message(envelope) => Some(envelope),
        Packet::Parcel { .. } => None,
    })
}

/// The highest index that was acknowledged.
pub(crate) fn acknowledged(out: &Outbox) -> Index {
    let matched = messages(out).map(|envelope| match &envelope.message {
        Message::AppendAccepted { matched } => *matched,
        Message::PreVote { .. }
        | Message::PreVoteResponse { .. }
        | Message::Vote { .. }
        | Message::VoteResponse { .. }
        | Message::Append { .. }
        | Message::AppendRejected { .. }
        | Message::Heartbeat { .. }
        | Message::HeartbeatResponse { .. }
        | Message::Snapshot { .. }
        | Message::TimeoutNow
        | Message::ReadIndex { .. }
        | Message::ReadIndexResponse { .. } => Index(0),
    });
    matched.max().unwrap_or_default()
}

/// The position at the end of a log.
pub(crate) fn end(log: &Log) -> LogPosition {
    log.last().map(Entry::position).unwrap_or_default()
}

/// What gives `contents` to an inspector.
pub(crate) fn reader(contents: &[u8]) -> impl FnMut(u64, &mut [u8]) -> Result<(), DiskError> + '_ {
    |offset, buffer| {
        let from = usize::try_from(offset).unwrap();
        buffer.copy_from_slice(&contents[from..from + buffer.len()]);
        Ok(())
    }
}

/// What `inspector` finds in a segment of these contents.
pub(crate) fn segment(inspector: &mut Inspector, name: &str, contents: &[u8]) -> Option<Vec<Found>> {
    let found = inspector.segment(name, contents.len() as u64, reader(contents));
    found.map(|found| found.expect("what is in memory can be read"))
}
