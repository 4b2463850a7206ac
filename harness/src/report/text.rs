//! A run in words: verdict, smallest witness, faults, what the test covered, seed, and the commands to look again.

use crate::record::Outcome;
use crate::report::{Paint, Results, Valid};
use std::fmt::Write as _;
use std::time::Duration;

/// The system that is meant where none is named.
const OWN_SYSTEM: &str = "node";
/// How many reasons for failures are listed.
const REASONS_SHOWN_MAX: usize = 6;

/// The report on a run; `program` is what commands begin with.
pub fn render(results: &Results, paint: Paint, program: &str) -> String {
    let mut text = String::new();
    verdict(&mut text, results, paint);
    if let Some(early) = &results.ended_early {
        let what = if early.healed {
            "that ended it, in its final reads"
        } else {
            "that ended it, with neither healing nor final reads"
        };
        let line = format!(
            "while it ran, after {:.1} s, {} operations; {what}",
            early.seconds,
            grouped(early.operations)
        );
        row(&mut text, paint, "seen", &line);
    }
    faults(&mut text, results, paint);
    operations(&mut text, results, paint);
    if let Some(checked) = &results.checked {
        let line = format!(
            "{} operations on {} objects by the model {}, read in {}, judged in {}",
            grouped(checked.ops as u64),
            grouped(checked.partitions as u64),
            checked.model,
            duration(Duration::from_secs_f64(checked.parse_seconds)),
            duration(Duration::from_secs_f64(checked.check_seconds)),
        );
        row(&mut text, paint, "checked", &line);
    }
    for note in &results.notes {
        row(&mut text, paint, "note", note);
    }
    text.push('\n');
    let folder = results.summary.run_dir.display();
    row(&mut text, paint, "seed", &results.summary.seed.to_string());
    row(&mut text, paint, "run", &folder.to_string());
    row(&mut text, paint, "recheck", &format!("{program} check {folder}"));
    row(
        &mut text,
        paint,
        "replay",
        &format!("{program} run --replay {folder}"),
    );
    text
}

fn verdict(text: &mut String, results: &Results, paint: Paint) {
    let summary = &results.summary;
    let reason = summary.reason.as_deref().unwrap_or_default();
    let mut explanation = results.explanation.as_deref().unwrap_or_default();
    match summary.valid {
        Valid::True => {
            let _ = writeln!(
                text,
                "{}  what {} clients saw of {} nodes in {:.1} s is linearizable\n",
                paint.good("valid"),
                results.concurrency,
                summary.nodes,
                summary.seconds
            );
        }
        Valid::False => {
            // An explanation tells all of it, and begins as the reason does.
            let (first, rest) = explanation.split_once('\n').unwrap_or((explanation, ""));
            let headline = if !first.is_empty() && reason.starts_with(first) {
                explanation = rest;
                first
            } else {
                reason
            };
            let _ = writeln!(text, "{}  {headline}\n", paint.bad("violation"));
        }
        Valid::Unknown => {
            let _ = writeln!(text, "{}  {reason}\n", paint.doubtful("unknown"));
        }
    }
    let explanation = explanation.trim_matches('\n');
    if !explanation.is_empty() {
        let _ = writeln!(text, "{explanation}\n");
    }
}

fn faults(text: &mut String, results: &Results, paint: Paint) {
    let summary = &results.summary;
    if summary.system != OWN_SYSTEM {
        row(text, paint, "system", &summary.system);
    }
    row(text, paint, "faults", &summary.faults());
    let elections = match summary.elections {
        Some(elections) => format!("{elections}, the first included"),
        None => String::from("not recorded"),
    };
    row(text, paint, "elections", &elections);
    let mut serving = Vec::new();
    if let Some(seconds) = results.start_seconds {
        serving.push(format!(
            "{} after the start",
            duration(Duration::from_secs_f64(seconds))
        ));
    }
    if let Some(seconds) = results.recovery_seconds {
        serving.push(format!(
            "{} after the last fault",
            duration(Duration::from_secs_f64(seconds))
        ));
    }
    if !serving.is_empty() {
        row(text, paint, "served", &serving.join(", "));
    }
}

fn operations(text: &mut String, results: &Results, paint: Paint) {
    let ops = results.summary.ops;
    let mut line = format!(
        "{} ok · {} fail · {} info",
        grouped(ops.ok),
        grouped(ops.fail),
        grouped(ops.info)
    );
    if let Some(per_second) = results.per_second {
        let _ = write!(line, ", {} a second", grouped(per_second.round() as u64));
    }
    if results.latencies.iter().any(|of| of.outcome == Outcome::Ok) {
        line.push_str("; times from when sent");
    }
    row(text, paint, "operations", &line);
    let took = |microseconds| duration(Duration::from_micros(microseconds));
    for of in results.latencies.iter().filter(|of| of.outcome == Outcome::Ok) {
        let line = format!(
            "{:<7} {:>9} ok   p50 {:>8}   p99 {:>8}   max {:>8}",
            of.op,
            grouped(of.latency.count),
            took(of.latency.p50_us),
            took(of.latency.p99_us),
            took(of.latency.max_us)
        );
        row(text, paint, "", &line);
    }
    for (place, of) in results.reasons.iter().take(REASONS_SHOWN_MAX).enumerate() {
        let outcome = match of.outcome {
            Outcome::Ok => "ok",
            Outcome::Fail => "fail",
            Outcome::Info => "info",
        };
        let line = format!("{:>7} {outcome}  {}", grouped(of.count), of.reason);
        row(text, paint, if place == 0 { "not ok" } else { "" }, &line);
    }
}

fn row(text: &mut String, paint: Paint, name: &str, value: &str) {
    let _ = writeln!(text, "  {}  {value}", paint.dim(&format!("{name:<10}")));
}

/// A number with its thousands apart: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A duration in the unit that suits it: `850 µs`, `1.2 ms`, `340 ms`, `2.5 s`.
pub fn duration(duration: Duration) -> String {
    let microseconds = duration.as_micros();
    match microseconds {
        0..1_000 => format!("{microseconds} µs"),
        1_000..10_000 => format!("{:.1} ms", microseconds as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", microseconds / 1_000),
        _ => format!("{:.1} s", microseconds as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests;
