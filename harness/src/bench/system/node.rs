//! The project's own node.

use super::process::Process;
use super::{ELECTION, HEARTBEAT, Servers, SystemError, free_addresses, wait_for};
use crate::client::Connection;
use crate::node_number::NodeNumber;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::runtime::Runtime;
use wire::client::{NodeRole, Reply, RequestBody, StageTimes, Status};

/// How long the nodes' ticks are.
const TICK: Duration = Duration::from_millis(10);

/// How long a node may take to answer how it is.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(500);

/// Nodes that reach each other directly. When this is dropped, they are killed; they die with the thread that started them.
#[derive(Debug)]
pub(in crate::bench) struct Nodes {
    program: PathBuf,
    extra_args: Vec<String>,
    dir: PathBuf,
    /// Where each listens, in the order of their numbers.
    addresses: Vec<SocketAddr>,
    /// `None` where it was killed.
    servers: Vec<Option<Process>>,
    /// Who led when it was started.
    leader: NodeNumber,
    runtime: Runtime,
}

impl Nodes {
    /// Starts `nodes` nodes with no data in the fresh folder `dir`, and waits until one serves.
    ///
    /// # Errors
    /// They don't start, or none serves in time.
    pub(in crate::bench) fn start(
        program: &Path,
        extra_args: &[String],
        nodes: u64,
        dir: &Path,
    ) -> Result<Nodes, SystemError> {
        let mut all = Nodes {
            program: program.to_owned(),
            extra_args: extra_args.to_vec(),
            dir: dir.to_owned(),
            addresses: free_addresses(nodes)?,
            servers: Vec::new(),
            leader: 0,
            runtime: runtime()?,
        };
        for node in 1..=nodes {
            let process = all.spawn(node)?;
            all.servers.push(Some(process));
        }
        let Nodes {
            addresses,
            servers,
            runtime,
            leader,
            ..
        } = &mut all;
        let mut running: Vec<&mut Process> = servers.iter_mut().flatten().collect();
        *leader = wait_for(&mut running, || {
            (1..)
                .zip(addresses.iter())
                .find_map(|(node, address)| leads(runtime, *address).then_some(node))
        })?;
        Ok(all)
    }

    fn spawn(&self, node: NodeNumber) -> Result<Process, SystemError> {
        let members: Vec<String> = (1..)
            .zip(&self.addresses)
            .map(|(id, at)| format!("{id}={at}"))
            .collect();
        let ticks = |time: Duration| time.as_millis() / TICK.as_millis();
        let mut command = Command::new(&self.program);
        command
            .args(["serve", "--cluster-id=bench", "--log-level=warn"])
            .arg(format!("--id={node}"))
            .arg(format!("--listen={}", self.address(node)))
            .arg(format!("--cluster={}", members.join(",")))
            .arg(format!("--data={}", self.dir.join(node.to_string()).display()))
            .arg(format!("--tick={}ms", TICK.as_millis()))
            .arg(format!(
                "--election-ticks={}..{}",
                ticks(ELECTION),
                2 * ticks(ELECTION)
            ))
            .arg(format!("--heartbeat-ticks={}", ticks(HEARTBEAT)))
            .args(&self.extra_args);
        Process::start(&format!("node-{node}"), command, &self.dir)
    }

    /// Who led when it was started.
    pub(in crate::bench) fn leader(&self) -> NodeNumber {
        self.leader
    }

    /// Where clients reach a node.
    pub(in crate::bench) fn address(&self, node: NodeNumber) -> SocketAddr {
        self.addresses[place(node)]
    }

    /// Kills a node.
    pub(in crate::bench) fn kill(&mut self, node: NodeNumber) {
        self.servers[place(node)] = None;
    }

    /// Starts a node that was killed on the data that it had.
    ///
    /// # Errors
    /// It does not start.
    pub(in crate::bench) fn start_again(&mut self, node: NodeNumber) -> Result<(), SystemError> {
        self.servers[place(node)] = Some(self.spawn(node)?);
        Ok(())
    }

    /// How a node is, if it says so.
    pub(in crate::bench) fn status(&self, node: NodeNumber) -> Option<Status> {
        match ask(&self.runtime, self.address(node), RequestBody::Status) {
            Some(Reply::Status(status)) => Some(status),
            Some(_) | None => None,
        }
    }

    /// The nodes as the servers of a system. None of them was killed.
    pub(super) fn into_servers(self) -> Servers {
        Servers {
            address: self.address(self.leader),
            leader: place(self.leader),
            processes: self.servers.into_iter().flatten().collect(),
        }
    }
}

fn place(node: NodeNumber) -> usize {
    usize::try_from(node - 1).expect("there are few nodes")
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
