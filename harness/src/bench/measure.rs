//! One measurement: one system, one point, one round.

use super::history::{History, HistoryError};
use super::line::Point;
use super::load::{Course, Load, LoadError, Measured, Questions};
use super::memory::Memory;
use super::placement::PinError;
use super::stages::Stages;
use super::system::{System, SystemError};
use super::{BenchOptions, cpu};
use hdrhistogram::Histogram;
use std::path::Path;
use std::time::Duration;

/// How long a system is loaded before it is measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// How long it may take to write every key once, or to read it.
const EACH_TIME_MAX: Duration = Duration::from_secs(120);

/// How many requests are in flight meanwhile.
const EACH_PIPELINE: usize = 256;

/// File systems that keep nothing: tmpfs and ramfs.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// What was measured in a round.
#[derive(Clone, Debug)]
pub(super) struct Round {
    /// How many requests were done each second.
    pub(super) per_second: f64,
    /// In nanoseconds.
    pub(super) latencies: Histogram<u64>,
    /// What the servers used of the processors for each request.
    pub(super) cpu_per_op: Duration,
    /// What the load generator used of one processor.
    pub(super) load_share: f64,
    /// What others used, as a share of the machine.
    pub(super) foreign_share: f64,
    /// Whether that was so much that the round is doubtful.
    pub(super) busy: bool,
    /// Where the leader's time went, warming up included; `None` if nobody wants to know, or the system does not count it.
    pub(super) stages: Option<Stages>,
    /// How many requests were done in the time that was measured.
    pub(super) done: u64,
    /// Of each server, when all was done.
    pub(super) memory: Vec<Memory>,
    /// How many requests the checker has judged, and found to be linearizable.
    pub(super) checked: usize,
}

/// Why a round has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum MeasureError {
    /// The system does not work.
    #[error(transparent)]
    System(#[from] SystemError),
    /// It can't be kept where it should run.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The load could not be brought to bear.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The system said no.
    #[error("{0} requests were refused; the first one: {1}")]
    Refused(u64, String),
    /// Nothing was done.
    #[error("no request was done in time")]
    Nothing,
    /// The system has answered wrongly, or nobody can tell.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The operating system refuses something.
    #[error("can't {0}: {1}")]
    Machine(&'static str, std::io::Error),
}

/// Whether what is synced in `folder` survives a loss of power, as far as its file system goes.
pub(super) fn is_durable(folder: &Path) -> bool {
    // One that can't be asked is taken for an ordinary one.
    rustix::fs::statfs(folder).map_or(true, |stat| !IN_MEMORY.contains(&stat.f_type))
}

/// Starts `system` from nothing in the folder `dir`, and measures it at `point`.
pub(super) fn measure(
    options: &BenchOptions,
    system: &System,
    point: &Point,
    dir: &Path,
) -> Result<Round, MeasureError> {
    std::fs::create_dir_all(dir).map_err(|error| MeasureError::Machine("make a folder", error))?;
    let mut history = History::begin(options.keys);
    let round = observe(options, system, point, dir, &mut history);
    let (round, checked) = history.judge_beside(round, dir)?;
    Ok(Round { checked, ..round })
}

/// Measures, and leaves to be judged what clients saw, also where there is no result.
fn observe(
    options: &BenchOptions,
    system: &System,
    point: &Point,
    dir: &Path,
    history: &mut History,
) -> Result<Round, MeasureError> {
    let mut running = system.start(options.nodes, dir)?;
    let _pinned = running.pin()?;
    let protocol = || system.protocol(options.value_bytes);
    let leader = running.leader();
    let each = |questions, history: &mut History| {
        let mut load = Load::connect(leader, 1, EACH_PIPELINE, &protocol)?;
        accepted(&load.run_all(questions, EACH_TIME_MAX, history)?)
    };
    if point.op.reads() {
        each(Questions::fill(options.keys), history)?;
    }
    let mut load = Load::connect(leader, point.clients, point.pipeline, &protocol)?;
    let course = Course {
        rate: options.rate,
        warm_up: WARM_UP,
        duration: options.duration,
    };
    let stages = || {
        if options.stages {
            running.stages()
        } else {
            Ok(None)
        }
    };
    let stages_before = stages()?;
    let servers = running.pids();
    let (measured, used) = std::thread::scope(|scope| {
        // In a thread of its own: looking at every process takes longer than many a request.
        let watch = scope.spawn(|| cpu::watch(&servers, WARM_UP, options.duration));
        let mut questions = Questions::draw(point.op, options.keys);
        let measured = load.run(&course, &mut questions, history);
        let used = watch.join().expect("watching does not panic");
        (measured, used)
    });
    let stages_after = stages();
    running.check()?;
    let measured = measured?;
    // A system that refuses may also have lost something.
    let looked = each(Questions::look(history.keys()), history);
    accepted(&measured)?;
    looked?;
    if measured.count() == 0 {
        return Err(MeasureError::Nothing);
    }
    let stages = stages_before
        .zip(stages_after?)
        .map(|(before, after)| Stages::between(&before, &after));
    let memory = running.memory();
    let memory = memory.map_err(|error| MeasureError::Machine("read what memory the servers take", error))?;
    let used = used.map_err(|error| MeasureError::Machine("read how busy the machine is", error))?;
    Ok(Round {
        per_second: measured.per_second(),
        latencies: measured.latencies().clone(),
        cpu_per_op: used.servers.div_f64(measured.count() as f64),
        load_share: used.load_share,
        foreign_share: used.foreign_share,
        busy: used.is_busy(),
        stages,
        done: measured.count(),
        memory,
        checked: 0,
    })
}

pub(super) fn accepted(measured: &Measured) -> Result<(), MeasureError> {
    match measured.refusals() {
        None => Ok(()),
        Some((count, first)) => Err(MeasureError::Refused(count, first.to_owned())),
    }
}
