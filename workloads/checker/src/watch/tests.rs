use super::*;
use crate::check::{CheckOptions, check_with};
use crate::history::{Header, Log};
use crate::models::{CasRegister, Counter, FifoQueue, KvAppend};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// A watch of objects, and the lines that it is told.
struct Told<M: Vocabulary> {
    watch: Watched<'static, M>,
    time: u64,
}

fn line(time: u64, process: u64, kind: &str, f: &str, key: u64, value: &str) -> String {
    format!(
        "{{\"time\":{time},\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":{key},\"value\":{value}}}\n"
    )
}

impl<M: Vocabulary> Told<M> {
    fn new() -> Told<M> {
        let mut watch = Watched::new(M::initial(None).unwrap(), Limits::default());
        watch.room.sweep_interval = 16;
        Told { watch, time: 0 }
    }

    fn event(&mut self, process: u64, kind: &str, f: &str, key: u64, value: &str) -> Option<Seen> {
        self.time += 1;
        let line = line(self.time, process, kind, f, key, value);
        self.watch.push(line.as_bytes()).unwrap()
    }

    /// A whole operation.
    fn call(&mut self, f: &str, key: u64, argument: &str, result: &str) -> Option<Seen> {
        let seen = self.event(0, "invoke", f, key, argument);
        seen.or_else(|| self.event(0, "ok", f, key, result))
    }

    fn resting(&self) -> usize {
        let is_resting = |object: &&Object<'_, M>| matches!(object.is, Is::Resting(_));
        self.watch.objects.iter().filter(is_resting).count()
    }
}

impl Told<CasRegister<u64>> {
    /// Enough happens elsewhere that whatever is not used can rest.
    fn pass(&mut self) {
        for _ in 0..2 * self.watch.room.sweep_interval {
            assert_eq!(self.call("read", u64::from(u32::MAX), "null", "null"), None);
        }
    }
}

#[test]
fn what_is_not_used_rests_and_goes_on_from_there() {
    let mut told = Told::<CasRegister<u64>>::new();
    for key in 0..3 {
        assert_eq!(told.call("write", key, "7", "null"), None);
    }
    assert_eq!(told.resting(), 0);
    told.pass();
    assert_eq!((told.resting(), told.watch.awake.len()), (3, 1));
    assert!(told.watch.resting_bytes > 0);
    assert_eq!(told.call("read", 0, "null", "7"), None);
    assert_eq!(told.call("cas", 1, "[7,8]", "true"), None);
    assert_eq!((told.resting(), told.watch.awake.len()), (1, 3));
    told.pass();
    assert_eq!(told.resting(), 3);
    assert_eq!(told.call("read", 1, "null", "8"), None);
    assert_eq!(told.call("read", 2, "null", "9"), None);
    let seen = told.call("read", 0, "null", "7").unwrap();
    assert_eq!(seen.object, "cas-register 2");
    assert_eq!(told.watch.left(), 0);
}

#[test]
fn an_object_that_may_be_in_several_states_rests_in_all_of_them() {
    for (first, then, is_violation) in [
        ("1", "1", false),
        ("2", "2", false),
        ("3", "3", true),
        ("1", "2", true),
    ] {
        let mut told = Told::<CasRegister<u64>>::new();
        told.event(1, "invoke", "write", 0, "1");
        told.event(2, "invoke", "write", 0, "2");
        told.event(1, "ok", "write", 0, "null");
        told.event(2, "ok", "write", 0, "null");
        told.pass();
        assert_eq!(told.resting(), 1);
        let seen = told.call("read", 0, "null", first);
        let seen = seen.or_else(|| told.call("read", 0, "null", then));
        let seen = seen.or_else(|| told.call("read", 9, "null", "null"));
        assert_eq!(seen.is_some(), is_violation, "{first}, {then}");
    }
}

