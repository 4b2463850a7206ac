//! The state of a world, and its steps.

use super::action::{Action, Left, id};
use super::clock::{APART_MAX, Clock};
use super::opening::beginning;
use super::symmetry::canonical;
use super::universe::{Expiry, GhostKey, MessageKey, ServerKey, Universe};
use raft::{Envelope, Message, RoleKind};

/// The most servers in a world.
pub(super) const SERVERS_MAX: usize = 5;

/// What stands in the places of servers that a world does not have.
const NOBODY: ServerKey = ServerKey(u32::MAX);

/// A state of a world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    servers: [ServerKey; SERVERS_MAX],
    /// Every message that was ever sent and may still change something, sorted.
    pub(super) network: Vec<MessageKey>,
    pub(super) ghost: GhostKey,
    pub(super) left: Left,
    /// What the world wants to see and the last step was, a bit each.
    pub(super) marks: u64,
}

impl State {
    /// The beginning, in its canonical form, and by which exchange of ids.
    pub(super) fn new(universe: &Universe) -> (State, usize) {
        let world = &universe.world;
        let (begun, ghost, flight) = beginning(world);
        let mut servers = [NOBODY; SERVERS_MAX];
        for (place, server) in servers.iter_mut().zip(begun) {
            *place = universe.server_key(server);
        }
        let mut network: Vec<MessageKey> = flight
            .into_iter()
            .map(|envelope| universe.message_key(envelope))
            .collect();
        network.sort_unstable();
        network.dedup();
        let state = State {
            servers,
            network,
            ghost: universe.ghost_key(ghost),
            left: Left {
                proposals: world.proposals,
                crashes: world.crashes,
                reads: world.reads,
                compactions: world.compactions,
                transfers: world.transfers,
                wipes: world.wipes,
                changes: u8::try_from((1_u32 << world.changes.len()) - 1)
                    .expect("a world has up to 8 changes"),
            },
            marks: 0,
        };
        canonical(universe, state)
    }

    /// Who there is, by place.
    pub(super) fn servers(&self) -> &[ServerKey] {
        let count = self.servers.iter().take_while(|key| **key != NOBODY).count();
        &self.servers[..count]
    }

    pub(super) fn is_broken(&self, universe: &Universe) -> bool {
        universe.ghost(self.ghost).violation.is_some()
    }

    pub(super) fn actions(&self, universe: &Universe, actions: &mut Vec<Action>) {
        if self.is_broken(universe) {
            return;
        }
        let (world, left) = (&universe.world, &self.left);
        for (place, key) in (0..).zip(self.servers()) {
            let record = universe.server(*key);
            if record.role == RoleKind::Leader {
                self.leader_actions(universe, place, actions);
            } else if record.server.clock.may_be_silent() {
                if record.term.0 < world.term_max && place < world.candidates {
                    actions.push(Action::Timeout(place));
                }
                if world.check_quorum {
                    actions.push(Action::Silent(place));
                }
            }
            if world.has_leases() && self.clock_may_go_on(universe, &record.server.clock) {
                actions.push(Action::Tick(place));
            }
            if left.proposals > 0 {
                actions.push(Action::Propose(place));
            }
            if left.reads > 0 && !world.has_leases() {
                actions.push(Action::Read(place));
            } else if left.reads > 0 && record.server.clock.lease_runs(&record.server.raft) {
                actions.push(Action::LeaseRead(place));
            }
            if left.compactions > 0 && record.server.can_compact() {
                actions.push(Action::Compact(place));
            }
            if !record.server.writing.is_empty() {
                actions.push(Action::Persist(place));
            }
            if left.crashes > 0 {
                actions.push(Action::Crash(place));
            }
            if left.wipes > 0 {
                actions.push(Action::Wipe(place));
            }
        }
        actions.extend(self.network.iter().copied().map(Action::Deliver));
    }

    /// Clocks run apart no further than they may, and to the world's bound.
    fn clock_may_go_on(&self, universe: &Universe, clock: &Clock) -> bool {
        let others = self
            .servers()
            .iter()
            .map(|other| universe.server(*other).server.clock.now());
        let slowest = others.min().expect("a world has servers");
        clock.now() < universe.world.ticks_max && clock.now() < slowest + APART_MAX
    }

    fn leader_actions(&self, universe: &Universe, place: u8, actions: &mut Vec<Action>) {
        let (world, left) = (&universe.world, &self.left);
        let server = &universe.server(self.servers[usize::from(place)]).server;
        if world.heartbeats {
            actions.push(Action::Heartbeat(place));
        }
        // A leader that stays one has its lease for longest.
        if (world.check_quorum && !world.has_leases()) || world.transfers > 0 {
            actions.push(Action::QuorumCheck(place));
        }
        for (which, change) in (0..).zip(world.changes) {
            if left.changes & 1 << which != 0 && id(place).0 == change.by {
                actions.push(Action::Change(place, which));
            }
        }
        if left.transfers > 0 {
            let others = (0..world.servers).filter(|other| *other != place);
            actions.extend(others.map(|other| Action::Transfer(place, other)));
        }
        for to in server.snapshots_on_their_way() {
            let to = u8::try_from(to.0 - 1).expect("ids are small");
            actions.push(Action::SnapshotLost(place, to));
        }
    }

