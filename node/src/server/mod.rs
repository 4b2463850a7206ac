//! The loop: see the crate's documentation for its shape.

mod accept;
mod awake;
mod clients;
mod clock;
mod founding;
mod gathering;
mod handshake;
mod inbox;
mod metrics;
mod peers;
mod places;
mod request;
mod scrape;
mod shared;
mod stages;
mod status;

use crate::cli::Address;
use crate::connection::{FRAMES_BYTES_MAX, Room, Times};
use crate::disk::{DataFolder, DiskAccount};
use crate::logging::{EventCounts, EventLog};
use awake::Awake;
use clients::{Answer, Client, Told};
use founding::Founding;
use gathering::Gathering;
use handshake::Membership;
use inbox::{Inbox, Input};
use metrics::Metrics;
use peers::Peers;
pub(crate) use places::Capacity;
use places::Places;
use raft::{Index, Logger, NodeId, RoleKind, Term};
use replica::{Disk, Fatal, Outbox, Refusal, Replica, Ticket};
use request::Task;
use rustc_hash::FxHashMap;
use shared::Shared;
use stages::{Stages, Turn};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use wire::client::{Error, Leader, Reply, Response, Stage};

/// How often the replica's wheel is turned before anybody else has a turn. It stands still after a few turns, but for a node that has
/// much to apply: one that starts again applies all of its log.
const WHEEL_TURNS_MAX: usize = 8;

/// How many of the things that came in are taken in before the wheel is turned, and others have a turn.
const TAKEN_IN_MAX: usize = 4096;

/// What the server is given.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) id: NodeId,
    pub(crate) cluster_id: String,
    /// Where other nodes reach this one, as far as it was told.
    pub(crate) address: String,
    /// Where other nodes are reached, whatever the configuration says.
    pub(crate) fixed_peers: BTreeMap<NodeId, Address>,
    pub(crate) client_address: String,
    pub(crate) tick: Duration,
    pub(crate) replica: Replica<DataFolder, EventLog>,
    /// The account of the replica's disk.
    pub(crate) disk_account: DiskAccount,
    /// Told when what was begun to be written to the disk is over.
    pub(crate) written: Arc<Notify>,
    /// How long to look whether something comes before the thread sleeps, if the node was told.
    pub(crate) spin: Option<Duration>,
    /// What the replica's log of events counts.
    pub(crate) events: EventCounts,
    pub(crate) listener: TcpListener,
    /// How many connections are taken.
    pub(crate) capacity: Capacity,
    /// Where monitoring systems ask, if anywhere.
    pub(crate) metrics: Option<TcpListener>,
}

/// Those with whom a node that has no past is to found a cluster.
fn co_founders<D: Disk, L: Logger>(replica: &Replica<D, L>) -> BTreeSet<NodeId> {
    let raft = replica.core().raft();
    if raft.term() > Term(0) || raft.last().index > Index(0) {
        return BTreeSet::new();
    }
    let voters = raft.configuration().voters().iter().copied();
    voters.filter(|voter| *voter != raft.id()).collect()
}

/// Says whom the founding of a cluster waits for, if that takes long.
async fn say_who_is_missing(shared: Rc<Shared>) {
    tokio::time::sleep(founding::SILENCE).await;
    if let Some(others) = shared.founding.waits_for() {
        tracing::warn!(
            "the cluster is founded when all founders have met, for which {others} must be up once"
        );
    }
}

/// A node that serves.
#[derive(Debug)]
pub(crate) struct Server {
    shared: Rc<Shared>,
    replica: Replica<DataFolder, EventLog>,
    written: Arc<Notify>,
    awake: Awake,
    gathering: Gathering,
    tick: Duration,
    /// Requests that the replica has and has not answered; as many as all clients together may have in flight.
    asked: FxHashMap<Ticket, Asked>,
    last_ticket: u64,
    /// Clients that were answered since the last flush.
    answered: Vec<Rc<Client>>,
    /// What was taken out of the inbox and is not taken in yet.
    inputs: VecDeque<Input>,
    /// What the node tells all who ask in one turn.
    told: ToldOnce,
    /// Empty between turns; kept for its memory.
    out: Outbox,
    /// When the writes came that are being answered. Empty between turns; kept for its memory.
    done: Vec<Instant>,
    stages: Stages,
    events: EventCounts,
    /// How long taking in took since the last turn.
    taken_in: Duration,
}

/// What all are told who ask for it among what is taken in at once: as it was when the first of them was answered, by when all had asked. A few
/// bytes ask for kilobytes, which take a while to be counted up.
#[derive(Debug, Default)]
struct ToldOnce {
    status: Option<Told>,
    stages: Option<Told>,
    members: Option<Told>,
}

