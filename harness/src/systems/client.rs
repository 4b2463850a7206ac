//! Clients of any system, and what became of their operations.
//!
//! For other systems the table of the module `client` holds, too. One thing differs: a session is given up with the first answer that does
//! not come in time, that to a read as well, since protocols without numbers can't tell a late answer from the next one.

mod once;

use super::site::Site;
use super::{Refusal, Session};
use crate::client::{AddressOf, Client, REDIRECTS_MAX, TIMED_OUT};
use crate::node_number::NodeNumber;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use workloads::{Completion, Op};

/// Makes clients of a cluster.
#[derive(Clone)]
pub(crate) struct Clients {
    /// Where its nodes are, if it is another system than the project's own.
    pub(crate) site: Option<Site>,
    /// Where its nodes are at the moment.
    pub(crate) address_of: AddressOf,
    /// Its nodes.
    pub(crate) nodes: Vec<NodeNumber>,
    /// The cluster's id, for the project's own nodes.
    pub(crate) cluster_id: String,
    /// How long an operation may take.
    pub(crate) timeout: Duration,
    /// Whether clients of the project's own nodes read where they are pinned to.
    pub(crate) reads_at_home: bool,
}

impl Clients {
    /// A client of the node `home`.
    pub(crate) fn pinned_to(&self, home: NodeNumber) -> AnyClient {
        let address_of = Arc::clone(&self.address_of);
        match &self.site {
            None => AnyClient::Node(Box::new(
                Client::new(home, self.cluster_id.clone(), address_of, self.timeout)
                    .among(self.nodes.clone())
                    .reading_at_home(self.reads_at_home),
            )),
            Some(site) => AnyClient::Other(SiteClient {
                site: site.clone(),
                home,
                nodes: self.nodes.clone(),
                address_of,
                timeout: self.timeout,
                sessions: BTreeMap::new(),
                asked: None,
            }),
        }
    }
}

/// A client of the project's own node, or of another system's.
pub(crate) enum AnyClient {
    /// Of the project's own.
    Node(Box<Client>),
    /// Of another system's.
    Other(SiteClient),
}

impl AnyClient {
    /// The node that it is pinned to.
    pub(crate) fn home(&self) -> NodeNumber {
        match self {
            AnyClient::Node(client) => client.home(),
            AnyClient::Other(client) => client.home,
        }
    }

    /// Makes sure that `op` can be sent at once; if it can't, the operation has not happened.
    pub(crate) async fn reach(&mut self, op: &Op) -> Result<(), String> {
        match self {
            AnyClient::Node(client) => client.reach(op).await,
            AnyClient::Other(client) => client.reach().await,
        }
    }

    /// Carries out `op`, after [`AnyClient::reach`] has succeeded for it.
    pub(crate) async fn call(&mut self, op: &Op) -> Completion {
        match self {
            AnyClient::Node(client) => client.call(op).await,
            AnyClient::Other(client) => client.call(op).await,
        }
    }
}

/// A client of another system, pinned to a node. It asks elsewhere only what that node refuses and says who would do it.
pub(crate) struct SiteClient {
    site: Site,
    home: NodeNumber,
    /// Where it sends what has to be sent again.
    nodes: Vec<NodeNumber>,
    address_of: AddressOf,
    timeout: Duration,
    /// With its home, and with those that it was sent to.
    sessions: BTreeMap<NodeNumber, Box<dyn Session>>,
    /// Whom it has asked and has no answer from.
    asked: Option<NodeNumber>,
}

impl SiteClient {
    async fn reach(&mut self) -> Result<(), String> {
        let limit = self.site.adapter().dial_time_max(self.timeout);
        let home = self.home;
        tokio::time::timeout(limit, self.dial_where_needed(home))
            .await
            .unwrap_or_else(|_| Err(String::from("no connection in time")))
    }

    async fn call(&mut self, op: &Op) -> Completion {
        if let Op::AppendOnce { is_doubled, .. } = op {
            self.call_once(op, *is_doubled).await
        } else {
            self.call_at(self.home, op).await
        }
    }

    /// Has `node` carry out `op`, or whomever it names.
    async fn call_at(&mut self, node: NodeNumber, op: &Op) -> Completion {
        self.asked = None;
        match tokio::time::timeout(self.timeout, self.ask(node, op)).await {
            Ok(completion) => completion,
            Err(_) => self.unanswered(op, String::from(TIMED_OUT)),
        }
    }

    /// Asks `first`, and wherever it sends it.
    async fn ask(&mut self, first: NodeNumber, op: &Op) -> Completion {
        let mut node = first;
        let mut redirects = 0;
        loop {
            if let Err(reason) = self.dial_where_needed(node).await {
                let to = if node == first {
                    String::new()
                } else {
                    format!("redirected to node {node}: ")
                };
                return Completion::Fail(format!("{to}{reason}"));
            }
            let session = self.sessions.get_mut(&node).expect("it was just dialled");
            self.asked = Some(node);
            let answer = session.call(op).await;
            match answer {
                Ok(ret) => return Completion::Ok(ret),
                Err(Refusal::Indefinite(reason)) => return self.unanswered(op, reason),
                Err(Refusal::Elsewhere { node: other, .. }) if redirects < REDIRECTS_MAX => {
                    self.asked = None;
                    redirects += 1;
                    node = other;
                }
                Err(Refusal::Definite(reason) | Refusal::Elsewhere { reason, .. }) => {
                    return Completion::Fail(reason);
                }
            }
        }
    }

    async fn dial_where_needed(&mut self, node: NodeNumber) -> Result<(), String> {
        if (self.address_of)(node).is_none() {
            self.sessions.remove(&node);
            return Err(format!("node {node} is down"));
        }
        if !self.sessions.contains_key(&node) {
            let session = self.site.dial(node).await?;
            self.sessions.insert(node, session);
        }
        Ok(())
    }

    /// What is known of an operation that got no answer. The session that it was asked in is over; after info, so are all.
    fn unanswered(&mut self, op: &Op, reason: String) -> Completion {
        let session = self.asked.take().and_then(|node| self.sessions.remove(&node));
        if !op.is_read() && session.is_some_and(|session| session.is_in_doubt()) {
            self.sessions.clear();
            Completion::Info(reason)
        } else {
            Completion::Fail(reason)
        }
    }
}

#[cfg(test)]
mod tests;
