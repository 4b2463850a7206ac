//! What flags take, and what is said of what they don't.

use crate::cluster::is_host;
use crate::nemesis::{Kind, Rates, UnknownRates};
use crate::run::{CONCURRENCY_MAX, Concurrency, DURATION_MAX, NODES_MAX, RATE_MAX};
use crate::systems::SystemName;
use checker::formats::Format;
use checker::history::Value;
use checker::{Dialect, EngineChoice};
use std::time::Duration;

/// The most tests of one command.
const TEST_COUNT_MAX: u32 = 1_000_000;
/// The most memory for the check of one object, a tebibyte.
const MEBIBYTES_MAX: usize = 1 << 20;

/// The word for which `--workload` prints what there is.
pub(super) const LIST: &str = "list";

/// The word that means all worlds of every change.
pub(super) const ALL: &str = "all";
/// The word that means the worlds of the night.
pub(super) const NIGHTLY: &str = "nightly";
/// How deep a model check may be bounded.
const DEPTH_MAX: usize = 1_000_000;
/// The most threads of a model check.
const THREADS_MAX: usize = 1024;
/// The most nodes of a simulated cluster.
const SIMULATED_NODES_MAX: u64 = 9;
/// The most machines that share the seeds of a simulation.
const SHARDS_MAX: u64 = 1_000_000;
/// The most millions of steps of a model check.
const MILLIONS_MAX: usize = 1_000_000;

/// Operations a second; `None` for as many as go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate(pub(super) Option<u64>);

/// Kinds of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kinds {
    /// All that mean something to so many nodes.
    All,
    /// These, by name.
    Named(Vec<Kind>),
}

impl Kinds {
    /// Those of `known` for a cluster of `nodes` of `system`.
    ///
    /// # Errors
    /// One was named that means nothing to so few, or is not known there; in words.
    pub(super) fn among(&self, nodes: u64, system: &SystemName, known: &[Kind]) -> Result<Vec<Kind>, String> {
        let is_too_much = |kind: &Kind| kind.nodes_min() > nodes;
        if let Kinds::Named(kinds) = self
            && let Some(kind) = kinds.iter().find(|kind| !known.contains(kind))
        {
            let mut allowed: Vec<&str> = known.iter().map(|kind| kind.name()).collect();
            allowed.push("none");
            return Err(format!(
                "--system {system} does not know --nemesis {kind}; allowed are {}",
                allowed.join(", ")
            ));
        }
        match self {
            Kinds::All => Ok(known.iter().copied().filter(|kind| !is_too_much(kind)).collect()),
            Kinds::Named(kinds) => match kinds.iter().copied().find(is_too_much) {
                Some(kind) => Err(format!(
                    "--nemesis {kind} takes {} nodes or more, and --nodes is {nodes}",
                    kind.nodes_min()
                )),
                None => Ok(kinds.clone()),
            },
        }
    }
}

/// A host as ssh knows it.
pub(super) fn host(text: &str) -> Result<String, String> {
    if is_host(text) {
        return Ok(text.to_owned());
    }
    Err(String::from(
        "allowed are names of hosts as ssh knows them, several with commas",
    ))
}

pub(super) fn ip_address(text: &str) -> Result<std::net::IpAddr, String> {
    let refused = |_| String::from("allowed is an address without a port, such as 192.0.2.1");
    text.parse().map_err(refused)
}

pub(super) fn system(text: &str) -> Result<SystemName, String> {
    text.parse()
        .map_err(|_| String::from("allowed are node, etcd, redis, and a file PATH.toml"))
}

pub(super) fn workload(text: &str) -> Result<String, String> {
    let mut names: Vec<&str> = workloads::all().iter().map(|workload| workload.name()).collect();
    names.push(LIST);
    if names.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("allowed are {}", names.join(", ")))
}

