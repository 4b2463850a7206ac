//! `harness bench --away N`: what it costs the others when a node comes back that was away for long, and what nodes keep on disk.
//!
//! ```text
//!   saturate ─▶ calm ─▶ a follower is killed, N entries go by ─▶ without it ─▶ it starts again, and catches up by a snapshot
//! ```
//!
//! *Calm*, *without it* and *catching up* are measured in an open loop at half of what saturates the three nodes: each request is due at
//! its time, so that a leader that stalls does not stop the clock for what it delays. The folders are looked at all the while.

use super::history::{History, HistoryError};
use super::load::{Course, Load, LoadError, Measured, Op, Questions};
use super::measure::accepted;
use super::protocol::{NodeProtocol, Protocol};
use super::system::{Nodes, SystemError};
use super::{BenchOptions, MeasureError, fresh_folder, refused};
use crate::cluster::{Binary, BinaryError};
use crate::exit::Exit;
use crate::node_number::NodeNumber;
use crate::report::print;
use serde::Serialize;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How many nodes there are: one may be away.
const NODES: u64 = 3;
/// How long the load goes on before what it meets is measured, and before the node comes back.
const WARM_UP: Duration = Duration::from_millis(500);
/// How many requests each client has in flight while entries only have to go by.
const PASSING_PIPELINE: usize = 16;
/// How long the node may take to catch up.
const CATCH_UP_TIME_MAX: Duration = Duration::from_secs(60);
/// How long it may take to write every key once, or to read it.
const FILL_TIME_MAX: Duration = Duration::from_secs(60);
/// How often nodes are asked how far they are, and folders looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// The most clients: half of the connections that a node takes, since those of one load may still be there when the next one connects;
/// and less by some for those who ask how far it is.
const CLIENTS_MAX: usize = 500;
/// The share of the saturated rate at which latencies are measured.
const SHARE: f64 = 0.5;

/// Why nothing was observed.
#[derive(Debug, thiserror::Error)]
enum AwayError {
    #[error(transparent)]
    Binary(#[from] BinaryError),
    #[error(transparent)]
    System(#[from] SystemError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Measure(#[from] MeasureError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("can't look at the data folders: {0}")]
    Folder(#[from] io::Error),
    #[error("node {0} does not say how it is")]
    Silent(NodeNumber),
    #[error(
        "node {node} did not catch up within {}",
        humantime::format_duration(CATCH_UP_TIME_MAX)
    )]
    Late { node: NodeNumber },
    #[error("node {0} caught up without a snapshot: too few entries went by")]
    NoSnapshot(NodeNumber),
}

/// Latencies in an open loop, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Latencies {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
}

impl Latencies {
    fn of(measured: &Measured) -> Latencies {
        let microseconds = |nanoseconds: u64| nanoseconds as f64 / 1e3;
        let latencies = measured.latencies();
        Latencies {
            per_second: measured.per_second(),
            p50_us: microseconds(latencies.value_at_quantile(0.5)),
            p99_us: microseconds(latencies.value_at_quantile(0.99)),
            max_us: microseconds(latencies.max()),
        }
    }
}

/// What nodes had on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Disk {
    /// The most that one node had at any moment.
    peak_bytes: u64,
    /// The largest snapshot: the state as it lies on disk.
    state_bytes: u64,
    segment_bytes: u64,
}

impl Disk {
    /// What a node is to stay under.
    fn bound(self) -> u64 {
        4 * self.state_bytes + 2 * self.segment_bytes
    }

    /// Takes in what lies in a data folder now.
    fn look(&mut self, folder: &Path) -> io::Result<()> {
        let mut bytes = 0;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // One that has just been removed takes no place.
            let Ok(length) = entry.metadata().map(|metadata| metadata.len()) else {
                continue;
            };
            bytes += length;
            if name.starts_with("snapshot-") {
                self.state_bytes = self.state_bytes.max(length);
            } else if name.starts_with("wal-") {
                self.segment_bytes = self.segment_bytes.max(length);
            }
        }
        self.peak_bytes = self.peak_bytes.max(bytes);
        Ok(())
    }
}

/// What was observed; also what `--json` prints.
#[derive(Debug, Serialize)]
struct Observed {
    clients: usize,
    value_bytes: usize,
    keys: u32,
    /// How many entries went by while the node was away.
    entries: u64,
    /// In a closed loop, with three nodes.
    saturated_per_second: f64,
    calm: Latencies,
    without: Latencies,
    catching_up: Latencies,
    /// From the start of its process until it had applied what the leader had committed.
    caught_up_seconds: f64,
    disk: Disk,
    checked: usize,
}

