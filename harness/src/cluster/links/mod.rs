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
//! Other systems don't keep to that: on one connection both ends have their say. There, what comes back is carried by the link that leads
//! back ([`both`]), and each of the two is cut, slow or flaky by itself. A system that knows its nodes by one address each, the same for
//! all, leaves nothing to tell by who dials; where its nodes speak HTTP, each is given a proxy of its own ([`proxy`]).
//!
//! A cut link looks as a partition does: the connection stays open and swallows what is sent, and new connections are taken
//! and never answered. When it is healed, all of those are reset, since their streams have holes. A slow link lets what it carries wait
//! ([`line`]). On a flaky one, connections break now and then, or fall silent, or are overtaken by newer ones ([`flaky`]).

mod both;
mod connection;
mod flaky;
mod line;
mod proxy;

pub use line::Pace;
pub(crate) use proxy::alias;

use crate::node_number::NodeNumber;
use both::Way;
use bytes::Bytes;
use flaky::{Flakiness, Prank};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

/// How long to wait before accepting again when the system has no room for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// How many pranks a connection may miss while it is busy.
const PRANKS_MAX: usize = 16;

/// How nodes reach each other, and so what of it can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Directly: nothing comes between them.
    Directly,
    /// Each is told the address of a link to each other one, and says there what it has to say. What comes back answers a greeting.
    OneWay,
    /// The same, and on each connection both ends have their say.
    BothWays,
    /// Each asks an HTTP proxy of its own for the others, whom it knows by addresses that nobody has.
    Proxies,
}

struct Link {
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
    fn new(from: NodeNumber, to: NodeNumber) -> Link {
        Link {
            seed: from.wrapping_mul(1_000_003).wrapping_add(to) << 32,
            cut: watch::Sender::new(false),
            pace: watch::Sender::new(None),
            flaky: watch::Sender::new(Flakiness::Off),
            pranks: broadcast::Sender::new(PRANKS_MAX),
            newest: watch::Sender::new(0),
            target: watch::Sender::new(None),
            harmed: AtomicU64::new(0),
        }
    }

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
pub(crate) struct Links {
    links: BTreeMap<(NodeNumber, NodeNumber), Arc<Link>>,
    /// Where a node is told to reach another one, by both.
    addresses: BTreeMap<(NodeNumber, NodeNumber), SocketAddr>,
    /// Each node's proxy.
    proxies: BTreeMap<NodeNumber, SocketAddr>,
    acceptors: Vec<JoinHandle<()>>,
}

impl Links {
    /// Opens what `nodes` on this machine need that reach each other so.
    #[cfg(test)]
    pub(crate) async fn open(nodes: &[NodeNumber], reach: Reach) -> io::Result<Links> {
        Links::open_near(nodes, reach, |_| IpAddr::from([127, 0, 0, 1])).await
    }

    /// Opens what `nodes` need that reach each other so, and this machine at the address `near` each.
    pub(crate) async fn open_near(
        nodes: &[NodeNumber],
        reach: Reach,
        near: impl Fn(NodeNumber) -> IpAddr,
    ) -> io::Result<Links> {
        let nodes = if reach == Reach::Directly { &[] } else { nodes };
        let pairs = nodes.iter().flat_map(|from| nodes.iter().map(|to| (*from, *to)));
        let links = pairs.filter(|(from, to)| from != to);
        let mut all = Links {
            links: links
                .map(|(from, to)| ((from, to), Arc::new(Link::new(from, to))))
                .collect(),
            addresses: BTreeMap::new(),
            proxies: BTreeMap::new(),
            acceptors: Vec::new(),
        };
        if reach == Reach::Proxies {
            all.open_proxies(nodes, near).await?;
        } else {
            all.open_listeners(reach, near).await?;
        }
        Ok(all)
    }

    /// A listener for each ordered pair.
    async fn open_listeners(&mut self, reach: Reach, near: impl Fn(NodeNumber) -> IpAddr) -> io::Result<()> {
        for ((from, to), link) in &self.links {
            let listener = TcpListener::bind((near(*from), 0)).await?;
            self.addresses.insert((*from, *to), listener.local_addr()?);
            let there = Arc::clone(link);
            let back = Arc::clone(&self.links[&(*to, *from)]);
            self.acceptors.push(if reach == Reach::BothWays {
                let way = Way { there, back };
                tokio::spawn(accept(listener, move |number, near| {
                    both::carry(way.clone(), number, near, Bytes::new())
                }))
            } else {
                tokio::spawn(accept(listener, move |number, near| {
                    connection::carry(Arc::clone(&there), number, near)
                }))
            });
        }
        Ok(())
    }

    /// A proxy for each node.
    async fn open_proxies(
        &mut self,
        nodes: &[NodeNumber],
        near: impl Fn(NodeNumber) -> IpAddr,
    ) -> io::Result<()> {
        for node in nodes {
            let others = nodes.iter().filter(|other| *other != node);
            let ways = others.map(|other| {
                let way = Way {
                    there: Arc::clone(&self.links[&(*node, *other)]),
                    back: Arc::clone(&self.links[&(*other, *node)]),
                };
                (*other, way)
            });
            let ways: Arc<BTreeMap<NodeNumber, Way>> = Arc::new(ways.collect());
            let listener = TcpListener::bind((near(*node), 0)).await?;
            self.proxies.insert(*node, listener.local_addr()?);
            self.acceptors
                .push(tokio::spawn(accept(listener, move |number, near| {
                    proxy::carry(Arc::clone(&ways), number, near)
                })));
        }
        Ok(())
    }

    /// Where `from` reaches `to`; `None` for a node and itself, and where there are no such addresses.
    pub(crate) fn address(&self, from: NodeNumber, to: NodeNumber) -> Option<SocketAddr> {
        self.addresses.get(&(from, to)).copied()
    }

    /// The proxy of a node, where it has one.
    pub(crate) fn proxy(&self, node: NodeNumber) -> Option<SocketAddr> {
        self.proxies.get(&node).copied()
    }

    /// The node listens there from now on, or is down.
    pub(crate) fn set_target(&self, node: NodeNumber, target: Option<SocketAddr>) {
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

/// Accepts connections, and has each be carried: by its number, from 1.
async fn accept<C: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    carry: impl Fn(u64, TcpStream) -> C,
) {
    // Dropped with this task, and every connection with it.
    let mut connections = tokio::task::JoinSet::new();
    let mut number = 0;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                number += 1;
                connections.spawn(carry(number, stream));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

#[cfg(test)]
mod tests;
