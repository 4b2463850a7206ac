//! The nemesis: what goes wrong with a cluster, and when.
//!
//! A [`Plan`] names kinds of faults; the planner draws from the seed when each begins, how long it lasts and whom it is
//! aimed at (`draft`). Whom that hits is decided when it begins, since leaders change ([`Fault`]). What was done is kept as a
//! [`Schedule`], which can be replayed.

mod act;
mod draft;
mod fault;
mod manner;
mod rates;
mod target;
mod words;

pub use fault::{Aim, Fault, Shape};
pub use manner::Manner;
pub use rates::{Rates, UnknownRates};

use crate::cluster::{Cluster, ClusterError, Observation};
use crate::node_number::NodeNumber;
use draft::{Draft, drafts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long an undo is tried again before it is given up.
const UNDO_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a fault of a disk waits at most for somebody to lead, and one that comes with an operation for that operation.
const AWAITED_TIME_MAX: Duration = Duration::from_secs(2);
/// Between two looks whether it has come.
const AWAITED_INTERVAL: Duration = Duration::from_millis(5);
/// How long it takes at most until another leader is seen, once there is one.
const SEEN_WITHIN: Duration = Duration::from_millis(200);

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// SIGKILL, and later a start on the same data.
    Kill,
    /// SIGSTOP, and later SIGCONT.
    Pause,
    /// Links between nodes are cut, and later healed.
    Partition,
    /// The leader is asked to hand leadership over.
    Transfer,
    /// Nodes are removed, demoted or replaced, and later come back.
    Member,
    /// A majority comes back without its data, and later with it.
    Wipe,
    /// Links between nodes delay what they carry, or carry only so much a second.
    Slow,
    /// Connections between nodes break, fall silent, or are overtaken by newer ones, now and then.
    Flaky,
    /// SIGKILL, and damage to the data meanwhile: it must be mended where nothing is lost by it, and else refused.
    Disk,
    /// Clocks run at another rate, or jump.
    Clock,
    /// SIGKILL, and whatever was not synced is lost, or some of it.
    Power,
    /// SIGKILL at one of the operations that change the disk or sync it.
    CrashPoint,
    /// Whatever takes room on the disk fails.
    Full,
    /// Writes or syncs fail, and what was not durable then never is.
    IoError,
    /// Syncs do not end for a while.
    Stall,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 15] = [
        Kind::Kill,
        Kind::Pause,
        Kind::Partition,
        Kind::Transfer,
        Kind::Member,
        Kind::Wipe,
        Kind::Slow,
        Kind::Flaky,
        Kind::Disk,
        Kind::Clock,
        Kind::Power,
        Kind::CrashPoint,
        Kind::Full,
        Kind::IoError,
        Kind::Stall,
    ];

    /// How many nodes there must be for it to mean anything: one alone has nobody to be parted from, or to hand leadership over to, and of two
    /// nodes none can do without the other's data.
    pub fn nodes_min(self) -> u64 {
        match self {
            Kind::Disk => 3,
            Kind::Partition | Kind::Transfer | Kind::Slow | Kind::Flaky => 2,
            Kind::Kill | Kind::Pause | Kind::Member | Kind::Wipe | Kind::Clock => 1,
            Kind::Power | Kind::CrashPoint | Kind::Full | Kind::IoError | Kind::Stall => 1,
        }
    }

    /// Whether it takes disks that can fail, which not every machine has.
    pub fn takes_disks(self) -> bool {
        match self {
            Kind::Power | Kind::CrashPoint | Kind::Full | Kind::IoError | Kind::Stall => true,
            Kind::Kill
            | Kind::Pause
            | Kind::Partition
            | Kind::Transfer
            | Kind::Member
            | Kind::Wipe
            | Kind::Slow
            | Kind::Flaky
            | Kind::Disk
            | Kind::Clock => false,
        }
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Kill => "kill",
            Kind::Pause => "pause",
            Kind::Partition => "partition",
            Kind::Transfer => "transfer",
            Kind::Member => "member",
            Kind::Wipe => "wipe",
            Kind::Slow => "slow",
            Kind::Flaky => "flaky",
            Kind::Disk => "disk",
            Kind::Clock => "clock",
            Kind::Power => "power",
            Kind::CrashPoint => "crash-point",
            Kind::Full => "full",
            Kind::IoError => "io-error",
            Kind::Stall => "stall",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no kind of fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no nemesis {0:?}; there are kill, pause, partition, transfer, member, wipe, slow, flaky, disk, clock, power, crash-point, full, io-error, stall, all and none"
)]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Kind, UnknownKind> {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

/// What a nemesis is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which kinds of faults.
    pub kinds: Vec<Kind>,
    /// From the start of one to the start of the next; less where the time limit is too short for two of each kind.
    pub interval: Duration,
    /// For how long.
    pub time_limit: Duration,
    /// Decides everything that is random.
    pub seed: u64,
    /// Between which rates clocks run that are wrong.
    pub clock_rates: Rates,
    /// What an earlier run did, to be done again.
    pub replay: Option<Schedule>,
}

