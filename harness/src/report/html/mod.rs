//! A history and its verdict as one HTML page that opens from disk: no network, nothing beside it.
//!
//! The page is a template with a style sheet and a script inside, and the history as columns of JSON. The script draws on a canvas what is
//! in view, no more bars than there are pixels; what it drew last can be read from `window.timeline`.

mod data;

use crate::report::{Plots, Results, Valid, grouped, program};
use checker::{Explanation, Log, Verdict};
use data::Data;

const TEMPLATE: &str = include_str!("page.html");
/// How pages look.
pub(crate) const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

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
    /// Plots of the run, if it is one.
    pub plots: Option<&'a Plots>,
    /// The violations; the first one is shown first.
    pub violations: Vec<&'a Explanation>,
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
pub fn of_run(results: &Results, log: &Log, plots: Option<&Plots>, violations: Vec<&Explanation>) -> String {
    let summary = &results.summary;
    let folder = summary.run_dir.display();
    let facts = [
        ("system", summary.system.to_string()),
        ("ok", grouped(summary.ops.ok)),
        ("fail", grouped(summary.ops.fail)),
        ("unknown outcome", grouped(summary.ops.info)),
        ("under load", format!("{:.1} s", summary.seconds)),
        (
            "elections",
            summary
                .elections
                .map_or_else(|| String::from("not recorded"), |elections| elections.to_string()),
        ),
        ("faults", summary.faults()),
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
        plots,
        violations,
    })
}

/// The page as HTML.
pub fn render(page: &Page<'_>) -> String {
    let json = serde_json::to_string(&Data::of(page)).expect("its fields have string keys");
    // Nothing within a script element may look like its end, or like the beginning of a comment.
    let json = json.replace('<', "\\u003c");
    let mut html = String::with_capacity(TEMPLATE.len() + STYLE.len() + SCRIPT.len() + json.len());
    let mut rest = TEMPLATE;
    let plots = page.plots.map(embedded).unwrap_or_default();
    let parts = [
        ("{{style}}", STYLE),
        ("{{plots}}", &plots),
        ("{{data}}", &json),
        ("{{script}}", SCRIPT),
    ];
    for (mark, text) in parts {
        let (before, after) = rest
            .split_once(mark)
            .expect("the template has each mark, in this order");
        html.push_str(before);
        html.push_str(text);
        rest = after;
    }
    html + rest
}

/// The section of a page that shows plots.
fn embedded(plots: &Plots) -> String {
    format!(
        "<section class=\"plots\"><h2>Latency</h2>{}</section>\n<section class=\"plots\"><h2>Operations a second</h2>{}</section>",
        plots.latency, plots.rate
    )
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
            plots: None,
            violations: Vec::new(),
        });
        assert_eq!(html.matches("</script").count(), 2);
        assert_eq!(html.matches("<script").count(), 2);
        assert!(!html.contains("<!--") && !html.contains("{{style}}") && !html.contains("{{data}}"));
        assert!(html.contains(r"\u003c/script>\u003cscript>alert(1)"));
    }
}
