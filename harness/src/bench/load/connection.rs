//! One connection of the load.

use crate::bench::protocol::{Answer, Protocol, Question};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// How much is read at once; more where an answer is longer.
const READ_BYTES: usize = 16 << 10;

/// How long a connection may take to be made.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);

/// A socket that does not block, and what is said on it.
pub(super) struct Connection {
    stream: TcpStream,
    protocol: Box<dyn Protocol>,
    /// What was read and not understood yet is its beginning.
    incoming: Vec<u8>,
    read: usize,
    outgoing: Vec<u8>,
}

impl Connection {
    /// Connects, and puts what opens the connection before the first request.
    pub(super) fn open(address: SocketAddr, mut protocol: Box<dyn Protocol>) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_TIME_MAX)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut outgoing = Vec::new();
        protocol.greet(&mut outgoing);
        Ok(Connection {
            stream,
            protocol,
            incoming: vec![0; READ_BYTES],
            read: 0,
            outgoing,
        })
    }

    pub(super) fn ask(&mut self, place: usize, question: Question) {
        self.protocol.ask(place, question, &mut self.outgoing);
    }

    /// Writes what the socket takes of what there is to say.
    pub(super) fn send(&mut self) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.outgoing.len() {
            match self.stream.write(&self.outgoing[sent..]) {
                Ok(bytes) => sent += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.outgoing.drain(..sent);
        Ok(())
    }

    /// Reads until there is no more, and appends the answers. `closed`: the end of it was announced along with the last that came.
    pub(super) fn receive(
        &mut self,
        closed: bool,
        answers: &mut Vec<(usize, Answer)>,
    ) -> Result<(), super::LoadError> {
        loop {
            if self.read == self.incoming.len() {
                self.incoming.resize(2 * self.read, 0);
            }
            let room = self.incoming.len() - self.read;
            match self.stream.read(&mut self.incoming[self.read..]) {
                Ok(0) => {
                    let closed = io::Error::new(ErrorKind::UnexpectedEof, "closed by the system");
                    return Err(closed.into());
                }
                Ok(bytes) => {
                    self.read += bytes;
                    self.understand(answers)?;
                    // Whatever comes from now on is announced again.
                    if bytes < room && !closed {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn understand(&mut self, answers: &mut Vec<(usize, Answer)>) -> Result<(), super::LoadError> {
        let used = self
            .protocol
            .answers(&self.incoming[..self.read], &mut self.outgoing, answers)?;
        self.incoming.copy_within(used..self.read, 0);
        self.read -= used;
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
