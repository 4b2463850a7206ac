//! What everything that was found comes to.

use crate::cluster::{NodeExit, Wound};
use crate::node_number::NodeNumber;
use crate::record::{Counts, Tally};
use crate::report::{Checked, EarlyEnd, LatencyOf, ReasonOf, Results, Standing, Summary, Valid};
use crate::run::gate;
use crate::run::judge::Judged;
use crate::run::recorded::Test;
use crate::run::test::Loaded;
use checker::Verdict;
use std::borrow::Cow;
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
    /// The damage on which nodes started as if nothing were wrong.
    pub(super) unnoticed: Vec<Wound>,
    /// `None` where nobody is elected.
    pub(super) elections: Option<u64>,
    /// Two nodes that were in different states after the entry of that index, when all was over.
    pub(super) divergence: Option<(NodeNumber, NodeNumber, u64)>,
    /// The violation that was seen while the run went on, if that ended it.
    pub(super) ended_early: Option<EarlyEnd>,
    /// What this machine failed to do: it explains whatever else went wrong.
    pub(super) machine: Option<String>,
    /// Why the run proves nothing.
    pub(super) objections: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// Weighs what was found.
pub(super) fn conclude(test: &Test, run_dir: &Path, findings: &Findings) -> Results {
    let options = &test.options;
    let apart = apart(test, findings);
    let outcome = findings.loaded.as_ref().map(|loaded| &loaded.outcome);
    let faults = outcome.iter().flat_map(|outcome| &outcome.took_effect);
    let troubles = outcome.iter().flat_map(|outcome| &outcome.troubles);
    let mut results = Results {
        summary: Summary {
            valid: Valid::Unknown,
            reason: None,
            workload: options.workload.clone(),
            system: Cow::Owned(options.system.to_string()),
            nodes: options.nodes,
            seconds: findings
                .loaded
                .as_ref()
                .map_or(0.0, |loaded| loaded.took.as_secs_f64()),
            ops: findings.tally.counts(),
            elections: findings.elections,
            faults: Some(faults.map(|(kind, count)| (kind.to_string(), *count)).collect()),
            seed: test.seed,
            run_dir: run_dir.to_owned(),
        },
        concurrency: options.concurrency,
        per_second: findings.loaded.as_ref().map(|loaded| {
            let seconds = loaded.took.as_secs_f64();
            loaded.tally.counts().total() as f64 / seconds
        }),
        start_seconds: findings.start.map(|start| start.as_secs_f64()),
        recovery_seconds: findings.recovery.map(|recovery| recovery.as_secs_f64()),
        latencies: LatencyOf::all(&findings.tally),
        reasons: ReasonOf::all(&findings.tally),
        checked: None,
        explanation: None,
        apart,
        ended_early: findings.ended_early.clone(),
        notes: findings.notes.iter().chain(troubles).cloned().collect(),
    };
    weigh(&mut results, findings.judged.as_ref());
    results
}

