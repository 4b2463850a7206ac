//! The model as a hunter: from world to world.

use super::child::{HuntError, Speaking, command, number, text};
use super::layers::{Budget, Found, Layer, Quarry, Sought};
use super::programs::Programs;
use serde_json::Value;
use sim::model::Tier;
use std::time::Instant;

/// How many million steps a world has in the first round.
const FIRST_ROUND_MILLIONS: usize = 1;

/// Goes through the worlds until a promise is broken; or, for a bug that breaks none, until something never happens that does without it.
///
/// A bug can make a world much larger than it is. So each has a few steps in the first round, and what is larger waits for the second.
pub(super) fn model(
    programs: &Programs,
    quarry: Quarry<'_>,
    budget: &Budget,
    deadline: Instant,
) -> Result<Sought, HuntError> {
    let mut left = worlds_of_every_change();
    let mut search = Search {
        all: left.len() as u64,
        ..Search::default()
    };
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
    /// How many worlds there are.
    all: u64,
    states: u64,
    /// How many were complete.
    worlds: u64,
    found: Option<(String, Found)>,
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
            self.found = Some((effort, found));
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
            self.found.get_or_insert((effort, found));
        }
        self.found.is_some() && !breaks_safety
    }

    fn ended(self) -> Sought {
        let (effort, found) = match self.found {
            Some((effort, found)) => (effort, Some(found)),
            None => (format!("{} states of {} worlds", self.states, self.worlds), None),
        };
        let is_cut_short = found.is_none() && self.worlds < self.all;
        Sought {
            effort,
            found,
            shortfall: is_cut_short.then(|| {
                format!(
                    "{} of {} worlds were not searched to the end",
                    self.all - self.worlds,
                    self.all
                )
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(complete: bool, unmet: &[&str], violations: &[Value]) -> Value {
        json!({"unique_states": 7, "complete": complete, "unmet": unmet, "violations": violations})
    }

    /// What worlds say, one after the other: what is found, and whether the search is over.
    fn search(lines: &[Value], breaks_safety: bool) -> (bool, Sought) {
        let mut search = Search {
            all: lines.len() as u64,
            ..Search::default()
        };
        let mut over = false;
        for line in lines {
            assert!(!over, "the search is over already");
            over = search.takes("votes", line, String::from("again"), breaks_safety);
        }
        (over, search.ended())
    }

    #[test]
    fn a_broken_promise_ends_a_search_also_of_a_world_that_is_not_complete() {
        let story = json!({"what": "durability: n1 forgets\nmore", "steps": ["a", "b"]});
        let (over, sought) = search(&[line(true, &[], &[]), line(false, &[], &[story])], true);
        let (effort, found) = (sought.effort, sought.found.unwrap());
        assert!(over);
        assert_eq!(effort, "7 states of votes");
        assert_eq!(
            (found.what.as_str(), found.trace_steps),
            ("durability: n1 forgets", Some(2))
        );
    }

    #[test]
    fn what_never_happens_counts_where_a_world_is_complete() {
        let cut_short = line(false, &["a read is answered"], &[]);
        let complete = line(true, &["a read is answered"], &[]);
        assert!(search(std::slice::from_ref(&cut_short), false).1.found.is_none());
        let (over, sought) = search(&[cut_short, complete.clone()], false);
        assert!(over);
        assert_eq!(sought.found.unwrap().what, "never: a read is answered");
        // A bug that breaks a promise may yet be seen to.
        let (over, sought) = search(&[complete], true);
        assert!(!over && sought.found.is_some());
    }

    #[test]
    fn a_search_in_vain_says_what_was_seen() {
        let (over, sought) = search(&[line(true, &[], &[]), line(true, &[], &[])], true);
        assert!(!over && sought.found.is_none());
        assert_eq!(sought.effort, "14 states of 2 worlds");
        assert_eq!(sought.shortfall, None);
    }

    #[test]
    fn a_search_that_was_cut_short_says_what_it_left_out() {
        let (_, sought) = search(&[line(true, &[], &[]), line(false, &[], &[])], true);
        assert_eq!(
            sought.shortfall.unwrap(),
            "1 of 2 worlds were not searched to the end"
        );
    }
}
