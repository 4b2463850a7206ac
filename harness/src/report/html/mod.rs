//! A history and its verdict as one HTML page that opens from disk: no network, nothing beside it.
//!
//! The page is a template with a style sheet and a script inside, and the history as columns of JSON. The script draws on a canvas what is
//! in view, no more bars than there are pixels; what it drew last can be read from `window.timeline`.

use crate::report::{Results, Valid, grouped, program};
use checker::history::{End, Remark, Value};
use checker::{Explanation, Log, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// How many operations a page has; those around the violation, where there are more.
const OPERATIONS_MAX: usize = 200_000;

/// What a page shows.
#[derive(Debug)]
pub struct Page<'a> {
    /// `valid`, `violation` or `unknown`.
    pub verdict: &'a str,
    /// What was checked.
    pub title: String,
    /// Why it is not valid.
    pub reason: String,
    /// What else there is to say, by name.
    pub facts: Vec<(String, String)>,
    /// The history.
    pub log: &'a Log,
    /// The violation.
    pub explanation: Option<&'a Explanation>,
}

#[derive(Serialize)]
struct Data<'a> {
    verdict: &'a str,
    title: &'a str,
    reason: &'a str,
    facts: &'a [(String, String)],
    text: &'a str,
    timed: bool,
    begin: u64,
    end: u64,
    left_out: usize,
    culprit: Option<usize>,
    core: Vec<usize>,
    orders: Vec<Order>,
    faults: Vec<Fault>,
    words: Vec<String>,
    columns: Columns,
}

/// Part of an order of operations: how many there are before, and all in all.
#[derive(Serialize)]
struct Order {
    before: usize,
    length: usize,
    operations: Vec<Option<usize>>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Fault {
    name: String,
    from: u64,
    to: Option<u64>,
}

/// process, node, f, key, argument, result, end, invoked, returned
type Columns = (
    Vec<u64>,
    Vec<Option<u64>>,
    Vec<i64>,
    Vec<i64>,
    Vec<i64>,
    Vec<i64>,
    Vec<u8>,
    Vec<u64>,
    Vec<Option<u64>>,
);

/// Each text once.
#[derive(Default)]
struct Words {
    places: BTreeMap<String, i64>,
    words: Vec<String>,
}

impl Words {
    fn place(&mut self, word: &str) -> i64 {
        if let Some(place) = self.places.get(word) {
            return *place;
        }
        let place = i64::try_from(self.words.len()).expect("fewer texts are in memory at once");
        self.places.insert(word.to_owned(), place);
        self.words.push(word.to_owned());
        place
    }

