//! The page about a history, in a browser: what it shows, and what it answers to the mouse.
//!
//! See `tests::browser` for where the browser comes from, and what happens where there is none.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use tests::browser::Browser;
use tests::{harness, run};

const HEADER: &str = "{\"rustyraft-history\":1,\"workload\":\"register\"}\n";
/// How many operations the long history has,
const MANY: u64 = 100_000;
/// and how many processes.
const PROCESSES: u64 = 20;

fn line(time: u64, process: u64, kind: &str, f: &str, key: u64, value: &str) -> String {
    format!(
        "{{\"time\":{time},\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":{key},\"value\":{value}}}\n"
    )
}

/// Two registers that are both read stale, the first one while a node is down.
fn violations() -> String {
    let ms = 1_000_000;
    let mut history = String::from(HEADER);
    let nemesis = |time: u64, f: &str| {
        format!(
            "{{\"time\":{time},\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"{f}\",\"value\":\"leader n1\"}}\n"
        )
    };
    history += &line(ms, 0, "invoke", "write", 7, "1");
    history += &line(2 * ms, 0, "ok", "write", 7, "null");
    history += &nemesis(3 * ms, "kill start");
    history += &line(4 * ms, 1, "invoke", "write", 7, "2");
    history += &line(5 * ms, 3, "invoke", "cas", 7, "[1,4]");
    history += &line(6 * ms, 1, "ok", "write", 7, "null");
    history += &line(7 * ms, 0, "invoke", "read", 7, "null");
    history += &line(8 * ms, 0, "ok", "read", 7, "2");
    history += &line(9 * ms, 2, "invoke", "read", 7, "null");
    history += &line(10 * ms, 2, "ok", "read", 7, "1");
    history += &nemesis(11 * ms, "kill stop");
    history += &line(12 * ms, 0, "invoke", "write", 8, "5");
    history += &line(13 * ms, 0, "ok", "write", 8, "null");
    history += &line(14 * ms, 1, "invoke", "read", 8, "null");
    history += &line(15 * ms, 1, "ok", "read", 8, "null");
    history
}

/// Registers that are written and read in turn by many processes at once, without a violation.
fn many() -> String {
    let mut history = String::from(HEADER);
    for turn in 0..MANY / PROCESSES {
        let begin = turn * 1_000_000;
        for (kind, after) in [("invoke", 0), ("ok", 400_000)] {
            for process in 0..PROCESSES {
                let (f, argument) = if turn % 2 == 0 {
                    ("write", turn.to_string())
                } else {
                    ("read", String::from("null"))
                };
                let result = if turn % 2 == 0 {
                    String::from("null")
                } else {
                    (turn - 1).to_string()
                };
                let value = if kind == "invoke" { argument } else { result };
                let _ = write!(
                    history,
                    "{}",
                    line(begin + after + process, process, kind, f, process, &value)
                );
            }
        }
    }
    history
}

/// Checks a history, and has a page written about it.
fn page(folder: &Path, history: &str, code: i32) -> PathBuf {
    let (file, page) = (folder.join("history.jsonl"), folder.join("page.html"));
    fs::write(&file, history).unwrap();
    let (of_file, of_page) = (file.to_str().unwrap(), page.to_str().unwrap());
    let said = run(&harness(), &["check", "--all", "--html", of_page, of_file]);
    assert_eq!(said.code, code, "{said:?}");
    page
}

/// The middle of an operation's bar, in the window.
fn middle(browser: &Browser, operation: u64) -> (i64, i64) {
    browser.until(&format!("timeline.box({operation})"));
    browser.value("document.getElementById('stage').scrollIntoView({block: 'center', behavior: 'instant'})");
    let of = |side: &str| {
        let script = format!("timeline.box({operation}).{side}");
        browser.value(&script).as_f64().unwrap()
    };
    let stage = |side: &str| {
        let script = format!("document.getElementById('canvas').getBoundingClientRect().{side}");
        browser.value(&script).as_f64().unwrap()
    };
    let x = stage("left") + f64::midpoint(of("left"), of("right"));
    let y = stage("top") + f64::midpoint(of("top"), of("bottom"));
    (x as i64, y as i64)
}

