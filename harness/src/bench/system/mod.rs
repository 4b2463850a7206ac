//! The systems that are measured: how they are started, and when they serve.

mod etcd;
mod node;
mod process;
mod redis;

pub(super) use node::Nodes;

use super::memory::{self, Memory};
use super::placement::{PinError, PinnedThread, Placement, Processors};
use super::protocol::{EtcdProtocol, NodeProtocol, Protocol, RedisProtocol};
use crate::cluster::{Binary, BinaryError};
use crate::systems::{ETCD_HINT, Missing, REDIS_HINT, installed};
use process::Process;
use std::borrow::BorrowMut;
use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wire::client::StageTimes;

/// How long a system may take from its start until it serves.
const START_TIME_MAX: Duration = Duration::from_secs(20);

/// How often is asked meanwhile whether it does.
const ASK_INTERVAL: Duration = Duration::from_millis(10);

/// How often a leader lets itself be heard, in every system.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// After how long without a leader there is an election, in every system: no load may depose one.
const ELECTION: Duration = Duration::from_millis(1000);

/// A system by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum SystemName {
    /// The project's own node.
    Node,
    /// etcd, with each of its settings.
    Etcd,
    /// Redis on one node, every write durable before its answer.
    Redis,
}

impl SystemName {
    /// All of them.
    pub(crate) const ALL: [SystemName; 3] = [SystemName::Node, SystemName::Etcd, SystemName::Redis];
}

impl Display for SystemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SystemName::Node => "node",
            SystemName::Etcd => "etcd",
            SystemName::Redis => "redis",
        })
    }
}

/// Why a system can't be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SystemError {
    /// There is no node program.
    #[error(transparent)]
    Node(#[from] BinaryError),
    /// Its program is not there.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The operating system refuses something.
    #[error("can't {0}: {1}")]
    System(&'static str, io::Error),
    /// It ended by itself.
    #[error("{name} ended by itself ({status}); its last words: {words}")]
    Ended {
        /// Which process.
        name: String,
        /// How it ended.
        status: String,
        /// The end of its log.
        words: String,
    },
    /// It does not say where its time goes.
    #[error("it did not answer where its time goes")]
    Silent,
    /// It does not serve.
    #[error("it did not serve within {}", humantime::format_duration(*.0))]
    NotServing(Duration),
}

/// A system whose program is there, with one of its settings.
#[derive(Clone, Debug)]
pub(super) struct System {
    pub(super) name: SystemName,
    program: PathBuf,
    /// How many of a server's threads run at once, where that is a setting.
    threads: Option<u32>,
    /// Further arguments for each node.
    extra_args: Vec<String>,
    /// Where it runs, if that is not left to the operating system.
    processors: Option<Processors>,
}

impl Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        if let Some(setting) = self.setting() {
            write!(f, " {setting}")?;
        }
        match self.placement() {
            Placement::Free => Ok(()),
            Placement::Pinned => write!(f, " {}", Placement::Pinned),
        }
    }
}

impl System {
    /// The system with each of its settings, if its program is there.
    ///
    /// # Errors
    /// It isn't.
    pub(super) fn find(
        name: SystemName,
        node_binary: Option<&Path>,
        node_args: &[String],
    ) -> Result<Vec<System>, SystemError> {
        let system = |program, threads, extra_args| System {
            name,
            program,
            threads,
            extra_args,
            processors: None,
        };
        Ok(match name {
            SystemName::Node => {
                let binary = Binary::locate(node_binary)?;
                vec![system(binary.path().to_owned(), None, node_args.to_vec())]
            }
            SystemName::Etcd => {
                let program = installed("etcd", ETCD_HINT)?;
                // Which one is faster depends on how many processors there are for how many members.
                [None, Some(1)]
                    .map(|threads| system(program.clone(), threads, Vec::new()))
                    .into()
            }
            SystemName::Redis => {
                let program = installed("redis-server", REDIS_HINT)?;
                vec![system(program, None, Vec::new())]
            }
        })
    }

    /// The same, where it is to run: on `processors`, or, without any, wherever the operating system puts it.
    pub(super) fn on(self, processors: Option<Processors>) -> System {
        System { processors, ..self }
    }

    /// Who decides where it runs.
    pub(super) fn placement(&self) -> Placement {
        match self.processors {
            None => Placement::Free,
            Some(_) => Placement::Pinned,
        }
    }

    /// Which of its settings it has, if that is not its default.
    pub(super) fn setting(&self) -> Option<String> {
        self.threads.map(|threads| format!("GOMAXPROCS={threads}"))
    }

