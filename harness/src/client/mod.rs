//! Clients: what became of each operation, as far as can be known.
//!
//! A [`Client`] is pinned to a node, its *home*. It asks there; a node that does not lead and knows who does names the leader's address,
//! and the client follows, at most [`REDIRECTS_MAX`] times within one operation: such a redirect is definite (nothing entered
//! a log), so this is no retry. The client then stays with that leader for its next operations, until one of them does not succeed or
//! [`LEADER_TRUSTED_FOR`] has passed, so that clients of followers do work too, and each node is asked again and again.
//!
//! # What is certain
//!
//! | what happened | a write, a compare-and-set | a read |
//! |---|---|---|
//! | a reply | ok | ok |
//! | a definite error: not the leader and no redirect left or known, busy, invalid | fail | fail |
//! | refused or no connection, no welcome in time, before anything was written | fail | fail |
//! | an indefinite error: leadership was lost with the command in flight | info | fail |
//! | a time-out or a broken connection after the request was written | info | fail |
//!
//! Nothing is retried. After `info` the client gives up all its connections, and whoever runs it takes a new process id.
//! After a read that timed out it keeps them: late answers are skipped by their ids, and the reads that pile up before a node that
//! stands still are the first thing that it answers when it goes on, when it may still take itself for the leader.

mod connection;
#[cfg(test)]
mod tests;

pub use connection::{BrokenConnection, Connection};

use crate::cluster::NodeNumber;
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::client::{Error, Reply, RequestBody};
use wire::record::{Command, End, Operation};
use workloads::{Completion, Op, Ret};

/// How many redirects are followed within one operation.
pub const REDIRECTS_MAX: u32 = 3;

/// How long a client stays with the leader that its home named before it asks at home again.
pub const LEADER_TRUSTED_FOR: Duration = Duration::from_secs(1);

/// What a value is recorded as that no client can have written. Workloads don't write it, so no order explains it.
pub const UNREADABLE: u64 = u64::MAX;

/// The reason of an operation that was answered as if it had been another one. No system may do that, whatever became of it.
pub const MISANSWERED: &str = "the answer is to another question";

/// Where a node is at the moment; `None` while it is down.
pub type AddressOf = Arc<dyn Fn(NodeNumber) -> Option<SocketAddr> + Send + Sync>;

/// See the module's documentation.
pub struct Client {
    home: NodeNumber,
    cluster_id: String,
    address_of: AddressOf,
    timeout: Duration,
    at_home: Option<Connection>,
    leader: Option<Redirected>,
    /// Whether a request is out whose effect is unknown.
    in_doubt: bool,
}

/// The connection to a leader that was named to us.
struct Redirected {
    connection: Connection,
    since: Instant,
}

impl Client {
    /// A client of the node `home` of the cluster `cluster_id`; an operation takes no longer than `timeout`.
    pub fn new(home: NodeNumber, cluster_id: String, address_of: AddressOf, timeout: Duration) -> Client {
        Client {
            home,
            cluster_id,
            address_of,
            timeout,
            at_home: None,
            leader: None,
            in_doubt: false,
        }
    }

    /// The node that it is pinned to.
    pub fn home(&self) -> NodeNumber {
        self.home
    }

