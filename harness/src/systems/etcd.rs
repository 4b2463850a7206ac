//! etcd, asked over its JSON gateway: its errors come in words there, and the words decide what is definite.
//!
//! Reads are linearizable ones; a compare-and-set is a transaction on the value, or, where nothing must have been written yet, on the
//! version.

use super::http::Http;
use super::{Adapter, Asked, ETCD_HINT, Later, Place, Refusal, Session, SystemError, UNUSED_KEY, asked};
use super::{installed, status, version};
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

const NEMESES: [Kind; 2] = [Kind::Kill, Kind::Pause];

/// How a member is started.
pub(crate) struct Launch<'a> {
    /// The program.
    pub(crate) program: &'a Path,
    /// The member's place among them.
    pub(crate) member: usize,
    /// Where each member is reached by the others.
    pub(crate) peers: &'a [SocketAddr],
    /// Where it is reached by clients.
    pub(crate) client: SocketAddr,
    /// Where its data lies.
    pub(crate) data: &'a Path,
    /// Names the cluster.
    pub(crate) token: &'a str,
    /// How often a leader lets itself be heard.
    pub(crate) heartbeat: Duration,
    /// After how long without a leader there is an election.
    pub(crate) election: Duration,
}

impl Launch<'_> {
    /// The command.
    pub(crate) fn command(&self) -> Command {
        let name = |place: usize| format!("etcd-{}", place + 1);
        let members: Vec<String> = (0..)
            .zip(self.peers)
            .map(|(place, at)| format!("{}=http://{at}", name(place)))
            .collect();
        let (peer, client) = (self.peers[self.member], self.client);
        let mut command = Command::new(self.program);
        command
            .arg(format!("--name={}", name(self.member)))
            .arg(format!("--data-dir={}", self.data.display()))
            .arg(format!("--listen-peer-urls=http://{peer}"))
            .arg(format!("--initial-advertise-peer-urls=http://{peer}"))
            .arg(format!("--listen-client-urls=http://{client}"))
            .arg(format!("--advertise-client-urls=http://{client}"))
            .arg(format!("--initial-cluster={}", members.join(",")))
            .arg("--initial-cluster-state=new")
            .arg(format!("--initial-cluster-token={}", self.token))
            .arg(format!("--heartbeat-interval={}", self.heartbeat.as_millis()))
            .arg(format!("--election-timeout={}", self.election.as_millis()))
            .args(["--logger=zap", "--log-level=warn"]);
        command
    }
}

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

    fn command(&self, node: NodeNumber, places: &[Place]) -> Command {
        let member = super::place::index(node, places);
        let peers: Vec<SocketAddr> = places.iter().map(Place::peer).collect();
        Launch {
            program: &self.program,
            member,
            peers: &peers,
            client: places[member].client(),
            data: &places[member].data,
            token: "harness",
            heartbeat: HEARTBEAT,
            election: ELECTION,
        }
        .command()
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
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_what_etcd_understands() {
        let (path, body) = request(Asked::Cas {
            key: 1,
            expected: Some(2),
            new: 3,
        });
        assert_eq!(path, "/v3/kv/txn");
        let expected = r#"{"compare":[{"key":"MQ==","result":"EQUAL","target":"VALUE","value":"Mg=="}],"success":[{"request_put":{"key":"MQ==","value":"Mw=="}}]}"#;
        assert_eq!(body, serde_json::from_str::<Value>(expected).unwrap());
        let (_, body) = request(Asked::Cas {
            key: 1,
            expected: None,
            new: 3,
        });
        assert_eq!(body["compare"][0]["version"], "0");
    }

    #[test]
    fn answers_are_what_etcd_says() {
        let read = Asked::Read { key: 1 };
        let answer = |text: &str| understood(200, text.as_bytes()).unwrap();
        let found =
            answer(r#"{"header":{"revision":"2"},"kvs":[{"key":"MQ==","value":"MjI="}],"count":"1"}"#);
        assert_eq!(returned(read, &found), Ok(Ret::Value(Some(22))));
        let nothing = answer(r#"{"header":{"revision":"2"}}"#);
        assert_eq!(returned(read, &nothing), Ok(Ret::Value(None)));
        let cas = Asked::Cas {
            key: 1,
            expected: None,
            new: 1,
        };
        assert_eq!(returned(cas, &nothing), Ok(Ret::Swapped(false)));
        let swapped = answer(r#"{"succeeded":true}"#);
        assert_eq!(returned(cas, &swapped), Ok(Ret::Swapped(true)));
    }

    #[test]
    fn only_what_etcd_refuses_at_the_door_is_definite() {
        let refusal = |text: &str| understood(503, text.as_bytes()).unwrap_err();
        let definite = r#"{"error":"etcdserver: too many requests","code":14}"#;
        assert!(matches!(refusal(definite), Refusal::Definite(_)));
        for open in [
            r#"{"error":"etcdserver: request timed out","code":14}"#,
            r#"{"error":"etcdserver: leader changed","code":14}"#,
            r#"{"error":"context canceled","code":1}"#,
            "{}",
            "no JSON",
        ] {
            assert!(matches!(refusal(open), Refusal::Indefinite(_)), "{open}");
        }
    }
}
