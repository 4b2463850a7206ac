//! A node that is its own majority: it leads as soon as it is up, and takes commands in, in a session.
//!
//! Each visit appends a letter to one value, and sends that twice, as a client does that got no answer. Snapshots are taken and the log is
//! compacted all the time. What is read, at once and after every stop, has every letter that was acknowledged, once, and in order.

use super::super::reach::Reach;
use super::super::search::Notes;
use super::super::worlds::World;
use super::{Node, SEGMENT_BYTES, Scene, seeded, turn};
use crate::disk::{Image, SimDisk};
use bytes::Bytes;
use raft::{Config, NodeId};
use replica::{Answer, Options, Outbox, Ticket};
use std::fmt;
use wire::record::{Command, Once, Operation};

/// A snapshot is taken when the log has grown by as much: several in a visit.
const SNAPSHOT_LOG_BYTES: u64 = 3 * replica::BLOCK_BYTES as u64;

const KEY: &[u8] = b"k";

const READ: Ticket = Ticket(1);
const OPEN: Ticket = Ticket(2);
const APPEND: Ticket = Ticket(3);
const AGAIN: Ticket = Ticket(4);

/// A client appends the next letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Append;

impl fmt::Display for Append {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read, append the next letter in a session, twice")
    }
}

/// What clients know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Told {
    session: Option<u64>,
    /// How many letters were sent.
    sent: u8,
    /// Those that were acknowledged.
    acknowledged: Vec<u8>,
}

impl Told {
    /// What a value can't be, after what was told.
    fn contradicts(&self, value: &[u8]) -> Option<String> {
        let shown = String::from_utf8_lossy(value);
        let in_order = value.is_sorted_by(|one, other| one < other);
        let lost = self.acknowledged.iter().find(|letter| !value.contains(letter));
        match lost {
            Some(lost) => Some(format!(
                "durability: {:?} was acknowledged, and the value is {shown:?}",
                char::from(*lost)
            )),
            None => (!in_order).then(|| {
                format!(
                    "linearizability: letters were appended once and in order, and the value is {shown:?}"
                )
            }),
        }
    }
}

pub(super) struct Alone {
    options: Options,
}

impl Alone {
    pub(super) fn new(world: &World) -> Alone {
        let id = NodeId(1);
        let mut options = Options::new(id, String::from("model"), vec![id]);
        options.incarnation = 1;
        options.segment_bytes = SEGMENT_BYTES;
        options.snapshot_log_bytes = SNAPSHOT_LOG_BYTES;
        options.raft = Config {
            pre_vote: false,
            check_quorum: false,
            ..Config::new(id)
        };
        Alone {
            options: seeded(options, world),
        }
    }
}

impl Scene for Alone {
    type Event = Append;
    type Told = Told;

    fn options(&self) -> &Options {
        &self.options
    }

    fn beginning(&self) -> (Image, Told) {
        (SimDisk::new().image(), Told::default())
    }

    fn menu(&self) -> &[Append] {
        &[Append]
    }

    fn let_come(&self, node: &mut Node, _: Append, told: &mut Told, notes: &Notes) -> Result<(), String> {
        let Some(value) = read(node)? else {
            return Ok(());
        };
        notes.meet(Reach::Read);
        if let Some(contradiction) = told.contradicts(&value) {
            return Err(contradiction);
        }
        if told.session.is_none() {
            node.open_session(OPEN);
            turn(node, |out| {
                for (_, reply) in out.replies.drain(..) {
                    if let Ok(Answer::SessionOpened { session, .. }) = reply {
                        told.session = Some(session);
                    }
                }
                Ok(())
            })?;
        }
        let Some(session) = told.session else {
            return Ok(());
        };
        let letter = b'a' + told.sent;
        told.sent += 1;
        let sequence = u64::from(told.sent);
        let once = Once {
            session,
            sequence,
            answered_below: sequence,
        };
        let operation = Operation::Append {
            key: Bytes::from_static(KEY),
            suffix: Bytes::copy_from_slice(&[letter]),
        };
        for ticket in [APPEND, AGAIN] {
            node.command_once(ticket, once, Command::Operation(operation.clone()));
        }
        let hear = |out: &mut Outbox| {
            let mut replies = out.replies.drain(..);
            if replies.any(|(_, reply)| reply.is_ok()) && !told.acknowledged.contains(&letter) {
                told.acknowledged.push(letter);
                notes.meet(Reach::Commit);
            }
            Ok(())
        };
        turn(node, hear).map(drop)
    }

    fn remembers(&self, mut node: Node, told: &Told) -> Result<(), String> {
        let value = read(&mut node)?;
        let value = value.ok_or("liveness: a node that leads does not answer")?;
        told.contradicts(&value).map_or(Ok(()), Err)
    }
}

/// Has the node lead, and reads. `None` where the disk does not let it.
fn read(node: &mut Node) -> Result<Option<Vec<u8>>, String> {
    node.campaign();
    if !turn(node, |_| Ok(()))? {
        return Ok(None);
    }
    node.read(READ, Bytes::from_static(KEY));
    let mut answer = None;
    turn(node, |out| {
        for (ticket, reply) in out.replies.drain(..) {
            match (ticket, reply) {
                (READ, Ok(Answer::Value(value))) => answer = Some(value.unwrap_or_default().to_vec()),
                (READ, Err(refusal)) => {
                    return Err(format!(
                        "liveness: a node that leads refuses to read: {refusal:?}"
                    ));
                }
                (_, _) => {}
            }
        }
        Ok(())
    })?;
    Ok(answer)
}
