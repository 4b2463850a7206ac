//! The results as a table.

use super::cpu::LOAD_SHARE_MAX;
use super::line::Line;
use super::memory::Memory;
use super::placement::Placement;
use super::stages::StageLine;
use crate::report::{Paint, grouped};
use std::fmt::Write as _;

const HEADINGS: [&str; 13] = [
    "system",
    "nodes",
    "per second",
    "from … to",
    "p50",
    "p90",
    "p99",
    "p99.9",
    "max",
    "cpu/op",
    "memory",
    "floor",
    "first is",
];

/// The table; times are in microseconds. `violation`: a system has answered wrongly in a round, which is in no line.
pub(super) fn render(lines: &[Line], violation: bool, paint: Paint) -> String {
    let mut text = String::new();
    let point = |line: &Line| (line.what.op, line.what.clients, line.what.pipeline);
    for lines in lines.chunk_by(|one, other| point(one) == point(other)) {
        let rows: Vec<[String; HEADINGS.len()]> = lines.iter().map(row).collect();
        let _ = writeln!(text, "{}", title(lines));
        let widths: [usize; HEADINGS.len()] = std::array::from_fn(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([HEADINGS[column].chars().count()]).max().unwrap_or(0)
        });
        let _ = writeln!(text, "{}", paint.dim(&aligned(&HEADINGS, &widths)));
        for (line, row) in lines.iter().zip(&rows) {
            let _ = writeln!(text, "{}", aligned(row, &widths));
            for stage in line.stages.iter().flatten() {
                let _ = writeln!(text, "{}", paint.dim(&stage_row(stage)));
            }
            for note in notes(line) {
                let _ = writeln!(text, "      {}", paint.doubtful(&note));
            }
        }
        text.push('\n');
    }
    text.push_str(&judged(lines, violation));
    text.push_str("Times in µs; medians over rounds. cpu/op: of all servers. memory: of that server which took most, in MiB, in the end and at most. floor: p50 and p99 as multiples of the floor's.\n");
    text.push_str(
        "first is: how many times as many per second the first system does, by round: median, from … to.\n",
    );
    text
}

/// What the checker says of all rounds.
fn judged(lines: &[Line], violation: bool) -> String {
    let checked: usize = lines.iter().map(|line| line.checked).sum();
    let checked = grouped(checked as u64);
    if violation {
        return format!(
            "The checker has judged {checked} of the requests to be in order, and what clients saw in another round NOT to be linearizable: the lines above say which round, and the folder keeps its history.\n"
        );
    }
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "The checker has judged {checked} of the requests, all of those on a sample of the keys: they are linearizable.\n"
    )
}

fn title(lines: &[Line]) -> String {
    let what = &lines[0].what;
    // Those on one node need no peers, and have another one.
    let mut floors: Vec<String> = lines.iter().filter_map(floor).collect();
    floors.sort();
    floors.dedup();
    let floors = floors.join("");
    let plural = if what.clients == 1 { "" } else { "s" };
    let loop_ = match what.rate {
        Some(rate) => format!("{} a second", grouped(rate)),
        None => format!("{} in flight each", what.pipeline),
    };
    format!(
        "{} of {} bytes, {} client{plural}, {loop_}{floors}",
        what.op, what.value_bytes, what.clients
    )
}

/// What the operation costs at least, on as many nodes as the line is about.
fn floor(line: &Line) -> Option<String> {
    let on = if line.what.nodes == 1 {
        "one node"
    } else {
        "several nodes"
    };
    Some(format!(
        "; floor on {on} {}, p99 {}",
        whole(line.floor_p50_us?),
        whole(line.floor_p99_us?)
    ))
}

fn row(line: &Line) -> [String; HEADINGS.len()] {
    let mut system = line.what.system.clone();
    if let Some(setting) = &line.what.setting {
        system = format!("{system} {setting}");
    }
    match line.what.placement {
        Placement::Free => {}
        Placement::Pinned => system = format!("{system} {}", Placement::Pinned),
    }
    let over = |floor: Option<f64>, own: f64| floor.map(|floor| format!("×{:.2}", own / floor));
    let floor = [
        over(line.floor_p50_us, line.p50_us),
        over(line.floor_p99_us, line.p99_us),
    ];
    let floor: Vec<String> = floor.into_iter().flatten().collect();
    let ratio = line
        .first_ratio
        .map(|ratio| format!("×{:.2}, ×{:.2} … ×{:.2}", ratio.median, ratio.min, ratio.max));
    [
        system,
        line.what.nodes.to_string(),
        whole(line.per_second),
        format!("{} … {}", whole(line.per_second_min), whole(line.per_second_max)),
        whole(line.p50_us),
        whole(line.p90_us),
        whole(line.p99_us),
        whole(line.p999_us),
        whole(line.max_us),
        format!("{:.1}", line.cpu_us_per_op),
        memory(line),
        floor.join(", "),
        ratio.unwrap_or_default(),
    ]
}

/// What the servers took of the memory in the end, and at most: that of them which took most.
fn memory(line: &Line) -> String {
    let most =
        |of: fn(&Memory) -> u64| line.memory.iter().map(of).max().unwrap_or(0) as f64 / (1 << 20) as f64;
    format!(
        "{:.0}, {:.0}",
        most(|memory| memory.resident_bytes),
        most(|memory| memory.peak_bytes)
    )
}

