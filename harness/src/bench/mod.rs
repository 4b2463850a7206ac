//! `harness bench`: how long a commit takes on this machine in this minute, beside other systems under the same load.
//!
//! ```text
//!   for each round
//!     for each point (operation, clients, requests in flight)
//!                              measure the floor
//!       for each system        start ─▶ fill ─▶ warm up ─▶ measure ─▶ stop
//! ```
//!
//! - `system`: how systems are started; `protocol`: how requests look to them; `placement`: which processors they run on;
//! - `load`: the load generator;
//! - `measure`: one measurement of one system; `history`: whether what clients saw meanwhile is linearizable; `cpu`: who used the processors meanwhile; `memory`: what the servers took; `floor`: what a commit costs at least;
//! - `stages`: where the node's time went;
//! - `away`: what it costs when a node comes back that was away for long;
//! - `line`: what the rounds of a point come to; `table`, `plot`: how it is shown; `baseline`: an earlier result.
//!
//! # What can be trusted
//!
//! Speed drifts on a shared machine by more than most differences between systems. So systems take turns within a round, each starts
//! from nothing on the same file system, and what is compared are the ratios within one round: their median and their spread. A
//! round during which somebody else used the processors is marked.

mod away;
mod baseline;
mod cpu;
mod floor;
mod history;
mod line;
mod load;
mod measure;
mod memory;
mod placement;
mod plot;
mod protocol;
mod stages;
mod system;
mod table;

pub(crate) use load::Op;
pub(crate) use placement::Placement;
pub(crate) use protocol::{VALUE_BYTES_MAX, VALUE_BYTES_MIN};
pub(crate) use system::SystemName;

use crate::cluster::{Binary, BinaryError};
use crate::exit::Exit;
use crate::report::Paint;
use baseline::Baseline;
use floor::{Floor, Prober};
use history::HistoryError;
use indicatif::{ProgressBar, ProgressStyle};
use line::{Line, Point};
use measure::{MeasureError, Round, measure};
use placement::{PinError, Processors};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use system::{System, SystemError};

/// How often the bar on the terminal moves: seldom, since it shares the machine with what is measured.
const BEAT: Duration = Duration::from_millis(500);

/// What is to be measured.
#[derive(Clone, Debug)]
pub(crate) struct BenchOptions {
    /// The systems; the others are compared with the first one.
    pub(crate) systems: Vec<SystemName>,
    /// On which processors each of them is measured.
    pub(crate) placements: Vec<Placement>,
    /// How many nodes, of the systems that replicate.
    pub(crate) nodes: u64,
    /// Numbers of clients, each with a connection.
    pub(crate) clients: Vec<usize>,
    /// How many requests each client has in flight.
    pub(crate) pipelines: Vec<usize>,
    /// How long values are, in bytes.
    pub(crate) value_bytes: usize,
    /// How many keys there are.
    pub(crate) keys: u32,
    /// What clients do.
    pub(crate) ops: Vec<Op>,
    /// How many requests a second all clients begin; `None`: whenever one is answered.
    pub(crate) rate: Option<u64>,
    /// How long each measurement takes.
    pub(crate) duration: Duration,
    /// How often each is repeated.
    pub(crate) rounds: u32,
    /// Where systems keep their data, and the results go, in a fresh folder.
    pub(crate) data: PathBuf,
    /// An earlier result to compare with.
    pub(crate) baseline: Option<PathBuf>,
    /// The node program; `None`: the one that belongs to this harness.
    pub(crate) node_binary: Option<PathBuf>,
    /// Further arguments for each node.
    pub(crate) node_args: Vec<String>,
    /// Observe instead how a node comes back that was away while so many entries went by.
    pub(crate) away: Option<u64>,
    /// Whether it is shown where the node's time went.
    pub(crate) stages: bool,
    /// Whether JSON lines are printed instead of a table.
    pub(crate) json: bool,
}

