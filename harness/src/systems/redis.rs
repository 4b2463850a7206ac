//! Redis: node 1 is the primary, the others replicate what it has done already.
//!
//! A write is acknowledged when it is on the primary's disk, and before any replica has it; a replica answers reads from what it has. So a
//! client of a replica may read what was overwritten long ago: the cluster is not linearizable, and is not meant to be.
//!
//! Reads are answered by the node that a client is pinned to. A write at a replica is refused, which is definite, and sent on to the primary.

use super::program::version;
use super::resp::{Reply, command, first_reply};
use super::{Adapter, Asked, Later, Place, REDIS_HINT, Refusal, Session, SystemError, UNUSED_KEY, asked};
use super::{installed, status};
use crate::client::{MISANSWERED, number};
use crate::nemesis::Kind;
use crate::node_number::NodeNumber;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wire::client::Status;
use workloads::{Op, Ret};

/// The node that takes writes.
const PRIMARY: NodeNumber = 1;

/// Has a server answer a write when it is durable, and write neither snapshots nor its log anew: both would fork.
pub(crate) const DURABLE: [&str; 8] = [
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
    "--save",
    "",
    "--auto-aof-rewrite-percentage",
    "0",
];

/// A compare-and-set. An empty text stands for a register that was never written. It begins with a write that changes nothing, so that a
/// replica refuses it, whatever it holds.
const CAS: &str = "redis.call('DEL', '') \
    if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end \
    redis.call('SET', KEYS[1], ARGV[2]) \
    return 1";

/// How much is taken of a reply: more than a server says of itself.
const REPLY_BYTES_MAX: usize = 64 << 10;

const NEMESES: [Kind; 2] = [Kind::Kill, Kind::Pause];

/// Redis whose program is there.
#[derive(Debug)]
pub(super) struct Redis {
    program: PathBuf,
    version: String,
}

impl Redis {
    pub(super) fn find() -> Result<Redis, SystemError> {
        let program = installed("redis-server", REDIS_HINT)?;
        let line = version(&program)?;
        let version = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("v="))
            .unwrap_or(&line)
            .to_owned();
        Ok(Redis { program, version })
    }
}

impl Adapter for Redis {
    fn program(&self) -> &Path {
        &self.program
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn nemeses(&self) -> &[Kind] {
        &NEMESES
    }

    fn tells_how_it_is(&self) -> bool {
        true
    }

    fn elects(&self) -> bool {
        false
    }

    fn command(&self, node: NodeNumber, places: &[Place]) -> Command {
        let place = &places[super::place::index(node, places)];
        let mut command = Command::new(&self.program);
        command
            .args(["--bind", "127.0.0.1", "--port"])
            .arg(place.client().port().to_string())
            .arg("--dir")
            .arg(&place.data)
            .args(DURABLE)
            // A replica that comes back is not made to wait for others.
            .args(["--repl-diskless-sync-delay", "0"]);
        if node != PRIMARY {
            let primary = places[super::place::index(PRIMARY, places)].client();
            command.args(["--replicaof", "127.0.0.1", &primary.port().to_string()]);
        }
        command
    }

    fn dial<'a>(
        &'a self,
        node: NodeNumber,
        places: &'a [Place],
    ) -> Later<'a, Result<Box<dyn Session>, String>> {
        Box::pin(async move {
            let address: SocketAddr = places[super::place::index(node, places)].client();
            let dialling = async {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(stream)
            };
            let stream = dialling
                .await
                .map_err(|error: std::io::Error| format!("can't connect: {error}"))?;
            let session = RedisSession {
                node,
                replicas: places.len() - 1,
                stream,
                input: Vec::new(),
            };
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }
}

struct RedisSession {
    node: NodeNumber,
    replicas: usize,
    stream: TcpStream,
    input: Vec<u8>,
}

impl RedisSession {
    /// Sends a command, and hands the reply to `understand`.
    async fn ask<T>(
        &mut self,
        words: &[&[u8]],
        understand: impl FnOnce(Reply<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let broken = |reason: String| Refusal::Indefinite(format!("the connection broke: {reason}"));
        self.stream
            .write_all(&command(words))
            .await
            .map_err(|error| broken(error.to_string()))?;
        self.input.clear();
        loop {
            if let Some((reply, _)) = first_reply(&self.input).map_err(|error| broken(error.to_string()))? {
                return understand(reply);
            }
            let more = self.stream.read_buf(&mut self.input).await;
            match more.map_err(|error| broken(error.to_string()))? {
                0 => return Err(broken(String::from("closed by the node"))),
                _ if self.input.len() > REPLY_BYTES_MAX => return Err(broken(String::from("no end"))),
                _ => {}
            }
        }
    }

    /// What the server says of its replication.
    async fn replication(&mut self) -> Option<Replication> {
        let info = self
            .ask(&[b"INFO", b"replication"], |reply| {
                value(reply).map(|text| String::from_utf8_lossy(text.unwrap_or_default()).into_owned())
            })
            .await;
        Replication::of(&info.ok()?)
    }
}

/// What a server says of its replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Replication {
    is_primary: bool,
    /// Of a replica: whether it hears the primary.
    is_linked: bool,
    /// Of the primary: how many replicas have all that was and hear the rest.
    replicas: usize,
    /// How many bytes of commands it has carried out.
    offset: u64,
}

impl Replication {
    fn of(info: &str) -> Option<Replication> {
        let field = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name))?;
            line.strip_prefix(':').map(str::trim)
        };
        let is_primary = field("role")? == "master";
        let offset = if is_primary {
            "master_repl_offset"
        } else {
            "slave_repl_offset"
        };
        Some(Replication {
            is_primary,
            is_linked: field("master_link_status") == Some("up"),
            replicas: info.matches(",state=online,").count(),
            offset: field(offset)?.parse().ok()?,
        })
    }
}

