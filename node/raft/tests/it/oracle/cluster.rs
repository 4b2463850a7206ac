//! Servers of one implementation and what lies between them.

use super::party::{Parcel, Party, Settings, View};
use raft::{Change, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Rounds of deliveries in which a cluster must come to rest.
const ROUNDS_MAX: usize = 300;
/// Heartbeats until everybody who can be reached has everything: a probe, what it shows to be lacking, the commit of that, a snapshot,
/// and what follows it, with as many to spare.
const HEARTBEATS: usize = 6;

/// What a link does with messages in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Open,
    Cut,
    /// Everything arrives twice.
    Twice,
    /// What is sent together arrives in reverse.
    Backwards,
    /// What is said of elections arrives when the next phase begins. What is replicated is lost: which entries are in one message is not
    /// the same on both sides.
    Late,
}

/// What lies between servers, and under them, in a phase.
#[derive(Clone, Debug, Default)]
pub(super) struct Weather {
    /// Links that are not open.
    pub(super) links: BTreeMap<(NodeId, NodeId), Link>,
    /// Chooses which of the links that hold messages at the same time is served first.
    pub(super) order: u64,
    /// Servers whose disk takes writes in and completes none.
    pub(super) slow_disks: BTreeSet<NodeId>,
}

impl Weather {
    pub(super) fn link(&self, from: NodeId, to: NodeId) -> Link {
        self.links.get(&(from, to)).copied().unwrap_or(Link::Open)
    }

    /// Cuts a server off from everybody.
    pub(super) fn isolate(&mut self, node: NodeId, others: impl IntoIterator<Item = NodeId>) {
        for other in others {
            self.links.insert((node, other), Link::Cut);
            self.links.insert((other, node), Link::Cut);
        }
    }

    fn precedence(&self, from: NodeId, to: NodeId) -> u64 {
        let link = (from.0 * 31 + to.0) ^ self.order;
        link.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
    }
}

/// What is done to a cluster, with nothing left to choose.
#[derive(Clone, Debug)]
pub(super) enum Input {
    ElectionTimeout(NodeId),
    Silent(NodeId),
    QuorumCheck(NodeId),
    Propose(NodeId, u8),
    Read(NodeId, u64),
    Change(NodeId, Vec<Change>),
    Transfer(NodeId, NodeId),
    Compact(NodeId),
    Unreachable(NodeId, NodeId),
    Crash(NodeId, bool),
    /// Whatever is in flight arrives, then a heartbeat and what follows from it.
    Rest,
}

pub(super) struct Cluster<P: Party> {
    settings: Settings,
    genesis: Vec<NodeId>,
    pub(super) servers: BTreeMap<NodeId, P>,
    flight: Vec<Parcel<P::Message>>,
    late: Vec<Parcel<P::Message>>,
}

impl<P: Party> Cluster<P> {
    pub(super) fn new(settings: Settings, genesis: Vec<NodeId>) -> Cluster<P> {
        let start = |id: &NodeId| (*id, P::start(*id, settings, &genesis));
        Cluster {
            settings,
            servers: genesis.iter().map(start).collect(),
            genesis,
            flight: Vec::new(),
            late: Vec::new(),
        }
    }

    /// A new server comes up, to be added to the cluster.
    pub(super) fn add(&mut self, id: NodeId) {
        self.servers
            .insert(id, P::start(id, self.settings, &self.genesis));
    }

    /// A server goes for ever, and all that it said with it.
    pub(super) fn remove(&mut self, id: NodeId) {
        self.servers.remove(&id);
        self.late.retain(|parcel| parcel.from != id);
    }

    /// Does something to the cluster; what it is answered, to be compared.
    pub(super) fn give(&mut self, input: &Input, weather: &Weather) -> String {
        let answer = self.input(input, weather);
        self.pump_all(weather);
        answer
    }

