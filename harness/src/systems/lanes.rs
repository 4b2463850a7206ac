//! Lanes: what nodes say to each other over HTTP, by way of the harness, so that it can be cut.
//!
//! ```text
//!   node 1 ──▶ its proxy ──▶ node 2        a request of node 1: what it says on lane 1→2
//!          ◀──           ◀──               the answer: what node 2 says on lane 2→1
//! ```
//!
//! A system that knows its nodes by one address each, the same for all, leaves nothing to tell by who dials. So each node is given an HTTP
//! proxy of its own, and addresses that nobody has ([`alias`]): whatever it asks another one it asks its proxy for, and that knows both.
//! Each connection carries one request, so that all of its bytes are between the same two nodes.
//!
//! A cut lane looks as a link between the project's own nodes that is cut does: it swallows what is said, and nobody is told. When it is
//! healed, the connections whose streams have holes are reset. Unlike those, it is one direction of connections that are open both ways.

use crate::node_number::NodeNumber;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// The most headers of one.
const HEADERS_MAX: usize = 64;
/// What is passed on at once.
const BUFFER_BYTES: usize = 64 << 10;
/// How long a node may take to accept a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// How long to wait before accepting again when the system has no room for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// The port of every alias.
const ALIAS_PORT: u16 = 80;

/// The address by which nodes know `node`. It is of the block that is kept for documentation (RFC 5737): no machine has it, and it is no
/// loopback address, which programs would not ask a proxy for.
pub(super) fn alias(node: NodeNumber) -> SocketAddr {
    let last = u8::try_from(node).expect("a cluster has fewer than 256 nodes");
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), ALIAS_PORT))
}

/// What one node says to another.
#[derive(Debug, Default)]
struct Lane {
    cut: watch::Sender<bool>,
    /// Bytes that were swallowed, and ends of connections.
    swallowed: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    lanes: BTreeMap<(NodeNumber, NodeNumber), Lane>,
    /// Where nodes really are.
    nodes: BTreeMap<NodeNumber, SocketAddr>,
}

/// All lanes of a cluster; dropping them closes their proxies.
#[derive(Debug)]
pub(crate) struct Lanes {
    inner: Arc<Inner>,
    proxies: BTreeMap<NodeNumber, SocketAddr>,
    acceptors: Vec<JoinHandle<()>>,
}

impl Lanes {
    /// Opens a proxy for each of `nodes`, which listen there.
    pub(super) fn open(nodes: BTreeMap<NodeNumber, SocketAddr>) -> io::Result<Lanes> {
        let pairs = nodes.keys().flat_map(|from| nodes.keys().map(|to| (*from, *to)));
        let lanes = pairs.filter(|(from, to)| from != to);
        let inner = Arc::new(Inner {
            lanes: lanes.map(|pair| (pair, Lane::default())).collect(),
            nodes: nodes.clone(),
        });
        let (mut proxies, mut acceptors) = (BTreeMap::new(), Vec::new());
        for from in nodes.into_keys() {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            proxies.insert(from, listener.local_addr()?);
            let listener = TcpListener::from_std(listener)?;
            acceptors.push(tokio::spawn(accept(listener, from, Arc::clone(&inner))));
        }
        Ok(Lanes {
            inner,
            proxies,
            acceptors,
        })
    }

    /// The proxy of a node.
    pub(super) fn proxy(&self, node: NodeNumber) -> SocketAddr {
        self.proxies[&node]
    }

    pub(crate) fn cut(&self, from: NodeNumber, to: NodeNumber) {
        self.set(from, to, true);
    }

    pub(crate) fn heal(&self, from: NodeNumber, to: NodeNumber) {
        self.set(from, to, false);
    }

    fn set(&self, from: NodeNumber, to: NodeNumber, is_cut: bool) {
        if let Some(lane) = self.inner.lanes.get(&(from, to)) {
            lane.cut
                .send_if_modified(|cut| std::mem::replace(cut, is_cut) != is_cut);
        }
    }

    pub(crate) fn is_cut(&self, from: NodeNumber, to: NodeNumber) -> bool {
        let lane = self.inner.lanes.get(&(from, to));
        lane.is_some_and(|lane| *lane.cut.borrow())
    }

