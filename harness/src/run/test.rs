//! One test, from the start of its cluster to its verdict.

use crate::cluster::{Cluster, ClusterError, ClusterSpec, Hosts, Observation, Timing};
use crate::nemesis::{self, FaultEvent, Nemesis, Phase, Plan, Schedule};
use crate::record::{Counts, Recorder, Tally};
use crate::report::{EarlyEnd, Live, Results, duration};
use crate::run::directory::{DirectoryError, RunDirectory};
use crate::run::judge::{Request, judge};
use crate::run::load::{self, Load, MakeClient};
use crate::run::online::Online;
use crate::run::recorded::Test;
use crate::run::verdict::{Findings, conclude};
use crate::run::{Options, finish, narrate, options};
use crate::systems::{Clients, System};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use workloads::{Setting, Workload};

/// How long a fresh cluster may take to serve.
pub const START_MAX: Duration = Duration::from_secs(10);
/// How long the cluster is loaded before the nemesis begins: this,
const CALM_MAX: Duration = Duration::from_secs(1);
/// or this part of the time limit, if that is less.
const CALM_SHARE: f64 = 0.2;
/// How long the check beside a test may take, behind the last final read, to come to it.
const CATCHING_UP_MAX: Duration = Duration::from_secs(10);
/// Between two looks whether the load still makes sense.
const BROKEN_INTERVAL: Duration = Duration::from_millis(50);

/// What a test needs of its surroundings.
pub(super) struct Surroundings<'a> {
    pub(super) system: &'a System,
    /// Where its nodes run; `None`: on this machine.
    pub(super) hosts: Option<&'a Hosts>,
    /// What there is to say of that.
    pub(super) remark: Option<&'a str>,
    pub(super) directory: &'a RunDirectory,
    pub(super) live: &'a Arc<Live>,
    /// Cancelled when whoever watches wants it to end.
    pub(super) interrupt: &'a CancellationToken,
    /// Stands before each status line.
    pub(super) label: String,
    /// Whether the nodes are left running.
    pub(super) keep_running: bool,
}

