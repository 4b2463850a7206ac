//! The cluster under test: operating-system processes, and the links between them.
//!
//! Nodes listen on ports that the system picks, and reach each other only through the harness's own proxies, one for each
//! ordered pair (`links`), so that partitions need no privileges and clients are told real addresses. A node's death is tied
//! to the harness's (`spawner`). A `monitor` asks every node how it is, over its socket, as any operator would.

mod binary;
mod clock;
mod damage;
#[cfg(test)]
pub(crate) mod fake;
mod links;
mod monitor;
pub(crate) mod node_client;
mod operator;
mod process;
#[cfg(test)]
mod script;
mod spawner;

pub use binary::{Binary, BinaryError};
pub use clock::{Skew, unsettable};
pub use damage::{Damage, Wound};
pub(crate) use links::{Links, alias};
pub use links::{Pace, Reach};
pub use monitor::{NodeView, Observation};

use crate::node_number::NodeNumber;
use crate::systems::{Site, System, Tells, site_of};
use clock::Clock;
use monitor::Monitor;
use process::{NodeProcess, NodeSpec, Start};
pub(crate) use spawner::{Spawner, spawn_tied};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a node may take from its start to its ready line.
const READY_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a node may take to stop when asked to.
const STOP_TIME_MAX: Duration = Duration::from_secs(3);
/// The folder of all nodes' data and logs, in that of the run.
const NODES: &str = "nodes";
/// How long a node that serves may take to look at one of its clocks.
const CLOCK_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a signal may take to show.
const SIGNAL_TIME_MAX: Duration = Duration::from_secs(2);

/// A cluster to start.
#[derive(Clone, Debug)]
pub struct ClusterSpec {
    /// Of what.
    pub system: System,
    /// How many nodes.
    pub nodes: u64,
    /// How many more there may be, with the numbers behind those: they are not started, and join when a nemesis has them.
    pub spares: u64,
    /// The cluster's id.
    pub cluster_id: String,
    /// Each node's data and log lie in `nodes/<number>/` below it.
    pub dir: PathBuf,
    /// Decides the nodes' randomized time-outs.
    pub seed: u64,
    /// The nodes' time-outs.
    pub timing: Timing,
    /// Further arguments for each node.
    pub extra_args: Vec<String>,
    /// Whether nodes go by clocks that can be set.
    pub clocks: bool,
}

/// The nodes' time-outs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The length of a tick.
    pub tick: Duration,
    /// The election time-out is drawn from this range.
    pub election_ticks: (u32, u32),
    /// Between two heartbeats of a leader.
    pub heartbeat_ticks: u32,
}

/// Elections after 150 to 300 ms, as in Raft §9.3; heartbeats every 40 ms.
impl Default for Timing {
    fn default() -> Self {
        Timing {
            tick: Duration::from_millis(10),
            election_ticks: (15, 30),
            heartbeat_ticks: 4,
        }
    }
}

/// What may go wrong with a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A folder or a file can't be made.
    #[error("can't write {path}: {error}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// The operating system's word.
        error: std::io::Error,
    },
    /// The operating system refuses something.
    #[error("can't {what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// Its word.
        error: std::io::Error,
    },
    /// A node did not start.
    #[error("node {node} did not start: {reason}")]
    Start {
        /// Which.
        node: NodeNumber,
        /// Its last words, or that it had none.
        reason: String,
    },
    /// A node refused to start on its data, which is damaged, and said where.
    #[error("node {node} refused to start: {reason}")]
    Refused {
        /// Which.
        node: NodeNumber,
        /// Its words.
        reason: String,
    },
    /// A signal had no effect.
    #[error("node {node} could not be {what}")]
    Signal {
        /// Which.
        node: NodeNumber,
        /// Killed, paused, resumed.
        what: &'static str,
    },
    /// A node's data can't be damaged.
    #[error("node {node}'s data could not be damaged: {reason}")]
    Damage {
        /// Whose.
        node: NodeNumber,
        /// Why.
        reason: String,
    },
    /// An operator's request came to nothing.
    #[error("the cluster did not {what}: {reason}")]
    Operator {
        /// What was asked.
        what: &'static str,
        /// The last answer.
        reason: String,
    },
    /// Nobody serves.
    #[error("the cluster served nobody for {}", humantime::format_duration(*.0))]
    NotServing(Duration),
}