pub(super) fn world(text: &str) -> Result<String, String> {
    let worlds = sim::model::worlds();
    let mut names: Vec<&str> = worlds.iter().map(|world| world.name).collect();
    names.extend([ALL, NIGHTLY, LIST]);
    if names.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("allowed are {}", names.join(", ")))
}

pub(super) fn threads(text: &str) -> Result<usize, String> {
    within(text, 1, THREADS_MAX)
}

pub(super) fn depth(text: &str) -> Result<usize, String> {
    within(text, 1, DEPTH_MAX)
}

pub(super) fn address(text: &str) -> Result<std::net::SocketAddr, String> {
    let refused = |_| String::from("allowed is an address with a port, such as 127.0.0.1:3000");
    text.parse().map_err(refused)
}

/// An amount of memory in bytes.
pub(super) fn memory(text: &str) -> Result<u64, String> {
    let refused = || String::from("allowed is a number with M or G, such as 500M or 4G");
    let (number, unit) = match text.split_at_checked(text.len().saturating_sub(1)) {
        Some((number, "M")) => (number, 1 << 20),
        Some((number, "G")) => (number, 1 << 30),
        Some(_) | None => return Err(refused()),
    };
    let number: u64 = number.parse().map_err(|_| refused())?;
    number
        .checked_mul(unit)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(refused)
}

#[cfg(feature = "mutants")]
pub(super) fn mutant(text: &str) -> Result<String, String> {
    let names: Vec<&str> = sim::model::mutants().collect();
    if names.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("allowed are {}", names.join(", ")))
}

pub(super) fn millions(text: &str) -> Result<usize, String> {
    within(text, 1, MILLIONS_MAX)
}

pub(super) fn nodes(text: &str) -> Result<u64, String> {
    within(text, 1, NODES_MAX)
}

pub(super) fn test_count(text: &str) -> Result<u32, String> {
    within(text, 1, TEST_COUNT_MAX)
}

pub(super) fn seed(text: &str) -> Result<u64, String> {
    within(text, 0, u64::MAX)
}

pub(super) fn seeds(text: &str) -> Result<u64, String> {
    within(text, 1, u64::MAX)
}

pub(super) fn simulated_nodes(text: &str) -> Result<u64, String> {
    within(text, 1, SIMULATED_NODES_MAX)
}

pub(super) fn shard(text: &str) -> Result<(u64, u64), String> {
    let allowed = || String::from("allowed are parts such as 2/8: the second of eight");
    let (part, parts) = text.split_once('/').ok_or_else(allowed)?;
    let parts = within(parts, 1, SHARDS_MAX).map_err(|_| allowed())?;
    let part = within(part, 1, parts).map_err(|_| allowed())?;
    Ok((part, parts))
}

pub(super) fn conditions(text: &str) -> Result<sim::Conditions, String> {
    match text {
        "swarm" => Ok(sim::Conditions::Swarm),
        "calm" => Ok(sim::Conditions::Calm),
        "cut-link" => Ok(sim::Conditions::CutLink),
        _ => Err(String::from("allowed are swarm, calm, cut-link")),
    }
}

#[cfg(feature = "mutants")]
pub(super) fn simulated_mutant(text: &str) -> Result<String, String> {
    if text == LIST || sim::Mutant::by_name(text).is_some() {
        return Ok(text.to_owned());
    }
    let names: Vec<&str> = sim::Mutant::all().map(|(name, _)| name).collect();
    Err(format!("allowed are {}, {LIST}", names.join(", ")))
}

pub(super) fn mebibytes(text: &str) -> Result<usize, String> {
    within(text, 1, MEBIBYTES_MAX)
}

pub(super) fn within<T: Copy + std::str::FromStr + PartialOrd + std::fmt::Display>(
    text: &str,
    least: T,
    most: T,
) -> Result<T, String> {
    match text.parse() {
        Ok(number) if least <= number && number <= most => Ok(number),
        Ok(_) | Err(_) => Err(format!("allowed are whole numbers from {least} to {most}")),
    }
}

