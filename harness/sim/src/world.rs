//! The world: one thread, one queue of events in virtual time, one seed.

use crate::chance::{Purpose, odds, stream};
use crate::clients::{Client, Response};
use crate::disk::SimDisk;
use crate::ghost::Ghost;
use crate::history::{History, Op};
use crate::options::{Broken, Counts, Invariant, Options, Struck};
use crate::plan::{ODDS, Plan};
use crate::promise;
use crate::reduction::{Aspect, Reduction};
use crate::script::Script;
use crate::server::{AskedKind, Input, Process, Seen, Server};
use crate::story::{Story, Telling};
use bytes::Bytes;
use raft::{Configuration, Index, LogPosition, NodeId, RoleKind};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use replica::{Done, NotDone, OpenError, Outbox, Ticket};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use wire::peer::Packet;
use wire::record::Once;

/// How many turns a node takes without a pause; a node that has work for ever is stuck.
const TURNS_MAX: usize = 10_000;

/// How many events a run has at most: far beyond what any drawn plan leads to.
const STEPS_MAX: u64 = 50_000_000;

#[derive(Debug)]
pub(crate) enum Event {
    Tick {
        node: usize,
    },
    Deliver {
        from: usize,
        to: usize,
        payload: Bytes,
        /// Its number on the link, for the script.
        message: u64,
    },
    DiskDone {
        node: usize,
        incarnation: u64,
    },
    Start {
        node: usize,
    },
    Resume {
        node: usize,
        incarnation: u64,
    },
    Mend {
        links: Vec<(usize, usize)>,
    },
    /// Links are as fast as usual again.
    Quicken {
        links: Vec<(usize, usize)>,
        by: u64,
    },
    /// Time for the fault of this number.
    Nemesis {
        number: u32,
    },
    Coup {
        node: usize,
        term: u64,
    },
    Next {
        client: usize,
    },
    Request {
        client: usize,
        attempt: u64,
        node: usize,
        op: Op,
        once: Option<Once>,
    },
    /// Time to send an operation of a session again.
    Insist {
        client: usize,
        operation: u64,
    },
    Reply {
        client: usize,
        attempt: u64,
        response: Response,
    },
    Retry {
        client: usize,
        operation: u64,
        leader: Option<NodeId>,
    },
    Timeout {
        client: usize,
        operation: u64,
    },
    /// A link of the leader's is cut for good.
    CutLink,
    Heal,
    Look,
}