    fn input(&mut self, input: &Input, weather: &Weather) -> String {
        match input {
            Input::ElectionTimeout(id) => self.server(*id).election_timeout(),
            Input::Silent(id) => self.server(*id).leader_silent(),
            Input::QuorumCheck(id) => self.server(*id).quorum_check(),
            Input::Unreachable(id, other) => self.server(*id).unreachable(*other),
            Input::Propose(id, command) => return format!("{:?}", self.server(*id).propose(*command)),
            Input::Read(id, token) => return format!("{}", self.server(*id).read(*token)),
            Input::Change(id, changes) => return format!("{:?}", self.server(*id).change(changes)),
            Input::Transfer(id, to) => return format!("{}", self.server(*id).transfer(*to)),
            Input::Compact(id) => self.server(*id).compact(),
            Input::Crash(id, landed) => {
                let old = self.servers.remove(id).expect("who crashes is up");
                self.servers.insert(*id, old.crash(*landed));
            }
            Input::Rest => {
                self.rest(weather);
                self.beat(weather);
            }
        }
        String::new()
    }

    fn server(&mut self, id: NodeId) -> &mut P {
        self.servers.get_mut(&id).expect("who is asked is up")
    }

    /// What was late arrives now.
    pub(super) fn late_arrives(&mut self) {
        self.flight.append(&mut self.late);
    }

    /// Delivers, in rounds, until nothing moves.
    pub(super) fn rest(&mut self, weather: &Weather) {
        self.pump_all(weather);
        for _ in 0..ROUNDS_MAX {
            if self.flight.is_empty() {
                return;
            }
            let mut now = std::mem::take(&mut self.flight);
            // A stable sort: a link keeps its messages in order.
            now.sort_by_key(|parcel| weather.precedence(parcel.from, parcel.to));
            for parcel in now {
                let to = parcel.to;
                if let Some(server) = self.servers.get_mut(&to) {
                    server.step(parcel);
                    self.pump(to, weather);
                }
            }
        }
        panic!("the cluster does not come to rest");
    }

    /// A server does what it is asked for, and what it sends meets the weather.
    fn pump(&mut self, id: NodeId, weather: &Weather) {
        let slow_disk = weather.slow_disks.contains(&id);
        let mut backwards = Vec::new();
        for parcel in self.server(id).pump(slow_disk) {
            match weather.link(parcel.from, parcel.to) {
                Link::Open => self.flight.push(parcel),
                Link::Cut => {}
                Link::Twice => self.flight.extend([parcel.clone(), parcel]),
                Link::Backwards => backwards.push(parcel),
                Link::Late if P::is_of_election(&parcel.message) => self.late.push(parcel),
                Link::Late => {}
            }
        }
        self.flight.extend(backwards.into_iter().rev());
    }

    fn pump_all(&mut self, weather: &Weather) {
        for id in self.servers.keys().copied().collect::<Vec<NodeId>>() {
            self.pump(id, weather);
        }
    }

    fn beat(&mut self, weather: &Weather) {
        for server in self.servers.values_mut() {
            server.heartbeat_timeout();
        }
        self.rest(weather);
    }

    /// Leaders beat until everybody who can be reached has everything.
    pub(super) fn settle(&mut self, weather: &Weather) {
        self.rest(weather);
        for _ in 0..2 {
            for _ in 0..HEARTBEATS {
                self.beat(weather);
            }
            // Nothing is in flight, so a snapshot that is waited for was lost.
            for server in self.servers.values_mut() {
                server.snapshots_are_lost();
            }
        }
        self.rest(weather);
    }

    /// The most that anybody knows to be committed.
    pub(super) fn commit(&self) -> u64 {
        self.servers.values().map(P::commit).max().unwrap_or_default()
    }

    /// Everybody's role and term, for people.
    pub(super) fn standings(&self) -> String {
        let standing = |(id, server): (&NodeId, &P)| {
            let (role, term) = server.standing();
            format!("{id}@{term} {role}")
        };
        self.servers
            .iter()
            .map(standing)
            .collect::<Vec<String>>()
            .join(", ")
    }

    pub(super) fn views(&mut self) -> BTreeMap<NodeId, View> {
        let servers = self.servers.iter_mut();
        servers.map(|(id, server)| (*id, server.view())).collect()
    }
}
