//! A run as a golden script of the core: what came to each server, in order, in the notation of `node/raft/testdata`.
//!
//! The script drives the core alone. So a run is recorded only where the world goes by turns of one input each
//! ([`crate::Aspect::Turns`]), and a snapshot that is carried over ends it: a script has no files.

use crate::plan::Plan;
use std::collections::BTreeMap;

/// What stands in front of what a command leads to.
const INDENT: &str = "  ";

#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    is_on: bool,
    lines: Vec<String>,
    /// What is in flight on each link, by number, oldest first.
    flight: BTreeMap<(usize, usize), Vec<u64>>,
    last_message: u64,
    /// Where the lines stand that say of a node that it crashed.
    crashes: BTreeMap<usize, usize>,
    /// Why the script ends before the run does.
    ends: Option<String>,
}

impl Script {
    pub(crate) fn begin(&mut self, plan: &Plan) {
        self.is_on = true;
        let mut words = format!("cluster {} persist=manual", plan.nodes);
        if plan.voters < plan.nodes {
            words.push_str(&format!(" voters={}", plan.voters));
        }
        if plan.follower_reads {
            words.push_str(" follower-reads=on");
        }
        if !plan.pre_vote {
            words.push_str(" pre-vote=off");
        }
        if !plan.check_quorum {
            words.push_str(" check-quorum=off");
        }
        if plan.lease.is_some() {
            words.push_str(" leases=on");
        }
        words.push_str(&format!(
            " entries-max={} window={}",
            plan.append_entries_max, plan.in_flight_messages_max
        ));
        self.lines.push(words);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on && self.ends.is_none()
    }

    /// Whether there is to be a script at all.
    pub(crate) fn has_begun(&self) -> bool {
        self.is_on
    }

    /// A command.
    pub(crate) fn command(&mut self, words: impl FnOnce() -> String) {
        if self.is_on() {
            self.lines.push(words());
        }
    }

    /// What a command led to.
    pub(crate) fn consequence(&mut self, words: &str) {
        if self.is_on() {
            self.lines.push(format!("{INDENT}{words}"));
        }
    }

    pub(crate) fn end(&mut self, why: &str) {
        if self.is_on() {
            self.ends = Some(why.to_owned());
        }
    }

    /// A message leaves; its number.
    pub(crate) fn sent(&mut self, from: usize, to: usize) -> u64 {
        if !self.is_on() {
            return 0;
        }
        self.last_message += 1;
        self.flight.entry((from, to)).or_default().push(self.last_message);
        self.last_message
    }

    /// The message that left last comes twice; the copy's number.
    pub(crate) fn doubled(&mut self, from: usize, to: usize, message: u64) -> u64 {
        self.taken("duplicate", from, to, message);
        self.sent(from, to);
        self.sent(from, to)
    }

    /// A message is taken out of the network: `deliver` or `drop`.
    pub(crate) fn taken(&mut self, verb: &str, from: usize, to: usize, message: u64) {
        if !self.is_on() {
            return;
        }
        let flight = self.flight.entry((from, to)).or_default();
        let Some(place) = flight.iter().position(|known| *known == message) else {
            return;
        };
        let which = match (place, flight.len()) {
            (_, 1) => String::new(),
            (0, _) => String::from(" first"),
            (place, count) if place + 1 == count => String::from(" last"),
            (place, _) => format!(" at={}", place + 1),
        };
        flight.remove(place);
        self.lines.push(format!("{verb} {} {}{which}", from + 1, to + 1));
    }

    pub(crate) fn crashed(&mut self, node: usize) {
        if self.is_on() {
            self.crashes.insert(node, self.lines.len());
            self.lines.push(format!("crash {}", node + 1));
        }
    }

    /// A node starts again; what was being written when it crashed had `landed` or not.
    pub(crate) fn restarted(&mut self, node: usize, landed: bool) {
        if !self.is_on() {
            return;
        }
        let Some(place) = self.crashes.remove(&node) else {
            // All servers of a script start at its beginning.
            return;
        };
        if landed {
            self.lines[place].push_str(" landed");
        }
        self.lines.push(format!("restart {}", node + 1));
    }

    /// The script, or why there is none.
    pub(crate) fn into_lines(self) -> Result<Vec<String>, String> {
        match self.ends {
            Some(why) => Err(why),
            None => Ok(self.lines),
        }
    }
}