/// Measures, and tells what came of it.
pub(crate) fn bench(options: &BenchOptions) -> Exit {
    if let Some(entries) = options.away {
        return away::away(options, entries);
    }
    let baseline = match options.baseline.as_deref().map(Baseline::read).transpose() {
        Ok(baseline) => baseline.unwrap_or_default(),
        Err(error) => return refused(&error.to_string()),
    };
    let systems = match find_systems(options) {
        Ok(systems) => systems,
        Err(error) => return refused(&error.to_string()),
    };
    let folder = match fresh_folder(&options.data) {
        Ok(folder) => folder,
        Err(error) => return refused(&format!("can't write below {}: {error}", options.data.display())),
    };
    if !measure::is_durable(&folder) {
        eprintln!(
            "harness: {} is in memory: nothing is durable there",
            folder.display()
        );
    }
    let prober = Prober::find(options.node_binary.as_deref(), options.value_bytes)
        .inspect_err(|error| eprintln!("harness: the floor is not measured: {error}"))
        .ok();
    let mut results = Results {
        lines: Vec::new(),
        plots: Vec::new(),
        incomplete: false,
        violation: false,
    };
    let points = points(&options.ops, &options.clients, &options.pipelines);
    let bar = progress(points.len() * systems.len() * options.rounds as usize);
    let mut measured: Vec<Measured> = points
        .iter()
        .map(|_| Measured::new(systems.len(), measure::is_durable(&folder)))
        .collect();
    for number in 1..=options.rounds {
        for (point, measured) in points.iter().zip(&mut measured) {
            measure_round(
                options,
                &systems,
                prober.as_ref(),
                (point, number),
                measured,
                (&folder, &bar),
            );
        }
    }
    for (place, point) in points.iter().enumerate() {
        let piped = points.iter().position(|other| point.is_piped_by(other));
        let piped = piped.map(|place| measured[place].rounds[0].as_slice());
        results.add(options, &systems, point, (&measured[place], piped), &baseline);
    }
    bar.finish_and_clear();
    match results.tell(options, &folder) {
        Ok(()) if results.violation => Exit::Violation,
        Ok(()) if results.incomplete => Exit::Unknown,
        Ok(()) => Exit::Valid,
        Err(error) => {
            eprintln!("harness: the results can't be written: {error}");
            Exit::Internal
        }
    }
}

fn refused(why: &str) -> Exit {
    eprintln!("harness: {why}");
    Exit::Usage
}

