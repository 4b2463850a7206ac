use super::*;
use crate::record::{Counts, Latency};
use crate::report::{Checked, EarlyEnd, LatencyOf, ReasonOf, Standing, Summary, junit};
use std::collections::BTreeMap;
use std::path::PathBuf;

fn results(valid: Valid, reason: Option<&str>, explanation: Option<&str>) -> Results {
    let latency = Latency {
        count: 12_345,
        p50_us: 420,
        p99_us: 8_700,
        max_us: 512_000,
    };
    Results {
        summary: Summary {
            valid,
            reason: reason.map(str::to_owned),
            workload: String::from("register"),
            system: "node".into(),
            nodes: 5,
            seconds: 20.004,
            ops: Counts {
                ok: 19_390,
                fail: 308,
                info: 22,
            },
            elections: Some(6),
            faults: Some(BTreeMap::from([
                (String::from("kill"), 2),
                (String::from("pause"), 3),
            ])),
            seed: 42,
            run_dir: PathBuf::from("store/register/20261123T105351.123Z"),
        },
        concurrency: 10,
        per_second: Some(985.8),
        start_seconds: Some(0.1523),
        recovery_seconds: Some(0.0017),
        latencies: vec![LatencyOf {
            op: "read".into(),
            outcome: Outcome::Ok,
            latency,
        }],
        reasons: vec![ReasonOf {
            outcome: Outcome::Fail,
            reason: String::from("node N is down"),
            count: 120,
        }],
        checked: Some(Checked {
            model: "register".into(),
            engine: "configurations".into(),
            ops: 19_412,
            partitions: 70,
            parse_seconds: 0.035,
            check_seconds: 0.0045,
        }),
        explanation: explanation.map(str::to_owned),
        apart: Standing {
            valid: Valid::True,
            reason: None,
            explanation: None,
        },
        ended_early: None,
        notes: vec![String::from("something else")],
    }
}

#[test]
fn reports_are_as_reviewed() {
    insta::assert_snapshot!(
        "valid",
        render(&results(Valid::True, None, None), Paint::PLAIN, "harness")
    );
    let violation = results(
        Valid::False,
        Some("register 17 is not linearizable. Process 3 read 4."),
        Some("register 17 is not linearizable.\n\n  All of it in words.\n"),
    );
    insta::assert_snapshot!("violation", render(&violation, Paint::PLAIN, "cargo harness"));
    let early = Results {
        recovery_seconds: None,
        ended_early: Some(EarlyEnd {
            seconds: 3.2,
            operations: 4_100,
            object: String::from("register 17"),
            healed: false,
            confirmed: Some(true),
        }),
        ..violation
    };
    insta::assert_snapshot!("ended_early", render(&early, Paint::PLAIN, "cargo harness"));
    let mut late = early;
    late.ended_early.as_mut().unwrap().healed = true;
    let late = render(&late, Paint::PLAIN, "cargo harness");
    assert!(
        late.contains("while it ran, after 3.2 s, 4,100 operations; that ended it, in its final reads\n"),
        "{late}"
    );
    let unknown = results(Valid::Unknown, Some("no pause ever took effect"), None);
    insta::assert_snapshot!("unknown", render(&unknown, Paint::PLAIN, "harness"));
}

#[test]
fn the_json_line_is_as_documented() {
    let unknown = results(Valid::Unknown, Some("no pause ever took effect"), None);
    insta::assert_snapshot!("json_unknown", serde_json::to_string(&unknown.summary).unwrap());
    let valid = results(Valid::True, None, None);
    insta::assert_snapshot!("json_valid", serde_json::to_string(&valid.summary).unwrap());
    let results = serde_json::to_string_pretty(&valid).unwrap();
    insta::assert_snapshot!("results_json", results);
}

#[test]
fn junit_escapes_what_has_a_meaning_in_xml() {
    let tests = [
        results(Valid::True, None, None),
        results(Valid::False, Some("1 < 2 & \"so\" on\u{1b}"), Some("n1→n2")),
        results(Valid::Unknown, Some("too little load"), None),
    ];
    insta::assert_snapshot!("junit", junit(&tests));
    assert!(junit(&[]).contains("tests=\"0\" failures=\"0\" errors=\"0\" time=\"0.000\""));
}

#[test]
fn numbers_and_durations_are_easy_to_read() {
    assert_eq!(
        [0, 999, 1_000, 1_234_567].map(grouped),
        ["0", "999", "1,000", "1,234,567"]
    );
    let of = |microseconds| duration(Duration::from_micros(microseconds));
    assert_eq!(
        [850, 1_240, 34_000, 999_999, 2_540_000].map(of),
        ["850 µs", "1.2 ms", "34 ms", "999 ms", "2.5 s"]
    );
}
