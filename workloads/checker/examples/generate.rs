//! Writes a native history of registers that are linearizable by construction, to try the checker on:
//!
//! ```text
//! cargo run --release -p rustyraft-checker --example generate -- OPERATIONS KEYS PROCESSES SEED [LOST] > history.jsonl
//! ```
//!
//! Each operation takes effect at an instant between its invocation and its return. One of LOST, which is a
//! thousand if nothing is said, loses its answer, whether it took effect or not, and its process is replaced by another; 0: none does.

use checker::history::{Header, Kind, Process, Record, Value};
use std::borrow::Cow;
use std::io::Write as _;

/// How many different values a register gets.
const VALUES: u64 = 5;
/// One of so many operations loses its answer, if nothing is said.
const LOST: u64 = 1000;

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[derive(Clone, Copy)]
enum Op {
    Read,
    Write(u64),
    Cas(Option<u64>, u64),
}

/// What a client is at.
enum Phase {
    Idle,
    Invoked(u64, Op),
    /// It took effect, and will return this.
    Done(u64, Op, Value),
}

struct Client {
    process: u64,
    phase: Phase,
}

fn main() -> std::io::Result<()> {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let (&[operations, keys, processes, seed] | &[operations, keys, processes, seed, _]) = &numbers[..]
    else {
        eprintln!("usage: generate OPERATIONS KEYS PROCESSES SEED [LOST]");
        std::process::exit(254);
    };
    let lost = numbers.get(4).copied().unwrap_or(LOST);
    let (keys, processes) = (keys.max(1), processes.max(1));
    let mut random = Random(seed);
    let mut registers: Vec<Option<u64>> = (0..keys).map(|_| None).collect();
    let mut clients: Vec<Client> = (0..processes)
        .map(|process| Client {
            process,
            phase: Phase::Idle,
        })
        .collect();
    let (mut time, mut left, mut next_process) = (0, operations, processes);
    let mut out = std::io::BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    let mut line = Vec::new();
    Header::new("register").write(&mut line);
    while left > 0 || clients.iter().any(|client| !matches!(client.phase, Phase::Idle)) {
        time += 1 + random.below(1000);
        let place = usize::try_from(random.below(processes)).expect("clients are in memory");
        let client = &mut clients[place];
        let process = client.process;
        let mut say = |kind, key, op, value| record(time, process, kind, key, op, value).write(&mut line);
        client.phase = match std::mem::replace(&mut client.phase, Phase::Idle) {
            Phase::Idle if left == 0 => Phase::Idle,
            Phase::Idle => {
                left -= 1;
                let (key, op) = (random.below(keys), choose(&mut random));
                say(Kind::Invoke, key, op, argument(op));
                Phase::Invoked(key, op)
            }
            Phase::Invoked(key, op) if lost > 0 && random.below(2 * lost) == 0 => {
                say(Kind::Info, key, op, Value::Null);
                (client.process, next_process) = (next_process, next_process + 1);
                Phase::Idle
            }
            Phase::Invoked(key, op) => {
                let register = &mut registers[usize::try_from(key).expect("keys are in memory")];
                Phase::Done(key, op, apply(register, op))
            }
            Phase::Done(key, op, _) if lost > 0 && random.below(2 * lost) == 0 => {
                say(Kind::Info, key, op, Value::Null);
                (client.process, next_process) = (next_process, next_process + 1);
                Phase::Idle
            }
            Phase::Done(key, op, value) => {
                say(Kind::Ok, key, op, value);
                Phase::Idle
            }
        };
        if line.len() > 1 << 16 {
            out.write_all(&line)?;
            line.clear();
        }
    }
    out.write_all(&line)?;
    out.flush()
}

fn choose(random: &mut Random) -> Op {
    match random.below(4) {
        0 | 1 => Op::Read,
        2 => Op::Write(random.below(VALUES)),
        _ => Op::Cas(Some(random.below(VALUES)), random.below(VALUES)),
    }
}

fn apply(register: &mut Option<u64>, op: Op) -> Value {
    match op {
        Op::Read => value(*register),
        Op::Write(new) => {
            *register = Some(new);
            Value::Null
        }
        Op::Cas(expected, new) => {
            let matches = *register == expected;
            if matches {
                *register = Some(new);
            }
            Value::Bool(matches)
        }
    }
}

fn value(number: Option<u64>) -> Value {
    number.map_or(Value::Null, |number| {
        Value::Int(i64::try_from(number).expect("values are small"))
    })
}

fn argument(op: Op) -> Value {
    match op {
        Op::Read => Value::Null,
        Op::Write(new) => value(Some(new)),
        Op::Cas(expected, new) => Value::list([value(expected), value(Some(new))]),
    }
}

fn record(time: u64, process: u64, kind: Kind, key: u64, op: Op, value: Value) -> Record<'static> {
    let f = match op {
        Op::Read => "read",
        Op::Write(_) => "write",
        Op::Cas(..) => "cas",
    };
    Record {
        time,
        process: Process::Client(process),
        kind,
        f: Cow::Borrowed(f),
        key: Some(self::value(Some(key))),
        value,
        error: None,
        node: (kind == Kind::Invoke).then_some(process % 5 + 1),
        intended: None,
    }
}
