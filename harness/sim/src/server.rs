//! One node in the world: the production replica, its disk, and what was last seen of it.

use crate::disk::{Done, SimDisk};
use crate::ghost::Ghost;
use crate::options::{Broken, Invariant};
use crate::plan::Plan;
use crate::script::Script;
use crate::shadow::{Shadow, State, installs_snapshot};
use bytes::Bytes;
use raft::{
    Config, Configuration, Event, HardState, Index, Life, LogPosition, Logger, NodeId, Raft, RoleKind,
    Storage, Term,
};
use rand_chacha::ChaCha8Rng;
use replica::{OpenError, Outbox, Replica, Ticket};
use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use wire::client::MemberChange;
use wire::peer::Packet;
use wire::record::{Command, Once};

/// How many inputs wait for a node at most, as in a socket's buffer; what exceeds it is lost.
const INBOX_MAX: usize = 4096;

#[derive(Debug)]
pub(crate) enum Input {
    Tick,
    Campaign,
    Change {
        ticket: Ticket,
        changes: Vec<MemberChange>,
    },
    Transfer {
        ticket: Ticket,
        to: NodeId,
    },
    Snapshot {
        ticket: Ticket,
    },
    /// Messages to this node may have been lost.
    Unreachable(NodeId),
    /// With its number on its link, and the place of its sender.
    Packet {
        packet: Packet,
        from: usize,
        message: u64,
    },
    Command {
        ticket: Ticket,
        client: usize,
        /// Its name in a session, if it is of one.
        once: Option<Once>,
        command: Command,
    },
    OpenSession {
        ticket: Ticket,
        client: usize,
    },
    Read {
        ticket: Ticket,
        client: usize,
        key: Bytes,
    },
}

/// A request that was handed to a node and not answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) client: usize,
    pub(crate) kind: AskedKind,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum AskedKind {
    /// Where the command was appended, if it was.
    Command(Option<LogPosition>),
    /// What had been acknowledged when the read came.
    Read {
        acknowledged: Index,
        /// Whether the node had a lease then.
        by_lease: bool,
    },
}

/// A node's clock. It never goes back, and goes on while processes are stopped or gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// How long a tick of it is, in true time.
    pub(crate) tick: u64,
    /// How long one is for the node itself.
    nominal: u64,
    /// Since when it goes at this rate, and what it showed then.
    since: u64,
    shown: u64,
}

impl Clock {
    pub(crate) fn new(nominal: u64, tick: u64) -> Clock {
        Clock {
            tick,
            nominal,
            since: 0,
            shown: 0,
        }
    }

    /// It goes at another rate from `now` on.
    pub(crate) fn go_on(&mut self, now: u64, tick: u64) {
        *self = Clock {
            tick,
            since: now,
            shown: self.at(now),
            ..*self
        };
    }

    /// What it shows when it is truly `now`.
    pub(crate) fn at(&self, now: u64) -> u64 {
        self.shown + (now - self.since) * self.nominal / self.tick
    }
}

/// What was last seen of a node; checked against what is seen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) role: RoleKind,
    pub(crate) term: Term,
    pub(crate) commit: Index,
    pub(crate) applied: Index,
    pub(crate) last: LogPosition,
    /// Where its log begins.
    pub(crate) first: Index,
}

/// Remembers configurations: one may come into force and be rolled back between two looks at its server, and decide something meanwhile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passing(Rc<RefCell<Vec<Arc<Configuration>>>>);

impl Passing {
    /// Those that came into force since the last time.
    pub(crate) fn take(&self) -> Vec<Arc<Configuration>> {
        self.0.take()
    }

    /// Whether one of them is such a one.
    pub(crate) fn any(&self, is_such: impl Fn(&Configuration) -> bool) -> bool {
        self.0.borrow().iter().any(|configuration| is_such(configuration))
    }
}

impl Logger for Passing {
    fn log(&mut self, _: NodeId, event: Event) {
        if let Event::ConfigurationChanged { configuration, .. } = event {
            self.0.borrow_mut().push(configuration);
        }
    }
}

