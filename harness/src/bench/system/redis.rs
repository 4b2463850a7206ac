//! Redis: one server that answers a write when it is durable.

use super::process::Process;
use super::{Servers, SystemError, free_addresses, wait_for};
use crate::systems::REDIS_DURABLE;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long it may take to answer a ping.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(500);

/// Starts a server.
pub(super) fn start(program: &Path, dir: &Path) -> Result<Servers, SystemError> {
    let address = free_addresses(1)?[0];
    let mut command = Command::new(program);
    command
        .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
        .arg("--dir")
        .arg(dir)
        .args(REDIS_DURABLE);
    let mut processes = vec![Process::start("redis", command, dir)?];
    wait_for(&mut processes, || ping(address))?;
    Ok(Servers {
        processes,
        leader: 0,
        address,
    })
}

fn ping(address: SocketAddr) -> Option<()> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIME_MAX).ok()?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX)).ok()?;
    stream.write_all(b"PING\r\n").ok()?;
    let mut pong = [0; 7];
    stream.read_exact(&mut pong).ok()?;
    (&pong == b"+PONG\r\n").then_some(())
}
