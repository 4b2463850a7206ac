//! etcd, asked over its JSON gateway: its errors come in words there, and the words decide what is definite.
//!
//! Reads are linearizable ones; a compare-and-set is a transaction on the value, or, where nothing must have been written yet, on the
//! version. Members ask each other through proxies of the harness, which they are told of as any program is, by `HTTP_PROXY`.

mod launch;

pub(crate) use launch::Launch;

use super::http::Http;
use super::program::version;
use super::{Adapter, Asked, ETCD_HINT, Later, Place, Refusal, Session, SystemError, UNUSED_KEY, asked};
use super::{installed, status};
use crate::client::number;
use crate::nemesis::Kind;
use crate::node_number::NodeNumber;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wire::client::Status;
use workloads::{Op, Ret};

/// How often a leader lets itself be heard.
const HEARTBEAT: Duration = Duration::from_millis(50);
/// After how long without a leader there is an election: a few times in each fault.
const ELECTION: Duration = Duration::from_millis(500);

/// What etcd says where it has refused a request before anybody else heard of it. Whatever else it says of a write leaves it open.
const DEFINITE: [&str; 3] = [
    "etcdserver: too many requests",
    "etcdserver: request is too large",
    "raft proposal dropped",
];

const NEMESES: [Kind; 3] = [Kind::Kill, Kind::Pause, Kind::Partition];

/// Which node has which member id, as far as they have told.
type MemberIds = Arc<Mutex<BTreeMap<u64, NodeNumber>>>;

/// etcd whose program is there.
#[derive(Debug)]
pub(super) struct Etcd {
    program: PathBuf,
    version: String,
    members: MemberIds,
}

impl Etcd {
    pub(super) fn find() -> Result<Etcd, SystemError> {
        let program = installed("etcd", ETCD_HINT)?;
        let line = version(&program)?;
        let version = line.strip_prefix("etcd Version: ").unwrap_or(&line).to_owned();
        Ok(Etcd {
            program,
            version,
            members: MemberIds::default(),
        })
    }
}

impl Adapter for Etcd {
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
        true
    }

    fn takes_proxies(&self) -> bool {
        true
    }

    fn command(&self, node: NodeNumber, places: &[Place]) -> Command {
        let member = super::place::index(node, places);
        let peers: Vec<SocketAddr> = places.iter().map(Place::alias).collect();
        let mut command = Launch {
            program: &self.program,
            member,
            peers: &peers,
            listen: places[member].peer(),
            client: places[member].client(),
            data: &places[member].data,
            token: "harness",
            heartbeat: HEARTBEAT,
            election: ELECTION,
        }
        .command();
        for other in ["http_proxy", "NO_PROXY", "no_proxy"] {
            command.env_remove(other);
        }
        if let Some(proxy) = places[member].proxy {
            command.env("HTTP_PROXY", format!("http://{proxy}"));
        }
        command
    }

    fn dial<'a>(
        &'a self,
        node: NodeNumber,
        places: &'a [Place],
    ) -> Later<'a, Result<Box<dyn Session>, String>> {
        Box::pin(async move {
            let address = places[super::place::index(node, places)].client();
            let http = dial(address).await?;
            let session = EtcdSession {
                node,
                address,
                http,
                members: Arc::clone(&self.members),
            };
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }
}

async fn dial(address: SocketAddr) -> Result<Http, String> {
    Http::dial(address)
        .await
        .map_err(|error| format!("can't connect: {error}"))
}

struct EtcdSession {
    node: NodeNumber,
    address: SocketAddr,
    http: Http,
    members: MemberIds,
}