    /// How many nodes it runs on when `asked` are asked for.
    pub(super) fn nodes(&self, asked: u64) -> u64 {
        match self.name {
            SystemName::Node | SystemName::Etcd => asked,
            // Its replicas follow asynchronously: they would add nothing to what an answer means.
            SystemName::Redis => 1,
        }
    }

    /// Starts it with no data, in the fresh folder `dir`, and waits until it serves.
    ///
    /// # Errors
    /// It does not start, or not serve in time.
    pub(super) fn start(&self, nodes: u64, dir: &Path) -> Result<Running, SystemError> {
        let nodes = self.nodes(nodes);
        let servers = match self.name {
            SystemName::Node => Nodes::start(&self.program, &self.extra_args, nodes, dir)?.into_servers(),
            SystemName::Etcd => etcd::start(&self.program, self.threads, nodes, dir)?,
            SystemName::Redis => redis::start(&self.program, dir)?,
        };
        Ok(Running {
            name: self.name,
            servers,
            processors: self.processors.clone(),
        })
    }

    /// Its protocol, for one connection that writes values of `value_bytes`.
    pub(super) fn protocol(&self, value_bytes: usize) -> Box<dyn Protocol> {
        match self.name {
            SystemName::Node => Box::new(NodeProtocol::new(value_bytes)),
            SystemName::Etcd => Box::new(EtcdProtocol::new(value_bytes)),
            SystemName::Redis => Box::new(RedisProtocol::new(value_bytes)),
        }
    }
}

/// The servers of a system.
#[derive(Debug)]
struct Servers {
    processes: Vec<Process>,
    /// The place among them of the one that does not send clients elsewhere.
    leader: usize,
    /// Where clients reach that one.
    address: SocketAddr,
}

/// A system that serves. When it is dropped, its processes are killed.
#[derive(Debug)]
pub(super) struct Running {
    name: SystemName,
    servers: Servers,
    processors: Option<Processors>,
}

impl Running {
    /// Where clients reach the server that does not send them elsewhere.
    pub(super) fn leader(&self) -> SocketAddr {
        self.servers.address
    }

    /// Pins it and the calling thread, if it is to be; the thread until the value is dropped.
    ///
    /// # Errors
    /// The operating system refuses it.
    pub(super) fn pin(&self) -> Result<Option<PinnedThread>, PinError> {
        let Some(processors) = &self.processors else {
            return Ok(None);
        };
        let asked = self.servers.processes[self.servers.leader].pid();
        let others = self.pids().into_iter().filter(|pid| *pid != asked);
        processors.pin(asked, others).map(Some)
    }

    /// Where the leader's time went since it started; `None` where the system does not count that.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn stages(&self) -> Result<Option<Vec<StageTimes>>, SystemError> {
        match self.name {
            SystemName::Node => node::stages(self.leader()).map(Some),
            SystemName::Etcd | SystemName::Redis => Ok(None),
        }
    }

    /// The numbers of its processes.
    pub(super) fn pids(&self) -> BTreeSet<u32> {
        self.servers.processes.iter().map(Process::pid).collect()
    }

    /// What memory each of its processes takes.
    pub(super) fn memory(&self) -> io::Result<Vec<Memory>> {
        let pids = self.servers.processes.iter().map(Process::pid);
        pids.map(memory::of_process).collect()
    }

    /// # Errors
    /// One of its processes has ended.
    pub(super) fn check(&mut self) -> Result<(), SystemError> {
        self.servers.processes.iter_mut().try_for_each(Process::check)
    }
}

/// Asks again and again until somebody serves.
fn wait_for<T, P: BorrowMut<Process>>(
    servers: &mut [P],
    mut ask: impl FnMut() -> Option<T>,
) -> Result<T, SystemError> {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        servers
            .iter_mut()
            .try_for_each(|server| server.borrow_mut().check())?;
        if begun.elapsed() > START_TIME_MAX {
            return Err(SystemError::NotServing(START_TIME_MAX));
        }
        std::thread::sleep(ASK_INTERVAL);
    }
}

/// Addresses on this machine that nobody listens at.
///
/// Somebody else may take one before the server does, which then ends and says so.
fn free_addresses(count: u64) -> Result<Vec<SocketAddr>, SystemError> {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    // All are held until the last one is found, so that none is found twice.
    let listeners: io::Result<Vec<TcpListener>> = (0..count).map(bind).collect();
    listeners
        .and_then(|listeners| listeners.iter().map(TcpListener::local_addr).collect())
        .map_err(|error| SystemError::System("find free ports", error))
}
