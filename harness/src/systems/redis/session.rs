//! A session with a server of redis.

use super::commands::{PRIMARY, Request, refused, returned, value};
use super::replication::Replication;
use crate::client::MISANSWERED;
use crate::node_number::NodeNumber;
use crate::systems::resp::{Reply, command, first_reply};
use crate::systems::{IS_ANYBODY_THERE, Later, Refusal, Session, status};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wire::client::Status;
use workloads::{Op, Ret};

/// How much is taken of a reply: more than a server says of itself, and more than any list or set of a workload.
const REPLY_BYTES_MAX: usize = 64 << 10;

/// See the module's documentation.
pub(super) struct RedisSession {
    node: NodeNumber,
    replicas: usize,
    stream: TcpStream,
    input: Vec<u8>,
}

fn broken(reason: &str) -> Refusal {
    Refusal::Indefinite(format!("the connection broke: {reason}"))
}

impl RedisSession {
    /// A session with `node`, one of a primary and so many replicas, which listens at `address`.
    pub(super) async fn open(
        node: NodeNumber,
        replicas: usize,
        address: SocketAddr,
    ) -> Result<RedisSession, String> {
        let dialling = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let stream = dialling
            .await
            .map_err(|error: std::io::Error| format!("can't connect: {error}"))?;
        Ok(RedisSession {
            node,
            replicas,
            stream,
            input: Vec::new(),
        })
    }

    /// Sends commands, and returns their replies.
    async fn ask(&mut self, commands: &[u8], count: usize) -> Result<Vec<Reply<'_>>, Refusal> {
        let said = self.stream.write_all(commands).await;
        said.map_err(|error| broken(&error.to_string()))?;
        self.input.clear();
        while replies(&self.input, count)?.is_none() {
            if self.input.len() > REPLY_BYTES_MAX {
                return Err(broken("no end"));
            }
            let more = self.stream.read_buf(&mut self.input).await;
            if more.map_err(|error| broken(&error.to_string()))? == 0 {
                return Err(broken("closed by the node"));
            }
        }
        replies(&self.input, count)?.ok_or_else(|| broken("no end"))
    }

    async fn carry_out(&mut self, op: &Op) -> Result<Ret, Refusal> {
        match Request::of(op)? {
            Request::Command(words) => {
                let replies = self.ask(&bytes(&words), 1).await?;
                returned(op, &replies[0])
            }
            Request::Transaction(commands) => {
                let mut sent = command(&[b"MULTI"]);
                for words in &commands {
                    sent.extend(bytes(words));
                }
                sent.extend(command(&[b"EXEC"]));
                let replies = self.ask(&sent, commands.len() + 2).await?;
                let (end, queued) = replies.split_last().expect("there are two at least");
                // One that is refused before it is queued makes all be discarded, and says why.
                for reply in queued {
                    match reply {
                        Reply::Error(words) => return Err(refused(words)),
                        Reply::Status(b"OK" | b"QUEUED") => {}
                        Reply::Status(_) | Reply::Number(_) | Reply::Value(_) | Reply::Items(_) => {
                            return Err(Refusal::Indefinite(MISANSWERED.to_owned()));
                        }
                    }
                }
                returned(op, end)
            }
        }
    }

    /// What the server says of its replication.
    async fn replication(&mut self) -> Option<Replication> {
        let replies = self.ask(&command(&[b"INFO", b"replication"]), 1).await.ok()?;
        let info = value(&replies[0])??;
        Replication::of(&String::from_utf8_lossy(info))
    }
}

fn bytes(words: &[String]) -> Vec<u8> {
    let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    command(&words)
}

/// The first `count` replies in `input`; `None` if they are not there yet.
fn replies(input: &[u8], count: usize) -> Result<Option<Vec<Reply<'_>>>, Refusal> {
    let (mut rest, mut all) = (input, Vec::with_capacity(count));
    while all.len() < count {
        let first = first_reply(rest).map_err(|error| broken(&error.to_string()))?;
        let Some((reply, bytes)) = first else {
            return Ok(None);
        };
        all.push(reply);
        rest = &rest[bytes..];
    }
    Ok(Some(all))
}

impl Session for RedisSession {
    fn call<'a>(&'a mut self, op: &'a Op) -> Later<'a, Result<Ret, Refusal>> {
        Box::pin(self.carry_out(op))
    }

    fn serves(&mut self) -> Later<'_, bool> {
        Box::pin(async move {
            // Replicas that follow: what is stale afterwards is so because they follow asynchronously.
            self.carry_out(&IS_ANYBODY_THERE).await.is_ok()
                && self
                    .replication()
                    .await
                    .is_some_and(|seen| seen.is_primary && seen.replicas == self.replicas)
        })
    }

    fn status(&mut self) -> Later<'_, Option<Status>> {
        Box::pin(async move {
            let seen = self.replication().await?;
            let leader = (seen.is_primary || seen.is_linked).then_some(PRIMARY);
            // There are no terms: the primary is never another one.
            Some(status(self.node, leader, 1, seen.offset))
        })
    }
}

#[cfg(test)]
mod tests;
