//! The cluster under test: operating-system processes, and the links between them.
//!
//! Nodes listen on ports that the system picks, and reach each other only through the harness's own proxies, one for each
//! ordered pair (`links`), so that partitions need no privileges and clients are told real addresses. A node's death is tied
//! to the harness's (`spawner`). A `monitor` asks every node how it is, over its socket, as any operator would.

mod binary;
mod clock;
mod damage;
mod disks;
mod error;
#[cfg(test)]
pub(crate) mod fake;
mod folders;
mod lifecycle;
mod links;
mod member;
mod monitor;
pub(crate) mod node_client;
mod operator;
mod process;
#[cfg(test)]
mod script;
mod spawner;
mod spec;

pub use binary::{Binary, BinaryError};
pub use clock::{Skew, unsettable};
pub use damage::{Damage, Wound};
pub use disks::{CrashPoint, Since};
pub use error::ClusterError;
pub(crate) use folders::Folders;
pub(crate) use links::{Links, alias};
pub use links::{Pace, Reach};
pub use monitor::{NodeView, Observation};
pub use spec::{ClusterSpec, Timing};

use crate::node_number::NodeNumber;
use crate::systems::{Site, Tells, site_of};
use clock::Clock;
use disk::Disk;
use error::system;
use member::Member;
use monitor::Monitor;
use process::{NodeProcess, NodeSpec};
pub(crate) use spawner::{Spawner, spawn_tied};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

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
        // Data lies on them, and so they are there first.
        let folders = with_spares.iter().map(|node| (*node, Folders::of(&spec, *node)));
        let folders: Vec<(NodeNumber, Folders)> = folders.collect();
        let disks = folders
            .iter()
            .map(|(_, folders)| spec.disks.then(|| disks::mount(folders)).transpose());
        let disks = disks.collect::<Result<Vec<Option<Disk>>, ClusterError>>()?;
        let links = Links::open(&with_spares, spec.system.reach())
            .await
            .map_err(|error| system("open the links", error))?;
        let site = site_of(&spec.system, folders, &links)
            .map_err(|error| system("make places for the nodes", error))?;
        let spawner = Spawner::start().map_err(|error| system("start the spawning thread", error))?;
        let clocks = spec.clocks.then(clock::library).transpose();
        let clocks = clocks.map_err(|error| system("make clocks for the nodes", error))?;
        let members = with_spares.iter().zip(disks).map(|(node, disk)| {
            let clock = clocks.as_ref().map(Clock::new).transpose();
            let clock = clock.map_err(|error| system("make a node's clocks", error))?;
            let node_spec = NodeSpec::new(&spec, *node, &links, site.as_ref());
            Ok(Arc::new(Member::new(node_spec, *node > nodes, clock, disk)))
        });
        let members = members.collect::<Result<Vec<Arc<Member>>, ClusterError>>()?;
        for member in &members {
            // What was made for it before it starts is as old as the disk.
            member.keep_data()?;
        }
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
