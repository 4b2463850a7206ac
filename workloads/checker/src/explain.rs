//! A violation in words, and the smallest history that still shows it.

use crate::engine::Limits;
use crate::history::Remark;
use crate::model::Model;
use crate::object::{ObjectVerdict, Operation, check_object};
use std::fmt::Write as _;

/// How many checks the shrinking of one violation may take.
const SHRINK_CHECKS_MAX: usize = 4000;
/// How many states are named in a report.
const STATES_SHOWN_MAX: usize = 8;
/// How many operations before the violation are shown around it.
const AROUND_MAX: usize = 12;

/// A violation, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The object, by name.
    pub object: String,
    /// The operation that no order explains, in words.
    pub operation: String,
    /// The states that the object could have been in instead, in words.
    pub states: Vec<String>,
    /// When that operation returned, in nanoseconds since the run began.
    pub time: u64,
    /// How many operations the smallest core has.
    pub core_operations: usize,
    /// All of it as a text of several lines.
    pub text: String,
}

/// Explains why no order explains `operations[rejected]` on the object called `object`.
pub fn explain<M: Model>(
    init: &M,
    object: &str,
    operations: &[Operation<M>],
    rejected: usize,
    states: &[M],
    remarks: &[Remark],
    limits: Limits<'_>,
) -> Explanation {
    let culprit = &operations[rejected];
    let operation = sentence(culprit);
    let states: Vec<String> = states.iter().map(Model::describe_state).collect();
    let before: Vec<Operation<M>> = operations
        .iter()
        .filter(|other| other.invoked <= culprit.returned)
        .cloned()
        .collect();
    let (core, smallest) = shrink_within(init, &before, limits);

    let mut text = format!("{object} is not linearizable.\n\n");
    let shown = states
        .iter()
        .take(STATES_SHOWN_MAX)
        .cloned()
        .collect::<Vec<_>>()
        .join(" or ");
    let more = states.len().saturating_sub(STATES_SHOWN_MAX);
    let more = if more == 0 {
        String::new()
    } else {
        format!(" or {more} others")
    };
    let _ = writeln!(text, "  {operation}");
    let _ = writeln!(
        text,
        "  No order of the operations explains that: the value could only have been {shown}{more}."
    );

    let (these, of) = (core.len(), before.len());
    let _ = if smallest {
        writeln!(
            text,
            "\nThe smallest core, {these} of the {of} operations there: without any one of them the rest has an order.\n"
        )
    } else {
        writeln!(
            text,
            "\nA core, {these} of the {of} operations there; the check reached a limit before it found the smallest.\n"
        )
    };
    table(&mut text, &core);

    let mut around: Vec<&Operation<M>> = before.iter().filter(|other| overlaps(other, culprit)).collect();
    around.sort_by_key(|operation| (operation.invoked, operation.process));
    around.drain(..around.len().saturating_sub(AROUND_MAX));
    let around: Vec<Operation<M>> = around.into_iter().cloned().collect();
    let _ = writeln!(text, "\nThat operation and those open at the same time:\n");
    table(&mut text, &around);
    faults(&mut text, &core, remarks);
    Explanation {
        object: object.to_owned(),
        operation,
        states,
        time: culprit.returned,
        core_operations: core.len(),
        text,
    }
}

fn sentence<M: Model>(operation: &Operation<M>) -> String {
    let node = operation
        .node
        .map(|node| format!(" at node {node}"))
        .unwrap_or_default();
    let ret = operation
        .ret
        .as_ref()
        .map_or_else(|| String::from("?"), M::describe_ret);
    format!(
        "Process {}{node}: {} returned {ret}, between {} and {}.",
        operation.process,
        M::describe_op(&operation.op),
        seconds(operation.invoked),
        seconds(operation.returned)
    )
}

fn seconds(nanoseconds: u64) -> String {
    format!("{:.6} s", nanoseconds as f64 / 1e9)
}

fn overlaps<M: Model>(one: &Operation<M>, other: &Operation<M>) -> bool {
    let one_returned = if one.ret.is_some() { one.returned } else { u64::MAX };
    one.invoked <= other.returned && one_returned >= other.invoked
}