#[derive(Debug)]
struct Scheduled {
    at: u64,
    /// Breaks ties: what was scheduled first comes first.
    sequence: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

pub(crate) struct World {
    pub(crate) now: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
    pub(crate) seed: u64,
    /// The messages of each link, from one node (the first place) to another.
    links: Vec<Vec<ChaCha8Rng>>,
    /// When faults strike.
    pub(crate) nemesis_random: ChaCha8Rng,
    pub(crate) plan: Plan,
    /// What of the seed's world is left out.
    pub(crate) reduction: Reduction,
    pub(crate) operations_max: Option<u64>,
    pub(crate) servers: Vec<Server>,
    pub(crate) clients: Vec<Client>,
    pub(crate) history: History,
    /// How many faults cut the link from one node (the first place) to another.
    pub(crate) cuts: Vec<Vec<u32>>,
    /// How much later than usual each link delivers.
    pub(crate) slow: Vec<Vec<u64>>,
    pub(crate) struck: Vec<Struck>,
    pub(crate) ghost: Ghost,
    pub(crate) script: Script,
    pub(crate) story: Story,
    pub(crate) counts: Counts,
    /// Faults are over.
    pub(crate) healed: bool,
    /// How many leaders there had been when a link of the leader's was cut for good.
    leaders_before_cut: Option<u64>,
    /// Everything that there was to do is done.
    done: bool,
    /// Numbers attempts, operations and values.
    pub(crate) last_number: u64,
    out: Outbox,
}

impl World {
    pub(crate) fn new(seed: u64, options: &Options, telling: Telling) -> World {
        let mut random = stream(seed, Purpose::Plan);
        let mut plan = Plan::draw(&mut random, options);
        options.reduction.apply(&mut plan);
        let mut servers = Vec::new();
        for (node, id) in (1..=plan.nodes).enumerate() {
            let (mut process, disk) = (
                stream(seed, Purpose::Process(node)),
                stream(seed, Purpose::Disk(node)),
            );
            let drift = u64::from(process.random_range(0..=plan.drift));
            let tick = plan.tick + plan.tick * drift / u64::from(ODDS);
            let mutate = |_settings: &mut replica::Options| {
                #[cfg(feature = "mutants")]
                {
                    _settings.mutant = options.mutant;
                }
            };
            servers.push(Server::new(NodeId(id), tick, &plan, (disk, process), mutate));
        }
        let nodes = servers.len();
        let links = |from| {
            (0..nodes)
                .map(|to| stream(seed, Purpose::Link(from, to)))
                .collect()
        };
        let clients = (0..plan.load.clients).filter(|client| options.reduction.has_client(*client));
        let mut script = Script::default();
        if telling == Telling::Everything && options.reduction.without.contains(&Aspect::Turns) {
            script.begin(&plan);
        }
        let mut world = World {
            now: 0,
            queue: BinaryHeap::new(),
            scheduled: 0,
            seed,
            links: (0..nodes).map(links).collect(),
            nemesis_random: stream(seed, Purpose::Nemesis),
            clients: clients
                .map(|client| Client::new(client, stream(seed, Purpose::Client(client))))
                .collect(),
            history: History::new(plan.load.keys + plan.load.clients),
            cuts: vec![vec![0; nodes]; nodes],
            slow: vec![vec![0; nodes]; nodes],
            struck: Vec::new(),
            ghost: Ghost::new((1..=plan.voters).map(NodeId)),
            plan,
            reduction: options.reduction.clone(),
            operations_max: options.reduction.operations_max,
            servers,
            script,
            story: Story::new(telling),
            counts: Counts::default(),
            healed: false,
            leaders_before_cut: None,
            done: false,
            last_number: 0,
            out: Outbox::default(),
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for node in 0..self.servers.len() {
            let within = self.plan.tick;
            for event in [Event::Start { node }, Event::Tick { node }] {
                let delay = self.servers[node].random.random_range(0..=within);
                self.schedule(delay, event);
            }
        }
        for client in 0..self.clients.len() {
            self.think(client);
        }
        self.schedule(self.plan.duration, Event::Heal);
        if self.plan.fault_interval_max > 0 {
            self.schedule_fault(0);
        }
        if self.plan.cut_link {
            self.schedule(self.plan.duration / 4, Event::CutLink);
        }
    }

    pub(crate) fn schedule(&mut self, delay: u64, event: Event) {
        self.scheduled += 1;
        self.queue.push(Reverse(Scheduled {
            at: self.now + delay,
            sequence: self.scheduled,
            event,
        }));
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Runs to the end.
    pub(crate) fn run(&mut self) -> Result<(), Broken> {
        while !self.done {
            let Some(Reverse(next)) = self.queue.pop() else {
                panic!("the world has stopped, though its clocks tick for ever");
            };
            self.now = next.at;
            self.counts.steps += 1;
            assert!(self.counts.steps < STEPS_MAX, "the world goes on for ever");
            self.happen(next.event)?;
        }
        self.counts.elections = self.ghost.elections();
        self.counts.committed = self.ghost.committed_index().0;
        self.counts.configurations = self.ghost.configurations();
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Tick { node } => self.tick(node),
            Event::Deliver {
                from,
                to,
                payload,
                message,
            } => self.deliver(from, to, &payload, message),
            Event::DiskDone { node, incarnation } => self.disk_done(node, incarnation),
            Event::Start { node } => self.start(node),
            Event::Resume { node, incarnation } => self.resume(node, incarnation),
            Event::Mend { links } => {
                self.mend(&links);
                Ok(())
            }
            Event::Quicken { links, by } => {
                self.quicken(&links, by);
                Ok(())
            }
            Event::Nemesis { number } => self.nemesis(number),
            Event::Coup { node, term } => self.coup(node, term),
            Event::Next { client } => {
                self.next_operation(client);
                Ok(())
            }
            Event::Request {
                client,
                attempt,
                node,
                op,
                once,
            } => self.request(client, attempt, node, op, once),
            Event::Insist { client, operation } => {
                self.send_again(client, operation);
                Ok(())
            }
            Event::Reply {
                client,
                attempt,
                response,
            } => {
                self.response(client, attempt, response);
                Ok(())
            }
            Event::Retry {
                client,
                operation,
                leader,
            } => {
                self.retry(client, operation, leader);
                Ok(())
            }
            Event::Timeout { client, operation } => {
                self.timeout(client, operation);
                Ok(())
            }
            Event::CutLink => {
                self.cut_link();
                Ok(())
            }
            Event::Heal => self.heal(),
            Event::Look => self.look_for_the_end(),
        }
    }

    fn tick(&mut self, node: usize) -> Result<(), Broken> {
        let tick = self.servers[node].tick;
        self.schedule(tick, Event::Tick { node });
        match self.servers[node].running() {
            // A paused process misses its ticks.
            Some(running) if !running.paused => {
                self.servers[node].post(Input::Tick);
                self.turn(node)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn deliver(&mut self, from: usize, to: usize, payload: &Bytes, number: u64) -> Result<(), Broken> {
        if self.cuts[from][to] > 0 || self.servers[to].running().is_none() {
            self.counts.lost += 1;
            self.script.taken("drop", from, to, number);
            return Ok(());
        }
        let (sender, receiver) = (self.servers[from].id, self.servers[to].id);
        let message = wire::peer::Message::from_payload(payload)
            .and_then(|message| message.into_packet(sender, receiver))
            .map_err(|error| Broken {
                invariant: Invariant::Assertion,
                what: format!("{sender} sent {receiver} a message that can't be decoded: {error}"),
            })?;
        self.counts.delivered += 1;
        // The payload begins with its checksum.
        let checksum = payload
            .iter()
            .take(4)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        self.story
            .note(self.now, &[1, to as u64, checksum], || message.to_string());
        self.servers[to].post(Input::Packet {
            packet: message,
            from,
            message: number,
        });
        self.turn(to)
    }

    /// Lets `node` take in what waits and do what follows, until it waits for its disk or for something to do.
    pub(crate) fn turn(&mut self, node: usize) -> Result<(), Broken> {
        for _ in 0..TURNS_MAX {
            match self.servers[node].running() {
                Some(running) if !running.paused && !running.in_turn => {}
                Some(_) | None => return Ok(()),
            }
            let acknowledged = self.ghost.acknowledged();
            let had_inputs = self.servers[node].take_inputs(acknowledged, &mut self.script)?;
            self.look(node)?;
            let Some(running) = self.servers[node].running_mut() else {
                return Ok(());
            };
            if !running.replica.has_work() {
                if had_inputs {
                    continue;
                }
                return Ok(());
            }
            running.in_turn = true;
            let mut out = std::mem::take(&mut self.out);
            self.servers[node].send(&mut out)?;
            self.pass_on(node, &mut out)?;
            let applied = self.servers[node].apply(&mut out)?;
            self.look(node)?;
            if let Err(fatal) = applied {
                // A process that stops passes nothing on any more.
                out.replies.clear();
                out.done.clear();
                self.out = out;
                return self.stopped(node, &fatal);
            }
            self.pass_on(node, &mut out)?;
            self.out = out;
            let server = &mut self.servers[node];
            let mut takes = server.disk_random.random_range(0..=self.plan.disk_max);
            if self.now < server.slow_until {
                takes += self.plan.tick * u64::from(self.plan.timing.election_ticks_min) / 2;
            }
            if takes > 0 {
                let incarnation = self.servers[node].incarnation;
                self.schedule(takes, Event::DiskDone { node, incarnation });
                return Ok(());
            }
            self.finish_turn(node)?;
        }
        Err(Broken {
            invariant: Invariant::Liveness,
            what: format!("{} has work for ever", self.servers[node].id),
        })
    }

    fn disk_done(&mut self, node: usize, incarnation: u64) -> Result<(), Broken> {
        if self.servers[node].incarnation != incarnation {
            return Ok(());
        }
        match self.servers[node].running_mut() {
            Some(running) if running.paused => {
                running.disk_done = true;
                Ok(())
            }
            Some(_) => {
                self.finish_turn(node)?;
                self.turn(node)
            }
            None => Ok(()),
        }
    }

    fn finish_turn(&mut self, node: usize) -> Result<(), Broken> {
        let mut out = std::mem::take(&mut self.out);
        let result = self.servers[node].carry_out(&mut out, &mut self.ghost, &mut self.script)?;
        if let Err(fatal) = result {
            // A process that stops passes nothing on any more.
            out.messages.clear();
            out.replies.clear();
            out.done.clear();
            self.out = out;
            return self.stopped(node, &fatal);
        }
        if let Some(running) = self.servers[node].running_mut() {
            running.in_turn = false;
        }
        self.look(node)?;
        self.pass_on(node, &mut out)?;
        self.out = out;
        Ok(())
    }

    /// Sends what a node hands out.
    fn pass_on(&mut self, node: usize, out: &mut Outbox) -> Result<(), Broken> {
        for packet in out.messages.drain(..) {
            let to = self.place(packet.to())?;
            match &packet {
                Packet::Message(envelope) => {
                    promise::check(envelope, &self.servers[node], &self.servers[to])?;
                }
                Packet::Parcel { .. } => {}
            }
            self.send(node, to, packet);
        }
        for (ticket, result) in out.replies.drain(..) {
            self.answer(node, ticket, result)?;
        }
        for (ticket, result) in out.done.drain(..) {
            self.answer_operator(node, ticket, result)?;
        }
        Ok(())
    }

    fn place(&self, id: NodeId) -> Result<usize, Broken> {
        let place = self.servers.iter().position(|server| server.id == id);
        place.ok_or_else(|| Broken {
            invariant: Invariant::Assertion,
            what: format!("a message is addressed to {id}, whom nobody knows"),
        })
    }

    fn send(&mut self, from: usize, to: usize, packet: Packet) {
        let network = self.plan.network;
        let receiver = packet.to();
        let message = match &packet {
            Packet::Message(_) => self.script.sent(from, to),
            Packet::Parcel { .. } => {
                self.script.end("a snapshot is carried over");
                0
            }
        };
        let payload = wire::peer::Message::from(packet).to_payload();
        let random = &mut self.links[from][to];
        // As many draws whatever becomes of it.
        let (is_lost, is_doubled) = (odds(random, network.drop), odds(random, network.duplicate));
        let delays = [(); 2].map(|()| {
            let late = if odds(random, network.late) {
                random.random_range(0..=network.late_max)
            } else {
                0
            };
            random.random_range(network.delay_min..=network.delay_max) + late
        });
        if self.cuts[from][to] > 0 || is_lost {
            self.counts.lost += 1;
            self.script.taken("drop", from, to, message);
            return;
        }
        if self.servers[to].running().is_none() && self.links[from][to].random() {
            // A connection that breaks is noticed, sometimes.
            self.servers[from].post(Input::Unreachable(receiver));
        }
        let (copies, second) = if is_doubled {
            self.counts.duplicated += 1;
            (2, self.script.doubled(from, to, message))
        } else {
            (1, 0)
        };
        let slower = self.slow[from][to];
        // A script's copies are two new messages, the second of which is known here.
        let numbers = [if second > 0 { second - 1 } else { message }, second];
        for (delay, message) in delays.into_iter().zip(numbers).take(copies) {
            let payload = payload.clone();
            let event = Event::Deliver {
                from,
                to,
                payload,
                message,
            };
            self.schedule(delay + slower, event);
        }
    }

    /// Answers a client's request, after checking that the answer may be given.
    fn answer(
        &mut self,
        node: usize,
        ticket: Ticket,
        result: Result<replica::Answer, replica::Refusal>,
    ) -> Result<(), Broken> {
        let id = self.servers[node].id;
        let Some(running) = self.servers[node].running_mut() else {
            panic!("{id} answers without running");
        };
        let applied = running.seen.applied;
        let asked = running.asked.remove(&ticket).ok_or_else(|| Broken {
            invariant: Invariant::Answers,
            what: format!(
                "{id} answers request {}, which it has not or has answered before",
                ticket.0
            ),
        })?;
        if result.is_ok() {
            match asked.kind {
                AskedKind::Command(position) => {
                    let done = position.is_some_and(|position| position.index <= applied);
                    Broken::unless(done, Invariant::Answers, || {
                        format!(
                            "{id} says done of request {}, at {position:?}, having applied {applied}",
                            ticket.0
                        )
                    })?;
                    self.ghost
                        .acknowledge(position.map_or(Index(0), |position| position.index));
                }
                AskedKind::Read { acknowledged } => {
                    Broken::unless(applied >= acknowledged, Invariant::ReadFreshness, || {
                        format!(
                            "{id} answers a read at {applied}; {acknowledged} was acknowledged before the read came"
                        )
                    })?;
                }
            }
        }
        self.story.note(
            self.now,
            &[2, node as u64, ticket.0, u64::from(result.is_ok())],
            || format!("{id} ⇢ c{} {result:?}", asked.client),
        );
        self.respond(asked.client, ticket.0, Response::of(result));
        Ok(())
    }

    /// Answers an operator, who asked for that, and once.
    fn answer_operator(
        &mut self,
        node: usize,
        ticket: Ticket,
        result: Result<Done, NotDone>,
    ) -> Result<(), Broken> {
        let id = self.servers[node].id;
        let running = self.servers[node].running_mut();
        let asked = running.is_some_and(|running| running.ordered.remove(&ticket));
        Broken::unless(asked, Invariant::Answers, || {
            format!(
                "{id} answers order {}, which it has not or has answered before",
                ticket.0
            )
        })?;
        self.counts.orders_done += u64::from(result.is_ok());
        self.story.note(
            self.now,
            &[12, node as u64, ticket.0, u64::from(result.is_ok())],
            || match &result {
                Ok(done) => format!("{id} ⇢ operator {done:?}"),
                Err(refusal) => format!("{id} ⇢ operator {refusal}"),
            },
        );
        Ok(())
    }

    /// Looks at a node and holds what changed against what is known.
    fn look(&mut self, node: usize) -> Result<(), Broken> {
        let Some((before, now)) = self.servers[node].look()? else {
            return Ok(());
        };
        let id = self.servers[node].id;
        if now.first > before.first {
            self.script.end("a log is compacted");
            let installed = now.first > before.last.index.next() && before.last.index > Index(0);
            self.counts.snapshots_installed += u64::from(installed);
            self.counts.compactions += u64::from(!installed);
        }
        if (before.role, before.term) != (now.role, now.term) {
            self.story
                .note(self.now, &[3, node as u64, now.term.0, now.role as u64], || {
                    format!(
                        "{id}@{} {} ⇨ {id}@{} {}",
                        before.term, before.role, now.term, now.role
                    )
                });
            self.script.consequence(&format!(
                "{id}@{} {} ⇨ {id}@{} {}",
                before.term, before.role, now.term, now.role
            ));
        }
        let mut coup = None;
        let Some(running) = self.servers[node].running() else {
            return Ok(());
        };
        let raft = running.replica.core().raft();
        if now.role == RoleKind::Leader && (before.role, before.term) != (now.role, now.term) {
            self.ghost
                .leads(id, now.term, raft.first_index(), |index| raft.log_term(index))?;
            if self.plan.coup > 0 {
                let mut random = stream(self.seed, Purpose::Coup(now.term.0));
                let soon = 4 * (self.plan.network.delay_max + self.plan.disk_max);
                let delay = random.random_range(0..=soon);
                coup = odds(&mut random, self.plan.coup).then_some(delay);
            }
        }
        for place in 0..now.commit.since(before.commit) {
            let index = before.commit.next().plus(place);
            if index < raft.first_index() {
                // It came with a snapshot.
                Broken::unless(
                    self.ghost.committed_index() >= index,
                    Invariant::Durability,
                    || format!("{id} has a snapshot with {index}, which nobody has committed"),
                )?;
                continue;
            }
            let term = raft.log_term(index).expect("what is committed is in the log");
            if self.ghost.commits(id, now.term, index, term)? {
                self.must_be_durable(node, raft.configuration(), LogPosition { term, index })?;
            }
        }
        if now.commit > before.commit {
            self.script.consequence(&format!("{id} commits {}", now.commit));
            self.story.note(self.now, &[4, node as u64, now.commit.0], || {
                format!("{id}@{} commit {}", now.term, now.commit)
            });
        }
        if now.applied > before.applied {
            self.ghost
                .applied(id, now.applied, running.replica.status().state_hash)?;
        }
        self.look_at_configuration(node, now)?;
        if let Some(delay) = coup {
            let term = now.term.0;
            self.schedule(delay, Event::Coup { node, term });
        }
        Ok(())
    }

    /// What `node` commits is durable on a majority of those who take part, by the configuration in force there now, or the last time
    /// that it was looked at: in between it may have begun to change it.
    fn must_be_durable(&self, node: usize, now: &Configuration, position: LogPosition) -> Result<(), Broken> {
        let holds = |id: &&NodeId| {
            let holder = self.servers.iter().find(|server| server.id == **id);
            holder.is_some_and(|holder| holder.shadow.durable().holds(position))
        };
        let majority = |voters: &[NodeId]| 2 * voters.iter().filter(holds).count() > voters.len();
        let quorum = |configuration: &Configuration| {
            majority(configuration.voters())
                && (!configuration.is_joint() || majority(configuration.outgoing()))
        };
        let server = &self.servers[node];
        Broken::unless(
            quorum(now) || quorum(&server.configuration),
            Invariant::Durability,
            || {
                let holders = self
                    .servers
                    .iter()
                    .filter(|server| server.shadow.durable().holds(position));
                let holders: Vec<String> = holders.map(|server| server.id.to_string()).collect();
                format!(
                    "{} commits {position}, and of ({now}) it is durable on {}",
                    server.id,
                    holders.join(" ")
                )
            },
        )
    }

    /// Remembers who takes part as `node` knows it, and holds it against what is committed, where its log has nothing to add to that.
    fn look_at_configuration(&mut self, node: usize, now: Seen) -> Result<(), Broken> {
        let server = &mut self.servers[node];
        let Some(running) = server.running() else {
            return Ok(());
        };
        let configuration = running.replica.core().raft().configuration();
        if *configuration != server.configuration {
            let configuration = configuration.clone();
            self.story.tell(self.now, || {
                format!("{} has the configuration ({configuration})", server.id)
            });
            self.script
                .consequence(&format!("{} has the configuration ({configuration})", server.id));
            server.configuration = configuration;
        }
        // Who was never told anything has no log to know it from.
        if now.last.index == now.commit && now.commit > Index(0) && !server.configuration.members().is_empty()
        {
            let expected = self.ghost.configuration_at(now.commit);
            Broken::unless(server.configuration == *expected, Invariant::Membership, || {
                format!(
                    "{} has the configuration ({}) as of {}; what is committed says ({expected})",
                    server.id, server.configuration, now.commit
                )
            })?;
        }
        Ok(())
    }

    /// Starts a node.
    fn start(&mut self, node: usize) -> Result<(), Broken> {
        match self.servers[node].process {
            Process::Down => {}
            Process::Up(_) | Process::Gone => return Ok(()),
        }
        let seed = self.servers[node].random.random();
        self.arm_recovery(node);
        let id = self.servers[node].id;
        match self.servers[node].start(seed, &mut self.ghost, &mut self.script)? {
            Ok(()) => {
                self.counts.starts += 1;
                self.servers[node].disk.forget_fault();
                self.story
                    .note(self.now, &[5, node as u64], || format!("{id} starts"));
                self.look(node)?;
                self.turn(node)
            }
            Err(OpenError::Disk(error)) if self.servers[node].may_fail() => {
                self.story.note(self.now, &[6, node as u64], || {
                    format!("{id} does not start: {error}")
                });
                self.fell(node);
                Ok(())
            }
            Err(OpenError::Corrupt { file, offset, reason }) if self.servers[node].rotten => {
                self.counts.refused_starts += 1;
                self.story.note(self.now, &[7, node as u64, offset], || {
                    format!("{id} refuses to start: {file} at {offset}: {reason}")
                });
                self.servers[node].process = Process::Gone;
                Ok(())
            }
            Err(
                error @ (OpenError::Disk(_)
                | OpenError::Corrupt { .. }
                | OpenError::Foreign { .. }
                | OpenError::Format { .. }
                | OpenError::Config(_)),
            ) => Err(Broken {
                invariant: Invariant::Recovery,
                what: format!("{id} does not start, and nothing is wrong with its disk: {error}"),
            }),
        }
    }

    fn cut_link(&mut self) {
        let leads = |server: &Server| {
            let running = server.running();
            running.is_some_and(|running| running.seen.role == RoleKind::Leader)
        };
        if let Some(leader) = self.servers.iter().position(leads) {
            let follower = (leader + 1) % self.servers.len();
            self.cuts[leader][follower] += 1;
            self.cuts[follower][leader] += 1;
            self.counts.cuts += 2;
            self.leaders_before_cut = Some(self.ghost.elections());
        }
    }

    /// Faults are over: from here on everything must come right.
    fn heal(&mut self) -> Result<(), Broken> {
        if let Some(before) = self.leaders_before_cut {
            let since = self.ghost.elections() - before;
            Broken::unless(since == 0, Invariant::Liveness, || {
                format!("one cut link made {since} new leaders, and the old one was heard by a majority")
            })?;
        }
        self.story
            .note(self.now, &[8], || String::from("the faults are over"));
        self.healed = true;
        self.plan.heal();
        for row in &mut self.cuts {
            row.fill(0);
        }
        for row in &mut self.slow {
            row.fill(0);
        }
        for node in 0..self.servers.len() {
            self.servers[node].disk.forget_fault();
            self.servers[node].slow_until = 0;
            match &self.servers[node].process {
                Process::Up(_) => {
                    let incarnation = self.servers[node].incarnation;
                    self.resume(node, incarnation)?;
                }
                Process::Down => self.start(node)?,
                Process::Gone => {}
            }
        }
        self.schedule(self.plan.tick, Event::Look);
        Ok(())
    }

    /// Whether all nodes are equal and all clients served; if not in time, that is a failure.
    fn look_for_the_end(&mut self) -> Result<(), Broken> {
        self.retire();
        let running: Vec<(NodeId, Seen, usize)> = self
            .servers
            .iter()
            .filter_map(|server| {
                let running = server.running()?;
                Some((
                    server.id,
                    running.seen,
                    running.asked.len() + running.ordered.len(),
                ))
            })
            .collect();
        let served = self.clients.iter().all(Client::is_served);
        let leaders = running
            .iter()
            .filter(|(_, seen, _)| seen.role == RoleKind::Leader)
            .count();
        let last = self.ghost.committed_index();
        let equal = running.iter().all(|(_, seen, asked)| {
            (seen.applied, seen.commit, seen.last.index, *asked) == (last, last, last, 0)
        });
        if served && leaders == 1 && equal {
            self.done = true;
            return Ok(());
        }
        let in_time = self.now < self.plan.duration + self.plan.recovery_max();
        Broken::unless(in_time, Invariant::Liveness, || {
            let waiting = self.clients.iter().filter(|client| !client.is_served()).count();
            format!("{waiting} clients wait, {last} is committed, and the nodes are {running:?}")
        })?;
        self.schedule(self.plan.tick, Event::Look);
        Ok(())
    }

    /// Takes away the nodes that take no part any more, as their operator does: nobody tells them that they were removed.
    fn retire(&mut self) {
        let leads = |server: &&Server| {
            server.running().is_some_and(|running| {
                let seen = running.seen;
                seen.role == RoleKind::Leader && seen.commit == seen.last.index
            })
        };
        let leaders = self.servers.iter().filter(leads);
        let latest = leaders.max_by_key(|server| server.running().map(|running| running.seen.term));
        let Some(configuration) = latest.map(|server| server.configuration.clone()) else {
            return;
        };
        if configuration.is_joint() {
            return;
        }
        for node in 0..self.servers.len() {
            let server = &self.servers[node];
            if server.running().is_some() && !configuration.is_member(server.id) {
                self.fell(node);
                self.servers[node].process = Process::Gone;
            }
        }
    }

    pub(crate) fn disk(&self, node: usize) -> &SimDisk {
        &self.servers[node].disk
    }
}
