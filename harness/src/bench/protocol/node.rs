//! The project's own node.

use super::template::{KEY_MARK, Template, marked_value, stamp_of};
use super::{Answer, Garbled, NoAnswers, Protocol, Question};
use bytes::Bytes;
use serde::Serialize;
use wire::client::{Reply, Request, RequestBody, Response};
use wire::{Hello, MAGIC, Role, VERSION_MAX, VERSION_MIN, Welcome};

/// The id of the request in the first place. From here on, ids have three bytes each as they are encoded, so that a template can
/// be given any.
const ID_FIRST: u64 = 1 << 14;
const ID_BYTES: usize = 3;
/// Frames begin with their length; the request begins with its id.
const LENGTH_BYTES: usize = 4;

/// A connection to a node.
#[derive(Debug)]
pub(in crate::bench) struct NodeProtocol {
    put: Template,
    get: Template,
    welcomed: bool,
}

impl NodeProtocol {
    /// One that writes values of `value_bytes`.
    pub(in crate::bench) fn new(value_bytes: usize) -> NodeProtocol {
        let key = Bytes::copy_from_slice(&KEY_MARK);
        let request = |body| framed(&Request { id: ID_FIRST, body });
        NodeProtocol {
            put: Template::new(request(RequestBody::Put {
                key: key.clone(),
                value: marked_value(value_bytes).into(),
            })),
            get: Template::new(request(RequestBody::Get { key })),
            welcomed: false,
        }
    }

    fn answer(&mut self, payload: &[u8]) -> Result<Option<(usize, Answer)>, NoAnswers> {
        let malformed = |error: wire::DecodeError| Garbled(error.to_string());
        if !self.welcomed {
            return match wire::decode(payload).map_err(malformed)? {
                Welcome::Accepted { .. } => {
                    self.welcomed = true;
                    Ok(None)
                }
                Welcome::Refused(refusal) => Err(NoAnswers::Refused(refusal.to_string())),
            };
        }
        let response: Response = wire::decode(payload).map_err(malformed)?;
        let place = response.id.checked_sub(ID_FIRST);
        let place = place.and_then(|place| usize::try_from(place).ok());
        let place = place.ok_or_else(|| Garbled(String::from("an answer to nothing")))?;
        let answer = match response.result {
            Ok(Reply::Written) => Answer::Written,
            Ok(Reply::Value(None)) => Answer::Value(None),
            Ok(Reply::Value(Some(value))) => Answer::Value(Some(stamp_of(&value)?)),
            Ok(
                Reply::Swapped(_)
                | Reply::Deleted(_)
                | Reply::Status(_)
                | Reply::Stages(_)
                | Reply::Reconfigured
                | Reply::Transferred
                | Reply::Snapshotted { .. }
                | Reply::Members(_)
                | Reply::SessionOpened { .. }
                | Reply::SessionClosed
                | Reply::Length(_)
                | Reply::Sum(_)
                | Reply::Transaction { .. },
            ) => {
                return Err(Garbled(String::from("an answer to another question")).into());
            }
            Err(error) => Answer::Refused(error.to_string()),
        };
        Ok(Some((place, answer)))
    }
}

impl Protocol for NodeProtocol {
    fn greet(&mut self, out: &mut Vec<u8>) {
        out.extend(framed(&Hello {
            magic: MAGIC,
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            cluster_id: String::new(),
            role: Role::Client,
        }));
    }

    fn ask(&mut self, place: usize, question: Question, out: &mut Vec<u8>) {
        let begin = match question {
            Question::Put { key, stamp } => self.put.append(key, stamp, out),
            Question::Get { key } => self.get.append(key, 0, out),
        };
        let id = wire::encode_into(&(ID_FIRST + place as u64), Vec::with_capacity(ID_BYTES));
        out[begin + LENGTH_BYTES..][..ID_BYTES].copy_from_slice(&id);
    }

