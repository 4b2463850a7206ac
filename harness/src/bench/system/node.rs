//! The project's own node.

use super::process::Process;
use super::{ELECTION, HEARTBEAT, SystemError, free_addresses, wait_for};
use crate::client::Connection;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::runtime::Runtime;
use wire::client::{NodeRole, Reply, RequestBody, StageTimes};

/// How long the nodes' ticks are.
const TICK: Duration = Duration::from_millis(10);

/// How long a node may take to answer how it is.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(500);

/// Starts `nodes` nodes that reach each other directly; the processes, and where the leader is.
pub(super) fn start(
    program: &Path,
    extra_args: &[String],
    nodes: u64,
    dir: &Path,
) -> Result<(Vec<Process>, SocketAddr), SystemError> {
    let addresses = free_addresses(nodes)?;
    let members: Vec<String> = (1..)
        .zip(&addresses)
        .map(|(id, at)| format!("{id}={at}"))
        .collect();
    let members = members.join(",");
    let ticks = |time: Duration| time.as_millis() / TICK.as_millis();
    let mut servers = Vec::new();
    for (id, address) in (1_u64..).zip(&addresses) {
        let mut command = Command::new(program);
        command
            .args(["serve", "--cluster-id=bench", "--log-level=warn"])
            .arg(format!("--id={id}"))
            .arg(format!("--listen={address}"))
            .arg(format!("--cluster={members}"))
            .arg(format!("--data={}", dir.join(id.to_string()).display()))
            .arg(format!("--tick={}ms", TICK.as_millis()))
            .arg(format!(
                "--election-ticks={}..{}",
                ticks(ELECTION),
                2 * ticks(ELECTION)
            ))
            .arg(format!("--heartbeat-ticks={}", ticks(HEARTBEAT)))
            .args(extra_args);
        servers.push(Process::start(&format!("node-{id}"), command, dir)?);
    }
    let runtime = runtime()?;
    let leader = wait_for(&mut servers, || {
        addresses
            .iter()
            .copied()
            .find(|address| leads(&runtime, *address))
    })?;
    Ok((servers, leader))
}

fn runtime() -> Result<Runtime, SystemError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| SystemError::System("start a runtime", error))
}

/// Whether a node leads and serves.
fn leads(runtime: &Runtime, address: SocketAddr) -> bool {
    let Some(Reply::Status(status)) = ask(runtime, address, RequestBody::Status) else {
        return false;
    };
    // The entry that opens its term is committed: from then on it serves.
    status.role == NodeRole::Leader && status.commit_index > 0
}

/// Where a node's time went since it started.
pub(super) fn stages(address: SocketAddr) -> Result<Vec<StageTimes>, SystemError> {
    let Some(Reply::Stages(stages)) = ask(&runtime()?, address, RequestBody::Stages) else {
        return Err(SystemError::Silent);
    };
    Ok(stages)
}

fn ask(runtime: &Runtime, address: SocketAddr, question: RequestBody) -> Option<Reply> {
    let asking = async {
        let mut connection = Connection::dial(address, "", None).await.ok()?;
        connection.call(question).await.ok()?.ok()
    };
    let answer = runtime.block_on(async { tokio::time::timeout(ANSWER_TIME_MAX, asking).await });
    answer.ok().flatten()
}
