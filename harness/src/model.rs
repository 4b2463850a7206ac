//! `harness model`: every reachable state of small worlds around the production core.

use crate::exit::Exit;
use crate::report::{grouped, print};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sim::model::{Limits, Progress, Story, World, WorldReport, check, shown};
use stateright::Model as _;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// How often the line on the terminal moves, and memory is looked at.
const BEAT: Duration = Duration::from_millis(100);

/// The columns for a world's name.
pub(crate) const NAME_WIDTH: usize = 20;

/// What is to be explored.
#[derive(Clone, Debug)]
pub struct ModelOptions {
    /// The worlds, in order.
    pub worlds: Vec<World>,
    /// What bounds each of them.
    pub limits: Limits,
    /// How much memory the process may take, in bytes; a world that would take more is unknown.
    pub memory_bytes_max: u64,
    /// Whether JSON lines are printed.
    pub json: bool,
}

/// What `--json` prints of a world.
#[derive(Serialize)]
struct Line<'a> {
    world: &'a str,
    complete: bool,
    unique_states: usize,
    generated_states: usize,
    depth: usize,
    seconds: f64,
    violations: Vec<Violation<'a>>,
    unmet: &'a [&'static str],
}

#[derive(Serialize)]
struct Violation<'a> {
    what: &'a str,
    steps: &'a [String],
    script: &'a [String],
}

/// Why an exploration ended before it was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CutShort {
    Memory,
    Depth,
    Steps,
}

/// Explores, and tells what came of it.
pub fn model(options: &ModelOptions) -> Exit {
    let mut exit = Exit::Valid;
    for world in &options.worlds {
        let line = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}");
        line.set_style(style.expect("the template is well-formed"));
        let begun = Instant::now();
        let mut memory_is_full = false;
        let mut watch = |progress: Progress| {
            std::thread::sleep(BEAT);
            line.set_message(on_the_way(world, progress, begun.elapsed()));
            line.tick();
            memory_is_full |= resident_bytes().is_some_and(|bytes| bytes > options.memory_bytes_max);
            !memory_is_full
        };
        let report = check(world, &options.limits, Some(&mut watch));
        line.finish_and_clear();
        let cut_short = cut_short(&report, options, memory_is_full);
        exit = exit.max(verdict(&report));
        if options.json {
            print_json(&report, begun.elapsed());
        } else {
            print_words(world, &report, cut_short, begun.elapsed());
        }
    }
    exit
}

/// Opens stateright's Explorer on a world, until the process is ended.
pub fn explore(world: &World, address: SocketAddr, threads: usize) -> Exit {
    // The Explorer would panic where it can't listen.
    if let Err(error) = TcpListener::bind(address) {
        eprintln!("harness: can't listen on {address}: {error}");
        return Exit::Usage;
    }
    eprintln!("exploring {} at http://{address}/ until Ctrl-C", world.name);
    // Nothing is explored ahead of who looks at it.
    shown(world).checker().threads(threads).serve(address);
    Exit::Valid
}

/// How much memory the process takes, where the operating system tells.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// How much memory there is to be had, where the operating system tells.
pub(crate) fn available_bytes() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn on_the_way(world: &World, progress: Progress, elapsed: Duration) -> String {
    let per_second = progress.generated_states as f64 / elapsed.as_secs_f64().max(0.001);
    format!(
        "{}: {} states, to a depth of {}, {:.1} million steps a second",
        world.name,
        grouped(progress.unique_states as u64),
        progress.depth,
        per_second / 1e6
    )
}

fn cut_short(report: &WorldReport, options: &ModelOptions, memory_is_full: bool) -> Option<CutShort> {
    if report.complete || report.violation.is_some() {
        None
    } else if memory_is_full {
        Some(CutShort::Memory)
    } else if options.limits.depth_max.is_some() {
        Some(CutShort::Depth)
    } else {
        Some(CutShort::Steps)
    }
}

fn verdict(report: &WorldReport) -> Exit {
    if report.violation.is_some() {
        Exit::Violation
    } else if report.complete && report.unmet.is_empty() {
        Exit::Valid
    } else {
        Exit::Unknown
    }
}

fn print_json(report: &WorldReport, took: Duration) {
    let line = Line {
        world: report.world,
        complete: report.complete,
        unique_states: report.unique_states,
        generated_states: report.generated_states,
        depth: report.depth,
        seconds: took.as_secs_f64(),
        violations: report
            .violation
            .iter()
            .map(|Story { what, steps, script }| Violation { what, steps, script })
            .collect(),
        unmet: &report.unmet,
    };
    let text = serde_json::to_string(&line).expect("a line has string keys");
    print(&format!("{text}\n"));
}

fn say(line: &str) {
    print(&format!("{line}\n"));
}

fn print_words(world: &World, report: &WorldReport, cut_short: Option<CutShort>, took: Duration) {
    let verdict = match verdict(report) {
        Exit::Violation => "violation",
        Exit::Valid => "valid",
        Exit::Unknown | Exit::Usage | Exit::Internal => "unknown",
    };
    say(&format!(
        "{verdict:<9}  {:<NAME_WIDTH$}  {}",
        world.name, world.about
    ));
    say(&format!(
        "           {} states by {} steps, to a depth of {}, in {:.1} s",
        grouped(report.unique_states as u64),
        grouped(report.generated_states as u64),
        report.depth,
        took.as_secs_f64()
    ));
    if let Some(story) = &report.violation {
        say(&format!("\n  {}\n", story.what));
        for line in &story.script {
            say(&format!("    {line}"));
        }
        say("");
    }
    match cut_short {
        None => {}
        Some(CutShort::Memory) => {
            say("           memory was full first; --memory says how much may be taken");
        }
        Some(CutShort::Depth) => say("           --depth left the rest out"),
        Some(CutShort::Steps) => {
            say("           the limit on steps was reached first; --limit raises it");
        }
    }
    // A search that ends at a violation has not come to everything.
    let complete = report.violation.is_none();
    for unmet in report.unmet.iter().filter(|_| complete) {
        say(&format!("           never: {unmet}"));
    }
}
