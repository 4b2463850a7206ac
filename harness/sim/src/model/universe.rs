//! Everything that occurs in a world, each thing once, and what leads to what.
//!
//! A world has millions of states, but its servers are in few: a state is a handful of numbers, and what stands behind a number is kept
//! here. The production core is run once for each *different* server and input, and what came of it is looked up from then on. That is sound
//! because the core is deterministic and all of its state takes part in its comparison.
//!
//! Numbers are given in the order in which things occur: they are the same in every run with one thread, and only there.

use super::ghost::{Ghost, disagreement};
use super::marks::marks;
use super::naming::Permutation;
use super::reach::Reach;
use super::server::{Effects, Input, Server};
use super::table::Table;
use super::worlds::World;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Slot;
use raft::{Envelope, Message, NodeId, Permute, RoleKind, Term};
use rustc_hash::FxBuildHasher;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// A server in one of its states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ServerKey(pub(super) u32);

/// A message, with what is asked of it most often: its number in the upper bits, and its receiver, sender and rank in the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MessageKey(pub(super) u32);

/// A state of the observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GhostKey(pub(super) u32);

impl MessageKey {
    const PLACE_BITS: u32 = 3;
    const LOWER_BITS: u32 = 2 * Self::PLACE_BITS;

    fn new(number: u32, envelope: &Envelope<u8>) -> MessageKey {
        let place = |id: NodeId| u32::try_from(id.0 - 1).expect("ids are small");
        let (from, to) = (place(envelope.from), place(envelope.to));
        assert!(
            number < 1 << (u32::BITS - Self::LOWER_BITS) && from.max(to) < 1 << Self::PLACE_BITS,
            "a world has too many messages or servers"
        );
        MessageKey(number << Self::LOWER_BITS | from << Self::PLACE_BITS | to)
    }

    fn number(self) -> u32 {
        self.0 >> Self::LOWER_BITS
    }

    /// The place of its receiver.
    pub(super) fn to(self) -> usize {
        (self.0 & ((1 << Self::PLACE_BITS) - 1)) as usize
    }

    /// The place of its sender.
    pub(super) fn from(self) -> usize {
        (self.0 >> Self::PLACE_BITS & ((1 << Self::PLACE_BITS) - 1)) as usize
    }
}

/// When a message can change nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// An answer to a leader: when its receiver does not lead this term, and never will.
    ToLeader,
    /// An answer to a candidate: the same.
    ToCandidate,
    /// A request: when its receiver has a later term, durably; the answer, which tells that term, is put in its place.
    Request,
    /// The same, without an answer.
    Order,
    /// An answer outside of the terms: when its receiver has a term, durably, that leaves nothing to be learned.
    Answer,
}

pub(super) struct MessageRecord {
    pub(super) envelope: Arc<Envelope<u8>>,
    pub(super) expiry: Expiry,
    /// The term on which that depends.
    pub(super) term: Term,
    images: Box<[OnceLock<MessageKey>]>,
}

pub(super) struct ServerRecord {
    pub(super) server: Server,
    /// What is asked of it most often.
    pub(super) term: Term,
    pub(super) durable_term: Term,
    pub(super) role: RoleKind,
    /// The same for a server and what it becomes by exchanging ids.
    pub(super) shape: u64,
    images: Box<[OnceLock<ServerKey>]>,
}

pub(super) struct GhostRecord {
    pub(super) ghost: Ghost,
    images: Box<[OnceLock<GhostKey>]>,
}

/// What an input leads to at a server.
pub(super) struct Outcome {
    pub(super) server: ServerKey,
    pub(super) sent: Box<[MessageKey]>,
    /// Whether a client's request was taken in.
    pub(super) taken_in: bool,
    /// Whether the server is inside of the world's bounds.
    pub(super) inside: bool,
    /// Whether the observer has to look.
    concerns_ghost: bool,
    /// Whether the other servers have to be compared with this one.
    pub(super) concerns_others: bool,
    /// What happened that the world wants to see.
    pub(super) marks: u64,
    input: Input,
    effects: Effects,
}

/// Everything that occurs in a world.
pub(super) struct Universe {
    pub(super) world: World,
    /// The exchanges of ids that change nothing in the world; the first one is none.
    pub(super) group: Vec<Permutation>,
    /// Whether messages that can change nothing any more are taken away.
    pub(super) forgets: bool,
    /// What happened in some step, a bit each.
    happened: AtomicU64,
    servers: Table<ServerRecord>,
    server_keys: DashMap<Server, ServerKey, FxBuildHasher>,
    messages: Table<MessageRecord>,
    message_keys: DashMap<Arc<Envelope<u8>>, MessageKey, FxBuildHasher>,
    ghosts: Table<GhostRecord>,
    ghost_keys: DashMap<Ghost, GhostKey, FxBuildHasher>,
    outcomes: Table<Outcome>,
    /// By server and input.
    outcome_keys: DashMap<(u32, u32), u32, FxBuildHasher>,
    /// By observer and outcome.
    ghost_steps: DashMap<(u32, u32), GhostKey, FxBuildHasher>,
    /// By two servers: what they disagree on.
    pairs: DashMap<(u32, u32), Option<Arc<str>>, FxBuildHasher>,
}

