//! One connection to a node.

use super::NOT_THE_PROTOCOL;
use crate::node_number::NodeNumber;
use bytes::{Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_util::codec::{Decoder, LengthDelimitedCodec};
use wire::client::{Error, Reply, Request, RequestBody, Response};
use wire::{Hello, MAGIC, Refusal, Role, VERSION_MAX, VERSION_MIN, Welcome};

/// How much is read at once, at first.
const READ_BYTES: usize = 4 << 10;

/// Why a connection is of no use.
#[derive(Debug, thiserror::Error)]
pub enum BrokenConnection {
    /// The node is known to be down, so that there is nothing to dial.
    #[error("node {0} is down")]
    Down(NodeNumber),
    /// There is no connection.
    #[error("can't connect: {0}")]
    Dial(io::Error),
    /// The node did not want it.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// Another node than the one that was meant answers at its address.
    #[error("node {actual} answers in place of node {expected}")]
    OtherNode {
        /// Who was meant.
        expected: NodeNumber,
        /// Who answers.
        actual: NodeNumber,
    },
    /// It ended, or broke.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// What came over it is not the protocol.
    #[error("the node {}: {}", NOT_THE_PROTOCOL, .0)]
    Protocol(&'static str),
}

impl BrokenConnection {
    /// Whether a request that was being made on the connection has certainly not been carried out.
    pub fn is_definite(&self) -> bool {
        match self {
            BrokenConnection::Down(_)
            | BrokenConnection::Dial(_)
            | BrokenConnection::Refused(_)
            | BrokenConnection::OtherNode { .. } => true,
            BrokenConnection::Broken(_) | BrokenConnection::Protocol(_) => false,
        }
    }
}

/// A connection in the role of a client.
///
/// Requests may be pipelined: [`Connection::send`] several, then [`Connection::receive`] the answers, which carry ids.
pub struct Connection {
    stream: TcpStream,
    frames: LengthDelimitedCodec,
    incoming: BytesMut,
    /// What is to be written with the next request.
    outgoing: Vec<u8>,
    expected: Option<NodeNumber>,
    welcomed: bool,
    next_id: u64,
}

impl Connection {
    /// Connects, and says hello; the welcome is awaited later. An `expected` node must be the one that answers.
    ///
    /// # Errors
    /// No connection.
    pub async fn dial(
        address: impl ToSocketAddrs,
        cluster_id: &str,
        expected: Option<NodeNumber>,
    ) -> Result<Connection, BrokenConnection> {
        let stream = TcpStream::connect(address)
            .await
            .map_err(BrokenConnection::Dial)?;
        stream.set_nodelay(true).map_err(BrokenConnection::Dial)?;
        let hello = Hello {
            magic: MAGIC,
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            cluster_id: cluster_id.to_owned(),
            role: Role::Client,
        };
        let mut connection = Connection {
            stream,
            frames: wire::frames(),
            incoming: BytesMut::with_capacity(READ_BYTES),
            outgoing: Vec::new(),
            expected,
            welcomed: false,
            next_id: 0,
        };
        connection.enqueue(&hello);
        connection.flush().await.map_err(BrokenConnection::Dial)?;
        Ok(connection)
    }

    /// Waits for the welcome. May be given up and called again.
    ///
    /// # Errors
    /// The node refuses, is another one than expected, or goes away.
    pub async fn welcomed(&mut self) -> Result<(), BrokenConnection> {
        if self.welcomed {
            return Ok(());
        }
        match self.value().await? {
            Welcome::Accepted { node, .. } => match self.expected {
                Some(expected) if expected != node => Err(BrokenConnection::OtherNode {
                    expected,
                    actual: node,
                }),
                Some(_) | None => {
                    self.welcomed = true;
                    Ok(())
                }
            },
            Welcome::Refused(refusal) => Err(refusal.into()),
        }
    }

    /// Writes a request; its id. Not to be given up half-way: what follows would make no sense to the node.
    ///
    /// # Errors
    /// The connection broke. The request may have arrived nevertheless.
    pub async fn send(&mut self, body: RequestBody) -> Result<u64, BrokenConnection> {
        self.next_id += 1;
        let id = self.next_id;
        self.enqueue(&Request { id, body });
        self.flush().await.map_err(BrokenConnection::Broken)?;
        Ok(id)
    }

    /// The next answer, to whichever request. May be given up and called again.
    ///
    /// # Errors
    /// The connection broke, or something else than an answer came.
    pub async fn receive(&mut self) -> Result<Response, BrokenConnection> {
        self.welcomed().await?;
        self.value().await
    }

    /// Asks, and waits for the answer; late answers to earlier questions are skipped.
    ///
    /// # Errors
    /// The connection broke; see [`BrokenConnection::is_definite`].
    pub async fn call(&mut self, body: RequestBody) -> Result<Result<Reply, Error>, BrokenConnection> {
        let id = self.send(body).await?;
        loop {
            let response = self.receive().await?;
            if response.id == id {
                return Ok(response.result);
            }
        }
    }

    /// Whether everything was written that was begun; if not, nothing more may be.
    pub fn is_intact(&self) -> bool {
        self.outgoing.is_empty()
    }

    fn enqueue<T: serde::Serialize>(&mut self, value: &T) {
        let start = self.outgoing.len();
        self.outgoing.extend_from_slice(&[0; 4]);
        self.outgoing = wire::encode_into(value, std::mem::take(&mut self.outgoing));
        let length = self.outgoing.len() - start - 4;
        let length = u32::try_from(length).expect("what a client sends is far below 4 GiB");
        self.outgoing[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.outgoing).await?;
        self.outgoing.clear();
        Ok(())
    }

    async fn value<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, BrokenConnection> {
        let frame = self.frame().await?;
        wire::decode(&frame).map_err(|_| BrokenConnection::Protocol("malformed payload"))
    }

    async fn frame(&mut self) -> Result<Bytes, BrokenConnection> {
        loop {
            match self.frames.decode(&mut self.incoming) {
                Ok(Some(frame)) => return Ok(frame.freeze()),
                Ok(None) => {}
                Err(_) => return Err(BrokenConnection::Protocol("a frame longer than allowed")),
            }
            self.incoming.reserve(READ_BYTES);
            let read = self
                .stream
                .read_buf(&mut self.incoming)
                .await
                .map_err(BrokenConnection::Broken)?;
            if read == 0 {
                let closed = io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the node");
                return Err(BrokenConnection::Broken(closed));
            }
        }
    }
}
