//! The layers, each as a child that is told which bug to have, and stopped when its time is over.

use super::child::{HuntError, Speaking, command, number, text};
use super::faults::Faults;
use super::programs::Programs;
use super::search::model;
use serde_json::Value;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// The seeds of runs of real processes, beginning with this one.
const FIRST_RUN_SEED: u64 = 1;

/// What a run says of a cluster that does not serve.
const STANDSTILLS: [&str; 3] = [
    "the cluster did not come back",
    "no operation was ok",
    "served nobody",
];

/// A layer that looks for bugs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Every reachable state of small worlds.
    Model,
    /// Seeded simulation.
    Simulate,
    /// Real processes under faults.
    Run,
}

impl Layer {
    /// All of them, the cheapest story first.
    pub const ALL: [Layer; 3] = [Layer::Model, Layer::Simulate, Layer::Run];

    /// Its name: that of its command.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Model => "model",
            Layer::Simulate => "simulate",
            Layer::Run => "run",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Layer {
    type Err = String;

    fn from_str(text: &str) -> Result<Layer, String> {
        Layer::ALL
            .into_iter()
            .find(|layer| layer.name() == text)
            .ok_or_else(|| String::from("allowed are model, simulate, run, several with commas"))
    }
}

/// What a layer may spend on a bug.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    pub(super) time: Duration,
    pub(super) threads: usize,
}

/// What became of a hunt.
#[derive(Clone, Debug)]
pub(super) struct Hunt {
    pub(super) layer: Layer,
    pub(super) seconds: f64,
    /// What it took, or what was done in vain: states, seeds or runs.
    pub(super) effort: String,
    pub(super) found: Option<Found>,
    /// Why it does not say that there is nothing to be found.
    pub(super) shortfall: Option<String>,
}

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// What broke, in one line.
    pub(super) what: String,
    /// How long the story is; there is none of something that never happens.
    pub(super) trace_steps: Option<u64>,
    /// The command that repeats it.
    pub(super) replay: String,
}

/// What a layer has come to.
#[derive(Clone, Debug)]
pub(super) struct Sought {
    /// What it took, or what was done in vain.
    pub(super) effort: String,
    pub(super) found: Option<Found>,
    /// What of it was left out or came to nothing: finding nothing says nothing then.
    pub(super) shortfall: Option<String>,
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quarry<'a> {
    /// The bug; or anything at all, where there is none.
    pub(super) mutant: Option<&'a str>,
    /// Whether it lets something be said that is wrong. Or else it keeps something from happening.
    pub(super) breaks_safety: bool,
}

/// Looks for a bug in one layer.
pub(super) fn hunt(
    programs: &Programs,
    layer: Layer,
    quarry: Quarry<'_>,
    budget: &Budget,
) -> Result<Hunt, HuntError> {
    let begun = Instant::now();
    let deadline = begun + budget.time;
    let Sought {
        effort,
        found,
        shortfall,
    } = match layer {
        Layer::Model => model(programs, quarry, budget, deadline)?,
        Layer::Simulate => simulate(programs, quarry.mutant, budget, deadline)?,
        Layer::Run => run(programs, quarry, deadline)?,
    };
    Ok(Hunt {
        layer,
        seconds: begun.elapsed().as_secs_f64(),
        effort,
        found,
        shortfall,
    })
}

/// Runs seeds until one fails that does not without the bug.
fn simulate(
    programs: &Programs,
    mutant: Option<&str>,
    budget: &Budget,
    deadline: Instant,
) -> Result<Sought, HuntError> {
    let (mut first, mut seeds) = (0, 0);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = simulate_from(programs, mutant, first, left, budget)?;
        seeds += number(&line, "seeds");
        let Some(violation) = line["violations"].get(0) else {
            return Ok(Sought {
                effort: format!("{seeds} seeds"),
                found: None,
                shortfall: (seeds == 0).then(|| String::from("no seed was run")),
            });
        };
        let seed = number(violation, "seed");
        if mutant.is_some() && fails_without(programs, seed)? {
            first = seed + 1;
            continue;
        }
        let found = Found {
            what: format!("{}: {}", text(&violation["invariant"]), text(&violation["what"])),
            trace_steps: Some(number(violation, "steps")),
            replay: text(&violation["replay"]),
        };
        return Ok(Sought {
            effort: format!("seed {seed}"),
            found: Some(found),
            shortfall: None,
        });
    }
}

fn simulate_from(
    programs: &Programs,
    mutant: Option<&str>,
    first: u64,
    time: Duration,
    budget: &Budget,
) -> Result<Value, HuntError> {
    let (mut command, _) = command(programs, Layer::Simulate, mutant);
    let limit = format!("{}ms", time.as_millis().max(1));
    command.args(["--until-failure", "--time-limit", &limit]);
    command.args(["--first-seed", &first.to_string()]);
    command.args(["--threads", &budget.threads.to_string()]);
    let mut child = Speaking::start(Layer::Simulate, &mut command)?;
    // It keeps to its own limit, but for the worlds that have begun and the time that shrinking takes.
    let patience = Instant::now() + 2 * budget.time + Duration::from_secs(60);
    child.word(Layer::Simulate, patience)
}

