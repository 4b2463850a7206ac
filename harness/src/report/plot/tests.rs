use super::*;
use std::fmt::Write as _;

const MILLISECOND: u64 = 1_000_000;
/// Longer than any load here.
const ALL: Duration = Duration::from_secs(1000);

/// Reads at 10 ms from each other, of 1 ms each; those from the 50th to the 59th have to wait for that one, which takes 100 ms.
fn stalled(name: &str) -> Log {
    let mut history = String::from("{\"rustyraft-history\":1,\"workload\":\"register\"}\n");
    let mut free = 0;
    for number in 0..100 {
        let intended = number * 10 * MILLISECOND;
        let invoked = intended.max(free);
        let took = if number == 50 { 100 } else { 1 } * MILLISECOND;
        free = invoked + took;
        let _ = writeln!(
            history,
            "{{\"time\":{invoked},\"process\":0,\"type\":\"invoke\",\"f\":\"{name}\",\"key\":0,\"value\":null,\"intended\":{intended}}}\n\
             {{\"time\":{free},\"process\":0,\"type\":\"ok\",\"f\":\"{name}\",\"key\":0,\"value\":null}}"
        );
        if number == 50 {
            let _ = writeln!(
                history,
                "{{\"time\":{free},\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"pause start\",\"value\":\"<n1> & n2\"}}"
            );
        }
    }
    Log::read(history.as_bytes()).unwrap()
}

/// The paths of a class.
fn paths<'a>(svg: &'a str, class: &str) -> Vec<&'a str> {
    let begin = format!("<path class=\"{class}\" d=\"");
    let legend = |path: &&str| !path.ends_with("h18");
    svg.split(&begin)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(legend)
        .collect()
}

/// The ordinates of a line.
fn heights(path: &str) -> Vec<f64> {
    path.split(['M', 'L'])
        .filter_map(|point| point.split_once(' ')?.1.parse().ok())
        .collect()
}

#[test]
fn what_was_asked_too_late_is_as_late_as_that() {
    let plots = Plots::of(&stalled("read"), ALL).unwrap();
    let highest = |class: &str| {
        let line = heights(paths(&plots.latency, class)[0]);
        let least = line.iter().copied().fold(f64::MAX, f64::min);
        line.iter().filter(|height| **height < least + 40.0).count()
    };
    // From when they were sent one part of the time is slow; from their turn on those that wait are, too.
    assert_eq!(highest("upper"), 1);
    assert!(highest("turn") > 3, "{}", highest("turn"));
    assert_eq!(paths(&plots.latency, "marks ok").len(), 1);
    assert!(paths(&plots.latency, "marks fail").is_empty());
}

#[test]
fn without_a_rate_there_is_one_latency() {
    let mut log = stalled("read");
    for call in &mut log.calls {
        call.intended = call.invoked;
    }
    let plots = Plots::of(&log, ALL).unwrap();
    assert!(paths(&plots.latency, "turn").is_empty());
    assert_eq!(paths(&plots.latency, "upper").len(), 1);
}

#[test]
fn a_rate_is_of_a_second() {
    let plots = Plots::of(&stalled("read"), ALL).unwrap();
    let [path] = paths(&plots.rate, "line ok")[..] else {
        panic!("there is one line: {}", plots.rate)
    };
    let line = heights(path);
    let bottom = line.iter().copied().fold(0.0, f64::max);
    let top = line.iter().copied().fold(f64::MAX, f64::min);
    let share = |height: &f64| ((bottom - height) / (bottom - top) * 100.0).round();
    let shares: Vec<f64> = line.iter().map(share).collect();
    let count = |wanted: f64| shares.iter().filter(|share| **share == wanted).count();
    // 100 a second for the most part, none during the stall, and 1,000 in the hundredth of a second after it.
    assert!(
        count(10.0) > 80 && count(0.0) >= 9 && count(100.0) == 1,
        "{shares:?}"
    );
    // It ends after 991 ms: a hundredth of a second that has just begun has no rate.
    assert_eq!(shares.len(), 99);
    assert!(plots.rate.contains(">1,000</text>"), "{}", plots.rate);
}

