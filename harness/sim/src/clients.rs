//! The clients: each issues one operation at a time, follows redirects, and gives up in time.

use crate::history::Op;
use crate::options::Broken;
use crate::server::Input;
use crate::world::{Event, World};
use bytes::{Bytes, BytesMut};
use raft::NodeId;
use rand::RngExt;
use replica::{Answer, Refusal, Ticket};
use wire::record::Command;

/// What comes back from a node.
#[derive(Clone, Debug)]
pub(crate) enum Response {
    Done(Answer),
    /// Definite, and somebody else may be asked.
    Refused {
        leader: Option<NodeId>,
    },
    /// Nobody knows.
    Lost,
}

impl Response {
    pub(crate) fn of(result: Result<Answer, Refusal>) -> Response {
        match result {
            Ok(answer) => Response::Done(answer),
            Err(Refusal::NotLeader { leader }) => Response::Refused { leader },
            Err(Refusal::ReadAborted | Refusal::Busy) => Response::Refused { leader: None },
            Err(Refusal::LeadershipLost | Refusal::ReplyForgotten) => Response::Lost,
            Err(refusal @ (Refusal::SessionExpired | Refusal::Unfit(_))) => {
                panic!("clients of the simulation have no sessions and no lists: {refusal:?}")
            }
        }
    }
}

/// An operation on its way.
#[derive(Clone, Copy, Debug)]
struct Open {
    number: u64,
    op: Op,
    invoked: u64,
    /// The attempt that is on its way; `None` while the next one is put off.
    attempt: Option<u64>,
}

/// How far a client has come once faults are over: it must write and read once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Farewell {
    NotYet,
    Written,
    Served,
}

#[derive(Debug)]
pub(crate) struct Client {
    number: u64,
    /// Another one after each operation whose outcome nobody learned.
    process: u64,
    open: Option<Open>,
    farewell: Farewell,
    /// The value it last saw or wrote, by key: what its next compare-and-set expects.
    seen: Vec<Option<u64>>,
}

impl Client {
    pub(crate) fn new(number: u64) -> Client {
        Client {
            number,
            process: number,
            open: None,
            farewell: Farewell::NotYet,
            seen: Vec::new(),
        }
    }

    pub(crate) fn is_served(&self) -> bool {
        self.farewell == Farewell::Served
    }
}

fn key_bytes(key: u64) -> Bytes {
    Bytes::copy_from_slice(&key.to_be_bytes()[7..])
}