/// A process.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) replica: Replica<SimDisk, Passing>,
    /// The configurations that came into force since it was looked at.
    pub(crate) passing: Passing,
    pub(crate) inbox: VecDeque<Input>,
    pub(crate) asked: BTreeMap<Ticket, Asked>,
    /// What an operator asked for and is not answered.
    pub(crate) ordered: BTreeSet<Ticket>,
    /// From whom a message came: those were told apart by their data folders.
    heard: BTreeSet<NodeId>,
    pub(crate) seen: Seen,
    pub(crate) paused: bool,
    /// Its messages were sent, and its disk is at work.
    pub(crate) in_turn: bool,
    /// The disk was ready while the process was paused.
    pub(crate) disk_done: bool,
}

#[derive(Debug)]
pub(crate) enum Process {
    Up(Box<Running>),
    Down,
    /// Its disk is corrupt, or it was removed and is needed no more: it will not start again.
    Gone,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) id: NodeId,
    pub(crate) disk: SimDisk,
    pub(crate) shadow: Shadow,
    pub(crate) process: Process,
    /// Which process of this node is running, or ran last; events of earlier ones are void.
    pub(crate) incarnation: u64,
    pub(crate) clock: Clock,
    /// A bit of its disk was flipped.
    pub(crate) rotten: bool,
    /// Until when its disk is slow.
    pub(crate) slow_until: u64,
    /// Who takes part, as was last seen.
    pub(crate) configuration: Configuration,
    /// How long its disk takes.
    pub(crate) disk_random: ChaCha8Rng,
    /// What its processes meet.
    pub(crate) random: ChaCha8Rng,
    turn_inputs_max: usize,
    options: replica::Options,
    /// Whether it takes reads in while it follows.
    follower_reads: bool,
    journal: Vec<Done>,
}

/// The words of a panic.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| String::from(*text));
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| String::from("a panic without words"))
}

/// Runs production code. A panic of it is a broken invariant.
fn guarded<T>(node: NodeId, run: impl FnOnce() -> T) -> Result<T, Broken> {
    // Nothing is used afterwards: the run ends.
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| Broken {
        invariant: Invariant::Assertion,
        what: format!("{node}: {}", words(&*panic)),
    })
}

/// What a disk would have to hold for `raft` to have started from it.
fn state<S: Storage>(raft: &Raft<S>) -> State {
    let base = raft.first_index().previous();
    let term_at = |index| {
        raft.log_term(Index(index))
            .expect("an index up to the last has a term")
    };
    State {
        hard_state: HardState {
            term: raft.term(),
            vote: raft.vote(),
            commit: raft.commit_index(),
        },
        base: LogPosition {
            term: term_at(base.0),
            index: base,
        },
        terms: (base.next().0..=raft.last().index.0).map(term_at).collect(),
    }
}

/// What a tick leads to, as the commands of a golden script.
fn tick_in_script(replica: &Replica<SimDisk, Passing>, place: usize, script: &mut Script) {
    let due = replica.core().due();
    let inputs = [
        (due.heartbeat, "heartbeat"),
        (due.quorum_check, "quorum-check"),
        (due.leader_silent, "silent"),
        (due.election, "timeout"),
        (due.read, "read-timeout"),
        (due.reads_given_up, "give-reads-up"),
    ];
    for (_, words) in inputs.into_iter().filter(|(is_due, _)| *is_due) {
        script.command(|| format!("{words} {}", place + 1));
    }
}

/// Changes as the words of a golden script.
fn in_script(changes: &[MemberChange]) -> String {
    let signed = changes.iter().map(|change| match change {
        MemberChange::Promote { node } => format!(" +{node}"),
        MemberChange::AddLearner { node, .. } | MemberChange::Demote { node } => format!(" ~{node}"),
        MemberChange::Remove { node } => format!(" -{node}"),
    });
    signed.collect()
}

