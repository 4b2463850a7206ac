//! What etcd's JSON gateway answers, and which of its refusals are definite.

use crate::systems::Refusal;
use serde::{Deserialize, Deserializer};

/// What etcd says where it has refused a request before anybody else heard of it. Whatever else it says of a write leaves it open.
const DEFINITE: [&str; 3] = [
    "etcdserver: too many requests",
    "etcdserver: request is too large",
    "raft proposal dropped",
];

/// An answer to anything that is asked here. What is zero or empty is left out of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    pub(super) header: Header,
    /// What a read found.
    pub(super) kvs: Vec<Pair>,
    /// Whether a transaction's comparisons held.
    pub(super) succeeded: bool,
    /// Of a transaction's steps.
    pub(super) responses: Vec<Response>,
    /// Of an error.
    error: Option<String>,
    /// The leader's member id.
    #[serde(deserialize_with = "number")]
    pub(super) leader: u64,
    #[serde(rename = "raftAppliedIndex", deserialize_with = "number")]
    pub(super) applied: u64,
    #[serde(rename = "raftTerm", deserialize_with = "number")]
    pub(super) term: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Header {
    #[serde(deserialize_with = "number")]
    pub(super) member_id: u64,
    /// Of the whole store; that of a write's answer is its own, and no other write has it.
    #[serde(deserialize_with = "number")]
    pub(super) revision: u64,
}

/// The answer to a step of a transaction.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Response {
    #[serde(rename = "response_range")]
    pub(super) range: Found,
}

/// What a step found that reads.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Found {
    pub(super) kvs: Vec<Pair>,
}

/// A key and its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Pair {
    #[serde(deserialize_with = "bytes")]
    pub(super) key: Vec<u8>,
    #[serde(deserialize_with = "bytes")]
    pub(super) value: Vec<u8>,
    #[serde(deserialize_with = "number")]
    pub(super) create_revision: u64,
    #[serde(deserialize_with = "number")]
    pub(super) mod_revision: u64,
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let digits = String::deserialize(from)?;
    digits.parse().map_err(serde::de::Error::custom)
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    use base64::Engine as _;
    let text = String::deserialize(from)?;
    let decoded = base64::prelude::BASE64_STANDARD.decode(text);
    decoded.map_err(serde::de::Error::custom)
}

/// An answer, or what etcd refuses.
pub(super) fn understood(code: u16, answer: &[u8]) -> Result<Answer, Refusal> {
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