/// Comes to the verdict, from what was judged of the history and how the run stands apart from it. In this order: a violation in what
/// clients saw; a node that found its own state broken; one that did not notice that its data was; nodes that differ; what keeps the run from proving anything; valid.
pub(super) fn weigh(results: &mut Results, judged: Option<&Judged>) {
    let verdict = judged.map(|judged| &judged.report.verdict);
    if let Some(early) = &mut results.ended_early {
        early.confirmed = match verdict {
            Some(Verdict::Violation(_)) => Some(true),
            Some(Verdict::Valid) => Some(false),
            Some(Verdict::Unknown(_)) | None => None,
        };
    }
    let mut standing = results.apart.clone();
    match (verdict, &results.ended_early) {
        (Some(Verdict::Violation(violation)), _) => {
            standing = Standing {
                valid: Valid::False,
                reason: Some(format!(
                    "{} is not linearizable. {}",
                    violation.object, violation.operation
                )),
                explanation: Some(violation.text.clone()),
            };
        }
        (Some(Verdict::Valid), Some(_)) if standing.valid != Valid::False => {
            standing.valid = Valid::Unknown;
            standing.reason = results.dispute();
        }
        // What was seen was seen, even if there is no time or no file to explain it.
        (Some(Verdict::Unknown(_)) | None, Some(early)) => {
            let why = match verdict {
                Some(Verdict::Unknown(reason)) => reason,
                _ => "its history can't be judged",
            };
            standing = Standing {
                valid: Valid::False,
                reason: Some(format!(
                    "{} is not linearizable, as was seen while it ran; that is not explained: {why}",
                    early.object
                )),
                explanation: None,
            };
        }
        (Some(Verdict::Unknown(reason)), None) if standing.valid != Valid::False => {
            standing.valid = Valid::Unknown;
            standing.reason.get_or_insert_with(|| reason.clone());
        }
        (None, None) if standing.valid == Valid::True => standing.valid = Valid::Unknown,
        (Some(Verdict::Valid | Verdict::Unknown(_)) | None, _) => {}
    }
    if standing.valid == Valid::True
        && let Some(missing) = judged.and_then(|judged| missing(judged, results.summary.ops))
    {
        standing.valid = Valid::Unknown;
        standing.reason = Some(missing);
    }
    results.summary.valid = standing.valid;
    results.summary.reason = standing.reason;
    results.explanation = standing.explanation;
    results.checked = judged.map(|judged| Checked {
        model: Cow::Borrowed(judged.report.model),
        engine: Cow::Borrowed(judged.report.engine),
        ops: judged.report.operations,
        partitions: judged.report.partitions,
        parse_seconds: judged.parse.as_secs_f64(),
        check_seconds: judged.check.as_secs_f64(),
    });
    for warning in judged.iter().flat_map(|judged| &judged.log.warnings) {
        if !results.notes.contains(warning) {
            results.notes.push(warning.clone());
        }
    }
}

/// What to object where the history has fewer operations than were completed: a disk may take what is written and lose it, and somebody may have
/// cut it off since.
fn missing(judged: &Judged, completed: Counts) -> Option<String> {
    let (read, completed) = (judged.log.calls.len() as u64, completed.total());
    (read < completed)
        .then(|| format!("{completed} operations were recorded, and {read} are left in the history"))
}

/// How a run stands apart from its history.
fn apart(test: &Test, findings: &Findings) -> Standing {
    if let Some(exit) = findings.exits.iter().find(|exit| is_crash(exit)) {
        return Standing {
            valid: Valid::False,
            reason: Some(format!(
                "node {} found its own state broken: {}",
                exit.node, exit.status
            )),
            explanation: Some(last_words(exit)),
        };
    }
    if let Some(wound) = findings.unnoticed.first() {
        let what = if wound.file.starts_with("snapshot") {
            "snapshot"
        } else {
            "log"
        };
        return Standing {
            valid: Valid::False,
            reason: Some(format!("node {} started on a damaged {what}", wound.node)),
            explanation: Some(format!("While it was down, {wound}.")),
        };
    }
    if let Some((one, other, index)) = findings.divergence {
        return Standing {
            valid: Valid::False,
            reason: Some(format!(
                "nodes {one} and {other} are in different states after the same {index} entries"
            )),
            explanation: None,
        };
    }
    let reason = first_objection(test, findings);
    Standing {
        valid: if reason.is_some() {
            Valid::Unknown
        } else {
            Valid::True
        },
        reason,
        explanation: findings.exits.first().map(last_words),
    }
}

/// Why the run proves nothing, the most telling reason first: a machine that fails explains all the others, and then a node that is gone.
fn first_objection(test: &Test, findings: &Findings) -> Option<String> {
    if findings.machine.is_some() {
        return findings.machine.clone();
    }
    let gone = findings.exits.iter().find(|exit| !is_crash(exit));
    let gone = gone.map(|exit| {
        let how = if exit.was_told {
            "did not end as it was told to"
        } else {
            "ended by itself"
        };
        format!("node {} {how}: {}", exit.node, exit.status)
    });
    gone.or_else(|| findings.objections.first().cloned()).or_else(|| {
        if let Some(accusation) = findings.tally.accusation() {
            return Some(format!("a node does not answer what it is asked: {accusation}"));
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