/// What was done: enough to do it again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// In the order of their starts.
    pub faults: Vec<ScheduledFault>,
}

impl Schedule {
    /// Whether there is a fault of `kind`.
    pub fn has(&self, kind: Kind) -> bool {
        self.faults.iter().any(|fault| fault.fault.kind() == kind)
    }
}

/// A fault, when it began, and when it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledFault {
    /// When it began, in milliseconds from the nemesis's beginning.
    pub start_ms: u64,
    /// When its undoing began, in milliseconds from there.
    pub stop_ms: u64,
    /// Whom it was aimed at. A replay aims at the leader where this did: another node may lead this time.
    pub aim: Aim,
    /// What it was, with its targets.
    pub fault: Fault,
}

/// Whether a fault begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It begins.
    Start,
    /// It ends.
    Stop,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Start => "start",
            Phase::Stop => "stop",
        })
    }
}

/// A fault begins or ends.
#[derive(Clone, Debug)]
pub struct FaultEvent {
    /// Since the nemesis began.
    pub at: Duration,
    /// Its kind.
    pub kind: Kind,
    /// Which of the two.
    pub phase: Phase,
    /// Whom it hits, in words: `leader n3`, `halves n1 n2 | n3 n4 n5`.
    pub targets: String,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What was done.
    pub schedule: Schedule,
    /// How many faults of each kind were begun.
    pub applied: BTreeMap<Kind, u32>,
    /// How many of them were seen to take effect: a process gone, a process standing still, bytes swallowed or late, another leader, damaged
    /// data refused, a time asked for, operations of the disk that failed or did not end, something that was not durable when the power went.
    pub took_effect: BTreeMap<Kind, u32>,
    /// What went wrong with the nemesis itself.
    pub troubles: Vec<String>,
}

/// Injects faults into a cluster.
pub struct Nemesis {
    drafts: Vec<Draft>,
    cluster: Cluster,
    leave: CancellationToken,
}

impl Nemesis {
    /// A nemesis that will do as planned.
    pub fn new(plan: Plan, cluster: Cluster) -> Nemesis {
        let drafts = match plan.replay {
            Some(schedule) => schedule.faults.into_iter().map(Draft::from).collect(),
            None => drafts(&plan, cluster.nodes().len()),
        };
        Nemesis {
            drafts,
            cluster,
            leave: CancellationToken::new(),
        }
    }

    /// The same, which leaves everything as it is, and at once, when `leave` says so.
    pub fn leaving(self, leave: CancellationToken) -> Nemesis {
        Nemesis { leave, ..self }
    }

    /// Injects faults, one after another, until all are done or `stop` says so; what has begun is undone.
    pub async fn run(self, mut events: impl FnMut(FaultEvent) + Send, stop: CancellationToken) -> Outcome {
        let begun = Instant::now();
        let mut outcome = Outcome::default();
        for draft in &self.drafts {
            if !sleep_until(begun + draft.start, &stop).await || self.leave.is_cancelled() {
                break;
            }
            // Where nobody leads nothing is written, and what befalls disks then befalls nobody.
            if draft.kind().takes_disks() {
                self.leave.run_until_cancelled(self.somebody_leads(&stop)).await;
                if stop.is_cancelled() || self.leave.is_cancelled() {
                    break;
                }
            }
            let fault = draft.aimed(&self.cluster);
            let kind = fault.kind();
            let mut targets = fault.describe(draft.aim);
            if draft.aim.follows_leader() && self.cluster.observe().leader.is_none() {
                targets.push_str(", though no leader was seen");
            }
            let mut tell = |phase| {
                let event = FaultEvent {
                    at: begun.elapsed(),
                    kind,
                    phase,
                    targets: targets.clone(),
                };
                events(event);
            };
            let start_ms = millis(begun.elapsed());
            // Where the undoing of the one before took long, this one begins late, and lasts as long as it was to nevertheless.
            let late = begun.elapsed().saturating_sub(draft.start);
            let stop_at = begun + draft.stop + late;
            tell(Phase::Start);
            *outcome.applied.entry(kind).or_default() += 1;
            let harmed = fault.harmed(&self.cluster);
            let led = Led::by(&self.cluster.observe());
            let mut effective = match self.leave.run_until_cancelled(fault.begin(&self.cluster)).await {
                Some(Ok(())) => true,
                Some(Err(error)) => {
                    outcome.troubles.push(error.to_string());
                    false
                }
                None => false,
            };
            effective &= match kind {
                // Who led already has answered that it leads, and nothing has happened.
                Kind::Transfer => led.has_ended(&self.cluster, stop_at, &stop).await,
                Kind::Kill | Kind::Pause | Kind::Member | Kind::Wipe | Kind::Disk | Kind::Clock => true,
                // What they harmed shows when they end.
                Kind::Partition | Kind::Slow | Kind::Flaky => true,
                Kind::Power | Kind::CrashPoint | Kind::Full | Kind::IoError | Kind::Stall => true,
            };
            sleep_until(stop_at, &stop).await;
            self.leave.run_until_cancelled(self.awaited(&fault, &stop)).await;
            let stop_ms = millis(begun.elapsed());
            effective &= match (harmed, fault.harmed(&self.cluster)) {
                (Some(before), Some(after)) => after > before,
                (_, None) | (None, _) => true,
            };
            let undone = self.leave.run_until_cancelled(undo(&fault, &self.cluster)).await;
            if let Some(undone) = undone {
                outcome
                    .troubles
                    .extend(undone.err().map(|error| error.to_string()));
                tell(Phase::Stop);
            }
            *outcome.took_effect.entry(kind).or_default() += u32::from(effective);
            outcome.schedule.faults.push(ScheduledFault {
                start_ms,
                stop_ms,
                aim: draft.aim,
                fault,
            });
        }
        outcome
    }