fn table<M: Model>(text: &mut String, operations: &[Operation<M>]) {
    let mut rows: Vec<[String; 5]> =
        vec![["process", "invoked", "returned", "operation", "result"].map(String::from)];
    let mut operations: Vec<&Operation<M>> = operations.iter().collect();
    operations.sort_by_key(|operation| (operation.invoked, operation.process));
    for operation in operations {
        let node = operation
            .node
            .map(|node| format!(" → n{node}"))
            .unwrap_or_default();
        let (returned, result) = match &operation.ret {
            Some(ret) => (seconds(operation.returned), M::describe_ret(ret)),
            None => (String::from("never"), String::from("unknown")),
        };
        rows.push([
            format!("{}{node}", operation.process),
            seconds(operation.invoked),
            returned,
            M::describe_op(&operation.op),
            result,
        ]);
    }
    let widths: [usize; 5] = std::array::from_fn(|column| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    });
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        let _ = writeln!(text, "    {}", cells.join("  ").trim_end());
    }
}

fn faults<M: Model>(text: &mut String, core: &[Operation<M>], remarks: &[Remark]) {
    let from = core.iter().map(|operation| operation.invoked).min().unwrap_or(0);
    let to = core
        .iter()
        .filter(|operation| operation.ret.is_some())
        .map(|operation| operation.returned)
        .max();
    let until = remarks
        .iter()
        .filter(|remark| remark.time <= to.unwrap_or(u64::MAX));
    // What came just before the core may still have been in force.
    let skipped = until
        .clone()
        .filter(|remark| remark.time < from)
        .count()
        .saturating_sub(2);
    let shown: Vec<&Remark> = until.skip(skipped).collect();
    if shown.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nFaults up to then:\n");
    for remark in shown {
        let _ = writeln!(
            text,
            "    {}  {} {}",
            seconds(remark.time),
            remark.f,
            remark.value
        );
    }
}

/// The smallest part of `operations` that is still a violation on its own: taking any one of them away makes it legal, or takes
/// away what another one observed. A part that is larger, where a limit comes first.
pub fn shrink<M: Model>(init: &M, operations: &[Operation<M>], limits: Limits<'_>) -> Vec<Operation<M>> {
    shrink_within(init, operations, limits).0
}

/// As [`shrink`]; and whether no limit came first.
fn shrink_within<M: Model>(
    init: &M,
    operations: &[Operation<M>],
    limits: Limits<'_>,
) -> (Vec<Operation<M>>, bool) {
    let fails = |candidate: &[Operation<M>]| {
        matches!(
            check_object(init, candidate, limits),
            ObjectVerdict::Violation { .. }
        )
    };
    let mut core = operations.to_vec();
    let mut checks = 0;
    let mut size = core.len().div_ceil(2).max(1);
    loop {
        let mut shrunk = false;
        let mut at = 0;
        while at < core.len() {
            if checks >= SHRINK_CHECKS_MAX || (limits.should_stop)() {
                return (core, false);
            }
            let candidate = without(&core, at, size);
            checks += 1;
            if candidate.len() < core.len() && fails(&candidate) {
                core = candidate;
                shrunk = true;
            } else {
                at += size;
            }
        }
        if size > 1 {
            size = size.div_ceil(2);
        } else if !shrunk {
            // A check that was stopped has found nothing out, and leaves what may be needless.
            return (core, !(limits.should_stop)());
        }
    }
}

/// `operations` without those at `at..at + size`, and without those that then observe what nobody produced.
fn without<M: Model>(operations: &[Operation<M>], at: usize, size: usize) -> Vec<Operation<M>> {
    let taken = at..(at + size).min(operations.len());
    let mut kept: Vec<&Operation<M>> = operations
        .iter()
        .enumerate()
        .filter(|(place, _)| !taken.contains(place))
        .map(|(_, operation)| operation)
        .collect();
    let produced = |operations: &mut dyn Iterator<Item = &Operation<M>>| {
        let mut values: Vec<u64> = operations
            .filter_map(|it| M::produces(&it.op, it.ret.as_ref()))
            .collect();
        values.sort_unstable();
        values
    };
    let ever = produced(&mut operations.iter());
    loop {
        let now = produced(&mut kept.iter().copied());
        let before = kept.len();
        kept.retain(|operation| {
            M::observes(&operation.op, operation.ret.as_ref())
                .is_none_or(|value| now.binary_search(&value).is_ok() || ever.binary_search(&value).is_err())
        });
        if kept.len() == before {
            return kept.into_iter().cloned().collect();
        }
    }
}