/// The one of `all` that is called `text`.
pub(super) fn named<T: Copy + std::fmt::Display>(text: &str, all: &[T]) -> Result<T, String> {
    let known = all.iter().find(|known| known.to_string() == text);
    known.copied().ok_or_else(|| {
        let names: Vec<String> = all.iter().map(T::to_string).collect();
        format!("allowed are {}, several with commas", names.join(", "))
    })
}

pub(super) fn format(text: &str) -> Result<Format, String> {
    let known = Format::ALL.into_iter().find(|format| format.name() == text);
    known.ok_or_else(|| format!("allowed are {}", Format::ALL.map(Format::name).join(", ")))
}

pub(super) fn dialect(text: &str) -> Result<Dialect, String> {
    let known = Dialect::ALL.into_iter().find(|dialect| dialect.name() == text);
    known.ok_or_else(|| format!("allowed are {}", Dialect::ALL.map(Dialect::name).join(", ")))
}

pub(super) fn model(text: &str) -> Result<String, String> {
    let mut names: Vec<&str> = checker::registry().iter().map(|model| model.name).collect();
    names.push(LIST);
    if names.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("allowed are {}", names.join(", ")))
}

pub(super) fn engine(text: &str) -> Result<EngineChoice, String> {
    match text {
        "auto" => Ok(EngineChoice::Auto),
        "general" => Ok(EngineChoice::General),
        "linear" => Ok(EngineChoice::Linear),
        _ => Err(String::from("allowed are auto, general, linear")),
    }
}

/// What an object is at the beginning.
pub(super) fn init(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::text(text))
}

pub(super) fn concurrency(text: &str) -> Result<Concurrency, String> {
    let allowed = || {
        format!(
            "allowed are numbers of clients from 1 to {CONCURRENCY_MAX}, and multiples of the nodes such as 2n"
        )
    };
    let number = |digits: &str| within(digits, 1, CONCURRENCY_MAX).map_err(|_| allowed());
    match text.strip_suffix('n') {
        Some("") => Ok(Concurrency::PerNode(1)),
        // That many for each of the most nodes is still a number that a machine has sockets for.
        Some(digits) => number(digits).and_then(|each| {
            if each <= 100 {
                Ok(Concurrency::PerNode(each))
            } else {
                Err(String::from("allowed are at most 100n"))
            }
        }),
        None => number(text).map(Concurrency::Total),
    }
}

pub(super) fn rate(text: &str) -> Result<Rate, String> {
    if text == "max" {
        return Ok(Rate(None));
    }
    within(text, 1, RATE_MAX)
        .map(|rate| Rate(Some(rate)))
        .map_err(|allowed| format!("{allowed}, and max"))
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() && duration <= DURATION_MAX => Ok(duration),
        Ok(_) | Err(_) => Err(String::from(
            "allowed are durations above zero, up to 30 days, with a unit: 500ms, 20s, 3m",
        )),
    }
}

pub(super) fn clock_rates(text: &str) -> Result<Rates, String> {
    text.parse().map_err(|error: UnknownRates| error.to_string())
}

pub(super) fn nemesis(text: &str) -> Result<Kinds, String> {
    match text {
        "none" => return Ok(Kinds::Named(Vec::new())),
        "all" => return Ok(Kinds::All),
        _ => {}
    }
    let mut kinds: Vec<Kind> = Vec::new();
    for name in text.split(',') {
        let known = Kind::ALL.iter().find(|kind| kind.to_string() == name);
        let Some(kind) = known else {
            let names: Vec<String> = Kind::ALL.iter().map(Kind::to_string).collect();
            return Err(format!(
                "{name:?} is no fault; allowed are {}, several with commas, all, and none",
                names.join(", ")
            ));
        };
        if !kinds.contains(kind) {
            kinds.push(*kind);
        }
    }
    Ok(Kinds::Named(kinds))
}