/// What the tooltip says; nothing where it is hidden.
fn tip(browser: &Browser) -> String {
    let script = "document.getElementById('tip').checkVisibility({visibilityProperty: true}) ? document.getElementById('tip').innerText : ''";
    browser.value(script).as_str().unwrap().to_owned()
}

fn text(browser: &Browser, id: &str) -> String {
    let script = format!("document.getElementById('{id}').innerText");
    browser.value(&script).as_str().unwrap().to_owned()
}

fn number(browser: &Browser, expression: &str) -> f64 {
    browser.value(expression).as_f64().unwrap()
}

fn has_no_complaints(browser: &Browser) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn pointing_at_an_operation_tells_of_it_and_numbers_a_longest_order() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    browser.open(&page(folder.path(), &violations(), 1));
    browser.until("window.timeline && timeline.frames > 0");
    assert_eq!(text(&browser, "verdict"), "violation");
    assert!(text(&browser, "words").contains("cas-register 7 is not linearizable"));
    assert_eq!(
        (tip(&browser), number(&browser, "timeline.numbered")),
        (String::new(), 0.0)
    );

    // The read that returned what it should have.
    let read = 3;
    browser.point(middle(&browser, read));
    browser.until(&format!("timeline.hovered === {read}"));
    let said = tip(&browser);
    for words in [
        "read → 2",
        "process 0",
        "key 7",
        "0.007000 s – 0.008000 s",
        "1.000 ms",
        "in the longest order",
    ] {
        assert!(said.contains(words), "{words:?} is missing in {said:?}");
    }
    // An order of the two writes and the read; whether the compare-and-set took effect is open.
    let numbered = number(&browser, "timeline.numbered");
    assert!((3.0..=4.0).contains(&numbered), "{numbered}");

    // The one that no order explains.
    let stale = 4;
    browser.point(middle(&browser, stale));
    browser.until(&format!("timeline.hovered === {stale}"));
    let said = tip(&browser);
    assert!(
        said.contains("read → 1") && said.contains("no order of the operations explains it"),
        "{said}"
    );

    // What is clicked at is kept while the mouse is elsewhere, until Escape.
    browser.click(middle(&browser, read));
    browser.until(&format!("timeline.kept === {read}"));
    browser.point((5, 5));
    browser.until("timeline.hovered === -1");
    assert!(tip(&browser).contains("read → 2"));
    browser.type_into("#canvas", "\u{e00c}");
    browser.until("timeline.kept === -1");
    assert_eq!(tip(&browser), "");
    has_no_complaints(&browser);
}

#[test]
fn each_violation_can_be_chosen_and_operations_can_be_searched() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    browser.open(&page(folder.path(), &violations(), 1));
    browser.until("window.timeline && timeline.frames > 0");
    browser.type_into("#which", "cas-register 8");
    browser
        .until("document.getElementById('words').innerText.includes('cas-register 8 is not linearizable')");
    let stale = 6;
    browser.point(middle(&browser, stale));
    browser.until(&format!("timeline.hovered === {stale}"));
    let said = tip(&browser);
    assert!(
        said.contains("read → null") && said.contains("no order"),
        "{said}"
    );
    browser.type_into("#search", "key 8");
    browser.until("document.getElementById('count').innerText === '2 of 7 operations'");
    assert!(browser.value("timeline.box(0)").is_null());
    has_no_complaints(&browser);
}

