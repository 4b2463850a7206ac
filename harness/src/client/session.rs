//! Commands that are sent until they are answered, and carried out once (Ongaro's dissertation, §6.3).
//!
//! A client opens its session before the first of them is invoked. It has one command on its way at a time, and sends it under one number
//! until an answer comes, to one node after the other. When it gives up it does not use the number again, and the next command
//! tells the cluster so: what is still on its way is then carried out never, or was before.

use super::request::append;
use super::{Client, MISANSWERED, Redirected, Unanswered};
use crate::client::{BrokenConnection, Connection};
use std::time::{Duration, Instant};
use wire::client::{Error, Reply, RequestBody};
use wire::record::{Command, Once};
use workloads::{Completion, Op};

/// How often a command is sent, at most.
pub(super) const SENT_MAX: usize = 6;

/// How long a client waits before it sends a command again.
const PAUSE: Duration = Duration::from_millis(50);

/// A session, and how far its client has come in it.
pub(super) struct Session {
    id: u64,
    next: u64,
}

impl Session {
    /// Names the next command. Those before it are done with, answered or not.
    fn next(&mut self) -> Once {
        let sequence = self.next;
        self.next += 1;
        Once {
            session: self.id,
            sequence,
            answered_below: sequence,
        }
    }
}

impl Client {
    /// Makes sure that there is a session.
    pub(super) async fn open_session(&mut self) -> Result<(), String> {
        if self.session.is_some() {
            return Ok(());
        }
        match self.ask(&RequestBody::OpenSession, false).await {
            Ok(Reply::SessionOpened { session, .. }) => {
                self.session = Some(Session { id: session, next: 1 });
                Ok(())
            }
            Ok(_) => Err(MISANSWERED.to_owned()),
            Err(unanswered) => Err(unanswered.reason),
        }
    }

    /// Sends `op` until it is answered, at most [`SENT_MAX`] times, under one number.
    pub(super) async fn call_once(&mut self, op: &Op, is_doubled: bool) -> Completion {
        let Op::AppendOnce { key, piece, .. } = op else {
            return Completion::Fail(String::from("only appends are made in sessions"));
        };
        let Some(session) = &mut self.session else {
            return Completion::Fail(String::from("no session"));
        };
        let body = RequestBody::Command {
            once: Some(session.next()),
            command: Command::Operation(append(*key, *piece)),
        };
        // Whether an earlier sending may have been carried out: what is said of a later one is no answer to that.
        let mut was_in_doubt = false;
        let mut sent = 0;
        loop {
            sent += 1;
            self.answer_by = Instant::now() + self.timeout;
            let unanswered = match self.ask(&body, is_doubled).await {
                Ok(reply) => {
                    self.in_doubt |= was_in_doubt;
                    return self.replied(op, &reply);
                }
                Err(unanswered) => unanswered,
            };
            was_in_doubt |= self.in_doubt || is_doubled && unanswered.says_nothing_of_the_first();
            self.in_doubt = was_in_doubt;
            if sent == SENT_MAX || !unanswered.is_worth_another_try() {
                if let Some(Error::SessionExpired) = unanswered.error {
                    self.session = None;
                }
                return self.unanswered(op, &unanswered.reason);
            }
            tokio::time::sleep(PAUSE).await;
            self.turn_to_another(sent).await;
        }
    }

    /// Connects to the node that is `steps` behind home; if that fails, home is what is left.
    async fn turn_to_another(&mut self, steps: usize) {
        let home = self.nodes.iter().position(|node| *node == self.home);
        let place = home.map_or(0, |home| (home + steps) % self.nodes.len());
        let node = self.nodes.get(place).copied().unwrap_or(self.home);
        let dialling = async {
            let address = (self.address_of)(node).ok_or(BrokenConnection::Down(node))?;
            let mut connection = Connection::dial(address, &self.cluster_id, Some(node)).await?;
            connection.welcomed().await?;
            Ok::<_, BrokenConnection>(connection)
        };
        if let Ok(Ok(connection)) = tokio::time::timeout(self.timeout, dialling).await {
            self.leader = Some(Redirected {
                connection,
                since: Instant::now(),
            });
        }
    }
}

impl Unanswered {
    /// Whether what was said of the second of two sendings says nothing of the first, which may then have been carried out.
    fn says_nothing_of_the_first(&self) -> bool {
        // What is wrong with a command is wrong with both; but between the two a leader may have stepped down.
        !matches!(self.error, Some(Error::Invalid { .. } | Error::Unfit(_)))
    }

    /// Whether the same command may yet be answered.
    fn is_worth_another_try(&self) -> bool {
        match &self.error {
            // No answer at all.
            None => true,
            Some(
                Error::NotLeader { .. }
                | Error::LeadershipLost
                | Error::InDoubt { .. }
                | Error::ReadAborted
                | Error::Busy
                | Error::NotYet { .. },
            ) => true,
            Some(
                Error::Invalid { .. }
                | Error::Refused { .. }
                | Error::SessionExpired
                | Error::ReplyForgotten
                | Error::Unfit(_),
            ) => false,
        }
    }
}
