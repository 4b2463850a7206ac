//! `node serve`: from settings to a node that serves.

use crate::cli::Settings;
use crate::disk::{DataFolder, LockError};
use crate::exit::Failure;
use crate::logging::{self, EventLog};
use crate::scheduling;
use crate::server::{Capacity, Parts, Server};
use raft::{Life, NodeId};
use replica::{OpenError, Options, Replica};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::thread::disable_transparent_huge_pages;
use serde::Serialize;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use wire::record::Member;

/// How long the runtime's helper threads (name look-ups) are waited for at the end.
const SHUTDOWN_TIME_MAX: Duration = Duration::from_millis(100);

/// How many connections may wait to be accepted: all of a cluster's clients may come in the moment in which a leader begins to lead, and the
/// packets of one that finds no room are dropped, for a second. The system takes less where it has a bound of its own.
const BACKLOG: u32 = 4096;

/// What the ready line says.
#[derive(Debug, Serialize)]
struct Ready {
    node: u64,
    /// What was bound.
    listen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<String>,
    version: &'static str,
    wire_min: u16,
    wire_max: u16,
}

/// Serves until told to stop.
pub(crate) fn serve(settings: Settings) -> Result<(), Failure> {
    take_small_pages();
    // Before there is any other thread.
    let scheduled = scheduling::choose(settings.scheduling);
    logging::begin(settings.log_level)?;
    if let Err(error) = scheduled {
        tracing::info!("the scheduler does not take this node for a batch: {error}");
    }
    let capacity = capacity(&settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|error| Failure::Internal(format!("the runtime can't be started: {error}")))?;
    // As a task: what wakes the runtime's root instead is told to its thread by a system call each time.
    let result = runtime.block_on(async {
        let run = tokio::task::spawn_local(run(settings, capacity));
        run.await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    });
    runtime.shutdown_timeout(SHUTDOWN_TIME_MAX);
    result
}

