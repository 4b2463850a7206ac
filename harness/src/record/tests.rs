use super::*;
use checker::{CheckOptions, Log, Verdict};
use std::fs;
use workloads::Ret;

const WRITE: Op = Op::Write { key: 1, value: 2 };

/// Threads use a register that is linearizable by construction, and record what they do.
fn recorded(threads: u64, operations: u64) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    let recorder = Recorder::create(&path, "register").unwrap();
    let register = Mutex::new(None);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (recorder, register) = (&recorder, &register);
            scope.spawn(move || {
                for number in 0..operations {
                    let write = (number + thread) % 2 == 0;
                    let value = thread * operations + number;
                    let op = if write {
                        Op::Write { key: 0, value }
                    } else {
                        Op::Read { key: 0 }
                    };
                    let invoked = recorder.invoke(thread, &op, 1, None);
                    let mut register = register.lock().unwrap();
                    let ret = if write {
                        *register = Some(value);
                        Ret::Written
                    } else {
                        Ret::Value(*register)
                    };
                    drop(register);
                    recorder.complete(invoked, &op, &Completion::Ok(ret));
                }
            });
        }
    });
    let tally = recorder.finish().unwrap();
    assert_eq!(tally.invocations(), threads * operations);
    assert_eq!(tally.counts().ok, threads * operations);
    fs::read(&path).unwrap()
}

#[test]
fn a_concurrent_history_is_in_time_order_and_as_linearizable_as_what_it_records() {
    let history = recorded(8, 200);
    let log = Log::read(&history).expect("lines are in time order, and calls match");
    assert_eq!((log.calls.len(), log.warnings.len()), (1600, 0));
    let report = workloads::judge(&log, &CheckOptions::default()).unwrap();
    assert_eq!(report.verdict, Verdict::Valid);
}

#[test]
fn in_every_prefix_each_value_that_was_read_has_the_invocation_of_its_write() {
    let history = recorded(4, 300);
    let mut written = std::collections::BTreeSet::new();
    let mut reads = 0;
    for line in history.split(|byte| *byte == b'\n').skip(1) {
        if line.is_empty() {
            continue;
        }
        let record: Record<'_> = serde_json::from_slice(line).unwrap();
        match (record.kind, &*record.f, record.value) {
            (Kind::Invoke, "write", Value::Int(value)) => {
                written.insert(value);
            }
            (Kind::Ok, "read", Value::Int(value)) => {
                reads += 1;
                assert!(written.contains(&value), "{value} was read before it was written");
            }
            _ => {}
        }
    }
    assert!(reads > 100, "{reads} reads saw a value");
}

#[test]
fn a_history_cut_anywhere_can_be_read_and_judged() {
    let history = recorded(3, 20);
    let header = history.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for end in header..history.len() {
        let log = Log::read(&history[..end]).unwrap_or_else(|error| panic!("cut at {end}: {error}"));
        let report = workloads::judge(&log, &CheckOptions::default()).unwrap();
        assert!(!matches!(report.verdict, Verdict::Violation(_)), "cut at {end}");
    }
}

#[test]
fn what_is_recorded_reaches_the_file_while_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    let recorder = Recorder::create(&path, "register").unwrap();
    let invoked = recorder.invoke(7, &WRITE, 3, Some(Duration::from_millis(5)));
    recorder.complete(invoked, &WRITE, &Completion::Info(String::from("timed out")));
    recorder.remark("kill start", "leader n1");
    // It takes one interval; a machine that is this much slower would fail anyway.
    let begun = Instant::now();
    let text = loop {
        let text = fs::read_to_string(&path).unwrap();
        if text.lines().count() == 4 || begun.elapsed() > Duration::from_secs(20) {
            break text;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let log = Log::read(text.as_bytes()).unwrap();
    assert_eq!(log.header.unwrap().workload, "register");
    let call = &log.calls[0];
    assert_eq!((call.process, call.node, &*call.f), (7, Some(3), "write"));
    assert_eq!(
        (call.key.clone(), call.end),
        (Some(Value::Int(1)), checker::history::End::Info)
    );
    assert!(
        text.contains("\"intended\":5000000") && text.contains("\"error\":\"timed out\""),
        "{text}"
    );
    assert_eq!(
        (log.remarks[0].f.as_str(), log.remarks[0].value.as_str()),
        ("kill start", "leader n1")
    );
}

#[test]
fn who_listens_hears_what_is_in_the_file_behind_its_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let listener = Box::new(move |lines: &[u8]| {
        assert_eq!(lines.last(), Some(&b'\n'), "lines are whole");
        hears.lock().unwrap().extend_from_slice(lines);
    });
    let recorder = Recorder::create_heard(&path, "register", listener).unwrap();
    for pause in [0, 30, 0] {
        let invoked = recorder.invoke(0, &WRITE, 1, None);
        std::thread::sleep(Duration::from_millis(pause));
        recorder.complete(invoked, &WRITE, &Completion::Ok(Ret::Written));
    }
    recorder.finish().unwrap();
    let file = fs::read(&path).unwrap();
    let header = file.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    assert_eq!(*heard.lock().unwrap(), file[header..]);
}

#[test]
fn a_full_disk_is_reported_and_blocks_nobody() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let recorder = Recorder::begin(full, Box::new(|_| {})).unwrap();
    let invoked = recorder.invoke(0, &WRITE, 1, None);
    recorder.complete(invoked, &WRITE, &Completion::Ok(Ret::Written));
    let begun = Instant::now();
    while recorder.failure().is_none() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..200_000 {
        let invoked = recorder.invoke(0, &WRITE, 1, None);
        recorder.complete(invoked, &WRITE, &Completion::Ok(Ret::Written));
    }
    let error = recorder.finish().unwrap_err();
    assert!(error.starts_with("the history can't be written"), "{error}");
}

#[test]
fn an_existing_history_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    fs::write(&path, "precious").unwrap();
    assert!(Recorder::create(&path, "register").is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn recovery_is_from_the_last_faults_end_to_the_first_success_of_what_began_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::create(&folder.path().join("history.jsonl"), "register").unwrap();
    let ok = Completion::Ok(Ret::Written);
    let write = |recorder: &Recorder| recorder.invoke(0, &WRITE, 1, None);
    recorder.complete(write(&recorder), &WRITE, &ok);
    assert_eq!(recorder.recovery(), None, "there was no fault");

    recorder.calm_since(recorder.remark("kill stop", "n1"));
    recorder.complete(write(&recorder), &WRITE, &ok);
    assert!(recorder.recovery().is_some());

    // What began before the end of the last fault shows nothing, and neither does what fails.
    let early = write(&recorder);
    let end = recorder.remark("pause stop", "n1");
    recorder.calm_since(end);
    recorder.complete(early, &WRITE, &ok);
    recorder.complete(write(&recorder), &WRITE, &Completion::Fail(String::from("busy")));
    assert_eq!(recorder.recovery(), None);
    recorder.complete(write(&recorder), &WRITE, &ok);
    let recovery = recorder.recovery().unwrap();
    assert!(recovery > Duration::ZERO && end + recovery <= recorder.elapsed());
    recorder.complete(write(&recorder), &WRITE, &ok);
    assert_eq!(recorder.recovery(), Some(recovery), "the first one counts");
}