    pub(crate) fn swallowed(&self, from: NodeNumber, to: NodeNumber) -> u64 {
        let lane = self.inner.lanes.get(&(from, to));
        lane.map_or(0, |lane| lane.swallowed.load(Ordering::Relaxed))
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        for acceptor in &self.acceptors {
            acceptor.abort();
        }
    }
}

async fn accept(listener: TcpListener, from: NodeNumber, inner: Arc<Inner>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(carry(stream, from, Arc::clone(&inner)));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Carries one request of `from`, and its answer.
async fn carry(mut near: TcpStream, from: NodeNumber, inner: Arc<Inner>) {
    let Ok(Some((to, head))) = request(&mut near).await else {
        return;
    };
    let (Some(there), Some(back), Some(address)) = (
        inner.lanes.get(&(from, to)),
        inner.lanes.get(&(to, from)),
        inner.nodes.get(&to),
    ) else {
        return;
    };
    if *there.cut.borrow() {
        // Nobody hears it, and nobody is told.
        there.swallowed.fetch_add(head.len() as u64, Ordering::Relaxed);
        let _ = there.cut.subscribe().wait_for(|cut| !*cut).await;
        return reset(&near);
    }
    let dialled = tokio::time::timeout(CONNECT_TIME_MAX, TcpStream::connect(address)).await;
    let Ok(Ok(mut far)) = dialled else {
        return;
    };
    // Without it, small messages would wait for acknowledgements; where it can't be set, the connection is about to fail.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    if far.write_all(&head).await.is_err() {
        return;
    }
    let (near_reads, near_writes) = near.split();
    let (far_reads, far_writes) = far.split();
    let has_hole = tokio::select! {
        has_hole = pass(near_reads, far_writes, there) => has_hole,
        has_hole = pass(far_reads, near_writes, back) => has_hole,
    };
    if has_hole {
        reset(&near);
        reset(&far);
    }
}

/// Reads the head of a request: to whom it is, and what that one is to be sent.
async fn request(near: &mut TcpStream) -> io::Result<Option<(NodeNumber, Vec<u8>)>> {
    let mut input = Vec::new();
    while input.len() < HEAD_BYTES_MAX {
        if near.read_buf(&mut input).await? == 0 {
            return Ok(None);
        }
        if let Some(to) = addressee(&input)? {
            // One request, one connection. Whatever follows the first line may stand before the other headers.
            let first = input.windows(2).position(|pair| pair == b"\r\n");
            let behind = first.map_or(input.len(), |at| at + 2);
            input.splice(behind..behind, *b"Connection: close\r\n");
            return Ok(Some((to, input)));
        }
    }
    Ok(None)
}

/// To whom a request is; `None` if its head is not whole.
fn addressee(input: &[u8]) -> io::Result<Option<NodeNumber>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let status = request
        .parse(input)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    if status.is_partial() {
        return Ok(None);
    }
    let target = request.path.and_then(|target| target.strip_prefix("http://"));
    let host = target.and_then(|target| target.split(['/', ':']).next());
    let octets = host
        .and_then(|host| host.parse::<Ipv4Addr>().ok())
        .map(|ip| ip.octets());
    match octets {
        Some([192, 0, 2, last]) => Ok(Some(NodeNumber::from(last))),
        Some(_) | None => Err(io::Error::new(io::ErrorKind::InvalidData, "a request to nobody")),
    }
}

/// Passes on what is said on a lane, until that ends; whether it has a hole.
async fn pass(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, lane: &Lane) -> bool {
    let mut cut = lane.cut.subscribe();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut has_hole = false;
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = cut.wait_for(|cut| !*cut), if has_hole => return true,
        };
        if has_hole || *cut.borrow() {
            has_hole = true;
            lane.swallowed.fetch_add(read.max(1) as u64, Ordering::Relaxed);
            if read == 0 {
                // That it has ended is not told either.
                let _ = cut.wait_for(|cut| !*cut).await;
                return true;
            }
        } else if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return false;
        }
    }
}

/// Lets the connection end with a reset, so that the node does not take it for an orderly end.
fn reset(stream: &TcpStream) {
    // Where it can't be set, the stream is closed the ordinary way, and the node notices all the same.
    let _ = stream.set_zero_linger();
}

#[cfg(test)]
mod tests;
