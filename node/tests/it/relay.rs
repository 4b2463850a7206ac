//! Addresses that stay while the node behind them comes and goes: each forwards to where its node listens now.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// An address that forwards to another. Its threads end with the connections.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    target: Arc<Mutex<Option<SocketAddr>>>,
}

impl Relay {
    pub(crate) fn start() -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let target = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&target);
        std::thread::spawn(move || {
            for from in listener.incoming().map_while(Result::ok) {
                // Without a target the connection is dropped: nobody is there.
                let to: Option<SocketAddr> = *shared.lock().unwrap();
                if let Some(to) = to.and_then(|to| TcpStream::connect(to).ok()) {
                    forward(&from, &to);
                    forward(&to, &from);
                }
            }
        });
        Relay { address, target }
    }

    pub(crate) fn set_target(&self, target: Option<SocketAddr>) {
        *self.target.lock().unwrap() = target;
    }
}

fn forward(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    to.set_nodelay(true).unwrap();
    std::thread::spawn(move || {
        let _ = copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
}

fn copy(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..read])?;
    }
}
