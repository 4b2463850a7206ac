//! One node in the world: the production replica, its disk, and what was last seen of it.

mod clock;
mod input;
mod process;

pub(crate) use clock::Clock;
pub(crate) use input::{AskedKind, Input};
pub(crate) use process::{Process, Running, Seen};

use crate::caught::caught;
use crate::disk::{Done, SimDisk};
use crate::ghost::Ghost;
use crate::options::{Broken, Invariant};
use crate::plan::Plan;
use crate::script::Script;
use crate::shadow::{Shadow, State, installs_snapshot};
use input::take;
use process::{Passing, seen};
use raft::{Config, Configuration, HardState, Index, Life, LogPosition, NodeId, Raft, RoleKind, Storage};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use replica::{OpenError, Outbox, Replica};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How many inputs wait for a node at most, as in a socket's buffer; what exceeds it is lost.
const INBOX_MAX: usize = 4096;

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

/// Runs production code. A panic of it is a broken invariant, and ends the run.
fn guarded<T>(node: NodeId, run: impl FnOnce() -> T) -> Result<T, Broken> {
    caught(run).map_err(|words| Broken {
        invariant: Invariant::Assertion,
        what: format!("{node}: {words}"),
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
        // Drawn beside what decides all the rest, so that it is the seed's and changes nothing else.
        options.secret = random.clone().random();
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
            log_bytes: replica.log_space().0,
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

    /// Between the first part and the second: a leader's write is begun. `Ok(Err(…))`: the process stops.
    pub(crate) fn begin_write(
        &mut self,
        ghost: &mut Ghost,
        script: &mut Script,
    ) -> Result<Result<(), replica::Fatal>, Broken> {
        self.use_disk(ghost, script, |running| running.replica.begin_write())
    }

    /// The last part. `Ok(Err(…))`: the process stops.
    pub(crate) fn carry_out(
        &mut self,
        out: &mut Outbox,
        ghost: &mut Ghost,
        script: &mut Script,
    ) -> Result<Result<(), replica::Fatal>, Broken> {
        self.use_disk(ghost, script, |running| {
            let result = running.replica.carry_out(out);
            let (bytes, most) = running.replica.log_space();
            let before = std::mem::replace(&mut running.log_bytes, bytes);
            assert!(
                result.is_err() || bytes <= most.max(before),
                "the log has grown to {bytes} bytes on the disk, and may have {most}"
            );
            result
        })
    }

    /// Has the running process do what may write to the log.
    fn use_disk(
        &mut self,
        ghost: &mut Ghost,
        script: &mut Script,
        act: impl FnOnce(&mut Running) -> Result<(), replica::Fatal>,
    ) -> Result<Result<(), replica::Fatal>, Broken> {
        let (id, place) = (self.id, self.place());
        let Some(running) = self.running_mut() else {
            return Ok(Ok(()));
        };
        let was_to_write = running.replica.is_about_to_write();
        let result = guarded(id, || act(running))?;
        let has_written = was_to_write && !running.replica.is_about_to_write();
        self.disk.take_journal(&mut self.journal);
        // (Not all that is written to the log was asked for by the core.)
        if script.is_on() && result.is_ok() && has_written {
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