#[test]
fn what_was_lost_takes_effect_once_and_after_a_rest_as_well() {
    // Of two writes of 1 nobody learned what became of them.
    for (reads_and_writes, is_violation) in [
        (["", "1", "", ""], true),
        (["1", "1", "1", "1"], false),
        (["1", "w", "1", "1"], false),
        (["1", "w", "1", "w"], false),
        (["w", "1", "w", "1"], false),
        (["1", "2", "", ""], true),
    ] {
        let mut told = Told::<CasRegister<u64>>::new();
        for process in [1, 2] {
            told.event(process, "invoke", "write", 0, "1");
            told.event(process, "info", "write", 0, "null");
        }
        let mut seen = None;
        for what in reads_and_writes {
            told.pass();
            let is = &told.watch.objects[0].is;
            assert!(matches!(is, Is::Resting(_)), "{reads_and_writes:?}");
            seen = seen.or_else(|| match what {
                "" => told.call("read", 0, "null", "null"),
                "w" => told.call("write", 0, "2", "null"),
                value => told.call("read", 0, "null", value),
            });
            seen = seen.or_else(|| told.call("read", 9, "null", "null"));
            if seen.is_some() {
                break;
            }
        }
        assert_eq!(seen.is_some(), is_violation, "{reads_and_writes:?}");
    }
    // Two, and no third.
    let mut told = Told::<CasRegister<u64>>::new();
    for process in [1, 2] {
        told.event(process, "invoke", "write", 0, "1");
        told.event(process, "info", "write", 0, "null");
    }
    for turn in 0..3 {
        told.pass();
        assert_eq!(told.call("write", 0, "2", "null"), None);
        told.pass();
        assert_eq!(told.call("read", 0, "null", "1"), None, "{turn}");
    }
    assert!(told.call("read", 9, "null", "null").is_some());
}

#[test]
fn what_is_open_does_not_rest() {
    let mut told = Told::<CasRegister<u64>>::new();
    told.event(1, "invoke", "write", 0, "1");
    told.pass();
    assert_eq!((told.resting(), told.watch.awake.len()), (0, 2));
    told.event(1, "ok", "write", 0, "null");
    told.pass();
    assert_eq!(told.resting(), 1);
}

#[test]
fn of_very_many_objects_that_cant_rest_the_older_half_is_left() {
    let mut told = Told::<CasRegister<u64>>::new();
    let max = told.watch.room.awake_max;
    for key in 0..=max as u64 {
        told.event(key, "invoke", "write", key, "1");
    }
    assert_eq!(told.watch.left(), max.div_ceil(2));
    assert_eq!(told.watch.awake.len() + told.watch.left(), max + 1);
    assert_eq!(told.watch.waiting(), told.watch.awake.len() as u64);
    assert_eq!(told.watch.judged() + told.watch.waiting(), max as u64 + 1);
}

#[test]
fn however_many_objects_are_used_at_once_what_can_rest_is_not_left() {
    let mut told = Told::<CasRegister<u64>>::new();
    told.watch.room.awake_max = 4;
    for key in 0..100 {
        assert_eq!(told.call("write", key, "1", "null"), None);
        assert!(told.watch.awake.len() <= 4);
    }
    for key in 0..100 {
        assert_eq!(told.call("read", key, "null", "1"), None);
    }
    assert_eq!(told.watch.left(), 0);
    assert_eq!(told.call("read", 3, "null", "null"), None);
    assert!(told.call("read", 4, "null", "1").is_some());
}

#[test]
fn of_what_rests_the_older_half_is_left_where_that_takes_too_much_memory() {
    let mut told = Told::<CasRegister<u64>>::new();
    told.watch.room = Room {
        awake_max: 4,
        resting_bytes_max: 4096,
        sweep_interval: 1,
    };
    for key in 0..1000 {
        assert_eq!(told.call("write", key, "1", "null"), None);
        // What goes to rest by the last sweep was not there yet when it was looked at how much that takes.
        assert!(told.watch.resting_bytes <= 4096, "{}", told.watch.resting_bytes);
    }
    let left = told.watch.left();
    assert!(
        left > 500 && left + told.resting() + told.watch.awake.len() == 1000,
        "{left}"
    );
    // Of what is left nothing is said any more, and the next one is judged as before.
    assert_eq!(told.call("read", 0, "null", "2"), None);
    assert_eq!(told.call("read", 999, "null", "2"), None);
    assert_eq!(
        told.call("read", 998, "null", "1").unwrap().object,
        "cas-register 999"
    );
}

/// What an object of each of the kinds below holds.
#[derive(Clone, Default)]
struct Held {
    value: Option<u64>,
    count: i64,
    queue: VecDeque<u64>,
    text: String,
}