/// A request that the replica has.
#[derive(Debug)]
struct Asked {
    client: Rc<Client>,
    /// The client's name for it.
    id: u64,
    /// When it came, if it is a write.
    write_came: Option<Instant>,
}

impl Server {
    /// Begins to accept and to dial. Must be called on the runtime's thread.
    pub(crate) fn begin(parts: Parts) -> Server {
        let Parts {
            id,
            cluster_id,
            address,
            fixed_peers,
            client_address,
            tick,
            replica,
            disk_account,
            written,
            spin,
            events,
            listener,
            capacity,
            metrics,
        } = parts;
        let mut membership = Membership::new(id, cluster_id, replica.incarnation());
        membership.knows_folders = replica.knows_folders();
        let shared = Rc::new(Shared {
            founding: Founding::with(id, co_founders(&replica)),
            membership,
            client_address,
            address,
            inbox: Inbox::default(),
            encoder: RefCell::default(),
            peers: Peers::new(fixed_peers),
            clients: Places::new(capacity.clients),
            held_by_clients: Rc::default(),
            client_frames: Room::new(FRAMES_BYTES_MAX, Times::default()),
            peer_frames: Room::new(FRAMES_BYTES_MAX, Times::default()),
        });
        let accept = accept::accept(listener, Rc::clone(&shared), capacity.greetings);
        tokio::task::spawn_local(accept);
        tokio::task::spawn_local(say_who_is_missing(Rc::clone(&shared)));
        if let Some(listener) = metrics {
            tokio::task::spawn_local(scrape::listen(listener, Rc::clone(&shared)));
        }
        let mut server = Server {
            shared,
            replica,
            written,
            awake: Awake::new(spin),
            gathering: Gathering::new(spin),
            tick,
            asked: FxHashMap::default(),
            last_ticket: 0,
            answered: Vec::new(),
            inputs: VecDeque::new(),
            told: ToldOnce::default(),
            out: Outbox::default(),
            done: Vec::new(),
            stages: Stages::new(disk_account),
            events,
            taken_in: Duration::ZERO,
        };
        server.follow_configurations();
        server
    }

    /// Goes by the configurations that decide now, if those are others than before.
    fn follow_configurations(&mut self) {
        let raft = self.replica.core().raft();
        if self.shared.membership.goes_by(raft.configurations()) {
            return;
        }
        self.shared.membership.go_by(raft.configurations());
        peers::follow(&self.shared);
        let own = (self.shared.membership.id, self.shared.membership.incarnation);
        for (node, incarnation) in self.shared.peers.heard().into_iter().chain([own]) {
            self.replica.heard_of(node, incarnation);
        }
    }