/// Why a test could not be carried through.
#[derive(Debug, thiserror::Error)]
pub(super) enum TestError {
    #[error("{0}")]
    Cluster(#[from] ClusterError),
    #[error("{0}")]
    Directory(#[from] DirectoryError),
    #[error("the check of the history panicked")]
    Check,
}

/// What came of a test.
pub(super) struct Tested {
    pub(super) results: Results,
    /// Its cluster if it is to be left running; whoever gets it stops it.
    pub(super) cluster: Option<Cluster>,
    /// Why the test could not be carried through, if so; the results say it too.
    pub(super) error: Option<TestError>,
}

/// What the time under load came to.
pub(super) struct Loaded {
    /// How long operations were begun.
    pub(super) took: Duration,
    /// How long nothing was wrong, and what was completed by then.
    pub(super) calm: Duration,
    pub(super) counts_when_calm: Counts,
    /// What was completed before the final reads.
    pub(super) tally: Tally,
    pub(super) outcome: nemesis::Outcome,
}

/// A test whose cluster runs.
struct Running<'a> {
    test: &'a Test,
    surroundings: &'a Surroundings<'a>,
    cluster: &'a Cluster,
    recorder: Arc<Recorder>,
    load: Arc<Load>,
    clients: Clients,
    /// Ends the load.
    stop: CancellationToken,
    /// Ends the nemesis where it is.
    leave: CancellationToken,
    /// The check beside the load and the final reads.
    online: Option<Online>,
}

/// Runs a test. Whatever happens, it has a result.
pub(super) async fn run(test: &mut Test, surroundings: &Surroundings<'_>) -> Tested {
    let mut findings = Findings {
        notes: surroundings.remark.map(str::to_owned).into_iter().collect(),
        ..Findings::default()
    };
    let begun = Instant::now();
    let (cluster, mut error) = match start(test, surroundings).await {
        Ok(cluster) => {
            let carried_out = carry_out(test, surroundings, begun, &cluster, &mut findings).await;
            (Some(cluster), carried_out.err())
        }
        Err(error) => (None, Some(TestError::from(error))),
    };
    if let Some(error) = &error {
        findings.objections.insert(0, error.to_string());
    }
    if surroundings.interrupt.is_cancelled() {
        findings
            .objections
            .insert(0, String::from("the run was interrupted"));
    }
    let live = surroundings.live;
    if let Some(cluster) = &cluster {
        findings.elections = surroundings.system.elects().then(|| cluster.observe().elections);
        if !surroundings.keep_running {
            live.doing("stopping the nodes");
            let killed = cluster.stop().await.into_iter();
            findings.notes.extend(
                killed.map(|node| format!("node {node} did not stop when it was told to, and was killed")),
            );
            if !(cluster.unexpected_exits().is_empty() && findings.objections.is_empty()) {
                // A node that can't write can't say so either. What it has written goes now, and there would be room again.
                findings.machine = cluster.without_room().await;
            }
            findings.notes.extend(cluster.fetch().await);
        }
    }
    if let Err(error) = surroundings.directory.write_test(test) {
        // The verdict is worth more than the means to repeat the run.
        findings.notes.push(error.to_string());
    }
    if findings.loaded.is_some() {
        live.doing("checking");
        let path = surroundings.directory.history();
        match whatever_it_does(move || judge(&path, &Request::default())).await {
            Ok(Ok(judged)) => findings.judged = Some(judged),
            Ok(Err(error)) => findings
                .objections
                .push(format!("the history of this run can't be judged: {error}")),
            Err(panicked) => {
                findings.objections.push(panicked.to_string());
                error.get_or_insert(panicked);
            }
        }
    }
    if let Some(cluster) = &cluster {
        // Only now: how nodes end that are told to stop tells of them too.
        findings.exits = cluster.unexpected_exits();
        findings.unnoticed = cluster.unnoticed();
        if let Some(lost) = cluster.lost() {
            findings.machine.get_or_insert(lost);
        }
    }
    let has_failed = !(findings.exits.is_empty() && findings.objections.is_empty());
    if let Some(no_room) = has_failed.then(|| surroundings.directory.probe().err()).flatten() {
        // A node that can't write can't say so either: its log is on the same disk.
        findings.machine.get_or_insert(no_room.to_string());
        error = error.map(|_| TestError::Directory(no_room));
    }
    let mut results = conclude(test, surroundings.directory.path(), &findings);
    if let Some(judged) = &findings.judged
        && let Err(error) = surroundings.directory.write_pictures(&results, judged)
    {
        results.notes.push(error.to_string());
    }
    Tested {
        results,
        cluster: cluster.filter(|_| surroundings.keep_running),
        error,
    }
}

/// What comes of checking. Where that panics, what about was said on stderr; the history is there for another check.
async fn whatever_it_does<T: Send + 'static>(
    check: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TestError> {
    let done = tokio::task::spawn_blocking(check).await;
    done.map_err(|_| TestError::Check)
}

/// What is said of a test for which there is no folder.
pub(super) fn not_begun(test: &Test, folder: &Path, error: &DirectoryError) -> Results {
    let findings = Findings {
        objections: vec![error.to_string()],
        ..Findings::default()
    };
    conclude(test, folder, &findings)
}

async fn start(test: &mut Test, surroundings: &Surroundings<'_>) -> Result<Cluster, ClusterError> {
    if let Some(schedule) = &test.schedule {
        // A run that ended early had not come to all kinds of its flags; neither will its replay.
        test.options.nemesis.retain(|kind| schedule.has(*kind));
    }
    surroundings.live.doing("starting the nodes");
    Cluster::start(ClusterSpec {
        system: surroundings.system.clone(),
        nodes: test.options.nodes,
        spares: options::spares(&test.options.nemesis),
        cluster_id: cluster_id(test),
        dir: surroundings.directory.path().to_owned(),
        seed: test.seed,
        timing: Timing::default(),
        extra_args: node_args(&test.options),
        clocks: faces(test, |kind| kind == nemesis::Kind::Clock),
        disks: faces(test, nemesis::Kind::takes_disks),
        hosts: surroundings.hosts.map(Hosts::for_a_cluster),
    })
    .await
}

/// Whether one of its faults, planned or recorded, is such a one.
fn faces(test: &Test, is: impl Fn(nemesis::Kind) -> bool) -> bool {
    let recorded = test.schedule.iter().flat_map(|schedule| &schedule.faults);
    let recorded = recorded.map(|fault| fault.fault.kind());
    let mut kinds = test.options.nemesis.iter().copied().chain(recorded);
    kinds.any(is)
}

/// From the time that the nodes serve to the final reads; `begun` is when they were started.
async fn carry_out(
    test: &mut Test,
    surroundings: &Surroundings<'_>,
    begun: Instant,
    cluster: &Cluster,
    findings: &mut Findings,
) -> Result<(), TestError> {
    let replayed = test.schedule.take();
    let serving = tokio::select! {
        serving = cluster.wait_serving(START_MAX) => Some(serving),
        () = surroundings.interrupt.cancelled() => None,
        () = until_death(cluster) => None,
    };
    match serving {
        Some(Ok(_)) => {
            let after = begun.elapsed();
            findings.start = Some(after);
            let what = format!(
                "{} nodes serve, {} after their start",
                test.options.nodes,
                duration(after)
            );
            surroundings.live.event(Duration::ZERO, &what);
            load_and_finish(test, replayed, surroundings, cluster, findings).await
        }
        Some(Err(error @ ClusterError::NotServing(_))) => {
            findings.objections.push(format!("{error} after its start"));
            Ok(())
        }
        Some(Err(error)) => Err(error.into()),
        None => Ok(()),
    }
}

/// Waits until a node has died by itself, or lives though it should not, or its machine was lost.
async fn until_death(cluster: &Cluster) {
    let mut look = tokio::time::interval(BROKEN_INTERVAL);
    while cluster.unexpected_exits().is_empty() && cluster.unnoticed().is_empty() && cluster.lost().is_none()
    {
        look.tick().await;
    }
}

fn cluster_id(test: &Test) -> String {
    format!("harness-{}", test.seed)
}

async fn load_and_finish(
    test: &mut Test,
    replayed: Option<Schedule>,
    surroundings: &Surroundings<'_>,
    cluster: &Cluster,
    findings: &mut Findings,
) -> Result<(), TestError> {
    let workload = workloads::by_name(&test.options.workload).expect("the name was checked");
    let history = surroundings.directory.history();
    let (online, recorder) = record(workload, &history, test.options.online)
        .map_err(|error| DirectoryError::Write { path: history, error })?;
    let recorder = Arc::new(recorder);
    let stop = CancellationToken::new();
    let generator = workload.generator(setting(test));
    let of_addresses = cluster.clone();
    let mut running = Running {
        test,
        surroundings,
        cluster,
        recorder: Arc::clone(&recorder),
        load: Arc::new(Load::new(Arc::clone(&recorder), generator, stop.clone())),
        clients: Clients {
            site: cluster.site().cloned(),
            address_of: Arc::new(move |node| of_addresses.client_address(node)),
            nodes: cluster.nodes(),
            cluster_id: cluster_id(test),
            timeout: test.options.timeout,
            reads_at_home: test.options.follower_reads,
        },
        stop,
        leave: CancellationToken::new(),
        online,
    };
    let (loaded, mut ended_early) = running.under_load(replayed).await;
    // Of a test that ended before it was healed nobody knows whether it would have recovered.
    let was_healed = ended_early.is_none();
    if was_healed {
        ended_early = running.finish(findings).await;
    }
    if ended_early.is_some() {
        running.give_up(findings).await;
    }
    let online = running.online.take();
    if let Some(online) = &online {
        online.stop();
    }
    drop(running);
    let recorder = Arc::into_inner(recorder).expect("all that recorded has ended");
    findings.tally = recorder.tally();
    findings.recovery = recorder.recovery().filter(|_| was_healed);
    findings.ended_early = ended_early;
    // What reached the file is judged nevertheless.
    findings.machine = recorder.finish().err();
    findings.notes.extend(online.and_then(Online::finish));
    test.schedule = Some(loaded.outcome.schedule.clone());
    findings.loaded = Some(loaded);
    Ok(())
}

/// Begins the history, and if that is wanted, its check.
fn record(
    workload: &'static dyn Workload,
    history: &Path,
    online: bool,
) -> io::Result<(Option<Online>, Recorder)> {
    let online = if online { Online::start(workload)? } else { None };
    let Some((online, listener)) = online else {
        return Ok((None, Recorder::create(history, workload.name())?));
    };
    let recorder = Recorder::create_heard(history, workload.name(), listener)?;
    Ok((Some(online), recorder))
}

fn setting(test: &Test) -> Setting {
    Setting {
        seed: test.seed,
        nodes: usize::try_from(test.options.nodes).expect("a cluster has fewer nodes than memory has bytes"),
        concurrency: test.options.concurrency,
    }
}

/// What each node is told beside what every node is.
fn node_args(options: &Options) -> Vec<String> {
    let follower_reads = options.follower_reads.then(|| String::from("--follower-reads"));
    follower_reads
        .into_iter()
        .chain(options.node_args.iter().cloned())
        .collect()
}

impl Running<'_> {
    /// The time under load, calm at first and then under fault; and the violation that ended it, if one was seen.
    async fn under_load(&self, replayed: Option<Schedule>) -> (Loaded, Option<EarlyEnd>) {
        let options = &self.test.options;
        let clients = self.clients.clone();
        let make_client: MakeClient =
            Arc::new(move |thread| clients.pinned_to(clients.nodes[thread % clients.nodes.len()]));
        let begun = Instant::now();
        let working = load::start(&self.load, options.concurrency, &make_client, options.rate, begun);
        let fault = Arc::new(Mutex::new(None));
        let check = self.online.as_ref().map(Online::progress);
        let narrator = narrate::start(self.surroundings, self.cluster, &self.recorder, &fault, check);
        let nemesis = self.start_nemesis(replayed, fault);
        let ended_early = self.until_over().await;
        let took = begun.elapsed();
        if ended_early.is_some() {
            // Before anything else: what the nodes are like is worth more than what becomes of the operations in flight. The nemesis is told
            // to let nobody go meanwhile.
            self.leave.cancel();
            self.cluster.freeze_all().await;
        } else if self.cluster.lost().is_some() {
            // What it did there can't be undone.
            self.leave.cancel();
        }
        // No operation begins from now on; what has begun, faults to be undone among it, may take its time.
        self.stop.cancel();
        let (first, outcome) = nemesis.await.expect("the nemesis does not panic");
        if let Some(early) = &ended_early {
            // Whom the nemesis was just letting go, or starting.
            self.cluster.freeze_all().await;
            self.tell_frozen(early);
        }
        working.join_all().await;
        narrator.abort();
        // It holds the recorder until it has ended; that it was aborted is no news.
        let _ = narrator.await;
        let tally = self.recorder.tally();
        let (calm, counts_when_calm) = first.unwrap_or_else(|| (took, tally.counts()));
        let loaded = Loaded {
            took,
            calm,
            counts_when_calm,
            tally,
            outcome,
        };
        (loaded, ended_early)
    }

