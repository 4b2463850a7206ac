//! etcd, with heartbeats and elections as the node has them, and nothing that it would not do by itself.

use super::process::Process;
use super::{ELECTION, HEARTBEAT, Servers, SystemError, free_addresses, wait_for};
use crate::systems::EtcdLaunch;
use serde::Deserialize;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// How long a member may take to answer how it is.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(500);

/// The longest answer.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// More than any measurement writes; the default is 2 GB.
const QUOTA_BYTES: u64 = 8 << 30;

/// Starts `nodes` members. `threads`: how many of its threads run at once.
pub(super) fn start(
    program: &Path,
    threads: Option<u32>,
    nodes: u64,
    dir: &Path,
) -> Result<Servers, SystemError> {
    let peers = free_addresses(2 * nodes)?;
    let (peers, clients) = peers.split_at(peers.len() / 2);
    let mut processes = Vec::new();
    for (member, client) in clients.iter().enumerate() {
        let name = format!("etcd-{}", member + 1);
        let launch = EtcdLaunch {
            program,
            member,
            peers,
            listen: peers[member],
            client: *client,
            data: &dir.join(&name),
            token: "bench",
            heartbeat: HEARTBEAT,
            election: ELECTION,
        };
        let mut command = launch.command();
        command.arg(format!("--quota-backend-bytes={QUOTA_BYTES}"));
        match threads {
            Some(threads) => command.env("GOMAXPROCS", threads.to_string()),
            None => command.env_remove("GOMAXPROCS"),
        };
        processes.push(Process::start(&name, command, dir)?);
    }
    let leader = wait_for(&mut processes, || {
        clients.iter().position(|client| leads(*client) == Some(true))
    })?;
    Ok(Servers {
        processes,
        leader,
        address: clients[leader],
    })
}

/// What a member says of itself; numbers are texts, as they are in the JSON of 64-bit numbers.
#[derive(Debug, Deserialize)]
struct Status {
    header: Header,
    #[serde(default)]
    leader: String,
}

#[derive(Debug, Deserialize)]
struct Header {
    member_id: String,
}

/// Whether a member leads; `None` if it does not say.
fn leads(client: SocketAddr) -> Option<bool> {
    let mut stream = TcpStream::connect_timeout(&client, ANSWER_TIME_MAX).ok()?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX)).ok()?;
    let request = format!(
        "POST /v3/maintenance/status HTTP/1.0\r\nHost: {client}\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    // It closes the connection behind its answer: HTTP 1.0 knows neither pieces nor a second request.
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let status: Status = serde_json::from_str(body).ok()?;
    Some(status.leader == status.header.member_id)
}
