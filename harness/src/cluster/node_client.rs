//! The little that the harness itself asks of nodes: how they are, and whether they serve.

use crate::client::Connection;
use crate::node_number::NodeNumber;
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;
use wire::client::{Reply, RequestBody, Status};

/// How long one question may take.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(250);

/// A connection that is kept for the next question, and where it leads.
pub(crate) type Kept = Option<(SocketAddr, Connection)>;

/// How a node is, asked on the connection in `kept` if it leads there; it is kept for the next time if all went well.
pub(crate) async fn status(node: NodeNumber, address: SocketAddr, kept: &mut Kept) -> Option<Status> {
    let asking = async {
        let mut connection = match kept.take() {
            Some((to, connection)) if to == address => connection,
            Some(_) | None => Connection::dial(address, "", Some(node)).await.ok()?,
        };
        let reply = connection.call(RequestBody::Status).await.ok()?.ok()?;
        *kept = Some((address, connection));
        if let Reply::Status(status) = reply {
            Some(status)
        } else {
            None
        }
    };
    tokio::time::timeout(ANSWER_TIME_MAX, asking).await.ok().flatten()
}

/// Whether a node answers a linearizable read.
pub(crate) async fn serves_reads(node: NodeNumber, address: SocketAddr) -> bool {
    let asking = async {
        let key = Bytes::from_static(b"serving?");
        let mut connection = Connection::dial(address, "", Some(node)).await.ok()?;
        connection.call(RequestBody::Get { key }).await.ok()?.ok()
    };
    matches!(tokio::time::timeout(ANSWER_TIME_MAX, asking).await, Ok(Some(_)))
}