    /// Starts the nemesis, which waits a while first. It hands back when it began its first fault, and what was completed by then.
    fn start_nemesis(
        &self,
        replayed: Option<Schedule>,
        fault: Arc<Mutex<Option<String>>>,
    ) -> JoinHandle<(Option<(Duration, Counts)>, nemesis::Outcome)> {
        let options = &self.test.options;
        let calm = CALM_MAX.min(options.time_limit.mul_f64(CALM_SHARE));
        let plan = Plan {
            kinds: options.nemesis.clone(),
            interval: options.nemesis_interval,
            time_limit: options.time_limit - calm,
            seed: self.test.seed,
            clock_rates: options.clock_rates,
            replay: replayed,
        };
        let nemesis = Nemesis::new(plan, self.cluster.clone()).leaving(self.leave.clone());
        let (stop, recorder) = (self.stop.clone(), Arc::clone(&self.recorder));
        let live = Arc::clone(self.surroundings.live);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = tokio::time::sleep(calm) => {}
            }
            let mut first = None;
            let tell = |event: FaultEvent| {
                if first.is_none() {
                    first = Some((recorder.elapsed(), recorder.counts()));
                }
                remark(&event, &recorder, &live, &fault);
            };
            let outcome = nemesis.run(tell, stop).await;
            (first, outcome)
        })
    }

    /// Waits until the load's time is over, or it makes no sense any more, or a violation is seen.
    async fn until_over(&self) -> Option<EarlyEnd> {
        let unrecorded = async {
            let mut look = tokio::time::interval(BROKEN_INTERVAL);
            while self.recorder.failure().is_none() {
                look.tick().await;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(self.test.options.time_limit) => None,
            () = self.surroundings.interrupt.cancelled() => None,
            () = until_death(self.cluster) => None,
            () = unrecorded => None,
            early = self.violation_seen(false) => Some(early),
        }
    }

    /// Waits until the check beside the test sees a violation, after the test was healed or before.
    async fn violation_seen(&self, healed: bool) -> EarlyEnd {
        let seen = match &self.online {
            Some(online) => online.seen().await,
            None => std::future::pending().await,
        };
        EarlyEnd {
            seconds: self.recorder.elapsed().as_secs_f64(),
            operations: self.recorder.counts().total(),
            object: seen.object,
            healed,
            confirmed: None,
        }
    }

    fn tell_frozen(&self, early: &EarlyEnd) {
        let what = format!("violation  {}; the nodes are frozen", early.object);
        let live = self.surroundings.live;
        live.event(Duration::from_secs_f64(early.seconds), &what);
    }

    /// The end of a test in which a violation was seen: the nodes stand still, and stay as they are.
    async fn give_up(&self, findings: &mut Findings) {
        findings
            .objections
            .push(String::from("the test was ended when a violation was seen"));
        let gone = if self.surroundings.keep_running {
            self.cluster.resume_all().await
        } else {
            self.cluster.kill_all().await
        };
        findings.notes.extend(gone.err().map(|error| error.to_string()));
    }

    /// Faults off, and final reads at each node; and the violation that ended these, if one was seen.
    async fn finish(&self, findings: &mut Findings) -> Option<EarlyEnd> {
        if self.cluster.lost().is_some() {
            // Nobody can heal that, and the verdict will say so.
            return None;
        }
        let live = self.surroundings.live;
        live.doing("healing");
        match finish::recover(self.cluster).await {
            Ok(took) => {
                if !self.test.options.nemesis.is_empty() {
                    live.event(
                        self.recorder.elapsed(),
                        &format!("healed, and serving after {}", duration(took)),
                    );
                }
            }
            Err(error) => {
                findings
                    .objections
                    .push(format!("the cluster did not come back: {error}"));
                return None;
            }
        }
        let reading = async {
            self.read_and_settle(findings).await;
            if let Some(online) = &self.online {
                online.caught_up(self.recorder.bytes(), CATCHING_UP_MAX).await;
            }
        };
        tokio::pin!(reading);
        tokio::select! {
            biased;
            early = self.violation_seen(true) => {
                self.cluster.freeze_all().await;
                self.leave.cancel();
                self.tell_frozen(&early);
                // What was asked of the nodes runs into its time-out.
                reading.await;
                Some(early)
            }
            () = &mut reading => None,
        }
    }

    async fn read_and_settle(&self, findings: &mut Findings) {
        let live = self.surroundings.live;
        live.doing("final reads");
        let nodes = self.cluster.nodes().into_iter();
        let clients = nodes.map(|node| self.clients.pinned_to(node)).collect();
        let read = finish::read_everywhere(&self.load, clients, &self.leave).await;
        if self.leave.is_cancelled() {
            return;
        }
        findings.objections.extend(read.err());
        if !self.cluster.tells_how_it_is() {
            return;
        }
        live.doing("waiting until all nodes are where the others are");
        tokio::select! {
            () = self.leave.cancelled() => {}
            seen = finish::settled(self.cluster, finish::SETTLING_MAX) => {
                findings.divergence = seen.divergence();
                findings.objections.extend(unsettled(&seen));
            }
        }
    }
}

/// The objection to nodes that are not where the others are, though all faults are over.
fn unsettled(seen: &Observation) -> Option<String> {
    let who = seen.unsettled()?;
    let limit = humantime::format_duration(finish::SETTLING_MAX);
    Some(format!(
        "the nodes were given {limit} without faults to agree, and {who}"
    ))
}

fn remark(event: &FaultEvent, recorder: &Recorder, live: &Live, fault: &Mutex<Option<String>>) {
    let at = recorder.remark(&format!("{} {}", event.kind, event.phase), &event.targets);
    let mut fault = fault.lock().expect("nothing panics while it holds the lock");
    match event.phase {
        Phase::Start => {
            live.event(at, &format!("{:<11}  {}", event.kind, event.targets));
            *fault = Some(format!("{} {}", event.kind, event.targets));
        }
        Phase::Stop => {
            recorder.calm_since(at);
            live.event(at, &format!("{:<11}  over", event.kind));
            *fault = None;
        }
    }
}

#[cfg(test)]
mod tests;
