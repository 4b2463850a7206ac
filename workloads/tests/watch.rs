//! What is seen beside a test is what the check at the end finds in the same events: of histories of every workload, right and wrong ones,
//! cut anywhere.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use checker::history::{Header, Kind, Process, Record, Value};
use checker::{CheckOptions, Limits, Log, Seen, Verdict};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use workloads::{ACCOUNTS, Completion, FIRST_BALANCE, Op, Ret, Setting, Step, Workload, piece};

const THREADS: usize = 6;
const SEEDS: u64 = 40;
/// How many operations there are on others while an object rests: more than twice as many as it takes for that to be seen.
const PAUSE: u64 = 10_000;
/// The object of those, and the first of the processes that make them.
const ELSEWHERE: i64 = 1_000_000_000;
const FIRST_ELSEWHERE: u64 = 1_000_000;

/// An object of whatever kind.
#[derive(Clone, Default)]
struct Object {
    register: Option<u64>,
    count: i64,
    queue: VecDeque<u64>,
    set: Vec<u64>,
    text: String,
    cells: BTreeMap<u64, u64>,
    lists: BTreeMap<u64, Vec<u64>>,
    moved: BTreeMap<u64, i64>,
    owner: u64,
    token: u64,
}

impl Object {
    fn carry_out(&mut self, op: &Op) -> Ret {
        match op {
            Op::Read { .. } => return Ret::Value(self.register),
            Op::Write { value, .. } => self.register = Some(*value),
            Op::Cas { expected, new, .. } => {
                let swapped = self.register == *expected;
                if swapped {
                    self.register = Some(*new);
                }
                return Ret::Swapped(swapped);
            }
            Op::Add { amount, .. } => self.count += amount,
            Op::Count { .. } => return Ret::Count(self.count),
            Op::Enqueue { value, .. } => self.queue.push_back(*value),
            Op::Dequeue { .. } => return Ret::Value(self.queue.pop_front()),
            Op::Insert { element, .. } => self.set.push(*element),
            Op::Elements { .. } => return Ret::Elements(self.set.clone()),
            Op::AppendOnce { piece: number, .. } => self.text.push_str(&piece(*number)),
            Op::Text { .. } => return Ret::Text(self.text.clone()),
            Op::Transaction { steps, .. } => {
                return Ret::Steps(steps.iter().map(|step| self.step(step)).collect());
            }
            Op::Transfer { from, to, amount, .. } => {
                *self.moved.entry(*from).or_default() -= amount;
                *self.moved.entry(*to).or_default() += amount;
            }
            Op::Balances { .. } => {
                let held = |account| FIRST_BALANCE + self.moved.get(&account).copied().unwrap_or(0);
                return Ret::Balances((0..ACCOUNTS).map(held).collect());
            }
            Op::Generate { .. } => {
                self.token += 1;
                return Ret::Id(self.token);
            }
            Op::Acquire { owner, .. } => {
                let is_free = self.owner == 0;
                if is_free {
                    (self.owner, self.token) = (*owner, self.token + 1);
                }
                return Ret::Token(is_free.then_some(self.token));
            }
            Op::Release { owner, .. } => {
                let is_theirs = self.owner == *owner;
                if is_theirs {
                    self.owner = 0;
                }
                return Ret::Released(is_theirs);
            }
        }
        Ret::Written
    }

    fn step(&mut self, step: &Step) -> Step {
        match step {
            Step::Read { cell, .. } => Step::Read {
                cell: *cell,
                found: self.cells.get(cell).copied(),
            },
            Step::Write { cell, value } => {
                self.cells.insert(*cell, *value);
                step.clone()
            }
            Step::ReadList { cell, .. } => Step::ReadList {
                cell: *cell,
                found: Some(self.lists.get(cell).cloned().unwrap_or_default()),
            },
            Step::Append { cell, value } => {
                self.lists.entry(*cell).or_default().push(*value);
                step.clone()
            }
        }
    }
}

/// A client thread: the process that it is, and what it is at.
struct Thread {
    process: u64,
    op: Option<Op>,
    ret: Option<Ret>,
}

/// The lines of a history behind its header, and when each process that is open at the end of some of them was.
struct Recorded {
    lines: Vec<Vec<u8>>,
    records: Vec<(u64, u64, Kind, &'static str)>,
}

impl Recorded {
    fn push(&mut self, time: u64, process: u64, kind: Kind, op: &Op, value: Value) {
        self.push_on(op.key_value(), time, process, kind, op, value);
    }

