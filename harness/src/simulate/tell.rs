//! What is said of all seeds: a line of JSON, or words with the first failing world as a story.

use super::{SimulateOptions, Small, Sum};
use crate::exit::Exit;
use crate::report::{grouped, print};
use serde::Serialize;
use std::time::Duration;

/// How many failures, after the first, are told in words; the rest is only named.
const TOLD_MAX: usize = 2;

/// How many lines at the end of its story are told of a failing world.
const STORY_LINES_MAX: usize = 100;

/// What `--json` prints. Fields are only ever added, and `harness help json` says what they are.
#[derive(Debug, Serialize)]
struct Line {
    seeds: u64,
    violations: Vec<Violation>,
    unjudged: u64,
    shortfall: Option<String>,
    simulated_seconds: f64,
    seconds: f64,
    steps: u64,
}

#[derive(Debug, Serialize)]
struct Violation {
    seed: u64,
    invariant: String,
    what: String,
    replay: String,
    /// How long the story is: the commands of the golden script, or all events where there is no such script.
    steps: u64,
}

pub(super) fn print_json(options: &SimulateOptions, sum: &Sum, small: Option<&Small>, took: Duration) {
    let violations = sum.failures.values().map(|failure| {
        let small = small.filter(|small| small.tells(failure));
        let told = small.and_then(|small| small.told.outcome.failure.as_ref());
        Violation {
            seed: failure.seed,
            invariant: failure.invariant.to_string(),
            what: told.unwrap_or(failure).what.clone(),
            replay: options.replay(
                failure.seed,
                small.map_or(&options.reduction, |small| &small.reduction),
            ),
            steps: small.map_or(failure.step, Small::steps),
        }
    });
    let line = Line {
        seeds: sum.seeds,
        violations: violations.collect(),
        unjudged: sum.unjudged,
        shortfall: sum.shortfall(options),
        simulated_seconds: sum.simulated_seconds(),
        seconds: took.as_secs_f64(),
        steps: sum.counts.get("steps").copied().unwrap_or_default(),
    };
    let text = serde_json::to_string(&line).expect("a line has string keys");
    print(&format!("{text}\n"));
}

fn say(line: &str) {
    print(&format!("{line}\n"));
}

/// A failing world that was made smaller, as a story in the notation of the golden scripts, where it can be told so.
fn print_small(options: &SimulateOptions, small: &Small) {
    let Some(failure) = &small.told.outcome.failure else {
        return;
    };
    if small.tried > 0 {
        say(&format!(
            "made smaller in {} tries: {failure}",
            grouped(small.tried)
        ));
    } else {
        say(&failure.to_string());
    }
    match &small.told.script {
        Ok(script) => {
            let from = script.len().saturating_sub(STORY_LINES_MAX);
            if from > 0 {
                say(&format!(
                    "    {} (and {} lines more; --golden FILE writes all of it)",
                    script[0],
                    from - 1
                ));
            }
            for line in &script[from..] {
                say(&format!("    {line}"));
            }
        }
        Err(why) => {
            say(&format!(
                "  (as events, since a golden script can't tell it: {why})"
            ));
            let from = small.told.story.len().saturating_sub(STORY_LINES_MAX);
            for line in &small.told.story[from..] {
                say(&format!("    {line}"));
            }
        }
    }
    say(&format!(
        "  again: {}\n",
        options.replay(small.seed, &small.reduction)
    ));
}

pub(super) fn print_words(options: &SimulateOptions, sum: &Sum, small: Option<&Small>, took: Duration) {
    if let Some(small) = small {
        print_small(options, small);
    }
    let others = sum
        .failures
        .values()
        .filter(|failure| !small.is_some_and(|small| small.tells(failure)));
    for failure in others.clone().take(TOLD_MAX) {
        say(&format!("violation  {failure}"));
        say(&format!(
            "  again, with all of its story: {}\n",
            options.replay(failure.seed, &options.reduction)
        ));
    }
    if others.clone().count() > TOLD_MAX {
        let more: Vec<String> = others
            .skip(TOLD_MAX)
            .map(|failure| failure.seed.to_string())
            .collect();
        say(&format!("and the seeds {}\n", more.join(", ")));
    }
    let verdict = match sum.verdict(options) {
        Exit::Violation => "violation",
        Exit::Valid => "valid    ",
        Exit::Unknown | Exit::Usage | Exit::Internal => "unknown  ",
    };
    let seconds = took.as_secs_f64();
    say(&format!(
        "{verdict}  {} seeds from {}, {} of them failed; {:.0} simulated seconds in {seconds:.1} s",
        grouped(sum.seeds),
        options.first_seed,
        sum.failures.len(),
        sum.simulated_seconds()
    ));
    if let Some(why) = sum.shortfall(options) {
        say(&format!("           {why}"));
    }
    let counts: Vec<String> = sum
        .counts
        .iter()
        .map(|(name, count)| format!("{name} {}", grouped(*count)))
        .collect();
    say(&format!("           {}", counts.join(", ")));
    if sum.unjudged > 0 {
        say(&format!(
            "           {} histories were too much for the checker's memory; all other invariants held there, too",
            grouped(sum.unjudged)
        ));
    }
}
