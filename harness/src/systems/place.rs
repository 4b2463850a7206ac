//! Where a node is: its number, its data, its ports.

use crate::cluster::{Folders, Links, alias};
use crate::node_number::NodeNumber;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

/// Between two attempts to reach a server that starts.
const LISTENS_INTERVAL: Duration = Duration::from_millis(5);

/// A node's place. It keeps it for as long as the cluster lives, however often the node is started again: systems know their nodes by
/// address.
#[derive(Debug)]
pub struct Place {
    /// Which node.
    pub node: NodeNumber,
    /// Where its data lies, as an absolute path. The folder is there.
    pub data: PathBuf,
    /// Where its logs lie, as an absolute path.
    logs: PathBuf,
    /// The HTTP proxy by which it reaches others, if it takes one.
    pub proxy: Option<SocketAddr>,
    /// Where it reaches others by links.
    links: BTreeMap<NodeNumber, SocketAddr>,
    client: HeldPort,
    peer: HeldPort,
}

impl Place {
    /// Holds two ports for the node `node` with these folders.
    ///
    /// # Errors
    /// There are none to be had, or the folder can't be made.
    pub(super) fn hold(node: NodeNumber, folders: &Folders) -> io::Result<Place> {
        // A program may go to another folder before it looks for its data.
        let data = std::path::absolute(&folders.data)?;
        let logs = std::path::absolute(&folders.own)?;
        std::fs::create_dir_all(&data)?;
        Ok(Place {
            node,
            data,
            logs,
            proxy: None,
            links: BTreeMap::new(),
            client: HeldPort::any()?,
            peer: HeldPort::any()?,
        })
    }

    /// From now on it reaches `others` by links.
    pub(super) fn link(&mut self, others: &[NodeNumber], links: &Links) {
        self.proxy = links.proxy(self.node);
        let to = others.iter().copied();
        self.links = to
            .filter_map(|to| Some((to, links.address(self.node, to)?)))
            .collect();
    }

    /// The link by which it reaches `node`; `None` if there is none, as to itself.
    pub fn link_to(&self, node: NodeNumber) -> Option<SocketAddr> {
        self.links.get(&node).copied()
    }

    /// Where clients reach it.
    pub fn client(&self) -> SocketAddr {
        self.client.address
    }

    /// Where other nodes reach it.
    pub fn peer(&self) -> SocketAddr {
        self.peer.address
    }

    /// Where those reach it that ask their proxies for it.
    pub fn alias(&self) -> SocketAddr {
        alias(self.node)
    }

    /// Where a client of it that is a process writes what it has to say.
    pub(super) fn client_log(&self) -> PathBuf {
        self.logs.join("client.log")
    }
}

/// Waits until somebody listens at `address`.
pub(crate) async fn listens(address: SocketAddr) {
    while TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(LISTENS_INTERVAL).await;
    }
}

/// Where `node` is among `places`.
///
/// # Panics
/// It has none.
pub(super) fn index(node: NodeNumber, places: &[Place]) -> usize {
    places
        .iter()
        .position(|place| place.node == node)
        .unwrap_or_else(|| panic!("node {node} has no place"))
}

/// A port that nobody gets by chance while this is held, and that a server can listen at.
///
/// Linux lets sockets share a port that all allow it (`SO_REUSEADDR`, which servers set) as long as no other one listens, and gives nobody
/// such a port who asks for any. So it is held by a socket that never listens.
#[derive(Debug)]
struct HeldPort {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl HeldPort {
    fn any() -> io::Result<HeldPort> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        Ok(HeldPort {
            address: socket.local_addr()?,
            _socket: socket,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_held_port_can_be_listened_at_again_and_again() {
        let port = HeldPort::any().unwrap();
        for _ in 0..2 {
            assert!(TcpStream::connect(port.address).is_err(), "nobody listens");
            let server = TcpListener::bind(port.address).unwrap();
            let _near = TcpStream::connect(port.address).unwrap();
            // As one that is killed: the connection ends on its side first.
            drop(server.accept().unwrap());
        }
    }

    #[test]
    fn nobody_gets_a_held_port_by_chance() {
        let held: Vec<SocketAddr> = (0..500)
            .map(|_| HeldPort::any().unwrap())
            .collect::<Vec<HeldPort>>()
            .iter()
            .map(|port| port.address)
            .collect();
        let distinct: std::collections::BTreeSet<SocketAddr> = held.iter().copied().collect();
        assert_eq!(distinct.len(), held.len(), "all were held at once");
    }
}
