//! A client's, or a peer's, bare connection.

use crate::process::{CLUSTER_ID, PATIENCE};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;
use wire::client::{Error, Reply, Request, RequestBody, Response};
use wire::{Hello, Role, Welcome};

pub(crate) struct Connection {
    stream: TcpStream,
    last_id: u64,
}

pub(crate) fn hello(role: Role) -> Hello {
    Hello {
        magic: wire::MAGIC,
        version_min: wire::VERSION_MIN,
        version_max: wire::VERSION_MAX,
        cluster_id: CLUSTER_ID.to_string(),
        role,
    }
}

pub(crate) fn peer(node: u64, to: u64, incarnation: u128) -> Role {
    Role::Peer {
        node,
        to,
        incarnation,
        to_incarnation: None,
        client_address: "127.0.0.1:1".to_string(),
        address: String::new(),
        configuration: 0,
    }
}

pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(payload);
    frame
}

impl Connection {
    /// A connection on which nothing was said yet.
    pub(crate) fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the node listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection { stream, last_id: 0 }
    }

    /// What is answered to `hello`.
    pub(crate) fn greet(address: SocketAddr, hello: &Hello) -> (Connection, Welcome) {
        let mut connection = Connection::open(address);
        connection.send(&frame(&wire::encode(hello)));
        let welcome = connection.receive().expect("an answer to the hello");
        let welcome = wire::decode(&welcome).expect("it is a welcome");
        (connection, welcome)
    }

    /// A connection that was accepted.
    #[track_caller]
    pub(crate) fn accepted(address: SocketAddr, role: Role) -> Connection {
        let (connection, welcome) = Connection::greet(address, &hello(role));
        assert!(matches!(welcome, Welcome::Accepted { .. }), "{welcome:?}");
        connection
    }

    /// The same connection once more, so that one thread can ask while another listens.
    pub(crate) fn again(&self) -> Connection {
        Connection {
            stream: self.stream.try_clone().expect("the system has descriptors left"),
            last_id: self.last_id,
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the node reads");
    }

    /// Sends nothing more, and goes on listening.
    pub(crate) fn says_no_more(&self) {
        self.stream.shutdown(Shutdown::Write).expect("it is connected");
    }

    /// The payload of the next frame; `None` when the node has closed the connection.
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        if !self.fill(&mut length) {
            return None;
        }
        let mut payload = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        assert!(self.fill(&mut payload), "the connection ended within a frame");
        Some(payload)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> bool {
        match self.stream.read_exact(buffer) {
            Ok(()) => true,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                ) =>
            {
                false
            }
            Err(error) => panic!("the node neither answers nor closes: {error}"),
        }
    }

    /// Asserts that the node closes the connection without another word.
    #[track_caller]
    pub(crate) fn ends(&mut self) {
        assert_eq!(self.receive(), None, "the connection should be closed");
    }

    /// Sends a request without waiting for its answer; its id.
    pub(crate) fn ask(&mut self, body: RequestBody) -> u64 {
        self.last_id += 1;
        let request = Request {
            id: self.last_id,
            body,
        };
        self.send(&frame(&wire::encode(&request)));
        self.last_id
    }

    /// Sends a request; its id, and what the node, for a second, did not read of it.
    pub(crate) fn ask_if_read(&mut self, body: RequestBody) -> (u64, Option<Vec<u8>>) {
        self.last_id += 1;
        let id = self.last_id;
        let unread = self.send_if_read(&frame(&wire::encode(&Request { id, body })));
        (id, unread)
    }

    /// Sends `bytes`; what the node, for a second, did not read of it.
    pub(crate) fn send_if_read(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut unread = bytes;
        self.stream
            .set_write_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        while !unread.is_empty() {
            match self.stream.write(unread) {
                Ok(written) => unread = &unread[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("the node has closed the connection: {error}"),
            }
        }
        self.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        (!unread.is_empty()).then(|| unread.to_vec())
    }

    pub(crate) fn answer(&mut self) -> Response {
        let payload = self.receive().expect("an answer");
        wire::decode(&payload).expect("it is a response")
    }

    pub(crate) fn call(&mut self, body: RequestBody) -> Result<Reply, Error> {
        let id = self.ask(body);
        let response = self.answer();
        assert_eq!(response.id, id);
        response.result
    }
}
