//! One test, from the start of its cluster to its verdict.

use crate::client::{AddressOf, Client};
use crate::cluster::{Binary, Cluster, ClusterError, ClusterSpec, Timing};
use crate::nemesis::{self, FaultEvent, Nemesis, Phase, Plan};
use crate::record::{Counts, Recorder};
use crate::report::{Live, Results, duration};
use crate::run::directory::{DirectoryError, RunDirectory, Test};
use crate::run::judge::{CHECK_BYTES_MAX, CHECK_TIME_MAX, JudgeError, judge};
use crate::run::load::{self, Load};
use crate::run::verdict::{Findings, conclude};
use crate::run::{finish, narrate};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use workloads::{Setting, Workload};

/// How long a fresh cluster may take to serve.
pub const START_MAX: Duration = Duration::from_secs(10);
/// How long the cluster is loaded before the nemesis begins: this,
const CALM_MAX: Duration = Duration::from_secs(1);
/// or this part of the time limit, if that is less.
const CALM_SHARE: f64 = 0.2;

/// What a test needs of its surroundings.
pub(super) struct Surroundings<'a> {
    pub(super) binary: &'a Binary,
    pub(super) directory: &'a RunDirectory,
    pub(super) live: &'a Arc<Live>,
    /// Cancelled when whoever watches wants it to end.
    pub(super) interrupt: &'a CancellationToken,
    /// Stands before each status line.
    pub(super) label: String,
}