    /// Serves until `stop`, or until the node can't go on.
    pub(crate) async fn run(&mut self, stop: impl Future<Output = ()>) -> Result<(), Fatal> {
        let mut stop = std::pin::pin!(stop);
        let mut ticks = tokio::time::interval(self.tick);
        // A node that was stopped for a while has heard nobody meanwhile: it must not conclude from ticks that nobody spoke.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let shared = Rc::clone(&self.shared);
        let written = Arc::clone(&self.written);
        loop {
            let awake = awake::stay(self.awake.until(!self.asked.is_empty()));
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                _ = ticks.tick() => self.tick(),
                () = shared.inbox.arrived() => {}
                () = written.notified() => self.gathering.is_urgent(),
                never = awake => match never {},
            }
            let all_taken_in = self.take_in();
            let waits = all_taken_in && self.gathering.waits(Instant::now(), self.asked.len());
            if waits || !self.turn_wheel()? || !all_taken_in {
                self.shared.inbox.poke();
                // There is always something to do then: without this, nobody would read, no timer run and no signal be heard. Others may have
                // waited long for this processor, too.
                std::thread::yield_now();
                tokio::task::yield_now().await;
            }
        }
    }

    /// Time passes for whoever takes part.
    fn tick(&mut self) {
        let founding = &self.shared.founding;
        if !founding.is_over() && self.replica.core().raft().term() > Term(0) {
            founding.others_did();
        }
        if founding.is_over() {
            self.replica.tick();
        }
    }

    /// Feeds the replica what came in. Whether that is all.
    fn take_in(&mut self) -> bool {
        let now = Instant::now();
        self.told = ToldOnce::default();
        if self.inputs.is_empty() {
            self.shared.inbox.take(&mut self.inputs);
        }
        // Only when they are here: what is concluded from the time, is concluded for requests that came before it.
        self.replica.time_is(clock::now());
        for _ in 0..TAKEN_IN_MAX {
            let Some(input) = self.inputs.pop_front() else {
                break;
            };
            if !self.shared.founding.admits(&input) {
                continue;
            }
            match input {
                Input::Request {
                    client,
                    id,
                    task,
                    came,
                } => {
                    self.gathering.request_came();
                    self.stages
                        .took(Stage::Queue, now.saturating_duration_since(came));
                    self.ask(client, id, task, came);
                }
                Input::Packet(packet) => {
                    self.gathering.is_urgent();
                    self.stages.heard(&packet, now);
                    self.replica.step(packet);
                }
                Input::Unreachable(node) => {
                    self.stages.lost(node);
                    self.replica.unreachable(node);
                }
                Input::Heard(node, incarnation) => self.replica.heard_of(node, incarnation),
                Input::Metrics(asked) => {
                    // Whoever asked may be gone.
                    let _ = asked.send(self.metrics());
                }
            }
        }
        if self.inputs.is_empty() {
            self.shared.inbox.is_taken_in();
        }
        self.taken_in += now.elapsed();
        // What came while some were left was announced, and not taken out.
        self.inputs.is_empty() && self.shared.inbox.is_empty()
    }

    fn ask(&mut self, client: Rc<Client>, id: u64, task: Result<Task, Error>, came: Instant) {
        match task {
            Ok(Task::Read { key }) => {
                let ticket = self.ticket(client, id, None);
                self.replica.read(ticket, key);
            }
            Ok(Task::Write(command)) => {
                let ticket = self.ticket(client, id, Some(came));
                self.replica.command(ticket, command);
            }
            Ok(Task::WriteOnce(once, command)) => {
                let ticket = self.ticket(client, id, Some(came));
                self.replica.command_once(ticket, once, command);
            }
            Ok(Task::OpenSession) => {
                let ticket = self.ticket(client, id, Some(came));
                self.replica.open_session(ticket);
            }
            Ok(Task::CloseSession { session }) => {
                let ticket = self.ticket(client, id, Some(came));
                self.replica.close_session(ticket, session);
            }
            Ok(Task::Status) => {
                let status = |server: &Server| Ok(Reply::Status(server.status()));
                self.tell(client, id, |told| &mut told.status, status);
            }
            Ok(Task::Stages) => {
                let stages = |server: &Server| Ok(Reply::Stages(server.stages.to_wire()));
                self.tell(client, id, |told| &mut told.stages, stages);
            }
            Ok(Task::Reconfigure(changes)) => {
                let ticket = self.ticket(client, id, None);
                self.replica.reconfigure(ticket, &changes);
            }
            Ok(Task::Transfer { to }) => {
                let ticket = self.ticket(client, id, None);
                self.replica.transfer(ticket, to);
            }
            Ok(Task::Snapshot) => {
                let ticket = self.ticket(client, id, None);
                self.replica.snapshot(ticket);
            }
            Ok(Task::Members) => {
                self.tell(client, id, |told| &mut told.members, Server::members);
            }
            Err(error) => {
                let result = Err(error);
                self.answer(client, Answer::Read(Response { id, result }));
            }
        }
    }

    /// Answers what many may ask at once: what `make` makes of it for the first of them is kept where `place` says.
    fn tell(
        &mut self,
        client: Rc<Client>,
        id: u64,
        place: impl Fn(&mut ToldOnce) -> &mut Option<Told>,
        make: impl FnOnce(&Server) -> Result<Reply, Error>,
    ) {
        let told = place(&mut self.told).take();
        let told = told.unwrap_or_else(|| Told::new(&make(self)));
        *place(&mut self.told) = Some(told.clone());
        self.answer(client, Answer::Shared { id, told });
    }

    fn members(&self) -> Result<Reply, Error> {
        let raft = self.replica.core().raft();
        match raft.role() {
            RoleKind::Leader => Ok(Reply::Members(status::members(raft.configuration()))),
            RoleKind::Follower | RoleKind::PreCandidate | RoleKind::Candidate => {
                Err(self.not_leader(raft.leader()))
            }
        }
    }

    fn status(&self) -> wire::client::Status {
        let own = &self.shared.membership;
        status::to_wire(own.id, &own.cluster_id, self.replica.status())
    }

    fn metrics(&self) -> String {
        Metrics {
            status: &self.status(),
            stages: &self.stages.to_wire(),
            events: &self.events,
            clients: self.shared.clients.taken(),
            requests: self.asked.len(),
        }
        .text()
    }

    fn ticket(&mut self, client: Rc<Client>, id: u64, write_came: Option<Instant>) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        let asked = Asked {
            client,
            id,
            write_came,
        };
        self.asked.insert(ticket, asked);
        ticket
    }

    /// Carries out what the replica has to do, and passes on what comes of it. Returns whether nothing is left to do.
    fn turn_wheel(&mut self) -> Result<bool, Fatal> {
        for _ in 0..WHEEL_TURNS_MAX {
            self.replica.settle()?;
            if !self.replica.has_work() {
                self.flush_clients();
                return Ok(true);
            }
            let begun = Instant::now();
            self.replica.send(&mut self.out);
            // Before anything leaves: it may be for somebody who was not known of.
            self.follow_configurations();
            let sent = self.pass_on(begun);
            let writes = self.replica.is_about_to_write();
            self.replica.begin_write()?;
            let write_begun = if writes { Instant::now() } else { sent };
            self.replica.apply(&mut self.out)?;
            let has_replies = !self.out.replies.is_empty();
            let applied = Instant::now();
            let replied = if has_replies {
                self.pass_on(applied)
            } else {
                applied
            };
            self.replica.carry_out(&mut self.out)?;
            self.pass_on(replied);
            self.awake.worked();
            self.stages.turned(&Turn {
                taken_in: std::mem::take(&mut self.taken_in),
                begun,
                sent,
                write_begun,
                applied,
                replied,
                has_replies,
                writes,
            });
            if self.replica.has_done_enough() {
                break;
            }
        }
        Ok(false)
    }

    /// Gives everything that leaves to the sockets, which is `now`; when that was done.
    fn pass_on(&mut self, now: Instant) -> Instant {
        let out = &self.out;
        if out.messages.is_empty()
            && out.replies.is_empty()
            && out.done.is_empty()
            && self.answered.is_empty()
        {
            return now;
        }
        if !self.out.messages.is_empty() {
            self.gathering.sent(now);
        }
        for packet in self.out.messages.drain(..) {
            let to = packet.to();
            self.stages.sent(&packet, now);
            if !self.shared.peers.post(packet) {
                self.stages.lost(to);
                self.replica.unreachable(to);
            }
        }
        self.shared.peers.flush();
        let mut replies = std::mem::take(&mut self.out.replies);
        for (ticket, result) in replies.drain(..) {
            let asked = self.asked.remove(&ticket).expect("a ticket is answered once");
            let Asked {
                client,
                id,
                write_came,
            } = asked;
            if result.is_ok() {
                self.done.extend(write_came);
            }
            let result = match result {
                Ok(answer) => Ok(request::reply(answer)),
                Err(refusal) => Err(self.error(refusal)),
            };
            let response = Response { id, result };
            let answer = match write_came {
                Some(_) => Answer::Write(response),
                None => Answer::Read(response),
            };
            self.answer(client, answer);
        }
        self.out.replies = replies;
        let mut done = std::mem::take(&mut self.out.done);
        for (ticket, result) in done.drain(..) {
            let Asked { client, id, .. } = self.asked.remove(&ticket).expect("a ticket is answered once");
            let result = result
                .map(request::done)
                .map_err(|why| request::not_done(why, |leader| self.not_leader(leader)));
            self.answer(client, Answer::Write(Response { id, result }));
        }
        self.out.done = done;
        self.flush_clients();
        let done = Instant::now();
        for came in self.done.drain(..) {
            self.stages
                .took(Stage::Commit, done.saturating_duration_since(came));
        }
        done
    }

    fn answer(&mut self, client: Rc<Client>, answer: Answer) {
        if client.answer(answer) {
            self.answered.push(client);
        }
    }

    fn flush_clients(&mut self) {
        for client in self.answered.drain(..) {
            client.flush();
        }
    }

    fn error(&self, refusal: Refusal) -> Error {
        match refusal {
            Refusal::NotLeader { leader } => self.not_leader(leader),
            Refusal::LeadershipLost => Error::LeadershipLost,
            Refusal::ReadAborted => Error::ReadAborted,
            Refusal::Busy => Error::Busy,
            Refusal::SessionExpired => Error::SessionExpired,
            Refusal::ReplyForgotten => Error::ReplyForgotten,
            Refusal::Unfit(unfit) => Error::Unfit(unfit),
        }
    }

    fn not_leader(&self, leader: Option<NodeId>) -> Error {
        let leader = leader.map(|node| Leader {
            node: node.0,
            client_address: self.client_address(node),
        });
        Error::NotLeader { leader }
    }

    fn client_address(&self, node: NodeId) -> String {
        if node == self.shared.membership.id {
            self.shared.client_address.clone()
        } else {
            self.shared.peers.client_address(node)
        }
    }
}

#[cfg(test)]
mod tests;
