//! Clients: their requests in, their answers out.

use super::inbox::Input;
use super::request;
use super::shared::Shared;
use crate::connection::{Frame, Incoming, Outgoing};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::tcp::OwnedWriteHalf;
use wire::Slice;
use wire::client::{Request, Response};

/// How many clients are served at once; another one is refused.
pub(crate) const CLIENTS_MAX: usize = 1024;

/// How many requests of one client are in flight; at that many, nothing more is read from it.
pub(crate) const IN_FLIGHT_MAX: usize = 1024;

/// How long a client's socket may take nothing of what is to be sent.
const STALL_MAX: Duration = Duration::from_secs(30);

/// After how long a silent client is asked whether it is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

impl Frame for Response {
    fn append_payload(self, buffer: Vec<u8>) -> Vec<u8> {
        wire::encode_into(&self, buffer)
    }
}

/// A client that is connected.
#[derive(Debug)]
pub(crate) struct Client {
    outgoing: Rc<Outgoing<Response>>,
    /// Requests that are not answered.
    unanswered: Cell<usize>,
    /// It was answered since the last flush.
    is_answered: Cell<bool>,
}

impl Client {
    /// Takes an answer; [`Client::flush`] sends it. Whether it is the first one since then.
    pub(crate) fn answer(&self, response: Response) -> bool {
        self.unanswered.set(self.unanswered.get() - 1);
        self.outgoing.push(response);
        !self.is_answered.replace(true)
    }

    /// Sends the answers that wait.
    pub(crate) fn flush(&self) {
        self.is_answered.set(false);
        self.outgoing.flush();
    }

    /// Waits until another request may be in flight.
    async fn room(&self) {
        while !self.outgoing.is_closed() && self.unanswered.get() + self.outgoing.queued() >= IN_FLIGHT_MAX {
            self.outgoing.room().await;
        }
    }
}

/// Serves a client that was welcomed, until it leaves.
pub(crate) async fn serve(
    shared: Rc<Shared>,
    from: SocketAddr,
    mut incoming: Incoming,
    half: OwnedWriteHalf,
) {
    let _place = shared.clients.take_place();
    // Without it, a client whose machine vanished would keep its place for ever. Its failure costs only that.
    let _ = rustix::net::sockopt::set_socket_keepalive(half.as_ref(), true);
    let _ = rustix::net::sockopt::set_tcp_keepidle(half.as_ref(), KEEPALIVE_IDLE);
    let client = Rc::new(Client {
        outgoing: Outgoing::new(half, STALL_MAX),
        unanswered: Cell::new(0),
        is_answered: Cell::new(false),
    });
    if let Err(reason) = take_in(&shared, &client, &mut incoming).await {
        tracing::info!("the connection of client {from} is closed: {reason}");
    }
    client.outgoing.close();
}

async fn take_in(shared: &Shared, client: &Rc<Client>, incoming: &mut Incoming) -> Result<(), String> {
    loop {
        client.room().await;
        let Some(frame) = incoming.next().await.map_err(|error| error.to_string())? else {
            return Ok(());
        };
        let request: Request<Slice<'_>> =
            wire::decode(&frame).map_err(|error| format!("no request: {error}"))?;
        let task = request::task(request.body, &mut shared.encoder.borrow_mut());
        client.unanswered.set(client.unanswered.get() + 1);
        let input = Input::Request {
            client: Rc::clone(client),
            id: request.id,
            task,
            came: incoming.came(),
        };
        shared.inbox.put(input, frame.len()).await;
    }
}

/// Counts the clients that are connected.
#[derive(Debug, Default)]
pub(crate) struct Places(Rc<Cell<usize>>);

/// A client's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place(Rc<Cell<usize>>);

impl Places {
    /// Whether another client can be served.
    pub(crate) fn are_left(&self) -> bool {
        self.0.get() < CLIENTS_MAX
    }

    /// How many clients are served.
    pub(crate) fn taken(&self) -> usize {
        self.0.get()
    }

    fn take_place(&self) -> Place {
        self.0.set(self.0.get() + 1);
        Place(Rc::clone(&self.0))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
