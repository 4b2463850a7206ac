//! Clients: their requests in, their answers out.

use super::inbox::Input;
use super::places::Place;
use super::request;
use super::shared::Shared;
use crate::connection::{Frame, Incoming, Outgoing};
use bytes::Bytes;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::tcp::OwnedWriteHalf;
use wire::Slice;
use wire::client::{Error, Reply, Request, Response};
use wire::record::OperationAnswer;

/// How many requests of one client are in flight; at that many, nothing more is read from it.
pub(crate) const IN_FLIGHT_MAX: usize = 1024;

/// How many bytes the answers of one client have that it has not taken, and those in flight if they are like the latest one; at that
/// many, nothing more is read from it.
const ANSWERS_BYTES_MAX: usize = 8 << 20;

/// How many bytes the answers of all clients have together. None has more than what is left of this: the more wait, the less each.
const ALL_ANSWERS_BYTES_MAX: usize = 256 << 20;

/// How many bytes a client's answers may have, however much others hold.
const ANSWERS_BYTES_MIN: usize = 64 << 10;

/// How many times as much as reading stops at is too much. Answers to requests that were in flight before may be longer than any before them.
const TOO_MUCH: usize = 8;

/// How long a client's socket may take nothing of what is to be sent, and how long one that has said all waits for its answers.
const STALL_MAX: Duration = Duration::from_secs(30);

/// After how long a silent client is asked whether it is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// What leaves for a client.
#[derive(Debug)]
pub(crate) enum Answer {
    /// To what changes nothing.
    Read(Response),
    /// To what may have changed something.
    Write(Response),
    /// One that many who asked the same at the same time share.
    Shared { id: u64, told: Told },
}

/// What of an answer is the same for all who ask, encoded.
#[derive(Clone, Debug)]
pub(crate) struct Told(Bytes);

impl Told {
    pub(crate) fn new(result: &Result<Reply, Error>) -> Told {
        Told(wire::encode(result))
    }
}

impl Frame for Response {
    fn append_payload(self, buffer: Vec<u8>) -> Vec<u8> {
        wire::encode_into(&self, buffer)
    }

    fn held_bytes(&self) -> usize {
        size_of::<Response>() + self.result.as_ref().map_or(0, reply_bytes)
    }
}

impl Frame for Answer {
    fn append_payload(self, buffer: Vec<u8>) -> Vec<u8> {
        match self {
            Answer::Read(response) | Answer::Write(response) => response.append_payload(buffer),
            // As a response is encoded: its fields one after the other.
            Answer::Shared { id, told } => {
                let mut buffer = wire::encode_into(&id, buffer);
                buffer.extend_from_slice(&told.0);
                buffer
            }
        }
    }

    fn held_bytes(&self) -> usize {
        match self {
            Answer::Read(response) | Answer::Write(response) => response.held_bytes(),
            Answer::Shared { told, .. } => size_of::<Response>() + told.0.len(),
        }
    }
}

/// How many bytes the reply holds beside itself. Those that are told in other ways hold nothing that counts.
fn reply_bytes(reply: &Reply) -> usize {
    match reply {
        Reply::Value(value) => value.as_ref().map_or(0, Bytes::len),
        Reply::Transaction { answers, .. } => answers.iter().map(answer_bytes).sum(),
        Reply::Written
        | Reply::Swapped(_)
        | Reply::Deleted(_)
        | Reply::Status(_)
        | Reply::Stages(_)
        | Reply::Reconfigured
        | Reply::Transferred
        | Reply::Snapshotted { .. }
        | Reply::Members(_)
        | Reply::SessionOpened { .. }
        | Reply::SessionClosed
        | Reply::Length(_)
        | Reply::Sum(_) => 0,
    }
}

fn answer_bytes(answer: &OperationAnswer) -> usize {
    let held = match answer {
        OperationAnswer::Value(value) => value.as_ref().map_or(0, Bytes::len),
        OperationAnswer::Written
        | OperationAnswer::Deleted(_)
        | OperationAnswer::Length(_)
        | OperationAnswer::Sum(_) => 0,
    };
    size_of::<OperationAnswer>() + held
}

/// A client that is connected.
#[derive(Debug)]
pub(crate) struct Client {
    outgoing: Rc<Outgoing<Answer>>,
    /// Requests that are not answered.
    unanswered: Cell<usize>,
    /// It was answered since the last flush.
    is_answered: Cell<bool>,
    /// How many bytes its latest answer held.
    latest_bytes: Cell<usize>,
    /// How many bytes the answers to all clients hold.
    held_by_all: Rc<Cell<usize>>,
    /// When it asked last, or came.
    asked: Cell<Instant>,
}