    /// The state after `action`, in its canonical form, and which exchange of ids led to that; `None` where the step changes nothing
    /// or leaves the world's bounds.
    pub(super) fn after(&self, universe: &Universe, action: Action) -> Option<(State, usize)> {
        let place = action.server();
        let number = universe.outcome_of(self.servers[place], action.code(self.left), || {
            action.input(universe, self.left)
        });
        let outcome = universe.outcome(number);
        if !outcome.inside {
            return None;
        }
        universe.note(outcome.marks);
        let ghost = universe.ghost_after(self.ghost, number);
        let left = self.left_after(action, outcome.taken_in);
        let sent = outcome
            .sent
            .iter()
            .filter(|sent| self.network.binary_search(sent).is_err());
        let sent_new = sent.clone().next().is_some();
        if outcome.server == self.servers[place] && !sent_new && ghost == self.ghost && left == self.left {
            return None;
        }
        let mut network = Vec::with_capacity(self.network.len() + outcome.sent.len());
        network.extend_from_slice(&self.network);
        if matches!(action, Action::Wipe(_)) {
            // Its connections end with it, and what was on them.
            network.retain(|message| message.from() != place && message.to() != place);
        }
        if sent_new {
            network.extend(sent.copied());
            network.sort_unstable();
            network.dedup();
        }
        let mut next = State {
            servers: self.servers,
            network,
            ghost,
            left,
            marks: outcome.marks,
        };
        next.servers[place] = outcome.server;
        if outcome.concerns_others {
            next.ghost = universe.ghost_compares(next.ghost, next.servers(), place);
        }
        if universe.forgets {
            next.forget_stale_messages(universe, place, self.servers[place]);
        }
        Some(canonical(universe, next))
    }

    fn left_after(&self, action: Action, taken_in: bool) -> Left {
        let mut left = self.left;
        let once = u8::from(taken_in);
        match action {
            Action::Crash(_) => left.crashes -= 1,
            Action::Wipe(_) => left.wipes -= 1,
            Action::Propose(_) => left.proposals -= once,
            Action::Read(_) | Action::LeaseRead(_) => left.reads -= once,
            Action::Compact(_) => left.compactions -= once,
            Action::Transfer(..) => left.transfers -= once,
            Action::Change(_, which) => left.changes &= !(once << which),
            Action::Timeout(_)
            | Action::Silent(_)
            | Action::Heartbeat(_)
            | Action::QuorumCheck(_)
            | Action::Deliver(_)
            | Action::Persist(_)
            | Action::Tick(_)
            | Action::SnapshotLost(..) => {}
        }
        left
    }

    /// Takes away messages that can change nothing any more, whatever happens: states that differ only in those are one.
    ///
    /// A server never goes back behind its durable term. So an answer of an older term is dropped for ever, and a request of an older
    /// term is only answered with the newer one: that answer is put in its place. Within its durable term a server neither stands
    /// nor leads again once it does not.
    /// The server at `place` has taken a step, from `before`.
    fn forget_stale_messages(&mut self, universe: &Universe, place: usize, before: ServerKey) {
        let servers = self.servers;
        let standing = |key: ServerKey| {
            let record = universe.server(key);
            (record.term, record.durable_term, record.role)
        };
        let moved = standing(before) != standing(servers[place]);
        let mut told: Vec<(usize, usize)> = Vec::new();
        self.network.retain(|key| {
            // What was sent to others is as it was, and so is what is on its way to this one if it stands as it did.
            if key.from() != place && !(moved && key.to() == place) {
                return true;
            }
            let message = universe.message(*key);
            let receiver = universe.server(servers[key.to()]);
            let (term, durable) = (message.term, receiver.durable_term);
            let awaited =
                |role| term > durable || (term == durable && receiver.term == term && receiver.role == role);
            match message.expiry {
                Expiry::ToLeader => awaited(RoleKind::Leader),
                Expiry::ToCandidate => awaited(RoleKind::Candidate),
                Expiry::Answer => term > durable,
                Expiry::Order => term >= durable,
                Expiry::Request => {
                    let stale = term < durable;
                    if stale && universe.server(servers[key.from()]).durable_term < durable {
                        told.push((key.to(), key.from()));
                    }
                    !stale
                }
            }
        });
        for (from, to) in told {
            let place = |place: usize| id(u8::try_from(place).expect("places are small"));
            let message = universe.message_key(Envelope {
                from: place(from),
                to: place(to),
                term: universe.server(servers[from]).durable_term,
                message: Message::HeartbeatResponse { round: 0 },
            });
            if let Err(at) = self.network.binary_search(&message) {
                self.network.insert(at, message);
            }
        }
    }

    /// The same state with other servers, messages and observer in it.
    pub(super) fn with(
        &self,
        servers: [ServerKey; SERVERS_MAX],
        network: Vec<MessageKey>,
        ghost: GhostKey,
    ) -> State {
        State {
            servers,
            network,
            ghost,
            left: self.left,
            marks: self.marks,
        }
    }

    /// By what states with the same servers, but for their names, are compared.
    pub(super) fn sort_key(&self) -> ([ServerKey; SERVERS_MAX], &[MessageKey], GhostKey) {
        (self.servers, &self.network, self.ghost)
    }

    pub(super) fn places(&self) -> [ServerKey; SERVERS_MAX] {
        self.servers
    }
}
