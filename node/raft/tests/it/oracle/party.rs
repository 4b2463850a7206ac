//! What both implementations are asked, in the same words.

use raft::{Change, NodeId, RoleKind};
use std::collections::{BTreeMap, BTreeSet};

/// The settings that both implementations have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) pre_vote: bool,
    pub(super) check_quorum: bool,
}

/// A place in a log: index and term.
pub(super) type Place = (u64, u64);

/// What an entry carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    Nothing,
    Command(u8),
    Configuration,
}

/// Who takes part, each list sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Members {
    pub(super) voters: Vec<u64>,
    pub(super) outgoing: Vec<u64>,
    pub(super) learners: Vec<u64>,
    pub(super) learners_next: Vec<u64>,
}

/// What is compared of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) role: RoleKind,
    pub(super) term: u64,
    pub(super) vote: Option<NodeId>,
    pub(super) leader: Option<NodeId>,
    pub(super) transfers_to: Option<NodeId>,
    pub(super) commit: u64,
    /// The configuration of what is committed.
    pub(super) members: Members,
    pub(super) last: Place,
    /// The log, as far as it is kept.
    pub(super) log: Vec<(Place, Carries)>,
    /// The reads that were confirmed since the last look, and the index that each must see.
    pub(super) reads: BTreeMap<u64, u64>,
    /// The reads that were taken in, and neither confirmed nor given up.
    pub(super) open_reads: BTreeSet<u64>,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Parcel<M> {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) message: M,
}

/// A server of one of the implementations, with the driver around it.
pub(super) trait Party: Sized {
    type Message: Clone;

    /// A server that starts with an empty disk, in a cluster that began with `genesis` as its voters; it need not be one of them.
    fn start(id: NodeId, settings: Settings, genesis: &[NodeId]) -> Self;

    /// Dies and starts again; what its disk was still writing is lost, or has `landed`.
    fn crash(self, landed: bool) -> Self;

    /// Whether a message asks for votes or gives them.
    fn is_of_election(message: &Self::Message) -> bool;

    fn step(&mut self, parcel: Parcel<Self::Message>);

    /// Does what the core asks for. A slow disk takes writes in and completes none.
    fn pump(&mut self, slow_disk: bool) -> Vec<Parcel<Self::Message>>;

    fn election_timeout(&mut self);
    fn leader_silent(&mut self);
    /// A leader beats, and whoever has reads that were not answered asks about them once more.
    fn heartbeat_timeout(&mut self);
    fn quorum_check(&mut self);
    fn unreachable(&mut self, node: NodeId);
    /// Tells a leader that every snapshot that it waits for was lost.
    fn snapshots_are_lost(&mut self);

    /// Takes a command in; where it stands then, if it does.
    fn propose(&mut self, command: u8) -> Option<Place>;
    fn change(&mut self, changes: &[Change]) -> Option<Place>;
    /// Whether a transfer was begun, or was under way to the same server already.
    fn transfer(&mut self, to: NodeId) -> bool;
    /// Whether a read was taken in: by a leader, or by a follower that hears one.
    fn read(&mut self, token: u64) -> bool;
    /// Makes a snapshot of what is applied, and drops that from the log.
    fn compact(&mut self);

    /// The end of its log.
    fn last(&self) -> Place;

    /// What it knows to be committed.
    fn commit(&self) -> u64;

    /// Its role and term.
    fn standing(&self) -> (RoleKind, u64);

    /// Everything that is compared.
    fn view(&mut self) -> View;
}