    /// Another process fails to do something to an object that nobody else uses.
    fn fail_elsewhere(&mut self, time: u64, process: u64, workload: &dyn Workload) {
        let mut generator = workload.generator(Setting {
            seed: 0,
            nodes: 1,
            concurrency: 1,
        });
        let op = generator.next(0).unwrap();
        let elsewhere = Value::Int(ELSEWHERE);
        self.push_on(elsewhere.clone(), time, process, Kind::Invoke, &op, op.argument());
        self.push_on(elsewhere, time, process, Kind::Fail, &op, Value::Null);
    }

    fn push_on(&mut self, key: Value, time: u64, process: u64, kind: Kind, op: &Op, value: Value) {
        let record = Record {
            time,
            process: Process::Client(process),
            kind,
            f: Cow::Borrowed(op.kind()),
            key: Some(key),
            value,
            error: None,
            node: Some(1),
            intended: None,
        };
        let mut line = Vec::new();
        record.write(&mut line);
        self.lines.push(line);
        self.records.push((time, process, kind, op.kind()));
    }
}

/// Clients of a store that loses acknowledged changes, or answers from an old state, once in a while if it `lies`.
fn recorded(workload: &dyn Workload, seed: u64, lies: bool) -> Recorded {
    recorded_with_pauses(workload, seed, lies, 0)
}

/// The same; now and then all clients pause, while as many operations as `paused` says fail on another object.
fn recorded_with_pauses(workload: &dyn Workload, seed: u64, lies: bool, paused: u64) -> Recorded {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut generator = workload.generator(Setting {
        seed,
        nodes: 2,
        concurrency: THREADS,
    });
    let mut store: BTreeMap<u64, Vec<Object>> = BTreeMap::new();
    let mut threads: Vec<Thread> = (0..THREADS as u64)
        .map(|process| Thread {
            process,
            op: None,
            ret: None,
        })
        .collect();
    let mut next_process = THREADS as u64;
    let mut late: Vec<Op> = Vec::new();
    let mut out = Recorded {
        lines: Vec::new(),
        records: Vec::new(),
    };
    let (mut time, steps) = (0, random.random_range(20..250));
    let mut has_paused = false;
    for step in 0..steps {
        let is_pause = paused > 0 && step / 40 % 2 == 1;
        has_paused &= is_pause;
        if is_pause && !has_paused && threads.iter().all(|thread| thread.op.is_none()) {
            has_paused = true;
            time += 1;
            for number in 0..paused {
                out.fail_elsewhere(time, FIRST_ELSEWHERE + number, workload);
            }
        }
        // Some events happen at the same time.
        time += random.random_range(0..3);
        let number = random.random_range(0..THREADS);
        let thread = &mut threads[number];
        let Some(op) = thread.op.clone() else {
            if let Some(op) = generator.next(number).filter(|_| !is_pause) {
                out.push(time, thread.process, Kind::Invoke, &op, op.argument());
                thread.op = Some(op);
            }
            continue;
        };
        if random.random_ratio(1, 40) && thread.ret.is_none() {
            out.push(time, thread.process, Kind::Fail, &op, Value::Null);
            generator.completed(number, &op, &Completion::Fail(String::new()));
            thread.op = None;
        } else if random.random_ratio(1, 60) {
            out.push(time, thread.process, Kind::Info, &op, Value::Null);
            generator.completed(number, &op, &Completion::Info(String::new()));
            if thread.ret.is_none() {
                late.push(op);
            }
            (thread.process, thread.op, thread.ret) = (next_process, None, None);
            next_process += 1;
        } else if let Some(ret) = thread.ret.take() {
            out.push(time, thread.process, Kind::Ok, &op, ret.to_value());
            generator.completed(number, &op, &Completion::Ok(ret));
            thread.op = None;
        } else {
            let states = store.entry(op.key()).or_insert_with(|| vec![Object::default()]);
            let lie = lies && random.random_ratio(1, 30);
            let from = if lie {
                random.random_range(0..states.len())
            } else {
                states.len() - 1
            };
            let mut state = states[from].clone();
            thread.ret = Some(state.carry_out(&op));
            if !lie {
                states.push(state);
            }
        }
        if random.random_ratio(1, 20) && !late.is_empty() {
            let op = late.swap_remove(random.random_range(0..late.len()));
            let states = store.entry(op.key()).or_insert_with(|| vec![Object::default()]);
            let mut state = states[states.len() - 1].clone();
            state.carry_out(&op);
            states.push(state);
        }
    }
    out
}

/// What is seen of the first `count` lines, which come in blocks, and how many objects were too much. What is open is given up in the end,
/// as the other check has it.
fn seen(
    workload: &dyn Workload,
    recorded: &Recorded,
    count: usize,
    random: &mut ChaCha8Rng,
) -> (Option<Seen>, usize) {
    let mut watch = workloads::watch(workload, Limits::default()).unwrap();
    let mut lines = &recorded.lines[..count];
    let mut told = None;
    while !lines.is_empty() {
        let (block, rest) = lines.split_at(random.random_range(1..=lines.len()));
        let seen = watch.push(&block.concat()).unwrap();
        assert!(seen.is_none() || told.is_none(), "a violation is told once");
        told = told.or(seen);
        lines = rest;
        if told.is_some() {
            return (told, watch.left());
        }
    }
    let mut open = BTreeMap::new();
    let mut end = 0;
    for (time, process, kind, f) in &recorded.records[..count] {
        end = *time;
        match kind {
            Kind::Invoke => open.insert(*process, *f),
            Kind::Ok | Kind::Fail | Kind::Info => open.remove(process),
        };
    }
    let given_up = |(process, f): (u64, &str)| {
        format!("{{\"time\":{end},\"process\":{process},\"type\":\"info\",\"f\":\"{f}\",\"value\":null}}\n")
    };
    let mut last: String = open.into_iter().map(given_up).collect();
    last.push_str(&format!(
        "{{\"time\":{},\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"kill start\",\"value\":\"\"}}\n",
        end + 1
    ));
    let seen = watch.push(last.as_bytes()).unwrap();
    if seen.is_none() {
        let invoked = recorded.records[..count].iter();
        let invoked = invoked.filter(|(_, _, kind, _)| *kind == Kind::Invoke);
        assert_eq!(watch.judged(), invoked.count() as u64, "nothing waits any more");
    }
    (seen, watch.left())
}

/// The objects in which the check at the end finds a violation.
fn found(workload: &dyn Workload, recorded: &Recorded, count: usize) -> Vec<String> {
    let mut history = Vec::new();
    Header::new(workload.name()).write(&mut history);
    history.extend(recorded.lines[..count].concat());
    let log = Log::read(&history).unwrap();
    let options = CheckOptions {
        all: true,
        ..CheckOptions::default()
    };
    let report = workloads::judge(&log, &options).unwrap();
    assert!(
        !matches!(report.verdict, Verdict::Unknown(_)) || report.operations == 0,
        "{:?}",
        report.verdict
    );
    report.violations().map(|found| found.object.clone()).collect()
}

#[test]
fn what_is_seen_in_any_prefix_is_what_the_check_at_the_end_finds_in_it() {
    let mut only_at_the_end = Vec::new();
    for workload in workloads::all() {
        if workloads::watch(*workload, Limits::default()).is_none() {
            only_at_the_end.push(workload.name());
            continue;
        }
        let (mut right, mut wrong, mut missed) = (0, 0, 0);
        for seed in 0..SEEDS {
            let lies = seed % 3 != 0;
            let recorded = recorded(*workload, seed, lies);
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let all = recorded.lines.len();
            for count in [random.random_range(1..=all), random.random_range(1..=all), all] {
                let (seen, left) = seen(*workload, &recorded, count, &mut random);
                let found = found(*workload, &recorded, count);
                let name = workload.name();
                match seen {
                    None if left > 0 => missed += usize::from(!found.is_empty()),
                    None => assert!(found.is_empty(), "{name}, seed {seed}, {count} lines: {found:?}"),
                    Some(Seen { object, .. }) => {
                        assert!(lies, "{name}, seed {seed}, {count} lines: {object}");
                        assert!(
                            found.contains(&object),
                            "{name}, seed {seed}, {count} lines: {object}, {found:?}"
                        );
                    }
                }
                *(if found.is_empty() { &mut right } else { &mut wrong }) += 1;
            }
        }
        let name = workload.name();
        assert!(right > 15 && wrong > 15, "{name}: {right} {wrong}");
        assert!(10 * missed < wrong, "{name}: {missed} of {wrong} were too much");
    }
    assert_eq!(only_at_the_end, ["append", "unique-ids"]);
}

#[test]
fn what_is_seen_of_objects_that_rested_is_what_the_check_at_the_end_finds() {
    for workload in workloads::all() {
        if workloads::watch(*workload, Limits::default()).is_none() {
            continue;
        }
        let (name, mut wrong) = (workload.name(), 0);
        for seed in 0..SEEDS {
            let lies = seed % 3 != 0;
            let recorded = recorded_with_pauses(*workload, seed, lies, PAUSE);
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let (seen, left) = seen(*workload, &recorded, recorded.lines.len(), &mut random);
            let found = found(*workload, &recorded, recorded.lines.len());
            match seen {
                Some(Seen { object, .. }) => assert!(
                    found.contains(&object),
                    "{name}, seed {seed}: {object}, {found:?}"
                ),
                None => assert!(left > 0 || found.is_empty(), "{name}, seed {seed}: {found:?}"),
            }
            wrong += usize::from(!found.is_empty());
        }
        assert!(wrong > 2, "{name}: {wrong}");
    }
}

#[test]
fn what_happens_at_the_same_time_is_concurrent_whatever_the_order_of_the_lines() {
    let lines = |read_at: u64| {
        format!(
            r#"{{"time":1,"process":0,"type":"invoke","f":"write","key":0,"value":1}}
{{"time":2,"process":0,"type":"ok","f":"write","key":0,"value":null}}
{{"time":{read_at},"process":1,"type":"invoke","f":"read","key":0,"value":null}}
{{"time":4,"process":1,"type":"ok","f":"read","key":0,"value":null}}
{{"time":5,"process":2,"type":"invoke","f":"read","key":1,"value":null}}
"#
        )
    };
    let register = workloads::by_name("register").unwrap();
    let seen = |lines: &str| {
        workloads::watch(register, Limits::default())
            .unwrap()
            .push(lines.as_bytes())
            .unwrap()
    };
    assert_eq!(seen(&lines(2)), None);
    let violation = Seen {
        object: String::from("cas-register 0"),
        line: 4,
    };
    assert_eq!(seen(&lines(3)), Some(violation));
}

#[test]
fn what_takes_too_much_is_left_and_never_a_violation() {
    // Appends whose outcome nobody learned: each may be left out, and be anywhere in what is not read.
    let mut lines = String::new();
    let (mut time, mut process) = (0, 0);
    let mut line = |process: u64, kind: &str, f: &str, value: &str| {
        time += 1;
        lines.push_str(&format!(
            "{{\"time\":{time},\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":0,\"value\":{value}}}\n"
        ));
    };
    for number in 0..24 {
        process += 1;
        line(process, "invoke", "append", &format!("\"{number} \""));
        line(process, "info", "append", "null");
    }
    process += 1;
    line(process, "invoke", "get", "null");
    line(process, "ok", "get", "\"nobody appended this\"");
    line(process, "invoke", "get", "null");
    let session = workloads::by_name("session").unwrap();
    let limits = Limits {
        bytes_max: 1 << 20,
        ..Limits::default()
    };
    let mut watch = workloads::watch(session, limits).unwrap();
    assert_eq!(watch.push(lines.as_bytes()), Ok(None));
    assert_eq!(
        (watch.left(), watch.judged()),
        (1, 26),
        "what is left waits for nothing"
    );
}

#[test]
fn what_is_no_history_is_refused_with_its_line() {
    let register = workloads::by_name("register").unwrap();
    let refused = |lines: &str| {
        let mut watch = workloads::watch(register, Limits::default()).unwrap();
        watch.push(lines.as_bytes()).unwrap_err().to_string()
    };
    let line = |kind: &str, f: &str| {
        format!("{{\"time\":1,\"process\":3,\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":0,\"value\":null}}\n")
    };
    assert!(refused("no JSON\n").starts_with("line 2: "));
    assert_eq!(
        refused(&line("ok", "read")),
        "line 2: process 3 completes read, which it did not invoke"
    );
    assert_eq!(
        refused(&line("invoke", "read").repeat(2)),
        "line 3: process 3 invokes twice at once"
    );
    let pop = line("invoke", "pop") + &line("ok", "pop") + &line("invoke", "read").replace(":1,", ":2,");
    assert!(
        refused(&pop).contains("the operation \"pop\" is unknown"),
        "{}",
        refused(&pop)
    );
}