    /// Waits for a while until somebody is seen to lead, if anybody ever was.
    async fn somebody_leads(&self, stop: &CancellationToken) {
        let mut observations = self.cluster.subscribe();
        let leads = observations.wait_for(|seen| seen.leader.is_some() || seen.term == 0);
        tokio::select! {
            _ = leads => {}
            _ = sleep_until(Instant::now() + AWAITED_TIME_MAX, stop) => {}
        }
    }

    /// Waits for a while until what `fault` is about has come, where that is not only a time.
    async fn awaited(&self, fault: &Fault, stop: &CancellationToken) {
        let limit = Instant::now() + AWAITED_TIME_MAX;
        while fault.is_pending(&self.cluster) && Instant::now() < limit {
            if !sleep_until(Instant::now() + AWAITED_INTERVAL, stop).await {
                return;
            }
        }
    }
}

/// Who led in which term, as far as it was seen.
struct Led {
    leader: Option<NodeNumber>,
    term: u64,
}

impl Led {
    fn by(seen: &Observation) -> Led {
        Led {
            leader: seen.leader,
            term: seen.term,
        }
    }

    /// Whether somebody leads, and it is another one or in another term.
    fn is_over_in(&self, seen: &Observation) -> bool {
        seen.leader.is_some() && (seen.leader, seen.term) != (self.leader, self.term)
    }

    /// Waits until another one is seen to lead, or in another term; `false` if `limit` or `stop` came first. What is seen is a few
    /// milliseconds old.
    async fn has_ended(&self, cluster: &Cluster, limit: Instant, stop: &CancellationToken) -> bool {
        let mut observations = cluster.subscribe();
        let changed = observations.wait_for(|seen| self.is_over_in(seen));
        // A fault that is over at once is seen a moment later, if ever.
        let limit = limit.max(Instant::now() + SEEN_WITHIN);
        tokio::select! {
            changed = changed => changed.is_ok(),
            _ = sleep_until(limit, stop) => false,
        }
    }
}

/// Faults off: links healed, clocks put right, paused nodes resumed, nodes that are down started, members what they were at the beginning.
///
/// # Errors
/// A node can't be resumed or started, or the members can't be put right.
pub async fn heal_everything(cluster: &Cluster) -> Result<(), ClusterError> {
    cluster.heal_all();
    for node in cluster.all_nodes() {
        cluster.put_clock_right(node)?;
        cluster.heal_disk(node);
    }
    for node in cluster.nodes() {
        if cluster.is_without_data(node) {
            cluster.kill(node).await?;
            cluster.give_data_back(node).await?;
        }
        if cluster.is_paused(node) {
            cluster.resume(node).await?;
        }
        if !cluster.is_up(node) && !cluster.is_damaged(node) {
            cluster.restart(node).await?;
        }
    }
    if cluster.was_reconfigured() || cluster.nodes().iter().any(|node| cluster.is_damaged(*node)) {
        act::put_members_right(cluster).await?;
    }
    Ok(())
}

/// Undoes a fault; what fails is tried again for a while, since a node that is being started may need a moment.
async fn undo(fault: &Fault, cluster: &Cluster) -> Result<(), ClusterError> {
    let begun = Instant::now();
    loop {
        match fault.end(cluster).await {
            Err(_) if begun.elapsed() < UNDO_TIME_MAX => tokio::time::sleep(Duration::from_millis(100)).await,
            done => return done,
        }
    }
}

/// Sleeps; `false` if `stop` came first.
async fn sleep_until(time: Instant, stop: &CancellationToken) -> bool {
    // Where both are so, nothing may begin any more.
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = tokio::time::sleep_until(time.into()) => true,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("a run ends within 500 million years")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leadership_was_handed_over_if_another_one_leads_or_in_another_term() {
        let seen = |leader, term| Observation {
            leader,
            term,
            ..Observation::default()
        };
        let led = Led::by(&seen(Some(2), 7));
        assert!(
            !led.is_over_in(&seen(Some(2), 7)),
            "it was asked to hand over to itself"
        );
        assert!(!led.is_over_in(&seen(None, 8)), "nobody has won yet");
        assert!(led.is_over_in(&seen(Some(1), 8)) && led.is_over_in(&seen(Some(2), 8)));
        assert!(Led::by(&seen(None, 7)).is_over_in(&seen(Some(1), 7)));
    }
}