/// A node that died by itself, or otherwise than by what it was told.
#[derive(Clone, Debug)]
pub struct NodeExit {
    /// Which.
    pub node: NodeNumber,
    /// How it ended.
    pub status: ExitStatus,
    /// Whether it was told to end.
    pub was_told: bool,
    /// The end of its log.
    pub last_lines: Vec<String>,
}

/// One node: what it takes to start it, and its process while it has one.
struct Member {
    spec: NodeSpec,
    process: Mutex<Option<NodeProcess>>,
    paused: AtomicBool,
    /// Whether it joins the cluster that is there, instead of founding it.
    joins: AtomicBool,
    /// What is wrong with its data, so that it must not start on them.
    wound: Mutex<Option<Wound>>,
    /// What it is told the time by, if that is not the machine's.
    clock: Option<Clock>,
}

struct Inner {
    spawner: Spawner,
    /// The spare ones too.
    members: Vec<Arc<Member>>,
    /// How many the cluster begins with.
    nodes: u64,
    links: Links,
    /// Where its nodes are, if they are of another system than the project's own.
    site: Option<Site>,
    monitor: Monitor,
    unexpected: Arc<Mutex<Vec<NodeExit>>>,
    unnoticed: Mutex<Vec<Wound>>,
    reconfigured: AtomicBool,
}

/// A running cluster; cheap to clone. When the last clone is dropped, its processes are killed.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

impl Cluster {
    /// Starts all nodes and waits for their ready lines, but not for a leader.
    ///
    /// # Errors
    /// Folders can't be made, ports can't be had, or a node does not start.
    pub async fn start(spec: ClusterSpec) -> Result<Cluster, ClusterError> {
        let numbers: Vec<NodeNumber> = (1..=spec.nodes).collect();
        let with_spares: Vec<NodeNumber> = (1..=spec.nodes + spec.spares).collect();
        let nodes = spec.nodes;
        let links = Links::open(&with_spares, spec.system.reach())
            .await
            .map_err(|error| system("open the links", error))?;
        let site = site_of(&spec.system, &with_spares, &spec.dir.join(NODES), &links)
            .map_err(|error| system("make places for the nodes", error))?;
        let spawner = Spawner::start().map_err(|error| system("start the spawning thread", error))?;
        let clocks = spec.clocks.then(clock::library).transpose();
        let clocks = clocks.map_err(|error| system("make clocks for the nodes", error))?;
        let members = with_spares.iter().map(|node| {
            let clock = clocks.as_ref().map(Clock::new).transpose();
            let clock = clock.map_err(|error| system("make a node's clocks", error))?;
            Ok(Arc::new(Member {
                spec: NodeSpec::new(&spec, *node, &links, site.as_ref()),
                process: Mutex::new(None),
                paused: AtomicBool::new(false),
                joins: AtomicBool::new(*node > nodes),
                wound: Mutex::default(),
                clock,
            }))
        });
        let members = members.collect::<Result<Vec<_>, ClusterError>>()?;
        let monitor = Monitor::new(&numbers, &with_spares);
        let cluster = Cluster(Arc::new(Inner {
            spawner,
            members,
            nodes,
            links,
            site,
            monitor,
            unexpected: Arc::default(),
            unnoticed: Mutex::default(),
            reconfigured: AtomicBool::new(false),
        }));
        let starts = numbers.iter().map(|node| {
            let (cluster, node) = (cluster.clone(), *node);
            tokio::spawn(async move { cluster.restart(node).await })
        });
        for start in starts.collect::<Vec<_>>() {
            start.await.expect("starting a node does not panic")?;
        }
        cluster.0.monitor.start(&Arc::downgrade(&cluster.0));
        Ok(cluster)
    }