/// Observes, and tells what came of it.
pub(super) fn away(options: &BenchOptions, entries: u64) -> Exit {
    if options.clients[0] > CLIENTS_MAX {
        return refused(&format!(
            "--away takes at most {CLIENTS_MAX} clients, not {}: a node takes so many connections and no more",
            options.clients[0]
        ));
    }
    let folder = match fresh_folder(&options.data) {
        Ok(folder) => folder,
        Err(error) => return refused(&format!("can't write below {}: {error}", options.data.display())),
    };
    let observed = match observe(options, entries, &folder) {
        Ok(observed) => observed,
        Err(AwayError::Binary(error)) => return refused(&error.to_string()),
        Err(AwayError::History(error @ HistoryError::Violation(_))) => {
            eprintln!("harness: {error}");
            return Exit::Violation;
        }
        Err(error) => {
            eprintln!("harness: {error}; what is left of it is in {}", folder.display());
            return Exit::Unknown;
        }
    };
    // Nothing in it is needed once it was looked at.
    let _ = fs::remove_dir_all(&folder);
    if options.json {
        let line = serde_json::to_string(&observed).expect("numbers have string keys");
        print(&format!("{line}\n"));
    } else {
        print(&told(&observed));
    }
    Exit::Valid
}

fn observe(options: &BenchOptions, entries: u64, folder: &Path) -> Result<Observed, AwayError> {
    let binary = Binary::locate(options.node_binary.as_deref())?;
    let mut nodes = Nodes::start(binary.path(), &options.node_args, NODES, folder)?;
    let mut history = History::begin(options.keys);
    let over = AtomicBool::new(false);
    // The nodes die with the thread that starts them, so it is this one; looking is another one's.
    let observed = std::thread::scope(|scope| {
        let looking = scope.spawn(|| look_until(&over, folder));
        let observed = go_through(options, entries, &mut nodes, &mut history);
        over.store(true, Ordering::Relaxed);
        let disk = looking.join().expect("looking does not panic");
        observed.and_then(|observed| {
            Ok(Observed {
                disk: disk?,
                ..observed
            })
        })
    });
    drop(nodes);
    let (observed, checked) = history.judge_beside(observed, folder)?;
    Ok(Observed { checked, ..observed })
}

/// Looks at all data folders until it is over.
fn look_until(over: &AtomicBool, folder: &Path) -> io::Result<Disk> {
    let mut disk = Disk::default();
    while !over.load(Ordering::Relaxed) {
        for node in 1..=NODES {
            disk.look(&folder.join(node.to_string()))?;
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    Ok(disk)
}

fn go_through(
    options: &BenchOptions,
    entries: u64,
    nodes: &mut Nodes,
    history: &mut History,
) -> Result<Observed, AwayError> {
    let clients = options.clients[0];
    let protocol = || -> Box<dyn Protocol> { Box::new(NodeProtocol::new(options.value_bytes)) };
    let (leader, address) = (nodes.leader(), nodes.address(nodes.leader()));
    let closed = |duration, warm_up| Course {
        rate: None,
        warm_up,
        duration,
    };
    let connect = |pipeline| Load::connect(address, clients, pipeline, &protocol);
    // One after the other, since a node takes so many connections and no more.
    let filled = connect(PASSING_PIPELINE)?.run_all(Questions::fill(options.keys), FILL_TIME_MAX, history)?;
    accepted(&filled)?;
    let mut questions = Questions::draw(Op::Put, options.keys);
    let saturated = connect(1)?.run(&closed(options.duration, WARM_UP), &mut questions, history)?;
    accepted(&saturated)?;
    let open = Course {
        rate: Some(((saturated.per_second() * SHARE) as u64).max(1)),
        warm_up: WARM_UP,
        duration: options.duration,
    };
    // In an open loop requests may pile up; so there is room for them.
    let mut load = connect(PASSING_PIPELINE)?;
    let calm = load.run(&open, &mut questions, history)?;
    accepted(&calm)?;

    let gone = (1..=NODES)
        .find(|node| *node != leader)
        .expect("there are others");
    nodes.kill(gone);
    let last = |nodes: &Nodes| {
        let status = nodes.status(leader).ok_or(AwayError::Silent(leader))?;
        Ok::<u64, AwayError>(status.last_index)
    };
    let before = last(nodes)?;
    while last(nodes)? - before < entries {
        let passed = load.run(&closed(options.duration, Duration::ZERO), &mut questions, history)?;
        accepted(&passed)?;
    }
    let without = load.run(&open, &mut questions, history)?;
    accepted(&without)?;
    let went_by = last(nodes)? - before;

    let over = Barrier::new(2);
    let (catching_up, caught_up) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            // The load is to be warm when the node comes back.
            std::thread::sleep(WARM_UP);
            let begun = Instant::now();
            let caught_up = match nodes.start_again(gone) {
                Ok(()) => catch_up(nodes, gone, before, begun),
                Err(error) => Err(error.into()),
            };
            // The node dies with this thread.
            over.wait();
            caught_up
        });
        let measured = load.run(&open, &mut questions, history);
        over.wait();
        (measured, watching.join().expect("watching does not panic"))
    });
    let (catching_up, caught_up) = (catching_up?, caught_up?);
    accepted(&catching_up)?;
    let looked = load.run_all(Questions::look(history.keys()), FILL_TIME_MAX, history)?;
    accepted(&looked)?;
    Ok(Observed {
        clients,
        value_bytes: options.value_bytes,
        keys: options.keys,
        entries: went_by,
        saturated_per_second: saturated.per_second(),
        calm: Latencies::of(&calm),
        without: Latencies::of(&without),
        catching_up: Latencies::of(&catching_up),
        caught_up_seconds: caught_up.as_secs_f64(),
        disk: Disk::default(),
        checked: 0,
    })
}

