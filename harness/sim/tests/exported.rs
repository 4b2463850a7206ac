//! What the simulation exports as a golden script of the core is played by the interpreter of golden scripts: where a seeded bug breaks a
//! promise, the same promise is broken there, by the core alone.

#![cfg(feature = "mutants")]

#[path = "../../../node/raft/tests/it/script/mod.rs"]
mod script;
#[path = "../../../node/raft/tests/it/server.rs"]
#[allow(dead_code, reason = "scripts need a part of it")]
mod server;

use raft::Config;
use script::Interpreter;
use sim::{Options, trace};
use std::collections::BTreeMap;

/// What happened to each server, as a script tells it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outline {
    /// Its terms and roles, in order.
    roles: BTreeMap<String, Vec<String>>,
    /// How far it has committed at most.
    commits: BTreeMap<String, u64>,
}

impl Outline {
    fn of<'a>(lines: impl IntoIterator<Item = &'a str>) -> Outline {
        let mut outline = Outline::default();
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [before, role_before, "⇨", after, role] => {
                    let (name, term) = after.split_once('@').expect("a server has a term");
                    // Whom it follows is told by one of the two only.
                    let plain = |role: &str| role.split('(').next().map(str::to_owned);
                    if (before, plain(role_before)) != (after, plain(role)) {
                        let role = plain(role).expect("a role has a name");
                        let roles = outline.roles.entry(name.to_owned()).or_default();
                        roles.push(format!("{role} of {term}"));
                    }
                }
                [server, "commits", index] => {
                    let index: u64 = index.parse().expect("an index is a number");
                    let known = outline.commits.entry(server.to_owned()).or_default();
                    *known = index.max(*known);
                }
                _ => {}
            }
        }
        outline
    }
}

/// What a script's commands lead to, a line each.
fn play(script: &[String], configure: impl Fn(&mut Config) + 'static) -> Vec<String> {
    let mut interpreter = Interpreter::new(configure);
    let mut played = Vec::new();
    for command in script.iter().filter(|line| !line.starts_with(' ')) {
        played.extend(interpreter.run(command).lines().map(str::to_owned));
    }
    played
}

/// With a bug, a failing world's script is a story of that bug: what breaks the promise happens with it, and does not without.
mod with_bugs {
    use super::*;
    use sim::{Failure, Invariant, Mutant, run, shrink};

    /// Seeds in which a bug is looked for.
    const SEEDS: u64 = 300;

    /// How many worlds are tried to make a failing one smaller.
    const TRIES_MAX: u32 = 200;

    /// The first failing world that can be told as a script, made smaller, and what it breaks.
    fn story(name: &str, by: Invariant) -> (Vec<String>, Failure) {
        let options = Options {
            mutant: Mutant::by_name(name),
            ..Options::default()
        };
        for seed in 0..SEEDS {
            let failure = run(seed, &options).failure;
            if failure.is_none_or(|failure| failure.invariant != by) {
                continue;
            }
            let mut tries = 0;
            let small = shrink(seed, &options, &mut || {
                tries += 1;
                tries > TRIES_MAX
            });
            let told = trace(seed, &small.expect("it fails").options);
            if let (Ok(script), Some(failure)) = (told.script, told.outcome.failure) {
                return (script, failure);
            }
        }
        panic!("no world of {name} could be told as a script");
    }

    /// Whether what the failure speaks of, a commit or a leader, is in the outline.
    fn happens(failure: &Failure, outline: &Outline) -> bool {
        let words: Vec<&str> = failure.what.split_whitespace().collect();
        match words[..] {
            [server, "commits", position, ..] => {
                let index = position.split('@').next().expect("a position has an index");
                let index: u64 = index.parse().expect("an index is a number");
                outline.commits.get(server).is_some_and(|commit| *commit >= index)
            }
            [server, "leads", "term", term, ..] => {
                let leads = format!("leader of {term}");
                let roles = outline.roles.get(server);
                roles.is_some_and(|roles| roles.contains(&leads))
            }
            _ => panic!("this failure is of no commit and no leader: {failure}"),
        }
    }

    #[track_caller]
    fn breaks_in_the_core_alone(name: &str, by: Invariant) {
        let (script, failure) = story(name, by);
        let Some(Mutant::Core(mutant)) = Mutant::by_name(name) else {
            panic!("{name} is no bug of the core");
        };
        let shown = play(&script, move |config| config.mutant = Some(mutant));
        let shown = Outline::of(shown.iter().map(String::as_str));
        assert!(happens(&failure, &shown), "{failure}\n{}", script.join("\n"));
        // Without the bug the story may come to a point from which it can't go on: a message that it names was never sent.
        let mut clean = Vec::new();
        let mut interpreter = Interpreter::new(|_| {});
        for command in script.iter().filter(|line| !line.starts_with(' ')) {
            let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| interpreter.run(command)));
            let Ok(played) = played else { break };
            clean.extend(played.lines().map(str::to_owned));
        }
        let clean = Outline::of(clean.iter().map(String::as_str));
        assert!(!happens(&failure, &clean), "{failure}\n{}", script.join("\n"));
    }

    #[test]
    fn an_unsorted_majority_commits_what_it_must_not() {
        breaks_in_the_core_alone("quorum-arithmetic", Invariant::Durability);
    }

    #[test]
    fn a_candidate_with_an_older_log_is_elected() {
        breaks_in_the_core_alone("index-before-term", Invariant::LeaderCompleteness);
    }
}
