//! What nodes say to each other over HTTP.
//!
//! Each node is given an HTTP proxy of its own, and addresses that nobody has ([`alias`]): whatever it asks another one it asks its proxy for,
//! and that knows both. Each connection carries one request, so that all of its bytes are between the same two nodes.

use super::both::{self, Way};
use crate::node_number::NodeNumber;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// The most headers of one.
const HEADERS_MAX: usize = 64;
/// The port of every alias.
const ALIAS_PORT: u16 = 80;

/// The address by which nodes know `node`. It is of the block that is kept for documentation (RFC 5737): no machine has it, and it is no
/// loopback address, which programs would not ask a proxy for.
pub(crate) fn alias(node: NodeNumber) -> SocketAddr {
    let last = u8::try_from(node).expect("a cluster has fewer than 256 nodes");
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, last), ALIAS_PORT))
}

/// Carries one request of a node that reaches others by `ways`, and its answer.
pub(super) async fn carry(ways: Arc<BTreeMap<NodeNumber, Way>>, number: u64, mut near: TcpStream) {
    let Ok(Some((to, head))) = request(&mut near).await else {
        return;
    };
    if let Some(way) = ways.get(&to) {
        both::carry(way.clone(), number, near, head).await;
    }
}

/// Reads the head of a request: to whom it is, and what that one is to be sent.
async fn request(near: &mut TcpStream) -> io::Result<Option<(NodeNumber, Bytes)>> {
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
            return Ok(Some((to, Bytes::from(input))));
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
