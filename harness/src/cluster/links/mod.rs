//! The links between nodes: one proxy for each ordered pair.
//!
//! ```text
//!   node 1 ──▶ listener of 1→2 ──▶ node 2        what node 1 says to node 2
//!   node 2 ──▶ listener of 2→1 ──▶ node 1        what node 2 says to node 1
//! ```
//!
//! A node speaks to a peer on a connection that it opens itself, and hears the peer on one that the peer opens. So the link 1→2
//! carries everything that node 1 says to node 2, and cutting it silences node 1 towards node 2 and nothing else: the other way goes
//! on. (What flows back on the same connection is the answer to its greeting.)
//!
//! A cut link looks as a partition does: the connection stays open and swallows what is sent, and new connections are taken
//! and never answered. When it is healed, all of those are reset, since their streams have holes. A slow link lets what it carries wait
//! ([`line`]). On a flaky one, connections break now and then, or fall silent, or are overtaken by newer ones ([`flaky`]).

mod connection;
mod flaky;
mod line;

pub use line::Pace;

use crate::node_number::NodeNumber;
use flaky::{Flakiness, Prank};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

/// How long to wait before accepting again when the system has no room for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// How many pranks a connection may miss while it is busy.
const PRANKS_MAX: usize = 16;

struct Link {
    address: SocketAddr,
    /// Decides its jitter.
    seed: u64,
    cut: watch::Sender<bool>,
    /// How slow it is; `None` if it is not.
    pace: watch::Sender<Option<Pace>>,
    flaky: watch::Sender<Flakiness>,
    /// What befalls the connections that it has at that moment.
    pranks: broadcast::Sender<Prank>,
    /// The newest connection on which something has arrived.
    newest: watch::Sender<u64>,
    /// Where the far end listens; `None` while it is down.
    target: watch::Sender<Option<SocketAddr>>,
    harmed: AtomicU64,
}

impl Link {
    /// Does so much harm to what it carries.
    fn harm(&self, much: u64) {
        self.harmed.fetch_add(much, Ordering::Relaxed);
    }

    /// Something has arrived on the connection `number`.
    fn has_spoken(&self, number: u64) {
        self.newest.send_if_modified(|newest| {
            let is_newer = *newest < number;
            *newest = number.max(*newest);
            is_newer
        });
    }

    /// Whether it was as flaky as that, and so is otherwise now.
    fn turn_flaky(&self, from: Flakiness, to: Flakiness) -> bool {
        self.flaky.send_if_modified(|flaky| {
            let was_so = *flaky == from;
            if was_so {
                *flaky = to;
            }
            was_so
        })
    }
}

/// All links of a cluster; dropping them closes their listeners.
pub(super) struct Links {
    links: BTreeMap<(NodeNumber, NodeNumber), Arc<Link>>,
    acceptors: Vec<JoinHandle<()>>,
}

impl Links {
    /// Opens a listener for each ordered pair of `nodes`.
    pub(super) async fn open(nodes: &[NodeNumber]) -> io::Result<Links> {
        let mut all = Links {
            links: BTreeMap::new(),
            acceptors: Vec::new(),
        };
        for from in nodes {
            for to in nodes.iter().filter(|to| *to != from) {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
                let link = Arc::new(Link {
                    address: listener.local_addr()?,
                    seed: from.wrapping_mul(1_000_003).wrapping_add(*to) << 32,
                    cut: watch::Sender::new(false),
                    pace: watch::Sender::new(None),
                    flaky: watch::Sender::new(Flakiness::Off),
                    pranks: broadcast::Sender::new(PRANKS_MAX),
                    newest: watch::Sender::new(0),
                    target: watch::Sender::new(None),
                    harmed: AtomicU64::new(0),
                });
                all.acceptors
                    .push(tokio::spawn(accept(listener, Arc::clone(&link))));
                all.links.insert((*from, *to), link);
            }
        }
        Ok(all)
    }

    /// Where `from` reaches `to`; `None` for a node and itself.
    pub(super) fn address(&self, from: NodeNumber, to: NodeNumber) -> Option<SocketAddr> {
        self.links.get(&(from, to)).map(|link| link.address)
    }

    /// The node listens there from now on, or is down.
    pub(super) fn set_target(&self, node: NodeNumber, target: Option<SocketAddr>) {
        for ((_, to), link) in &self.links {
            if *to == node {
                link.target.send_replace(target);
            }
        }
    }

    pub(super) fn cut(&self, from: NodeNumber, to: NodeNumber) {
        if let Some(link) = self.links.get(&(from, to)) {
            link.cut.send_replace(true);
        }
    }

    /// From now on the link is as slow as that.
    pub(super) fn slow(&self, from: NodeNumber, to: NodeNumber, pace: Pace) {
        if let Some(link) = self.links.get(&(from, to)) {
            link.pace.send_replace(Some(pace));
        }
    }

    /// From now on things befall the link that this seed decides.
    pub(super) fn make_flaky(&self, from: NodeNumber, to: NodeNumber, seed: u64) {
        if let Some(link) = self.links.get(&(from, to))
            && link.turn_flaky(Flakiness::Off, Flakiness::On)
        {
            tokio::spawn(flaky::play(Arc::clone(link), seed ^ link.seed));
        }
    }

    /// The link is neither cut nor slow nor flaky any more.
    pub(super) fn heal(&self, from: NodeNumber, to: NodeNumber) {
        if let Some(link) = self.links.get(&(from, to)) {
            link.cut.send_if_modified(|cut| std::mem::replace(cut, false));
            link.pace.send_if_modified(|pace| pace.take().is_some());
            link.flaky
                .send_if_modified(|flaky| std::mem::replace(flaky, Flakiness::Off) != Flakiness::Off);
        }
    }

    pub(super) fn is_cut(&self, from: NodeNumber, to: NodeNumber) -> bool {
        self.links.get(&(from, to)).is_some_and(|link| *link.cut.borrow())
    }

    /// How much harm the link has done since the start: bytes that it swallowed or that were late, connections that it broke or that were
    /// made in vain. A connection that says nothing while the link is cut or slow takes no harm.
    pub(super) fn harmed(&self, from: NodeNumber, to: NodeNumber) -> u64 {
        self.links
            .get(&(from, to))
            .map_or(0, |link| link.harmed.load(Ordering::Relaxed))
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for acceptor in &self.acceptors {
            acceptor.abort();
        }
        for link in self.links.values() {
            // Ends what plays with it.
            link.flaky.send_replace(Flakiness::Off);
        }
    }
}

async fn accept(listener: TcpListener, link: Arc<Link>) {
    // Dropped with this task, and every connection with it.
    let mut connections = tokio::task::JoinSet::new();
    let mut number = 0;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                number += 1;
                connections.spawn(connection::carry(Arc::clone(&link), number, stream));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests;