/// Hands one input to a process.
fn take(
    running: &mut Running,
    input: Input,
    acknowledged: Index,
    by_turns: bool,
    (place, script): (usize, &mut Script),
) {
    let Running {
        replica,
        asked,
        ordered,
        heard,
        ..
    } = running;
    let node = place + 1;
    match input {
        Input::Tick => {
            if script.is_on() {
                tick_in_script(replica, place, script);
            }
            replica.tick();
        }
        Input::Campaign => {
            if replica.core().raft().role() != RoleKind::Leader {
                script.command(|| format!("campaign {node}"));
            }
            replica.campaign();
        }
        Input::Change { ticket, changes } => {
            script.command(|| format!("change {node}{}", in_script(&changes)));
            ordered.insert(ticket);
            replica.reconfigure(ticket, &changes);
        }
        Input::Transfer { ticket, to } => {
            script.command(|| format!("transfer {node} {}", to.0));
            ordered.insert(ticket);
            replica.transfer(ticket, to);
        }
        Input::Snapshot { ticket } => {
            ordered.insert(ticket);
            replica.snapshot(ticket);
        }
        Input::Unreachable(peer) => {
            script.command(|| format!("unreachable {node} {}", peer.0));
            replica.unreachable(peer);
        }
        Input::Packet {
            packet,
            from,
            message,
        } => {
            if script.is_on() {
                script.taken("deliver", from, place, message);
                script.consequence(&packet.to_string());
            }
            // Nodes say hello before anything else, and name their data folders: here those have the nodes' ids. A golden script's
            // configurations have nothing of them.
            let sender = NodeId(from as u64 + 1);
            if !by_turns && heard.insert(sender) {
                replica.heard_of(sender, u128::from(sender.0));
            }
            replica.step(packet);
        }
        Input::Command {
            ticket,
            client,
            once,
            command,
        } => {
            let before = replica.core().raft().last();
            script.command(|| format!("propose {node} c{}", ticket.0));
            match once {
                Some(once) => replica.command_once(ticket, once, command),
                None => replica.command(ticket, &command),
            }
            let after = replica.core().raft().last();
            let kind = AskedKind::Command((before != after).then_some(after));
            asked.insert(ticket, Asked { client, kind });
        }
        Input::OpenSession { ticket, client } => {
            let before = replica.core().raft().last();
            script.command(|| format!("propose {node} s{}", ticket.0));
            replica.open_session(ticket);
            let after = replica.core().raft().last();
            let kind = AskedKind::Command((before != after).then_some(after));
            asked.insert(ticket, Asked { client, kind });
        }
        Input::Read { ticket, client, key } => {
            let by_lease = replica.core().has_lease();
            let verb = if by_lease { "lease-read" } else { "read" };
            script.command(|| format!("{verb} {node} {}", ticket.0));
            replica.read(ticket, key);
            let kind = AskedKind::Read {
                acknowledged,
                by_lease,
            };
            asked.insert(ticket, Asked { client, kind });
        }
    }
}

fn seen<S: Storage>(raft: &Raft<S>) -> Seen {
    Seen {
        role: raft.role(),
        term: raft.term(),
        commit: raft.commit_index(),
        applied: raft.applied_index(),
        last: raft.last(),
        first: raft.first_index(),
    }
}

impl Server {
    pub(crate) fn new(
        id: NodeId,
        clock: Clock,
        plan: &Plan,
        (disk_random, random): (ChaCha8Rng, ChaCha8Rng),
        mutate: impl FnOnce(&mut replica::Options),
    ) -> Server {
        // Who waits to be added knows of no cluster.
        let takes_part = id.0 <= plan.voters;
        let voters = (1..=plan.voters).filter(|_| takes_part).map(NodeId).collect();
        let mut options = replica::Options::new(id, String::from("simulated"), voters);
        options.incarnation = u128::from(id.0);
        options.raft = Config {
            pre_vote: plan.pre_vote,
            check_quorum: plan.check_quorum,
            lease: plan.lease.map(Duration::from_micros),
            append_entries_max: plan.append_entries_max,
            in_flight_messages_max: plan.in_flight_messages_max,
            uncommitted_bytes_max: plan.uncommitted_bytes_max,
            apply_bytes_max: plan.apply_bytes_max,
            ..Config::new(id)
        };
        options.timing = plan.timing;
        options.segment_bytes = plan.segment_bytes;
        options.tail_bytes_max = plan.tail_bytes_max;
        options.snapshot_log_bytes = plan.snapshot_log_bytes;
        mutate(&mut options);
        let disk = SimDisk::new();
        disk.keep_journal();
        if plan.beside_max > 0 {
            disk.write_beside();
        }
        Server {
            id,
            disk,
            shadow: Shadow::new(id),
            process: Process::Down,
            incarnation: 0,
            clock,
            rotten: false,
            slow_until: 0,
            configuration: Configuration::default(),
            disk_random,
            random,
            turn_inputs_max: plan.turn_inputs_max,
            options,
            follower_reads: plan.follower_reads,
            journal: Vec::new(),
        }
    }

