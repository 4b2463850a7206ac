//! What everything that was found comes to.

use crate::client::MISANSWERED;
use crate::cluster::{NodeExit, NodeNumber};
use crate::record::Tally;
use crate::report::{Checked, LatencyOf, ReasonOf, Results, Summary, Valid};
use crate::run::directory::Test;
use crate::run::gate;
use crate::run::judge::Judged;
use crate::run::test::Loaded;
use checker::Verdict;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

/// How many of a node's last lines are repeated.
const LAST_WORDS_MAX: usize = 12;
/// The exit code of a Rust program that panicked.
const PANICKED: i32 = 101;
/// SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE and SIGSEGV: nobody sends them, a program brings them on itself.
const SIGNALS_OF_A_CRASH: [i32; 6] = [4, 5, 6, 7, 8, 11];

/// What was found, before it is weighed.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) start: Option<Duration>,
    pub(super) recovery: Option<Duration>,
    pub(super) loaded: Option<Loaded>,
    pub(super) tally: Tally,
    pub(super) judged: Option<Judged>,
    pub(super) exits: Vec<NodeExit>,
    pub(super) elections: u64,
    /// Two nodes that were in different states after the entry of that index, when all was over.
    pub(super) divergence: Option<(NodeNumber, NodeNumber, u64)>,
    /// Why the run proves nothing.
    pub(super) objections: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// Weighs what was found. In this order: a violation in what clients saw; a node that found its own state broken; nodes that differ;
/// what keeps the run from proving anything; valid.
pub(super) fn conclude(test: &Test, run_dir: &Path, mut findings: Findings) -> Results {
    let options = &test.options;
    let objection = first_objection(test, &findings);
    let crash = findings.exits.iter().find(|exit| is_crash(exit));
    let mut explanation = crash.map(last_words);
    let verdict = findings.judged.as_ref().map(|judged| &judged.report.verdict);
    let (valid, reason) = match (verdict, crash, findings.divergence) {
        (Some(Verdict::Violation(violation)), _, _) => {
            explanation = Some(violation.text.clone());
            (
                Valid::False,
                Some(format!(
                    "{} is not linearizable. {}",
                    violation.object, violation.operation
                )),
            )
        }
        (_, Some(exit), _) => (
            Valid::False,
            Some(format!(
                "node {} found its own state broken: {}",
                exit.node, exit.status
            )),
        ),
        (_, None, Some((one, other, index))) => (
            Valid::False,
            Some(format!(
                "nodes {one} and {other} are in different states after the same {index} entries"
            )),
        ),
        (Some(Verdict::Unknown(reason)), None, None) => {
            (Valid::Unknown, Some(objection.unwrap_or_else(|| reason.clone())))
        }
        (Some(Verdict::Valid), None, None) => match objection {
            Some(objection) => (Valid::Unknown, Some(objection)),
            None => (Valid::True, None),
        },
        (None, None, None) => (Valid::Unknown, objection),
    };
    if valid == Valid::Unknown && explanation.is_none() {
        explanation = findings.exits.first().map(last_words);
    }
    let checked = findings.judged.as_mut().map(|judged| {
        findings.notes.append(&mut judged.log.warnings);
        Checked {
            model: judged.report.model,
            engine: judged.report.engine,
            ops: judged.report.operations,
            partitions: judged.report.partitions,
            parse_seconds: judged.parse.as_secs_f64(),
            check_seconds: judged.check.as_secs_f64(),
        }
    });
    let faults = findings.loaded.as_ref().map(|loaded| {
        findings.notes.extend(loaded.outcome.troubles.iter().cloned());
        loaded
            .outcome
            .took_effect
            .iter()
            .map(|(kind, count)| (kind.to_string(), *count))
            .collect()
    });
    Results {
        summary: Summary {
            valid,
            reason,
            workload: options.workload.clone(),
            system: "node",
            nodes: options.nodes,
            seconds: findings
                .loaded
                .as_ref()
                .map_or(0.0, |loaded| loaded.took.as_secs_f64()),
            ops: findings.tally.counts(),
            elections: findings.elections,
            faults: faults.unwrap_or_default(),
            seed: test.seed,
            run_dir: run_dir.to_owned(),
        },
        concurrency: options.concurrency,
        start_seconds: findings.start.map(|start| start.as_secs_f64()),
        recovery_seconds: findings.recovery.map(|recovery| recovery.as_secs_f64()),
        latencies: LatencyOf::all(&findings.tally),
        reasons: ReasonOf::all(&findings.tally),
        checked,
        explanation,
        notes: findings.notes,
    }
}

/// Why the run proves nothing, the most telling reason first: a node that is gone explains all the others.
fn first_objection(test: &Test, findings: &Findings) -> Option<String> {
    let gone = findings.exits.iter().find(|exit| !is_crash(exit));
    let gone = gone.map(|exit| format!("node {} ended by itself: {}", exit.node, exit.status));
    gone.or_else(|| findings.objections.first().cloned()).or_else(|| {
        if findings
            .tally
            .reasons()
            .any(|(_, reason, _)| reason == MISANSWERED)
        {
            return Some(format!("a node does not answer what it is asked: {MISANSWERED}"));
        }
        let loaded = findings.loaded.as_ref()?;
        let options = &test.options;
        let workload = workloads::by_name(&options.workload)?;
        let needed: Vec<(&'static str, u64)> = workload
            .needed_kinds()
            .iter()
            .map(|kind| (*kind, loaded.tally.ok_of(kind)))
            .collect();
        gate::objection(&gate::Load {
            calm: loaded.calm,
            ok_when_calm: loaded.counts_when_calm.ok,
            ok_when_hurt: loaded
                .tally
                .counts()
                .ok
                .saturating_sub(loaded.counts_when_calm.ok),
            rate: options.rate,
            needed: &needed,
            asked: &options.nemesis,
            took_effect: &loaded.outcome.took_effect,
        })
    })
}

/// Whether a node ended because it found its own state broken. One that ends otherwise, for want of disk space say, accuses the machine.
fn is_crash(exit: &NodeExit) -> bool {
    exit.status.code() == Some(PANICKED)
        || exit
            .status
            .signal()
            .is_some_and(|signal| SIGNALS_OF_A_CRASH.contains(&signal))
        || exit.last_lines.iter().any(|line| line.contains("panicked at"))
}

fn last_words(exit: &NodeExit) -> String {
    let mut words = format!("The last words of node {}:\n", exit.node);
    let skipped = exit.last_lines.len().saturating_sub(LAST_WORDS_MAX);
    for line in exit.last_lines.iter().skip(skipped) {
        words.push_str("\n    ");
        words.push_str(line);
    }
    words
}

#[cfg(test)]
mod tests;
