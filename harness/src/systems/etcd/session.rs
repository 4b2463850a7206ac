//! A session with a member of etcd.

use super::MemberIds;
use super::answer::{Answer, understood};
use super::request::STATUS;
use crate::node_number::NodeNumber;
use crate::systems::http::Http;
use crate::systems::{IS_ANYBODY_THERE, Later, Refusal, Session, status};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::PoisonError;
use wire::client::Status;
use workloads::{Op, Ret};

/// See the module's documentation.
pub(super) struct EtcdSession {
    node: NodeNumber,
    address: SocketAddr,
    http: Http,
    members: MemberIds,
    /// Whether a write was sent of the operation that is under way.
    is_in_doubt: bool,
}

async fn dial(address: SocketAddr) -> Result<Http, String> {
    Http::dial(address)
        .await
        .map_err(|error| format!("can't connect: {error}"))
}

impl EtcdSession {
    /// A session with `node`, which listens at `address`.
    pub(super) async fn open(
        node: NodeNumber,
        address: SocketAddr,
        members: MemberIds,
    ) -> Result<EtcdSession, String> {
        Ok(EtcdSession {
            node,
            address,
            http: dial(address).await?,
            members,
            is_in_doubt: false,
        })
    }

    /// Asks something that changes nothing.
    pub(super) async fn read(&mut self, path: &str, body: &Value) -> Result<Answer, Refusal> {
        self.ask(path, body, false).await
    }

    /// Asks something that may change something.
    pub(super) async fn write(&mut self, path: &str, body: &Value) -> Result<Answer, Refusal> {
        self.ask(path, body, true).await
    }

    async fn ask(&mut self, path: &str, body: &Value, is_write: bool) -> Result<Answer, Refusal> {
        if self.http.is_over() {
            // An error was the last that it said.
            self.http = dial(self.address).await.map_err(Refusal::Definite)?;
        }
        self.is_in_doubt = is_write;
        let broken = |error: std::io::Error| Refusal::Indefinite(format!("the connection broke: {error}"));
        let (code, answer) = self.http.post(path, &body.to_string()).await.map_err(broken)?;
        understood(code, &answer)
    }
}

impl Session for EtcdSession {
    fn call<'a>(&'a mut self, op: &'a Op) -> Later<'a, Result<Ret, Refusal>> {
        self.is_in_doubt = false;
        Box::pin(self.carry_out(op))
    }

    fn is_in_doubt(&self) -> bool {
        self.is_in_doubt
    }

    fn serves(&mut self) -> Later<'_, bool> {
        Box::pin(async move { self.carry_out(&IS_ANYBODY_THERE).await.is_ok() })
    }

    fn status(&mut self) -> Later<'_, Option<Status>> {
        Box::pin(async move {
            let answer = self.read(STATUS, &json!({})).await.ok()?;
            let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
            members.insert(answer.header.member_id, self.node);
            let leader = members.get(&answer.leader).copied();
            Some(status(self.node, leader, answer.term, answer.applied))
        })
    }
}
