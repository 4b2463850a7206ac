//! The state of a world, and its steps.

use super::action::Action;
use super::ghost::Ghost;
use super::worlds::World;
use raft::{
    Entry, Envelope, Index, MemoryStorage, Message, NodeId, Raft, ReadToken, Ready, RoleKind, Write, WriteId,
};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Tokens of a server's reads: its id times this, and a count.
const TOKENS_PER_SERVER: u64 = 1 << 16;

/// One server: the production core, and what its disk is doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// The core, over what is durable.
    pub raft: Raft<MemoryStorage<u8>>,
    /// Writes that were handed out and are not durable.
    pub writing: VecDeque<Write<u8>>,
}

impl Server {
    /// The entry at `index` in this server's log.
    pub fn entry(&self, index: Index) -> Option<Entry<u8>> {
        self.raft.entry(index)
    }
}

/// What may still be done in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub(super) proposals: u8,
    pub(super) crashes: u8,
    pub(super) reads: u8,
}

/// A state of a world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// By id, from 1.
    pub servers: Vec<Arc<Server>>,
    /// Every message that was ever sent, sorted.
    pub network: Vec<Arc<Envelope<u8>>>,
    /// The observer.
    pub ghost: Ghost,
    pub(super) left: Left,
}

impl State {
    pub(super) fn new(world: &World) -> State {
        let ids: Vec<NodeId> = (1..=u64::from(world.servers)).map(NodeId).collect();
        let server = |id: &NodeId| {
            let raft = Raft::new(world.config(*id), MemoryStorage::new(ids.iter().copied()));
            Arc::new(Server {
                raft: raft.expect("a world's settings can work"),
                writing: VecDeque::new(),
            })
        };
        State {
            servers: ids.iter().map(server).collect(),
            network: Vec::new(),
            ghost: Ghost::default(),
            left: Left {
                proposals: world.proposals,
                crashes: world.crashes,
                reads: world.reads,
            },
        }
    }

