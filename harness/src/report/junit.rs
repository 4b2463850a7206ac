//! JUnit XML, for systems that collect test results.

use crate::report::xml::escaped;
use crate::report::{Results, Valid};
use std::fmt::Write as _;

/// The results of a series of tests as JUnit XML: a violation is a failure, an unknown verdict an error.
pub fn junit(tests: &[Results]) -> String {
    let count = |valid| tests.iter().filter(|test| test.summary.valid == valid).count();
    // A sum of no floating-point numbers is -0.
    let seconds = tests.iter().fold(0.0, |sum, test| sum + test.summary.seconds);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        xml,
        "<testsuite name=\"harness run\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{seconds:.3}\">",
        tests.len(),
        count(Valid::False),
        count(Valid::Unknown)
    );
    for test in tests {
        let summary = &test.summary;
        let _ = writeln!(
            xml,
            "  <testcase classname=\"{}\" name=\"seed {}\" time=\"{:.3}\">",
            escaped(&summary.workload),
            summary.seed,
            summary.seconds
        );
        let element = match summary.valid {
            Valid::True => None,
            Valid::False => Some("failure"),
            Valid::Unknown => Some("error"),
        };
        if let Some(element) = element {
            let reason = escaped(summary.reason.as_deref().unwrap_or_default());
            let words = escaped(test.explanation.as_deref().unwrap_or_default());
            let _ = writeln!(xml, "    <{element} message=\"{reason}\">{words}</{element}>");
        }
        let _ = writeln!(
            xml,
            "    <system-out>{}</system-out>",
            escaped(&summary.run_dir.display().to_string())
        );
        xml.push_str("  </testcase>\n");
    }
    xml.push_str("</testsuite>\n");
    xml
}
