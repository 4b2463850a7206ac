//! The listener: every connection's first steps.

use super::handshake::{Guest, Introduction};
use super::places::Place;
use super::shared::Shared;
use super::{clients, peers};
use crate::connection::{Frame, Incoming, ReadError, append_frame};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use wire::{Refusal, Welcome};

/// How long the first steps may take.
const GREETING_TIME_MAX: Duration = Duration::from_secs(2);

/// How much of what a refused connection goes on to say is read, so that the refusal is not lost in a reset.
const DISCARDED_BYTES_MAX: usize = 64 << 10;

/// How long to wait when the operating system has no connection to give, for want of memory or descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection has for its first steps at least, though others wait: where few may begin at once, and many come, they take turns.
const GREETING_TIME_MIN: Duration = Duration::from_millis(10);

/// Connections at their first steps.
#[derive(Default)]
struct Greetings {
    /// In the order in which they came: when that was, and the task that greets.
    begun: RefCell<BTreeMap<u64, (Instant, AbortHandle)>>,
    /// One of them is over.
    over: Notify,
    /// Why the last one came to nothing. Whoever is refused comes again and again: it is told once.
    failure: RefCell<String>,
}

/// Who was welcomed.
enum Welcomed {
    Client(Place),
    Peer(Introduction),
}

impl Frame for &Welcome {
    fn append_payload(self, buffer: Vec<u8>) -> Vec<u8> {
        wire::encode_into(self, buffer)
    }
}

/// Accepts connections for as long as the node lives. At most `greetings_max` are at their first steps; one more costs the oldest of them
/// its chance.
pub(crate) async fn accept(listener: TcpListener, shared: Rc<Shared>, greetings_max: usize) {
    let greetings = Rc::new(Greetings::default());
    let mut number = 0;
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                number += 1;
                greetings.room(greetings_max).await;
                let task = greet_and_serve(Rc::clone(&greetings), number, stream, from, Rc::clone(&shared));
                let handle = tokio::task::spawn_local(task).abort_handle();
                let begun = (Instant::now(), handle);
                greetings.begun.borrow_mut().insert(number, begun);
            }
            Err(error) => {
                tracing::warn!("no connection can be accepted for the moment: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Greetings {
    /// Waits until another one may begin, which may cost the oldest its chance.
    async fn room(&self, max: usize) {
        loop {
            let oldest = match self.begun.borrow().first_key_value() {
                Some((_, (begun, _))) if self.begun.borrow().len() >= max => *begun,
                Some(_) | None => return,
            };
            let over = tokio::time::timeout_at((oldest + GREETING_TIME_MIN).into(), self.over.notified());
            if over.await.is_err()
                && let Some((_, (_, oldest))) = self.begun.borrow_mut().pop_first()
            {
                oldest.abort();
                return tracing::info!(
                    "too many connections begin at once: one that said nothing was closed"
                );
            }
        }
    }

    fn is_over(&self, number: u64) {
        self.begun.borrow_mut().remove(&number);
        self.over.notify_one();
    }

    fn tell(&self, from: SocketAddr, reason: String) {
        if *self.failure.borrow() == reason {
            tracing::debug!("the connection from {from} is closed: {reason}");
        } else {
            tracing::info!("the connection from {from} is closed: {reason}");
            self.failure.replace(reason);
        }
    }
}

async fn greet_and_serve(
    greetings: Rc<Greetings>,
    number: u64,
    stream: TcpStream,
    from: SocketAddr,
    shared: Rc<Shared>,
) {
    let greeted = tokio::time::timeout(GREETING_TIME_MAX, greet(stream, &shared)).await;
    greetings.is_over(number);
    match greeted {
        Ok(Ok((welcomed, mut incoming, half))) => match welcomed {
            Welcomed::Client(place) => {
                incoming.share(Rc::clone(&shared.client_frames));
                clients::serve(shared, place, from, incoming, half).await;
            }
            Welcomed::Peer(introduction) => {
                incoming.share(Rc::clone(&shared.peer_frames));
                peers::hear(&shared, introduction, incoming, half);
            }
        },
        Ok(Err(reason)) => greetings.tell(from, reason),
        Err(_) => greetings.tell(from, format!("no hello within {} s", GREETING_TIME_MAX.as_secs())),
    }
}

/// Reads the hello and answers it. An error says why the connection is to be closed.
async fn greet(stream: TcpStream, shared: &Shared) -> Result<(Welcomed, Incoming, OwnedWriteHalf), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (read_half, mut half) = stream.into_split();
    let mut incoming = Incoming::new(read_half);
    let judged = match incoming.next().await {
        Ok(Some(hello)) => shared.membership.judge(&hello),
        Ok(None) => return Err("it said nothing".to_string()),
        Err(ReadError::TooLong) => Err(Refusal::NotHello),
        Err(error @ (ReadError::Io(_) | ReadError::Torn | ReadError::Slow | ReadError::GivesWay)) => {
            return Err(error.to_string());
        }
    };
    let judged = judged.and_then(|(welcome, guest)| match guest {
        Guest::Client => match shared.clients.take(Instant::now()) {
            Some(place) => Ok((welcome, Welcomed::Client(place))),
            None => {
                let max = u32::try_from(shared.clients.max()).expect("the limit is small");
                Err(Refusal::Busy { max })
            }
        },
        Guest::Peer(introduction) => Ok((welcome, Welcomed::Peer(introduction))),
    });
    match judged {
        Ok((welcome, welcomed)) => {
            say(&mut half, &welcome).await?;
            incoming.open();
            Ok((welcomed, incoming, half))
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