impl Universe {
    pub(super) fn new(world: World) -> Universe {
        Universe {
            group: world.group(),
            forgets: world.forgets_stale_messages(),
            happened: AtomicU64::new(0),
            world,
            servers: Table::new(),
            server_keys: DashMap::default(),
            messages: Table::new(),
            message_keys: DashMap::default(),
            ghosts: Table::new(),
            ghost_keys: DashMap::default(),
            outcomes: Table::new(),
            outcome_keys: DashMap::default(),
            ghost_steps: DashMap::default(),
            pairs: DashMap::default(),
        }
    }

    pub(super) fn server(&self, key: ServerKey) -> &ServerRecord {
        self.servers.get(key.0)
    }

    pub(super) fn message(&self, key: MessageKey) -> &MessageRecord {
        self.messages.get(key.number())
    }

    pub(super) fn ghost(&self, key: GhostKey) -> &Ghost {
        &self.ghosts.get(key.0).ghost
    }

    pub(super) fn outcome(&self, number: u32) -> &Outcome {
        self.outcomes.get(number)
    }

    /// Notes what a step was an instance of. (A step that changes nothing leads to no state that would show it.)
    pub(super) fn note(&self, marks: u64) {
        if marks & !self.happened.load(Ordering::Relaxed) != 0 {
            self.happened.fetch_or(marks, Ordering::Relaxed);
        }
    }

    /// Whether it happened in some step.
    pub(super) fn has_happened(&self, reach: Reach) -> bool {
        self.happened.load(Ordering::Relaxed) & reach.bit() != 0
    }

    fn no_images<T>(&self) -> Box<[OnceLock<T>]> {
        self.group.iter().map(|_| OnceLock::new()).collect()
    }

    pub(super) fn server_key(&self, server: Server) -> ServerKey {
        if let Some(key) = self.server_keys.get(&server) {
            return *key;
        }
        match self.server_keys.entry(server) {
            Slot::Occupied(slot) => *slot.get(),
            Slot::Vacant(slot) => {
                let server = slot.key().clone();
                let key = ServerKey(self.servers.push(ServerRecord {
                    term: server.raft.term(),
                    durable_term: server.durable_term(),
                    role: server.raft.role(),
                    shape: shape(&server),
                    server,
                    images: self.no_images(),
                }));
                slot.insert(key);
                key
            }
        }
    }

    pub(super) fn message_key(&self, envelope: Envelope<u8>) -> MessageKey {
        match self.message_keys.entry(Arc::new(envelope)) {
            Slot::Occupied(slot) => *slot.get(),
            Slot::Vacant(slot) => {
                let envelope = Arc::clone(slot.key());
                let (expiry, term) = expiry(&envelope);
                let number = self.messages.push(MessageRecord {
                    envelope: Arc::clone(&envelope),
                    expiry,
                    term,
                    images: self.no_images(),
                });
                let key = MessageKey::new(number, &envelope);
                slot.insert(key);
                key
            }
        }
    }

    pub(super) fn ghost_key(&self, ghost: Ghost) -> GhostKey {
        match self.ghost_keys.entry(ghost) {
            Slot::Occupied(slot) => *slot.get(),
            Slot::Vacant(slot) => {
                let ghost = slot.key().clone();
                let images = self.no_images();
                let key = GhostKey(self.ghosts.push(GhostRecord { ghost, images }));
                slot.insert(key);
                key
            }
        }
    }

    /// What becomes of a server by the exchange of ids of this number.
    pub(super) fn server_image(&self, key: ServerKey, exchange: usize) -> ServerKey {
        let record = self.server(key);
        *record.images[exchange].get_or_init(|| self.server_key(record.server.permute(&self.group[exchange])))
    }

    /// What becomes of a message.
    pub(super) fn message_image(&self, key: MessageKey, exchange: usize) -> MessageKey {
        let record = self.message(key);
        *record.images[exchange]
            .get_or_init(|| self.message_key(Envelope::permute(&record.envelope, &self.group[exchange])))
    }

    /// What becomes of the observer.
    pub(super) fn ghost_image(&self, key: GhostKey, exchange: usize) -> GhostKey {
        let record = self.ghosts.get(key.0);
        *record.images[exchange].get_or_init(|| self.ghost_key(record.ghost.permute(&self.group[exchange])))
    }

    /// What an input leads to. `code` names it among those of this server.
    pub(super) fn outcome_of(&self, server: ServerKey, code: u32, input: impl FnOnce() -> Input) -> u32 {
        if let Some(number) = self.outcome_keys.get(&(server.0, code)) {
            return *number;
        }
        let outcome = self.run(server, input());
        match self.outcome_keys.entry((server.0, code)) {
            // Another thread was faster.
            Slot::Occupied(slot) => *slot.get(),
            Slot::Vacant(slot) => *slot.insert(self.outcomes.push(outcome)),
        }
    }