    /// Waits until a leader answers a linearizable read; returns how long that took.
    ///
    /// # Errors
    /// Nobody did within `limit`.
    pub async fn wait_serving(&self, limit: Duration) -> Result<Duration, ClusterError> {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            for node in self.all_nodes() {
                let serves = match (self.client_address(node), &self.0.site) {
                    (Some(address), None) => node_client::serves_reads(node, address).await,
                    (Some(_), Some(site)) => site.serves(node).await,
                    (None, _) => false,
                };
                if serves {
                    return Ok(begun.elapsed());
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err(ClusterError::NotServing(limit))
    }

    /// Where its nodes are, if they are of another system than the project's own.
    pub(crate) fn site(&self) -> Option<&Site> {
        self.0.site.as_ref()
    }

    /// Whether its nodes tell how they are: who leads, and how much they have applied.
    pub fn tells_how_it_is(&self) -> bool {
        self.site()
            .is_none_or(|site| site.profile().tells == Tells::Progress)
    }

    /// The numbers of the nodes that the cluster began with.
    pub fn nodes(&self) -> Vec<NodeNumber> {
        (1..=self.0.nodes).collect()
    }

    /// The numbers of those that may join.
    pub fn spares(&self) -> Vec<NodeNumber> {
        let all = self.all_nodes();
        all.into_iter().filter(|node| *node > self.0.nodes).collect()
    }

    /// The numbers of all of these.
    pub fn all_nodes(&self) -> Vec<NodeNumber> {
        self.0.members.iter().map(|member| member.spec.node).collect()
    }

    /// Takes a node's data away, which is down. When it is started again it joins the cluster, if that has it.
    ///
    /// # Errors
    /// The folder can't be removed.
    ///
    /// # Panics
    /// It is up.
    pub fn wipe(&self, node: NodeNumber) -> Result<(), ClusterError> {
        assert!(
            !self.is_up(node),
            "node {node} is up: its data is not to be taken away"
        );
        let member = self.0.member(node);
        member.joins.store(true, Ordering::Relaxed);
        *member.wound() = None;
        let path = member.spec.data();
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ClusterError::Folder { path, error })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Puts a node's data aside, which is down. When it is started again, it has none, and is told to join.
    ///
    /// # Errors
    /// The folder can't be moved.
    ///
    /// # Panics
    /// It is up.
    pub fn take_data_away(&self, node: NodeNumber) -> Result<(), ClusterError> {
        assert!(
            !self.is_up(node),
            "node {node} is up: its data is not to be taken away"
        );
        let member = self.0.member(node);
        let path = member.spec.data();
        if !self.is_without_data(node) {
            std::fs::rename(&path, member.aside()).map_err(|error| ClusterError::Folder { path, error })?;
        }
        member.joins.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether a node's data was put aside and is still there.
    pub fn is_without_data(&self, node: NodeNumber) -> bool {
        self.0.member(node).aside().exists()
    }

    /// Gives a node its data back that was put aside, instead of whatever it has now; it is down.
    ///
    /// # Errors
    /// The folder can't be moved.
    pub fn give_data_back(&self, node: NodeNumber) -> Result<(), ClusterError> {
        self.wipe(node)?;
        let member = self.0.member(node);
        let path = member.aside();
        std::fs::rename(&path, member.spec.data()).map_err(|error| ClusterError::Folder { path, error })
    }

    /// Whether members were ever changed, so that they may have to be put right.
    pub fn was_reconfigured(&self) -> bool {
        self.0.reconfigured.load(Ordering::Relaxed)
    }

    /// Where clients reach a node now; it changes with each start. `None` while it is down.
    pub fn client_address(&self, node: NodeNumber) -> Option<SocketAddr> {
        self.0.client_address(node)
    }

    /// Whether the node's process is there.
    pub fn is_up(&self, node: NodeNumber) -> bool {
        self.client_address(node).is_some()
    }

    /// The number of the node's process; `None` while it is down.
    pub fn process(&self, node: NodeNumber) -> Option<u32> {
        let process = self.0.member(node).lock();
        process
            .as_ref()
            .filter(|process| process.is_running())
            .map(NodeProcess::pid)
    }

    /// Where the node's log is.
    pub fn log(&self, node: NodeNumber) -> PathBuf {
        self.0.member(node).spec.log()
    }

    /// Whether the node's process is stopped by a pause.
    pub fn is_paused(&self, node: NodeNumber) -> bool {
        self.0.member(node).paused.load(Ordering::Relaxed)
    }

    /// Kills a node with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// It is still there after a while.
    pub async fn kill(&self, node: NodeNumber) -> Result<(), ClusterError> {
        let member = self.0.member(node);
        let Some(mut process) = member.take_process() else {
            return Ok(());
        };
        self.0.is_reached_at(node, None);
        process.expect_exit();
        process.signal(rustix::process::Signal::KILL);
        member.paused.store(false, Ordering::Relaxed);
        let gone = process.wait_exit(SIGNAL_TIME_MAX).await;
        gone.then_some(())
            .ok_or(ClusterError::Signal { node, what: "killed" })
    }

    /// Starts a node that is down, on the data it had, and waits for its ready line. Where these are damaged, it is to refuse that, and say
    /// where they are; if it does not notice, it is killed again, and [remembered](Cluster::unnoticed).
    ///
    /// # Errors
    /// It does not start.
    pub async fn restart(&self, node: NodeNumber) -> Result<(), ClusterError> {
        let member = self.0.member(node);
        if self.is_up(node) {
            return Ok(());
        }
        let wound = member.wound().clone();
        let start = Start {
            joins: member.joins.load(Ordering::Relaxed),
            complaint: wound.as_ref().map(Wound::complaint),
            clock: member.clock.as_ref(),
        };
        if let Some(clock) = &member.clock {
            clock
                .renew()
                .map_err(|error| system("set a node's clocks", error))?;
        }
        let started = NodeProcess::spawn(
            &self.0.spawner,
            &member.spec,
            start,
            Arc::clone(&self.0.unexpected),
            READY_TIME_MAX,
        )
        .await;
        let mut process = match (started, &wound) {
            (Err(ClusterError::Start { reason, .. }), Some(wound)) if reason.contains(&wound.complaint()) => {
                return Err(ClusterError::Refused { node, reason });
            }
            (started, _) => started?,
        };
        if let Some(wound) = wound {
            process.expect_exit();
            process.signal(rustix::process::Signal::KILL);
            process.wait_exit(SIGNAL_TIME_MAX).await;
            let reason = format!("it was not to: {wound}");
            lock(&self.0.unnoticed).push(wound);
            return Err(ClusterError::Start { node, reason });
        }
        if !member.looks_at_clock(CLOCK_TIME_MAX).await {
            process.expect_exit();
            let reason = String::from(
                "it takes its time past the C library, so that its clocks can't be set: leave the nemesis clock out",
            );
            return Err(ClusterError::Start { node, reason });
        }
        self.0.is_reached_at(node, Some(process.address()));
        member.paused.store(false, Ordering::Relaxed);
        *member.lock() = Some(process);
        Ok(())
    }

    /// Stops a node with SIGSTOP and waits until it stands still.
    ///
    /// # Errors
    /// It still runs after a while, or is down.
    pub async fn pause(&self, node: NodeNumber) -> Result<(), ClusterError> {
        self.signal_until(node, rustix::process::Signal::STOP, true, "paused")
            .await
    }

    /// Lets a paused node go on with SIGCONT.
    ///
    /// # Errors
    /// It still stands after a while, or is down.
    pub async fn resume(&self, node: NodeNumber) -> Result<(), ClusterError> {
        self.signal_until(node, rustix::process::Signal::CONT, false, "resumed")
            .await
    }

    async fn signal_until(
        &self,
        node: NodeNumber,
        signal: rustix::process::Signal,
        stopped: bool,
        what: &'static str,
    ) -> Result<(), ClusterError> {
        let member = self.0.member(node);
        let pid = match member.lock().as_ref().filter(|process| process.is_running()) {
            Some(process) => {
                member.paused.store(stopped, Ordering::Relaxed);
                process.signal(signal);
                process.pid()
            }
            None => return Err(ClusterError::Signal { node, what }),
        };
        let begun = Instant::now();
        while begun.elapsed() < SIGNAL_TIME_MAX {
            if process::is_stopped(pid) == Some(stopped) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Err(ClusterError::Signal { node, what })
    }

    /// Lets that be wrong with a node's clocks from now on, and waits until it has looked at one of them.
    ///
    /// # Errors
    /// It is down, does not look at its clocks, or has none that can be set.
    pub async fn skew_clock(&self, node: NodeNumber, skew: Skew) -> Result<(), ClusterError> {
        let member = self.0.member(node);
        let unmoved = ClusterError::Signal {
            node,
            what: "given another time",
        };
        let Some(clock) = member.clock.as_ref().filter(|_| self.is_up(node)) else {
            return Err(unmoved);
        };
        clock
            .skew(skew)
            .map_err(|error| system("set a node's clocks", error))?;
        let is_seen = member.looks_at_clock(CLOCK_TIME_MAX).await;
        is_seen.then_some(()).ok_or(unmoved)
    }

    /// Lets a node's clocks run at their usual rate again, and takes back by how much its time of day has jumped.
    ///
    /// # Errors
    /// The operating system refuses it.
    pub fn put_clock_right(&self, node: NodeNumber) -> Result<(), ClusterError> {
        let clock = self.0.member(node).clock.as_ref();
        clock.map_or(Ok(()), |clock| {
            clock
                .put_right()
                .map_err(|error| system("set a node's clocks", error))
        })
    }

    /// Whether nodes can be parted from each other.
    pub fn has_links(&self) -> bool {
        self.site()
            .is_none_or(|site| site.profile().reach != Reach::Directly)
    }

    /// Cuts the link on which `from` speaks to `to`.
    pub fn cut(&self, from: NodeNumber, to: NodeNumber) {
        self.0.links.cut(from, to);
    }

    /// Makes the link on which `from` speaks to `to` slow.
    pub fn slow(&self, from: NodeNumber, to: NodeNumber, pace: Pace) {
        self.0.links.slow(from, to, pace);
    }

    /// Makes the link on which `from` speaks to `to` flaky: now and then its connections are reset, fall silent, or are overtaken by newer
    /// ones, as `seed` decides.
    pub fn make_flaky(&self, from: NodeNumber, to: NodeNumber, seed: u64) {
        self.0.links.make_flaky(from, to, seed);
    }

    /// Heals the link on which `from` speaks to `to`: it is neither cut nor slow nor flaky any more. Connections that it did not carry whole
    /// are reset.
    pub fn heal(&self, from: NodeNumber, to: NodeNumber) {
        self.0.links.heal(from, to);
    }

    /// Whether the link on which `from` speaks to `to` is cut.
    pub fn is_cut(&self, from: NodeNumber, to: NodeNumber) -> bool {
        self.0.links.is_cut(from, to)
    }

    /// Heals every link.
    pub fn heal_all(&self) {
        for from in self.all_nodes() {
            for to in self.all_nodes() {
                self.heal(from, to);
            }
        }
    }

    /// How much harm links have done to what they carry since the start: bytes that were swallowed or late, connections that were broken or
    /// made in vain.
    pub fn harmed(&self, from: NodeNumber, to: NodeNumber) -> u64 {
        self.0.links.harmed(from, to)
    }

    /// How the cluster was when it was last asked, some ten milliseconds ago.
    pub fn observe(&self) -> Observation {
        self.0.monitor.latest()
    }

    /// Hears of every observation.
    pub fn subscribe(&self) -> watch::Receiver<Observation> {
        self.0.monitor.subscribe()
    }

    /// The nodes that died by themselves, or ended otherwise than they were told to.
    pub fn unexpected_exits(&self) -> Vec<NodeExit> {
        lock(&self.0.unexpected).clone()
    }

    /// The damage on which nodes have started, as if their data were whole.
    pub fn unnoticed(&self) -> Vec<Wound> {
        lock(&self.0.unnoticed).clone()
    }

    /// Stops every node where it stands, so that it stays as it is; and waits until they stand still.
    pub async fn freeze_all(&self) {
        for member in &self.0.members {
            // All of them first: while one is waited for, others would go on.
            if let Some(process) = member.lock().as_ref() {
                member.paused.store(true, Ordering::Relaxed);
                process.signal(rustix::process::Signal::STOP);
            }
        }
        for node in self.all_nodes() {
            if self.is_up(node) {
                // One that can't be stopped has just died; there is nothing left of it to freeze.
                let _ = self.pause(node).await;
            }
        }
    }

    /// Lets every node go on that stands still.
    ///
    /// # Errors
    /// One still stands after a while.
    pub async fn resume_all(&self) -> Result<(), ClusterError> {
        for node in self.all_nodes() {
            if self.is_up(node) && self.is_paused(node) {
                self.resume(node).await?;
            }
        }
        Ok(())
    }

    /// Kills every node, so that its data stays as it is.
    ///
    /// # Errors
    /// One is still there after a while.
    pub async fn kill_all(&self) -> Result<(), ClusterError> {
        for node in self.all_nodes() {
            self.kill(node).await?;
        }
        Ok(())
    }

    /// Stops every node cleanly, and those that don't stop by force; which these were. How the others ended, if it was not as they were
    /// told to, is among the [unexpected exits](Cluster::unexpected_exits).
    pub async fn stop(&self) -> Vec<NodeNumber> {
        self.0.monitor.stop();
        let (mut stopping, mut stubborn) = (Vec::new(), Vec::new());
        for member in &self.0.members {
            if let Some(mut process) = member.take_process() {
                process.expect_exit();
                process.signal(rustix::process::Signal::CONT);
                process.signal(rustix::process::Signal::TERM);
                stopping.push((member.spec.node, process));
            }
        }
        for (node, mut process) in stopping {
            if !process.wait_exit(STOP_TIME_MAX).await {
                stubborn.push(node);
                process.signal(rustix::process::Signal::KILL);
                process.wait_exit(STOP_TIME_MAX).await;
            }
        }
        stubborn
    }
}

impl Inner {
    fn member(&self, node: NodeNumber) -> &Arc<Member> {
        let place = usize::try_from(node).ok().and_then(|node| node.checked_sub(1));
        place
            .and_then(|place| self.members.get(place))
            .unwrap_or_else(|| panic!("there is no node {node}"))
    }

    /// The others reach a node there from now on, or it is down. Nodes of other systems have their places, up or down.
    fn is_reached_at(&self, node: NodeNumber, address: Option<SocketAddr>) {
        if self.site.is_none() {
            self.links.set_target(node, address);
        }
    }

    fn client_address(&self, node: NodeNumber) -> Option<SocketAddr> {
        self.member(node)
            .lock()
            .as_ref()
            .filter(|process| process.is_running())
            .map(NodeProcess::address)
    }
}

impl Member {
    /// Where its data is while it is without.
    fn aside(&self) -> PathBuf {
        self.spec.data().with_extension("aside")
    }

    fn lock(&self) -> MutexGuard<'_, Option<NodeProcess>> {
        lock(&self.process)
    }

    fn wound(&self) -> MutexGuard<'_, Option<Wound>> {
        lock(&self.wound)
    }

    fn take_process(&self) -> Option<NodeProcess> {
        self.lock().take()
    }

    /// Waits until its process has looked at a clock since that was changed; `false` if it has not within `limit`.
    async fn looks_at_clock(&self, limit: Duration) -> bool {
        let begun = Instant::now();
        while self.clock.as_ref().is_some_and(|clock| !clock.is_seen()) {
            if begun.elapsed() > limit {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        true
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn system(what: &str, error: std::io::Error) -> ClusterError {
    ClusterError::System {
        what: what.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests;