fn stage_row(stage: &StageLine) -> String {
    let StageLine {
        stage,
        count,
        p50_us,
        p99_us,
    } = stage;
    format!(
        "      {stage:<10}{:>12} times  p50 {p50_us:>9.1}  p99 {p99_us:>9.1}",
        grouped(*count)
    )
}

fn notes(line: &Line) -> Vec<String> {
    let mut notes = Vec::new();
    if line.busy_rounds > 0 {
        notes.push(format!(
            "{} of {} rounds on a busy machine: others used {:.0} % of it",
            line.busy_rounds,
            line.rounds,
            100.0 * line.foreign_cpu
        ));
    }
    if line.load_cpu > LOAD_SHARE_MAX {
        notes.push(format!(
            "the load generator used {:.0} % of a processor: it may be what limits",
            100.0 * line.load_cpu
        ));
    }
    if line.failed_rounds > 0 {
        notes.push(format!("{} of {} rounds failed", line.failed_rounds, line.rounds));
    }
    if let Some(ratio) = line.piped_ratio {
        notes.push(format!(
            "with as many in flight on one connection, the first system is ×{:.2}, ×{:.2} … ×{:.2}",
            ratio.median, ratio.min, ratio.max
        ));
    }
    if let Some(compared) = line.baseline {
        notes.push(format!(
            "against the baseline: per second ×{:.2}, p50 ×{:.2}, p99 ×{:.2}",
            compared.per_second, compared.p50, compared.p99
        ));
    }
    notes
}

/// Cells, the first one to the left and the others to the right of their columns.
fn aligned<T: AsRef<str>>(cells: &[T; HEADINGS.len()], widths: &[usize; HEADINGS.len()]) -> String {
    let mut line = String::from(" ");
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = cell.as_ref();
        let _ = if column == 0 {
            write!(line, " {cell:<width$}")
        } else {
            write!(line, "  {cell:>width$}")
        };
    }
    line.trim_end().to_owned()
}

fn whole(number: f64) -> String {
    grouped(number.round() as u64)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Op;
    use super::super::line::{Compared, Spread, What};
    use super::*;

    /// A line with a value of its own in each field.
    pub(in crate::bench) fn line(system: &str) -> Line {
        Line {
            what: What {
                system: system.to_owned(),
                setting: None,
                placement: Placement::Free,
                nodes: 3,
                clients: 64,
                pipeline: 1,
                value_bytes: 256,
                op: Op::Put,
                rate: None,
            },
            rounds: 5,
            failed_rounds: 0,
            busy_rounds: 0,
            per_second: 35_226.4,
            per_second_min: 33_000.0,
            per_second_max: 36_000.0,
            p50_us: 1800.0,
            p90_us: 2000.0,
            p99_us: 3000.0,
            p999_us: 4000.5,
            max_us: 5000.0,
            cpu_us_per_op: 31.25,
            load_cpu: 0.4,
            foreign_cpu: 0.12,
            floor_p50_us: Some(450.0),
            floor_p99_us: Some(900.0),
            first_ratio: None,
            stages: None,
            baseline: None,
            piped_ratio: None,
            fsync: true,
            done: 105_679.0,
            memory: vec![
                Memory {
                    resident_bytes: 33 << 20,
                    peak_bytes: 50 << 20,
                },
                Memory {
                    resident_bytes: 34 << 20,
                    peak_bytes: 36 << 20,
                },
            ],
            checked: 12_345,
        }
    }

    fn lines() -> Vec<Line> {
        let mut other = line("etcd");
        other.what.setting = Some(String::from("GOMAXPROCS=1"));
        other.first_ratio = Some(Spread {
            median: 7.1,
            min: 6.5,
            max: 7.9,
        });
        other.piped_ratio = Some(Spread {
            median: 19.5,
            min: 18.25,
            max: 21.0,
        });
        other.busy_rounds = 2;
        other.failed_rounds = 1;
        other.load_cpu = 0.97;
        other.what.placement = Placement::Pinned;
        let mut single = line("node");
        single.what.clients = 1;
        single.what.rate = Some(1000);
        single.baseline = Some(Compared {
            per_second: 1.02,
            p50: 0.98,
            p99: 1.1,
        });
        single.stages = Some(vec![StageLine {
            stage: "sync",
            count: 2500,
            p50_us: 120.25,
            p99_us: 1234.5,
        }]);
        vec![line("node"), other, single]
    }

    #[test]
    fn the_table_is_as_reviewed() {
        insta::assert_snapshot!("table", render(&lines(), false, Paint::PLAIN));
    }

    #[test]
    fn nothing_is_said_to_be_linearizable_beside_a_violation_or_where_nothing_was_judged() {
        let lines = lines();
        let claims = |lines: &[Line], violation| {
            render(lines, violation, Paint::PLAIN).contains("they are linearizable")
        };
        assert!(claims(&lines, false));
        assert!(!claims(&lines, true) && !claims(&[], true) && !claims(&[], false));
        assert!(render(&lines, true, Paint::PLAIN).contains("NOT to be linearizable"));
    }

    #[test]
    fn the_json_is_as_documented() {
        let json: Vec<String> = lines()
            .iter()
            .map(|line| serde_json::to_string(line).unwrap())
            .collect();
        insta::assert_snapshot!("json", json.join("\n"));
    }
}