    pub(crate) fn running(&self) -> Option<&Running> {
        match &self.process {
            Process::Up(running) => Some(running),
            Process::Down | Process::Gone => None,
        }
    }

    pub(crate) fn running_mut(&mut self) -> Option<&mut Running> {
        match &mut self.process {
            Process::Up(running) => Some(running),
            Process::Down | Process::Gone => None,
        }
    }

    /// Its place among the servers.
    fn place(&self) -> usize {
        usize::try_from(self.id.0 - 1).expect("servers are few")
    }

    /// Starts a process. `Ok(Err(…))`: it does not start.
    pub(crate) fn start(
        &mut self,
        seed: u64,
        ghost: &mut Ghost,
        script: &mut Script,
    ) -> Result<Result<(), OpenError>, Broken> {
        assert!(self.running().is_none(), "{} runs already", self.id);
        self.incarnation += 1;
        self.options.seed = seed;
        self.options.raft.life = self.follower_reads.then_some(Life(self.incarnation));
        let nothing_unsynced = !self.disk.has_unsynced();
        let passing = Passing::default();
        let opened = guarded(self.id, || {
            Replica::open(self.disk.clone(), &self.options, passing.clone())
        })?;
        self.disk.take_journal(&mut self.journal);
        let replica = match opened {
            Ok(replica) => replica,
            Err(error) => {
                // What an interrupted start wrote holds no entries; what it synced is still counted as unsynced, which is safe.
                self.journal.clear();
                return Ok(Err(error));
            }
        };
        let raft = replica.core().raft();
        let synced = nothing_unsynced || !self.disk.has_unsynced();
        let found = state(raft);
        let landed = self.shadow.durable() != &found;
        // (The last write of the log is repeated when a node starts: that may be such a one, and is found as it is.)
        if found.terms.is_empty() && installs_snapshot(&self.journal) {
            self.shadow.installed_at_start(&found, ghost)?;
            self.journal.clear();
        } else {
            self.shadow.reopened(&found, synced)?;
        }
        self.shadow.follow(&mut self.journal, ghost)?;
        script.restarted(self.place(), landed);
        self.configuration = raft.configuration().clone();
        let seen = Seen {
            role: RoleKind::Follower,
            commit: Index(0),
            applied: Index(0),
            ..seen(raft)
        };
        passing.take();
        self.process = Process::Up(Box::new(Running {
            replica,
            passing,
            inbox: VecDeque::new(),
            asked: BTreeMap::new(),
            ordered: BTreeSet::new(),
            heard: BTreeSet::new(),
            seen,
            paused: false,
            in_turn: false,
            disk_done: false,
        }));
        Ok(Ok(()))
    }

    /// Whether the disk has given the process a reason to stop.
    pub(crate) fn may_fail(&self) -> bool {
        self.disk.is_struck() || self.rotten
    }

    /// Hands an input to the process, if there is one.
    pub(crate) fn post(&mut self, input: Input) {
        if let Some(running) = self.running_mut()
            && running.inbox.len() < INBOX_MAX
        {
            running.inbox.push_back(input);
        }
    }