/// The number in a value, which its filling follows.
fn number(value: &[u8]) -> u64 {
    value
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl World {
    pub(crate) fn next_operation(&mut self, place: usize) {
        if self.clients[place].open.is_some() || self.clients[place].is_served() {
            return;
        }
        let op = self.draw_operation(place);
        let number = self.number();
        self.clients[place].open = Some(Open {
            number,
            op,
            invoked: self.now,
            attempt: None,
        });
        self.schedule(
            self.plan.load.timeout,
            Event::Timeout {
                client: place,
                operation: number,
            },
        );
        self.retry(place, number, None);
    }

    fn draw_operation(&mut self, place: usize) -> Op {
        let load = self.plan.load;
        if self.healed {
            // Each has a key of its own, so that the last history is short.
            let key = load.keys + self.clients[place].number;
            return match self.clients[place].farewell {
                Farewell::NotYet => Op::Write {
                    key,
                    value: self.number(),
                },
                Farewell::Written | Farewell::Served => Op::Read { key },
            };
        }
        let key = self.random.random_range(0..load.keys);
        if self.odds(load.reads) {
            Op::Read { key }
        } else if self.odds(load.cas) {
            let seen = usize::try_from(key)
                .ok()
                .and_then(|key| self.clients[place].seen.get(key));
            let expected = seen.copied().flatten();
            Op::Cas {
                key,
                expected,
                new: self.number(),
            }
        } else {
            Op::Write {
                key,
                value: self.number(),
            }
        }
    }

    /// Sends the open operation to a node: the leader it was told of, or any.
    pub(crate) fn retry(&mut self, place: usize, operation: u64, leader: Option<NodeId>) {
        let known = leader.and_then(|leader| self.servers.iter().position(|server| server.id == leader));
        let node = known.unwrap_or_else(|| self.random.random_range(0..self.servers.len()));
        let attempt = self.number();
        let Some(open) = self.clients[place]
            .open
            .as_mut()
            .filter(|open| open.number == operation)
        else {
            return;
        };
        open.attempt = Some(attempt);
        let op = open.op;
        let network = self.plan.network;
        if !self.odds(network.drop) {
            let delay = self.random.random_range(network.delay_min..=network.delay_max);
            self.schedule(
                delay,
                Event::Request {
                    client: place,
                    attempt,
                    node,
                    op,
                },
            );
        }
    }

    /// A request arrives, though its client may have given up meanwhile.
    pub(crate) fn request(&mut self, client: usize, attempt: u64, node: usize, op: Op) -> Result<(), Broken> {
        if self.servers[node].running().is_none() {
            // Nobody listens: the connection is refused.
            self.respond(client, attempt, Response::Refused { leader: None });
            return Ok(());
        }
        let id = self.servers[node].id;
        self.story
            .note(self.now, &[9, client as u64, node as u64, attempt], || {
                format!("c{client} ⇢ {id} {op:?}")
            });
        let ticket = Ticket(attempt);
        let input = match op {
            Op::Read { key } => Input::Read {
                ticket,
                client,
                key: key_bytes(key),
            },
            Op::Write { key, value } => {
                let command = Command::Put {
                    key: key_bytes(key),
                    value: self.value_bytes(value),
                };
                Input::Command {
                    ticket,
                    client,
                    command,
                }
            }
            Op::Cas { key, expected, new } => {
                let command = Command::Cas {
                    key: key_bytes(key),
                    expected: expected.map(|expected| self.value_bytes(expected)),
                    value: self.value_bytes(new),
                };
                Input::Command {
                    ticket,
                    client,
                    command,
                }
            }
        };
        self.servers[node].post(input);
        self.turn(node)
    }

    /// A value: its number, and a filling that follows from it.
    fn value_bytes(&self, number: u64) -> Bytes {
        let filled = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let most = self.plan.load.value_bytes_max.max(8);
        let length = 8 + usize::try_from(filled).expect("32 bits fit") % (most - 7);
        let mut bytes = BytesMut::from(&number.to_be_bytes()[..]);
        bytes.resize(length, 0xa5);
        bytes.freeze()
    }

    /// A response sets out for its client.
    pub(crate) fn respond(&mut self, client: usize, attempt: u64, response: Response) {
        let network = self.plan.network;
        if !self.odds(network.drop) {
            let delay = self.random.random_range(network.delay_min..=network.delay_max);
            self.schedule(
                delay,
                Event::Reply {
                    client,
                    attempt,
                    response,
                },
            );
        }
    }

    /// A response arrives.
    pub(crate) fn response(&mut self, place: usize, attempt: u64, response: Response) {
        let now = self.now;
        let client = &mut self.clients[place];
        let Some(open) = client.open.take_if(|open| open.attempt == Some(attempt)) else {
            return;
        };
        match response {
            Response::Done(answer) => {
                let read = match &answer {
                    Answer::Value(value) => value.as_ref().map(|value| number(value)),
                    Answer::Written
                    | Answer::Swapped(_)
                    | Answer::Deleted(_)
                    | Answer::Length(_)
                    | Answer::Sum(_)
                    | Answer::Transaction { .. }
                    | Answer::SessionOpened { .. }
                    | Answer::SessionClosed => None,
                };
                client.learn(&open.op, &answer, read);
                client.farewell = match (self.healed, client.farewell, open.op) {
                    (true, Farewell::NotYet, Op::Write { key, .. }) if key >= self.plan.load.keys => {
                        Farewell::Written
                    }
                    (true, Farewell::Written, Op::Read { .. }) => Farewell::Served,
                    (_, farewell, _) => farewell,
                };
                let process = client.process;
                self.history
                    .returned(process, open.op, open.invoked, now, &answer, read);
                self.counts.ops_ok += 1;
                self.schedule_within(self.plan.load.think_max, Event::Next { client: place });
            }
            Response::Refused { leader } => {
                let operation = open.number;
                client.open = Some(Open {
                    attempt: None,
                    ..open
                });
                let put_off = if leader.is_some() { 0 } else { self.plan.tick };
                self.schedule_within(
                    put_off,
                    Event::Retry {
                        client: place,
                        operation,
                        leader,
                    },
                );
            }
            Response::Lost => self.gave_up(place, open),
        }
    }

    /// An operation takes too long.
    pub(crate) fn timeout(&mut self, place: usize, operation: u64) {
        let open = self.clients[place].open.take_if(|open| open.number == operation);
        if let Some(open) = open {
            if open.attempt.is_none() {
                // Every attempt was refused, and none is on its way.
                self.counts.ops_failed += 1;
                self.schedule_within(self.plan.load.think_max, Event::Next { client: place });
            } else {
                self.gave_up(place, open);
            }
        }
    }

    fn gave_up(&mut self, place: usize, open: Open) {
        let process = self.clients[place].process;
        self.history.unknown(process, open.op, open.invoked);
        self.counts.ops_unknown += 1;
        self.clients[place].process += self.plan.load.clients;
        self.schedule_within(self.plan.load.think_max, Event::Next { client: place });
    }
}

impl Client {
    fn learn(&mut self, op: &Op, answer: &Answer, read: Option<u64>) {
        let (key, value) = match (*op, answer) {
            (Op::Read { key }, _) => (key, read),
            (Op::Write { key, value }, _) => (key, Some(value)),
            (Op::Cas { key, new, .. }, Answer::Swapped(true)) => (key, Some(new)),
            (
                Op::Cas { .. },
                Answer::Value(_)
                | Answer::Written
                | Answer::Swapped(false)
                | Answer::Deleted(_)
                | Answer::Length(_)
                | Answer::Sum(_)
                | Answer::Transaction { .. }
                | Answer::SessionOpened { .. }
                | Answer::SessionClosed,
            ) => return,
        };
        let key = usize::try_from(key).expect("keys are few");
        if self.seen.len() <= key {
            self.seen.resize(key + 1, None);
        }
        self.seen[key] = value;
    }
}