    fn value(&mut self, value: &Value) -> i64 {
        if value.is_null() {
            return -1;
        }
        self.place(&value.to_string())
    }
}

/// What a verdict is called, and why it is not valid.
pub fn verdict_and_reason(verdict: &Verdict) -> (&'static str, String) {
    match verdict {
        Verdict::Valid => ("valid", String::new()),
        Verdict::Violation(violation) => (
            "violation",
            format!(
                "{} is not linearizable. {}",
                violation.object, violation.operation
            ),
        ),
        Verdict::Unknown(reason) => ("unknown", reason.clone()),
    }
}

/// The page about a run.
pub fn of_run(results: &Results, log: &Log, explanation: Option<&Explanation>) -> String {
    let summary = &results.summary;
    let faults: Vec<String> = summary
        .faults
        .iter()
        .map(|(kind, count)| format!("{count} × {kind}"))
        .collect();
    let folder = summary.run_dir.display();
    let facts = [
        ("ok", grouped(summary.ops.ok)),
        ("fail", grouped(summary.ops.fail)),
        ("unknown outcome", grouped(summary.ops.info)),
        ("under load", format!("{:.1} s", summary.seconds)),
        ("elections", summary.elections.to_string()),
        ("faults", faults.join(", ")),
        ("seed", summary.seed.to_string()),
        ("recheck", format!("{} check {folder}", program())),
    ];
    render(&Page {
        verdict: match summary.valid {
            Valid::True => "valid",
            Valid::False => "violation",
            Valid::Unknown => "unknown",
        },
        title: format!("{} on {} nodes", summary.workload, summary.nodes),
        reason: summary.reason.clone().unwrap_or_default(),
        facts: facts.map(|(name, value)| (name.to_owned(), value)).into(),
        log,
        explanation,
    })
}

/// The page as HTML.
pub fn render(page: &Page<'_>) -> String {
    let json = serde_json::to_string(&data(page)).expect("its fields have string keys");
    // Nothing within a script element may look like its end, or like the beginning of a comment.
    let json = json.replace('<', "\\u003c");
    let mut html = String::with_capacity(TEMPLATE.len() + STYLE.len() + SCRIPT.len() + json.len());
    let mut rest = TEMPLATE;
    for (mark, text) in [("{{style}}", STYLE), ("{{data}}", &json), ("{{script}}", SCRIPT)] {
        let (before, after) = rest
            .split_once(mark)
            .expect("the template has each mark, in this order");
        html.push_str(before);
        html.push_str(text);
        rest = after;
    }
    html + rest
}

fn data<'a>(page: &'a Page<'_>) -> Data<'a> {
    let calls = &page.log.calls;
    let culprit = page.explanation.and_then(|explanation| explanation.culprit);
    let core: &[usize] = page.explanation.map_or(&[], |explanation| &explanation.core);
    let shown = shown(calls.len(), culprit, core);
    let place = |call: &usize| shown.binary_search(call).ok();
    let mut words = Words::default();
    let mut columns = Columns::default();
    for call in shown.iter().map(|place| &calls[*place]) {
        columns.0.push(call.process);
        columns.1.push(call.node);
        columns.2.push(words.place(&call.f));
        columns
            .3
            .push(call.key.as_ref().map_or(-1, |key| words.value(key)));
        columns.4.push(words.value(&call.argument));
        columns.5.push(words.value(&call.result));
        columns.6.push(match call.end {
            End::Ok => 0,
            End::Fail => 1,
            End::Info => 2,
        });
        columns.7.push(call.invoked);
        // One whose outcome nobody learned may take effect at any later time.
        columns
            .8
            .push((call.end != End::Info && call.returned != u64::MAX).then_some(call.returned));
    }
    let orders = page
        .explanation
        .map_or(&[][..], |explanation| &explanation.prefixes);
    let last = columns.7.iter().chain(columns.8.iter().flatten()).max();
    Data {
        verdict: page.verdict,
        title: &page.title,
        reason: &page.reason,
        facts: &page.facts,
        text: page.explanation.map_or("", |explanation| &explanation.text),
        timed: page.log.timed,
        begin: columns.7.first().copied().unwrap_or(0),
        end: last.copied().unwrap_or(0),
        left_out: calls.len() - shown.len(),
        culprit: culprit.as_ref().and_then(place),
        core: core.iter().filter_map(place).collect(),
        orders: orders
            .iter()
            .map(|order| {
                let before = order.iter().take_while(|call| place(call).is_none()).count();
                Order {
                    before,
                    length: order.len(),
                    operations: order[before..].iter().map(place).collect(),
                }
            })
            .collect(),
        faults: faults(&page.log.remarks),
        words: words.words,
        columns,
    }
}

/// The places of the calls that a page shows.
fn shown(count: usize, culprit: Option<usize>, core: &[usize]) -> Vec<usize> {
    // What came before a violation explains more than what came after it.
    let wanted = culprit.map_or(0, |culprit| culprit.saturating_sub(OPERATIONS_MAX / 4 * 3));
    let first = wanted.min(count.saturating_sub(OPERATIONS_MAX));
    let mut shown: Vec<usize> = (first..count.min(first + OPERATIONS_MAX)).collect();
    shown.extend(core);
    shown.sort_unstable();
    shown.dedup();
    shown
}

/// From each `X start` to the next `X stop`; any other remark is a moment.
fn faults(remarks: &[Remark]) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut open: BTreeMap<&str, usize> = BTreeMap::new();
    for remark in remarks {
        if let Some(kind) = remark.f.strip_suffix("stop").map(str::trim_end) {
            if let Some(fault) = open.remove(kind) {
                faults[fault].to = Some(remark.time);
            }
            continue;
        }
        let begun = remark.f.strip_suffix("start").map(str::trim_end);
        if let Some(kind) = begun {
            open.insert(kind, faults.len());
        }
        faults.push(Fault {
            name: format!("{} {}", begun.unwrap_or(&remark.f), remark.value),
            from: remark.time,
            to: begun.is_none().then_some(remark.time),
        });
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_history_says_cant_leave_its_element() {
        let history = "{\"rustyraft-history\":1,\"workload\":\"register\"}\n\
            {\"time\":1,\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"key\":\"</script><script>alert(1)</script>\",\"value\":\"{{script}}<!--\"}\n";
        let log = Log::read(history.as_bytes()).unwrap();
        let html = render(&Page {
            verdict: "valid",
            title: String::from("</script>"),
            reason: String::new(),
            facts: Vec::new(),
            log: &log,
            explanation: None,
        });
        assert_eq!(html.matches("</script").count(), 2);
        assert_eq!(html.matches("<script").count(), 2);
        assert!(!html.contains("<!--") && !html.contains("{{style}}") && !html.contains("{{data}}"));
        assert!(html.contains(r"\u003c/script>\u003cscript>alert(1)"));
    }

    #[test]
    fn a_page_of_a_long_history_has_what_is_around_the_violation_and_the_core() {
        let count = 3 * OPERATIONS_MAX;
        let shown = shown(count, Some(count - 10), &[5, count - 10]);
        assert_eq!(
            (shown.len(), shown[0], shown[1]),
            (OPERATIONS_MAX + 1, 5, count - OPERATIONS_MAX)
        );
        assert!(shown.contains(&(count - 10)));
        assert_eq!(super::shown(3, None, &[]), [0, 1, 2]);
    }

    #[test]
    fn a_fault_lasts_until_it_is_stopped() {
        let remark = |time, f: &str| Remark {
            time,
            f: f.to_owned(),
            value: String::from("n1"),
        };
        let fault = |name: &str, from, to| Fault {
            name: name.to_owned(),
            from,
            to,
        };
        let remarks = [
            remark(1, "kill start"),
            remark(2, "bump"),
            remark(3, "kill stop"),
            remark(4, "pause start"),
        ];
        assert_eq!(
            faults(&remarks),
            [
                fault("kill n1", 1, Some(3)),
                fault("bump n1", 2, Some(2)),
                fault("pause n1", 4, None)
            ]
        );
    }
}
