//! The dialler's half of the handshake.

use super::{Frame, Incoming, ReadError, append_frame};
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use wire::{DecodeError, Hello, Refusal, Welcome};

/// A connection that was welcomed.
#[derive(Debug)]
pub(crate) struct Dialled {
    pub(crate) incoming: Incoming,
    pub(crate) half: OwnedWriteHalf,
    /// The version of the protocol that both sides speak.
    pub(crate) version: u16,
}

/// Why there is no connection. Nothing but the hello was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// It can't be reached.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It did not answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// It answered, and refuses.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// What it answered is no welcome.
    #[error("no node answers there: {0}")]
    Foreign(#[from] DecodeError),
    /// It ended the connection instead of answering.
    #[error("no node answers there: {0}")]
    Silent(#[from] ReadError),
    /// It closed the connection before it answered.
    #[error("the connection was closed before it was welcomed")]
    Closed,
}

impl Frame for &Hello {
    fn append_payload(self, buffer: Vec<u8>) -> Vec<u8> {
        wire::encode_into(self, buffer)
    }
}

/// Connects to `address`, says `hello`, and waits for the welcome; all that within `limit`.
pub(crate) async fn dial(address: &str, hello: &Hello, limit: Duration) -> Result<Dialled, DialError> {
    tokio::time::timeout(limit, connect(address, hello))
        .await
        .unwrap_or(Err(DialError::TimedOut(limit)))
}

async fn connect(address: &str, hello: &Hello) -> Result<Dialled, DialError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (read_half, mut half) = stream.into_split();
    half.write_all(&append_frame(hello, Vec::new())).await?;
    let mut incoming = Incoming::new(read_half);
    let welcome = incoming.next().await?.ok_or(DialError::Closed)?;
    match wire::decode(&welcome)? {
        Welcome::Accepted { version, .. } => {
            incoming.open();
            Ok(Dialled {
                incoming,
                half,
                version,
            })
        }
        Welcome::Refused(refusal) => Err(refusal.into()),
    }
}