/// Waits until the node `gone`, which was started at `begun`, and whose log had ended at `last` or before, has what the leader had
/// committed; how long that took.
fn catch_up(nodes: &Nodes, gone: NodeNumber, last: u64, begun: Instant) -> Result<Duration, AwayError> {
    let leader = nodes.leader();
    while begun.elapsed() < CATCH_UP_TIME_MAX {
        let committed = nodes
            .status(leader)
            .ok_or(AwayError::Silent(leader))?
            .commit_index;
        if let Some(status) = nodes
            .status(gone)
            .filter(|status| status.applied_index >= committed)
        {
            let took = begun.elapsed();
            let by_snapshot = status.snapshot_index > last;
            return by_snapshot.then_some(took).ok_or(AwayError::NoSnapshot(gone));
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
    Err(AwayError::Late { node: gone })
}

fn told(observed: &Observed) -> String {
    let Observed {
        clients,
        value_bytes,
        keys,
        entries,
        saturated_per_second,
        calm,
        without,
        catching_up,
        caught_up_seconds,
        disk,
        checked,
    } = observed;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let row = |name: &str, latencies: &Latencies| {
        let Latencies {
            per_second,
            p50_us,
            p99_us,
            max_us,
        } = latencies;
        let times = p99_us / calm.p99_us;
        format!("{name:<14} {per_second:>9.0} {p50_us:>9.0} {p99_us:>9.0} {max_us:>9.0} {times:>9.2}\n")
    };
    format!(
        "{clients} clients put values of {value_bytes} bytes to {keys} keys; saturated at {saturated_per_second:.0} a second\n\n\
         at half of that  a second    p50 µs    p99 µs    max µs  × of calm's p99\n{}{}{}\n\
         {entries} entries went by while the node was away; it caught up by a snapshot, {caught_up_seconds:.2} s after its start\n\
         a node had {:.1} MiB on disk at most; 4 × the state ({:.1} MiB) and two segments ({:.1} MiB each) are {:.1} MiB\n\
         {checked} requests were judged: they are linearizable\n",
        row("calm", calm),
        row("without it", without),
        row("catching up", catching_up),
        mib(disk.peak_bytes),
        mib(disk.state_bytes),
        mib(disk.segment_bytes),
        mib(disk.bound()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_counts_with_all_that_is_in_it_and_its_peak_stays() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: usize| fs::write(dir.path().join(name), vec![0; bytes]).unwrap();
        write("wal-0000000000000001.log", 100);
        write("wal-0000000000000002.log", 100);
        write("snapshot-0000000000000042-0000000000000003", 30);
        write("snapshot.part", 10);
        let mut disk = Disk::default();
        disk.look(dir.path()).unwrap();
        fs::remove_file(dir.path().join("snapshot.part")).unwrap();
        disk.look(dir.path()).unwrap();
        let expected = Disk {
            peak_bytes: 240,
            state_bytes: 30,
            segment_bytes: 100,
        };
        assert_eq!((disk, disk.bound()), (expected, 320));
    }
}
