//! Operations and faults, in words and tables.

use crate::history::{Remark, short};
use crate::model::Model;
use crate::object::Operation;
use std::fmt::Write as _;

/// What surrounds the operations of an object in its history.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// What was done to the system, in time order.
    pub remarks: &'a [Remark],
    /// Whether times are nanoseconds since the run began; otherwise they are the numbers of lines.
    pub timed: bool,
}

/// Of a history with times.
impl<'a, const N: usize> From<&'a [Remark; N]> for Setting<'a> {
    fn from(remarks: &'a [Remark; N]) -> Self {
        Setting { remarks, timed: true }
    }
}

/// Of a history with times.
impl<'a> From<&'a [Remark]> for Setting<'a> {
    fn from(remarks: &'a [Remark]) -> Self {
        Setting { remarks, timed: true }
    }
}

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

    pub(super) fn sentence(&self, timed: bool) -> String {
        let node = self.node.map(|node| format!(" at node {node}"));
        let invoked = time(self.invoked, timed);
        let returned = self.returned.map(|returned| time(returned, timed));
        let returned = returned.unwrap_or_else(|| String::from("never"));
        let span = if timed {
            format!("between {invoked} and {returned}")
        } else {
            format!("lines {invoked}–{returned}")
        };
        format!(
            "Process {}{}: {} returned {}, {span}.",
            self.process,
            node.unwrap_or_default(),
            self.call,
            self.result(),
        )
    }
}

/// A time in seconds, or where it is the number of a line, that.
fn time(time: u64, timed: bool) -> String {
    if timed {
        format!("{:.6} s", time as f64 / 1e9)
    } else {
        time.to_string()
    }
}

pub(super) fn table(text: &mut String, operations: &[Told], timed: bool) {
    let [from, to] = if timed {
        ["invoked", "returned"]
    } else {
        ["line", "to line"]
    };
    let mut rows: Vec<[String; 5]> = vec![["process", from, to, "operation", "result"].map(String::from)];
    for operation in operations {
        let node = operation.node.map(|node| format!(" → n{node}"));
        let (returned, result) = match (operation.returned, &operation.result) {
            (Some(returned), Some(result)) => (time(returned, timed), result.clone()),
            (_, _) => (String::from("never"), String::from("unknown")),
        };
        rows.push([
            format!("{}{}", operation.process, node.unwrap_or_default()),
            time(operation.invoked, timed),
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

pub(super) fn faults(text: &mut String, core: &[Told], Setting { remarks, timed }: Setting<'_>) {
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
            "    {}{}  {} {}",
            if timed { "" } else { "line " },
            time(remark.time, timed),
            remark.f,
            remark.value
        );
    }
}