/// Why a test came to no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum TestError {
    #[error("{0}")]
    Cluster(#[from] ClusterError),
    #[error("{0}")]
    Directory(#[from] DirectoryError),
    #[error("the history can't be made: {0}")]
    History(std::io::Error),
    #[error("{0}")]
    Recorder(String),
    #[error("the history of this run can't be judged: {0}")]
    Judge(#[from] JudgeError),
}

/// What the time under load came to.
pub(super) struct Loaded {
    /// How long it was.
    pub(super) took: Duration,
    /// How long nothing was wrong, and what was completed by then.
    pub(super) calm: Duration,
    pub(super) counts_when_calm: Counts,
    pub(super) outcome: nemesis::Outcome,
}

/// Runs a test. The cluster is handed back running; whoever gets it stops it.
pub(super) async fn run(
    test: &mut Test,
    surroundings: &Surroundings<'_>,
) -> Result<(Results, Cluster), TestError> {
    let replayed = test.schedule.take();
    let live = surroundings.live;
    let cluster_id = format!("harness-{}", test.seed);
    live.doing("starting the nodes");
    let begun = Instant::now();
    let cluster = Cluster::start(ClusterSpec {
        binary: surroundings.binary.clone(),
        nodes: test.options.nodes,
        cluster_id: cluster_id.clone(),
        dir: surroundings.directory.path().to_owned(),
        seed: test.seed,
        timing: Timing::default(),
        extra_args: test.options.node_args.clone(),
    })
    .await?;
    let served = tokio::select! {
        served = cluster.wait_serving(START_MAX) => served.map(|_| begun.elapsed()),
        () = surroundings.interrupt.cancelled() => Err(ClusterError::NotServing(begun.elapsed())),
    };
    let mut findings = Findings::default();
    match served {
        Ok(after) => {
            findings.start = Some(after);
            live.event(Duration::ZERO, &format!("{} nodes serve, {} after their start", test.options.nodes, duration(after)));
            load_and_finish(test, replayed, surroundings, &cluster, &cluster_id, &mut findings).await?;
        }
        Err(error @ ClusterError::NotServing(_)) => findings.objections.push(format!("{error} after its start")),
        Err(error) => return Err(error.into()),
    }
    findings.exits = cluster.unexpected_exits();
    findings.elections = cluster.observe().elections;
    surroundings.directory.write_test(test)?;
    if findings.start.is_some() {
        live.doing("checking");
        let path = surroundings.directory.history();
        let judged = tokio::task::spawn_blocking(move || judge(&path, CHECK_TIME_MAX, CHECK_BYTES_MAX));
        findings.judged = Some(judged.await.expect("the check does not panic")?);
    }
    Ok((conclude(test, surroundings.directory.path(), findings), cluster))
}

async fn load_and_finish(
    test: &mut Test,
    replayed: Option<nemesis::Schedule>,
    surroundings: &Surroundings<'_>,
    cluster: &Cluster,
    cluster_id: &str,
    findings: &mut Findings,
) -> Result<(), TestError> {
    let options = &test.options;
    let workload = workloads::by_name(&options.workload).expect("the name was checked");
    let history = surroundings.directory.history();
    let recorder = Recorder::create(&history, workload.name()).map_err(TestError::History)?;
    let recorder = Arc::new(recorder);
    let stop = CancellationToken::new();
    let load = Arc::new(Load::new(Arc::clone(&recorder), generator(workload, test), stop.clone()));
    let of_addresses = cluster.clone();
    let address_of: AddressOf = Arc::new(move |node| of_addresses.client_address(node));

    let loaded = under_load(test, replayed, surroundings, cluster, &load, &recorder, &address_of, stop).await;
    test.schedule = Some(loaded.outcome.schedule.clone());
    surroundings.live.doing("healing");
    match finish::recover(cluster).await {
        Ok(took) => {
            findings.recovery = Some(took);
            surroundings.live.event(recorder.elapsed(), &format!("healed, and serving after {}", duration(took)));
            surroundings.live.doing("final reads");
            let reads = finish::read_everywhere(cluster, &load, cluster_id, options.timeout, &address_of);
            findings.objections.extend(reads.await.err());
        }
        Err(error) => findings.objections.push(format!("the cluster did not come back: {error}")),
    }
    drop(load);
    let recorder = Arc::into_inner(recorder).expect("nobody else holds the recorder any more");
    findings.tally = recorder.finish().map_err(TestError::Recorder)?;
    findings.loaded = Some(loaded);
    if surroundings.interrupt.is_cancelled() {
        findings.notes.push(String::from("the run was interrupted; what is there was checked"));
    }
    Ok(())
}

fn generator(workload: &dyn Workload, test: &Test) -> Box<dyn workloads::Generator> {
    workload.generator(Setting {
        seed: test.seed,
        nodes: usize::try_from(test.options.nodes).expect("a cluster has fewer nodes than memory has bytes"),
        concurrency: test.options.concurrency,
    })
}

#[expect(clippy::too_many_arguments, reason = "these are the parts of a run, and a struct of them would have this one use")]
async fn under_load(
    test: &Test,
    replayed: Option<nemesis::Schedule>,
    surroundings: &Surroundings<'_>,
    cluster: &Cluster,
    load: &Arc<Load>,
    recorder: &Arc<Recorder>,
    address_of: &AddressOf,
    stop: CancellationToken,
) -> Loaded {
    let options = &test.options;
    let nodes = cluster.nodes();
    let clients = (0..options.concurrency)
        .map(|thread| {
            let home = nodes[thread % nodes.len()];
            Client::new(home, format!("harness-{}", test.seed), Arc::clone(address_of), options.timeout)
        })
        .collect();
    let begun = Instant::now();
    let working = load::start(load, clients, options.rate, begun);
    let fault = Arc::new(Mutex::new(None));
    let narrator = narrate::start(surroundings, cluster, recorder, &fault);

    let calm = CALM_MAX.min(options.time_limit.mul_f64(CALM_SHARE));
    let plan = Plan {
        kinds: options.nemesis.clone(),
        interval: options.nemesis_interval,
        time_limit: options.time_limit - calm,
        seed: test.seed,
        replay: replayed,
    };
    let nemesis = {
        let (cluster, stop, recorder) = (cluster.clone(), stop.clone(), Arc::clone(recorder));
        let (live, fault) = (Arc::clone(surroundings.live), Arc::clone(&fault));
        tokio::spawn(async move {
            let mut first = None;
            tokio::select! {
                () = tokio::time::sleep(calm) => {}
                () = stop.cancelled() => {}
            }
            let tell = |event: FaultEvent| {
                if first.is_none() {
                    first = Some((recorder.elapsed(), recorder.counts()));
                }
                remark(&event, &recorder, &live, &fault);
            };
            let outcome = Nemesis::new(plan, cluster).run(tell, stop).await;
            (first, outcome)
        })
    };
    until_over(options.time_limit, surroundings.interrupt, cluster, recorder).await;
    stop.cancel();
    let (first, outcome) = nemesis.await.expect("the nemesis does not panic");
    working.join_all().await;
    narrator.abort();
    // It holds the recorder until it has ended; that it was aborted is no news.
    let _ = narrator.await;
    let took = begun.elapsed();
    let (calm, counts_when_calm) = first.unwrap_or_else(|| (took, recorder.counts()));
    Loaded { took, calm, counts_when_calm, outcome }
}

/// Waits until the load's time is over, or it makes no sense any more.
async fn until_over(limit: Duration, interrupt: &CancellationToken, cluster: &Cluster, recorder: &Recorder) {
    let broken = async {
        let mut look = tokio::time::interval(Duration::from_millis(50));
        while cluster.unexpected_exits().is_empty() && recorder.failure().is_none() {
            look.tick().await;
        }
    };
    tokio::select! {
        () = tokio::time::sleep(limit) => {}
        () = interrupt.cancelled() => {}
        () = broken => {}
    }
}

fn remark(event: &FaultEvent, recorder: &Recorder, live: &Live, fault: &Mutex<Option<String>>) {
    let at = recorder.remark(&format!("{} {}", event.kind, event.phase), &event.targets);
    let mut fault = fault.lock().expect("nothing panics while it holds the lock");
    match event.phase {
        Phase::Start => {
            live.event(at, &format!("{:<9}  {}", event.kind, event.targets));
            *fault = Some(format!("{} {}", event.kind, event.targets));
        }
        Phase::Stop => {
            live.event(at, &format!("{:<9}  over", event.kind));
            *fault = None;
        }
    }
}

