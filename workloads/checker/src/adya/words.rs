//! Anomalies in words.

use super::anomaly::{Anomaly, AnomalyKind, Dependency};
use super::transaction::{Step, Transaction};
use crate::explain::Explanation;
use crate::history::{End, Value};
use std::fmt::Write as _;

/// So many elements of a list are shown, the last ones.
const ELEMENTS_SHOWN_MAX: usize = 8;
/// So many steps of a transaction are shown.
const STEPS_SHOWN_MAX: usize = 12;
/// So many transactions of a cycle are shown.
const TRANSACTIONS_SHOWN_MAX: usize = 24;

/// A place as the small number that the graph has room for.
pub(super) fn count(place: usize) -> u32 {
    u32::try_from(place).expect("fewer transactions and steps are in memory at once")
}

/// A list, or its end where it is long.
pub(super) fn shown(list: &[Value]) -> String {
    let skipped = list.len().saturating_sub(ELEMENTS_SHOWN_MAX);
    let more = if skipped == 0 {
        String::new()
    } else {
        format!("{skipped} elements … ")
    };
    let shown: Vec<String> = list[skipped..].iter().map(Value::to_string).collect();
    format!("[{more}{}]", shown.join(" "))
}

/// An element by its place, from 0.
pub(super) fn element(place: usize) -> String {
    let number = place + 1;
    let ending = match (number % 10, number % 100) {
        (1, other) if other != 11 => "st",
        (2, other) if other != 12 => "nd",
        (3, other) if other != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// Why one transaction comes before another one, by their numbers in the cycle.
pub(super) fn because(from: usize, to: usize, dependency: &Dependency) -> String {
    let why = match dependency {
        Dependency::WriteWrite { key, before, after } => {
            format!("T{from} appended {before} to {key}, and T{to} appended {after} after it")
        }
        Dependency::WriteRead { key, element } => {
            format!("T{to} read {key} up to {element}, which T{from} appended")
        }
        Dependency::ReadWrite { key, seen: 0, missed } => {
            format!("T{from} read {key} as empty, without {missed}, which T{to} appended")
        }
        Dependency::ReadWrite { key, seen, missed } => format!(
            "T{from} read the first {seen} of {key}, without {missed}, which T{to} appended after them"
        ),
        Dependency::Process => format!("T{to} is a later one of the same process"),
        Dependency::Realtime => format!("T{from} had returned before T{to} was invoked"),
    };
    format!("T{from} before T{to} ({}): {why}.", dependency.name())
}

/// All that is wrong, for a report. `timed`: times are nanoseconds since the run began.
pub(crate) fn explain(
    object: &str,
    transactions: &[Transaction<'_>],
    anomalies: &[Anomaly],
    timed: bool,
) -> Explanation {
    let names: Vec<&str> = anomalies.iter().map(|it| it.kind.name()).collect();
    let names = names.join(", ");
    let mut text = format!("{object} is not strictly serializable: {names}.\n");
    for anomaly in anomalies {
        tell(&mut text, transactions, anomaly, timed);
    }
    // The cycle, or else what comes last.
    let main = anomalies.last();
    let time = main.into_iter().flat_map(|it| &it.transactions);
    let time = time.filter_map(|it| transactions[*it].returned_ok()).max();
    let sentence = main.map_or_else(String::new, |it| it.reasons.join(" "));
    Explanation {
        object: object.to_owned(),
        operation: format!("{names}: {sentence}"),
        states: Vec::new(),
        time: time.unwrap_or(0),
        core_operations: main.map_or(0, |it| it.transactions.len()),
        text,
        ..Explanation::default()
    }
}

fn tell(text: &mut String, transactions: &[Transaction<'_>], anomaly: &Anomaly, timed: bool) {
    let is_cycle = matches!(anomaly.kind, AnomalyKind::Cycle(..));
    let _ = write!(text, "\n{}: {}", anomaly.kind.name(), anomaly.kind.about());
    let _ = match (anomaly.count, is_cycle, anomaly.is_smallest) {
        (_, true, true) => writeln!(
            text,
            " of {} transactions, the shortest one.",
            anomaly.transactions.len()
        ),
        (_, true, false) => writeln!(
            text,
            " of {} transactions; there may be shorter ones, which were too many to look for.",
            anomaly.transactions.len()
        ),
        (1, false, _) => writeln!(text, "."),
        (count, false, _) => writeln!(text, ", {count} times; the first:"),
    };
    text.push('\n');
    let left = anomaly.transactions.len().saturating_sub(TRANSACTIONS_SHOWN_MAX);
    let shown = anomaly.transactions.iter().take(TRANSACTIONS_SHOWN_MAX);
    for (number, place) in (1..).zip(shown) {
        let _ = writeln!(text, "    T{number}  {}", describe(&transactions[*place], timed));
    }
    if left > 0 {
        let _ = writeln!(text, "    … and {left} more");
    }
    text.push('\n');
    for reason in anomaly.reasons.iter().take(TRANSACTIONS_SHOWN_MAX) {
        let _ = writeln!(text, "    {reason}");
    }
    if is_cycle {
        let _ = writeln!(
            text,
            "\n  No order has each of them before the next and the last before the first."
        );
    }
}

/// A transaction in a line.
fn describe(transaction: &Transaction<'_>, timed: bool) -> String {
    let mut text = String::new();
    for step in transaction.steps.iter().take(STEPS_SHOWN_MAX) {
        let _ = match step {
            Step::Append(key, value) => write!(text, "append {key} {value}, "),
            Step::Read(key, Some(list)) => write!(text, "read {key} {}, ", self::shown(list)),
            Step::Read(key, None) => write!(text, "read {key}, "),
        };
    }
    if transaction.steps.len() > STEPS_SHOWN_MAX {
        let _ = write!(text, "and {} more, ", transaction.steps.len() - STEPS_SHOWN_MAX);
    }
    text.truncate(text.len().saturating_sub(2));
    let _ = write!(text, "  (process {}", transaction.process);
    if let Some(node) = transaction.node {
        let _ = write!(text, " at node {node}");
    }
    if transaction.line > 0 {
        let _ = write!(text, ", line {}", transaction.line);
    }
    let seconds = |time: u64| format!("{:.6} s", time as f64 / 1e9);
    if timed {
        let _ = write!(text, ", from {}", seconds(transaction.invoked));
    }
    let _ = match transaction.end {
        End::Ok if timed => write!(text, " to {}", seconds(transaction.returned)),
        End::Ok => Ok(()),
        End::Info => write!(text, ", its outcome unknown"),
        End::Fail => write!(text, ", failed"),
    };
    text.push(')');
    text
}
