//! A history as a picture of characters: a lane for each process, an interval for each operation.

use super::words::Told;
use std::fmt::Write as _;

/// How many operations a picture may have; more are no picture.
const OPERATIONS_MAX: usize = 26;
/// How far events are apart at least.
const GAP: usize = 2;

struct Bar {
    process: u64,
    /// The ranks of its events in time.
    invoked: usize,
    returned: usize,
    is_open: bool,
    is_marked: bool,
    label: String,
}

/// Draws operations; `marked` is the one that no order explains. `None` where `width` characters don't suffice.
///
/// Time is not to scale: what happens earlier is further to the left, and what happens at once is one above the other.
pub(super) fn draw(operations: &[Told], marked: Option<usize>, width: usize) -> Option<String> {
    if operations.is_empty() || operations.len() > OPERATIONS_MAX {
        return None;
    }
    let mut bars = bars(operations, marked);
    let mut legend = String::new();
    if columns(&bars, width).is_none() {
        for (bar, letter) in bars.iter_mut().zip('a'..='z') {
            let mark = if bar.is_marked { "✗ " } else { "" };
            let _ = writeln!(legend, "    {letter}  {}", bar.label);
            bar.label = format!("{mark}{letter}");
        }
    }
    let columns = columns(&bars, width)?;
    let mut processes: Vec<u64> = bars.iter().map(|bar| bar.process).collect();
    processes.sort_unstable();
    processes.dedup();
    let name_width = name_width(&bars);
    let mut text = String::new();
    for process in processes {
        let mut lane: Vec<char> = Vec::new();
        for bar in bars.iter().filter(|bar| bar.process == process) {
            lay(&mut lane, bar, columns[bar.invoked], columns[bar.returned]);
        }
        let lane: String = lane.into_iter().collect();
        let _ = writeln!(text, "    {process:>name_width$} {}", lane.trim_end());
    }
    if marked.is_some() {
        let _ = writeln!(text, "    ✗ no order explains it");
    }
    if !legend.is_empty() {
        let _ = write!(text, "\n{legend}");
    }
    Some(text)
}

fn bars(operations: &[Told], marked: Option<usize>) -> Vec<Bar> {
    let mut times: Vec<u64> = operations
        .iter()
        .flat_map(|operation| [Some(operation.invoked), operation.returned])
        .flatten()
        .collect();
    times.sort_unstable();
    times.dedup();
    let rank = |time: u64| times.partition_point(|other| *other < time);
    operations
        .iter()
        .enumerate()
        .map(|(place, operation)| {
            let is_marked = marked == Some(place);
            let mark = if is_marked { "✗ " } else { "" };
            Bar {
                process: operation.process,
                invoked: rank(operation.invoked),
                // What is open ends after everything else.
                returned: operation.returned.map_or(times.len(), rank),
                is_open: operation.returned.is_none(),
                is_marked,
                label: format!("{mark}{}: {}", operation.call, operation.result()),
            }
        })
        .collect()
}

fn name_width(bars: &[Bar]) -> usize {
    bars.iter()
        .map(|bar| bar.process.to_string().len())
        .max()
        .unwrap_or(0)
}

/// The column of each event, so that each label has room; `None` where that is wider than `width`.
fn columns(bars: &[Bar], width: usize) -> Option<Vec<usize>> {
    let last = bars.iter().map(|bar| bar.invoked.max(bar.returned)).max()?;
    let mut columns = vec![0];
    for rank in 1..=last {
        let needed = bars
            .iter()
            .filter(|bar| bar.returned == rank && bar.invoked < rank)
            .map(|bar| columns[bar.invoked] + bar.label.chars().count() + 3);
        let column = needed.chain([columns[rank - 1] + GAP]).max()?;
        columns.push(column);
    }
    // One that began and ended at the same time has only its invocation to stand at.
    let right = bars
        .iter()
        .map(|bar| columns[bar.returned].max(columns[bar.invoked] + bar.label.chars().count() + 3));
    (right.max()? + name_width(bars) + 6 <= width).then_some(columns)
}

/// Puts `├ label ──┤` into a lane.
fn lay(lane: &mut Vec<char>, bar: &Bar, from: usize, to: usize) {
    let to = to.max(from + bar.label.chars().count() + 3);
    if lane.len() < to + 1 {
        lane.resize(to + 1, ' ');
    }
    let line = if bar.is_open { '┄' } else { '─' };
    lane[from..=to].fill(line);
    lane[from] = '├';
    lane[to] = if bar.is_open { '▶' } else { '┤' };
    let label = [' '].into_iter().chain(bar.label.chars()).chain([' ']);
    for (place, character) in label.enumerate() {
        lane[from + 1 + place] = character;
    }
}