#[test]
fn a_hundred_thousand_operations_are_drawn_within_bounds_and_answer_a_zoom() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    browser.open(&page(folder.path(), &many(), 0));
    browser.until("window.timeline && timeline.frames > 0");
    assert_eq!(text(&browser, "count"), "100,000 operations");
    // No more bars than there are pixels, however many operations are in view.
    let pixels = number(&browser, "document.getElementById('canvas').clientWidth");
    let drawn = number(&browser, "timeline.drawn");
    assert!(
        drawn > 0.0 && drawn <= pixels * PROCESSES as f64,
        "{drawn} of {pixels}"
    );

    let span = |browser: &Browser| number(browser, "timeline.to - timeline.from");
    let (whole, frames) = (span(&browser), number(&browser, "timeline.frames"));
    let middle_of_all = middle(&browser, MANY / 2);
    let mut turns = 0;
    while span(&browser) > whole / 1000.0 {
        let before = number(&browser, "timeline.frames");
        browser.wheel(middle_of_all, -300);
        browser.until(&format!("timeline.frames > {before}"));
        turns += 1;
        assert!(turns < 50, "the wheel does not zoom");
    }
    assert!(number(&browser, "timeline.frames") > frames);
    // So near there are few, and each can be pointed at.
    let in_view = number(&browser, "timeline.drawn");
    assert!(
        in_view > 0.0 && in_view <= 10.0 * PROCESSES as f64,
        "{in_view} are drawn"
    );
    let first = browser.value("JSON.parse(document.getElementById('data').textContent).columns.invoked.findIndex(time => time >= timeline.from)");
    let operation = first.as_u64().unwrap();
    browser.point(middle(&browser, operation));
    browser.until(&format!("timeline.hovered === {operation}"));
    assert!(tip(&browser).contains("process "), "{}", tip(&browser));
    assert_ne!(browser.value("timeline.hovered"), Value::Null);
    has_no_complaints(&browser);
}

/// What a run records of itself when it begins.
const TEST: &str = r#"{"rustyraft-test":1,"version":"0.1.0","node_binary":"node","node_version":"0.1.0","started":"2026-11-24T10:00:00.000Z","seed":1,
"options":{"workload":"register","nodes":3,"concurrency":4,"rate":null,"time_limit_seconds":1.0,"nemesis":["kill"],
"nemesis_interval_seconds":1.0,"timeout_seconds":0.5,"node_args":[]}}"#;

#[test]
fn the_page_of_an_interrupted_run_is_made_later_and_has_plots_in_the_colours_of_the_page() {
    let Some(browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path();
    fs::write(run_dir.join("test.json"), TEST).unwrap();
    fs::write(run_dir.join("history.jsonl"), violations()).unwrap();
    let said = run(&harness(), &["report", "--json", run_dir.to_str().unwrap()]);
    assert_eq!(
        (said.code, said.json()["valid"].clone()),
        (1, false.into()),
        "{said:?}"
    );

    browser.open(&run_dir.join("report.html"));
    browser.until("window.timeline && timeline.frames > 0");
    assert!(text(&browser, "words").contains("cas-register 7 is not linearizable"));
    assert_eq!(browser.value("document.querySelectorAll('.plots svg').length"), 2);
    for plot in 0..2 {
        let of_plot = format!("document.querySelectorAll('.plots svg')[{plot}]");
        // A panel for each of cas, read and write, of which the compare-and-set was never completed.
        let panels = browser.value(&format!("{of_plot}.querySelectorAll('.name').length"));
        assert_eq!(panels, 2);
        let height = number(&browser, &format!("{of_plot}.getBoundingClientRect().height"));
        assert!(height > 200.0, "{height}");
        let line = browser.value(&format!(
            "getComputedStyle({of_plot}.querySelector('.ok')).stroke"
        ));
        let legend = "getComputedStyle(document.querySelector('.legend .ok')).backgroundColor";
        assert_eq!(line, browser.value(legend));
    }
    has_no_complaints(&browser);
    for plot in ["latency.svg", "rate.svg"] {
        browser.open(&run_dir.join(plot));
        assert!(
            number(
                &browser,
                "document.documentElement.querySelectorAll('path').length"
            ) > 4.0
        );
        has_no_complaints(&browser);
    }
}
