//! The world: one thread, one queue of events in virtual time, one seed.

mod answers;
mod end;
mod look;
mod network;
mod queue;
mod turn;

pub(crate) use queue::Event;

use crate::chance::{Purpose, stream};
use crate::clients::Client;
use crate::disk::SimDisk;
use crate::ghost::Ghost;
use crate::history::History;
use crate::options::{Broken, Counts, Invariant, Options, Struck};
use crate::plan::{ODDS, Plan};
use crate::reduction::{Aspect, Reduction};
use crate::script::Script;
use crate::server::{Clock, Server};
use crate::story::{Story, Telling};
use queue::Queue;
use raft::NodeId;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use replica::Outbox;

/// How many events a run has at most: far beyond what any drawn plan leads to. What has more is nodes that answer each other for ever.
const STEPS_MAX: u64 = 10_000_000;

pub(crate) struct World {
    pub(crate) now: u64,
    queue: Queue,
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
            let clock = Clock::new(plan.tick, tick);
            servers.push(Server::new(NodeId(id), clock, &plan, (disk, process), mutate));
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
            queue: Queue::default(),
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
        self.queue.push(self.now + delay, event);
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Runs to the end.
    pub(crate) fn run(&mut self) -> Result<(), Broken> {
        while !self.done {
            let Some((at, event)) = self.queue.pop() else {
                panic!("the world has stopped, though its clocks tick for ever");
            };
            self.now = at;
            self.counts.steps += 1;
            if self.counts.steps >= STEPS_MAX {
                return Err(Broken {
                    invariant: Invariant::Liveness,
                    what: String::from("the world goes on for ever"),
                });
            }
            self.happen(event)?;
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
            Event::Landed { node, incarnation } => self.landed(node, incarnation),
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
            Event::Eager { node, term } => self.eager(node, term),
            Event::Order { .. } | Event::Isolate { .. } | Event::Cut { .. } if self.healed => Ok(()),
            Event::Cut { links, lasts } => {
                self.cut(links, lasts);
                Ok(())
            }
            Event::Order { node, input } => {
                self.servers[node].post(input);
                self.turn(node)
            }
            Event::Isolate { node, lasts } => {
                self.isolate(node, lasts);
                Ok(())
            }
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

    pub(crate) fn disk(&self, node: usize) -> &SimDisk {
        &self.servers[node].disk
    }
}
