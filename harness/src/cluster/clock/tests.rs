//! Another process is told the time, and tells it on. Beside that it asks the kernel past the C library, as [`machine`] does: whatever the
//! machine does meanwhile, a time that it was told lies between what the right clock showed before and after.

use super::*;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};

/// What the process does that is told the time: for each line on its stdin, how to wait and for how many milliseconds, it says what it saw.
#[test]
#[ignore = "the tests here carry it out as another process"]
fn is_told_the_time() {
    let first = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for line in io::stdin().lines() {
        let line = line.unwrap();
        let (how, ms) = line.split_once(' ').unwrap();
        let time = Duration::from_millis(ms.parse().unwrap());
        let before = machine()[MONOTONIC];
        match how {
            "sleep" => std::thread::sleep(time),
            "epoll" => runtime.block_on(async { tokio::time::sleep(time).await }),
            _ => panic!("{line}"),
        }
        let told = first.elapsed().as_nanos();
        let wall = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        println!("@{before} {} {told} {wall}", machine()[MONOTONIC]);
    }
}

/// What it saw, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// What the right clock showed before it waited and looked.
    before: i64,
    /// The same, after that.
    after: i64,
    /// The time since it began, as it was told.
    told: i64,
    /// The time of day, as it was told.
    wall: i64,
}

/// That process.
struct Other {
    child: Child,
    stdin: ChildStdin,
    seen: Receiver<Seen>,
}

impl Other {
    fn with(clock: &Clock) -> Other {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "cluster::clock::tests::is_told_the_time",
                "--ignored",
                "--nocapture",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        clock.lend(&mut command);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, seen) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // The test framework says something, too, and does not end its line.
                let Some((_, numbers)) = line.split_once('@') else {
                    continue;
                };
                let numbers: Vec<i64> = numbers.split(' ').map(|number| number.parse().unwrap()).collect();
                let seen = Seen {
                    before: numbers[0],
                    after: numbers[1],
                    told: numbers[2],
                    wall: numbers[3],
                };
                if sender.send(seen).is_err() {
                    break;
                }
            }
        });
        Other { child, stdin, seen }
    }

    fn begin(&mut self, how: &str, ms: u64) {
        writeln!(self.stdin, "{how} {ms}").unwrap();
    }

    fn does(&mut self, how: &str, ms: u64) -> Seen {
        self.begin(how, ms);
        self.seen.recv().unwrap()
    }

    fn looks(&mut self) -> Seen {
        self.does("sleep", 0)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // One that is gone needs no killing.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// More than the clocks lose by being rounded.
const ROUNDED: f64 = 100.0;
const HOUR: i64 = 3_600_000_000_000;

/// Between two looks the clock ran at rates between these, and jumped by so many nanoseconds.
#[track_caller]
fn ran(first: Seen, second: Seen, rates: [f64; 2], jump: i64) {
    let told = (second.told - first.told - jump) as f64;
    let least = (second.before - first.after) as f64 * rates[0];
    let most = (second.after - first.before) as f64 * rates[1];
    assert!(
        (least - ROUNDED..=most + ROUNDED).contains(&told),
        "{told} is not between {least} and {most}: {first:?}, {second:?}"
    );
}

fn clock() -> Clock {
    Clock::new(&library().unwrap()).unwrap()
}

#[test]
fn clocks_run_as_fast_as_it_was_said_and_nothing_is_lost_when_that_changes() {
    let clock = clock();
    let mut other = Other::with(&clock);
    let mut last = other.looks();
    let mut rate = 1.0;
    for (thousandths, next) in [(250, 0.25), (4000, 4.0), (1000, 1.0)] {
        if thousandths == 1000 {
            clock.put_right().unwrap();
        } else {
            clock.skew(Skew::Rate(thousandths)).unwrap();
        }
        let changed = other.looks();
        ran(last, changed, [f64::min(rate, next), f64::max(rate, next)], 0);
        std::thread::sleep(Duration::from_millis(30));
        last = other.looks();
        ran(changed, last, [next, next], 0);
        rate = next;
    }
}

#[test]
fn clocks_jump_ahead_and_stay_there_and_the_time_of_day_comes_back() {
    let clock = clock();
    let mut other = Other::with(&clock);
    let first = other.looks();
    clock.skew(Skew::Jump(3_600_000)).unwrap();
    let ahead = other.looks();
    ran(first, ahead, [1.0, 1.0], HOUR);
    let hours = |one: Seen, other: Seen| (other.wall - one.wall + HOUR / 2).div_euclid(HOUR);
    assert_eq!(hours(first, ahead), 1);
    clock.skew(Skew::Wall(-2 * 3_600_000)).unwrap();
    let back = other.looks();
    ran(ahead, back, [1.0, 1.0], 0);
    assert_eq!(hours(ahead, back), -2);
    clock.put_right().unwrap();
    let right = other.looks();
    ran(back, right, [1.0, 1.0], 0);
    assert_eq!(hours(back, right), 2);
}

#[test]
fn whoever_waits_does_so_by_the_clock_that_was_set() {
    let clock = clock();
    let mut other = Other::with(&clock);
    clock.skew(Skew::Rate(250)).unwrap();
    for how in ["sleep", "epoll"] {
        let seen = other.does(how, 30);
        assert!(seen.after - seen.before >= 120_000_000, "{how}: {seen:?}");
    }
    clock.put_right().unwrap();
    for how in ["sleep", "epoll"] {
        // In an hour, by a clock that jumps on until it is over.
        other.begin(how, 3_600_000);
        while other.seen.recv_timeout(Duration::from_millis(50)).is_err() {
            clock.skew(Skew::Jump(1_800_001)).unwrap();
        }
    }
}

#[test]
fn it_shows_whether_anybody_has_looked_since_the_last_change() {
    let clock = clock();
    assert!(!clock.is_seen());
    let mut other = Other::with(&clock);
    other.looks();
    assert!(clock.is_seen());
    // This one reads its stdin, and knows no time meanwhile.
    clock.renew().unwrap();
    assert!(!clock.is_seen());
    other.looks();
    assert!(clock.is_seen());
}

#[test]
fn programs_that_no_loader_prepares_are_told_apart() {
    assert_eq!(
        unsettable(None),
        None,
        "the tests need a machine on which clocks can be set"
    );
    let own = std::env::current_exe().unwrap();
    assert_eq!(unsettable(Some(&own)), None);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("program");
    let is_refused = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        unsettable(Some(&file)).is_some()
    };
    // One part, which lies behind the header.
    let program = |kind: u8| {
        let mut bytes = [0_u8; 64 + 56];
        bytes[..5].copy_from_slice(b"\x7fELF\x02");
        (bytes[32], bytes[54], bytes[56], bytes[64]) = (64, 56, 1, kind);
        bytes
    };
    let (loaded, interpreter) = (1, 3);
    assert!(is_refused(&program(loaded)));
    assert!(!is_refused(&program(interpreter)));
    assert!(
        !is_refused(&program(loaded)[..66]),
        "it is cut off, and says nothing"
    );
    assert!(!is_refused(b"#!/bin/sh\n") && !is_refused(b""));
    assert_eq!(unsettable(Some(Path::new("/nowhere"))), None);
}
