//! The listener: every connection's first steps.

use super::handshake::Guest;
use super::shared::Shared;
use super::{clients, peers};
use crate::connection::{Frame, Incoming, ReadError, append_frame};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use wire::{Refusal, Welcome};

/// How many connections may be at their first steps; one more costs the oldest of them its chance. As many as there are clients
/// at most, so that all of them may come at once.
const GREETINGS_MAX: usize = clients::CLIENTS_MAX;

/// How long the first steps may take.
const GREETING_TIME_MAX: Duration = Duration::from_secs(2);

/// How much of what a refused connection goes on to say is read, so that the refusal is not lost in a reset.
const DISCARDED_BYTES_MAX: usize = 64 << 10;

/// How long to wait when the operating system has no connection to give, for want of memory or descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections at their first steps, oldest first.
type Greetings = Rc<RefCell<BTreeMap<u64, AbortHandle>>>;

impl Frame for &Welcome {
    fn append_payload(self, buffer: Vec<u8>) -> Vec<u8> {
        wire::encode_into(self, buffer)
    }
}

/// Accepts connections for as long as the node lives.
pub(crate) async fn accept(listener: TcpListener, shared: Rc<Shared>) {
    let greetings = Greetings::default();
    let mut number = 0;
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                number += 1;
                begin(&greetings, number, stream, from, &shared);
            }
            Err(error) => {
                tracing::warn!("no connection can be accepted for the moment: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn begin(greetings: &Greetings, number: u64, stream: TcpStream, from: SocketAddr, shared: &Rc<Shared>) {
    let task = greet_and_serve(Rc::clone(greetings), number, stream, from, Rc::clone(shared));
    let handle = tokio::task::spawn_local(task).abort_handle();
    let mut greetings = greetings.borrow_mut();
    if greetings.len() >= GREETINGS_MAX
        && let Some((_, oldest)) = greetings.pop_first()
    {
        oldest.abort();
        tracing::info!("too many connections begin at once: one that said nothing was closed");
    }
    greetings.insert(number, handle);
}

async fn greet_and_serve(
    greetings: Greetings,
    number: u64,
    stream: TcpStream,
    from: SocketAddr,
    shared: Rc<Shared>,
) {
    let greeted = tokio::time::timeout(GREETING_TIME_MAX, greet(stream, &shared)).await;
    greetings.borrow_mut().remove(&number);
    match greeted {
        Ok(Ok((guest, incoming, half))) => match guest {
            Guest::Client => clients::serve(shared, from, incoming, half).await,
            Guest::Peer(introduction) => peers::hear(&shared, introduction, incoming, half),
        },
        Ok(Err(reason)) => tracing::info!("the connection from {from} is closed: {reason}"),
        Err(_) => tracing::info!(
            "the connection from {from} is closed: no hello within {} s",
            GREETING_TIME_MAX.as_secs()
        ),
    }
}

/// Reads the hello and answers it. An error says why the connection is to be closed.
async fn greet(stream: TcpStream, shared: &Shared) -> Result<(Guest, Incoming, OwnedWriteHalf), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (read_half, mut half) = stream.into_split();
    let mut incoming = Incoming::new(read_half);
    let judged = match incoming.next().await {
        Ok(Some(hello)) => shared.membership.judge(&hello),
        Ok(None) => return Err("it said nothing".to_string()),
        Err(ReadError::TooLong) => Err(Refusal::NotHello),
        Err(error @ (ReadError::Io(_) | ReadError::Torn)) => return Err(error.to_string()),
    };
    let judged = judged.and_then(|(welcome, guest)| {
        if guest == Guest::Client && !shared.clients.are_left() {
            let max = u32::try_from(clients::CLIENTS_MAX).expect("the limit is small");
            return Err(Refusal::Busy { max });
        }
        Ok((welcome, guest))
    });
    match judged {
        Ok((welcome, guest)) => {
            say(&mut half, &welcome).await?;
            incoming.open();
            Ok((guest, incoming, half))
        }
        Err(refusal) => {
            let reason = refusal.to_string();
            say(&mut half, &Welcome::Refused(refusal)).await?;
            half.shutdown().await.map_err(|error| error.to_string())?;
            incoming.discard(DISCARDED_BYTES_MAX).await;
            Err(reason)
        }
    }
}

async fn say(half: &mut OwnedWriteHalf, welcome: &Welcome) -> Result<(), String> {
    half.write_all(&append_frame(welcome, Vec::new()))
        .await
        .map_err(|error| error.to_string())
}