/// What is done to an object, and its argument.
type Asked = (&'static str, String);

/// A call for an object of the model `name`.
fn asked(name: &str, random: &mut ChaCha8Rng, number: u64) -> Asked {
    let one = random.random_range(0..3);
    match (name, random.random_range(0..3)) {
        ("cas-register", 0) => ("write", one.to_string()),
        ("cas-register", 1) => ("cas", format!("[{one},{}]", random.random_range(0..3))),
        ("counter", 0 | 1) => ("add", (1 + one).to_string()),
        ("fifo-queue", 0 | 1) => ("enqueue", number.to_string()),
        ("fifo-queue", _) => ("dequeue", String::from("null")),
        ("kv-append", 0 | 1) => ("append", format!("\"{number} \"")),
        ("kv-append", _) => ("get", String::from("null")),
        _ => ("read", String::from("null")),
    }
}

impl Held {
    fn carry_out(&mut self, name: &str, (f, argument): &Asked) -> String {
        let or_null =
            |value: Option<u64>| value.map_or_else(|| String::from("null"), |value| value.to_string());
        match *f {
            "write" => self.value = Some(argument.parse().unwrap()),
            "cas" => {
                let mut both = argument.trim_matches(['[', ']']).split(',');
                let mut next = || both.next().map(|number| number.parse::<u64>().unwrap());
                let (expected, new) = (next(), next());
                let swapped = self.value == expected;
                if swapped {
                    self.value = new;
                }
                return swapped.to_string();
            }
            "add" => self.count += argument.parse::<i64>().unwrap(),
            "enqueue" => self.queue.push_back(argument.parse().unwrap()),
            "append" => self.text.push_str(argument.trim_matches('"')),
            "dequeue" => return or_null(self.queue.pop_front()),
            "get" => return format!("\"{}\"", self.text),
            _ if name == "counter" => return self.count.to_string(),
            _ => return or_null(self.value),
        }
        String::from("null")
    }
}

#[derive(Clone)]
enum Phase {
    Idle,
    Invoked(u64, Asked),
    Done(u64, Asked, String),
}

/// The lines of clients of three objects of the model `name`. Of one operation in eight nobody learns the outcome, and half of those that
/// did not take effect by then do so later. One answer in thirty is of an earlier state, and what it changed is lost, if the store `lies`. In
/// the end all is over, and time goes on.
fn history(name: &str, random: &mut ChaCha8Rng, lies: bool) -> Vec<String> {
    let (mut time, mut lines, mut next_process) = (0, Vec::new(), 4);
    let mut stores: Vec<Vec<Held>> = vec![vec![Held::default()]; 3];
    let mut clients: Vec<(u64, Phase)> = (0..4).map(|process| (process, Phase::Idle)).collect();
    let mut late: Vec<(u64, Asked)> = Vec::new();
    for number in 0..random.random_range(20..160) {
        // Some events happen at the same time.
        time += random.random_range(0..3);
        let place = random.random_range(0..clients.len());
        let (process, phase) = clients[place].clone();
        let mut info = |clients: &mut Vec<(u64, Phase)>, key, f| {
            lines.push(line(time, process, "info", f, key, "null"));
            clients[place] = (next_process, Phase::Idle);
            next_process += 1;
        };
        match phase {
            Phase::Idle => {
                let (key, asked) = (random.random_range(0..3), asked(name, random, number));
                lines.push(line(time, process, "invoke", asked.0, key, &asked.1));
                clients[place].1 = Phase::Invoked(key, asked);
            }
            Phase::Invoked(key, asked) if random.random_ratio(1, 16) => {
                info(&mut clients, key, asked.0);
                if random.random_bool(0.5) {
                    late.push((key, asked));
                }
            }
            Phase::Invoked(key, asked) if random.random_ratio(1, 16) => {
                lines.push(line(time, process, "fail", asked.0, key, "null"));
                clients[place].1 = Phase::Idle;
            }
            Phase::Invoked(key, asked) => {
                let states = &mut stores[key as usize];
                let is_lie = lies && random.random_ratio(1, 30);
                let from = if is_lie {
                    random.random_range(0..states.len())
                } else {
                    states.len() - 1
                };
                let mut held = states[from].clone();
                let result = held.carry_out(name, &asked);
                if !is_lie {
                    states.push(held);
                }
                clients[place].1 = Phase::Done(key, asked, result);
            }
            Phase::Done(key, asked, _) if random.random_ratio(1, 12) => info(&mut clients, key, asked.0),
            Phase::Done(key, asked, result) => {
                lines.push(line(time, process, "ok", asked.0, key, &result));
                clients[place].1 = Phase::Idle;
            }
        }
        if !late.is_empty() && random.random_ratio(1, 10) {
            let (key, asked) = late.swap_remove(random.random_range(0..late.len()));
            let states = &mut stores[key as usize];
            let mut held = states[states.len() - 1].clone();
            held.carry_out(name, &asked);
            states.push(held);
        }
    }
    for (process, phase) in clients {
        if let Phase::Invoked(key, asked) | Phase::Done(key, asked, _) = phase {
            lines.push(line(time, process, "info", asked.0, key, "null"));
        }
    }
    let over = format!(
        "{{\"time\":{},\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"kill start\",\"value\":\"\"}}\n",
        time + 1
    );
    lines.push(over);
    lines
}

/// The objects in which the check of a whole history finds a violation.
fn found<M: Vocabulary>(lines: &[String]) -> Vec<String> {
    let mut history = Vec::new();
    Header::new("none").write(&mut history);
    history.extend(lines.concat().into_bytes());
    let options = CheckOptions {
        all: true,
        ..CheckOptions::default()
    };
    let report = check_with::<M>(&Log::read(&history).unwrap(), &options).unwrap();
    report.violations().map(|found| found.object.clone()).collect()
}

/// How often what was to be compared was there.
#[derive(Debug, Default)]
struct Met {
    valid: usize,
    violations: usize,
    /// Rests, those with several states, and those with operations of unknown outcome that may still take effect.
    rests: usize,
    of_several: usize,
    with_lost: usize,
    /// Histories that were too much for one of the watches.
    left: usize,
    /// Those for which there was no room.
    crowded: usize,
}

impl Met {
    fn rests_of<M: Vocabulary>(&mut self, watch: &Watched<'_, M>) {
        for object in &watch.objects {
            if let Is::Resting(rest) = &object.is {
                self.rests += 1;
                self.of_several += usize::from(rest.configs() > 1);
                self.with_lost += usize::from(rest.has_lost());
            }
        }
    }
}

/// Holds a history against a watch that has objects rest whenever they can, one that never does, one that has room for two, and the check of
/// the whole.
fn compare<M: Vocabulary>(seed: u64, met: &mut Met) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let lies = !seed.is_multiple_of(3);
    let lines = history(M::NAME, &mut random, lies);
    let [mut awake, mut resting, mut crowded] = [(); 3].map(|()| Told::<M>::new().watch);
    awake.room.sweep_interval = u64::MAX;
    resting.room.sweep_interval = 1;
    crowded.room.awake_max = 2;
    let mut seen = None;
    for (place, line) in lines.iter().enumerate() {
        let [of_awake, of_resting] =
            [&mut awake, &mut resting].map(|watch| watch.push(line.as_bytes()).unwrap());
        if awake.left() + resting.left() > 0 {
            met.left += 1;
            return;
        }
        assert_eq!(of_resting, of_awake, "{}, seed {seed}, line {place}", M::NAME);
        assert_eq!(
            (resting.judged(), resting.waiting()),
            (awake.judged(), awake.waiting())
        );
        met.rests_of(&resting);
        if of_resting.is_some() {
            seen = of_resting;
            break;
        }
    }
    let found = found::<M>(&lines);
    if let Some(Seen { object, .. }) = crowded.push(lines.concat().as_bytes()).unwrap() {
        assert!(
            found.contains(&object),
            "{}, seed {seed}: {object}, {found:?}",
            M::NAME
        );
    } else {
        assert!(
            crowded.left() > 0 || found.is_empty(),
            "{}, seed {seed}: {found:?}",
            M::NAME
        );
    }
    met.crowded += usize::from(crowded.left() > 0);
    match seen {
        None => assert_eq!(found, [] as [&str; 0], "{}, seed {seed}", M::NAME),
        Some(Seen { object, .. }) => {
            assert!(lies, "{}, seed {seed}: {object}", M::NAME);
            assert!(
                found.contains(&object),
                "{}, seed {seed}: {object}, {found:?}",
                M::NAME
            );
        }
    }
    *(if found.is_empty() {
        &mut met.valid
    } else {
        &mut met.violations
    }) += 1;
}

fn compare_many<M: Vocabulary>() {
    let mut met = Met::default();
    for seed in 0..HISTORIES {
        compare::<M>(seed, &mut met);
    }
    println!("{}: {met:?}", M::NAME);
    let many = HISTORIES as usize / 20;
    assert!(
        met.valid > many && met.violations > many && met.left < many,
        "{met:?}"
    );
    assert!(
        met.of_several > many && met.with_lost > many && met.crowded > many,
        "{met:?}"
    );
}

/// How many histories of each kind are compared.
const HISTORIES: u64 = 500;

#[test]
fn registers_that_rest_are_judged_as_those_that_dont_and_as_in_the_end() {
    compare_many::<CasRegister<u64>>();
}

#[test]
fn counters_that_rest_are_judged_as_those_that_dont_and_as_in_the_end() {
    compare_many::<Counter>();
}

#[test]
fn queues_that_rest_are_judged_as_those_that_dont_and_as_in_the_end() {
    compare_many::<FifoQueue<u64>>();
}

#[test]
fn texts_that_rest_are_judged_as_those_that_dont_and_as_in_the_end() {
    compare_many::<KvAppend>();
}