    fn answers(
        &mut self,
        input: &[u8],
        _out: &mut Vec<u8>,
        answers: &mut Vec<(usize, Answer)>,
    ) -> Result<usize, NoAnswers> {
        let mut rest = input;
        while let Some((length, behind)) = rest.split_first_chunk::<LENGTH_BYTES>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            let Some((payload, behind)) = behind.split_at_checked(length) else {
                break;
            };
            answers.extend(self.answer(payload)?);
            rest = behind;
        }
        Ok(input.len() - rest.len())
    }
}

fn framed<T: Serialize>(value: &T) -> Vec<u8> {
    let payload = wire::encode(value);
    let length = u32::try_from(payload.len()).expect("what the load sends is far below 4 GiB");
    [&length.to_be_bytes(), &payload[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(protocol: &mut NodeProtocol, input: &[u8]) -> (usize, Vec<(usize, Answer)>) {
        let mut answers = Vec::new();
        let used = protocol.answers(input, &mut Vec::new(), &mut answers).unwrap();
        (used, answers)
    }

    #[test]
    fn a_connection_that_is_refused_is_not_taken_for_something_that_is_not_the_protocol() {
        let refusal = wire::Refusal::Busy { max: 1024 };
        let input = framed(&Welcome::Refused(refusal));
        let refused = NodeProtocol::new(16).answers(&input, &mut Vec::new(), &mut Vec::new());
        assert_eq!(
            refused.unwrap_err().to_string(),
            "the system refused a connection: too many connections: this node takes 1024"
        );
    }

    fn response(place: u64, result: Result<Reply, wire::client::Error>) -> Vec<u8> {
        framed(&Response {
            id: ID_FIRST + place,
            result,
        })
    }

    #[test]
    fn requests_are_what_a_node_decodes() {
        let mut protocol = NodeProtocol::new(20);
        for place in [0, 1, 255, 70_000] {
            let mut out = Vec::new();
            protocol.ask(place, Question::Put { key: 7, stamp: 5 }, &mut out);
            let request: Request = wire::decode(&out[LENGTH_BYTES..]).unwrap();
            assert_eq!(request.id, ID_FIRST + place as u64);
            let RequestBody::Put { key, value } = request.body else {
                panic!("{:?}", request.body);
            };
            assert_eq!((&key[..], value.len()), (&b"k00000007"[..], 20));
            assert_eq!(stamp_of(&value), Ok(5));
        }
    }

    #[test]
    fn answers_come_behind_a_welcome_in_any_order_and_in_any_pieces() {
        let value = Bytes::from_static(b"000000000000000fxyz");
        let welcome = framed(&Welcome::Accepted {
            version: 1,
            node: 1,
            cluster_id: String::new(),
        });
        let input = [
            welcome,
            response(3, Ok(Reply::Written)),
            response(0, Ok(Reply::Value(Some(value)))),
            response(1, Ok(Reply::Value(None))),
            response(2, Err(wire::client::Error::Busy)),
        ]
        .concat();
        let expected = [
            (3, Answer::Written),
            (0, Answer::Value(Some(15))),
            (1, Answer::Value(None)),
            (2, Answer::Refused(wire::client::Error::Busy.to_string())),
        ];
        assert_eq!(
            answered(&mut NodeProtocol::new(16), &input),
            (input.len(), expected.to_vec())
        );
        for cut in 0..input.len() {
            let mut protocol = NodeProtocol::new(16);
            let (used, mut answers) = answered(&mut protocol, &input[..cut]);
            answers.extend(answered(&mut protocol, &input[used..]).1);
            assert_eq!(answers, expected, "cut at {cut}");
        }
    }

    #[test]
    fn a_refusal_and_an_answer_to_nothing_are_errors() {
        let refused = framed(&Welcome::Refused(wire::Refusal::NotHello));
        let mut protocol = NodeProtocol::new(16);
        assert!(
            protocol
                .answers(&refused, &mut Vec::new(), &mut Vec::new())
                .is_err()
        );
        protocol.welcomed = true;
        let stray = framed(&Response {
            id: 1,
            result: Ok(Reply::Written),
        });
        assert!(
            protocol
                .answers(&stray, &mut Vec::new(), &mut Vec::new())
                .is_err()
        );
    }
}
