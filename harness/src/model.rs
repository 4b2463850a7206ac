//! `harness model`: every reachable state of small worlds around the production core.

use crate::cli::exit::Exit;
use crate::report::grouped;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sim::model::{Story, World, WorldReport, check, worlds};
use std::time::{Duration, Instant};

/// How often the line on the terminal moves.
const BEAT: Duration = Duration::from_millis(100);

/// What is to be explored.
#[derive(Clone, Debug)]
pub struct ModelOptions {
    /// One world's name; `None`: all of them.
    pub world: Option<String>,
    /// How many threads.
    pub threads: usize,
    /// How many steps a world may take; one that takes more is unknown.
    pub steps_max: usize,
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
}

/// Explores, and tells what came of it.
pub fn model(options: &ModelOptions) -> Exit {
    let chosen = |world: &World| options.world.as_deref().is_none_or(|name| name == world.name);
    let mut exit = Exit::Valid;
    for world in worlds().into_iter().filter(chosen) {
        let line = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}");
        line.set_style(style.expect("the template is well-formed"));
        line.set_message(format!("{}: {}", world.name, world.about));
        line.enable_steady_tick(BEAT);
        let begun = Instant::now();
        let report = check(&world, options.threads, options.steps_max);
        line.finish_and_clear();
        exit = exit.max(verdict(&report));
        if options.json {
            print_json(&report, begun.elapsed());
        } else {
            print_words(&world, &report, begun.elapsed());
        }
    }
    exit
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
            .map(|Story { what, steps }| Violation { what, steps })
            .collect(),
        unmet: &report.unmet,
    };
    println!(
        "{}",
        serde_json::to_string(&line).expect("a line has string keys")
    );
}

fn print_words(world: &World, report: &WorldReport, took: Duration) {
    let verdict = match verdict(report) {
        Exit::Violation => "violation",
        Exit::Valid => "valid",
        Exit::Unknown | Exit::Usage | Exit::Internal => "unknown",
    };
    println!("{verdict:<9}  {:<12} {}", world.name, world.about);
    println!(
        "           {} states by {} steps, to a depth of {}, in {:.1} s",
        grouped(report.unique_states as u64),
        grouped(report.generated_states as u64),
        report.depth,
        took.as_secs_f64()
    );
    if let Some(Story { what, steps }) = &report.violation {
        println!("\n  {what}\n");
        for step in steps {
            println!("    {step}");
        }
        println!();
    } else if !report.complete {
        println!("           the limit on steps was reached first; --limit raises it");
    }
    for unmet in &report.unmet {
        println!("           never: {unmet}");
    }
}