impl Client {
    fn new(half: OwnedWriteHalf, held_by_all: &Rc<Cell<usize>>) -> Rc<Client> {
        Rc::new(Client {
            outgoing: Outgoing::counted(half, STALL_MAX, Rc::clone(held_by_all)),
            unanswered: Cell::new(0),
            is_answered: Cell::new(false),
            latest_bytes: Cell::new(0),
            held_by_all: Rc::clone(held_by_all),
            asked: Cell::new(Instant::now()),
        })
    }

    /// Takes an answer; [`Client::flush`] sends it. Whether it is the first one since then.
    pub(crate) fn answer(&self, answer: Answer) -> bool {
        self.unanswered.set(self.unanswered.get() - 1);
        let answer = if self.outgoing.held() < TOO_MUCH * self.answers_bytes_max() {
            answer
        } else {
            self.refuse(answer)
        };
        self.latest_bytes.set(self.outgoing.push(answer));
        !self.is_answered.replace(true)
    }

    /// What one is told that takes nothing of too much that it was told before.
    fn refuse(&self, answer: Answer) -> Answer {
        if answer.held_bytes() == size_of::<Response>() {
            return answer;
        }
        let id = match &answer {
            Answer::Read(response) => response.id,
            Answer::Shared { id, .. } => *id,
            Answer::Write(_) => {
                // There is nothing else that it could be told truly.
                self.outgoing.close();
                return answer;
            }
        };
        let result = Err(Error::Busy);
        Answer::Read(Response { id, result })
    }

    /// Sends the answers that wait.
    pub(crate) fn flush(&self) {
        self.is_answered.set(false);
        self.outgoing.flush();
    }

    /// How many bytes its answers may have.
    fn answers_bytes_max(&self) -> usize {
        let left = ALL_ANSWERS_BYTES_MAX.saturating_sub(self.held_by_all.get());
        left.clamp(ANSWERS_BYTES_MIN, ANSWERS_BYTES_MAX)
    }

    fn has_room(&self) -> bool {
        let unanswered = self.unanswered.get();
        let bytes = self.outgoing.held() + unanswered * self.latest_bytes.get();
        unanswered + self.outgoing.queued() < IN_FLIGHT_MAX && bytes < self.answers_bytes_max()
    }

    /// Waits until another request may be in flight.
    async fn room(&self) {
        while !self.outgoing.is_closed() && !self.has_room() {
            self.outgoing.room().await;
        }
    }

    /// Whether it is told nothing at present, nor is to be.
    fn is_quiet(&self) -> bool {
        self.unanswered.get() == 0 && self.outgoing.held() == 0
    }

    /// Waits until it was told all, if that does not take too long.
    async fn told_all(&self) {
        let answered = async {
            while !self.outgoing.is_closed() && self.unanswered.get() > 0 {
                self.outgoing.room().await;
            }
        };
        if tokio::time::timeout(STALL_MAX, answered).await.is_ok() {
            // It is closed if its socket takes nothing for as long.
            while !self.outgoing.is_closed() && !self.is_quiet() {
                self.outgoing.room().await;
            }
        }
    }

    /// Since when nothing is to be done for it, if nothing is.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        self.is_quiet().then(|| self.asked.get())
    }

    /// Ends its connection.
    pub(crate) fn leave(&self) {
        self.outgoing.close();
    }
}

