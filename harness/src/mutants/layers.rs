//! The layers, each as a child that is told which bug to have, and stopped when its time is over.

use super::faults::Faults;
use super::programs::Programs;
use crate::cluster::spawn_tied;
use serde_json::Value;
use sim::model::Tier;
use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The seeds of runs of real processes, beginning with this one.
const FIRST_RUN_SEED: u64 = 1;

/// How many million steps a world has in the first round.
const FIRST_ROUND_MILLIONS: usize = 1;

/// What a run says of a cluster that does not serve.
const STANDSTILLS: [&str; 2] = ["the cluster did not come back", "no operation was ok"];

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

/// Why a layer could not look.
#[derive(Debug, thiserror::Error)]
pub(super) enum HuntError {
    #[error("can't start {0}: {1}")]
    Start(&'static str, std::io::Error),
    #[error("`harness {0}` ended with {1} and no word")]
    Silent(&'static str, std::process::ExitStatus),
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
    let (effort, found) = match layer {
        Layer::Model => model(programs, quarry, budget, deadline)?,
        Layer::Simulate => simulate(programs, quarry.mutant, budget, deadline)?,
        Layer::Run => run(programs, quarry, deadline)?,
    };
    Ok(Hunt {
        layer,
        seconds: begun.elapsed().as_secs_f64(),
        effort,
        found,
    })
}

/// A child, and the lines that it prints.
struct Speaking {
    child: Child,
    lines: Receiver<String>,
}

impl Speaking {
    fn start(layer: Layer, command: &mut Command) -> Result<Speaking, HuntError> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = spawn_tied(command).map_err(|error| HuntError::Start(layer.name(), error))?;
        let stdout = child.stdout.take().expect("it was asked for");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Speaking { child, lines })
    }

    /// The next line as JSON; `None` at its end or at the deadline.
    fn next(&self, deadline: Instant) -> Option<Value> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if let Ok(value) = serde_json::from_str(&line) {
                        return Some(value);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

impl Speaking {
    /// The one line that a child has to say; `None` if it has not by the deadline.
    fn word_by(&mut self, layer: Layer, deadline: Instant) -> Result<Option<Value>, HuntError> {
        match self.next(deadline) {
            Some(line) => Ok(Some(line)),
            None if Instant::now() >= deadline => Ok(None),
            None => self.word(layer, deadline).map(Some),
        }
    }

    /// The one line that a child has to say.
    fn word(&mut self, layer: Layer, deadline: Instant) -> Result<Value, HuntError> {
        if let Some(line) = self.next(deadline) {
            return Ok(line);
        }
        // One that still runs has had its time.
        let _ = self.child.kill();
        let ended = self.child.wait();
        let status = ended.map_err(|error| HuntError::Start(layer.name(), error))?;
        Err(HuntError::Silent(layer.name(), status))
    }
}

impl Drop for Speaking {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nobody to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(programs: &Programs, layer: Layer, mutant: Option<&str>) -> (Command, String) {
    let mut command = Command::new(programs.harness());
    let mut words = format!("harness {layer}");
    command.arg(layer.name()).arg("--json");
    if let (Layer::Model | Layer::Simulate, Some(mutant)) = (layer, mutant) {
        command.args(["--mutant", mutant]);
        words.push_str(&format!(" --mutant {mutant}"));
    }
    (command, words)
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_default()
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

type Sought = (String, Option<Found>);

/// Goes through the worlds until a promise is broken; or, for a bug that breaks none, until something never happens that does without it.
///
/// A bug can make a world much larger than it is. So each has a few steps in the first round, and what is larger waits for the second.
fn model(
    programs: &Programs,
    quarry: Quarry<'_>,
    budget: &Budget,
    deadline: Instant,
) -> Result<Sought, HuntError> {
    let mut search = Search::default();
    let mut left = worlds_of_every_change();
    let rounds = match quarry.mutant {
        Some(_) => &[Some(FIRST_ROUND_MILLIONS), None][..],
        None => &[None][..],
    };
    for millions in rounds {
        for world in std::mem::take(&mut left) {
            let (mut command, words) = command(programs, Layer::Model, quarry.mutant);
            command.args(["--threads", &budget.threads.to_string(), "--world", world]);
            if let Some(millions) = millions {
                command.args(["--limit", &millions.to_string()]);
            }
            let mut child = Speaking::start(Layer::Model, &mut command)?;
            let Some(line) = child.word_by(Layer::Model, deadline)? else {
                return Ok(search.ended());
            };
            if line["complete"] != Value::Bool(true) {
                left.push(world);
            }
            if search.takes(
                world,
                &line,
                format!("{words} --world {world}"),
                quarry.breaks_safety,
            ) {
                return Ok(search.ended());
            }
        }
    }
    Ok(search.ended())
}

fn worlds_of_every_change() -> Vec<&'static str> {
    let worlds = sim::model::worlds().into_iter();
    let of_every_change = worlds.filter(|world| world.tier == Tier::Ci);
    of_every_change.map(|world| world.name).collect()
}

/// What a search through the worlds has come to.
#[derive(Default)]
struct Search {
    states: u64,
    worlds: u64,
    found: Option<Sought>,
}

impl Search {
    /// Takes in what was said of a world. Says whether that is the end of it.
    fn takes(&mut self, world: &str, line: &Value, replay: String, breaks_safety: bool) -> bool {
        let states = number(line, "unique_states");
        let effort = format!("{states} states of {world}");
        if let Some(violation) = line["violations"].get(0) {
            let steps = violation["steps"].as_array().map_or(0, Vec::len);
            let found = Found {
                what: text(&violation["what"]),
                trace_steps: Some(steps as u64),
                replay,
            };
            self.found = Some((effort, Some(found)));
            return true;
        }
        if line["complete"] != Value::Bool(true) {
            return false;
        }
        self.states += states;
        self.worlds += 1;
        if let Some(unmet) = line["unmet"].get(0) {
            let found = Found {
                what: format!("never: {}", text(unmet)),
                trace_steps: None,
                replay,
            };
            self.found.get_or_insert((effort, Some(found)));
        }
        self.found.is_some() && !breaks_safety
    }

    fn ended(self) -> Sought {
        let in_vain = (format!("{} states of {} worlds", self.states, self.worlds), None);
        self.found.unwrap_or(in_vain)
    }
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
            return Ok((format!("{seeds} seeds"), None));
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
        return Ok((format!("seed {seed}"), Some(found)));
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
    let mut runs = 0;
    for seed in FIRST_RUN_SEED.. {
        if Instant::now() >= deadline {
            break;
        }
        let store = std::env::temp_dir().join(format!("rustyraft-mutants-{}", std::process::id()));
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
        let child = Speaking::start(Layer::Run, &mut command)?;
        // A cluster that does not come back is waited for; that is the run's own limit.
        let line = child.next(deadline + faults.patience());
        drop(child);
        // What a bug's run leaves is repeated by its command.
        let _ = std::fs::remove_dir_all(&store);
        runs += 1;
        let Some(line) = line else { continue };
        let reason = text(&line["reason"]);
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
            return Ok((format!("{runs} runs"), Some(found)));
        }
    }
    Ok((format!("{runs} runs"), None))
}
