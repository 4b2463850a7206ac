//! What is said on a hop: questions that carry a value, and short answers.

use crate::connection::Frame;
use bytes::Bytes;
use raft::{Entry, EntryData, Envelope, Index, LogPosition, NodeId, Term};
use wire::client::{Reply, Request, RequestBody, Response};
use wire::peer::Packet;
use wire::record::Command;

const TERM: Term = Term(1);
const LEADER: NodeId = NodeId(1);
const FOLLOWER: NodeId = NodeId(2);

/// Who speaks on a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    /// A client with a node.
    Client,
    /// A leader with a follower.
    Peer,
}

/// One thing that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Request(Request),
    Response(Response),
    Packet(Packet),
}

impl Frame for Said {
    fn append_payload(self, buffer: Vec<u8>) -> Vec<u8> {
        match self {
            Said::Request(request) => wire::encode_into(&request, buffer),
            Said::Response(response) => response.append_payload(buffer),
            Said::Packet(packet) => packet.append_payload(buffer),
        }
    }
}

impl Speech {
    /// A question with a value of `value_bytes`: to put it, or to append its entry.
    pub(super) fn question(self, value_bytes: usize) -> Said {
        let (key, value) = (Bytes::from_static(b"probe"), Bytes::from(vec![0x5a; value_bytes]));
        match self {
            Speech::Client => Said::Request(Request {
                id: 1,
                body: RequestBody::Put { key, value },
            }),
            Speech::Peer => packet(
                LEADER,
                FOLLOWER,
                raft::Message::Append {
                    prev: LogPosition::default(),
                    entries: vec![Entry {
                        term: TERM,
                        index: Index(1),
                        data: EntryData::Command(Command::Put { key, value }.to_bytes()),
                    }],
                    commit: Index(0),
                },
            ),
        }
    }

    /// That it is done.
    pub(super) fn answer(self) -> Said {
        match self {
            Speech::Client => Said::Response(Response {
                id: 1,
                result: Ok(Reply::Written),
            }),
            Speech::Peer => packet(
                FOLLOWER,
                LEADER,
                raft::Message::AppendAccepted { matched: Index(1) },
            ),
        }
    }

    /// What the payload of a frame says that holds a question.
    pub(super) fn heard_question(self, payload: &[u8]) -> Result<Said, String> {
        match self {
            Speech::Client => wire::decode(payload).map(Said::Request),
            Speech::Peer => heard_packet(payload, LEADER, FOLLOWER),
        }
        .map_err(|error| error.to_string())
    }

    /// What the payload of a frame says that holds an answer.
    pub(super) fn heard_answer(self, payload: &[u8]) -> Result<Said, String> {
        match self {
            Speech::Client => wire::decode(payload).map(Said::Response),
            Speech::Peer => heard_packet(payload, FOLLOWER, LEADER),
        }
        .map_err(|error| error.to_string())
    }
}

fn packet(from: NodeId, to: NodeId, message: raft::Message<Bytes>) -> Said {
    Said::Packet(Packet::Message(Envelope {
        from,
        to,
        term: TERM,
        message,
    }))
}

fn heard_packet(payload: &[u8], from: NodeId, to: NodeId) -> Result<Said, wire::DecodeError> {
    Packet::from_payload(payload, from, to).map(Said::Packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_is_heard() {
        for speech in [Speech::Client, Speech::Peer] {
            let (question, answer) = (speech.question(300), speech.answer());
            let payload = question.clone().append_payload(Vec::new());
            assert!(payload.len() > 300, "{speech:?}");
            assert_eq!(speech.heard_question(&payload), Ok(question));
            let payload = answer.clone().append_payload(Vec::new());
            assert_eq!(speech.heard_answer(&payload), Ok(answer));
        }
    }
}
