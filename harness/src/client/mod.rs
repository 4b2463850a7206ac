//! Clients: what became of each operation, as far as can be known.
//!
//! A [`Client`] is pinned to a node, its *home*. It asks there; a node that does not lead and knows who does names the leader's address,
//! and the client follows, at most [`REDIRECTS_MAX`] times within one operation: such a redirect is definite (nothing entered
//! a log), so this is no retry. The client then stays with that leader for its next operations, until one of them does not succeed or
//! [`LEADER_TRUSTED_FOR`] has passed, so that clients of followers do work too, and each node is asked again and again.
//!
//! Where nodes answer reads while they follow, a client may be told to read at home ([`Client::reading_at_home`]): then it asks for no leader
//! to read from, and a home that refuses a read has refused it.
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
//! Nothing is retried but the commands of a session, see [`Op::AppendOnce`]. After `info` the client gives up all its connections, and whoever runs it takes a new process id.
//! After a read that timed out it keeps them: late answers are skipped by their ids, and the reads that pile up before a node that
//! stands still are the first thing that it answers when it goes on, when it may still take itself for the leader.

mod connection;
mod lock;
mod request;
mod session;
#[cfg(test)]
mod tests;

pub use connection::{BrokenConnection, Connection};
pub use request::UNREADABLE;
pub(crate) use request::{count, number, numbers};

use crate::node_number::NodeNumber;
use request::{Asked, request, returned};
use session::Session;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::client::{Error, Reply, RequestBody};
use workloads::{Completion, Op};

/// How many redirects are followed within one operation.
pub const REDIRECTS_MAX: u32 = 3;

/// How long a client stays with the leader that its home named before it asks at home again.
pub const LEADER_TRUSTED_FOR: Duration = Duration::from_secs(1);

/// The reason of an operation that was answered as if it had been another one.
pub const MISANSWERED: &str = "the answer is to another question";

/// In the reason of an operation to whose question something else came than an answer.
pub(crate) const NOT_THE_PROTOCOL: &str = "does not speak the protocol";

/// Whether the reason of an operation accuses whoever answered: no system may answer another question than it was asked, or nonsense, whatever
/// became of the operation.
pub(crate) fn accuses(reason: &str) -> bool {
    reason == MISANSWERED || reason.contains(NOT_THE_PROTOCOL)
}

/// The reason of an operation to which no answer came in time.
pub(crate) const TIMED_OUT: &str = "timed out";

/// Where a node is at the moment; `None` while it is down.
pub type AddressOf = Arc<dyn Fn(NodeNumber) -> Option<SocketAddr> + Send + Sync>;

/// See the module's documentation.
pub struct Client {
    home: NodeNumber,
    cluster_id: String,
    address_of: AddressOf,
    timeout: Duration,
    /// Until when answers are waited for.
    answer_by: Instant,
    at_home: Option<Connection>,
    leader: Option<Redirected>,
    /// Whether a request is out whose effect is unknown.
    in_doubt: bool,
    /// Whether it reads at home, whoever leads.
    reads_at_home: bool,
    /// Where commands of a session are sent that have to be sent again; if there are none, home.
    nodes: Vec<NodeNumber>,
    session: Option<Session>,
}

/// Why there is no answer, and what the node said if it said anything.
struct Unanswered {
    reason: String,
    error: Option<Error>,
}

