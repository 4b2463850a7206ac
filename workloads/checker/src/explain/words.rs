//! Operations and faults, in words and tables.

use crate::history::{Remark, short};
use crate::model::Model;
use crate::object::Operation;
use std::fmt::Write as _;

/// An operation in words, whatever the model.
pub(super) struct Told {
    pub(super) process: u64,
    node: Option<u64>,
    pub(super) invoked: u64,
    /// `None` where nobody learned what it returned.
    pub(super) returned: Option<u64>,
    pub(super) call: String,
    result: Option<String>,
}

impl Told {
    pub(super) fn of<M: Model>(operation: &Operation<M>) -> Told {
        let ret = operation.ret.as_ref();
        Told {
            process: operation.process,
            node: operation.node,
            invoked: operation.invoked,
            returned: ret.map(|_| operation.returned),
            call: short(M::describe_op(&operation.op)),
            result: ret.map(|ret| short(M::describe_ret(ret))),
        }
    }

    /// What it returned, or a question mark.
    pub(super) fn result(&self) -> &str {
        self.result.as_deref().unwrap_or("?")
    }

    pub(super) fn sentence(&self) -> String {
        let node = self.node.map(|node| format!(" at node {node}"));
        format!(
            "Process {}{}: {} returned {}, between {} and {}.",
            self.process,
            node.unwrap_or_default(),
            self.call,
            self.result(),
            seconds(self.invoked),
            self.returned.map_or_else(|| String::from("never"), seconds)
        )
    }
}

fn seconds(nanoseconds: u64) -> String {
    format!("{:.6} s", nanoseconds as f64 / 1e9)
}

pub(super) fn table(text: &mut String, operations: &[Told]) {
    let mut rows: Vec<[String; 5]> =
        vec![["process", "invoked", "returned", "operation", "result"].map(String::from)];
    for operation in operations {
        let node = operation.node.map(|node| format!(" → n{node}"));
        let (returned, result) = match (operation.returned, &operation.result) {
            (Some(returned), Some(result)) => (seconds(returned), result.clone()),
            (_, _) => (String::from("never"), String::from("unknown")),
        };
        rows.push([
            format!("{}{}", operation.process, node.unwrap_or_default()),
            seconds(operation.invoked),
            returned,
            operation.call.clone(),
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

pub(super) fn faults(text: &mut String, core: &[Told], remarks: &[Remark]) {
    let from = core.iter().map(|operation| operation.invoked).min().unwrap_or(0);
    let to = core.iter().filter_map(|operation| operation.returned).max();
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
