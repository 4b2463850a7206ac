//! Threads that hear questions and answer them, each with a runtime as a node has one.

use super::runtime;
use super::speech::{Said, Speech};
use super::writer::Writer;
use crate::connection::{Incoming, Outgoing};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How long a socket may take nothing, and how long an answer may take.
const STALL_MAX: Duration = Duration::from_secs(30);

/// What is done between a question and its answer.
#[derive(Debug)]
pub(super) enum Task {
    /// Nothing.
    Answer,
    /// A write, and its sync.
    Write(Writer),
    /// A question to this follower.
    Ask(Relay),
    /// The same, and a write with its sync while the follower is busy.
    AskAndWrite(Relay, Writer),
}

/// A thread that answers on one connection, and ends with it.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    speech: Speech,
    value_bytes: usize,
}

impl Relay {
    pub(super) fn start(speech: Speech, value_bytes: usize, task: Task) -> Result<Relay, String> {
        let failed = |error: std::io::Error| format!("no socket on this machine: {error}");
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        std::thread::Builder::new()
            .name("relay".to_string())
            .spawn(move || {
                // Whoever waits for the answer learns only that the connection ends.
                if let Err(reason) =
                    runtime().and_then(|runtime| runtime.block_on(serve(listener, speech, value_bytes, task)))
                {
                    crate::output::complain(&format!("error: {reason}"));
                }
            })
            .map_err(|error| format!("no thread: {error}"))?;
        Ok(Relay {
            address,
            speech,
            value_bytes,
        })
    }

    /// Opens its connection.
    pub(super) async fn dial(self) -> Result<Hop, String> {
        let stream = TcpStream::connect(self.address).await;
        let stream = stream.map_err(|error| error.to_string())?;
        Hop::new(stream, self.speech, self.value_bytes)
    }
}

async fn serve(
    listener: std::net::TcpListener,
    speech: Speech,
    value_bytes: usize,
    task: Task,
) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let listener = TcpListener::from_std(listener).map_err(failed)?;
    let (stream, _) = listener.accept().await.map_err(failed)?;
    let mut hop = Hop::new(stream, speech, value_bytes)?;
    let mut doing = match task {
        Task::Answer => Doing::Nothing,
        Task::Write(writer) => Doing::Write(writer),
        Task::Ask(follower) => Doing::Ask(follower.dial().await?),
        Task::AskAndWrite(follower, writer) => Doing::AskAndWrite(follower.dial().await?, writer),
    };
    while hop.hear().await? {
        match &mut doing {
            Doing::Nothing => {}
            Doing::Write(writer) => writer.write()?,
            Doing::Ask(follower) => follower.ask().await?,
            Doing::AskAndWrite(follower, writer) => {
                follower.say_question();
                writer.write()?;
                follower.hear_answer().await?;
            }
        }
        hop.say(speech.answer());
    }
    Ok(())
}

/// A [`Task`] that is being done.
enum Doing {
    Nothing,
    Write(Writer),
    Ask(Hop),
    AskAndWrite(Hop, Writer),
}

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Hop {
    speech: Speech,
    question: Box<Said>,
    incoming: Incoming,
    outgoing: Rc<Outgoing<Said>>,
}

impl Hop {
    fn new(stream: TcpStream, speech: Speech, value_bytes: usize) -> Result<Hop, String> {
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (read_half, half) = stream.into_split();
        let mut incoming = Incoming::new(read_half);
        incoming.open();
        Ok(Hop {
            speech,
            question: Box::new(speech.question(value_bytes)),
            incoming,
            outgoing: Outgoing::new(half, STALL_MAX),
        })
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&mut self) -> Result<(), String> {
        self.say_question();
        self.hear_answer().await
    }

    fn say_question(&self) {
        self.say((*self.question).clone());
    }

    async fn hear_answer(&mut self) -> Result<(), String> {
        let payload = tokio::time::timeout(STALL_MAX, self.incoming.next())
            .await
            .map_err(|_| "no answer in time".to_string())?
            .map_err(|error| error.to_string())?;
        let payload = payload.ok_or("a connection ended before its answer came")?;
        self.speech.heard_answer(&payload).map(drop)
    }

    /// Waits for a question; whether there was one before the connection ended.
    async fn hear(&mut self) -> Result<bool, String> {
        match self.incoming.next().await.map_err(|error| error.to_string())? {
            Some(payload) => self.speech.heard_question(&payload).map(|_| true),
            None => Ok(false),
        }
    }

    fn say(&self, said: Said) {
        self.outgoing.push(said);
        self.outgoing.flush();
    }
}
