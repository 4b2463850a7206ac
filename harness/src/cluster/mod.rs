//! The cluster under test: operating-system processes, and the links between them.
//!
//! Nodes listen on ports that the system picks, and reach each other only through the harness's own proxies, one for each
//! ordered pair (`links`), so that partitions need no privileges and clients are told real addresses. They run here, or on other machines
//! (`machine`, `hosts`). A node's death is tied to the harness's (`spawner`). A `monitor` asks every node how it is, over its socket, as any operator would.

mod binary;
mod clock;
mod damage;
mod disks;
mod error;
#[cfg(test)]
pub(crate) mod fake;
mod folders;
mod hosts;
mod lifecycle;
mod links;
mod machine;
mod member;
mod monitor;
pub(crate) mod node_client;
mod operator;
mod process;
mod said;
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
pub use hosts::{Hosts, HostsError, HostsSpec, KINDS as KINDS_OVER_HOSTS, is_name as is_host};
pub(crate) use links::{Links, alias};
pub use links::{Pace, Reach};
pub use monitor::{NodeView, Observation};
pub use spec::{ClusterSpec, Timing};

use crate::node_number::NodeNumber;
use crate::systems::{Site, System, Tells, site_of};
use clock::Clock;
use disk::Disk;
use error::system;
use folders::NODES;
use machine::Machine;
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

/// How nodes ended otherwise than they were told to.
#[derive(Default)]
struct Deaths {
    unexpected: Mutex<Vec<NodeExit>>,
    /// Of whom nobody knows how they ended; why, in words.
    lost: Mutex<Vec<String>>,
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
    deaths: Arc<Deaths>,
    hosts: Option<Hosts>,
    /// The folder of the run.
    dir: PathBuf,
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
    ///
    /// # Panics
    /// Nodes are to run on hosts, and they are another system's, or have clocks or disks of their own.
    pub async fn start(spec: ClusterSpec) -> Result<Cluster, ClusterError> {
        let numbers: Vec<NodeNumber> = (1..=spec.nodes).collect();
        let with_spares: Vec<NodeNumber> = (1..=spec.nodes + spec.spares).collect();
        let nodes = spec.nodes;
        assert!(
            spec.hosts.is_none() || matches!(spec.system, System::Node(_)) && !spec.clocks && !spec.disks,
            "another system's nodes know their addresses before they start, and these are here; as clocks and disks are"
        );
        // Data lies on them, and so they are there first.
        let folders = with_spares.iter().map(|node| (*node, Folders::of(&spec, *node)));
        let folders: Vec<(NodeNumber, Folders)> = folders.collect();
        let disks = folders
            .iter()
            .map(|(_, folders)| spec.disks.then(|| disks::mount(folders)).transpose());
        let disks = disks.collect::<Result<Vec<Option<Disk>>, ClusterError>>()?;
        let near = |node| Machine::of(&spec, node).address_of_harness();
        let links = Links::open_near(&with_spares, spec.system.reach(), near)
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
            deaths: Arc::default(),
            hosts: spec.hosts,
            dir: spec.dir,
            unnoticed: Mutex::default(),
            reconfigured: AtomicBool::new(false),
        }));
        let starts = numbers.iter().map(|node| {
            let (cluster, node) = (cluster.clone(), *node);
            tokio::spawn(async move { cluster.restart(node).await })
        });
        let mut failed = None;
        for start in starts.collect::<Vec<_>>() {
            let started = start.await.expect("starting a node does not panic");
            match (started, &cluster.0.hosts) {
                (Ok(()), _) => {}
                (Err(error), None) => return Err(error),
                (Err(error), Some(_)) => {
                    failed.get_or_insert(error);
                }
            }
        }
        if let Some(error) = failed {
            cluster.stop().await;
            let no_room = cluster.without_room().await;
            // What the nodes have to say of it lies there. That it can't be had does not matter beside the error.
            cluster.fetch().await;
            return Err(no_room.map_or(error, ClusterError::Host));
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

    /// The number of the node's process; `None` while it is down, or if it is one of another machine.
    pub fn process(&self, node: NodeNumber) -> Option<u32> {
        let process = self.0.member(node).lock();
        process
            .as_ref()
            .filter(|process| process.is_running())
            .and_then(NodeProcess::pid)
    }

    /// Where the node's log is; that of one on another machine once it has been [fetched](Cluster::fetch).
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
        lock(&self.0.deaths.unexpected).clone()
    }

    /// In words, what became of a machine of which nobody knows any more what happens there; `None` if all are there.
    pub fn lost(&self) -> Option<String> {
        let host = self.0.hosts.as_ref().and_then(Hosts::lost);
        host.or_else(|| lock(&self.0.deaths.lost).first().cloned())
    }

    /// In words, which of the machines has no room for what its nodes write; `None` if all have, or it is this one.
    pub async fn without_room(&self) -> Option<String> {
        let hosts = self.0.hosts.as_ref()?;
        hosts.without_room(self.0.members.len() as u64).await
    }

    /// Copies data and logs that lie on other machines into the folder of the run, and removes them there; all nodes have been stopped. What
    /// went wrong, in words.
    pub async fn fetch(&self) -> Vec<String> {
        match &self.0.hosts {
            Some(hosts) => hosts.fetch(NODES, self.0.members.len() as u64, &self.0.dir).await,
            None => Vec::new(),
        }
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