/// Serves a client that was welcomed, until it leaves.
pub(crate) async fn serve(
    shared: Rc<Shared>,
    place: Place,
    from: SocketAddr,
    mut incoming: Incoming,
    half: OwnedWriteHalf,
) {
    // Without it, a client whose machine vanished would keep its place for ever. Its failure costs only that.
    let _ = rustix::net::sockopt::set_socket_keepalive(half.as_ref(), true);
    let _ = rustix::net::sockopt::set_tcp_keepidle(half.as_ref(), KEEPALIVE_IDLE);
    let client = Client::new(half, &shared.held_by_clients);
    place.is_of(&client);
    match take_in(&shared, &client, &mut incoming).await {
        Ok(()) => client.told_all().await,
        Err(reason) => tracing::info!("the connection of client {from} is closed: {reason}"),
    }
    client.leave();
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
        client.asked.set(incoming.came());
        let input = Input::Request {
            client: Rc::clone(client),
            id: request.id,
            task,
            came: incoming.came(),
        };
        shared.inbox.put(input, frame.len()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::append_frame;
    use crate::server::places::{IDLE_MIN, Places};
    use crate::testing::block_on;
    use tokio::net::{TcpListener, TcpStream};

    /// A client, and its end of the connection, at which nobody listens.
    async fn client(held_by_all: &Rc<Cell<usize>>) -> (Rc<Client>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (_, half) = accepted.unwrap().0.into_split();
        (Client::new(half, held_by_all), stream.unwrap())
    }

    fn response(result: Result<Reply, Error>) -> Response {
        Response { id: 300, result }
    }

    fn value() -> Response {
        response(Ok(Reply::Value(Some(Bytes::from(vec![7; 1 << 20])))))
    }

    fn give(client: &Client, answer: Answer) {
        client.unanswered.set(client.unanswered.get() + 1);
        client.answer(answer);
        client.flush();
    }

    #[test]
    fn what_many_share_is_told_as_if_it_was_told_to_one() {
        for result in [
            Ok(Reply::Members(Vec::new())),
            Err(Error::NotLeader { leader: None }),
        ] {
            let told = Told::new(&result);
            let shared = Answer::Shared { id: 300, told };
            assert_eq!(
                append_frame(shared, Vec::new()),
                append_frame(response(result), Vec::new())
            );
        }
    }

    #[test]
    fn one_that_takes_nothing_is_read_no_further_and_told_no_more_than_that() {
        block_on(async {
            let held_by_all = Rc::default();
            let (client, _stream) = client(&held_by_all).await;
            let mut stopped = None;
            for count in 0..1000 {
                if stopped.is_none() && !client.has_room() {
                    stopped = Some(count);
                }
                give(&client, Answer::Read(value()));
            }
            // Some of it is in the sockets' buffers.
            let held = client.outgoing.held();
            assert!((8..32).contains(&stopped.unwrap()), "{stopped:?}");
            assert!(held < (TOO_MUCH * ANSWERS_BYTES_MAX) + (2 << 20), "{held}");
            assert_eq!(held_by_all.get(), held);
            // What is short does no harm.
            give(&client, Answer::Write(response(Ok(Reply::Written))));
            assert!(!client.outgoing.is_closed());
            give(&client, Answer::Write(value()));
            assert!(client.outgoing.is_closed(), "that it was not done would be a lie");
            assert_eq!(held_by_all.get(), 0);
        });
    }

    #[test]
    fn requests_in_flight_count_as_if_their_answers_were_like_the_latest() {
        block_on(async {
            let (client, _stream) = client(&Rc::default()).await;
            client.unanswered.set(20);
            assert!(client.has_room());
            client.answer(Answer::Read(value()));
            assert!(!client.has_room(), "19 more of a mebibyte are on their way");
            client.unanswered.set(2);
            assert!(client.has_room());
        });
    }

    #[test]
    fn the_more_others_hold_the_less_one_may() {
        block_on(async {
            let held_by_all = Rc::new(Cell::new(0));
            let (client, _stream) = client(&held_by_all).await;
            assert_eq!(client.answers_bytes_max(), ANSWERS_BYTES_MAX);
            held_by_all.set(ALL_ANSWERS_BYTES_MAX - (1 << 20));
            assert_eq!(client.answers_bytes_max(), 1 << 20);
            held_by_all.set(2 * ALL_ANSWERS_BYTES_MAX);
            assert_eq!(client.answers_bytes_max(), ANSWERS_BYTES_MIN);
            assert!(client.has_room());
        });
    }

    #[test]
    fn when_all_places_are_taken_the_one_that_is_idle_for_longest_makes_room() {
        block_on(async {
            let places = Places::new(3);
            let mut clients = Vec::new();
            for _ in 0..3 {
                let (client, stream) = client(&Rc::default()).await;
                let place = places.take(Instant::now()).expect("there are some");
                place.is_of(&client);
                clients.push((client, stream, place));
            }
            let begun = Instant::now();
            for ((client, ..), age) in clients.iter().zip([3, 2, 1]) {
                client.asked.set(begun + IDLE_MIN - age * Duration::from_secs(1));
            }
            // The first waits for an answer, which is not to be idle.
            clients[0].0.unanswered.set(1);
            let second_had_its_time = begun + 2 * IDLE_MIN - Duration::from_secs(2);
            let early = places.take(second_had_its_time - Duration::from_millis(1));
            assert!(early.is_none());
            let place = places.take(second_had_its_time).expect("the second leaves");
            let left: Vec<bool> = clients
                .iter()
                .map(|(client, ..)| client.outgoing.is_closed())
                .collect();
            assert_eq!(left, [false, true, false]);
            assert_eq!(places.taken(), 3);
            // That one is being welcomed: it is not idle.
            clients[2].0.unanswered.set(1);
            assert!(places.take(begun + 100 * IDLE_MIN).is_none());
            drop((place, clients));
            assert_eq!(places.taken(), 0);
        });
    }
}
