//! The clients: each issues one operation at a time, follows redirects, and gives up in time.

use crate::chance::odds;
use crate::history::Op;
use crate::options::Broken;
use crate::server::Input;
use crate::world::{Event, World};
use bytes::{Bytes, BytesMut};
use raft::NodeId;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use replica::{Answer, Refusal, Ticket};
use wire::record::{Command, Once};

/// How often an operation of a session is sent until it is given up.
const INSISTENCE: u64 = 5;

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
                panic!("sessions of the simulation never expire, and it has no lists: {refusal:?}")
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
    /// Its name in the client's session: under that it may be sent again.
    once: Option<Once>,
    /// An earlier attempt may yet take effect.
    in_doubt: bool,
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
    /// How many operations it began.
    begun: u64,
    session: Option<u64>,
    /// Counts its commands.
    sequence: u64,
    random: ChaCha8Rng,
}

impl Client {
    pub(crate) fn new(number: u64, random: ChaCha8Rng) -> Client {
        Client {
            number,
            process: number,
            open: None,
            farewell: Farewell::NotYet,
            seen: Vec::new(),
            begun: 0,
            session: None,
            sequence: 0,
            random,
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
        if !self.healed
            && self
                .operations_max
                .is_some_and(|most| self.clients[place].begun >= most)
        {
            // What it has to do when faults are over comes then.
            let until = self.plan.duration.saturating_sub(self.now) + 1;
            self.schedule(until, Event::Next { client: place });
            return;
        }
        let opens = self.plan.load.sessions && self.clients[place].session.is_none();
        let op = if opens {
            Op::OpenSession
        } else {
            self.clients[place].begun += 1;
            self.draw_operation(place)
        };
        let number = self.number();
        let client = &mut self.clients[place];
        let once = match op {
            Op::Write { .. } | Op::Cas { .. } => client.session.map(|session| {
                client.sequence += 1;
                Once {
                    session,
                    sequence: client.sequence,
                    answered_below: client.sequence,
                }
            }),
            Op::Read { .. } | Op::OpenSession => None,
        };
        self.clients[place].open = Some(Open {
            number,
            op,
            invoked: self.now,
            attempt: None,
            once,
            in_doubt: false,
        });
        if once.is_some() {
            self.insist(place, number);
        }
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
        let client = &mut self.clients[place];
        // All that an operation may need is drawn, so that the next one does not depend on which it is.
        let key = client.random.random_range(0..load.keys);
        let (reads, swaps) = (
            odds(&mut client.random, load.reads),
            odds(&mut client.random, load.cas),
        );
        if reads {
            return Op::Read { key };
        }
        let seen = usize::try_from(key).ok().and_then(|key| client.seen.get(key));
        let expected = seen.copied().flatten();
        let number = self.number();
        if swaps {
            Op::Cas {
                key,
                expected,
                new: number,
            }
        } else {
            Op::Write { key, value: number }
        }
    }

    /// What has a name in a session is sent again after a while, answered or not.
    fn insist(&mut self, place: usize, operation: u64) {
        let after = self.plan.load.timeout / INSISTENCE;
        let event = Event::Insist {
            client: place,
            operation,
        };
        self.schedule(after.max(1), event);
    }

    /// Sends the open operation again, if there is no answer yet.
    pub(crate) fn send_again(&mut self, place: usize, operation: u64) {
        let open = self.clients[place].open.as_mut();
        let Some(open) = open.filter(|open| open.number == operation) else {
            return;
        };
        if open.attempt.is_some() {
            open.in_doubt = true;
            self.counts.ops_sent_again += 1;
            self.retry(place, operation, None);
        }
        self.insist(place, operation);
    }

    /// Sends the open operation to a node: the leader it was told of, or any.
    pub(crate) fn retry(&mut self, place: usize, operation: u64, leader: Option<NodeId>) {
        let known = leader.and_then(|leader| self.servers.iter().position(|server| server.id == leader));
        let count = self.servers.len();
        let node = known.unwrap_or_else(|| self.clients[place].random.random_range(0..count));
        let attempt = self.number();
        let Some(open) = self.clients[place]
            .open
            .as_mut()
            .filter(|open| open.number == operation)
        else {
            return;
        };
        open.attempt = Some(attempt);
        let (op, once) = (open.op, open.once);
        let network = self.plan.network;
        let random = &mut self.clients[place].random;
        let delay = random.random_range(network.delay_min..=network.delay_max);
        if !odds(random, network.drop) {
            self.schedule(
                delay,
                Event::Request {
                    client: place,
                    attempt,
                    node,
                    op,
                    once,
                },
            );
        }
    }

    /// A request arrives, though its client may have given up meanwhile.
    pub(crate) fn request(
        &mut self,
        client: usize,
        attempt: u64,
        node: usize,
        op: Op,
        once: Option<Once>,
    ) -> Result<(), Broken> {
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
            Op::OpenSession => Input::OpenSession { ticket, client },
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
                    once,
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
                    once,
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
        let random = &mut self.clients[client].random;
        let delay = random.random_range(network.delay_min..=network.delay_max);
        if !odds(random, network.drop) {
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
            Response::Done(Answer::SessionOpened { session, .. }) => {
                client.session = Some(session);
                self.think(place);
            }
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
                self.think(place);
            }
            Response::Refused { leader } => {
                let operation = open.number;
                client.open = Some(Open {
                    attempt: None,
                    ..open
                });
                let put_off = if leader.is_some() { 0 } else { self.plan.tick };
                let delay = client.random.random_range(0..=put_off);
                self.schedule(
                    delay,
                    Event::Retry {
                        client: place,
                        operation,
                        leader,
                    },
                );
            }
            Response::Lost if open.once.is_some() => {
                client.open = Some(Open {
                    in_doubt: true,
                    ..open
                });
            }
            Response::Lost => self.gave_up(place, open),
        }
    }

    /// An operation takes too long.
    pub(crate) fn timeout(&mut self, place: usize, operation: u64) {
        let open = self.clients[place].open.take_if(|open| open.number == operation);
        if let Some(open) = open {
            if open.attempt.is_none() && !open.in_doubt {
                // Every attempt was refused, and none is on its way.
                self.counts.ops_failed += 1;
                self.think(place);
            } else {
                self.gave_up(place, open);
            }
        }
    }

    /// The client's next operation comes in a moment.
    pub(crate) fn think(&mut self, place: usize) {
        let most = self.plan.load.think_max;
        let delay = self.clients[place].random.random_range(0..=most);
        self.schedule(delay, Event::Next { client: place });
    }

    fn gave_up(&mut self, place: usize, open: Open) {
        let process = self.clients[place].process;
        self.history.unknown(process, open.op, open.invoked);
        self.counts.ops_unknown += 1;
        self.clients[place].process += self.plan.load.clients;
        self.think(place);
    }
}

impl Client {
    fn learn(&mut self, op: &Op, answer: &Answer, read: Option<u64>) {
        let (key, value) = match (*op, answer) {
            (Op::OpenSession, _) => return,
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