async fn run(settings: Settings, capacity: Capacity) -> Result<(), Failure> {
    // Signals first: one that comes during the start ends it as cleanly as any other time.
    let internal = |error: std::io::Error| Failure::Internal(format!("signals can't be heard: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(internal)?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("told to stop by SIGTERM"),
            _ = interrupt.recv() => tracing::info!("told to stop by SIGINT"),
        }
    };
    let mut disk = DataFolder::lock(&settings.data).map_err(|error| match error {
        LockError::Busy(_) | LockError::Unusable(..) => Failure::Usage(error.to_string()),
    })?;
    let (listener, listen) = listen(settings.listen)?;
    let disk_account = disk.account();
    let written = Arc::new(Notify::new());
    let notified = Arc::clone(&written);
    disk.write_beside(move || notified.notify_one())
        .map_err(|error| Failure::Internal(format!("there is no thread for the log: {error}")))?;
    let metrics = match settings.metrics {
        Some(address) => Some(self::listen(address)?),
        None => None,
    };
    let event_log = EventLog::default();
    let events = event_log.counts();
    let begun = Instant::now();
    let replica =
        Replica::open(disk, &options(&settings)?, event_log).map_err(|error| open_failure(&error))?;
    let raft = replica.core().raft();
    tracing::info!(
        "{} was opened in {} ms: a state as of entry {}, and a log up to entry {}",
        settings.data.display(),
        begun.elapsed().as_millis(),
        raft.applied_index(),
        raft.last().index
    );
    let client_address = match &settings.client_address {
        Some(address) => address.as_str().to_string(),
        None => listen.to_string(),
    };
    // Both listen in the same place, so what clients are told is the best guess.
    let address = settings.members.get(&settings.id);
    let address = address.map_or_else(|| client_address.clone(), ToString::to_string);
    let metrics_address = metrics.as_ref().map(|(_, bound)| *bound);
    let mut server = Server::begin(Parts {
        id: settings.id,
        cluster_id: settings.cluster_id,
        address,
        fixed_peers: settings.fixed_peers,
        client_address,
        tick: settings.tick,
        replica,
        disk_account,
        written,
        spin: settings.spin,
        events,
        listener,
        capacity,
        metrics: metrics.map(|(listener, _)| listener),
    });
    say_ready(settings.id, listen, metrics_address);
    server
        .run(stop)
        .await
        .map_err(|fatal| Failure::Internal(fatal.to_string()))
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let failed = |error: std::io::Error| Failure::Usage(format!("can't listen on {address}: {error}"));
    let listener = bind(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A node that starts again listens where connections of its last life are still on their way out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn options(settings: &Settings) -> Result<Options, Failure> {
    let voters: Vec<NodeId> = settings.members.keys().copied().collect();
    let mut options = Options::new(settings.id, settings.cluster_id.clone(), voters);
    options.contexts = settings
        .members
        .iter()
        .map(|(node, address)| {
            let member = Member {
                address: address.to_string(),
                incarnation: None,
            };
            (*node, member.to_context())
        })
        .collect();
    options.incarnation = u128::from_ne_bytes(random()?);
    options.secret = u64::from_ne_bytes(random()?);
    options.seed = match settings.seed {
        // Two nodes with one sequence of time-outs would stand for election at the same time, again and again.
        Some(seed) => seed ^ settings.id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        None => u64::from_ne_bytes(random()?),
    };
    options.timing = settings.timing;
    options.raft.lease = settings.lease;
    if settings.follower_reads {
        // Not counted: what an earlier process was answered may still be on its way, and a folder may be put back from a copy.
        options.raft.life = Some(Life(u64::from_ne_bytes(random()?)));
    }
    options.session_lifetime = settings.session_lifetime;
    options.segment_bytes = settings.segment_bytes.unwrap_or(options.segment_bytes);
    options.snapshot_log_bytes = settings.snapshot_log_bytes.unwrap_or(options.snapshot_log_bytes);
    #[cfg(feature = "mutants")]
    {
        options.mutant = settings.mutant;
    }
    Ok(options)
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], Failure> {
    let mut bytes = [0; BYTES];
    match getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(read) if read == BYTES => Ok(bytes),
        Ok(_) | Err(_) => Err(Failure::Internal(
            "the operating system has no random numbers to give".to_string(),
        )),
    }
}

fn open_failure(error: &OpenError) -> Failure {
    match error {
        OpenError::Foreign { .. }
        | OpenError::SameCluster(_)
        | OpenError::Format { .. }
        | OpenError::Config(_) => Failure::Usage(error.to_string()),
        OpenError::Corrupt { .. } | OpenError::Disk(_) => Failure::Internal(error.to_string()),
    }
}

/// Prints the ready line. Whoever does not read it does not miss it: the node serves all the same.
fn say_ready(node: NodeId, listen: SocketAddr, metrics: Option<SocketAddr>) {
    let ready = Ready {
        node: node.0,
        listen: listen.to_string(),
        metrics: metrics.map(|metrics| metrics.to_string()),
        version: env!("CARGO_PKG_VERSION"),
        wire_min: wire::VERSION_MIN,
        wire_max: wire::VERSION_MAX,
    };
    let ready = serde_json::to_string(&ready).expect("numbers and texts are always JSON");
    let mut stdout = std::io::stdout().lock();
    let said = writeln!(stdout, "ready {ready}").and_then(|()| stdout.flush());
    if let Err(error) = said {
        tracing::warn!("the ready line could not be printed: {error}");
    }
}

/// Has the system give memory by pages of the usual size. A huge one is filled with zeros while everything here stands still, for a millisecond
/// and more on a virtual machine: a leader's clients would wait for that, and so would whoever else needs the processor.
fn take_small_pages() {
    // Where the system knows of no such wish, or of no huge pages, everything works.
    let _ = disable_transparent_huge_pages(true);
}

/// How many connections the node can take, with as many descriptors as the system gives.
fn capacity(settings: &Settings) -> Result<Capacity, Failure> {
    let limit = raise_descriptor_limit();
    let defaults = Options::new(settings.id, String::new(), Vec::new());
    let segment_bytes = settings.segment_bytes.unwrap_or(defaults.segment_bytes);
    let log_bytes = settings.snapshot_log_bytes.unwrap_or(defaults.snapshot_log_bytes);
    let segments = usize::try_from(log_bytes.div_ceil(segment_bytes)).unwrap_or(usize::MAX);
    let capacity = Capacity::within(limit, segments).map_err(|error| Failure::Usage(error.to_string()))?;
    if capacity != Capacity::default() {
        tracing::warn!(
            "a process may have only {limit} files and connections open (see `ulimit -n`): at most {} clients are served, and {} connections \
             may begin at once",
            capacity.clients,
            capacity.greetings
        );
    }
    Ok(capacity)
}

/// Takes as many descriptors as the system gives, as the usual soft limit is less than the clients that are served; how many that are.
fn raise_descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!("the limit on open files stays as it is: {error}");
    }
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}