impl Session for RedisSession {
    fn call<'a>(&'a mut self, op: &'a Op) -> Later<'a, Result<Ret, Refusal>> {
        Box::pin(async move {
            let asked = asked(op)?;
            let words = words(asked);
            let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            self.ask(&words, |reply| returned(asked, reply)).await
        })
    }

    fn serves(&mut self) -> Later<'_, bool> {
        Box::pin(async move {
            let words = words(Asked::Read { key: UNUSED_KEY });
            let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            let reads = self.ask(&words, |reply| value(reply).map(drop));
            // Replicas that follow: what is stale afterwards is so because they follow asynchronously.
            reads.await.is_ok()
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

fn words(asked: Asked) -> Vec<String> {
    match asked {
        Asked::Read { key } => vec![String::from("GET"), key.to_string()],
        Asked::Write { key, value } => vec![String::from("SET"), key.to_string(), value.to_string()],
        Asked::Cas { key, expected, new } => vec![
            String::from("EVAL"),
            CAS.to_owned(),
            String::from("1"),
            key.to_string(),
            expected.map_or_else(String::new, |value| value.to_string()),
            new.to_string(),
        ],
    }
}

/// What an operation returned that was answered so.
fn returned(asked: Asked, reply: Reply<'_>) -> Result<Ret, Refusal> {
    match (asked, reply) {
        (Asked::Read { .. }, reply) => value(reply).map(|value| Ret::Value(value.map(number))),
        (Asked::Write { .. }, Reply::Status(b"OK")) => Ok(Ret::Written),
        (Asked::Cas { .. }, Reply::Number(swapped)) => Ok(Ret::Swapped(swapped == 1)),
        (_, other) => Err(refused(other)),
    }
}

/// The value that a reply is.
fn value(reply: Reply<'_>) -> Result<Option<&[u8]>, Refusal> {
    if let Reply::Value(value) = reply {
        Ok(value)
    } else {
        Err(refused(reply))
    }
}

/// A command that is answered with an error was not carried out; the scripts here write last.
fn refused(reply: Reply<'_>) -> Refusal {
    if let Reply::Error(words) = reply {
        let reason = String::from_utf8_lossy(words).into_owned();
        if reason.contains("READONLY") {
            let node = PRIMARY;
            return Refusal::Elsewhere { node, reason };
        }
        return Refusal::Definite(reason);
    }
    Refusal::Indefinite(MISANSWERED.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_definite_and_that_of_a_replica_names_the_primary() {
        let readonly = b"READONLY You can't write against a read only replica. script: x, on @user_script:1.";
        assert!(matches!(
            refused(Reply::Error(readonly)),
            Refusal::Elsewhere { node: PRIMARY, .. }
        ));
        assert!(matches!(
            refused(Reply::Error(b"LOADING it is")),
            Refusal::Definite(_)
        ));
        let write = Asked::Write { key: 1, value: 2 };
        assert!(matches!(
            returned(write, Reply::Number(1)),
            Err(Refusal::Indefinite(_))
        ));
    }

    #[test]
    fn a_server_says_how_far_its_replication_is() {
        let primary = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
            slave0:ip=127.0.0.1,port=1,state=online,offset=14,lag=0\r\n\
            slave1:ip=127.0.0.1,port=2,state=wait_bgsave,offset=0,lag=0\r\nmaster_repl_offset:14\r\n";
        let seen = Replication::of(primary).unwrap();
        assert!(
            seen.is_primary && seen.replicas == 1 && seen.offset == 14,
            "{seen:?}"
        );
        let replica =
            "role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:9\r\nmaster_repl_offset:7\r\n";
        let seen = Replication::of(replica).unwrap();
        assert!(!seen.is_primary && seen.is_linked && seen.offset == 9, "{seen:?}");
        assert_eq!(Replication::of("loading"), None);
    }
}