impl Unanswered {
    fn because(reason: &str) -> Unanswered {
        Unanswered {
            reason: reason.to_owned(),
            error: None,
        }
    }
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
            answer_by: Instant::now(),
            at_home: None,
            leader: None,
            in_doubt: false,
            reads_at_home: false,
            nodes: Vec::new(),
            session: None,
        }
    }

    /// What the client sends again, in a session, it sends to these nodes in turn, from its home on.
    #[must_use]
    pub fn among(self, nodes: Vec<NodeNumber>) -> Client {
        Client { nodes, ..self }
    }

    /// Whether the client reads at home, whoever leads.
    #[must_use]
    pub fn reading_at_home(self, reads_at_home: bool) -> Client {
        Client {
            reads_at_home,
            ..self
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
        self.answer_by = Instant::now() + timeout;
        let ready = async {
            let at_home = self.asks_at_home(op);
            self.dial_where_needed(op.is_read(), at_home)
                .await
                .map_err(|broken| broken.to_string())?;
            if matches!(op, Op::AppendOnce { .. }) {
                return self.open_session().await;
            }
            Ok(())
        };
        let reached = tokio::time::timeout(timeout, ready).await;
        let failed = match reached {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(reason)) => reason,
            Err(_) if self.leader.is_none() && self.at_home.is_some() => {
                // The welcome may still come, for the operations after this one.
                return Err(String::from("no welcome in time"));
            }
            Err(_) => String::from("no connection in time"),
        };
        let at_home = self.asks_at_home(op);
        self.forget_current(at_home);
        Err(failed)
    }

    /// Carries out `op`, after [`Client::reach`] has succeeded for it.
    pub async fn call(&mut self, op: &Op) -> Completion {
        self.in_doubt = false;
        self.answer_by = Instant::now() + self.timeout;
        let completion = if let Op::AppendOnce { is_doubled, .. } = op {
            self.call_once(op, *is_doubled).await
        } else {
            self.exchange(op).await
        };
        if let Completion::Info(_) = completion {
            self.at_home = None;
            self.leader = None;
        }
        completion
    }

    /// No answer came in time.
    fn given_up(&mut self) {
        // The leader that was named may be the one that stands still; home may know better by now.
        self.leader = None;
        if self.at_home.as_ref().is_some_and(|at_home| !at_home.is_intact()) {
            self.at_home = None;
        }
    }

    /// Whether `op` is asked at home, whoever leads. A lock is read there before it is taken or given back.
    fn asks_at_home(&self, op: &Op) -> bool {
        self.reads_at_home
            && matches!(
                request(op),
                Asked::Question(RequestBody::Get { .. }) | Asked::OfLock { .. }
            )
    }

    async fn dial_where_needed(&mut self, is_read: bool, at_home: bool) -> Result<(), BrokenConnection> {
        if self
            .leader
            .as_ref()
            .is_some_and(|leader| leader.since.elapsed() > LEADER_TRUSTED_FOR)
        {
            self.leader = None;
        }
        let leader = self.leader.as_mut().filter(|_| !at_home);
        let connection = match (leader, &mut self.at_home) {
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
        let body = match request(op) {
            Asked::Question(body) => body,
            Asked::OfLock { key, owner } => return self.exchange_of_lock(op, key, owner).await,
        };
        match self.ask(&body, false).await {
            Ok(reply) => self.replied(op, &reply),
            Err(unanswered) => self.unanswered(op, &unanswered.reason),
        }
    }

    /// Asks until the time is up that the operation, or this sending of its command, has. If `is_doubled`, the question is sent twice in a
    /// row, and the answer is that to the second.
    async fn ask(&mut self, body: &RequestBody, is_doubled: bool) -> Result<Reply, Unanswered> {
        let answer_by = self.answer_by.into();
        let asking = self.ask_around(body, is_doubled);
        if let Ok(answer) = tokio::time::timeout_at(answer_by, asking).await {
            return answer;
        }
        self.given_up();
        Err(Unanswered::because(TIMED_OUT))
    }

    /// Asks where the leader is to be found, and follows redirects.
    async fn ask_around(&mut self, body: &RequestBody, is_doubled: bool) -> Result<Reply, Unanswered> {
        let mut redirects = 0;
        let is_read = matches!(body, RequestBody::Get { .. });
        let stays_at_home = is_read && self.reads_at_home;
        loop {
            let leader = self.leader.as_mut().filter(|_| !stays_at_home);
            let connection = match (leader, &mut self.at_home) {
                (Some(leader), _) => &mut leader.connection,
                (None, Some(at_home)) => at_home,
                (None, None) => return Err(Unanswered::because("not connected")),
            };
            // A read changes nothing.
            self.in_doubt = !is_read;
            let sent = if is_doubled {
                connection.send(body.clone()).await.map(drop)
            } else {
                Ok(())
            };
            let answer = match sent {
                Ok(()) => connection.call(body.clone()).await,
                Err(broken) => Err(broken),
            };
            let error = match answer {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(error)) => error,
                Err(broken) => {
                    self.forget_current(stays_at_home);
                    self.in_doubt &= !broken.is_definite();
                    return Err(Unanswered::because(&broken.to_string()));
                }
            };
            self.in_doubt = !error.is_definite();
            if let Error::NotLeader { leader: Some(leader) } = &error
                && !stays_at_home
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
                        let reason = format!("redirected to node {}: {broken}", leader.node);
                        return Err(Unanswered::because(&reason));
                    }
                }
            }
            if !stays_at_home {
                self.leader = None;
            }
            return Err(Unanswered {
                reason: error.to_string(),
                error: Some(error),
            });
        }
    }

    fn replied(&mut self, op: &Op, reply: &Reply) -> Completion {
        if let Some(ret) = returned(op, reply) {
            return Completion::Ok(ret);
        }
        let at_home = self.asks_at_home(op);
        self.forget_current(at_home);
        self.unanswered(op, MISANSWERED)
    }

    /// What is known of an operation that got no reply.
    fn unanswered(&self, op: &Op, reason: &str) -> Completion {
        if self.in_doubt && !op.is_read() {
            Completion::Info(reason.to_owned())
        } else {
            Completion::Fail(reason.to_owned())
        }
    }

    /// The connection that was used last is good for nothing any more: that to the leader, unless home was asked whoever leads.
    fn forget_current(&mut self, at_home: bool) {
        if at_home || self.leader.take().is_none() {
            self.at_home = None;
        }
    }
}