/// Why nothing can be measured as it was asked for.
#[derive(Debug, thiserror::Error)]
enum FindError {
    /// All others are compared with it.
    #[error("{name}, which comes first, can't be measured: {error}")]
    First { name: SystemName, error: SystemError },
    /// What was named is not there.
    #[error("{0}")]
    Named(BinaryError),
    #[error(transparent)]
    Pin(#[from] PinError),
}

/// The systems whose programs are there, in each placement; one line for each of the others that are only to be compared with.
///
/// # Errors
/// The first one is not there, or the node program that was named; or they can't be pinned.
fn find_systems(options: &BenchOptions) -> Result<Vec<System>, FindError> {
    if let Some(named) = &options.node_binary {
        // It measures the floor, too.
        Binary::locate(Some(named)).map_err(FindError::Named)?;
    }
    let mut found: Vec<System> = Vec::new();
    for (place, &name) in options.systems.iter().enumerate() {
        match System::find(name, options.node_binary.as_deref(), &options.node_args) {
            Ok(systems) => found.extend(systems),
            Err(error) if place == 0 => return Err(FindError::First { name, error }),
            Err(error) => eprintln!("harness: {name} is left out: {error}"),
        }
    }
    let mut systems = Vec::new();
    for placement in &options.placements {
        let processors = match placement {
            Placement::Free => None,
            Placement::Pinned => Some(Processors::of_this_thread()?),
        };
        systems.extend(found.iter().map(|system| system.clone().on(processors.clone())));
    }
    Ok(systems)
}

fn fresh_folder(below: &Path) -> io::Result<PathBuf> {
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let time: String = time.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    // Servers are started elsewhere than here.
    let folder = std::path::absolute(below)?.join(time);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// What is measured, in this order. Where there are several numbers of both, those points are left out that have more in flight than the
/// largest number.
fn points(ops: &[Op], clients: &[usize], pipelines: &[usize]) -> Vec<Point> {
    let have_several = clients.len() > 1 && pipelines.len() > 1;
    let largest = clients.iter().chain(pipelines).copied().max();
    let mut points = Vec::new();
    for &op in ops {
        for &clients in clients {
            let of_clients = pipelines.iter().map(|&pipeline| Point {
                clients,
                pipeline,
                op,
            });
            points.extend(of_clients.filter(|point| !have_several || Some(point.in_flight()) <= largest));
        }
    }
    points
}

fn progress(measurements: usize) -> ProgressBar {
    let bar = ProgressBar::new(measurements as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len}, {elapsed}, {eta} left: {msg}");
    bar.set_style(style.expect("the template is well-formed"));
    bar.enable_steady_tick(BEAT);
    bar
}

/// What was measured at one point.
struct Measured {
    /// By system and round; `None` where it failed.
    rounds: Vec<Vec<Option<Round>>>,
    /// In the rounds in which it was measured.
    floors: Vec<Floor>,
    /// Whether it was on a file system that keeps anything.
    durable: bool,
    /// Whether a system has answered wrongly.
    violation: bool,
}

impl Measured {
    fn new(systems: usize, durable: bool) -> Measured {
        Measured {
            rounds: vec![Vec::new(); systems],
            floors: Vec::new(),
            durable,
            violation: false,
        }
    }
}

/// Measures a point in one round.
fn measure_round(
    options: &BenchOptions,
    systems: &[System],
    prober: Option<&Prober>,
    (point, number): (&Point, u32),
    measured: &mut Measured,
    (folder, bar): (&Path, &ProgressBar),
) {
    let failed = |what: &str, error: &dyn std::error::Error| {
        bar.suspend(|| eprintln!("harness: {what}: {error}"));
    };
    if let Some(prober) = prober {
        bar.set_message(format!("{point}, round {number}, the floor"));
        let floor = prober.measure(folder);
        let floor = floor.inspect_err(|error| failed("the floor is not measured", error));
        measured.floors.extend(floor);
    }
    for (system, rounds) in systems.iter().zip(&mut measured.rounds) {
        let name = format!("{point}, round {number}, {system}");
        bar.set_message(name.clone());
        let dir = folder.join(name.replace(", ", "_").replace(' ', "-"));
        let round = measure(options, system, point, &dir).inspect_err(|error| failed(&name, error));
        measured.violation |= matches!(round, Err(MeasureError::History(HistoryError::Violation(_))));
        if round.is_ok() {
            // Of one that failed, the folder may tell why.
            let _ = fs::remove_dir_all(&dir);
        }
        rounds.push(round.ok());
        bar.inc(1);
    }
}

/// What all points came to.
struct Results {
    lines: Vec<Line>,
    plots: Vec<plot::Panel>,
    /// Whether a point was measured in no round.
    incomplete: bool,
    /// Whether a system has answered wrongly.
    violation: bool,
}

impl Results {
    fn add(
        &mut self,
        options: &BenchOptions,
        systems: &[System],
        point: &Point,
        (measured, piped): (&Measured, Option<&[Option<Round>]>),
        baseline: &Baseline,
    ) {
        self.violation |= measured.violation;
        let mut panel = plot::Panel::new(point.to_string());
        for (place, (system, own)) in systems.iter().zip(&measured.rounds).enumerate() {
            let first = (place > 0).then(|| measured.rounds[0].as_slice());
            let Some(mut line) = Line::new(options, system, point, own, first) else {
                self.incomplete = true;
                continue;
            };
            line.fsync = measured.durable;
            line.piped_ratio = piped.and_then(|piped| line::ratio(piped, own));
            let floor = floor::median(&measured.floors, point.op, line.what.nodes);
            line.floor_p50_us = floor.map(|floor| floor.p50_us);
            line.floor_p99_us = floor.map(|floor| floor.p99_us);
            baseline.compare(&mut line);
            let latencies = own.iter().flatten().map(|round| &round.latencies);
            panel.add(system.to_string(), latencies);
            self.lines.push(line);
        }
        self.plots.push(panel);
    }

    /// Writes `results.jsonl` and `latency.svg`, and prints the lines or the table.
    fn tell(&self, options: &BenchOptions, folder: &Path) -> io::Result<()> {
        let mut lines = String::new();
        for line in &self.lines {
            lines.push_str(&serde_json::to_string(line).map_err(io::Error::other)?);
            lines.push('\n');
        }
        fs::write(folder.join("results.jsonl"), &lines)?;
        fs::write(folder.join("latency.svg"), plot::svg(&self.plots))?;
        let told = if options.json {
            lines
        } else {
            let table = table::render(&self.lines, self.violation, Paint::for_stream(&io::stdout()));
            format!("{table}\n{}\n", folder.display())
        };
        // Whoever closes stdout early has seen enough.
        let _ = io::stdout().write_all(told.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_numbers_of_both_no_more_are_in_flight_than_the_largest_says() {
        let pairs = |clients: &[usize], pipelines: &[usize]| -> Vec<(usize, usize)> {
            let points = points(&[Op::Put], clients, pipelines);
            points
                .iter()
                .map(|point| (point.clients, point.pipeline))
                .collect()
        };
        assert_eq!(pairs(&[64], &[1, 4]), [(64, 1), (64, 4)]);
        assert_eq!(pairs(&[1, 64], &[4]), [(1, 4), (64, 4)]);
        let all = [1, 64, 256];
        assert_eq!(pairs(&all, &all), [(1, 1), (1, 64), (1, 256), (64, 1), (256, 1)]);
    }

    #[test]
    fn a_connection_for_each_request_is_compared_with_one_for_all_of_them() {
        let all = [1, 64, 256];
        let points = points(&[Op::Put, Op::Get], &all, &all);
        let piped = |op, clients, pipeline| {
            let own = Point {
                clients,
                pipeline,
                op,
            };
            let by = points.iter().find(|other| own.is_piped_by(other));
            by.map(|by| (by.op, by.clients, by.pipeline))
        };
        assert_eq!(piped(Op::Get, 64, 1), Some((Op::Get, 1, 64)));
        assert_eq!(piped(Op::Put, 256, 1), Some((Op::Put, 1, 256)));
        assert_eq!(piped(Op::Put, 1, 1), None);
        assert_eq!(piped(Op::Put, 1, 64), None);
        assert_eq!(piped(Op::Put, 16, 1), None);
    }
}