    pub(super) fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if self.ghost.violation.is_some() {
            return;
        }
        for server in &self.servers {
            let (raft, id) = (&server.raft, server.raft.id());
            if raft.role() == RoleKind::Leader {
                if world.heartbeats {
                    actions.push(Action::Heartbeat(id));
                }
                if world.check_quorum {
                    actions.push(Action::QuorumCheck(id));
                }
                if self.left.proposals > 0 {
                    actions.push(Action::Propose(id));
                }
                if self.left.reads > 0 {
                    actions.push(Action::Read(id));
                }
            } else {
                if raft.term().0 < world.term_max && id.0 <= u64::from(world.candidates) {
                    actions.push(Action::Timeout(id));
                }
                if world.check_quorum {
                    actions.push(Action::Silent(id));
                }
            }
            if !server.writing.is_empty() {
                actions.push(Action::Persist(id));
            }
            if self.left.crashes > 0 {
                actions.push(Action::Crash(id));
            }
        }
        actions.extend(
            self.network
                .iter()
                .map(|envelope| Action::Deliver(Arc::clone(envelope))),
        );
    }

    /// The state after `action`; `None` where that changes nothing or leaves the world's bounds.
    pub(super) fn after(&self, world: &World, action: &Action) -> Option<State> {
        let mut next = self.clone();
        let place = next.place(match action {
            Action::Timeout(id)
            | Action::Silent(id)
            | Action::Heartbeat(id)
            | Action::QuorumCheck(id)
            | Action::Persist(id)
            | Action::Crash(id)
            | Action::Propose(id)
            | Action::Read(id) => *id,
            Action::Deliver(envelope) => envelope.to,
        });
        let mut server = Server::clone(&next.servers[place]);
        let stepped = catch_unwind(AssertUnwindSafe(|| next.step(world, &mut server, action)));
        match stepped {
            Ok(()) => {}
            Err(panic) => {
                let words = panic.downcast_ref::<String>().cloned();
                let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
                next.ghost.accuse(format!(
                    "panic: {}",
                    words.unwrap_or_else(|| "without words".to_owned())
                ));
            }
        }
        let inside = server.raft.term().0 <= world.term_max && server.raft.last().index.0 <= world.log_max;
        next.servers[place] = Arc::new(server);
        next.forget_stale_messages();
        (inside && next != *self).then_some(next)
    }

    fn place(&self, id: NodeId) -> usize {
        usize::try_from(id.0 - 1)
            .ok()
            .filter(|place| *place < self.servers.len())
            .expect("servers have ids from 1")
    }

    fn step(&mut self, world: &World, server: &mut Server, action: &Action) {
        match action {
            Action::Timeout(_) => server.raft.election_timeout(),
            Action::Silent(_) => server.raft.leader_silent(),
            Action::Heartbeat(_) => server.raft.heartbeat_timeout(),
            Action::QuorumCheck(_) => server.raft.quorum_check(),
            Action::Deliver(envelope) => server.raft.step(Envelope::clone(envelope)),
            Action::Persist(_) => self.persist(server),
            Action::Crash(id) => self.crash(world, server, *id),
            Action::Propose(_) => {
                // Each command is told from the others by what was left to propose.
                if server.raft.propose(self.left.proposals).is_ok() {
                    self.left.proposals -= 1;
                }
            }
            Action::Read(id) => {
                let token = ReadToken(id.0 * TOKENS_PER_SERVER + u64::from(self.left.reads));
                if server.raft.read_index(token).is_ok() {
                    self.left.reads -= 1;
                    self.ghost.asked(token);
                }
            }
        }
        self.carry_out(world, server);
        self.ghost.look(server);
    }

    /// Does what the core asks for, until it asks for nothing more.
    fn carry_out(&mut self, world: &World, server: &mut Server) {
        while server.raft.has_ready() {
            let Ready {
                messages,
                write,
                committed,
                reads,
            } = server.raft.ready(WriteId(0));
            for envelope in messages {
                self.ghost.sent(server, &envelope);
                self.send(envelope);
            }
            if let Some(write) = write {
                server.writing.push_back(write);
                if !world.writes_take_time {
                    self.persist(server);
                }
            }
            if let Some(last) = committed.last() {
                server.raft.applied(last.index);
                self.ghost.applied(server, &committed);
            }
            for outcome in reads {
                self.ghost.decided(server.raft.id(), outcome);
            }
        }
    }

    fn send(&mut self, envelope: Envelope<u8>) {
        if let Err(place) = self.network.binary_search_by(|known| (**known).cmp(&envelope)) {
            self.network.insert(place, Arc::new(envelope));
        }
    }

    /// Takes away messages that can change nothing any more, whatever happens: states that differ only in those are one.
    ///
    /// A server never goes back behind its durable term. So an answer of an older term is dropped for ever, and a request of an older
    /// term is only answered with the newer one: that answer is put in its place. Within its durable term a server neither stands
    /// nor leads again once it does not.
    fn forget_stale_messages(&mut self) {
        let mut told = Vec::new();
        let servers = &self.servers;
        let server = |id: NodeId| &servers[usize::try_from(id.0 - 1).expect("ids are small")];
        self.network.retain(|envelope| {
            let receiver = server(envelope.to);
            let durable = receiver.raft.storage().hard_state().term;
            let is_answer = match &envelope.message {
                Message::VoteResponse { .. }
                | Message::AppendAccepted { .. }
                | Message::AppendRejected { .. }
                | Message::HeartbeatResponse { .. } => true,
                Message::Vote { .. } | Message::Append { .. } | Message::Heartbeat { .. } => false,
                // No world has these yet.
                Message::Snapshot { .. } | Message::TimeoutNow => return true,
                // Pre-votes are outside of the terms.
                Message::PreVote { .. } | Message::PreVoteResponse { .. } => return true,
            };
            if is_answer {
                let awaited = receiver.raft.term() == envelope.term
                    && match (receiver.raft.role(), &envelope.message) {
                        (RoleKind::Candidate, Message::VoteResponse { .. }) => true,
                        (RoleKind::Leader, message) => !matches!(message, Message::VoteResponse { .. }),
                        (RoleKind::Follower | RoleKind::PreCandidate | RoleKind::Candidate, _) => false,
                    };
                return envelope.term > durable || (envelope.term == durable && awaited);
            }
            let stale = envelope.term < durable;
            if stale && server(envelope.from).raft.storage().hard_state().term < durable {
                let message = Message::HeartbeatResponse { round: 0 };
                told.push(Envelope {
                    from: envelope.to,
                    to: envelope.from,
                    term: durable,
                    message,
                });
            }
            !stale
        });
        for envelope in told {
            self.send(envelope);
        }
    }

    fn persist(&self, server: &mut Server) {
        if let Some(write) = server.writing.pop_front() {
            server.raft.storage_mut().apply(&write);
            server.raft.persisted(write.id);
        }
    }

    fn crash(&mut self, world: &World, server: &mut Server, id: NodeId) {
        self.left.crashes -= 1;
        self.ghost.lost_a_write |= !server.writing.is_empty();
        self.ghost
            .forget_reads(|token| token.0 / TOKENS_PER_SERVER == id.0);
        let durable = server.raft.storage().clone();
        let raft = Raft::new(world.config(id), durable).expect("a world's settings can work");
        *server = Server {
            raft,
            writing: VecDeque::new(),
        };
    }
}
