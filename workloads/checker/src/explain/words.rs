//! Operations and faults, in words and tables.

use crate::history::{Remark, short};
use crate::model::Model;
use crate::object::Operation;
use std::fmt::Write as _;

pub(super) fn call<M: Model>(operation: &Operation<M>) -> String {
    short(M::describe_op(&operation.op))
}

/// What it returned, if anybody learned that.
pub(super) fn result<M: Model>(operation: &Operation<M>) -> Option<String> {
    operation.ret.as_ref().map(|ret| short(M::describe_ret(ret)))
}

pub(super) fn sentence<M: Model>(operation: &Operation<M>) -> String {
    let node = operation
        .node
        .map(|node| format!(" at node {node}"))
        .unwrap_or_default();
    let ret = result(operation).unwrap_or_else(|| String::from("?"));
    format!(
        "Process {}{node}: {} returned {ret}, between {} and {}.",
        operation.process,
        call(operation),
        seconds(operation.invoked),
        seconds(operation.returned)
    )
}

fn seconds(nanoseconds: u64) -> String {
    format!("{:.6} s", nanoseconds as f64 / 1e9)
}

pub(super) fn overlaps<M: Model>(one: &Operation<M>, other: &Operation<M>) -> bool {
    let one_returned = if one.ret.is_some() { one.returned } else { u64::MAX };
    one.invoked <= other.returned && one_returned >= other.invoked
}

pub(super) fn table<M: Model>(text: &mut String, operations: &[Operation<M>]) {
    let mut rows: Vec<[String; 5]> =
        vec![["process", "invoked", "returned", "operation", "result"].map(String::from)];
    let mut operations: Vec<&Operation<M>> = operations.iter().collect();
    operations.sort_by_key(|operation| (operation.invoked, operation.process));
    for operation in operations {
        let node = operation
            .node
            .map(|node| format!(" → n{node}"))
            .unwrap_or_default();
        let (returned, result) = match result(operation) {
            Some(result) => (seconds(operation.returned), result),
            None => (String::from("never"), String::from("unknown")),
        };
        rows.push([
            format!("{}{node}", operation.process),
            seconds(operation.invoked),
            returned,
            call(operation),
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

pub(super) fn faults<M: Model>(text: &mut String, core: &[Operation<M>], remarks: &[Remark]) {
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