    fn run(&self, key: ServerKey, input: Input) -> Outcome {
        let before = &self.server(key).server;
        let mut server = before.clone();
        let effects = server.take(&self.world, &input);
        let sent = effects.sent.iter().cloned();
        let sent = sent.map(|envelope| self.message_key(envelope)).collect();
        let rounds = server.raft.latest_round().map_or(0, |round| round.number);
        let inside = server.raft.term().0 <= self.world.term_max
            && server.raft.last().index.0 <= self.world.log_max
            && rounds <= self.world.rounds_max;
        let log_changed = before.raft.last() != server.raft.last()
            || before.raft.first_index() != server.raft.first_index()
            || before.raft.storage() != server.raft.storage();
        let leads_anew = server.leads() && (!before.leads() || before.raft.term() != server.raft.term());
        let commit_changed = before.raft.commit_index() != server.raft.commit_index();
        let asked = effects.taken_in.is_some() && !matches!(input, Input::Change(_) | Input::Transfer(_));
        Outcome {
            taken_in: effects.taken_in.is_some(),
            inside,
            concerns_ghost: effects.accusation.is_some()
                || asked
                || leads_anew
                || commit_changed
                || matches!(input, Input::Crash | Input::Wipe)
                || before.raft.first_index() != server.raft.first_index()
                || !effects.applied.is_empty()
                || !effects.reads.is_empty(),
            concerns_others: effects.accusation.is_none()
                && (log_changed || before.raft.progress() != server.raft.progress()),
            marks: marks(self.world.reaches, before, &server, &input, &effects),
            server: self.server_key(server),
            sent,
            input,
            effects,
        }
    }

    /// The observer after an outcome.
    pub(super) fn ghost_after(&self, ghost: GhostKey, number: u32) -> GhostKey {
        let outcome = self.outcome(number);
        if !outcome.concerns_ghost {
            return ghost;
        }
        if let Some(after) = self.ghost_steps.get(&(ghost.0, number)) {
            return *after;
        }
        let mut after = self.ghost(ghost).clone();
        after.see(
            &self.server(outcome.server).server,
            &outcome.input,
            &outcome.effects,
        );
        let after = self.ghost_key(after);
        self.ghost_steps.insert((ghost.0, number), after);
        after
    }

    /// The observer, when `servers` were compared with the one at `place`.
    pub(super) fn ghost_compares(&self, ghost: GhostKey, servers: &[ServerKey], place: usize) -> GhostKey {
        let this = servers[place];
        for other in servers.iter().filter(|other| **other != this) {
            let pair = (this.0.min(other.0), this.0.max(other.0));
            let known = self.pairs.get(&pair).map(|known| known.clone());
            let known = known.unwrap_or_else(|| {
                let (one, other) = (
                    &self.server(ServerKey(pair.0)).server,
                    &self.server(ServerKey(pair.1)).server,
                );
                let found: Option<Arc<str>> = disagreement(one, other).map(Into::into);
                self.pairs.insert(pair, found.clone());
                found
            });
            if let Some(accusation) = known {
                let mut accusing = self.ghost(ghost).clone();
                accusing.accuse(accusation.to_string());
                return self.ghost_key(accusing);
            }
        }
        ghost
    }
}

/// When a message can change nothing any more, and the term on which that depends.
fn expiry(envelope: &Envelope<u8>) -> (Expiry, Term) {
    match &envelope.message {
        Message::VoteResponse { .. } => (Expiry::ToCandidate, envelope.term),
        Message::AppendAccepted { .. }
        | Message::AppendRejected { .. }
        | Message::HeartbeatResponse { .. }
        | Message::ReadIndex { .. } => (Expiry::ToLeader, envelope.term),
        // A pre-vote asks for the term after its sender's, and is refused by who has that.
        Message::PreVote { .. }
        | Message::Vote { .. }
        | Message::Append { .. }
        | Message::Heartbeat { .. }
        | Message::Snapshot { .. } => (Expiry::Request, envelope.term),
        Message::PreVoteResponse {
            next_term,
            granted: true,
        } => (Expiry::Answer, *next_term),
        Message::PreVoteResponse {
            next_term,
            granted: false,
        } => (Expiry::Answer, *next_term.max(&envelope.term)),
        Message::TimeoutNow | Message::ReadIndexResponse { .. } => (Expiry::Order, envelope.term),
    }
}

/// Something that exchanging ids does not change, and that tells most servers apart.
fn shape(server: &Server) -> u64 {
    let raft = &server.raft;
    let mut hasher = DefaultHasher::new();
    (raft.term(), server.durable_term(), raft.role(), raft.last()).hash(&mut hasher);
    (raft.commit_index(), raft.applied_index(), raft.stable_index()).hash(&mut hasher);
    (raft.first_index(), server.writing.len()).hash(&mut hasher);
    (raft.vote().map(|vote| vote == server.id)).hash(&mut hasher);
    (raft.leader().map(|leader| leader == server.id)).hash(&mut hasher);
    for index in (raft.first_index().0..=raft.last().index.0).map(raft::Index) {
        raft.log_term(index).hash(&mut hasher);
    }
    hasher.finish()
}
