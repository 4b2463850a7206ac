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
//! and never answered. When it is healed, all of those are reset, since their streams have holes.

use crate::node_number::NodeNumber;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What one connection buffers in each direction.
const BUFFER_BYTES: usize = 64 << 10;
/// How long the node at the far end may take to accept a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// How long to wait before accepting again when the system has no room for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

struct Link {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    /// Where the far end listens; `None` while it is down.
    target: watch::Sender<Option<SocketAddr>>,
    /// Bytes that were swallowed, and connections that were made in vain. One that was there before and says nothing misses nothing.
    swallowed: AtomicU64,
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
                    cut: watch::Sender::new(false),
                    target: watch::Sender::new(None),
                    swallowed: AtomicU64::new(0),
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

    pub(super) fn heal(&self, from: NodeNumber, to: NodeNumber) {
        if let Some(link) = self.links.get(&(from, to)) {
            link.cut.send_if_modified(|cut| std::mem::replace(cut, false));
        }
    }

    pub(super) fn is_cut(&self, from: NodeNumber, to: NodeNumber) -> bool {
        self.links.get(&(from, to)).is_some_and(|link| *link.cut.borrow())
    }

    pub(super) fn swallowed(&self, from: NodeNumber, to: NodeNumber) -> u64 {
        self.links
            .get(&(from, to))
            .map_or(0, |link| link.swallowed.load(Ordering::Relaxed))
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for acceptor in &self.acceptors {
            acceptor.abort();
        }
    }
}

async fn accept(listener: TcpListener, link: Arc<Link>) {
    // Dropped with this task, and every connection with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(carry(Arc::clone(&link), stream));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Carries one connection to its end.
async fn carry(link: Arc<Link>, mut near: TcpStream) {
    let mut cut = link.cut.subscribe();
    // Kept open while the link is cut: neither end learns of a partition by a connection that ends.
    let mut far = None;
    if *cut.borrow_and_update() {
        link.swallowed.fetch_add(1, Ordering::Relaxed);
    } else {
        tokio::select! {
            () = forward(&link, &mut near, &mut far) => return reset(&near),
            _ = cut.wait_for(|cut| *cut) => {}
        }
    }
    tokio::select! {
        () = swallow(&link, &mut near) => {}
        _ = cut.wait_for(|cut| !*cut) => {}
    }
    reset(&near);
    if let Some(far) = &far {
        reset(far);
    }
}

/// Copies both ways until one end closes or fails.
async fn forward(link: &Link, near: &mut TcpStream, far: &mut Option<TcpStream>) {
    let Some(target) = *link.target.borrow() else {
        return;
    };
    let Ok(Ok(stream)) = tokio::time::timeout(CONNECT_TIME_MAX, TcpStream::connect(target)).await else {
        return;
    };
    let far = far.insert(stream);
    // Without it, small messages would wait for acknowledgements; where it can't be set, the connection is about to fail.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    // However it ends, the connection is over.
    let _ = tokio::io::copy_bidirectional_with_sizes(near, far, BUFFER_BYTES, BUFFER_BYTES).await;
}

/// Reads and drops what is sent, until the sender closes.
async fn swallow(link: &Link, near: &mut TcpStream) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(bytes @ 1..) = near.read(&mut buffer).await {
        link.swallowed.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Lets the connection end with a reset, so that the node does not take it for an orderly end.
fn reset(stream: &TcpStream) {
    // Where it can't be set, the stream is closed the ordinary way, and the node notices all the same.
    let _ = stream.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use tokio::io::AsyncWriteExt as _;

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(30);

    /// A link from node 1 to node 2, which is this listener.
    async fn link() -> (Links, TcpListener) {
        let node = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let links = Links::open(&[1, 2]).await.unwrap();
        links.set_target(2, Some(node.local_addr().unwrap()));
        (links, node)
    }

    async fn dial(links: &Links) -> TcpStream {
        TcpStream::connect(links.address(1, 2).unwrap()).await.unwrap()
    }

    /// A connection over the link that has carried something: its near end, and its far end.
    async fn connected(links: &Links, node: &TcpListener) -> (TcpStream, TcpStream) {
        let mut near = dial(links).await;
        near.write_all(b"a").await.unwrap();
        let (mut far, _) = node.accept().await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), b'a');
        (near, far)
    }

    async fn swallows_until(links: &Links, least: u64) {
        let enough = async {
            while links.swallowed(1, 2) < least {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LONG, enough).await.unwrap();
    }

    #[tokio::test]
    async fn a_cut_swallows_what_is_said_and_healing_resets_both_ends() {
        let (links, node) = link().await;
        let (mut near, mut far) = connected(&links, &node).await;
        links.cut(1, 2);
        // Whatever order the tasks are woken in: what is swallowed from here on is not heard.
        while links.swallowed(1, 2) == 0 {
            near.write_all(b"b").await.unwrap();
            tokio::task::yield_now().await;
        }
        near.write_all(b"c").await.unwrap();
        swallows_until(&links, 2).await;
        links.heal(1, 2);
        let mut heard = Vec::new();
        let end = tokio::time::timeout(LONG, far.read_to_end(&mut heard))
            .await
            .unwrap();
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert!(!heard.contains(&b'c'), "{heard:?}");
        let end = tokio::time::timeout(LONG, near.read_u8()).await.unwrap();
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
        // A new one works again.
        connected(&links, &node).await;
    }

    #[tokio::test]
    async fn a_cut_that_nobody_notices_swallows_nothing() {
        let (links, node) = link().await;
        let (mut near, _far) = connected(&links, &node).await;
        links.cut(1, 2);
        // The link's task runs; that it saw the cut is shown by the reset.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        links.heal(1, 2);
        let end = tokio::time::timeout(LONG, near.read_u8()).await.unwrap();
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(links.swallowed(1, 2), 0);
    }

    #[tokio::test]
    async fn a_connection_over_a_cut_link_is_taken_and_leads_nowhere() {
        let (links, node) = link().await;
        links.cut(1, 2);
        let mut near = dial(&links).await;
        near.write_all(b"a").await.unwrap();
        swallows_until(&links, 2).await;
        links.heal(1, 2);
        let end = tokio::time::timeout(LONG, near.read_u8()).await.unwrap();
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
        // The first that the node sees is the next one.
        connected(&links, &node).await;
    }
}