#[test]
fn final_reads_are_no_load() {
    let log = stalled("read");
    let all = Plots::of(&log, ALL).unwrap();
    // The stall ends at 600 ms, and what had waited comes all at once.
    let load = Plots::of(&log, Duration::from_millis(590)).unwrap();
    assert!(all.rate.contains(">1,000</text>"), "{}", all.rate);
    assert!(!load.rate.contains(">1,000</text>"), "{}", load.rate);
    assert!(
        all.latency.contains("0.8 s") && !load.latency.contains("0.8 s"),
        "{}",
        load.latency
    );
}

/// In which rows labels stand, where they begin, and how wide they are at least.
fn labels(svg: &str) -> Vec<(String, f64, f64)> {
    let begin = "<text class=\"fault-name\" x=\"";
    let label = |rest: &str| {
        let (x, rest) = rest.split_once('"')?;
        let (y, rest) = rest.split_once("y=\"")?.1.split_once('"')?;
        let words = rest.split_once('>')?.1.split_once('<')?.0;
        Some((y.to_owned(), x.parse().ok()?, 5.0 * words.chars().count() as f64))
    };
    svg.split(begin).skip(1).filter_map(label).collect()
}

#[test]
fn names_of_faults_neither_overlap_nor_are_cut_off_and_all_of_each_is_there() {
    let mut log = stalled("read");
    log.remarks = (0..12)
        .map(|number| checker::history::Remark {
            time: (number + 1) * 76 * MILLISECOND,
            f: String::from("partition"),
            value: String::from("leader, cut 4↔5 1↔4 3↔4 2↔4"),
        })
        .collect();
    let Plots { rate, .. } = Plots::of(&log, ALL).unwrap();
    let labels = labels(&rate);
    assert!(labels.len() > 10, "{rate}");
    for (place, (row, left, width)) in labels.iter().enumerate() {
        let next = labels[place + 1..].iter().find(|next| next.0 == *row);
        let next = next.map_or(944.0, |next| next.1);
        assert!(left + width <= next, "{labels:?}");
    }
    assert_eq!(
        rate.matches("<title>partition leader, cut 4↔5").count(),
        12,
        "{rate}"
    );
}

#[test]
fn there_is_a_panel_for_each_kind_and_faults_are_shaded_in_each() {
    let mut log = stalled("read");
    for call in log.calls.iter_mut().skip(60) {
        call.f = "write".into();
    }
    let plots = Plots::of(&log, ALL).unwrap();
    for svg in [plots.latency, plots.rate] {
        assert_eq!(svg.matches("<text class=\"name\"").count(), 2, "{svg}");
        // The third is the legend's.
        assert_eq!(svg.matches("<rect class=\"fault\"").count(), 3, "{svg}");
    }
}

#[test]
fn names_cant_leave_their_elements() {
    let plots = Plots::of(&stalled("<script>"), ALL).unwrap();
    for svg in [plots.latency, plots.rate] {
        assert!(!svg.contains("<script"), "{svg}");
        assert!(
            svg.contains("&lt;script&gt;") && svg.contains("pause &lt;n1&gt; &amp; n2"),
            "{svg}"
        );
    }
}

#[test]
fn a_history_without_times_or_ends_has_no_plots() {
    let mut log = stalled("read");
    log.timed = false;
    assert_eq!(Plots::of(&log, ALL), None);
    assert_eq!(Plots::of(&Log::default(), ALL), None);
}

#[test]
fn a_plot_of_many_operations_is_no_larger_than_its_grid() {
    let mut log = stalled("read");
    let calls = log.calls.clone();
    for _ in 0..300 {
        log.calls.extend(calls.iter().cloned());
    }
    let (small, large) = (
        Plots::of(&stalled("read"), ALL).unwrap(),
        Plots::of(&log, ALL).unwrap(),
    );
    assert_eq!(small.latency, large.latency);
}