    /// Takes in what waits, when it is truly `now`. Returns whether there was anything.
    pub(crate) fn take_inputs(
        &mut self,
        now: u64,
        acknowledged: Index,
        script: &mut Script,
    ) -> Result<bool, Broken> {
        let (id, place, most) = (self.id, self.place(), self.turn_inputs_max);
        let has_leases = self.options.raft.lease.is_some();
        let time = Duration::from_micros(self.clock.at(now));
        let Some(running) = self.running_mut() else {
            return Ok(false);
        };
        // Only leases need the time: no session lives as long as a world.
        if has_leases {
            running.replica.time_is(time);
        }
        // A golden script's servers hand out what they have before they take in anything more.
        let by_turns = most == 1;
        let count = if by_turns && running.replica.has_work() {
            0
        } else {
            running.inbox.len().min(most)
        };
        if count == 0 {
            return Ok(false);
        }
        guarded(id, || {
            for _ in 0..count {
                let input = running.inbox.pop_front().expect("so many were counted");
                take(running, input, acknowledged, by_turns, (place, script));
            }
        })?;
        Ok(true)
    }

    /// The first part of a turn.
    pub(crate) fn send(&mut self, out: &mut Outbox) -> Result<(), Broken> {
        let id = self.id;
        match self.running_mut() {
            Some(running) => guarded(id, || running.replica.send(out)),
            None => Ok(()),
        }
    }

    /// The second part, whose answers don't wait for the disk. `Ok(Err(…))`: the process stops.
    pub(crate) fn apply(&mut self, out: &mut Outbox) -> Result<Result<(), replica::Fatal>, Broken> {
        let id = self.id;
        match self.running_mut() {
            Some(running) => guarded(id, || running.replica.apply(out)),
            None => Ok(Ok(())),
        }
    }

    /// Before a turn: takes in that what was on its way to the disk has got there. `Ok(Err(…))`: the process stops.
    pub(crate) fn settle(&mut self) -> Result<Result<(), replica::Fatal>, Broken> {
        let id = self.id;
        match self.running_mut() {
            Some(running) => guarded(id, || running.replica.settle()),
            None => Ok(Ok(())),
        }
    }

    /// The disk carries out what is on its way to it.
    pub(crate) fn land(&mut self, ghost: &mut Ghost) -> Result<(), Broken> {
        self.disk.land();
        self.disk.take_journal(&mut self.journal);
        self.shadow.follow(&mut self.journal, ghost)
    }

    /// The last part. `Ok(Err(…))`: the process stops.
    pub(crate) fn carry_out(
        &mut self,
        out: &mut Outbox,
        ghost: &mut Ghost,
        script: &mut Script,
    ) -> Result<Result<(), replica::Fatal>, Broken> {
        let (id, place) = (self.id, self.place());
        let Some(running) = self.running_mut() else {
            return Ok(Ok(()));
        };
        let writes = running.replica.is_about_to_write();
        let result = guarded(id, || running.replica.carry_out(out))?;
        self.disk.take_journal(&mut self.journal);
        // (Not all that is written to the log was asked for by the core.)
        if script.is_on() && result.is_ok() && writes {
            script.command(|| format!("persist {}", place + 1));
        }
        self.shadow.follow(&mut self.journal, ghost)?;
        Ok(result)
    }

    /// Looks at the node, holds it against what was seen before, and gives back both.
    pub(crate) fn look(&mut self) -> Result<Option<(Seen, Seen)>, Broken> {
        let id = self.id;
        let Some(running) = self.running_mut() else {
            return Ok(None);
        };
        let before = running.seen;
        let now = seen(running.replica.core().raft());
        if before == now {
            return Ok(None);
        }
        running.seen = now;
        let forwards =
            now.term >= before.term && now.commit >= before.commit && now.applied >= before.applied;
        Broken::unless(forwards, Invariant::Monotonicity, || {
            format!("{id}: {before:?}, then {now:?}")
        })?;
        let ordered = now.applied <= now.commit && now.commit <= now.last.index;
        Broken::unless(ordered, Invariant::Order, || format!("{id}: {now:?}"))?;
        Ok(Some((before, now)))
    }
}