    /// Makes sure that there is a connection on which `op` can be written at once. It belongs before the invocation.
    ///
    /// A read is written behind the hello without waiting for the welcome: a read that is lost is no loss.
    ///
    /// # Errors
    /// There is none to be had within the time-out; in words. The operation has then not happened.
    pub async fn reach(&mut self, op: &Op) -> Result<(), String> {
        let timeout = self.timeout;
        let reached = tokio::time::timeout(timeout, self.dial_where_needed(op.is_read())).await;
        let failed = match reached {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(broken)) => broken.to_string(),
            Err(_) if self.leader.is_none() && self.at_home.is_some() => {
                // The welcome may still come, for the operations after this one.
                return Err(String::from("no welcome in time"));
            }
            Err(_) => String::from("no connection in time"),
        };
        self.forget_current();
        Err(failed)
    }

    /// Carries out `op`, after [`Client::reach`] has succeeded for it.
    pub async fn call(&mut self, op: &Op) -> Completion {
        self.in_doubt = false;
        let timeout = self.timeout;
        let completion = match tokio::time::timeout(timeout, self.exchange(op)).await {
            Ok(completion) => completion,
            Err(_) => {
                // The leader that was named may be the one that stands still; home may know better by now.
                self.leader = None;
                if self.at_home.as_ref().is_some_and(|at_home| !at_home.is_intact()) {
                    self.at_home = None;
                }
                self.unanswered(op, "timed out")
            }
        };
        if let Completion::Info(_) = completion {
            self.at_home = None;
            self.leader = None;
        }
        completion
    }

    async fn dial_where_needed(&mut self, is_read: bool) -> Result<(), BrokenConnection> {
        if self
            .leader
            .as_ref()
            .is_some_and(|leader| leader.since.elapsed() > LEADER_TRUSTED_FOR)
        {
            self.leader = None;
        }
        let connection = match (&mut self.leader, &mut self.at_home) {
            (Some(leader), _) => &mut leader.connection,
            (None, Some(at_home)) => at_home,
            (None, at_home) => {
                let address = (self.address_of)(self.home).ok_or(BrokenConnection::Down(self.home))?;
                let dialled = Connection::dial(address, &self.cluster_id, Some(self.home)).await?;
                at_home.insert(dialled)
            }
        };
        if is_read {
            return Ok(());
        }
        connection.welcomed().await
    }

    async fn exchange(&mut self, op: &Op) -> Completion {
        let mut redirects = 0;
        loop {
            let connection = match (&mut self.leader, &mut self.at_home) {
                (Some(leader), _) => &mut leader.connection,
                (None, Some(at_home)) => at_home,
                (None, None) => return Completion::Fail(String::from("not connected")),
            };
            self.in_doubt = true;
            let answer = match connection.call(request(op)).await {
                Ok(answer) => answer,
                Err(broken) => {
                    self.forget_current();
                    self.in_doubt &= !broken.is_definite();
                    return self.unanswered(op, &broken.to_string());
                }
            };
            let error = match answer {
                Ok(reply) => return self.replied(op, &reply),
                Err(error) => error,
            };
            self.in_doubt = !error.is_definite();
            if let Error::NotLeader { leader: Some(leader) } = &error
                && !leader.client_address.is_empty()
                && redirects < REDIRECTS_MAX
            {
                redirects += 1;
                match Connection::dial(leader.client_address.as_str(), &self.cluster_id, None).await {
                    Ok(connection) => {
                        self.leader = Some(Redirected {
                            connection,
                            since: Instant::now(),
                        });
                        continue;
                    }
                    Err(broken) => {
                        self.leader = None;
                        return Completion::Fail(format!("redirected to node {}: {broken}", leader.node));
                    }
                }
            }
            self.leader = None;
            return self.unanswered(op, &error.to_string());
        }
    }

    fn replied(&mut self, op: &Op, reply: &Reply) -> Completion {
        match (op, reply) {
            (Op::Read { .. }, Reply::Value(value)) => {
                Completion::Ok(Ret::Value(value.as_deref().map(number)))
            }
            (Op::Write { .. }, Reply::Written) => Completion::Ok(Ret::Written),
            (Op::Cas { .. }, Reply::Swapped(swapped)) => Completion::Ok(Ret::Swapped(*swapped)),
            (Op::Add { .. }, Reply::Sum(_)) | (Op::Enqueue { .. }, Reply::Written) => {
                Completion::Ok(Ret::Written)
            }
            (Op::Count { .. }, Reply::Value(value)) => {
                Completion::Ok(Ret::Count(value.as_deref().map_or(0, count)))
            }
            (Op::Dequeue { .. }, Reply::Value(item)) => {
                Completion::Ok(Ret::Value(item.as_deref().map(number)))
            }
            (
                Op::Read { .. }
                | Op::Write { .. }
                | Op::Cas { .. }
                | Op::Add { .. }
                | Op::Count { .. }
                | Op::Enqueue { .. }
                | Op::Dequeue { .. },
                _,
            ) => {
                self.forget_current();
                self.unanswered(op, MISANSWERED)
            }
        }
    }

    /// What is known of an operation that got no reply.
    fn unanswered(&self, op: &Op, reason: &str) -> Completion {
        if self.in_doubt && !op.is_read() {
            Completion::Info(reason.to_owned())
        } else {
            Completion::Fail(reason.to_owned())
        }
    }

    fn forget_current(&mut self) {
        if self.leader.take().is_none() {
            self.at_home = None;
        }
    }
}

fn request(op: &Op) -> RequestBody {
    match op {
        Op::Read { key } => RequestBody::Get { key: rendered(*key) },
        Op::Write { key, value } => RequestBody::Put {
            key: rendered(*key),
            value: rendered(*value),
        },
        Op::Cas { key, expected, new } => RequestBody::Cas {
            key: rendered(*key),
            expected: expected.map(rendered),
            value: rendered(*new),
        },
        Op::Add { key, amount } => operation(Operation::Add {
            key: rendered(*key),
            amount: *amount,
        }),
        Op::Count { key } => RequestBody::Get { key: rendered(*key) },
        Op::Enqueue { key, value } => operation(Operation::Push {
            key: rendered(*key),
            item: rendered(*value),
            end: End::Back,
        }),
        Op::Dequeue { key } => operation(Operation::Pop {
            key: rendered(*key),
            end: End::Front,
        }),
    }
}

fn operation(operation: Operation) -> RequestBody {
    RequestBody::Command {
        once: None,
        command: Command::Operation(operation),
    }
}

/// Keys and values travel in decimal, so that people can ask for them with `node get`.
fn rendered(number: u64) -> Bytes {
    Bytes::from(number.to_string())
}

/// The value of a counter; the least of all where it is none, which no workload comes to.
fn count(value: &[u8]) -> i64 {
    let digits = std::str::from_utf8(value).ok();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(i64::MIN)
}

fn number(value: &[u8]) -> u64 {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(UNREADABLE)
}