/// What fails without the bug is not the bug's doing.
fn fails_without(programs: &Programs, seed: u64) -> Result<bool, HuntError> {
    let (mut command, _) = command(programs, Layer::Simulate, None);
    command.args(["--seed", &seed.to_string()]);
    let mut child = Speaking::start(Layer::Simulate, &mut command)?;
    let line = child.word(Layer::Simulate, Instant::now() + Duration::from_secs(60))?;
    Ok(line["violations"].get(0).is_some())
}

fn run(programs: &Programs, quarry: Quarry<'_>, deadline: Instant) -> Result<Sought, HuntError> {
    let faults = Faults::against(quarry.mutant);
    let store = std::env::temp_dir().join(format!("rustyraft-mutants-{}", std::process::id()));
    let mut runs = Runs::default();
    for seed in FIRST_RUN_SEED.. {
        if Instant::now() >= deadline {
            break;
        }
        let (mut command, _) = command(programs, Layer::Run, None);
        let mut flags = faults.flags(seed);
        if let Some(mutant) = quarry.mutant {
            flags.extend([String::from("--node-arg"), format!("--mutant={mutant}")]);
        }
        command
            .args(&flags)
            .arg("--store")
            .arg(&store)
            .arg("--node-binary")
            .arg(programs.node());
        let mut child = Speaking::start(Layer::Run, &mut command)?;
        // A cluster that does not come back is waited for; that is the run's own limit.
        let said = child.word_by(Layer::Run, deadline + faults.patience());
        drop(child);
        // What a bug's run leaves is repeated by its command.
        let _ = std::fs::remove_dir_all(&store);
        let line = match said {
            Ok(Some(line)) => line,
            Ok(None) => break,
            // One run may come to nothing, for reasons of the machine's; all of them may not.
            Err(error) => {
                runs.silent.push(error);
                continue;
            }
        };
        let reason = text(&line["reason"]);
        runs.take(line["valid"].as_bool(), &reason);
        // What keeps a cluster from serving is no violation: the run proves nothing, and says that nobody served.
        let stands_still = !quarry.breaks_safety && STANDSTILLS.iter().any(|words| reason.contains(words));
        if line["valid"] == Value::Bool(false) || stands_still {
            let operations = ["ok", "fail", "info"]
                .iter()
                .map(|kind| number(&line["ops"], kind));
            let found = Found {
                what: reason,
                trace_steps: Some(operations.sum()),
                replay: format!(
                    "harness run {} --node-binary {}",
                    flags.join(" "),
                    programs.node().display()
                ),
            };
            return Ok(Sought {
                effort: in_words(runs.said),
                found: Some(found),
                shortfall: None,
            });
        }
    }
    runs.in_vain()
}

/// What runs have said.
#[derive(Default)]
struct Runs {
    said: u32,
    valid: u32,
    /// Those that proved nothing, and why the first one did not.
    unknown: u32,
    first_reason: Option<String>,
    /// Those that said nothing.
    silent: Vec<HuntError>,
}

impl Runs {
    /// `valid`: `None` where that is unknown.
    fn take(&mut self, valid: Option<bool>, reason: &str) {
        self.said += 1;
        match valid {
            Some(true) => self.valid += 1,
            Some(false) => {}
            None => {
                self.unknown += 1;
                self.first_reason.get_or_insert_with(|| reason.to_owned());
            }
        }
    }

    /// Nothing was found.
    fn in_vain(self) -> Result<Sought, HuntError> {
        let (all, silent) = (self.said, self.silent.len());
        let shortfall = if let Some(reason) = self.first_reason {
            Some(format!(
                "{} proved nothing; the first one: {reason}",
                in_words(self.unknown)
            ))
        } else if self.valid == 0 {
            Some(String::from("no run came to its end"))
        } else {
            (silent > 0).then(|| format!("{silent} more said nothing"))
        };
        match self.silent.into_iter().next_back() {
            Some(error) if all == 0 => Err(error),
            Some(_) | None => Ok(Sought {
                effort: in_words(all),
                found: None,
                shortfall,
            }),
        }
    }
}

fn in_words(runs: u32) -> String {
    match runs {
        1 => String::from("1 run"),
        _ => format!("{runs} runs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortfall(said: &[(Option<bool>, &str)]) -> Option<String> {
        let mut runs = Runs::default();
        for (valid, reason) in said {
            runs.take(*valid, reason);
        }
        runs.in_vain().unwrap().shortfall
    }

    #[test]
    fn runs_that_found_nothing_say_so_if_one_is_valid_and_none_unknown() {
        let (valid, unknown) = ((Some(true), ""), (None, "no read was ever ok"));
        assert_eq!(shortfall(&[valid, valid]), None);
        assert_eq!(shortfall(&[]).unwrap(), "no run came to its end");
        let words = "1 run proved nothing; the first one: no read was ever ok";
        assert_eq!(shortfall(&[valid, unknown]).unwrap(), words);
        assert_eq!(shortfall(&[unknown]).unwrap(), words);
    }

    #[test]
    fn a_cluster_that_never_served_stands_still() {
        let error = crate::cluster::ClusterError::NotServing(Duration::from_secs(20)).to_string();
        assert!(STANDSTILLS.iter().any(|words| error.contains(words)), "{error}");
    }
}