/// What etcd answers, of everything that is asked here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    header: Header,
    /// What a read found.
    kvs: Vec<Pair>,
    /// Whether a transaction's comparison held.
    succeeded: bool,
    /// Of an error.
    error: Option<String>,
    /// The leader's member id; numbers of 64 bits are texts.
    leader: String,
    #[serde(rename = "raftAppliedIndex")]
    applied: String,
    #[serde(rename = "raftTerm")]
    term: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Header {
    member_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pair {
    value: String,
}

impl EtcdSession {
    async fn ask(&mut self, path: &str, body: &Value) -> Result<Answer, Refusal> {
        if self.http.is_over() {
            // An error was the last that it said.
            self.http = dial(self.address).await.map_err(Refusal::Definite)?;
        }
        let broken = |error: std::io::Error| Refusal::Indefinite(format!("the connection broke: {error}"));
        let (code, answer) = self.http.post(path, &body.to_string()).await.map_err(broken)?;
        understood(code, &answer)
    }
}

/// An answer, or what etcd refuses.
fn understood(code: u16, answer: &[u8]) -> Result<Answer, Refusal> {
    let answer: Answer = serde_json::from_slice(answer)
        .map_err(|error| Refusal::Indefinite(format!("it answers {code} and no JSON: {error}")))?;
    if code == 200 && answer.error.is_none() {
        return Ok(answer);
    }
    let reason = answer.error.unwrap_or_else(|| format!("it answers {code}"));
    if DEFINITE.iter().any(|definite| reason.contains(definite)) {
        Err(Refusal::Definite(reason))
    } else {
        Err(Refusal::Indefinite(reason))
    }
}

impl Session for EtcdSession {
    fn call<'a>(&'a mut self, op: &'a Op) -> Later<'a, Result<Ret, Refusal>> {
        Box::pin(async move {
            let asked = asked(op)?;
            let (path, body) = request(asked);
            let answer = self.ask(path, &body).await?;
            returned(asked, &answer)
        })
    }

    fn serves(&mut self) -> Later<'_, bool> {
        Box::pin(async move {
            let (path, body) = request(Asked::Read { key: UNUSED_KEY });
            self.ask(path, &body).await.is_ok()
        })
    }

    fn status(&mut self) -> Later<'_, Option<Status>> {
        Box::pin(async move {
            let answer = self.ask("/v3/maintenance/status", &json!({})).await.ok()?;
            let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
            members.insert(answer.header.member_id.parse().ok()?, self.node);
            let leader = answer.leader.parse().ok().and_then(|id: u64| members.get(&id));
            Some(status(
                self.node,
                leader.copied(),
                answer.term.parse().ok()?,
                answer.applied.parse().ok()?,
            ))
        })
    }
}

/// Where `asked` is asked, and how.
fn request(asked: Asked) -> (&'static str, Value) {
    match asked {
        Asked::Read { key } => ("/v3/kv/range", json!({ "key": encoded(key) })),
        Asked::Write { key, value } => (
            "/v3/kv/put",
            json!({ "key": encoded(key), "value": encoded(value) }),
        ),
        Asked::Cas { key, expected, new } => {
            let key = encoded(key);
            let compare = match expected {
                Some(value) => {
                    json!({ "key": key, "target": "VALUE", "result": "EQUAL", "value": encoded(value) })
                }
                None => json!({ "key": key, "target": "VERSION", "result": "EQUAL", "version": "0" }),
            };
            let put = json!({ "request_put": { "key": key, "value": encoded(new) } });
            ("/v3/kv/txn", json!({ "compare": [compare], "success": [put] }))
        }
    }
}

/// What an operation returned that was answered so.
fn returned(asked: Asked, answer: &Answer) -> Result<Ret, Refusal> {
    match asked {
        Asked::Read { .. } => {
            let value = answer.kvs.first().map(|pair| BASE64_STANDARD.decode(&pair.value));
            match value.transpose() {
                Ok(value) => Ok(Ret::Value(value.as_deref().map(number))),
                Err(error) => Err(Refusal::Indefinite(format!("a value is no base64: {error}"))),
            }
        }
        Asked::Write { .. } => Ok(Ret::Written),
        Asked::Cas { .. } => Ok(Ret::Swapped(answer.succeeded)),
    }
}

/// Keys and values are decimal numbers, which JSON has as base64.
fn encoded(number: u64) -> String {
    BASE64_STANDARD.encode(number.to_string())
}

#[cfg(test)]
mod tests;
